"""Response of each visit from the numbers behind it: paraprotein, free light chains, immunofixation, marrow."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.clinical._columns import event_flags
from cytof.errors import InputError

__all__ = ["MEASURABLE", "paraprotein_responses"]

_NUMBERS = ("serum_m", "urine_m", "flc_difference", "marrow_plasma")
_FLAGS = ("immunofixation_negative", "flc_ratio_normal", "plasmacytoma", "new_lesion")
MEASURABLE = {"serum_m": 5.0, "urine_m": 200.0, "flc_difference": 100.0}
"""Least baseline of a measurable disease: g/L, mg/24 h, mg/L."""
_RISE = {"serum_m": 5.0, "urine_m": 200.0, "flc_difference": 100.0}


def paraprotein_responses(visits: pd.DataFrame) -> pd.DataFrame:
    """Derive the IMWG response of each visit, with the rule that decided it.

    Parameters
    ----------
    visits
        ``patient_id date`` and any of ``serum_m`` (g/L), ``urine_m`` (mg/24 h), ``flc_difference`` (involved less
        uninvolved free light chain, mg/L), ``marrow_plasma`` (percent), ``immunofixation_negative``
        ``flc_ratio_normal`` ``plasmacytoma`` ``new_lesion`` (yes/no; missing: not done). The first visit of a
        patient is the baseline.

    Returns
    -------
    ``patient_id date response rule``, a row a visit after the baseline; ``NE`` where nothing measurable was measured.
    Light chains count only where neither serum nor urine is measurable. The responses are unconfirmed:
    :func:`best_responses` asks for two in a row.

    Raises
    ------
    UsageError
        A column is missing.
    InputError
        A value below 0 or that is no number, with the patient.

    Examples
    --------
    >>> visits = pd.DataFrame({"patient_id": "P1", "serum_m": [40.0, 18.0, 3.0, 12.0],
    ...     "date": pd.to_datetime(["2017-01-01", "2017-02-01", "2017-03-01", "2017-06-01"])})
    >>> paraprotein_responses(visits)["response"].tolist()
    ['PR', 'VGPR', 'PD']

    Notes
    -----
    ====  ===========================================================================================================
    sCR   CR, normal ratio of free light chains
    CR    immunofixation negative, less than 5 % plasma cells in the marrow, no plasmacytoma
    VGPR  serum at least 90 % lower and urine below 100 mg/24 h; light chains at least 90 % lower
    PR    serum at least 50 % lower, urine at least 90 % lower or below 200 mg/24 h; light chains at least 50 % lower
    MR    serum at least 25 % lower, and urine at least 50 % lower
    PD    25 % above the lowest value and by at least 5 g/L, 200 mg/24 h or 100 mg/L; or a new lesion
    ====  ===========================================================================================================

    Source: Kumar et al. 2016, Lancet Oncol 17:e328, table 4.
    """
    where = "clinical.paraprotein_responses"
    has_columns(visits.columns, ["patient_id", "date"], where=where)
    if not {"serum_m", "urine_m", "flc_difference"} & set(visits):
        has_columns(visits.columns, ["serum_m"], where=where, hint="or `urine_m`, or `flc_difference`")
    table = _checked(visits)
    rows = []
    for name, of in table.sort_values("date", kind="stable").groupby("patient_id", sort=True):
        course = of.to_dict("records")
        lowest = {c: course[0][c] for c in MEASURABLE}
        followed = _followed(course[0])
        for visit in course[1:]:
            rows.append((name, visit["date"], *_response(visit, course[0], lowest, followed)))
            lowest = {c: np.nanmin([lowest[c], visit[c]]) if visit[c] == visit[c] else lowest[c] for c in lowest}
    return pd.DataFrame(rows, columns=["patient_id", "date", "response", "rule"])


def _checked(visits: pd.DataFrame) -> pd.DataFrame:
    table = visits.copy()
    for column in _NUMBERS:
        table[column] = pd.to_numeric(table[column], errors="coerce") if column in table else np.nan
        if column in visits:
            bad = visits[(table[column].isna() & visits[column].notna()) | (table[column] < 0)]
            if len(bad):
                row = bad.iloc[0]
                raise InputError(f"`{column}` is {str(row[column])!r}, expected a number, 0 or more",
                                 where=f"visits:{row['patient_id']}")  # fmt: skip
    for column in _FLAGS:
        known = table[column].notna() if column in table else pd.Series(False, table.index)
        flags = event_flags(table[column], where=f"visits:{column}")[0] if known.any() else np.zeros(len(table), bool)
        table[column] = pd.Series(flags, table.index, dtype=object).where(known, None)
    return table


def _followed(baseline: dict) -> list[str]:
    """Return what is measurable at baseline; light chains only where nothing else is."""
    found = [c for c in ("serum_m", "urine_m") if baseline[c] >= MEASURABLE[c]]
    return found or [c for c in ("flc_difference",) if baseline[c] >= MEASURABLE[c]]


def _response(visit: dict, base: dict, lowest: dict, followed: list[str]) -> tuple[str, str]:
    if visit["new_lesion"] is True:
        return "PD", "a new lesion"
    for c in MEASURABLE if followed else ():
        rise = visit[c] - lowest[c]
        if c in followed and rise >= _RISE[c] and rise >= 0.25 * lowest[c]:
            return "PD", f"{c} {visit[c]:g}, lowest {lowest[c]:g}"
    marrow = visit["marrow_plasma"]
    if visit["immunofixation_negative"] is True and marrow < 5 and visit["plasmacytoma"] is not True:
        if visit["flc_ratio_normal"] is True:
            return "sCR", f"immunofixation negative, marrow {marrow:g} %, normal ratio"
        return "CR", f"immunofixation negative, marrow {marrow:g} %"
    missing = [c for c in followed if visit[c] != visit[c]]
    if not followed or missing:
        return "NE", f"{', '.join(missing)} not measured" if missing else "nothing measurable at baseline"
    fall = {c: 1 - visit[c] / base[c] + 1e-12 for c in followed}
    said = ", ".join(f"{c} {base[c]:g} to {visit[c]:g}" for c in followed)
    for name, share, urine_share, urine_below in (("VGPR", 0.9, 9.0, 100.0), ("PR", 0.5, 0.9, 200.0),
                                                  ("MR", 0.25, 0.5, 0.0)):  # fmt: skip
        reached = [fall[c] >= urine_share or visit[c] < urine_below if c == "urine_m" else fall[c] >= share
                   for c in followed]  # fmt: skip
        if all(reached) and not (name == "MR" and followed == ["flc_difference"]):
            return name, said
    return "SD", said
