"""Shares of populations over the visits, with exact intervals, threshold bands and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.errors import GateError
from cytof.keys import UNS, Obs, Tables, Var
from cytof.track import _gates
from cytof.track._absolute import add_absolute
from cytof.track._cells import codes, label, levels, owners, samples, values
from cytof.track._detection import call, limits, pooled_blanks
from cytof.track._interval import clopper_pearson

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["abundance"]


def abundance(
    adata: AnnData, *, population: str = "CAR+", of: str = "CD45+", groupby: str | None = None
) -> pd.DataFrame:
    """Return the share of a population among the cells of another gate, one row a sample.

    Parameters
    ----------
    adata
        Cells with ``obs["sample_id"]`` and gate counts in ``uns["cytof"]["counts"]``.
    population
        Gate, by full path, by an unambiguous end of it (``CAR+``, ``CAR+/DN``) or by alias. Not read with ``groupby``.
    of
        Gate above it, or ``root`` for all events.
    groupby
        Column of ``obs``: each of its levels is a population among those cells of the gate ``of`` that bear a label
        (every level x sample has a row, also at zero). Where ``of`` lies above all labelled cells, the denominator is
        the count of ``of``, and every cell of the gate they come from must be labelled.

    Returns
    -------
    DataFrame, columns ``keys.Tables.ABUNDANCE``, by day, then sample, then level. ``ci_low ci_high``: exact 95 %
    interval of counting. ``band_low band_high``: the share with the gate's threshold at the upper and the lower end of
    its own interval; for a gate with blanks less the false and with the missed cells, and with the 95 % interval of
    counting at either end (``uns["cytof"]["blanks"]``), for any other without, and NaN unless ``adata`` holds all cells
    of the gate's parent and the gate has one threshold.
    ``false_expected``: cells expected in the gate if none belonged there, rate of the blanks x cells of the gate's
    parent. ``lob lod loq``: limits of blank, detection and quantification, in cells of the gate; ``call``:
    ``detected``, ``below LOQ``, ``not detected``, ``not evaluable`` (rule: :mod:`cytof.track._detection`); empty where
    the gate has
    no blanks. ``per_ul per_ul_low per_ul_high per_ul_of``: cells per microlitre where the sheet has one of the columns
    ``lymphocytes_per_ul leukocytes_per_ul lymphocytes_1e9_per_l leukocytes_1e9_per_l`` (leukocytes first for a share of
    CD45+, else lymphocytes; one kind a patient). Shares without a denominator
    are NaN.

    Raises
    ------
    GateError
        A name fits no gate or several, ``of`` does not lie above ``population``, or not all cells needed are here.
    UsageError
        No gate counts, or no such column.

    Examples
    --------
    >>> import anndata
    >>> counts = pd.DataFrame({"sample_id": "2mo", "gate": ["CD45+", "CD45+/CAR+"], "parent": ["root", "CD45+"],
    ...                        "n": [74, 12]})
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["2mo"]}, index=["c"]))
    >>> cells.uns["cytof"] = {"counts": counts}
    >>> abundance(cells)[["population", "n", "n_denominator", "ci_low", "ci_high"]].round(3).values.tolist()
    [['CAR+', 12, 74, 0.087, 0.266]]

    Source: Clopper and Pearson 1934; Currie 1968; CLSI EP17-A2.
    """
    table = _by_level(adata, groupby, of) if groupby else _by_gate(adata, population, of)
    table["fraction"] = table["n"] / table["n_denominator"].where(table["n_denominator"] > 0)
    table["ci_low"], table["ci_high"] = clopper_pearson(table["n"], table["n_denominator"])
    for column in ("n", "n_denominator"):
        if table[column].notna().all():
            table[column] = table[column].astype(np.int64)
    return add_absolute(table, adata)[list(Tables.ABUNDANCE)]


def _by_gate(adata: AnnData, population: str, of: str) -> pd.DataFrame:
    counts = _gates.counts(adata)
    path, above = _gates.path(adata, population), _gates.path(adata, of)
    if not _gates.is_ancestor(above, path):
        ancestors = [g for g in dict.fromkeys(counts["gate"]) if _gates.is_ancestor(g, path)]
        raise GateError(
            f"`{above}` does not lie above `{path}`",
            where="abundance",
            hint=f"give as `of` one of {', '.join(ancestors) or 'root'}",
        )
    table = samples(adata)
    ids = table["sample_id"].tolist()
    table["population"], table["denominator"] = population, of
    table["n"], table["n_denominator"] = _gates.number(counts, path, ids), _gates.number(counts, above, ids)
    at_risk = _gates.number(counts, path.rpartition("/")[0] or _gates.ROOT, ids)
    table[list(_CALL)] = _against_blanks(adata, path, ids, table["n"].to_numpy(float), at_risk)
    low, high = _band(adata, path, ids, table["n"].to_numpy(float), at_risk)
    total = table["n_denominator"].where(table["n_denominator"] > 0).to_numpy(float)
    table["band_low"], table["band_high"] = low / total, high / total
    return table


_CALL = ("false_expected", "lob", "lod", "loq", "call")


def _against_blanks(
    adata: AnnData, path: str, ids: list[str], n: NDArray[np.float64], at_risk: NDArray[np.float64]
) -> pd.DataFrame:
    """Return the false cells expected in the gate, the limits and the call, one row a sample."""
    blanks = adata.uns.get(UNS, {}).get("blanks")
    own = blanks[blanks["gate"].astype(str) == path] if blanks is not None and len(blanks) else []
    if not len(own):
        return pd.DataFrame([(np.nan, np.nan, np.nan, np.nan, "")] * len(ids), columns=list(_CALL))
    rows = []
    for count, risk, above, blank in zip(n, at_risk, *pooled_blanks(own, ids), strict=True):
        false = above / blank * risk if blank > 0 else np.nan
        found = limits(int(above), int(blank), risk)
        rows.append((false, *found, call(count, false, risk, found)))
    return pd.DataFrame(rows, columns=list(_CALL))


def _band(
    adata: AnnData, path: str, ids: list[str], n: NDArray[np.float64], at_risk: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the band of the table of blanks, made while all events were at hand; else that of the threshold alone."""
    blanks = adata.uns.get(UNS, {}).get("blanks")
    if blanks is not None and {"gate", "blank", "band_low", "band_high"} <= set(blanks.columns):
        rows = blanks[(blanks["gate"].astype(str) == path) & (blanks["blank"] == "all") & blanks["band_low"].notna()]
        if len(rows):
            ends = rows.astype({"sample_id": str}).set_index("sample_id")[["band_low", "band_high"]].reindex(ids)
            return ends["band_low"].to_numpy(float), ends["band_high"].to_numpy(float)
    return _threshold_band(adata, path, ids, n, at_risk)


