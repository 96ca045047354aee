"""What cannot be true in a long table of response assessments, and which visits were missed."""

from __future__ import annotations

import pandas as pd

from cytof._check import has_columns, nearest
from cytof.clinical._read import RESPONSES
from cytof.errors import Caution, InputError

__all__ = ["check_assessments", "missed_visits"]


def check_assessments(
    assessments: pd.DataFrame, patients: pd.DataFrame, cutoff: object = None, *, where: str = "assessments"
) -> list[InputError]:
    """Return every fault of a long table of assessments: each line names the patient, the visit and both values.

    Refused: patients that are not in the patients' table, blank dates, unknown responses, a response before infusion,
    any visit after death or after the cut-off, two different responses of one day, and a response (MR or better)
    after PD while no new therapy was started.

    Parameters
    ----------
    assessments
        ``patient_id date response``, dates parsed.
    patients
        ``patient_id infusion_date`` and, where they happened, ``death_date new_therapy_date``.
    cutoff
        Data cut-off.
    where
        File name for the messages.

    Examples
    --------
    >>> visits = pd.DataFrame({"patient_id": "P1", "response": ["PD", "PR"],
    ...     "date": pd.to_datetime(["2017-06-01", "2017-08-01"])})
    >>> patients = pd.DataFrame({"patient_id": ["P1"], "infusion_date": pd.to_datetime(["2017-05-02"])})
    >>> print(check_assessments(visits, patients)[0])
    assessments:P1: PR of 2017-08-01 is after PD of 2017-06-01, and no new therapy was started between; correct a \
date, or give `new_therapy_date`
    """
    has_columns(assessments.columns, ["patient_id", "date", "response"], where=where, error=InputError)
    faults, known = [], patients.set_index("patient_id")
    end = None if cutoff is None else pd.Timestamp(str(cutoff))
    for name, of in assessments.sort_values("date", kind="stable").groupby("patient_id", sort=True):
        at = f"{where}:{name}"
        if name not in known.index:
            faults.append(InputError("the patient is not in the patients' table", where=at,
                                     hint=nearest(str(name), map(str, known.index))))  # fmt: skip
            continue
        who = known.loc[name]
        faults += [f for row in of.itertuples() for f in _visit_faults(row, who, end, at)]
        faults += _course_faults(of, who, at)
    return faults


def _date(who: pd.Series, column: str) -> pd.Timestamp | None:
    value = who.get(column)
    return None if value is None or pd.isna(value) else pd.Timestamp(value)


def _visit_faults(row, who: pd.Series, end: pd.Timestamp | None, at: str) -> list[InputError]:  # type: ignore[no-untyped-def]
    if pd.isna(row.date):
        return [InputError(f"`date` of the {row.response} is blank", where=at)]
    if row.response not in RESPONSES:
        said = f"response of {row.date:%Y-%m-%d} is {row.response!r}, expected one of {', '.join(RESPONSES)}"
        return [InputError(said, where=at, hint=nearest(str(row.response), RESPONSES))]
    said, infusion, death = (
        f"{row.response} of {row.date:%Y-%m-%d}",
        _date(who, "infusion_date"),
        _date(who, "death_date"),
    )
    if infusion is not None and row.date < infusion and row.response in RESPONSES[:5]:
        return [InputError(f"{said} is before infusion ({infusion:%Y-%m-%d})", where=at, hint="correct a date")]
    if death is not None and row.date > death:
        return [InputError(f"{said} is after death ({death:%Y-%m-%d})", where=at, hint="correct a date")]
    if end is not None and row.date > end:
        return [InputError(f"{said} is after the data cut-off ({end:%Y-%m-%d})", where=at,
                           hint="correct `date` or the cut-off")]  # fmt: skip
    return []


def _course_faults(of: pd.DataFrame, who: pd.Series, at: str) -> list[InputError]:
    faults = []
    for day, same in of.dropna(subset="date").groupby("date"):
        if same["response"].nunique() > 1:
            faults.append(InputError(f"two responses of {day:%Y-%m-%d}: {', '.join(same['response'])}", where=at,
                                     hint="keep one"))  # fmt: skip
    bad = of[(of["response"] == "PD") & of["date"].notna()]
    if len(bad):
        progressed, therapy = bad["date"].iloc[0], _date(who, "new_therapy_date")
        after = of[(of["date"] > progressed) & of["response"].isin(RESPONSES[:5])]
        after = after if therapy is None else after[after["date"] < therapy]
        pd_day, hint = f"{progressed:%Y-%m-%d}", "correct a date, or give `new_therapy_date`"
        for r in after.itertuples():
            said = f"{r.response} of {r.date:%Y-%m-%d} is after PD of {pd_day}, and no new therapy was started between"
            faults.append(InputError(said, where=at, hint=hint))
    return faults


def missed_visits(
    assessments: pd.DataFrame, patients: pd.DataFrame, *, visit_days: float = 91, where: str = "assessments"
) -> list[Caution]:
    """Return a caution for each gap of two or more missed visits between infusion and the last assessment.

    Examples
    --------
    >>> visits = pd.DataFrame({"patient_id": "P1", "response": "PR",
    ...     "date": pd.to_datetime(["2017-06-01", "2018-03-01"])})
    >>> patients = pd.DataFrame({"patient_id": ["P1"], "infusion_date": pd.to_datetime(["2017-05-02"])})
    >>> print(missed_visits(visits, patients)[0])
    assessments:P1: no assessment from 2017-06-01 to 2018-03-01 (273 days, more than two visits of 91); PD or death \
after such a gap is censored before it under FDA and IMWG rules
    """
    found, start = [], patients.set_index("patient_id")["infusion_date"]
    for name, of in assessments[assessments["response"] != "NE"].groupby("patient_id", sort=True):
        days = sorted({*of["date"].dropna(), *([start[name]] if name in start.index else [])})
        for a, b in zip(days, days[1:], strict=False):
            if (b - a).days > 2 * visit_days:
                gap = f"{(b - a).days} days, more than two visits of {visit_days:g}"
                done = "PD or death after such a gap is censored before it under FDA and IMWG rules"
                found.append(
                    Caution(f"{where}:{name}", f"no assessment from {a:%Y-%m-%d} to {b:%Y-%m-%d} ({gap})", done)
                )
    return found
