"""Everything that was measured of the CAR T cells over the days, on one axis, and what it amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof import kinetics
from cytof.errors import InputError
from cytof.keys import UNS, Obs
from cytof.track._absolute import blood_count
from cytof.track._cells import samples
from cytof.track._tubes import pooled_tubes

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["COURSES", "courses", "one_a_day", "persistence"]

COURSES = (*kinetics.COURSE, "detected", "after_reinfusion", "note")
"""Columns of :func:`courses`."""

TRANSGENE, TRANSGENE_LIMIT = "transgene_copies_per_ug", "transgene_limit"
"""Columns of the sheet with qPCR, and its limit of quantification."""


def courses(
    abundance: pd.DataFrame, adata: AnnData | None = None, *, infusions: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return the courses of a population: share, cells per microlitre, transgene copies, lymphocytes.

    Parameters
    ----------
    abundance
        Table of :func:`cytof.track.abundance`. Samples without a day and those `not evaluable` are left out: nothing is
        known of them.
    adata
        Cells whose ``obs`` carries the sheet's columns ``transgene_copies_per_ug`` (with ``transgene_limit``: values
        below it, or empty beside it, are below the limit) and a blood count (see :func:`cytof.track.abundance`).
    infusions
        Table of :func:`cytof.io.read_infusions`: samples on or after the day of another product are
        ``after_reinfusion``. None: ``uns["cytof"]["infusions"]``, where it is there.

    Returns
    -------
    DataFrame, columns :data:`COURSES`. ``limit`` of a share: the limit of quantification of that sample; a share is
    ``below_limit`` unless its call is `detected`, and ``detected`` also where it is `below LOQ`. A gate without blanks
    has no call: there a sample without a cell is below the limit, one cell. The limit of an absolute count is that of
    the share x the blood count, also where no cell was found. Replicate tubes of one day are counted together, and
    ``note`` says so.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": "P1", "day": [60.0, 365.0], "population": "CAR+", "denominator": "CD45+",
    ...     "n": [300, 2], "n_denominator": 10_000, "fraction": [0.03, 0.0002], "loq": 25.0, "false_expected": 0.0,
    ...     "call": ["detected", "not detected"], "per_ul": np.nan})
    >>> courses(table)[["day", "value", "limit", "below_limit"]].values.tolist()
    [[60.0, 3.0, 0.25, False], [365.0, 0.02, 0.25, True]]
    """
    if infusions is None and adata is not None:
        infusions = adata.uns.get(UNS, {}).get("infusions")
    table = one_a_day(abundance, adata)
    parts = [_shares(table, 100.0, "%", "CyTOF, share")]
    if table["per_ul"].notna().any():
        counted = table[table["per_ul"].notna()]
        parts.append(_shares(counted, counted["blood"].to_numpy(float), "cells/uL", "CyTOF, absolute"))
    if adata is not None:
        parts += [_one_value_a_day(_transgene(adata)), _one_value_a_day(_lymphocytes(adata))]
    found = pd.concat([p for p in parts if len(p)] or [parts[0]], ignore_index=True)
    found["after_reinfusion"] = _after(found, infusions)
    return found[list(COURSES)]


def persistence(
    abundance: pd.DataFrame, adata: AnnData | None = None, *, infusions: pd.DataFrame | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Return Cmax, Tmax, Tlast, areas and half-life of each course of :func:`courses`.

    Returns
    -------
    DataFrame, columns ``cytof.kinetics.PARAMETERS`` (see :func:`cytof.kinetics.parameters`): one row a patient and
    assay. ``half_life_of`` says whether the half-life is that of a share (other cells come and go as well) or absolute.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": "P1", "day": [60.0, 365.0], "population": "CAR+", "denominator": "CD45+",
    ...     "n": [300, 2], "n_denominator": 10_000, "fraction": [0.03, 0.0002], "loq": 25.0, "false_expected": 0.0,
    ...     "call": ["detected", "not detected"], "per_ul": np.nan})
    >>> persistence(table)[["tlast", "tlast_before", "half_life_of", "half_life_model"]].values.tolist()
    [[60.0, 365.0, 'share', 'not estimable']]
    """
    return kinetics.parameters(courses(abundance, adata, infusions=infusions), level=level)


def one_a_day(abundance: pd.DataFrame, adata: AnnData | None = None) -> pd.DataFrame:
    """Return the evaluable rows of a table of shares, tubes of one day counted together; ``blood``: cells per uL."""
    table = abundance[abundance["day"].notna() & (abundance["n_denominator"] > 0)]
    table = table[(table["call"] != "not evaluable") & table["fraction"].notna()].reset_index(drop=True)
    return pooled_tubes(_with_blood(table, adata))


def _with_blood(table: pd.DataFrame, adata: AnnData | None) -> pd.DataFrame:
    """Add the count a share was multiplied with: from the share; where it is 0 from its upper limit or the sheet.

    A table that tells neither gets the patient's largest count, so that the limit is not set too low, and a ``note``.
    """
    blood = (table["per_ul"] / table["fraction"].where(table["fraction"] > 0)).to_numpy(float)
    if {"per_ul_high", "ci_high"} <= set(table.columns):
        upper = (table["per_ul_high"] / table["ci_high"].where(table["ci_high"] > 0)).to_numpy(float)
        blood = np.where(np.isnan(blood), upper, blood)
    if adata is not None and "sample_id" in table:
        of = str(table["denominator"].iloc[0]) if len(table) else ""
        listed, _ = blood_count(adata, table["sample_id"].astype(str).tolist(), of=of)
        blood = np.where(np.isnan(blood), listed, blood)
    found = table.assign(blood=np.where(table["per_ul"].isna(), np.nan, blood), note="")
    largest = found.groupby("patient_id", sort=False)["blood"].transform("max")
    guessed = found["blood"].isna() & found["per_ul"].notna() & largest.notna()
    found.loc[guessed, "blood"] = largest[guessed]
    found.loc[guessed, "note"] = [
        f"blood count of day {day:g} is not known: the patient's largest taken" for day in found.loc[guessed, "day"]
    ]
    return found


def _one_value_a_day(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a patient, assay and day: tubes of one draw repeat its value, values that differ are averaged."""
    keys = ["patient_id", "assay", "day"]
    if not len(table) or not table.duplicated(keys).any():
        return table
    rows = []
    for _, own in table.groupby(keys, sort=False):
        row = own.iloc[0].copy()
        seen = own.loc[~own["below_limit"].astype(bool), "value"].unique()
        if len(seen):
            row["value"], row["below_limit"], row["detected"] = seen.mean(), False, True
        else:
            row["limit"] = own["limit"].max()
        if len(seen) > 1:
            row["note"] = f"mean of {len(seen)} values of day {row['day']:g}"
        rows.append(row)
    return pd.DataFrame(rows).astype(table.dtypes).reset_index(drop=True)


