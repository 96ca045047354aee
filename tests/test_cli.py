"""The command line: exit codes, and one clear line for each typical mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import io

pytestmark = pytest.mark.xdist_group("cli")


def cytof(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cytof", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def fails(code: int, *arguments: object) -> list[str]:
    """Run a command that must fail with this code; return the lines of standard error."""
    done = cytof(*arguments)
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr.strip().splitlines()


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_help_teaches_the_way() -> None:
    done = cytof("--help")
    assert done.returncode == 0
    for word in ("demo", "new", "check", "gate", "cluster", "track", "compare", "report", "run", "inspect"):
        assert f" {word} " in done.stdout
    assert "cytof new my_study" in done.stdout


@pytest.mark.parametrize("heavy", ["scanpy", "flowkit", "phenograph", "pynndescent", "matplotlib", "numba", "anndata"])
def test_help_loads_nothing_heavy(heavy: str) -> None:
    code = f"import sys; import cytof.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_unknown_command_and_missing_argument_are_usage_errors() -> None:
    assert cytof("gates").returncode == 2
    assert cytof("run").returncode == 2


def test_check_of_a_good_study(study_copy: Path) -> None:
    done = cytof("check", study_copy)
    assert done.returncode == 0, done.stderr
    assert "ok: this study can be run" in done.stdout
    assert "41/41" in done.stdout


def test_missing_file(study_copy: Path) -> None:
    edit(study_copy / "samples.csv", "synthetic_3yr.fcs", "synthetic_3y.fcs")
    lines = fails(3, "run", study_copy)
    assert len(lines) == 1
    assert "samples.csv:4" in lines[0]
    assert "synthetic_3y.fcs" in lines[0]
    assert "did you mean" in lines[0]
    assert "synthetic_3yr.fcs" in lines[0]


def test_wrong_column(study_copy: Path) -> None:
    edit(study_copy / "samples.csv", "sample_id", "sampel_id")
    lines = fails(3, "run", study_copy)
    assert len(lines) == 1
    assert "samples.csv" in lines[0]
    assert "`sample_id` missing" in lines[0]
    assert "did you mean `sampel_id`?" in lines[0]


def test_unknown_antigen_in_the_gates(study_copy: Path) -> None:
    from cytof import panel

    text = panel.load_gates("car_t_41").text
    (study_copy / "my.gates.yaml").write_text(text.replace("dims: CD7", "dims: CD77"))
    edit(study_copy / "study.yaml", "gates: car_t_41", "gates: my.gates.yaml")
    lines = fails(2, "run", study_copy)
    assert any("`CD77`" in line and "did you mean `CD7`" in line for line in lines), lines


def test_no_vhh_channel(study_copy: Path) -> None:
    file = study_copy / "fcs" / "synthetic_1yr.fcs"
    events = io.read_fcs(file, panel="car_t_41")
    keep = [c for c in events.channels.index if events.channels.at[c, "role"] != "car"]
    io.write_fcs(file, events.replace(X=events.columns(keep), channels=events.channels.loc[keep]))
    lines = fails(2, "run", study_copy)
    assert len(lines) == 1
    assert "synthetic_1yr.fcs: no channel for `VHH`" in lines[0]


def test_a_file_that_is_not_fcs(study_copy: Path) -> None:
    (study_copy / "fcs" / "synthetic_5yr.fcs").write_text("event,CD3\n1,2\n" * 50)
    lines = fails(3, "run", study_copy, "--strict")
    assert len(lines) == 1
    assert "synthetic_5yr.fcs" in lines[0]
    assert "FCS" in lines[0]
    assert fails(3, "inspect", study_copy / "fcs" / "synthetic_5yr.fcs")[0].startswith("error: ")


def test_gate_with_another_template(study_copy: Path) -> None:
    """A file, whatever the study names; what is no template is told before any file is read."""
    from cytof import panel

    lines = fails(2, "gate", study_copy, "--template", "car_t_14")
    assert "car_t_14" in lines[0]
    assert "car_t_41" in lines[0]
    assert "gates come from one of them" in fails(2, "gate", study_copy, "--template", "car_t_41", "--import", "x")[0]
    other = study_copy / "other.gates.yaml"
    other.write_text(panel.load_gates("car_t_41").text.replace("- pop: CD45+", "- pop: leukocytes").replace(
        "parent: CD45+", "parent: leukocytes"))  # fmt: skip
    done = cytof("gate", study_copy, "--template", other)
    assert done.returncode == 0, done.stderr
    gates = pd.read_csv(study_copy / "results" / "tables" / "counts.csv").gate
    assert gates.str.contains("/leukocytes/").any()
    assert not gates.str.contains("CD45+", regex=False).any()


def test_empty_gate(study_copy: Path) -> None:
    """No event is a T cell: nothing can be clustered, and the line says where the cells were lost."""
    for file in (study_copy / "fcs").glob("*.fcs"):
        events = io.read_fcs(file, panel="car_t_41")
        X = events.X.copy()
        X[:, events.channels.index.get_loc(events.channel("CD3"))] = 0
        io.write_fcs(file, events.replace(X=np.ascontiguousarray(X)))
    lines = fails(3, "run", study_copy)
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert "CD3+" in errors[0]
    assert "counts.csv" in errors[0]


def test_all_faults_in_one_list(study_copy: Path) -> None:
    edit(study_copy / "samples.csv", "synthetic_3yr.fcs", "none.fcs")
    edit(study_copy / "samples.csv", "1yr,SYN-01", "2mo,SYN-01")
    done = cytof("check", study_copy)
    assert done.returncode == 3
    assert "samples.csv:4" in done.stderr
    assert "samples.csv:3" in done.stderr


def test_stage_without_the_one_before_it(study_copy: Path) -> None:
    assert "run `cytof gate` first" in fails(3, "cluster", study_copy)[0]
    assert "run `cytof cluster` first" in fails(3, "track", study_copy)[0]


def test_no_study(tmp_path: Path) -> None:
    assert "no study file here; make one with `cytof new DIR" in fails(2, "run", tmp_path)[0]


def test_new_guesses_the_shipped_panel_and_its_study_passes_check(study_copy: Path, tmp_path: Path) -> None:
    files = sorted((study_copy / "fcs").glob("*.fcs"))
    done = cytof("new", tmp_path / "mine", *files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "mine" / "study.yaml")
    assert "panel: car_t_41\ngates: car_t_41\n" in (tmp_path / "mine" / "study.yaml").read_text()
    assert cytof("check", tmp_path / "mine").returncode == 0


def test_inspect_shows_channels(study_copy: Path) -> None:
    done = cytof("inspect", study_copy / "fcs" / "synthetic_2mo.fcs", "--panel", "car_t_41")
    assert done.returncode == 0
    assert "FCS3.0" in done.stdout
    assert "VHH" in done.stdout


def test_deidentify_copies_and_searches(tmp_path: Path) -> None:
    file = tmp_path / "Jane_Doe.fcs"
    io.write_fcs(
        file, np.ones((5, 1), np.float32), pnn=["Nd142Di"], keywords={"$OP": "Jane Doe", "$DATE": "12-JAN-2020"}
    )
    assert "no salt given" in fails(2, "deidentify", file, "--out", tmp_path / "share")[0]
    done = cytof(
        "deidentify",
        file,
        "--out",
        tmp_path / "share",
        "--salt",
        "our own secret",
        "--first-day",
        "2020-01-01",
        "--scan",
    )
    assert done.returncode == 0, done.stderr
    copy = Path(done.stdout.strip())
    assert b"Jane" not in copy.read_bytes()
    assert "Jane" not in copy.name
    assert io.scan_fcs(copy).keywords["DAY"] == "11"
    np.testing.assert_array_equal(io.read_fcs(copy).X, io.read_fcs(file).X)
    assert io.left_over(file, file) == ["Jane Doe", "12-JAN-2020"]


def test_export_needs_to_know_what(study_copy: Path) -> None:
    assert "add `--fcs`, `--h5ad` or `--xlsx`" in fails(2, "export", study_copy)[0]
    assert "run `cytof cluster` first" in fails(3, "export", study_copy, "--fcs")[0]


def test_a_study_of_files_that_are_gated_already_runs_to_the_report(study_copy: Path) -> None:
    """No gates: no abundance, which is said; clusters, map and report are there."""
    edit(study_copy / "study.yaml", "gates: car_t_41", "gates: none\ncluster: {max_cells: 500}")
    done = cytof("run", study_copy)
    assert done.returncode == 0, done.stderr
    assert "no abundance.csv" in done.stderr
    results = study_copy / "results"
    assert (results / "report.html").stat().st_size > 100_000
    assert "No gates were set" in (results / "report.html").read_text()
    page = (results / "report.html").read_text()
    assert "intact live" not in page, "nothing was checked, so nothing is called intact"
    assert "does not lie above" not in page
    assert "left out" not in (results / "methods.md").read_text(), "every event of the files is among the cells"
    visits = pd.read_csv(results / "tables" / "markers_visits.csv")
    assert set(visits["contrast"]) == {"1yr vs 2mo", "3yr vs 2mo", "5yr vs 2mo"}
    sheet = pd.read_csv(study_copy / "samples.csv")
    sheet["response"] = ["CR", "CR", "PR", "PR"]
    sheet.to_csv(study_copy / "samples.csv", index=False)
    edit(study_copy / "study.yaml", "gates: none", "gates: none\ncompare: {by: [response]}")
    assert cytof("run", study_copy).returncode == 0
    found = pd.read_csv(results / "tables" / "markers_response.csv")
    assert set(found["contrast"]) == {"PR vs CR"}


def test_the_wrong_panel_is_refused_before_the_run(study_copy: Path) -> None:
    edit(study_copy / "study.yaml", "panel: car_t_41\ngates: car_t_41", "panel: maxpar_30")
    lines = [line for line in fails(2, "check", study_copy) if not line.startswith("note: ")]
    assert "bear another antigen than panel maxpar_30 says" in lines[0]
    assert "these channels fit the shipped panel `car_t_41`" in lines[0]


def test_the_demo_does_not_overwrite_a_study(study_copy: Path) -> None:
    edit(study_copy / "study.yaml", "# SYNTHETIC", "# mine, SYNTHETIC")
    before = (study_copy / "study.yaml").read_text()
    assert "which the demo would overwrite; use --out" in fails(2, "demo", "--out", study_copy, "--scale", "0.01")[0]
    assert (study_copy / "study.yaml").read_text() == before


def test_check_notes_visits_without_a_day(study_copy: Path) -> None:
    edit(study_copy / "samples.csv", ",365,", ",,")
    done = cytof("check", study_copy)
    assert done.returncode == 0
    assert "`day` is empty for 1 of 4 samples: 1yr" in done.stderr


def test_new_tells_files_of_one_name_apart_by_folder_and_says_what_comes_next(study_copy: Path, tmp_path: Path) -> None:
    for visit in ("v1", "v2"):
        (tmp_path / visit).mkdir()
        (tmp_path / visit / "x.fcs").write_bytes((study_copy / "fcs" / "synthetic_2mo.fcs").read_bytes())
    done = cytof("new", tmp_path / "mine", tmp_path / "v1" / "x.fcs", tmp_path / "v2" / "x.fcs")
    assert done.returncode == 0, done.stderr
    assert "next: fill in `timepoint` and `day`" in done.stderr
    assert "v1/x.fcs,v1_x,P1" in (tmp_path / "mine" / "samples.csv").read_text()
    twice = fails(3, "new", tmp_path / "other", tmp_path / "v1" / "x.fcs", tmp_path / "v1" / "x.fcs")
    assert "is named twice; name it once" in twice[0]


def test_doctor_names_what_is_here(tmp_path: Path) -> None:
    done = cytof("doctor", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[1]: line for line in done.stdout.splitlines()}
    for part in ("python", "cytof", "numpy", "threads", "memory", "disk", "bokeh", "distributed"):
        assert part in rows
    assert f"GB free in {tmp_path}" in rows["disk"]


def test_dry_run_computes_nothing_and_names_what_it_needs(study_copy: Path) -> None:
    done = cytof("run", study_copy, "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["gate", "2mo", "run"] in lines
    assert ["9", "to", "run,", "0", "cached"] in lines
    assert "disk needed about" in done.stdout
    assert not (study_copy / "results").exists()


def test_memory_budget_is_held_before_the_start(study_copy: Path) -> None:
    lines = fails(5, "run", study_copy, "--memory", "100MB")
    assert "bytes of memory, --memory allows 100,000,000" in lines[0]
    assert "`viel` is no size; write for instance 8GB" in fails(2, "run", study_copy, "--memory", "viel")[0]


def test_verify_before_a_run(study_copy: Path) -> None:
    assert "run `cytof run` first" in fails(3, "verify", study_copy)[0]


def test_workers_and_scheduler_do_not_go_together(study_copy: Path) -> None:
    assert "give one of them" in fails(2, "run", study_copy, "--workers", "2", "--scheduler", "tcp://localhost:1")[0]
