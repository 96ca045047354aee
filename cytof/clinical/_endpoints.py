"""Endpoints from dates: PFS, OS, DOR and the rest, each row with the rule that decided it.

====  ===============================================  ============================================================
rule  new therapy before PD; >= 2 missed visits         deaths without progression in the duration of response
====  ===============================================  ============================================================
FDA   censored at the last adequate assessment before   events
EMA   ignored: PD and death count whenever they come    events
IMWG  as FDA                                            censored at death, unless the death was due to myeloma
====  ===============================================  ============================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cytof._check import at_least, has_columns, one_of
from cytof.clinical._checks import refuse_patients
from cytof.clinical._read import DATES, dates, rename_adam
from cytof.errors import InputError, raise_all

__all__ = ["MONTH", "RULES", "endpoints", "rule_differences"]

RULES = ("FDA", "EMA", "IMWG")
MONTH = 30.4375
"""Days of a month."""

_NEEDED = ("patient_id", "infusion_date", "last_alive_date")
_MYELOMA = ("pd", "progressive disease", "progression", "relapse", "myeloma")


@dataclass(frozen=True)
class _Options:
    rule: str
    gap: float
    plus_one: bool
    start: str
    cutoff: pd.Timestamp


def endpoints(
    patients: pd.DataFrame, rule: str = "FDA", *, cutoff: object = None, visit_days: float = 91, plus_one: bool = True,
    start: str = "infusion_date", never: str = "exclude",
) -> pd.DataFrame:  # fmt: skip
    """Derive time-to-event endpoints from dates; one row a patient and endpoint, in ADTTE's form.

    Parameters
    ----------
    patients
        ``patient_id infusion_date last_alive_date`` and, where they happened, ``death_date death_cause pd_date
        first_response_date best_response best_response_date last_assessment_date assessment_before_pd_date
        new_therapy_date ig_evaluable ig_recovery_date``; ADSL's names are understood.
    rule
        ``FDA``, ``EMA`` or ``IMWG``: what censors (see the module).
    cutoff
        Data cut-off; the last date known to be alive when None.
    visit_days
        Days between planned assessments; a death or PD more than twice that after the last assessment follows at least
        two missed visits.
    plus_one
        Count the first day as day 1 (ADaM), so that ``months = (end - start + 1) / 30.4375``.
    start
        ``infusion_date``, or ``apheresis_date`` for intention to treat.
    never
        Never-responders in TTR and TTBR: ``exclude`` or ``censor`` at the end of PFS.

    Returns
    -------
    ``patient_id USUBJID PARAMCD STARTDT ADT ADY AVAL AVALU CNSR event EVNTDESC CENSRULE``. PARAMCD: PFS, OS, DOR,
    DORIMWG, TTP, TTR, TTBR, TTNT, EFS, OSPD (survival from PD), FUP (OS turned around, for reverse Kaplan-Meier), CRPD
    (PD with death competing), TTIG. ``CNSR`` is 1 for censored, ``event`` 1 for the event, ``AVAL`` in months,
    ``EVNTDESC`` what ended it, ``CENSRULE`` the rule that decided.

    Raises
    ------
    UsageError
        A column is missing.
    InputError
        Every date that cannot be true, at once.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["P1"], "infusion_date": ["2017-01-01"], "last_alive_date": ["2018-01-01"],
    ...     "last_assessment_date": ["2017-12-01"], "pd_date": ["2017-06-30"]})
    >>> endpoints(table).query("PARAMCD == 'PFS'")[["ADY", "event", "EVNTDESC"]].values.tolist()
    [[181, 1, 'PROGRESSION']]

    Source: FDA, Hematologic Malignancies endpoints guidance; EMA/CHMP/205/95; Kumar et al. 2016, Lancet Oncol 17:e328.
    """
    one_of(rule, RULES, "rule", where="clinical.endpoints")
    one_of(never, ("exclude", "censor"), "never", where="clinical.endpoints")
    at_least(visit_days, 1, "visit_days", where="clinical.endpoints")
    table = rename_adam(patients)
    has_columns(table.columns, [*_NEEDED, start], where="clinical.endpoints")
    table, faults = dates(table)
    raise_all(faults)
    refuse_patients(table, cutoff)
    end = pd.Timestamp(str(cutoff)) if cutoff is not None else table["last_alive_date"].max()
    how = _Options(rule, 2 * visit_days, plus_one, start, end)
    for name in (*DATES, "death_cause", "best_response", "ig_evaluable"):
        if name not in table:
            table[name] = pd.NaT if name in DATES else None
    rows = [row for p in table.to_dict("records") for row in _patient(p, how, never)]
    names = ["patient_id", "PARAMCD", "STARTDT", "ADT", "event", "EVNTDESC", "CENSRULE"]
    out = pd.DataFrame(rows, columns=names)
    out["ADY"] = (out["ADT"] - out["STARTDT"]).dt.days + int(plus_one)
    out["AVAL"], out["AVALU"], out["CNSR"], out["USUBJID"] = (
        out["ADY"] / MONTH,
        "MONTHS",
        1 - out["event"],
        out["patient_id"],
    )
    early = out[out["ADY"] < 0]
    if len(early):
        worst = early.iloc[0]
        ends, starts = f"{worst['ADT']:%Y-%m-%d}", f"{worst['STARTDT']:%Y-%m-%d}"
        raise InputError(f"{worst['PARAMCD']} ends {ends}, before its start {starts}",
                         where=f"patients:{worst['patient_id']}")  # fmt: skip
    return out[["patient_id", "USUBJID", "PARAMCD", "STARTDT", "ADT", "ADY", "AVAL", "AVALU", "CNSR", "event",
    "EVNTDESC",
                "CENSRULE"]]  # fmt: skip


def _patient(p: dict[str, Any], how: _Options, never: str) -> list[tuple]:
    day0, who = p[how.start], p["patient_id"]
    end, event, why, decided = _progression(p, how)
    dead = p["death_date"] is not pd.NaT and p["death_date"] <= how.cutoff
    alive = p["death_date"] if dead else min(p["last_alive_date"], how.cutoff)
    lost = (how.cutoff - alive).days > 183
    rows = [
        (who, "PFS", day0, end, event, why, decided),
        (who, "OS", day0, alive, int(dead), "DEATH" if dead else "LOST TO FOLLOW-UP" if lost else "ALIVE AT CUT-OFF",
         "death of any cause" if dead else "last known alive, not after the cut-off"),
        (who, "FUP", day0, alive, int(not dead), "REVERSE KM: CENSORED BY DEATH" if dead else "END OF FOLLOW-UP",
         "OS turned around"),
        _competing(who, day0, end, event, why, decided),
        (who, "TTP", day0, end, int(why == "PROGRESSION"),
         why if why != "DEATH" else "DEATH WITHOUT PD (CENSORED)", decided),
        *_next_treatment(p, how, day0, alive, dead),
        (who, "EFS", day0, *_event_free(p, end, event, why, decided)),
    ]  # fmt: skip
    rows += _responses(p, how, day0, (end, event, why, decided), never)
    if p["pd_date"] is not pd.NaT:
        rows.append((who, "OSPD", p["pd_date"], alive, int(dead), "SURVIVAL AFTER PD", "from documented PD"))
    if p["ig_recovery_date"] is not pd.NaT:
        rows.append((who, "TTIG", day0, p["ig_recovery_date"], 1, "NORMAL IG LEVELS", "first normal level"))
    elif str(p["ig_evaluable"]).upper() in ("Y", "YES", "TRUE", "1"):
        rows.append((who, "TTIG", day0, end, 0, "NO RECOVERY IN REMISSION", "end of PFS"))
    return rows


def _progression(p: dict[str, Any], how: _Options) -> tuple[pd.Timestamp, int, str, str]:
    """Return end, event, description and the deciding rule of progression-free survival."""
    day0, pd_date, death, therapy = p[how.start], p["pd_date"], p["death_date"], p["new_therapy_date"]
    seen = p["last_assessment_date"]
    happened = [(d, w) for d, w in ((pd_date, "PROGRESSION"), (death, "DEATH")) if d is not pd.NaT and d <= how.cutoff]
    first, why = min(happened, key=lambda e: e[0]) if happened else (pd.NaT, "")
    strict = how.rule != "EMA"
    if strict and therapy is not pd.NaT and (first is pd.NaT or therapy < first):
        known = [
            d for d in (seen, p["best_response_date"], p["first_response_date"]) if d is not pd.NaT and d <= therapy
        ]
        return max(known, default=day0), 0, "NEW THERAPY BEFORE PD", (
            f"{how.rule}: last adequate assessment before the new therapy of {therapy:%Y-%m-%d}")  # fmt: skip
    if first is not pd.NaT:
        before = [
            d for d in (seen, p["best_response_date"], p["first_response_date"], day0) if d is not pd.NaT and d <= first
        ]
        last = max(before)
        if strict and why == "DEATH" and (first - last).days > how.gap:
            late = f"{how.rule}: death {(first - last).days} days after the last assessment (more than {how.gap:g})"
            return last, 0, "LAST ASSESSMENT BEFORE >=2 MISSED", late
        seen_before = p["assessment_before_pd_date"]
        if strict and why == "PROGRESSION" and seen_before is not pd.NaT and (first - seen_before).days > how.gap:
            late = f"{how.rule}: PD {(first - seen_before).days} days after the assessment before it (more than "
            return seen_before, 0, "LAST ASSESSMENT BEFORE >=2 MISSED", f"{late}{how.gap:g})"
        return first, 1, why, f"{how.rule}: first of PD and death"
    if seen is pd.NaT:
        return day0, 0, "NO ASSESSMENT AFTER INFUSION", f"{how.rule}: censored on day 1"
    return min(seen, how.cutoff), 0, "LAST DISEASE ASSESSMENT", f"{how.rule}: last adequate assessment"


def _competing(who: str, day0: pd.Timestamp, end: pd.Timestamp, event: int, why: str, decided: str) -> tuple:
    said = {"PROGRESSION": "PROGRESSION", "DEATH": "DEATH WITHOUT PROGRESSION"}.get(why if event else "", "CENSORED")
    return (who, "CRPD", day0, end, event, said, decided)


def _next_treatment(
    p: dict[str, Any], how: _Options, day0: pd.Timestamp, alive: pd.Timestamp, dead: bool
) -> list[tuple]:
    therapy = p["new_therapy_date"]
    if therapy is not pd.NaT and therapy <= how.cutoff:
        return [(p["patient_id"], "TTNT", day0, therapy, 1, "NEW THERAPY", "start of the next therapy")]
    return [(p["patient_id"], "TTNT", day0, alive, int(dead), "DEATH" if dead else "NO NEW THERAPY",
             "death counts as the next therapy" if dead else "last known alive")]  # fmt: skip


def _event_free(p: dict[str, Any], end: pd.Timestamp, event: int, why: str, decided: str) -> tuple:
    therapy = p["new_therapy_date"]
    if why == "NEW THERAPY BEFORE PD":
        return therapy, 1, "NEW THERAPY", "new therapy counts as an event"
    return end, event, why, decided


def _responses(p: dict[str, Any], how: _Options, day0: pd.Timestamp, pfs: tuple, never: str) -> list[tuple]:
    who, first, best = p["patient_id"], p["first_response_date"], p["best_response_date"]
    end, event, why, decided = pfs
    if first is pd.NaT:
        if never == "exclude":
            return []
        return [
            (who, n, day0, end, 0, "NO RESPONSE", "never responders censored at the end of PFS")
            for n in ("TTR", "TTBR")
        ]
    rows = [(who, "TTR", day0, first, 1, "FIRST RESPONSE", "first PR or better"),
            *([(who, "TTBR", day0, best, 1, "BEST RESPONSE", "first time of the best response")] if best is not pd.NaT
            else [])]  # fmt: skip
    if end < first:
        end, event, why, decided = first, 0, why, f"{decided}; not before the response"
    cause = str(p["death_cause"] or "").strip().lower()
    due = why == "DEATH" and cause in _MYELOMA
    imwg = (
        int(event and (why == "PROGRESSION" or due)),
        why if why != "DEATH" or due else "DEATH WITHOUT PD (CENSORED)",
    )
    rows.append((who, "DORIMWG", first, end, *imwg, f"{decided}; IMWG: deaths not due to myeloma are censored"))
    own = imwg if how.rule == "IMWG" else (event, why)
    rows.append((who, "DOR", first, end, *own, decided))
    return rows


def rule_differences(
    patients: pd.DataFrame, rules: Sequence[str] = RULES, endpoint: Sequence[str] = ("PFS", "DOR"), **options: Any
) -> pd.DataFrame:
    """Return the patients for whom the rules give different rows, side by side.

    Returns
    -------
    ``patient_id PARAMCD`` and for each rule ``months_<rule> event_<rule> reason_<rule>``.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["P1"], "infusion_date": ["2017-01-01"], "last_alive_date": ["2018-01-01"],
    ...     "last_assessment_date": ["2017-05-01"], "new_therapy_date": ["2017-05-10"], "pd_date": ["2017-09-30"]})
    >>> rule_differences(table, ["FDA", "EMA"])[["reason_FDA", "reason_EMA"]].values.tolist()
    [['NEW THERAPY BEFORE PD', 'PROGRESSION']]
    """
    wide = None
    for rule in rules:
        of = endpoints(patients, rule, **options)
        of = of[of["PARAMCD"].isin(list(endpoint))].set_index(["patient_id", "PARAMCD"])[["AVAL", "event", "EVNTDESC"]]
        of.columns = [f"{name}_{rule}" for name in ("months", "event", "reason")]
        wide = of if wide is None else wide.join(of, how="outer")
    if wide is None:
        return pd.DataFrame()
    months = wide[[f"months_{r}" for r in rules]].nunique(axis=1) > 1
    events = wide[[f"event_{r}" for r in rules]].nunique(axis=1) > 1
    return wide[months | events].reset_index()
