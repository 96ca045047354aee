"""What is drawn for the synthetic cohort: laboratory values, transgene copies, residual disease, adverse events."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["adverse_events", "labs", "mrd", "transgene"]

_DAYS = (0, 7, 14, 28, 60, 90, 120, 150, 180)
_LABS = {  # unit, normal range, course relative to day 180
    "WBC": ("10^9/L", 4.0, 10.0, (0.95, 0.45, 0.5, 0.6, 0.75, 0.85, 0.9, 0.95, 1)),
    "HGB": ("g/L", 120.0, 160.0, (0.8, 0.72, 0.7, 0.76, 0.85, 0.92, 0.96, 0.98, 1)),
    "PLAT": ("10^9/L", 125.0, 350.0, (0.8, 0.5, 0.35, 0.45, 0.7, 0.85, 0.92, 0.97, 1)),
    "AST": ("U/L", 0.0, 40.0, (1.0, 2.4, 1.7, 1.3, 1.1, 1.0, 1, 1, 1)),
    "ALT": ("U/L", 0.0, 50.0, (1.0, 2.2, 1.8, 1.4, 1.15, 1.05, 1, 1, 1)),
}
_LYMPH = ((0, 4, 7, 10, 14, 21, 28, 60, 90, 120, 150, 180),
          (0.12, 0.15, 0.3, 0.7, 1, 0.95, 0.9, 0.6, 0.5, 0.45, 0.42, 0.4))  # fmt: skip
LLOQ = 50.0
_OTHERS = (  # term, share of patients, share of grade >= 3, onset day, length
    ("Neutropenia", 0.80, 0.45, 4, 16), ("Thrombocytopenia", 0.62, 0.32, 7, 21), ("Anaemia", 0.58, 0.25, 5, 25),
    ("Infection", 0.45, 0.4, 120, 14),
)  # fmt: skip


def labs(half_year: pd.DataFrame, follow: pd.Series, outcome: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``USUBJID PARAMCD ADY AVISIT AVAL AVALU ANRLO ANRHI``; the values of day 181 are those given.

    Examples
    --------
    >>> given = pd.DataFrame({"USUBJID": ["a"], **{f"{k}180": [5.0] for k in _LABS}})
    >>> found = labs(given, pd.Series([400]), pd.Series(["Non-PD"]), np.random.default_rng(0))
    >>> found.query("PARAMCD == 'WBC' and ADY == 181")["AVAL"].tolist()
    [5.0]
    """
    rows = []
    for name, (unit, low, high, course) in _LABS.items():
        given = half_year[f"{name}180"].to_numpy(float)
        middle = float(np.nanmedian(given))
        for who, end, value in zip(half_year["USUBJID"], follow, given, strict=True):
            level = value if value == value else middle * np.exp(rng.normal(-0.2, 0.3))
            for day, share in zip(_DAYS, course, strict=True):
                seen = day + 1 <= end and (value == value if day == 180 else rng.random() >= 0.08)
                if seen:
                    of = level if day == 180 else level * share * np.exp(rng.normal(0, 0.12))
                    rows.append((who, name, day + 1, _visit(day), round(of, 2), unit, low, high))
    for who, end, group in zip(half_year["USUBJID"], follow, outcome, strict=True):
        peak = rng.lognormal(np.log(2.4 if group == "Non-PD" else 1.7), 0.5)
        for day, share in zip(*_LYMPH, strict=True):
            if day + 1 <= end:
                value = round(peak * share * np.exp(rng.normal(0, 0.2)), 2)
                rows.append((who, "LYMPH", day + 1, _visit(day), value, "10^9/L", 1.0, 4.0))
    names = ["USUBJID", "PARAMCD", "ADY", "AVISIT", "AVAL", "AVALU", "ANRLO", "ANRHI"]
    return pd.DataFrame(rows, columns=names).sort_values(["USUBJID", "PARAMCD", "ADY"], ignore_index=True)


def _visit(day: int) -> str:
    return "BASELINE" if day == 0 else f"DAY {day}"


