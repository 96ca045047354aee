"""The door of the clinical wing's report: a patients' file in; tables, figures and one page out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cytof import clinical as wing
from cytof.clinical import Sheet
from cytof.provenance import atomic
from cytof.report._clinical_chapter import add_chapter, course_sheet, read_course, study_chapter
from cytof.report._clinical_cohort import Cohort, read_cohort
from cytof.report._clinical_figures import clinical_figures
from cytof.report._clinical_tables import clinical_tables
from cytof.report._figures import Drawn
from cytof.report._html import Chapter, Item, figure_item, page, table_item

__all__ = ["clinical"]

_CHAPTERS = {
    "patients": ("Patients", ("table_1",), ("states", "swimmer")),
    "response": ("Response", ("response", "mrd"), ("response_to_state",)),
    "survival": ("Survival", ("survival",), ("km_pfs", "km_os", "km_dorimwg", "incidence")),
    "groups": ("Survival by response", ("survival_by_",), ("km_pfs_", "km_os_")),
    "covariates": ("Baseline covariates", ("hazard_ratios_",), ("forest_",)),
    "therapies": ("Later therapies", ("table_2", "long_responders"), ()),
    "persistence": ("Persistence of the transgene", ("table_3", "t_last_intervals", "kinetics", "course"), ()),
    "recovery": ("Recovery", ("ig_recovery",), ("labs_6_months", "lymphocytes")),
    "safety": ("Safety", ("adverse_events", "second_malignancies"), ()),
    "rules": ("Rules", ("rules_differ",), ()),
}


def clinical(
    patients: str | Path, out: str | Path, *, rule: str = "FDA", cutoff: str | None = None,
    covariates: Sequence[str] | None = None, day_first: bool | None = None, impute: str | None = None,
    study: str | Path | None = None,
) -> Path:  # fmt: skip
    """Write every table and figure of a cohort, and ``clinical.html``.

    Parameters
    ----------
    patients
        File with one row a patient (:func:`cytof.clinical.read_patients`); files called ``therapies``, ``labs``,
        ``transgene``, ``mrd``, ``adverse_events`` and (for responses by visit) ``assessments`` beside it are read too.
    out
        Folder.
    rule, cutoff
        See :func:`cytof.clinical.endpoints`.
    covariates
        Baseline columns of Table 1 and of the hazard ratios; chosen when None.
    day_first, impute
        How to read dates.
    study
        Results of a study (the folder ``cytof run`` wrote): its course of CAR T cells is joined by ``patient_id``, and
        its ``report.html`` gets a clinical chapter (a new run of the study writes the page without it).

    Returns
    -------
    Path of ``clinical.html``; beside it ``tables/``, ``figures/`` and ``endpoints.csv``.

    Raises
    ------
    InputError
        Every fault of the files, at once.
    ResourceError
        The folder cannot be written.
    """
    out = Path(out)
    course = None if study is None else read_course(study)
    cohort = read_cohort(patients, rule=rule, cutoff=cutoff, day_first=day_first, impute=impute)
    sheets = clinical_tables(cohort, covariates)
    if course is not None:
        sheets.append(course_sheet(cohort, course))
    wing.write_tables(sheets, out / "tables")
    with atomic(out / "endpoints.csv") as part:
        cohort.endpoints.to_csv(part, index=False, lineterminator="\n")
    drawn = clinical_figures(cohort, out / "figures")
    html = page(f"{Path(patients).stem}: clinical", _subtitle(cohort), _chapters(cohort, sheets, drawn),
                "Written by cytof. Tables and figures lie beside this file.")  # fmt: skip
    with atomic(out / "clinical.html") as part:
        part.write_text(html, encoding="utf-8", newline="\n")
    if study is not None:
        chapter = study_chapter(sheets, drawn, _answer(cohort), [str(c) for c in cohort.cautions])
        add_chapter(Path(study) / "report.html", chapter)
    return out / "clinical.html"


def _subtitle(cohort: Cohort) -> str:
    os, pfs = cohort.of("OS"), cohort.of("PFS")
    return (f"{len(cohort.patients)} patients, {int(pfs['event'].sum())} PFS events, {int(os['event'].sum())} deaths; "
            f"{cohort.rule} rules, cut-off {cohort.cutoff}")  # fmt: skip


def _chapters(cohort: Cohort, sheets: Sequence[Sheet], drawn: Sequence[Drawn]) -> list[Chapter]:
    left_sheets, left_drawn = list(sheets), list(drawn)
    made = [
        Chapter(
            "summary",
            "Summary",
            answer=_answer(cohort),
            worries=[str(c) for c in cohort.cautions],
            texts=[
                "Kaplan-Meier estimates with log-log intervals; medians with Brookmeyer-Crowley intervals; log-rank "
                "tests, by permutation where a group has fewer than 10 patients or there are fewer than 5 events; Cox "
                "models with Efron ties; exact binomial intervals. Groups known only after infusion are compared from "
                "a landmark on; naive curves are shown with their caption only."
            ],
        )
    ]
    for name, (title, tables, figures) in _CHAPTERS.items():
        mine = [d for d in left_drawn if _belongs(d.name, figures)]
        own = [s for s in left_sheets if _belongs(s.name, tables)]
        left_drawn = [d for d in left_drawn if d not in mine]
        left_sheets = [s for s in left_sheets if not any(s is o for o in own)]
        items: list[Item] = [figure_item(d) for d in mine]
        items += [
            table_item(s.title, s.table, folded=len(s.table) > 40 or s.name.startswith("survival_by")) for s in own
        ]
        if items:
            made.append(Chapter(name, title, items=items, texts=[n for s in own for n in s.notes]))
    return made


def _belongs(name: str, patterns: Sequence[str]) -> bool:
    return any(name.startswith(p) if p.endswith("_") else name == p for p in patterns)


def _answer(cohort: Cohort) -> str:
    said = []
    for endpoint, word in (("PFS", "free of progression"), ("OS", "alive")):
        rows = cohort.of(endpoint)
        km = wing.kaplan_meier(rows, "AVAL", "event")
        last = max((t for t in (12, 24, 36, 48, 60) if t <= rows["AVAL"].max()), default=0)
        if last:
            r, m = km.at(last).iloc[0], km.median().iloc[0]
            rate = wing.interval_text(r["survival"], r["ci_low"], r["ci_high"], scale=100)
            said.append(f"{rate} % were {word} at {last} months (median {wing.fixed(m['median'])} months)")
    follow = wing.median_follow_up(cohort.of("OS"), "AVAL", "event").iloc[0]
    return (
        f"{len(cohort.patients)} patients: {'; '.join(said)}. Median follow-up {wing.fixed(follow['median'])} months."
    )
