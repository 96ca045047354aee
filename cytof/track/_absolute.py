"""Cells per microlitre, where the sheet has a blood count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.errors import InputError
from cytof.keys import Obs
from cytof.track._cells import samples

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["BLOOD_COUNTS", "add_absolute", "blood_count"]

BLOOD_COUNTS = {
    "lymphocytes": {"lymphocytes_per_ul": 1.0, "lymphocytes_1e9_per_l": 1000.0},
    "leukocytes": {"leukocytes_per_ul": 1.0, "leukocytes_1e9_per_l": 1000.0},
}
"""Columns of the sheet with a blood count, by what was counted; factors to cells per microlitre."""

_LEUKOCYTES = ("cd45", "leukocytes", "live", "singlets", "cells", "root")


def blood_count(adata: AnnData, sample_ids: list[str], *, of: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Return cells per microlitre of each sample (NaN where blank) and what was counted (empty where blank).

    Parameters
    ----------
    adata
        Cells whose ``obs`` carries columns of :data:`BLOOD_COUNTS`.
    sample_ids
        Samples, each of shape (n_samples,) in the result.
    of
        Gate whose share is multiplied: of CD45+ (or live, or all) cells leukocytes are the right count, else
        lymphocytes. All samples of a patient have the same kind: that one, unless the other is filled in for more.

    Raises
    ------
    InputError
        A count that is no number, or negative.
    """
    leukocytes = of.rpartition("/")[2].casefold().rstrip("+") in _LEUKOCYTES
    order = ["leukocytes", "lymphocytes"] if leukocytes else ["lymphocytes", "leukocytes"]
    table = pd.DataFrame({kind: _filled(adata, BLOOD_COUNTS[kind]).reindex(sample_ids) for kind in order})
    patient = samples(adata).set_index(Obs.SAMPLE)[Obs.PATIENT].reindex(sample_ids).fillna("").to_numpy()
    filled = table.notna().groupby(patient).transform("sum")
    kinds = filled.idxmax(axis=1).to_numpy(str)  # the first of equals
    numbers = np.array([table[kind].iloc[i] for i, kind in enumerate(kinds)], float)
    return numbers, np.where(np.isnan(numbers), "", kinds)


def _filled(adata: AnnData, columns: dict[str, float]) -> pd.Series:
    """Return the count by sample, from the first column that is filled in for it."""
    found = pd.Series(dtype=float)
    for column, factor in columns.items():
        if column not in adata.obs:
            continue
        each = adata.obs[[Obs.SAMPLE, column]].drop_duplicates(Obs.SAMPLE).astype({Obs.SAMPLE: str})
        text = each.set_index(Obs.SAMPLE)[column].astype(object)
        text = text.where(text.notna(), "").astype(str).str.strip().str.replace(",", ".")
        numbers = pd.to_numeric(text.where(text != ""), errors="coerce").astype(float)
        bad = ((text != "") & numbers.isna()) | (numbers < 0)
        if bad.any():
            name = str(bad.index[bad.to_numpy()][0])
            raise InputError(
                f"{column} of sample `{name}` is `{text[name]}`, expected a number of at least 0",
                where="sample sheet",
                hint="write for instance 1250, or leave the cell empty",
            )
        numbers = numbers * factor
        found = numbers if found.empty else found.combine_first(numbers)
    return found


def add_absolute(table: pd.DataFrame, adata: AnnData) -> pd.DataFrame:
    """Add ``per_ul per_ul_low per_ul_high``: share and its interval x the blood count; the count's own error is not in.

    ``per_ul_of`` says what was multiplied, for instance ``share of CD45+ x leukocytes``.
    """
    of = str(table["denominator"].iloc[0]) if len(table) else ""
    number, what = blood_count(adata, table["sample_id"].tolist(), of=of)
    for column, share in (("per_ul", "fraction"), ("per_ul_low", "ci_low"), ("per_ul_high", "ci_high")):
        table[column] = table[share].to_numpy(float) * number
    words = "share of " + table["denominator"].astype(str) + " x " + pd.Series(what, index=table.index)
    table["per_ul_of"] = words.where(table["per_ul"].notna(), "")
    return table
