"""What cannot be true in a patients' table: every fault at once, with patient, columns and both values."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from cytof._check import has_columns, nearest
from cytof.clinical._read import DATES, RESPONSES
from cytof.errors import Caution, InputError, raise_all

__all__ = ["check_patients", "level_variants", "patient_cautions", "refuse_patients"]

_NOT_BEFORE = (  # the first may not come before the second
    ("death_date", "infusion_date"), ("pd_date", "infusion_date"), ("first_response_date", "infusion_date"),
    ("best_response_date", "infusion_date"), ("last_assessment_date", "infusion_date"),
    ("last_alive_date", "infusion_date"), ("new_therapy_date", "infusion_date"), ("infusion_date", "apheresis_date"),
    ("best_response_date", "first_response_date"), ("death_date", "pd_date"), ("death_date", "first_response_date"),
    ("death_date", "best_response_date"), ("death_date", "last_assessment_date"), ("death_date", "last_alive_date"),
    ("death_date", "new_therapy_date"), ("pd_date", "first_response_date"), ("pd_date", "best_response_date"),
    ("last_alive_date", "death_date"), ("last_alive_date", "pd_date"), ("last_alive_date", "first_response_date"),
    ("last_alive_date", "last_assessment_date"), ("last_alive_date", "new_therapy_date"),
)  # fmt: skip
_WORDS = {c: c.removesuffix("_date").replace("_", " ") for c in DATES} | {"pd_date": "PD"}


def check_patients(patients: pd.DataFrame, cutoff: object = None, *, where: str = "patients") -> list[InputError]:
    """Return every fault of the table: each line names the patient, the columns and both values.

    Parameters
    ----------
    patients
        One row a patient, dates parsed (:func:`read_patients`).
    cutoff
        Data cut-off; no date may lie after it.
    where
        File name for the messages.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["P7"], "infusion_date": pd.to_datetime(["2017-05-02"]),
    ...     "death_date": pd.to_datetime(["2017-04-30"])})
    >>> print(check_patients(table)[0])
    patients:P7: death (2017-04-30) is before infusion (2017-05-02); correct `death_date` or `infusion_date`
    """
    has_columns(patients.columns, ["patient_id"], where=where, error=InputError)
    faults = _id_faults(patients, where)
    if "infusion_date" in patients:
        for i in patients.index[patients["infusion_date"].isna()]:
            faults.append(InputError("`infusion_date` is blank, expected the day of the first infusion",
                                     where=f"{where}:{patients['patient_id'][i]}"))  # fmt: skip
    faults += _order_faults(patients, where)
    if cutoff is not None:
        faults += _cutoff_faults(patients, pd.Timestamp(str(cutoff)), where)
    return faults + _response_faults(patients, where)


def refuse_patients(patients: pd.DataFrame, cutoff: object = None, *, where: str = "patients") -> None:
    """Raise all faults of :func:`check_patients` as one error, a line each."""
    raise_all(check_patients(patients, cutoff, where=where))


def _id_faults(patients: pd.DataFrame, where: str) -> list[InputError]:
    ids = patients["patient_id"]
    faults = [InputError("`patient_id` is blank", where=f"{where}:row {i + 2}") for i in patients.index[ids.isna()]]
    plain = ids.dropna().astype(str)
    for name in plain[plain.duplicated()].unique():
        rows = ", ".join(str(i + 2) for i in plain.index[plain == name])
        faults.append(InputError(f"found in rows {rows}, expected one row a patient", where=f"{where}:{name}",
                                 hint="remove the copy, or give the patients different ids"))  # fmt: skip
    folded = plain.drop_duplicates().str.strip().str.casefold()
    for name in folded[folded.duplicated()].unique():
        spelled = ", ".join(repr(v) for v in plain.drop_duplicates()[folded == name])
        faults.append(InputError(f"patient ids differ only in case or blanks: {spelled}", where=where,
                                 hint="write one patient one way"))  # fmt: skip
    return faults


def _order_faults(patients: pd.DataFrame, where: str) -> list[InputError]:
    faults = []
    for later, earlier in _NOT_BEFORE:
        if later not in patients or earlier not in patients or (later, earlier) == ("death_date", "last_alive_date"):
            continue
        for i in patients.index[patients[later] < patients[earlier]]:
            a, b = patients[later][i], patients[earlier][i]
            faults.append(InputError(
                f"{_WORDS[later]} ({a:%Y-%m-%d}) is before {_WORDS[earlier]} ({b:%Y-%m-%d})",
                where=f"{where}:{patients['patient_id'][i]}", hint=f"correct `{later}` or `{earlier}`"))  # fmt: skip
    if {"death_date", "last_alive_date"} <= set(patients):
        for i in patients.index[patients["last_alive_date"] > patients["death_date"]]:
            a, b = patients["last_alive_date"][i], patients["death_date"][i]
            faults.append(InputError(
                f"last alive ({a:%Y-%m-%d}) is after death ({b:%Y-%m-%d})",
                where=f"{where}:{patients['patient_id'][i]}", hint="correct `last_alive_date` or `death_date`",
            ))  # fmt: skip
    return faults


def _cutoff_faults(patients: pd.DataFrame, cutoff: pd.Timestamp, where: str) -> list[InputError]:
    return [
        InputError(f"{_WORDS[c]} ({patients[c][i]:%Y-%m-%d}) is after the data cut-off ({cutoff:%Y-%m-%d})",
                   where=f"{where}:{patients['patient_id'][i]}", hint=f"correct `{c}` or the cut-off")
        for c in DATES if c in patients for i in patients.index[patients[c] > cutoff]
    ]  # fmt: skip


def _response_faults(patients: pd.DataFrame, where: str) -> list[InputError]:
    if "best_response" not in patients:
        return []
    faults = []
    for i in patients.index[patients["best_response"].notna()]:
        value = str(patients["best_response"][i])
        at = f"{where}:{patients['patient_id'][i]}"
        if value not in RESPONSES:
            faults.append(InputError(f"best_response is {value!r}, expected one of {', '.join(RESPONSES)}", where=at,
                                     hint=nearest(value, RESPONSES)))  # fmt: skip
        elif "first_response_date" in patients:
            day = patients["first_response_date"][i]
            responded = value in RESPONSES[:4]
            if responded and day is pd.NaT:
                faults.append(InputError(f"best_response is {value}, but `first_response_date` is blank", where=at))
            if not responded and day is not pd.NaT:
                faults.append(InputError(f"best_response is {value}, but `first_response_date` is {day:%Y-%m-%d}",
                                         where=at))  # fmt: skip
    return faults


def level_variants(column: Iterable[object]) -> list[list[str]]:
    """Return levels that differ only in case or blanks, as groups.

    Examples
    --------
    >>> level_variants(["IgG", "igG ", "IgA"])
    [['IgG', 'igG ']]
    """
    groups: dict[str, list[str]] = {}
    for value in dict.fromkeys(str(v) for v in column if v is not None and v == v):
        groups.setdefault(" ".join(value.split()).casefold(), []).append(value)
    return [g for g in groups.values() if len(g) > 1]


def patient_cautions(patients: pd.DataFrame, *, where: str = "patients") -> list[Caution]:
    """Return what is odd but can be used: variants of a level, unknown columns, dates that were filled in.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["P1", "P2"], "ig_type": ["IgG", "igg"]})
    >>> print(patient_cautions(table)[0])
    patients:ig_type: 'IgG', 'igg' differ only in case or blanks; counted as different levels, write them one way
    """
    found = []
    for column in patients.columns.difference(["patient_id", *DATES]):
        if not pd.api.types.is_numeric_dtype(patients[column]):
            for group in level_variants(patients[column]):
                named = ", ".join(map(repr, group))
                found.append(Caution(f"{where}:{column}", f"{named} differ only in case or blanks",
                                     "counted as different levels, write them one way"))  # fmt: skip
    for column in patients.columns.difference(["patient_id", *DATES]):
        known = patients[column].dropna()
        words = known[pd.to_numeric(known, errors="coerce").isna()]
        if 0 < len(words) < len(known) / 2:
            named = ", ".join(repr(w) for w in words.unique()[:3])
            found.append(Caution(f"{where}:{column}", f"{len(words)} of {len(known)} values are no numbers ({named})",
                                 "the column is read as text; leave them blank to have numbers"))  # fmt: skip
    for column, ids in patients.attrs.get("imputed", {}).items():
        share = len(ids) / max(int(patients[column].notna().sum()), 1)
        said = f"{len(ids)} dates had no day ({share:.0%})"
        done = "filled in; more than 10 %, say so in every caption" if share > 0.1 else "filled in"
        found.append(Caution(f"{where}:{column}", said, done))
    if {"death_date", "infusion_date"} <= set(patients):
        for i in patients.index[patients["death_date"] == patients["infusion_date"]]:
            found.append(Caution(f"{where}:{patients['patient_id'][i]}", "death on the day of infusion",
                                 "counted as an event of day 1"))  # fmt: skip
    return found
