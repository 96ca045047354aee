"""What a clinical run knows: patients, endpoints, long tables found beside them, and the groups curves are drawn by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cytof import clinical
from cytof.errors import Caution, InputError, raise_all

__all__ = ["BASELINE", "Cohort", "LONG", "OUTCOMES", "read_cohort"]

LONG = {
    "therapies": ("patient_id", "class", "drug", "evaluable", "response"),
    "labs": ("patient_id", "test", "day", "value", "unit", "low", "high"),
    "transgene": ("patient_id", "test", "day", "value", "unit", "limit", "below"),
    "mrd": ("patient_id", "n_cells", "n_aberrant"),
    "adverse_events": ("patient_id", "term", "grade", "start_day", "end_day"),
}
"""Long tables read from files of these names beside the patients' file, and the columns they must have."""

_NAMES = {
    "USUBJID": "patient_id", "CMCLAS": "class", "CMDECOD": "drug", "CMSTDT": "start_date", "CMEVALFL": "evaluable",
    "CMRESP": "response", "PARAMCD": "test", "ADY": "day", "AVAL": "value", "AVALU": "unit", "ANRLO": "low",
    "ANRHI": "high", "LLOQ": "limit", "BLQFL": "below", "NUCCELL": "n_cells", "ABPC": "n_aberrant",
}  # fmt: skip

BASELINE = {
    "AGE": "Age, years",
    "ECOG": "ECOG",
    "IGTYPE": "Type of myeloma",
    "ISS": "ISS stage",
    "DSSTAGE": "Durie-Salmon stage",
    "EMDFL": "Extramedullary disease",
    "HRCAFL": "High-risk cytogenetics",
    "B2MG": "beta2-microglobulin, mg/L",
    "YRSDX": "Years since diagnosis",
    "PRLINES": "Prior lines",
    "CARDOSE": "CAR T dose, 10^6/kg",
    "INFMODE": "Infusion",
    "PRECOND": "Preconditioning",
    "SITEGR": "Site",
}
"""ADSL names of baseline covariates and their labels."""

