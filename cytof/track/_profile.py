"""What heatmaps draw: one value a cluster and marker, and the order of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import in_range, one_of
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.track._cells import codes, columns_of, default_markers, label, levels, values

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["PROFILE", "profile"]

PROFILE = ("cluster", "marker", "value", "raw", "n", "frequency", "cluster_order", "marker_order", "scale", "statistic")
"""Columns of :func:`profile`."""


def profile(
    adata: AnnData,
    *,
    groupby: str = Obs.FLOWSOM,
    markers: Sequence[str] | None = None,
    scale: str = "01",
    statistic: str = "mean",
    trim: float = 0.01,
) -> pd.DataFrame:
    """Return the marker profile of each cluster, one row a cluster and marker.

    The **mean** of arcsinh values is the default. In mass cytometry a dim marker (Ki67, PD-1, CCR7) is zero in most
    cells: with 30 % positive cells in one cluster and 5 % in another both medians are 0, and the column of the heatmap
    is empty. On the arcsinh scale, and with the highest 1 % set to the trim limit, no bright cell moves the mean.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X and clusters in ``obs``; cells without a cluster are left out.
    groupby
        Column with the clusters.
    markers
        Markers; None for all of class ``type`` and ``state`` that no gate made constant, without the CAR.
    scale
        ``01`` (or ``first``): each marker's values, cell by cell, so that its ``trim`` and ``1 - trim`` quantiles over
        all labelled cells become 0 and 1 (what lies outside is set to 0 and 1), before the statistic: a marker that
        tells no cluster apart stays an even column. ``last``: the clusters' values, between their ``trim`` and
        ``1 - trim`` quantiles, after the statistic: each marker spans 0 to 1. ``zscore``: the clusters' values, minus
        their mean, by their standard deviation (n - 1), after the statistic. ``none``: arcsinh values.
    statistic
        ``mean`` or ``median`` over the cells of a cluster.
    trim
        Share of cells beyond the limits at each end, below 0.5.

    Returns
    -------
    DataFrame, columns ``cluster marker value raw n frequency cluster_order marker_order scale statistic``, clusters in
    their own order, markers in the order asked. ``value`` is scaled, ``raw`` is the statistic of the untrimmed arcsinh
    values, ``frequency`` the share of labelled cells in the cluster. ``cluster_order`` and ``marker_order`` are places
    (from 0) after hierarchical clustering of ``value`` (average linkage, Euclidean, optimal leaf order).

    Raises
    ------
    InputError
        No cell has a cluster.
    PanelError, UsageError
        No such marker, column, scale or statistic.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"flowsom": ["1", "1", "2"]}, index=list("abc"))
    >>> cells = anndata.AnnData(np.float32([[0], [2], [4]]), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> profile(cells, trim=0)[["cluster", "marker", "value", "raw", "n"]].values.tolist()
    [['1', 'Ki67', 0.25, 1.0, 2], ['2', 'Ki67', 1.0, 4.0, 1]]

    Source: Nowicka et al. 2017, F1000Research 6:748 (0-1 scaling between quantiles of cells); Bar-Joseph et al.
    2001, Bioinformatics 17:S22 (optimal leaf order).
    """
    one_of(scale, ("01", "first", "last", "none", "zscore"), "scale")
    scale = "01" if scale == "first" else scale
    one_of(statistic, ("mean", "median"), "statistic")
    in_range(trim, 0, 0.499, "trim")
    names = default_markers(adata, markers)
    clusters = levels(adata, groupby)
    cluster = codes(adata, groupby, clusters)
    if not (cluster >= 0).any():
        raise InputError(f"no cell has a `{groupby}`", where="profile", hint="cluster the cells first")
    n = np.bincount(cluster[cluster >= 0], minlength=len(clusters))
    raw, value = np.empty((2, len(clusters), len(names)))
    rows = np.argsort(cluster, kind="stable")[np.sum(cluster < 0) :]
    bounds = np.concatenate([[0], np.cumsum(n)])
    for m, column in enumerate(columns_of(adata, names)):
        x = values(adata, rows, np.array([column]))[0]
        parts = [np.sort(x[a:b]) for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        raw[:, m] = [_centre(p, statistic) for p in parts]
        value[:, m] = _scaled(parts, np.sort(x), trim, statistic) if scale == "01" else raw[:, m]
    if scale == "zscore":
        value = _zscore(value)
    if scale == "last":
        value = _last(value, trim)
    return _tidy([label(groupby, c) for c in clusters], names, value, raw, n).assign(scale=scale, statistic=statistic)


def _centre(x: NDArray[np.float32], statistic: str) -> float:
    """Return mean or median of sorted values without NaN; NaN without any."""
    x = x[~np.isnan(x)]
    if not len(x):
        return float("nan")
    return float(x.mean(dtype=np.float64)) if statistic == "mean" else float(np.median(x.astype(np.float64)))


def _scaled(
    parts: list[NDArray[np.float32]], everything: NDArray[np.float32], trim: float, statistic: str
) -> list[float]:
    """Return the statistic of each part after 0-1 scaling; 0 throughout where the limits are one value."""
    known = everything[~np.isnan(everything)].astype(np.float64)
    if not len(known):
        return [float("nan")] * len(parts)
    low, high = np.quantile(known, [trim, 1 - trim])
    if not high > low:
        return [0.0] * len(parts)
    return [_centre(np.clip((p.astype(np.float64) - low) / (high - low), 0, 1), statistic) for p in parts]


def _last(value: NDArray[np.float64], trim: float) -> NDArray[np.float64]:
    """Return each column from 0 to 1 between its quantiles; 0 where all are equal."""
    low, high = np.nanquantile(value, [trim, 1 - trim], axis=0)
    span = np.where(high - low > 1e-12, high - low, np.inf)
    return np.clip((value - low) / span, 0, 1)


def _zscore(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each column minus its mean by its standard deviation (n - 1); 0 where all are equal."""
    if len(value) < 2:
        return np.zeros_like(value)
    spread = value.std(axis=0, ddof=1)
    centred = value - value.mean(axis=0)
    return np.divide(centred, spread, out=np.zeros_like(value), where=spread > 1e-12)


def _order(value: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the place of each row in the dendrogram of the rows."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(value) < 3 or not value.shape[1]:
        return np.arange(len(value))
    leaves = leaves_list(linkage(np.nan_to_num(value), "average", optimal_ordering=True))
    places = np.empty(len(value), np.int64)
    places[leaves] = np.arange(len(value))
    return places


def _tidy(
    clusters: list[str], markers: list[str], value: NDArray[np.float64], raw: NDArray[np.float64], n: NDArray[np.int64]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "cluster": np.repeat(clusters, len(markers)),
            "marker": np.tile(markers, len(clusters)),
            "value": value.ravel(),
            "raw": raw.ravel(),
            "n": np.repeat(n, len(markers)),
            "frequency": np.repeat(n / n.sum(), len(markers)),
            "cluster_order": np.repeat(_order(value), len(markers)),
            "marker_order": np.tile(_order(value.T), len(clusters)),
        }
    )
