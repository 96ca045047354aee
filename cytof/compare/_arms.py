"""CAR T and host T cells of each visit as counts: means, variances and medians after a rescaling of the visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import scale
from cytof.errors import UsageError
from cytof.keys import Layers, Var
from cytof.track._cells import columns_of

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Arm", "BRIGHT", "arm", "counts_of", "gains", "host_gain", "staining"]

BRIGHT = 5.0
"""Counts: below this median of either arm a gain of the instrument does not cancel on the arcsinh scale."""


_FEW = 30  # host cells of a subset, for a gain


@dataclass(frozen=True)
class Arm:
    """Cells of one arm: how many, and of each marker the mean and variance (arcsinh) and the median (counts).

    Examples
    --------
    >>> Arm(0, np.zeros(1), np.zeros(1), np.zeros(1)).n
    0
    """

    n: int
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    median: NDArray[np.float64]


def counts_of(adata: AnnData, markers: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return counts, shape (n_cells, n_markers), and cofactors, shape (n_markers,).

    Raises
    ------
    UsageError
        There is no layer of counts.
    """
    if Layers.COUNTS not in adata.layers:
        raise UsageError("no layer `counts`", where="adata.layers", hint="cells made by `cytof.assemble` have it")
    columns = columns_of(adata, markers)
    found = adata.layers[Layers.COUNTS][:, columns]
    dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
    factors = (
        adata.var[Var.COFACTOR].to_numpy(float)[columns] if Var.COFACTOR in adata.var else np.full(len(columns), 5)
    )
    return dense.astype(np.float32, copy=False), factors


def staining(adata: AnnData) -> list[str]:
    """Return the markers a gain is read from: all of class ``type`` and ``state``, gated ones too, without the CAR.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> var = pd.DataFrame({"marker_class": ["type", "none"]}, index=["CD45", "DNA1"])
    >>> staining(anndata.AnnData(np.zeros((1, 2), np.float32), var=var))
    ['CD45']
    """
    keep = np.ones(adata.n_vars, bool)
    if Var.MARKER_CLASS in adata.var:
        keep &= adata.var[Var.MARKER_CLASS].isin(["type", "state"]).to_numpy()
    if Var.ROLE in adata.var:
        keep &= (adata.var[Var.ROLE] != "car").to_numpy()
    return [str(m) for m in adata.var_names[keep]]


def host_gain(reference: Sequence[NDArray], visit: Sequence[NDArray]) -> float:
    """Return the gain of a visit: the median over bright markers of the ratio of host T cells' upper quantiles.

    Parameters
    ----------
    reference, visit
        Counts of host T cells, one array (n_cells, n_markers) a subset, the same subsets in both. Each marker of a
        subset gives the median ratio of its 50th to 90th percentiles; those with a median under 5 counts at either
        visit have no say, nor subsets with fewer than 30 cells. Over subsets the logarithm is averaged by their cells
        at the reference, so that a shift from CD4 to CD8 is no gain. 1 without any.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> host = rng.poisson(80, (500, 3))
    >>> round(host_gain([host], [2 * rng.poisson(80, (500, 3))]), 1)
    2.0
    """
    both = [(a, b) for a, b in zip(reference, visit, strict=True) if min(len(a), len(b)) >= _FEW]
    if not both:
        return 1.0
    logs = np.stack([_log_ratios(a, b) for a, b in both])
    weight = np.where(np.isnan(logs), 0.0, np.array([len(a) for a, _ in both], float)[:, None])
    bright = weight.sum(axis=0) > 0
    if not bright.any():
        return 1.0
    means = np.nansum(logs * weight, axis=0)[bright] / weight.sum(axis=0)[bright]
    return float(np.exp(np.median(means)))


def _log_ratios(reference: NDArray, visit: NDArray) -> NDArray[np.float64]:
    """Return the logarithm of the ratio of each marker, NaN of dim ones."""
    levels = np.linspace(0.5, 0.9, 9)
    out = np.full(reference.shape[1], np.nan)
    known = ~(np.isnan(reference).all(axis=0) | np.isnan(visit).all(axis=0))
    low, high = (np.nanquantile(v[:, known], levels, axis=0) for v in (reference, visit))
    bright = (low[0] >= BRIGHT) & (high[0] >= BRIGHT)
    out[np.flatnonzero(known)[bright]] = np.log(np.median(high[:, bright] / low[:, bright], axis=0))
    return out


def arm(counts: NDArray, cofactors: NDArray, gain: float) -> Arm:
    """Return the moments of cells after their counts are divided by the gain of their visit.

    Examples
    --------
    >>> arm(np.float32([[10.0], [20.0]]), np.array([5.0]), 2.0).median.tolist()
    [7.5]
    """
    k = counts.shape[1]
    if not len(counts):
        return Arm(0, *np.full((3, k), np.nan))
    scaled = np.sort(counts, axis=0) / np.float32(gain)  # sums do not depend on the order of cells
    x = scale.arcsinh(scaled, cofactors).astype(np.float64)
    known = (~np.isnan(x)).sum(axis=0)
    mean = np.nansum(x, axis=0) / np.where(known, known, np.nan)
    variance = np.nansum((x - mean) ** 2, axis=0) / np.where(known > 1, known - 1, np.nan)
    median = np.full(k, np.nan)
    median[known > 0] = np.nanmedian(scaled[:, known > 0], axis=0)
    return Arm(len(counts), mean, variance, median)


def gains(
    by: Sequence[str], given: str | Mapping[str, float], host: Mapping[str, Sequence[NDArray]], reference: str
) -> dict[str, float]:
    """Return the gain of each visit against the reference: given, from host quantiles, or 1.

    Examples
    --------
    >>> gains(["2mo", "5yr"], {"2mo": 1.0, "5yr": 1.3}, {}, "2mo")
    {'2mo': 1.0, '5yr': 1.3}
    """
    if isinstance(given, str):
        if given == "none":
            return dict.fromkeys(by, 1.0)
        return {v: host_gain(host[reference], host[v]) if v != reference else 1.0 for v in by}
    missing = [v for v in by if v not in given]
    if missing or not all(given[v] > 0 for v in by):
        raise UsageError(
            f"`rescale` gives no gain above 0 for {', '.join(missing) or 'a visit'}",
            where="compare.difference_of_differences", hint="give one a visit, as the ratio of its bead medians",
        )  # fmt: skip
    return {v: float(given[v]) for v in by}
