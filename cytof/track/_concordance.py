"""CyTOF beside transgene copies: do both tell the same course."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.track._courses import courses, one_a_day
from cytof.track._interval import clopper_pearson

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["CONCORDANCE", "concordance"]

CONCORDANCE = (
    "patient_id", "day", "cytof", "cytof_unit", "copies", "ratio", "ratio_low", "ratio_high", "relative", "discordant",
    "reason",
)  # fmt: skip
"""Columns of :func:`concordance`."""

ASSAY_CV = 0.3
"""Coefficient of variation of a qPCR of transgene copies."""


def concordance(
    abundance: pd.DataFrame, adata: AnnData, *, fold: float = 3.0, assay_cv: float = ASSAY_CV
) -> pd.DataFrame:
    """Return the ratio of CyTOF to transgene copies at each visit, and whether it parts from the patient's others.

    Copies stand on micrograms of DNA, CyTOF on CD45+ cells: the ratio has no right value, it should have one value.
    Each visit is set against the median ratio of the patient's other visits.

    Parameters
    ----------
    abundance
        Table of :func:`cytof.track.abundance`; cells per microlitre (share x lymphocytes) where it has them for all
        compared visits, else the share.
    adata
        Cells whose ``obs`` carries ``transgene_copies_per_ug`` (and ``transgene_limit``).
    fold
        How far a visit's ratio may lie from the others'.
    assay_cv
        Coefficient of variation of the copies, for the interval.

    Returns
    -------
    DataFrame, columns :data:`CONCORDANCE`, one row a patient and day with both. ``ratio_low ratio_high``: 95 %, log
    variance of counting (from the exact interval) + ``assay_cv`` squared. ``relative``: ratio by the median of the
    other visits. A value below its limit leaves no ratio but a bound: CyTOF below the limit at most its limit (or, if
    larger, the upper end of its interval) by the copies, with ``ratio_low`` 0; copies below the limit at least CyTOF by
    their limit, with ``ratio_high`` infinite; both below: neither. ``discordant``: beyond ``fold`` with the whole
    interval, bounds too. ``reason``: what is missing or far.

    Examples
    --------
    See the notebook of tracking; without copies the table is empty.

    >>> import anndata
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["c"]))
    >>> shares = pd.DataFrame({"patient_id": ["P"], "day": [1.0], "population": "CAR+", "denominator": "CD45+",
    ...     "n": [9], "n_denominator": [90], "fraction": [0.1], "loq": 25.0, "call": "detected", "per_ul": np.nan})
    >>> len(concordance(shares, cells))
    0
    """
    found = courses(abundance, adata)
    copies = found[found["assay"] == "transgene"]
    absolute = found["assay"].str.startswith("CyTOF, absolute")
    share = found["assay"].str.startswith("CyTOF, share")
    cytof = found[absolute] if absolute.sum() == share.sum() and absolute.any() else found[share]
    both = cytof.merge(copies, on=["patient_id", "day"], suffixes=("", "_copies"))
    counts = one_a_day(abundance, adata).set_index(["patient_id", "day"])[["n", "n_denominator"]]
    rows = [_row(visit, counts, assay_cv) for _, visit in both.iterrows()]
    table = pd.DataFrame(rows, columns=[c for c in CONCORDANCE if c not in ("relative", "discordant")])
    parts = [_against_others(own, fold) for _, own in table.groupby("patient_id", sort=True)]
    return pd.concat(parts, ignore_index=True)[list(CONCORDANCE)] if parts else pd.DataFrame(columns=list(CONCORDANCE))


def _row(visit: pd.Series, counts: pd.DataFrame, assay_cv: float) -> dict[str, object]:
    row = {"patient_id": visit["patient_id"], "day": visit["day"], "cytof": visit["value"],
           "cytof_unit": visit["unit"], "copies": visit["value_copies"], "ratio": np.nan, "ratio_low": np.nan,
           "ratio_high": np.nan, "reason": ""}  # fmt: skip
    n, total = counts.loc[(visit["patient_id"], visit["day"])].to_numpy(float).reshape(-1, 2)[0]
    low, high = (float(x) for x in clopper_pearson(n, total))
    assay = float(np.sqrt(np.log1p(assay_cv**2)))
    if visit["below_limit"] or visit["below_limit_copies"]:
        names = {"below_limit": "CyTOF", "below_limit_copies": "transgene"}
        row["reason"] = " and ".join(name for flag, name in names.items() if visit[flag]) + " below the limit"
        scale = visit["value"] / n * total if n > 0 else 0.0
        return row | _bounds(visit, low * scale, high * scale, float(np.exp(1.96 * assay)))
    wide = 1.96 * np.hypot(np.log(high / low) / 3.92, assay)
    ratio = visit["value"] / visit["value_copies"]
    return row | {"ratio": ratio, "ratio_low": ratio * np.exp(-wide), "ratio_high": ratio * np.exp(wide)}


def _bounds(visit: pd.Series, low: float, high: float, wide: float) -> dict[str, object]:
    """Return between what the ratio lies where one of the two is only known to lie below its limit."""
    limit, limit_copies = float(visit["limit"]), float(visit["limit_copies"])
    if visit["below_limit"] and visit["below_limit_copies"]:
        return {}
    if visit["below_limit"]:
        return {"ratio_low": 0.0, "ratio_high": max(limit, high) / visit["value_copies"] * wide} if limit > 0 else {}
    return {"ratio_low": low / limit_copies / wide, "ratio_high": np.inf} if limit_copies > 0 else {}


def _against_others(own: pd.DataFrame, fold: float) -> pd.DataFrame:
    own = own.sort_values("day", kind="stable").reset_index(drop=True)
    ratio = own["ratio"].to_numpy(float)
    others = [np.delete(ratio, i)[~np.isnan(np.delete(ratio, i))] for i in range(len(ratio))]
    typical = np.array([np.median(o) if len(o) else np.nan for o in others])
    own["relative"] = ratio / typical
    far_up = own["ratio_low"] > fold * typical
    far_down = own["ratio_high"] < typical / fold
    own["discordant"] = (far_up | far_down).to_numpy(bool)
    alone = np.isnan(typical) & ~np.isnan(ratio)
    own["reason"] = np.where(alone, "no other visit to set it against", own["reason"])
    for i in np.flatnonzero(own["discordant"]):
        own.loc[i, "reason"] = _far(own.loc[i], float(typical[i]))
    return own


def _far(row: pd.Series, typical: float) -> str:
    if np.isfinite(row["relative"]):
        return f"{row['relative']:.2g} times the ratio of the other visits"
    most = np.isfinite(row["ratio_high"])
    bound = row["ratio_high"] if most else row["ratio_low"]
    return f"{row['reason']}: at {'most' if most else 'least'} {bound / typical:.2g} times the other visits"
