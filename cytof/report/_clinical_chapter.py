"""The clinical wing as a chapter of a study's report.html, with the course of its CAR T cells joined by patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cytof import clinical as wing
from cytof.clinical import Sheet
from cytof.errors import InputError
from cytof.provenance import atomic
from cytof.report._clinical_cohort import Cohort
from cytof.report._figures import Drawn
from cytof.report._html import Chapter, Item, figure_item, page, table_item

__all__ = ["add_chapter", "course_sheet", "read_course", "study_chapter"]

_FIGURES = ("km_pfs", "km_os", "km_pfs_car", "km_os_car", "states", "swimmer")
_TABLES = ("course", "table_1", "response", "survival", "survival_by_car", "table_3", "t_last_intervals")
_SECTION = '<section>\n<h2 id="{}">'


def read_course(results: str | Path) -> pd.DataFrame:
    """Return the abundance of CAR T cells by visit from the results of a study.

    Raises
    ------
    InputError
        The study has not been run.
    """
    path = Path(results) / "tables" / "abundance.csv"
    if not path.is_file():
        raise InputError("the study has no course of CAR T cells yet", where=str(path), hint="run `cytof run` first")
    return pd.read_csv(path, dtype={"patient_id": str})


def course_sheet(cohort: Cohort, course: pd.DataFrame) -> Sheet:
    """Return the CyTOF course of each patient beside response, state and T_last, joined by ``patient_id``.

    Raises
    ------
    InputError
        No patient of the study is in the patients' file.
    """
    ids, own = course["patient_id"].astype(str), cohort.patients["patient_id"].astype(str)
    known = course.assign(patient_id=ids)[ids.isin(own)]
    lost = sorted(set(ids) - set(own))
    if not len(known):
        raise InputError(f"no patient of the study ({', '.join(lost[:5])}) is in the patients' file, which has "
                         f"{', '.join(own[:3])} ...", where="patient_id",
                         hint="write each patient's id the same way in both")  # fmt: skip
    show = [c for c in ("best_response", "outcome", "TLAST") if c in cohort.patients]
    pfs = cohort.of("PFS").set_index("patient_id")["AVAL"].rename("PFS, months")
    columns = [c for c in ("patient_id", "timepoint", "day", "population", "n", "fraction") if c in known]
    table = known[columns].merge(cohort.patients.assign(patient_id=own)[["patient_id", *show]], on="patient_id")
    table["PFS, months"] = [wing.fixed(v) for v in table["patient_id"].map(pfs)]
    if "fraction" in table:
        table["fraction, %"] = [wing.fixed(100 * v, 3) for v in table.pop("fraction")]
    notes = ["CAR T cells of a visit can only be counted in patients who live to it: compare groups from a landmark."]
    notes += [f"Not among the patients: {', '.join(lost)}."] if lost else []
    return Sheet("course", "CAR T cells by mass cytometry", table.fillna(""), notes)


def study_chapter(sheets: Sequence[Sheet], drawn: Sequence[Drawn], answer: str, worries: Sequence[str]) -> Chapter:
    """Return what the study's report shows of a clinical run: the answer, the course, curves and main tables."""
    named, figures = {s.name: s for s in sheets}, {d.name: figure_item(d) for d in drawn if d.name in _FIGURES}
    own = [named[n] for n in _TABLES if n in named]
    tables: dict[str, Item] = {s.name: table_item(s.title, s.table, folded=len(s.table) > 20) for s in own}
    items = [tables.pop("course")] if "course" in tables else []
    items += [figures[n] for n in _FIGURES if n in figures] + list(tables.values())
    texts = [note for n in ("course", "survival", "t_last_intervals") if n in named for note in named[n].notes]
    texts.append("Every table and figure, and what each is made by: clinical/clinical.html beside this page.")
    return Chapter("clinical", "Clinical", items=items, answer=answer, worries=list(worries), texts=texts)


def add_chapter(report: str | Path, chapter: Chapter) -> Path | None:
    """Put a chapter into a report.html that is there, before the methods; one of the same name is replaced.

    The page stays one file that asks no server for anything: the chapter brings no style and no script of its own.

    Returns
    -------
    The path; None where there is no such page.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "report.html")
    >>> _ = path.write_text(page("S", "", [Chapter("methods", "Methods", texts=["How."])], ""), encoding="utf-8")
    >>> for text in ("One.", "Two."):
    ...     _ = add_chapter(path, Chapter("clinical", "Clinical", texts=[text]))
    >>> html = path.read_text("utf-8")
    >>> html.count('<h2 id="clinical">'), "One." in html, html.index("Two.") < html.index("How.")
    (1, False, True)
    """
    path = Path(report)
    if not path.is_file():
        return None
    html, link = path.read_text("utf-8"), f'<a href="#{chapter.id}">{chapter.title}</a>'
    made = page("", "", [chapter], "")
    section = made[made.index("<section>") : made.index("</main>")]
    old = re.compile(re.escape(_SECTION.format(chapter.id)) + r".*?</section>\n", re.DOTALL)
    html = old.sub("", html).replace(link, "")
    for before, new in ((_SECTION.format("methods"), section), ('<a href="#methods">', link)):
        place = html.find(before)
        end = html.index("</main>" if before.startswith("<section") else "</nav>")
        place = end if place < 0 else place
        html = html[:place] + new + html[place:]
    with atomic(path) as part:
        part.write_text(html, encoding="utf-8", newline="\n")
    return path
