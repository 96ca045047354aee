"""The tables of a clinical run, ready to be written: response, survival, Tables 1-3, safety, the supplement."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pandas as pd

from cytof import clinical
from cytof.clinical import Sheet
from cytof.errors import InputError
from cytof.report._clinical_cohort import BASELINE, OUTCOMES, Cohort
from cytof.report._clinical_course import cell_kinetics, mrd, persistence, printed, recovery, safety, therapies

__all__ = ["clinical_tables", "covariates_of", "hazard_table", "landmarks"]

_SURVIVAL = {"PFS": "Progression-free survival", "OS": "Overall survival", "DOR": "Duration of response"}
_UNITS = "months = (end - start + 1 day) / 30.4375"


def clinical_tables(cohort: Cohort, covariates: Sequence[str] | None = None) -> list[Sheet]:
    """Return the tables of a cohort, those it has the columns for.

    Examples
    --------
    >>> import tempfile
    >>> from cytof import datasets
    >>> from cytof.report._clinical_cohort import read_cohort
    >>> made = clinical_tables(read_cohort(datasets.cohort(tempfile.mkdtemp())))
    >>> [s.name for s in made][:3]
    ['table_1', 'response', 'survival']
    """
    made = [_table_one(cohort, covariates), *_response(cohort), _survival(cohort), *_by_groups(cohort)]
    made += [
        *therapies(cohort),
        *persistence(cohort),
        *cell_kinetics(cohort),
        *recovery(cohort),
        *safety(cohort),
        *mrd(cohort),
    ]
    return [*made, *_hazards(cohort), *_long_responders(cohort), _audit(cohort)]


def covariates_of(cohort: Cohort, named: Sequence[str] | None = None) -> dict[str, str]:
    """Return baseline columns -> labels: those named, else known ADSL names, else all that can be described."""
    if named:
        return {c: BASELINE.get(c, c) for c in named}
    known = {c: label for c, label in BASELINE.items() if c in cohort.patients}
    made = {
        "outcome",
        "responder",
        "complete",
        "mrd",
        "late_best",
        "best_months",
        "complete_months",
        "mrd_months",
        "car",
        "car_months",
    }
    others = [
        c
        for c in cohort.patients.columns
        if c not in OUTCOMES | made | {"patient_id"} | set(known)
        and not pd.api.types.is_datetime64_any_dtype(cohort.patients[c])
        and (pd.api.types.is_numeric_dtype(cohort.patients[c]) or 1 < cohort.patients[c].nunique() <= 12)
    ]
    return known | {c: c for c in others}


def _table_one(cohort: Cohort, named: Sequence[str] | None) -> Sheet:
    columns, patients = covariates_of(cohort, named), cohort.patients
    lesions = [c for c in ("T414", "T1416", "T1420", "DEL17P", "GAIN1Q") if c in patients]
    if lesions:
        hits = clinical.lesion_hits(patients, lesions)
        patients = patients.assign(double_hit=hits["double_hit"], triple_hit=hits["triple_hit"])
        columns |= {"double_hit": "Double hit", "triple_hit": "Triple hit"}
    own = [c for c in ("HRCAFL", "double_hit", "triple_hit") if c in columns]
    counted = [c for c in columns if pd.api.types.is_integer_dtype(patients[c]) and patients[c].nunique() <= 4]
    table = clinical.table_one(patients, "outcome", columns, own_denominator=own, categorical=counted,
                               each_level=[c for c in ("IGTYPE",) if c in columns])  # fmt: skip
    shown = printed(table, "p", "smd")
    tests = int(table["p"].notna().sum())
    notes = [
        "n (%), mean (SD), median (range), median [IQR]; Unknown is printed and not tested. Categories: Pearson "
        "chi-squared where every expected count is at least 5, else Fisher's exact test; numbers: rank-sum test. "
        f"SMD: standardised mean difference. {tests} tests, not adjusted."
    ]
    categories = [c for c in columns if c not in ("double_hit", "triple_hit") and 1 < patients[c].nunique() <= 6]
    notes += [f"{columns[a]} fixes {columns[b]} in {share:.0%} of patients: their effects cannot be told apart."
              for a, b, share in clinical.same_partition(patients, categories)]  # fmt: skip
    return Sheet("table_1", "Table 1. Patients by outcome", shown, notes)


def _response(cohort: Cohort) -> list[Sheet]:
    patients = cohort.patients
    if "best_response" not in patients:
        return []
    best, n = patients["best_response"], len(patients)
    kinds = {
        "ORR (PR or better)": ["sCR", "CR", "VGPR", "PR"],
        "VGPR or better": ["sCR", "CR", "VGPR"],
        "CR": ["sCR", "CR"],
    }
    counts = {name: int(best.isin(of).sum()) for name, of in kinds.items()}
    if "mrd" in patients:
        counts["MRD negative"] = int((patients["mrd"] == "MRD negative").sum())
    evaluable = int((~best.isin(["NE"]) & best.notna()).sum())
    rows = []
    for name, k in counts.items():
        cells = []
        for of in (n, evaluable):
            found = clinical.rate(k, of)
            cells.append(clinical.interval_text(found.rate, found.ci_low, found.ci_high, scale=100))
        rows.append((name, k, *cells))
    table = pd.DataFrame(
        rows, columns=["response", "n", f"of {n} treated, % (95 % CI)", f"of {evaluable} evaluable, % (95 % CI)"]
    )
    return [Sheet("response", "Response", table, ["Exact (Clopper-Pearson) intervals."])]


def _survival(cohort: Cohort) -> Sheet:
    parts = []
    for name, label in _SURVIVAL.items():
        rows = cohort.of(name)
        if len(rows):
            parts.append(clinical.survival_table(rows, "AVAL", "event").assign(group=label))
    if "DORIMWG" in set(cohort.endpoints["PARAMCD"]):
        rows = cohort.of("DORIMWG")
        parts.append(
            clinical.survival_table(rows, "AVAL", "event").assign(group="Duration of response, other deaths censored")
        )
    follow = clinical.median_follow_up(cohort.of("OS"), "AVAL", "event").iloc[0]
    said = clinical.interval_text(follow["median"], follow["ci_low"], follow["ci_high"])
    return Sheet("survival", "Survival", pd.concat(parts, ignore_index=True).rename(columns={"group": "endpoint"}), [
        f"Kaplan-Meier, log-log intervals; NR not reached. {cohort.rule} censoring, cut-off {cohort.cutoff}, {_UNITS}.",
        f"Median follow-up {said} months (reverse Kaplan-Meier)."])  # fmt: skip


def landmarks(cohort: Cohort, endpoint: str, group: str) -> clinical.Landmark | None:
    """Return the landmark analysis of a group that is defined after time 0; None where nobody is followed so long."""
    _, column, begins, at = cohort.groups[group]
    rows = cohort.of(endpoint)
    rows = rows[rows[column].notna()]
    try:
        return clinical.landmark(rows, "AVAL", "event", at, begins, state="by then", by_then=group != "late")
    except InputError:
        return None


def _by_groups(cohort: Cohort) -> list[Sheet]:
    made = []
    for name, (label, column, _, at) in cohort.groups.items():
        parts, notes = [], [clinical.immortal_caption(label)]
        for endpoint, title in (("PFS", "PFS"), ("OS", "OS"), ("DORIMWG", "DOR")):
            rows = cohort.of(endpoint)
            if not len(rows) or rows[column].nunique() < 2 or (endpoint == "DORIMWG" and name == "cr"):
                continue
            naive = clinical.survival_table(rows, "AVAL", "event", by=column)
            parts.append(naive.assign(analysis=f"{title}, naive"))
            late = landmarks(cohort, endpoint, name) if endpoint != "DORIMWG" else None
            if late is not None and late.table["by then"].nunique() > 1:
                table = clinical.survival_table(late.table, "AVAL", "event", by="by then", times=(12, 24, 36, 48))
                table["group"] = [
                    f"{'reached' if g == 'yes' else 'not reached'} by {at:g} months" for g in table["group"]
                ]
                parts.append(table.assign(analysis=f"{title}, landmark {at:g} months"))
                notes.append(f"{title}: {late.caption}")
        if parts:
            table = pd.concat(parts, ignore_index=True).fillna("")
            table.insert(0, "analysis", table.pop("analysis"))
            made.append(Sheet(f"survival_by_{name}", f"Survival by {label}", table, notes))
    return made


@lru_cache(maxsize=4)  # the tables and the forest plots ask for the same
def hazard_table(cohort: Cohort, endpoint: str = "PFS") -> pd.DataFrame:
    """Return hazard ratios of each baseline covariate alone: ``covariate n events hr ci_low ci_high p p_ph``.

    Where a level has no event Firth's penalised estimate stands, and ``how`` says so.
    """
    rows, found = cohort.of(endpoint), []
    for column, label in covariates_of(cohort).items():
        values = rows[column]
        known = rows[values.notna() & ~values.astype(str).str.lower().isin(["unknown"])]
        few = not pd.api.types.is_numeric_dtype(values) and known[column].value_counts().min() < 3
        if known[column].nunique() < 2 or few:
            continue
        how = "Wald"
        try:
            model = clinical.cox(known, "AVAL", "event", column)
        except InputError:
            try:
                model, how = clinical.cox(known, "AVAL", "event", column, firth=True), "Firth"
            except InputError:
                continue
        if not model.events:
            continue
        ph = model.proportional()["p"].iloc[-1]
        for r in model.table.itertuples():
            name = r.covariate.replace(column, label, 1)
            found.append((name, model.n, model.events, r.hr, r.ci_low, r.ci_high, r.p, ph, how))
    return pd.DataFrame(found, columns=["covariate", "n", "events", "hr", "ci_low", "ci_high", "p", "p_ph", "how"])


def _hazards(cohort: Cohort) -> list[Sheet]:
    made = []
    for endpoint in ("PFS", "OS"):
        table = hazard_table(cohort, endpoint)
        if not len(table):
            continue
        shown = table[["covariate", "n", "events"]].copy()
        shown["HR (95 % CI)"] = [clinical.interval_text(r.hr, r.ci_low, r.ci_high, 2) for r in table.itertuples()]
        shown["p"] = [clinical.p_text(v) for v in table["p"]]
        shown["p, Holm"] = [clinical.p_text(v) for v in clinical.holm(table["p"])]
        shown["p, proportional hazards"] = ["" if v != v else clinical.p_text(v) for v in table["p_ph"]]
        shown["interval"] = table["how"]
        made.append(Sheet(f"hazard_ratios_{endpoint.lower()}", f"Hazard ratios, {_SURVIVAL[endpoint]}", shown, [
            "Each covariate alone: Cox model, Efron ties; Firth's penalty where a level has no event. Proportional "
            "hazards: Schoenfeld score test."]))  # fmt: skip
    return made


def _long_responders(cohort: Cohort) -> list[Sheet]:
    show = [c for c in ("best_response", "AGE", "ISS", "TLAST") if c in cohort.patients]
    table = clinical.long_responders(cohort.endpoints, cohort.patients, show=show)
    return [Sheet("long_responders", "Free of progression beyond 60 months", table.fillna(""))] if len(table) else []


def _audit(cohort: Cohort) -> Sheet:
    bare = cohort.patients[[c for c in cohort.patients if c not in ("USUBJID",)]]
    table = clinical.rule_differences(bare, cutoff=cohort.cutoff)
    for name in [c for c in table if c.startswith("months_")]:
        table[name] = [clinical.fixed(v) for v in table[name]]
    return Sheet(
        "rules_differ",
        "Patients for whom FDA, EMA and IMWG rules differ",
        table,
        [
            "EMA ignores new therapy and missed visits; IMWG censors deaths not due to myeloma in the duration of "
            "response."
        ],
    )
