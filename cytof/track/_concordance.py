"""CyTOF beside transgene copies: do both tell the same course."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.track._courses import courses
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
    other visits. ``discordant``: beyond ``fold`` with the whole interval. ``reason``: what is missing or far.

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
    counts = abundance.set_index(["patient_id", "day"])[["n", "n_denominator"]]
    rows = [_row(visit, counts, assay_cv) for _, visit in both.iterrows()]
    table = pd.DataFrame(rows, columns=[c for c in CONCORDANCE if c not in ("relative", "discordant")])
    parts = [_against_others(own, fold) for _, own in table.groupby("patient_id", sort=True)]
    return pd.concat(parts, ignore_index=True)[list(CONCORDANCE)] if parts else pd.DataFrame(columns=list(CONCORDANCE))


def _row(visit: pd.Series, counts: pd.DataFrame, assay_cv: float) -> dict[str, object]:
    row = {"patient_id": visit["patient_id"], "day": visit["day"], "cytof": visit["value"],
           "cytof_unit": visit["unit"], "copies": visit["value_copies"], "ratio": np.nan, "ratio_low": np.nan,
           "ratio_high": np.nan, "reason": ""}  # fmt: skip
    if visit["below_limit"] or visit["below_limit_copies"]:
        names = {"below_limit": "CyTOF", "below_limit_copies": "transgene"}
        row["reason"] = " and ".join(name for flag, name in names.items() if visit[flag]) + " below the limit"
        return row
    n, total = counts.loc[(visit["patient_id"], visit["day"])].to_numpy(float).reshape(-1, 2)[0]
    low, high = clopper_pearson(n, total)
    counting = np.log(float(high) / float(low)) / 3.92
    wide = 1.96 * np.hypot(counting, np.sqrt(np.log1p(assay_cv**2)))
    ratio = visit["value"] / visit["value_copies"]
    return row | {"ratio": ratio, "ratio_low": ratio * np.exp(-wide), "ratio_high": ratio * np.exp(wide)}


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
    own.loc[own["discordant"], "reason"] = [
        f"{r:.2g} times the ratio of the other visits" for r in own.loc[own["discordant"], "relative"]
    ]
    return own
