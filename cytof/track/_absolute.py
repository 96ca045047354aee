"""Cells per microlitre, where the sheet has a blood count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.errors import InputError
from cytof.keys import Obs

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["BLOOD_COUNTS", "add_absolute", "blood_count"]

BLOOD_COUNTS = {
    "lymphocytes_per_ul": 1.0, "lymphocytes_1e9_per_l": 1000.0,
    "leukocytes_per_ul": 1.0, "leukocytes_1e9_per_l": 1000.0,
}  # fmt: skip
"""Columns of the sheet with a blood count, the first that is there counts; factors to cells per microlitre."""


def blood_count(adata: AnnData, sample_ids: list[str]) -> tuple[np.ndarray, str]:
    """Return cells per microlitre of each sample (NaN where blank) and what was counted, empty without a count.

    Raises
    ------
    InputError
        A count that is no number, or negative.
    """
    for column, factor in BLOOD_COUNTS.items():
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
        return numbers.reindex(sample_ids).to_numpy(float) * factor, column.split("_")[0]
    return np.full(len(sample_ids), np.nan), ""


def add_absolute(table: pd.DataFrame, adata: AnnData) -> pd.DataFrame:
    """Add ``per_ul per_ul_low per_ul_high``: share and its interval x the blood count; the count's own error is not in.

    ``per_ul_of`` says what was multiplied, for instance ``share of CD45+ x lymphocytes``.
    """
    ids = table["sample_id"].tolist()
    number, what = blood_count(adata, ids)
    for column, share in (("per_ul", "fraction"), ("per_ul_low", "ci_low"), ("per_ul_high", "ci_high")):
        table[column] = table[share].to_numpy(float) * number
    words = "share of " + table["denominator"].astype(str) + f" x {what}"
    table["per_ul_of"] = words.where(table["per_ul"].notna(), "")
    return table
