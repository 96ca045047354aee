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
    out = tmp_path_factory.mktemp("clinical")
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
    return report.clinical(cohort_file, out, cutoff="2022-11-30", course=course).parent


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


def test_course_of_a_study_is_read(study_copy: Path) -> None:
    from cytof.cli._clinical import _course

    with pytest.raises(InputError, match="the study has no course of CAR T cells yet; run `cytof run` first"):
        _course(study_copy)
    table = study_copy / "results" / "tables" / "abundance.csv"
    table.parent.mkdir(parents=True)
    table.write_text("patient_id,timepoint,day,population,n,fraction\n007,2mo,60,CAR+,300,0.0301\n", encoding="utf-8")
    course, results = _course(study_copy)
    assert course["patient_id"].tolist() == ["007"]
    assert results == study_copy / "results"
