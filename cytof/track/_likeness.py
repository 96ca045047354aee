"""How alike samples are, and which markers tell cells apart: multidimensional scaling and the non-redundancy score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import at_least
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.order import canonical
from cytof.track._cells import codes, columns_of, default_markers, label, levels, samples, values

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["non_redundancy", "sample_distances"]


def sample_distances(adata: AnnData, *, markers: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a place for each sample such that distances are those between their median marker levels.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X.
    markers
        Markers; None for those of :func:`cytof.track.profile`.

    Returns
    -------
    DataFrame ``sample_id patient_id timepoint day n x y explained_x explained_y``, by day: classical (metric)
    multidimensional scaling of Euclidean distances between the medians; ``explained`` is the share of the squared
    distances on each axis. Signs are such that the largest coordinate of an axis is positive.

    Raises
    ------
    InputError
        Fewer than three samples have cells.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": list("abc")}, index=list("123"))
    >>> cells = anndata.AnnData(np.float32([[0], [1], [4]]), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> sample_distances(cells)["x"].round(3).tolist()
    [-1.667, -0.667, 2.333]

    Source: Nowicka et al. 2017, F1000Research 6:748; Torgerson 1952, Psychometrika 17:401.
    """
    names, found = default_markers(adata, markers), levels(adata, Obs.SAMPLE)
    sample = codes(adata, Obs.SAMPLE, found)
    if len(found) < 3:
        raise InputError(f"{len(found)} samples have cells, a map of samples needs three", where="sample_distances")
    columns = columns_of(adata, names)
    medians = np.array([_medians(values(adata, np.flatnonzero(sample == s), columns)) for s in range(len(found))])
    places, explained = _scaled(medians)
    table = pd.DataFrame({"sample_id": [label(Obs.SAMPLE, s) for s in found], "x": places[:, 0], "y": places[:, 1]})
    table["n"] = np.bincount(sample[sample >= 0], minlength=len(found))
    table["explained_x"], table["explained_y"] = explained
    table = samples(adata).merge(table, on=Obs.SAMPLE)
    return table[["sample_id", "patient_id", "timepoint", "day", "n", "x", "y", "explained_x", "explained_y"]]


def _medians(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the median of each marker, shape (n_markers,); 0 for a marker that the sample lacks."""
    x = x.astype(np.float64)
    x[np.isnan(x).all(axis=1)] = 0.0
    return np.nanmedian(x, axis=1)


def _scaled(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Return the first two axes of classical scaling of the rows' Euclidean distances."""
    centred = points - points.mean(axis=0)
    level, axes = np.linalg.eigh(centred @ centred.T)
    level, axes = np.maximum(level[::-1], 0.0), axes[:, ::-1]
    places = axes[:, :2] * np.sqrt(level[:2])
    for k in range(places.shape[1]):
        largest = places[np.abs(places[:, k]).argmax(), k]
        places[:, k] = places[:, k] * (np.sign(largest) or 1.0) if level[k] > 1e-12 * max(level[0], 1e-300) else 0.0
    total = level.sum() or 1.0
    return places, (float(level[0] / total), float(level[1] / total))


def non_redundancy(adata: AnnData, *, markers: Sequence[str] | None = None, n_components: int = 3) -> pd.DataFrame:
    """Return the non-redundancy score of each marker in each sample: how much of the variance between cells it bears.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X.
    markers
        Markers; None for those of :func:`cytof.track.profile`.
    n_components
        Principal components that count.

    Returns
    -------
    DataFrame ``sample_id marker n score mean rank``: the sum over the components of |loading| x variance, the mean
    over samples, and the marker's rank by it (1: highest). Samples of fewer than two cells have NaN.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": ["a"] * 4}, index=list("1234"))
    >>> cells = anndata.AnnData(np.float32([[0, 0], [4, 0], [0, 1], [4, 1]]), obs=obs,
    ...                         var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> non_redundancy(cells)[["marker", "score", "rank"]].round(2).values.tolist()
    [['CD4', 5.33, 1], ['CD8', 0.33, 2]]

    Source: Levine et al. 2015, Cell 162:184; Nowicka et al. 2017, F1000Research 6:748.
    """
    at_least(n_components, 1, "n_components", where="non_redundancy")
    names, found = default_markers(adata, markers), levels(adata, Obs.SAMPLE)
    sample, columns, parts = codes(adata, Obs.SAMPLE, found), columns_of(adata, names), []
    for s, name in enumerate(found):
        x = np.nan_to_num(values(adata, np.flatnonzero(sample == s), columns).astype(np.float64))
        x = x[:, canonical(x.T)]  # sums do not depend on the order of the cells
        score = np.full(len(names), np.nan)
        if x.shape[1] > 1:
            level, axes = np.linalg.eigh(np.atleast_2d(np.cov(x)))
            score = (np.abs(axes[:, ::-1]) * np.maximum(level[::-1], 0.0))[:, :n_components].sum(axis=1)
        parts.append(pd.DataFrame({"sample_id": label(Obs.SAMPLE, name), "marker": names, "n": x.shape[1],
                                   "score": score}))  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    mean = table.groupby("marker", sort=False)["score"].mean()
    rank = mean.rank(ascending=False, method="first")
    return table.assign(mean=table["marker"].map(mean), rank=table["marker"].map(rank).fillna(0).astype(int))