def transgene(patients: pd.DataFrame, follow: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``USUBJID PARAMCD ADY AVAL AVALU LLOQ BLQFL``: copies rise to a peak, below the limit after T_last.

    The patient in remission with the longest T_last also has the CyTOF shares of the published case (CARTPCT).

    Examples
    --------
    >>> one = pd.DataFrame({"USUBJID": ["a"], "TLAST": [100.0], "OUTGRP": ["Non-PD"]})
    >>> found = transgene(one, pd.Series([900]), np.random.default_rng(0)).query("PARAMCD == 'CARDNA'")
    >>> int(found.loc[found["BLQFL"] == "N", "ADY"].max())
    100
    """
    rows: list[tuple] = []
    later = (60, 90, 180, 270, 365, 540, 730, 1095, 1460, 1825)
    for who, last, end in zip(patients["USUBJID"], patients["TLAST"].astype(float), follow, strict=True):
        if last != last:
            continue
        day_last = int(last)
        dense = day_last > 60 and rng.random() < 0.35
        first = (1, 3, 5, 7, 10, 12, 14, 17, 21, 28) if dense else (7, 14, 28)
        visits = {d for d in (*first, *later) if d < day_last} | {day_last}
        visits |= {d for d in (day_last + 35, day_last + 120) if d < end}
        top, at = rng.lognormal(np.log(2.5e4), 0.7), int(rng.integers(9, 17)) if day_last > 20 else max(3, day_last - 2)
        fall = np.log(top / (LLOQ * 1.3)) / max(1, day_last - at)
        for day in sorted(visits):
            value = _copies(day, at, top, fall) * np.exp(rng.normal(0, 0.12))
            below = day > day_last or (day < 3 and value < LLOQ)
            rows.append((who, "CARDNA", day, np.nan if below else round(max(value, LLOQ * 1.05), 1), "copies/ug gDNA",
                         LLOQ, "Y" if below else "N"))  # fmt: skip
    free = patients[patients["OUTGRP"] == "Non-PD"]
    if len(free) and free["TLAST"].notna().any():
        who = free.loc[free["TLAST"].astype(float).idxmax(), "USUBJID"]
        rows += [(who, "CARTPCT", d, v, "% of CD45+", np.nan, "N") for d, v in
                 ((60, 3.01), (365, 1.04), (1095, 0.49), (1825, 0.24))]  # fmt: skip
    return pd.DataFrame(rows, columns=["USUBJID", "PARAMCD", "ADY", "AVAL", "AVALU", "LLOQ", "BLQFL"])


def _copies(day: int, at: int, top: float, fall: float) -> float:
    if day < at:
        return top * np.exp(-(((day - at) / 4.0) ** 2) / 2)
    return top * (0.6 * np.exp(-fall * (day - at)) + 0.4 * np.exp(-max(fall, 0.06) * (day - at)))


def mrd(patients: pd.DataFrame, best_day: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``USUBJID ADY n_cells n_aberrant`` of the patients in complete response; negative under 30 events.

    Examples
    --------
    >>> one = pd.DataFrame({"USUBJID": ["a"], "CRFL": ["Y"], "MRDNEGFL": ["Y"]})
    >>> bool(mrd(one, pd.Series([90.0]), np.random.default_rng(0))["n_aberrant"].iloc[0] < 30)
    True
    """
    rows = []
    for who, cr, negative, day in zip(*(patients[c] for c in ("USUBJID", "CRFL", "MRDNEGFL")), best_day, strict=True):
        if cr == "Y":
            cells = int(rng.uniform(1.5e6, 3.2e6))
            few, many = int(rng.integers(0, 14)), int(cells * 10 ** rng.uniform(-3.9, -2.6))
            rows.append((who, int(day), cells, few if negative == "Y" else many))
    return pd.DataFrame(rows, columns=["USUBJID", "ADY", "n_cells", "n_aberrant"])


def adverse_events(patients: pd.DataFrame, follow: pd.Series, rng: np.random.Generator) -> pd.DataFrame:
    """Return ``USUBJID term grade start_day end_day``: CRS and ICANS of the patients flagged, others drawn.

    Examples
    --------
    >>> one = pd.DataFrame({"USUBJID": ["a"], "CRSFL": ["Y"], "CRSDUR": [31.0], "ICANSFL": ["N"]})
    >>> found = adverse_events(one, pd.Series([900]), np.random.default_rng(0)).iloc[0]
    >>> found["term"], int(found["end_day"] - found["start_day"] + 1)
    ('CRS', 31)
    """
    rows: list[tuple] = []
    for who, crs, length, icans, end in zip(
        *(patients[c] for c in ("USUBJID", "CRSFL", "CRSDUR", "ICANSFL")), follow, strict=True
    ):
        start = int(rng.integers(2, 13))
        if crs == "Y":
            rows.append((who, "CRS", int(rng.choice([1, 2, 3], p=[0.5, 0.4, 0.1])), start, start + int(length) - 1))
        if icans == "Y":
            rows.append((who, "ICANS", 1, start + 1, start + 3))
        for term, share, severe, onset, lasting in _OTHERS:
            if rng.random() < share:
                first = int(np.clip(rng.lognormal(np.log(onset), 0.5), 1, end))
                last = first + int(rng.lognormal(np.log(lasting), 0.6))
                grade = 3 + int(rng.random() < 0.4) if rng.random() < severe else int(rng.integers(1, 3))
                rows.append((who, term, grade, first, last if last <= end else None))
    table = pd.DataFrame(rows, columns=["USUBJID", "term", "grade", "start_day", "end_day"])
    return table.astype({"end_day": "Int64"})
