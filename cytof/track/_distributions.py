"""What violins draw: the distribution of each marker as quantiles, small enough for a CSV, true to all cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import at_least
from cytof.track._cells import codes, columns_of, default_markers, label, levels, values

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["distributions"]


def distributions(
    adata: AnnData, *, markers: Sequence[str] | None = None, by: str, within: str | None = None, n_quantiles: int = 1000
) -> pd.DataFrame:
    """Return the distribution of markers in each group as evenly spaced quantiles of all its cells.

    A violin drawn from these quantiles is the violin of the cells (the k-th value stands for an equal share of them),
    whatever their number, and can be drawn again from the CSV alone.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X.
    markers
        Markers; None for all of class ``type`` and ``state`` that no gate made constant, without the CAR.
    by
        Column of ``obs`` with the groups that stand side by side (``timepoint``, ``car``).
    within
        Column of ``obs`` with the subsets; None for all cells (``subset`` is then ``all``).
    n_quantiles
        Quantiles a group, at levels ``(k + 0.5) / n_quantiles``. A group with fewer cells gives each cell's own value.

    Returns
    -------
    DataFrame, columns ``group subset marker n quantile value``, by subset, marker, group (in order of day) and
    quantile. A group without cells has one row with n = 0 and NaN.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"timepoint": ["2mo", "5yr", "5yr"], "day": [60.0, 1825, 1825]}, index=list("abc"))
    >>> cells = anndata.AnnData(np.float32([[1], [4], [2]]), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> distributions(cells, by="timepoint")[["group", "n", "quantile", "value"]].values.tolist()
    [['2mo', 1, 0.5, 1.0], ['5yr', 2, 0.25, 2.0], ['5yr', 2, 0.75, 4.0]]
    """
    at_least(n_quantiles, 1, "n_quantiles")
    names = default_markers(adata, markers)
    groups = levels(adata, by)
    subsets = levels(adata, within) if within else ["all"]
    group = codes(adata, by, groups)
    subset = codes(adata, within, subsets) if within else np.zeros(adata.n_obs, np.int64)
    parts = []
    for s, subset_name in enumerate(subsets):
        sorted_values = [
            np.sort(values(adata, np.flatnonzero((subset == s) & (group == g)), columns_of(adata, names)), axis=1)
            for g in range(len(groups))
        ]
        for m, marker in enumerate(names):
            for g, group_name in enumerate(groups):
                part = _quantiles(sorted_values[g][m], n_quantiles)
                part.insert(0, "marker", marker)
                part.insert(0, "subset", label(within or "", subset_name))
                part.insert(0, "group", label(by, group_name))
                parts.append(part)
    columns = ["group", "subset", "marker", "n", "quantile", "value"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _quantiles(x: np.ndarray, n_quantiles: int) -> pd.DataFrame:
    """Return the quantiles of sorted values; the level of value i (from 0) of n is (i + 0.5) / n (Hazen)."""
    n = int(np.sum(~np.isnan(x)))
    if not n:
        return pd.DataFrame({"n": [0], "quantile": [np.nan], "value": [np.nan]})
    count = min(n, n_quantiles)
    quantile = (np.arange(count) + 0.5) / count
    value = np.interp(quantile * n - 0.5, np.arange(n), x[:n].astype(np.float64))
    return pd.DataFrame({"n": n, "quantile": quantile, "value": value})
