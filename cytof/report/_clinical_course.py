"""Tables of what came after infusion: later therapies, persistence, residual disease, recovery, safety."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof import clinical, kinetics
from cytof.clinical import Sheet
from cytof.report._clinical_cohort import Cohort

__all__ = ["cell_kinetics", "mrd", "persistence", "printed", "recovery", "safety", "therapies"]


def printed(table: pd.DataFrame, p: str, *numbers: str) -> pd.DataFrame:
    """Return a table with p values and numbers as text, and each variable named once."""
    out = table.copy()
    out[p] = [clinical.p_text(v) if v == v else "" for v in table[p]]
    for name in numbers:
        out[name] = ["" if v != v else clinical.fixed(v, 2) for v in table[name]]
    if "variable" in out:
        out["variable"] = out["variable"].where(out["variable"] != out["variable"].shift(), "")
    return out


def therapies(cohort: Cohort) -> list[Sheet]:
    """Return Table 2: later therapies by class; empty where the cohort has no such data."""
    if "therapies" not in cohort.long:
        return []
    table = clinical.therapy_table(cohort.long["therapies"])
    return [
        Sheet(
            "table_2",
            "Table 2. Later therapies",
            table,
            ["A patient counts once in each class; classes overlap. Rates of evaluable patients with exact intervals."],
        )
    ]


def persistence(cohort: Cohort) -> list[Sheet]:
    """Return Table 3: last day with the transgene, by group; empty where the cohort has no such data."""
    if "TLAST" not in cohort.patients or "responder" not in cohort.patients:
        return []
    patients = cohort.patients.assign(good=np.where(
        cohort.patients["best_response"].isin(["sCR", "CR", "VGPR"]), "VGPR or better", "PR or worse"))  # fmt: skip
    table = clinical.persistence_table(patients, "TLAST", {
        "Best response": "good", "Time to best response": "late_best", "Outcome": "outcome"})  # fmt: skip
    shown = printed(table, "p", "mean", "sd", "median", "q1", "q3")
    return [Sheet("table_3", "Table 3. T_last, days", shown, [
        "Last day with the transgene detected. Rank-sum test, t approximation. Only patients who live can have a long "
        "T_last: the p is no test of an effect on survival; see the landmark analyses."])]  # fmt: skip


def recovery(cohort: Cohort) -> list[Sheet]:
    """Return recovery of immunoglobulins; empty where the cohort has no such data."""
    rows = cohort.of("TTIG")
    if not len(rows):
        return []
    done = rows.loc[rows["event"] == 1, "AVAL"]
    at = clinical.kaplan_meier(rows, "AVAL", "event").at((6, 12, 24, 36, 60))
    table = at.assign(
        **{
            "recovered, % (95 % CI)": [
                clinical.interval_text(1 - r.survival, 1 - r.ci_high, 1 - r.ci_low, scale=100) for r in at.itertuples()
            ]
        }
    )
    table = table[["time", "n_at_risk", "recovered, % (95 % CI)"]].rename(columns={"time": "months"})
    return [
        Sheet(
            "ig_recovery",
            "Recovery of immunoglobulins",
            table,
            [
                f"{len(done)} of {len(rows)} evaluable patients recovered, after a median of "
                f"{clinical.fixed(done.median())} months "
                f"({clinical.fixed(done.min())}-{clinical.fixed(done.max())})."
            ],
        )
    ]


def safety(cohort: Cohort) -> list[Sheet]:
    """Return adverse events, infections and second malignancies; empty where the cohort has no such data."""
    made, n = [], len(cohort.patients)
    if "adverse_events" in cohort.long:
        events = cohort.long["adverse_events"]
        table = clinical.adverse_events(events, n)
        table["95 % CI"] = [f"{100 * r.ci_low:.1f}-{100 * r.ci_high:.1f}" for r in table.itertuples()]
        shown = table[["term", "any_grade", "95 % CI", "grade_3", "onset", "duration", "longest", "unresolved"]]
        shown = shown.rename(
            columns={
                "any_grade": "any grade, n (%)",
                "grade_3": "grade >= 3, n (%)",
                "onset": "onset, day",
                "duration": "duration, days",
                "longest": "longest, days",
            }
        )
        infections = events[events["term"].astype(str).str.lower().str.startswith("infection")]
        notes = ["Onset and duration as median (range); exact intervals."]
        if len(infections):
            each = cohort.patients["patient_id"].map(infections["patient_id"].value_counts()).fillna(0)
            months = cohort.patients["patient_id"].map(cohort.of("OS").set_index("patient_id")["AVAL"])
            r = clinical.event_rates(each, months).iloc[0]
            notes.append(f"Infections: {r['events']:g} in {r['years']:.0f} patient-years, {r['rate']:.1f} "
                         f"({r['ci_low']:.1f}-{r['ci_high']:.1f}) per 100 patient-years.")  # fmt: skip
        made.append(Sheet("adverse_events", "Adverse events", shown, notes))
    if "spm_date" in cohort.patients and cohort.patients["spm_date"].notna().any():
        had = int(cohort.patients["spm_date"].notna().sum())
        found, share = clinical.second_malignancies(cohort.endpoints, cohort.patients), clinical.rate(had, n)
        at = found.at((12, 24, 36, 60))
        at = at[at["cause"] == "second malignancy"]
        table = pd.DataFrame({"months": at["time"], "at risk": at["n_at_risk"], "cumulative incidence, % (95 % CI)": [
            clinical.interval_text(r.incidence, r.ci_low, r.ci_high, scale=100) for r in at.itertuples()]})  # fmt: skip
        made.append(Sheet("second_malignancies", "Second primary malignancies", table, [
            f"{share.cite()}. Aalen-Johansen, death without one competing."]))  # fmt: skip
    return made


def mrd(cohort: Cohort) -> list[Sheet]:
    """Return calls of residual disease; empty where the cohort has no such data."""
    if "mrd" not in cohort.long:
        return []
    called = clinical.mrd_calls(cohort.long["mrd"])
    shown = called[["patient_id", "n_cells", "n_aberrant", "fraction", "limit", "lod", "upper", "call"]].copy()
    for name in ("fraction", "limit", "lod", "upper"):
        shown[name] = [f"{v:.1e}" for v in called[name]]
    for name in ("n_cells", "n_aberrant"):
        shown[name] = [f"{int(v)}" for v in called[name]]
    return [Sheet("mrd", "Residual disease by flow", shown, [
        "Positive from 30 events; limit: 30 of the sample's own cells, LOD: 20. upper: one-sided 95 % bound of the "
        "fraction. A sample that cannot reach 1e-4 is not assessable."])]  # fmt: skip


def cell_kinetics(cohort: Cohort) -> list[Sheet]:
    """Return peak, last detection and areas of each course of the transgene; empty where there are none."""
    if "transgene" not in cohort.long:
        return []
    rows = cohort.long["transgene"].rename(columns={"test": "assay"})
    below = rows["below"].astype(str).str.upper().isin(["Y", "YES", "TRUE", "1"])
    found = kinetics.parameters(rows.assign(below_limit=below), model="mono")
    shown = found[["patient_id", "assay", "unit", "n", "tlast_status"]].copy()
    for name in ("cmax", "tmax", "tlast", "tlast_before", "auc_0_28"):
        shown[name] = ["" if v != v else f"{v:.4g}" for v in found[name]]
    shown["half_life (95 % CI)"] = [
        "" if r.half_life != r.half_life else f"{r.half_life:.3g} ({r.half_life_low:.3g}-{_limit(r.half_life_high)})"
        for r in found.itertuples()
    ]
    notes = [
        "Values below the limit count as 0 before the peak and are left out after it; T_last lies between tlast and "
        "tlast_before, days. Linear up, logarithmic down. Half-life of one exponential after the peak, days; values "
        "below the limit as censored."
    ]
    one = found[found["assay"] == found["assay"].value_counts().index[0]]
    for name, label in (
        ("cmax", "Cmax"),
        ("tmax", "Tmax, days"),
        ("tlast", "T_last, days"),
        ("auc_0_28", "AUC 0-28"),
        ("half_life", "half-life, days"),
    ):
        notes.append(f"{one['assay'].iloc[0]}: {label}, median [IQR] {clinical.median_text(one[name])}, n = "
                     f"{int(one[name].notna().sum())}.")  # fmt: skip
    return [Sheet("kinetics", "Kinetics of the transgene", shown, notes), *_last_detection(cohort, one)]


def _last_detection(cohort: Cohort, courses: pd.DataFrame) -> list[Sheet]:
    """Return T_last as what it is, a time between two samples: Turnbull's median by outcome."""
    known = courses[courses["tlast"].notna()].merge(cohort.patients[["patient_id", "outcome"]], on="patient_id")
    if not len(known):
        return []
    parts = []
    for by in (None, "outcome"):
        made = clinical.interval_censored(known, "tlast", "tlast_before", by)
        if by is None or len(made.n) > 1:
            parts.append(made.median())
    found = pd.concat(parts, ignore_index=True)
    table = found[["group", "n", "n_open"]].rename(columns={"n_open": "still detected at the last sample"})
    table["group"] = table["group"].replace("all", "All")
    table["median lies in, days"] = [f"{r.low:g}-{_reached(r.high)}" for r in found.itertuples()]
    table["95 % CI"] = [f"{r.ci_low:g}-{_reached(r.ci_high)}" for r in found.itertuples()]
    found_not = courses.loc[courses["tlast"].isna(), "tlast_status"].value_counts()
    lost = "".join(
        f" {found_not[word]} {word}, left out." for word in ("never detected", "no sample") if word in found_not
    )
    return [Sheet("t_last_intervals", "T_last between two samples", table, [
        "Turnbull's estimate: T_last lies between the last sample with the transgene and the next without it, and is "
        f"open where no sample followed. Limits: percentiles of 200 resamples.{lost}"])]  # fmt: skip


def _reached(value: float) -> str:
    return "NR" if np.isinf(value) else f"{value:g}"


def _limit(value: float) -> str:
    return "no decline" if np.isinf(value) else f"{value:.3g}"
