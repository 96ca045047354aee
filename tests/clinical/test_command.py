"""`cytof clinical`: everything it writes, the page, the refusal of bad files, the join with a study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from cytof import report
from cytof.cli import app
from cytof.errors import InputError


@pytest.fixture(scope="module")
def made(cohort_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, results = tmp_path_factory.mktemp("clinical"), tmp_path_factory.mktemp("results")
    (results / "tables").mkdir()
    course = pd.DataFrame(
        {
            "patient_id": ["SYN-001", "SYN-001", "X9"],
            "timepoint": ["2mo", "5yr", "2mo"],
            "day": [60, 1825, 60],
            "population": "CAR+",
            "n": [300, 20, 5],
            "fraction": [0.0301, 0.0024, 0.01],
        }
    )
    course.to_csv(results / "tables" / "abundance.csv", index=False)
    return report.clinical(cohort_file, out, cutoff="2022-11-30", study=results).parent


def test_everything_is_written(made: Path) -> None:
    tables = {p.name for p in (made / "tables").iterdir()}
    figures = {p.stem for p in (made / "figures").glob("*.png")}
    assert {
        "table_1.csv",
        "table_2.csv",
        "table_3.csv",
        "response.csv",
        "survival.csv",
        "survival_by_cr.csv",
        "kinetics.csv",
        "adverse_events.csv",
        "second_malignancies.csv",
        "mrd.csv",
        "ig_recovery.csv",
        "long_responders.csv",
        "hazard_ratios_pfs.csv",
        "rules_differ.csv",
        "course.csv",
        "tables.html",
        "tables.docx",
        "tables.xlsx",
    } <= tables
    assert {"km_pfs", "km_os", "km_pfs_cr", "km_pfs_cr_naive", "incidence", "states", "swimmer", "response_to_state",
            "forest_pfs", "labs_6_months", "lymphocytes"} <= figures  # fmt: skip
    assert all((made / "figures" / f"{f}.{e}").stat().st_size > 300 for f in figures for e in ("pdf", "csv"))
    survival = pd.read_csv(made / "tables" / "survival.csv", encoding="utf-8-sig").set_index("endpoint")
    assert survival.loc["Progression-free survival", "60 months, %"] == "21.0 (12.2-31.4)"
    assert survival.loc["Overall survival", "median (95 % CI)"].startswith("55.8 (")


def test_page_says_how_and_warns(made: Path) -> None:
    page = (made / "clinical.html").read_text("utf-8")
    assert "21.0 (12.2-31.4) % were free of progression at 60 months" in page
    assert "Median follow-up 65.4 months" in page
    assert "immortal time" in page
    assert "Landmark at 6" in page
    assert "Not among the patients: X9." in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_command_and_its_refusal(cohort_file: Path, tmp_path: Path) -> None:
    bad = pd.read_csv(cohort_file, dtype=str)
    bad.loc[0, "DTHDT"] = "2001-01-01"
    bad.to_csv(tmp_path / "patients.csv", index=False)
    with pytest.raises(InputError, match="patients.csv:SYN-001: death .2001-01-01. is before infusion"):
        CliRunner().invoke(app, ["clinical", str(tmp_path / "patients.csv")], catch_exceptions=False)
    assert not (tmp_path / "clinical").exists()


def test_minimal_file_is_enough(tmp_path: Path) -> None:
    rows = [f"P{i},2017-01-01,{2017 + i % 4}-0{1 + i % 9}-15,{'2017-12-01' if i % 3 else ''}" for i in range(12)]
    (tmp_path / "p.csv").write_text(
        "patient_id,infusion_date,last_alive_date,pd_date\n"
        + "\n".join(r if "2017-0" not in r.split(",")[2] else r.replace("2017-12-01", "") for r in rows),
        encoding="utf-8",
    )
    found = CliRunner().invoke(app, ["clinical", str(tmp_path / "p.csv")], catch_exceptions=False)
    assert found.exit_code == 0
    assert (tmp_path / "clinical" / "figures" / "km_os.png").is_file()


COURSE = "patient_id,timepoint,day,population,n,fraction\n{},2mo,60,CAR+,300,0.0301\n"


def test_study_without_results_or_without_these_patients(study_copy: Path, cohort_file: Path) -> None:
    def run() -> None:
        CliRunner().invoke(app, ["clinical", str(cohort_file), "--study", str(study_copy)], catch_exceptions=False)

    with pytest.raises(InputError, match="the study has no course of CAR T cells yet; run `cytof run` first"):
        run()
    table = study_copy / "results" / "tables" / "abundance.csv"
    table.parent.mkdir(parents=True)
    table.write_text(COURSE.format("007"), encoding="utf-8")
    with pytest.raises(
        InputError, match=r"no patient of the study \(007\) is in the patients' file, which has SYN-001"
    ):
        run()


def test_study_s_report_gets_a_clinical_chapter(study_copy: Path, cohort_file: Path) -> None:
    """The whole command: the chapter stands in the study's own page, once, with the course of its patient."""
    from cytof.report._html import Chapter, page

    results = study_copy / "results"
    (results / "tables").mkdir(parents=True)
    (results / "tables" / "abundance.csv").write_text(COURSE.format("SYN-002"), encoding="utf-8")
    before = page("Study", "", [Chapter("summary", "Summary", answer="A."), Chapter("methods", "Methods")], "Footer")
    (results / "report.html").write_text(before, encoding="utf-8")
    for _ in range(2):  # the second replaces the first
        found = CliRunner().invoke(app, ["clinical", str(cohort_file), "--study", str(study_copy), "--cutoff",
                                         "2022-11-30"], catch_exceptions=False)  # fmt: skip
        assert found.exit_code == 0
    assert "report.html: clinical chapter" in found.output
    html = (results / "report.html").read_text("utf-8")
    assert html.count('<h2 id="clinical">') == html.count('<a href="#clinical">') == 1
    chapter = html[html.index('<h2 id="clinical">') : html.index('<h2 id="methods">')]
    assert "49.1 (37.2-60.0) % were alive at 60 months" in chapter
    assert "SYN-002" in chapter
    assert "3.010" in chapter  # per cent of CAR T cells at the visit
    assert chapter.count("data:image/png;base64,") >= 4
    assert html.startswith(before[: before.index("<nav>")])  # head, style and policy are the page's own
    assert (results / "clinical" / "clinical.html").is_file()