def _shares(table: pd.DataFrame, factor: float | np.ndarray, unit: str, what: str) -> pd.DataFrame:
    called = table["call"].astype(str)
    blind = called == ""
    least = np.where(blind, 1.0, table["loq"]) / table["n_denominator"]
    return pd.DataFrame({
        "patient_id": table["patient_id"],
        "day": table["day"],
        "assay": what + ", " + table["population"].astype(str) + " of " + table["denominator"].astype(str),
        "value": table["fraction"] * factor,
        "unit": unit if unit != "%" else "% of " + table["denominator"].astype(str),
        "limit": least * factor,
        "below_limit": np.where(blind, table["n"] == 0, called != "detected"),
        "detected": np.where(blind, table["n"] > 0, called.isin(["detected", "below LOQ"])),
        "note": table["note"],
    })  # fmt: skip


def _transgene(adata: AnnData) -> pd.DataFrame:
    if TRANSGENE not in adata.obs:
        return pd.DataFrame()
    wanted = [c for c in (TRANSGENE, TRANSGENE_LIMIT) if c in adata.obs]
    each = adata.obs[[Obs.SAMPLE, *wanted]].drop_duplicates(Obs.SAMPLE).astype({Obs.SAMPLE: str})
    table = samples(adata).merge(each.astype(object), on=Obs.SAMPLE, how="left")
    value = _numbers(table, TRANSGENE)
    limit = _numbers(table, TRANSGENE_LIMIT) if TRANSGENE_LIMIT in table else np.full(len(table), np.nan)
    below = np.where(np.isnan(value), np.isfinite(limit), value < np.where(np.isnan(limit), 0, limit))
    below |= value == 0
    found = pd.DataFrame({"patient_id": table[Obs.PATIENT], "day": table[Obs.DAY], "assay": "transgene",
                          "value": value,
                          "unit": "copies/ug DNA", "limit": limit,
                          "below_limit": below, "detected": ~below, "note": ""})  # fmt: skip
    return found[(np.isfinite(value) | below) & table[Obs.DAY].notna()]


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    text = table[column].astype(object).where(table[column].notna(), "").astype(str).str.strip().str.replace(",", ".")
    numbers = pd.to_numeric(text.where(text != ""), errors="coerce").astype(float)
    bad = (text != "") & numbers.isna()
    if bad.any():
        row = table[bad].iloc[0]
        raise InputError(
            f"{column} of sample `{row[Obs.SAMPLE]}` is `{row[column]}`, expected a number",
            where="sample sheet",
            hint=f"leave it empty and give `{TRANSGENE_LIMIT}` where it was below the limit",
        )
    return numbers.to_numpy(float)


def _lymphocytes(adata: AnnData) -> pd.DataFrame:
    table = samples(adata)
    number, what = blood_count(adata, table[Obs.SAMPLE].tolist())
    found = pd.DataFrame({"patient_id": table[Obs.PATIENT], "day": table[Obs.DAY], "assay": what, "value": number,
                          "unit": "cells/uL", "limit": np.nan, "below_limit": False, "detected": True,
                          "note": ""})  # fmt: skip
    return found[np.isfinite(number) & table[Obs.DAY].notna()]


def _after(table: pd.DataFrame, infusions: pd.DataFrame | None) -> pd.Series:
    if infusions is None or not infusions["another"].any():
        return pd.Series(False, index=table.index)
    first = infusions[infusions["another"]].groupby("patient_id")["day"].min()
    start = table["patient_id"].astype(str).map(first)
    return table["day"] >= start.where(start.notna(), np.inf)