def _threshold_band(
    adata: AnnData, path: str, ids: list[str], n: NDArray[np.float64], n_parent: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cells in the gate with its threshold at the strict and at the loose end; NaN where that is not known.

    The cells of the parent must all be in ``adata``, and counting them at the threshold itself must give ``n`` again:
    that tells which side of it the gate is, and that nothing else shapes the gate.
    """
    low, high = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    thresholds = adata.uns.get(UNS, {}).get("thresholds")
    if thresholds is None or Obs.GATE not in adata.obs:
        return low, high
    own = thresholds[thresholds["gate"].astype(str) == path]
    parent = path.rpartition("/")[0]
    held = _gates.inside(adata, parent or _gates.ROOT)
    owner = owners(adata, ids)
    for i, sample in enumerate(ids):
        rows = own[own["sample_id"].astype(str) == sample]
        if len(rows) != 1 or not np.isfinite(rows[["value", "low", "high"]].to_numpy(float)).all():
            continue
        row = rows.iloc[0]
        place = _column(adata, str(row["channel"]))
        cells = held & (owner == i)
        if place is None or cells.sum() != n_parent[i]:
            continue
        x = values(adata, np.flatnonzero(cells), np.array([place]))[0].astype(float)
        sign = next((s for s in (1, -1) if abs(np.sum(s * (x - row["value"]) >= 0) - n[i]) <= 1e-3 * n[i]), 0)
        if sign:
            ends = sorted(float(np.sum(sign * (x - row[end]) >= 0)) for end in ("low", "high"))
            low[i], high[i] = ends
    return low, high


def _column(adata: AnnData, channel: str) -> int | None:
    """Return the place of a channel or antigen in ``var``."""
    if channel in adata.var_names:
        return int(adata.var_names.get_loc(channel))
    if Var.CHANNEL in adata.var:
        hits = np.flatnonzero(adata.var[Var.CHANNEL].astype(str) == channel)
        if len(hits) == 1:
            return int(hits[0])
    return None


def _by_level(adata: AnnData, groupby: str, of: str) -> pd.DataFrame:
    names = levels(adata, groupby, observed=False)
    level = codes(adata, groupby, names)
    visits = samples(adata)
    ids = visits["sample_id"].tolist()
    owner = owners(adata, ids)
    above, total = _denominator(adata, of, level >= 0, ids)
    cells = (level >= 0) & _gates.inside(adata, above)
    n = np.zeros((len(ids), len(names)), np.int64)
    np.add.at(n, (owner[cells], level[cells]), 1)
    table = visits.loc[visits.index.repeat(len(names))].reset_index(drop=True)
    table["population"] = [label(groupby, name) for name in names] * len(ids)
    table["denominator"] = of
    table["n"] = n.ravel()
    table["n_denominator"] = np.repeat(n.sum(axis=1) if total is None else total, len(names))
    table[["band_low", "band_high", "false_expected", "lob", "lod", "loq"]] = np.nan
    table["call"] = ""
    return table


def _denominator(
    adata: AnnData, of: str, labelled: NDArray[np.bool_], ids: list[str]
) -> tuple[str, NDArray[np.float64] | None]:
    """Return the gate whose labelled cells are counted, and the denominators where ``of`` lies above all of them."""
    if not len(adata.uns.get(UNS, {}).get("counts", ())):
        return _gates.path(adata, of, [_gates.ROOT]), None
    counts, above = _gates.counts(adata), _gates.path(adata, of)
    if Obs.GATE not in adata.obs:
        return above, None
    gates = [str(g).split("/") for g in adata.obs.loc[labelled, Obs.GATE].astype(str).unique()]
    shared: list[str] = []
    for parts in zip(*gates, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    common = "/".join(shared)
    if not common or not _gates.is_ancestor(above, common):
        return above, None
    owner = adata.obs[Obs.SAMPLE].astype(str).to_numpy()[labelled]
    here = pd.Series(owner).value_counts().reindex(ids, fill_value=0).to_numpy()
    all_of = _gates.number(counts, common, ids)
    short = np.flatnonzero(here != np.nan_to_num(all_of))
    if len(short):
        i = int(short[0])
        raise GateError(
            f"{here[i]:,} labelled cells of `{ids[i]}` are here, gate `{common}` counted {all_of[i]:,.0f}, "
            f"so shares of `{of}` are not known",
            where="abundance",
            hint=f"use of='{shared[-1]}' for shares of the labelled cells",
        )
    return above, _gates.number(counts, above, ids)
