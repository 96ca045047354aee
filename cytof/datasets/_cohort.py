"""The synthetic clinical cohort: 74 invented patients whose tables and curves are those of the published report."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd

from cytof._check import at_least, in_range
from cytof.datasets._cohort_courses import adverse_events, labs, mrd, transgene
from cytof.errors import ResourceError
from cytof.provenance import atomic

__all__ = ["CUTOFF", "cohort", "cohort_tables", "days"]

CUTOFF = "2022-11-30"
"""Data cut-off of the synthetic cohort."""

_DATES = ("TRTSDT", "RSPDT", "BRSPDT", "PDDT", "NTXSDT", "LSTASDT", "DTHDT", "LSTALVDT", "SPMDT", "IGRECDT")


def cohort(out: str | Path, *, n: int = 74, random_state: int = 0) -> Path:
    """Write the synthetic cohort as CSV files; no value was measured and no person stands behind it.

    The 74 patients carry, to the digits printed, the statistics of the five-year report of the LEGEND-2 trial: margins
    of Table 1, response and residual disease, PFS and OS with intervals, medians, T_last, later therapies, recovery.
    How variables go together beyond that is arbitrary: nothing clinical can be concluded.

    Parameters
    ----------
    out
        Folder; made when absent, files of the same names are replaced.
    n
        Patients. 74 is the calibrated cohort; other numbers draw from it with replacement, times stretched by a few
        per cent, to have a cohort of that size.
    random_state
        Seed of what is drawn: laboratory values, transgene copies, cell counts, adverse events (and the patients when
        ``n`` is not 74).

    Returns
    -------
    Path of ``patients.csv`` (ADSL names). Beside it ``therapies.csv``, ``labs.csv``, ``transgene.csv``, ``mrd.csv``,
    ``adverse_events.csv``, ``README.txt``.

    Raises
    ------
    UsageError
        A number or seed out of range.
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> cohort(tempfile.mkdtemp()).name
    'patients.csv'

    Source: doi 10.1186/s13045-024-01530-z (printed values only).
    """
    made, folder = cohort_tables(n=n, random_state=random_state), Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in made.items():
            with atomic(folder / f"{name}.csv") as part:
                table.to_csv(part, index=False, lineterminator="\n", date_format="%Y-%m-%d")
        with atomic(folder / "README.txt") as part:
            part.write_text(_README, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ResourceError(f"cannot be written: {error.strerror or error}", where=str(folder)) from None
    return folder / "patients.csv"


def cohort_tables(*, n: int = 74, random_state: int = 0) -> dict[str, pd.DataFrame]:
    """Return the tables of :func:`cohort` without writing them: name -> DataFrame, dates as ``YYYY-MM-DD`` text.

    Examples
    --------
    >>> tables = cohort_tables()
    >>> len(tables["patients"]), sorted(tables)[:3]
    (74, ['adverse_events', 'labs', 'mrd'])
    """
    in_range(n, 20, 5000, "n", where="datasets.cohort")
    at_least(random_state, 0, "random_state", where="datasets.cohort")
    patients, therapies = _read("cohort_patients.csv"), _read("cohort_therapies.csv")
    rng = np.random.default_rng([2211, random_state])
    if n != 74:
        patients, therapies = _drawn(patients, therapies, n, rng)
    half_year = patients[["USUBJID", *[c for c in patients if c.endswith("180")]]]
    patients = patients.drop(columns=half_year.columns[1:])
    follow = days(patients, "LSTALVDT")
    return {
        "patients": patients, "therapies": therapies, "labs": labs(half_year, follow, patients["OUTGRP"], rng),
        "transgene": transgene(patients, follow, rng), "mrd": mrd(patients, days(patients, "BRSPDT"), rng),
        "adverse_events": adverse_events(patients, follow, rng),
    }  # fmt: skip


def _read(name: str) -> pd.DataFrame:
    with (resources.files("cytof.datasets") / name).open("rb") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    for column in table.columns:
        numbers = pd.to_numeric(table[column].replace("", np.nan), errors="coerce")
        if numbers.notna().sum() == (table[column] != "").sum() and numbers.notna().any():
            table[column] = numbers
    return table


def days(patients: pd.DataFrame, column: str) -> pd.Series:
    """Return the study day of a date (the day of infusion is 1), NaN where blank.

    Examples
    --------
    >>> days(pd.DataFrame({"TRTSDT": ["2017-01-01"], "PDDT": ["2017-01-10"]}), "PDDT").tolist()
    [10]
    """
    start, day = (pd.to_datetime(patients[c].replace("", None)) for c in ("TRTSDT", column))
    return (day - start).dt.days + 1


def _drawn(
    patients: pd.DataFrame, therapies: pd.DataFrame, n: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ``n`` patients drawn with replacement, each one's times stretched by one factor about 1."""
    rows = rng.integers(0, len(patients), n)
    out = patients.iloc[rows].reset_index(drop=True)
    old, new = out["USUBJID"].copy(), [f"SYN-{i:04d}" for i in range(1, n + 1)]
    factor = np.exp(rng.normal(0, 0.04, n))
    start, cut = pd.to_datetime(out["TRTSDT"]), pd.Timestamp(CUTOFF)
    latest = (cut - start).dt.days.to_numpy()
    for column in _DATES[1:]:
        day = (pd.to_datetime(out[column].replace("", None)) - start).dt.days
        moved = start + pd.to_timedelta(np.minimum(np.rint(day * factor), latest), unit="D")
        out[column] = moved.dt.strftime("%Y-%m-%d").where(day.notna(), "")
    given = pd.DataFrame({"old": old, "new": new, "start": start, "factor": factor, "latest": latest})
    both = given.merge(therapies, left_on="old", right_on="USUBJID")
    day = (pd.to_datetime(both["CMSTDT"]) - both["start"]).dt.days
    moved = both["start"] + pd.to_timedelta(np.minimum(np.rint(day * both["factor"]), both["latest"]), unit="D")
    both = both.assign(USUBJID=both["new"], CMSTDT=moved.dt.strftime("%Y-%m-%d"))
    return out.assign(USUBJID=new), both[therapies.columns]


_README = """SYNTHETIC CAR T / multiple myeloma cohort. Not real patients: every row is invented.

Group margins and summary statistics agree with those printed in the open-access five-year report of the LEGEND-2
trial (doi 10.1186/s13045-024-01530-z); how variables go together beyond that is arbitrary. No clinical conclusion can
be drawn.

patients.csv        one row a patient, ADSL names; blank is missing, "Unknown" a printed category; cut-off 2022-11-30
therapies.csv       one row a later drug: class, drug, start, evaluable, response (one a patient, for each drug)
labs.csv            WBC, HGB, PLAT, AST, ALT, LYMPH from day 1 to 181
transgene.csv       CARDNA copies/ug (limit 50; blank value with BLQFL = Y is below it), CARTPCT of one patient by CyTOF
mrd.csv             nucleated and aberrant plasma cells of the patients in complete response
adverse_events.csv  term, grade, start and end day (blank: unresolved)

Try:  cytof clinical patients.csv
"""
