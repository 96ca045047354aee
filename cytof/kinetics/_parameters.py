"""Courses -> one row a patient and assay."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof.kinetics._area import area, quantified_course
from cytof.kinetics._course import checked
from cytof.kinetics._half_life import half_life

__all__ = ["PARAMETERS", "parameters"]

PARAMETERS = (
    "patient_id", "assay", "unit", "n", "n_quantified", "cmax", "tmax", "tlast", "tlast_before", "tlast_status",
    "auc_0_28", "auc_0_last", "auc_reason", "half_life", "half_life_low", "half_life_high", "half_life_of",
    "half_life_model", "half_life_method", "half_life_n", "half_life_n_quantified", "half_life_reason", "censored_from",
    "note",
)  # fmt: skip
"""Columns of :func:`parameters`."""

VISIT_WINDOW = 7.0
"""Days by which the visit of day 28 may come late: a sample below the limit up to then closes the area to day 28."""


def parameters(courses: pd.DataFrame, *, level: float = 0.95, model: str = "auto") -> pd.DataFrame:
    """Return peak, last detection, areas and terminal half-life of each course.

    Parameters
    ----------
    courses
        Columns ``patient_id day assay value unit limit below_limit``; optional ``detected after_reinfusion note``
        (see :func:`cytof.kinetics.checked`). ``day``: since the infusion.
    level
        Coverage of the half-life's limits.
    model
        ``auto``, ``mono`` or ``bi``, see :func:`cytof.kinetics.half_life`.

    Returns
    -------
    DataFrame, columns :data:`PARAMETERS`, one row a patient and assay. ``cmax tmax``: largest quantified value and its
    (first) day. The last detection lies between ``tlast`` (last day detected) and ``tlast_before`` (first day after it
    without detection); ``tlast_status`` is ``interval``, ``right censored`` (no later sample; ``tlast_before`` NaN),
    ``never detected`` or ``no sample``. ``auc_0_28 auc_0_last``: value x days, linear up, logarithmic down; below the
    limit counts 0 before the peak and is left out after it; where a course was seen below the limit by day 28 (or
    within the week after it) and stayed there, both areas are equal; ``auc_reason`` tells that, or why there is none,
    and then the least it can be. ``half_life*``: days; ``half_life_of`` is ``share`` (unit ``%`` or ``fraction``),
    ``absolute`` (cells per volume) or ``per DNA``. Samples ``after_reinfusion`` are left out, and ``censored_from`` is
    the first such day; samples before day 0 are no part of the course: ``note`` counts them, and repeats the notes of
    the course.

    Raises
    ------
    UsageError, InputError
        See :func:`cytof.kinetics.checked`.

    Examples
    --------
    >>> rows = {"patient_id": "P1", "day": [7, 14, 28, 60, 90], "assay": "transgene", "value": [5.0, 80, 40, 20, None],
    ...         "unit": "copies/ug", "limit": 10.0, "below_limit": [False] * 4 + [True]}
    >>> found = parameters(pd.DataFrame(rows)).iloc[0]
    >>> [float(x) for x in found[["cmax", "tmax", "tlast", "tlast_before"]]], found["half_life_reason"]
    ([80.0, 14.0, 60.0, 90.0], '2 quantified points after the peak (day 14), 3 needed')
    """
    table = checked(courses)
    rows = [_one(course, level, model) for _, course in table.groupby(["patient_id", "assay"], sort=True)]
    return pd.DataFrame(rows, columns=list(PARAMETERS))


def _one(course: pd.DataFrame, level: float, model: str) -> dict[str, object]:
    again = course["after_reinfusion"].to_numpy(bool)
    before = (course["day"] < 0).to_numpy(bool) & ~again
    kept = course[~again & ~before]
    day, value, limit = (kept[c].to_numpy(float) for c in ("day", "value", "limit"))
    below = kept["below_limit"].to_numpy(bool)
    first = course.iloc[0]
    found: dict[str, object] = {c: first[c] for c in ("patient_id", "assay", "unit")}
    found |= {"n": len(kept), "n_quantified": int((~below).sum())}
    found["censored_from"] = float(course.loc[again, "day"].min()) if again.any() else np.nan
    found["note"] = _note(course["day"].to_numpy(float)[before], kept["note"])
    top = int(np.argmax(np.where(below, -np.inf, value))) if (~below).any() else None
    found |= {"cmax": np.nan if top is None else value[top], "tmax": np.nan if top is None else day[top]}
    found |= _last(day, kept["detected"].to_numpy(bool)) | _areas(day, value, below)
    found |= _decline(half_life(day, value, below, limit, level=level, model=model), str(first["unit"]))
    return found if len(kept) else found | _no_sample(bool(again.any()), bool(before.any()))


def _note(before: np.ndarray, notes: pd.Series) -> str:
    said = []
    if len(before):
        word = "sample" if len(before) == 1 else "samples"
        days = ", ".join(f"{d:g}" for d in before)
        said.append(f"{len(before)} {word} before the infusion (day {days}), no part of the course")
    return "; ".join([*said, *dict.fromkeys(n for n in notes if n)])


def _no_sample(again: bool, before: bool) -> dict[str, object]:
    told = {"before the infusion": before, "after another CAR T product": again}
    where = [words for words, some in told.items() if some]
    reason = f"no sample of this course: all are {' or '.join(where)}"
    return {"tlast_status": "no sample", "auc_reason": reason, "half_life_reason": reason}


def _last(day: np.ndarray, detected: np.ndarray) -> dict[str, object]:
    if not detected.any():
        return {"tlast": np.nan, "tlast_before": np.nan, "tlast_status": "never detected"}
    last = float(day[detected].max())
    later = day[day > last]
    return {
        "tlast": last,
        "tlast_before": float(later.min()) if len(later) else np.nan,
        "tlast_status": "interval" if len(later) else "right censored",
    }


def _areas(day: np.ndarray, value: np.ndarray, below: np.ndarray) -> dict[str, object]:
    t, c = quantified_course(day, value, below)
    whole = area(t, c)
    if not len(t):
        return {"auc_0_28": np.nan, "auc_0_last": np.nan, "auc_reason": "no quantified point"}
    early, reason = area(t, c, end=28.0), ""
    if not ((day >= 0) & (day <= 28)).any():
        early, reason = np.nan, "no AUC 0-28: no sample between day 0 and day 28"
    elif np.isnan(early):
        early, reason = _until_28(float(t[-1]), day, whole)
    return {"auc_0_28": early, "auc_0_last": whole, "auc_reason": reason}


def _until_28(last: float, day: np.ndarray, whole: float) -> tuple[float, str]:
    """Return area to day 28, and how it was closed, of a course whose last quantified sample is before it."""
    later = day[day > last]
    if not len(later):
        return np.nan, f"no AUC 0-28: the last sample is of day {last:g}"
    if later.min() > 28 + VISIT_WINDOW:
        seen = f"nothing was seen between day {last:g} and day {later.min():g}"
        return np.nan, f"no AUC 0-28: {seen}; at least {whole:.4g} (to day {last:g})"
    return whole, f"below the limit after day {last:g}: counted as 0 until day 28"


def _decline(found: object, unit: str) -> dict[str, object]:
    names = {"days": "half_life", "low": "half_life_low", "high": "half_life_high"}
    names |= {n: f"half_life_{n}" for n in ("model", "method", "n", "n_quantified", "reason")}
    return {column: getattr(found, name) for name, column in names.items()} | {"half_life_of": _kind(unit)}


def _kind(unit: str) -> str:
    plain = unit.casefold()
    if "dna" in plain or "copies/" in plain:
        return "per DNA"
    if "%" in plain or plain in ("fraction", "share", "percent"):
        return "share"
    return "absolute" if "/" in plain or "per" in plain.split() else "as given"
