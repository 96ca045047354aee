"""Marker levels of each subset at each visit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.keys import UNS, Obs, Tables, Var
from cytof.track._cells import codes, columns_of, default_markers, label, levels, owners, samples, values
from cytof.track._interval import wilson

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["state", "thresholds_of"]


def state(adata: AnnData, *, by: str | None = Obs.SUBSET, markers: Sequence[str] | None = None) -> pd.DataFrame:
    """Return number of cells, mean, median and positive share of each marker, one row a sample, subset and marker.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X; thresholds in ``uns["cytof"]["thresholds"]`` where markers were gated.
    by
        Column of ``obs`` that divides the cells; None for all cells (``subset`` is then ``all``), and so it is where
        ``subset`` divides nothing: a study without subset gates.
    markers
        Markers; None for all of class ``type`` and ``state`` that no gate made constant, without the CAR.

    Returns
    -------
    DataFrame, columns ``keys.Tables.STATE``, by day, sample, level of ``by`` and marker. ``n``: cells with a value.
    ``mean median``: arcsinh scale, NaN without cells. ``positive_fraction``: share of cells at or above the marker's
    one threshold in that sample; NaN where the gating placed none, or several that differ. ``positive_low
    positive_high``: its 95 % score interval (Wilson; sampling of cells only). Not a bootstrap over cells: the quantiles
    of endless draws are those of a binomial count, of zero width at 0 and 100 %, and cover 64 % of shares of 5 % of 20
    cells. ``reason``: why a number is missing; ``no value`` where there are cells but the marker was not measured.

    Raises
    ------
    PanelError
        No such marker.
    UsageError
        No such column.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": "5yr", "subset": ["DN", "DN", "CD8"]}, index=list("abc"))
    >>> cells = anndata.AnnData(np.float32([[1], [3], [5]]), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> state(cells)[["subset", "marker", "n", "mean"]].values.tolist()
    [['CD8', 'Ki67', 1, 5.0], ['DN', 'Ki67', 2, 2.0]]

    Source: Wilson 1927; Newcombe 1998, Stat Med 17:857.
    """
    names = default_markers(adata, markers)
    if by == Obs.SUBSET and by in adata.obs and adata.obs[by].isna().all():
        by = None
    visits = samples(adata)
    ids = visits["sample_id"].tolist()
    groups = levels(adata, by) if by else ["all"]
    group = codes(adata, by, groups) if by else np.zeros(adata.n_obs, np.int64)
    owner = owners(adata, ids)
    limits = thresholds_of(adata, names, ids)
    parts = []
    for i, visit in visits.iterrows():
        for g, level in enumerate(groups):
            rows = np.flatnonzero((owner == i) & (group == g))
            numbers = _summary(np.sort(values(adata, rows, columns_of(adata, names)), axis=1), limits[:, int(i)])
            numbers.insert(0, "marker", names)
            numbers.insert(0, "subset", label(by or "", level))
            parts.append(numbers.assign(**visit.to_dict()))
    if not parts:
        return pd.DataFrame(columns=list(Tables.STATE))
    return pd.concat(parts, ignore_index=True)[list(Tables.STATE)]


def _summary(x: NDArray[np.float32], limits: NDArray[np.float64]) -> pd.DataFrame:
    """Return n, mean, median, positive share with its interval of each row; rows are sorted, NaN last."""
    n = np.sum(~np.isnan(x), axis=1)
    shares = ["positive_fraction", "positive_low", "positive_high"]
    table = pd.DataFrame({"n": n, **dict.fromkeys(["mean", "median", *shares], np.nan), "reason": ""})
    for i, count in enumerate(n):
        if count:
            own = x[i, :count]
            table.loc[i, ["mean", "median"]] = [
                own.mean(dtype=np.float64), (float(own[(count - 1) // 2]) + float(own[count // 2])) / 2,
            ]  # fmt: skip
            if np.isfinite(limits[i]):
                positive = int(np.sum(own >= limits[i]))
                table.loc[i, shares] = [positive / count, *map(float, wilson(positive, count))]
            else:
                table.loc[i, "reason"] = "no one threshold"
        else:
            cells = x.shape[1]
            table.loc[i, "reason"] = f"no value: the marker is missing in all {cells:,} cells" if cells else "no cells"
    return table


def thresholds_of(adata: AnnData, markers: Sequence[str], ids: Sequence[str]) -> NDArray[np.float64]:
    """Return the one threshold of each marker in each sample, NaN where there is none or more than one value."""
    limits = np.full((len(markers), len(ids)), np.nan)
    table = adata.uns.get(UNS, {}).get("thresholds")
    if table is None or not len(table):
        return limits
    channel = adata.var[Var.CHANNEL].astype(str) if Var.CHANNEL in adata.var else pd.Series("", index=adata.var_names)
    own_channel, sample = table["channel"].astype(str), table["sample_id"].astype(str)
    for i, marker in enumerate(markers):
        own = table[own_channel.isin([marker, channel[marker] or marker])]
        for j, name in enumerate(ids):
            found = own.loc[sample[own.index] == name, "value"].astype(float)
            found = found[np.isfinite(found)].round(6).unique()
            if len(found) == 1:
                limits[i, j] = found[0]
    return limits
