"""Long-term safety: adverse events with onset and duration, infections per patient-year, second malignancies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.clinical._competing import Incidence, cumulative_incidence
from cytof.clinical._format import count_text, range_text
from cytof.clinical._rates import patient_years, rate
from cytof.errors import InputError

__all__ = ["adverse_events", "event_rates", "second_malignancies"]


def adverse_events(events: pd.DataFrame, n_patients: int, terms: Sequence[str] | None = None) -> pd.DataFrame:
    """Return adverse events by term: patients with any grade and grade 3 or more, onset, duration, unresolved.

    Parameters
    ----------
    events
        ``patient_id term grade start_day end_day``, a row an event; a blank grade counts for any grade only, a blank
        ``end_day`` is unresolved.
    n_patients
        All treated patients, the denominator.
    terms
        Order of the rows; by frequency when None.

    Returns
    -------
    ``term any_grade grade_3 n n_severe ci_low ci_high onset duration longest unresolved``; onset is each patient's
    first day, duration in days of every event that ended, both as median (range).

    Raises
    ------
    InputError
        An end before its start, or more patients than treated.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["a", "b"], "term": "CRS", "grade": [1, 3], "start_day": [2, 5],
    ...     "end_day": [9, None]})
    >>> adverse_events(table, 4)[["any_grade", "grade_3", "onset", "duration", "unresolved"]].values.tolist()
    [['2 (50.0)', '1 (25.0)', '3.5 (2-5)', '8 (8-8)', 1]]
    """
    has_columns(
        events.columns, ["patient_id", "term", "grade", "start_day", "end_day"], where="clinical.adverse_events"
    )
    wrong = events[events["end_day"] < events["start_day"]]
    if len(wrong):
        first = wrong.iloc[0]
        raise InputError(f"{first['term']} ends on day {first['end_day']:g}, before its start on day "
                         f"{first['start_day']:g}", where=f"adverse events:{first['patient_id']}")  # fmt: skip
    order = terms if terms is not None else (
        events.groupby("term")["patient_id"].nunique().sort_values(ascending=False, kind="stable").index)  # fmt: skip
    rows = []
    for term in order:
        of = events[events["term"] == term]
        n, severe = of["patient_id"].nunique(), of.loc[of["grade"] >= 3, "patient_id"].nunique()
        if n > n_patients:
            raise InputError(
                f"{n} patients had {term}, but only {n_patients} were treated", where="clinical.adverse_events"
            )
        found, days = rate(n, n_patients), (of["end_day"] - of["start_day"] + 1).dropna()
        longest = ", ".join(f"{d:g}" for d in sorted(days, reverse=True)[:3][::-1])
        any_grade, three = count_text(n, n_patients), count_text(severe, n_patients)
        rows.append((term, any_grade, three, n, severe, found.ci_low, found.ci_high,
                     range_text(of.groupby("patient_id")["start_day"].min()), range_text(days), longest,
                     int(of["end_day"].isna().sum())))  # fmt: skip
    return pd.DataFrame(rows, columns=["term", "any_grade", "grade_3", "n", "n_severe", "ci_low", "ci_high", "onset",
                                       "duration", "longest", "unresolved"])  # fmt: skip


def event_rates(counts: pd.Series, months: pd.Series, name: str = "infections") -> pd.DataFrame:
    """Return events per 100 patient-years with the exact interval: ``events patients years rate ci_low ci_high``.

    Parameters
    ----------
    counts
        Events of each patient.
    months
        Follow-up of each patient, months.

    Examples
    --------
    >>> event_rates(pd.Series([2, 0]), pd.Series([12.0, 36.0]))[["events", "years", "rate"]].values.tolist()
    [[2.0, 4.0, 50.0]]
    """
    found = patient_years(int(counts.sum()), float(months.sum() / 12))
    return pd.DataFrame([{"event": name, "patients": int((counts > 0).sum()), **found}])


def second_malignancies(endpoints: pd.DataFrame, patients: pd.DataFrame) -> Incidence:
    """Return the cumulative incidence of a second primary malignancy, with death without one competing.

    Parameters
    ----------
    endpoints
        Of :func:`endpoints` (its OS rows).
    patients
        ``patient_id spm_date``, blank: none.

    Examples
    --------
    >>> ends = pd.DataFrame({"patient_id": ["a", "b"], "PARAMCD": "OS", "AVAL": [24.0, 36.0], "event": [1, 0],
    ...     "STARTDT": pd.to_datetime(["2017-01-01"] * 2)})
    >>> who = pd.DataFrame({"patient_id": ["a", "b"], "spm_date": pd.to_datetime(["2018-01-01", None])})
    >>> second_malignancies(ends, who).at([24])[["cause", "incidence"]].values.tolist()
    [['second malignancy', 0.5]]
    """
    from cytof.clinical._endpoints import MONTH

    has_columns(patients.columns, ["patient_id", "spm_date"], where="clinical.second_malignancies")
    os = endpoints[endpoints["PARAMCD"] == "OS"].merge(patients[["patient_id", "spm_date"]], on="patient_id")
    had = os["spm_date"].notna()
    months = np.where(had, ((os["spm_date"] - os["STARTDT"]).dt.days + 1) / MONTH, os["AVAL"])
    cause = np.where(had, "second malignancy", np.where(os["event"] == 1, "death without it", "censored"))
    table = pd.DataFrame({"months": months, "cause": cause}).sort_values("cause", ascending=False, kind="stable")
    return cumulative_incidence(table, "months", "cause")