OUTCOMES = frozenset(
    "RESPFL CRFL MRDNEGFL OUTGRP BRLATE LTFUFL SPMFL SPMTYPE DTHSPMFL CRSFL CRSDUR ICANSFL TLAST IGRECFL LABFL "
    "CYTOKNFL best_response death_cause ig_evaluable spm_type T414 DEL17P GAIN1Q PRALKFL PRPIIMFL PRASCTFL "
    "STUDYID".split()
)
"""Columns that are no baseline covariates of Table 1."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """Patients (one row each), endpoints in ADTTE form, long tables by name, cautions in words.

    ``groups``: name -> (label, column, months at which it begins: column or None for groups known at time 0, landmark).
    """

    patients: pd.DataFrame
    endpoints: pd.DataFrame
    long: Mapping[str, pd.DataFrame]
    cautions: tuple[Caution, ...]
    rule: str
    cutoff: str
    groups: Mapping[str, tuple[str, str, str | None, float]] = field(default_factory=dict)

    def of(self, endpoint: str) -> pd.DataFrame:
        """Return the rows of an endpoint with the columns of the patients."""
        rows = self.endpoints[self.endpoints["PARAMCD"] == endpoint]
        return rows.drop(columns="USUBJID").merge(self.patients, on="patient_id", how="left")


def read_cohort(
    path: str | Path, *, rule: str = "FDA", cutoff: str | None = None, day_first: bool | None = None,
    impute: str | None = None,
) -> Cohort:  # fmt: skip
    """Read a patients' file and the long tables beside it, check everything, derive endpoints and groups.

    Parameters
    ----------
    path
        See :func:`cytof.clinical.read_patients`.
    rule, cutoff
        See :func:`cytof.clinical.endpoints`.
    day_first, impute
        See :func:`cytof.clinical.read_patients`.

    Raises
    ------
    InputError
        Every fault, at once.

    Examples
    --------
    >>> import tempfile
    >>> from cytof import datasets
    >>> len(read_cohort(datasets.cohort(tempfile.mkdtemp())).of("OS"))
    74
    """
    path = Path(path)
    patients = clinical.read_patients(path, day_first=day_first, impute=impute)
    told: list[Caution] = []
    if "best_response" not in patients:
        patients, told = _assessed(path.parent, patients, cutoff, day_first, impute)
    clinical.refuse_patients(patients, cutoff, where=path.name)
    long = {name: _long(path.parent, name, patients) for name in LONG}
    ends = clinical.endpoints(patients, rule, cutoff=cutoff)
    patients = _grouped(patients, ends)
    cautions = (*clinical.patient_cautions(patients, where=path.name), *told)
    last = cutoff or f"{patients['last_alive_date'].max():%Y-%m-%d}"
    return Cohort(patients, ends, {k: v for k, v in long.items() if v is not None}, cautions, rule, last,
                  _groups(patients))  # fmt: skip


def _assessed(
    folder: Path, patients: pd.DataFrame, cutoff: str | None, day_first: bool | None, impute: str | None
) -> tuple[pd.DataFrame, list[Caution]]:
    """Add response and PD from a file called ``assessments``, where there is one.

    Its columns: ``patient_id date`` and ``response``, or the values of :func:`cytof.clinical.paraprotein_responses`.
    """
    path = next((p for e in ("csv", "tsv", "xlsx") if (p := folder / f"assessments.{e}").is_file()), None)
    if path is None:
        return patients, []
    visits, faults = clinical.dates(clinical.rename_adam(clinical.read_table(path)), ["date"], day_first=day_first,
                                    impute=impute, where=path.name)  # fmt: skip
    raise_all(faults)
    if "response" not in visits and {"serum_m", "urine_m", "flc_difference"} & set(visits):
        visits = clinical.paraprotein_responses(visits)
    raise_all(clinical.check_assessments(visits, patients, cutoff, where=path.name))
    short = clinical.best_responses(visits, patients)
    given = [c for c in short.columns if c != "patient_id" and c in patients]
    return (patients.merge(short.drop(columns=given), on="patient_id", how="left"),
            clinical.missed_visits(visits, patients, where=path.name))  # fmt: skip


def _long(folder: Path, name: str, patients: pd.DataFrame) -> pd.DataFrame | None:
    path = next((p for e in ("csv", "tsv", "xlsx") if (p := folder / f"{name}.{e}").is_file()), None)
    if path is None:
        return None
    table = clinical.read_table(path)
    table = table.rename(columns={c: _NAMES.get(c.upper(), c) for c in table.columns})
    missing = [c for c in LONG[name] if c not in table]
    if missing:
        raise InputError(f"column `{missing[0]}` is missing, found {', '.join(table.columns)}", where=path.name,
                         hint=f"expected {', '.join(LONG[name])}")  # fmt: skip
    strangers = sorted(set(table["patient_id"].dropna()) - set(patients["patient_id"].astype(str)))
    if strangers:
        raise InputError(f"{len(strangers)} patients are not in the patients' file: {', '.join(strangers[:5])}",
                         where=path.name, hint="check the ids")  # fmt: skip
    for column in {"day", "value", "low", "high", "limit", "n_cells", "n_aberrant", "grade", "start_day", "end_day"}:
        if column in table:
            numbers = pd.to_numeric(table[column], errors="coerce")
            odd = table[numbers.isna() & table[column].notna()]
            if len(odd):
                raise InputError(
                    f"`{column}` is {odd[column].iloc[0]!r} for {odd['patient_id'].iloc[0]}, expected a number",
                    where=f"{path.name}:row {odd.index[0] + 2}",
                    hint="leave unknown values blank",
                )
            table[column] = numbers
    _one_unit(table, path.name)
    return table


def _one_unit(table: pd.DataFrame, where: str) -> None:
    if {"test", "unit"} <= set(table):
        for test, units in table.groupby("test")["unit"].unique().items():
            if len(units) > 1:
                raise InputError(f"{test} is given in {' and '.join(map(repr, sorted(map(str, units))))}", where=where,
                                 hint="one unit a test; give copies/ug and percentages different names")  # fmt: skip


def _grouped(patients: pd.DataFrame, ends: pd.DataFrame) -> pd.DataFrame:
    """Add the groups that follow from dates: outcome, response, complete response, its time, late best response."""
    out = patients.copy()
    for name in ("pd_date", "death_date"):
        if name not in out:
            out[name] = pd.NaT
    failed = out["pd_date"].notna() | out["death_date"].notna()
    out["outcome"] = np.where(failed, "PD/Death", "Non-PD")
    if "TLAST" in out:
        months = out["TLAST"].astype(float) / clinical.MONTH
        out["car"] = pd.Series(np.where(months >= 6, "detectable", "not detectable"), out.index).where(months.notna())
        out["car_months"] = months.where(months >= 6).clip(upper=6)
    if "best_response" not in out:
        return out
    best, at = out["best_response"], ends[ends["PARAMCD"] == "TTBR"].set_index("patient_id")["AVAL"]
    out["responder"] = np.where(best.isin(["sCR", "CR", "VGPR", "PR"]), "responder", "non-responder")
    out["complete"] = np.where(best.isin(["sCR", "CR"]), "CR", "non-CR")
    out["best_months"] = out["patient_id"].map(at)
    out["complete_months"] = out["best_months"].where(out["complete"] == "CR")
    negative = out["MRDNEGFL"].eq("Y") if "MRDNEGFL" in out else None
    if negative is not None:
        out["mrd"] = np.where(negative, "MRD negative", "others")
        out["mrd_months"] = out["best_months"].where(negative)
    late = out["best_months"] >= 3.3
    out["late_best"] = pd.Series(np.where(late, ">= 3.3 months", "< 3.3 months"), out.index).where(
        out["best_months"].notna()
    )
    return out


def _groups(patients: pd.DataFrame) -> dict[str, tuple[str, str, str | None, float]]:
    found: dict[str, tuple[str, str, str | None, float]] = {}
    for name, label, column, begins, at in (
        ("cr", "complete response", "complete", "complete_months", 6.0),
        ("mrd", "residual disease", "mrd", "mrd_months", 6.0),
        ("car", "transgene at six months", "car", "car_months", 6.0),
        ("late", "time to best response", "late_best", "best_months", 3.3),
    ):
        if column in patients and patients[column].nunique() > 1:
            found[name] = (label, column, begins, at)
    return found
