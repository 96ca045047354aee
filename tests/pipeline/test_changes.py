"""Whatever a study went through, a run ends in the bytes of a fresh run of what it is now."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import outputs, small_study

from cytof import pipeline, study
from cytof.errors import InputError, ResourceError, SampleFailures
from cytof.pipeline import _dask, _stages

Command = Callable[..., subprocess.CompletedProcess[str]]
OVERRIDE = "- {sample: s1, gate: CAR+, threshold: {VHH: 3.0}, author: J. Doe, date: 2026-11-27, reason: shoulder}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study of three samples that was run, its gate pages drawn before; copy it."""
    loaded = study.load(small_study(tmp_path_factory.mktemp("finished") / "study", 3))
    loaded.path(pipeline.OVERRIDES).write_text(OVERRIDE)
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    pipeline.run(loaded)
    return loaded.folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "study"))


def fresh(folder: Path) -> dict[str, str]:
    """Return the results of a run that began with nothing."""
    other = folder.with_name("fresh")
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("results"))
    pipeline.run(study.load(other))
    return outputs(other / "results")


def without(folder: Path, sample: str) -> None:
    sheet = folder / "samples.csv"
    sheet.write_text("\n".join(line for line in sheet.read_text().splitlines() if f",{sample}," not in line) + "\n")


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_many_changes_one_after_the_other(folder: Path) -> None:
    """The population followed, the reason of a gate change, the name of a file, and a sample that is gone."""
    pipeline.run(study.load(folder))
    with (folder / "study.yaml").open("a") as file:
        file.write("track: {population: CD3+}\n")
    pipeline.run(study.load(folder))
    edit(folder / pipeline.OVERRIDES, "shoulder", "debris")
    pipeline.run(study.load(folder))
    (folder / "v0.fcs").rename(folder / "first.fcs")
    edit(folder / "samples.csv", "v0.fcs", "first.fcs")
    pipeline.run(study.load(folder))
    without(folder, "s2")
    pipeline.run(study.load(folder))
    assert pipeline.verify(study.load(folder)).faults == []
    assert outputs(folder / "results") == fresh(folder)


def test_what_a_killed_run_wrote_goes_with_its_sample(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(folder / "results")
    draw = _stages.report

    def killed(*given: object, **named: object) -> Path:
        draw(*given, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(_stages, "report", killed)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(study.load(folder))
    monkeypatch.undo()
    assert (folder / "results" / "figures" / "gates_s2.png").exists()
    without(folder, "s2")
    pipeline.run(study.load(folder))
    assert outputs(folder / "results") == fresh(folder)


def test_nothing_of_another_run_survives_fresh(folder: Path) -> None:
    without(folder, "s2")
    pipeline.run(study.load(folder), fresh=True)
    assert outputs(folder / "results") == fresh(folder)


def test_a_file_that_goes_away_after_it_was_gated_is_told_and_stops_nothing(folder: Path) -> None:
    shutil.rmtree(folder / "results")

    def take_away(stage: str, sample: str, found: str) -> None:
        if stage == "cluster" and (folder / "v2.fcs").exists():
            (folder / "v2.fcs").rename(folder / "hidden")

    with pytest.raises(SampleFailures, match=r"s2: v2\.fcs: is not there any more, .* put it back and run again"):
        pipeline.run(study.load(folder), say=take_away)
    assert (folder / "results" / "report.html").exists()
    (folder / "hidden").rename(folder / "v2.fcs")
    pipeline.run(study.load(folder))
    assert outputs(folder / "results") == fresh(folder)


def test_a_sample_that_fails(folder: Path, command: Command) -> None:
    """Its file looks like marks of style to a terminal; plan, verify and the record say that it failed, and no more."""
    (folder / "v2.fcs").write_bytes(b"[/bold] no FCS")
    done = command("run", folder)
    assert done.returncode == 4, done.stderr
    assert "it begins with '[/bold] no F'" in done.stderr
    record = json.loads((folder / "results" / "run.json").read_text())
    assert record["failed"]["s2"].startswith("v2.fcs:HEADER: ")
    states = pipeline.plan(study.load(folder))
    assert states.loc[states["state"] == "run", ["stage", "sample_id"]].to_numpy().tolist() == [["gate", "s2"]]
    (fault,) = pipeline.verify(study.load(folder)).faults
    assert fault.startswith("gate s2: failed, and is not in the results: v2.fcs:HEADER: ")
    without(folder, "s2")
    pipeline.run(study.load(folder))
    assert outputs(folder / "results") == fresh(folder)


def test_a_record_that_was_damaged_is_told(folder: Path) -> None:
    for text in ('{"inputs": []}', '{"inputs": {"s0": {}}}', "{"):
        (folder / "results" / "run.json").write_text(text)
        assert any("missing or unreadable" in f for f in pipeline.verify(study.load(folder)).faults)
    pipeline.run(study.load(folder))
    (folder / "results" / ".done" / "gate.done.json").unlink()
    (fault,) = pipeline.verify(study.load(folder)).faults
    assert "its record is lost; run `cytof run`" in fault


def test_a_table_that_nothing_reads_costs_nothing(folder: Path) -> None:
    (folder / "notes.csv").write_text("a,b\n1,2\n")
    lines = (folder / "samples.csv").read_text().splitlines()
    (folder / "samples.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    assert (pipeline.plan(study.load(folder))["state"] == "cached").all()
    (folder / "infusions.csv").write_text("patient_id,day,product\nP1,20,other CAR T\n")
    states = pipeline.plan(study.load(folder))
    assert states.loc[states["state"] == "run", "stage"].tolist() == ["track", "report"]


def test_memory_that_is_no_size_is_refused_and_a_done_study_needs_none(folder: Path, command: Command) -> None:
    for size in ("nan", "-1GB", "0", "much"):
        done = command("run", folder, f"--memory={size}")
        assert done.returncode == 2
        assert f"--memory: `{size}` is no size; write for instance 8GB" in done.stderr
    assert command("run", folder, "--memory", "10MB").returncode == 0


def test_a_run_whose_lines_nobody_reads_any_more_goes_on(folder: Path) -> None:
    shutil.rmtree(folder / "results")
    begun = subprocess.Popen(
        [sys.executable, "-m", "cytof", "run", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert begun.stderr is not None
    begun.stderr.readline()
    begun.stderr.close()
    assert begun.wait(timeout=300) == 0
    assert (folder / "results" / "report.html").exists()


def test_a_cluster_without_workers_and_one_that_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(_dask, "_PATIENCE", 1)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(ResourceError, match="has no workers; start some: `dask worker tcp://"),
        pipeline.dask_workers(scheduler=empty.scheduler_address),
    ):
        pass
    with pytest.raises(ResourceError, match="the Dask cluster was lost; start it, and run again"):
        lose_a_cluster()


def lose_a_cluster() -> None:
    from distributed import LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0")
    with pipeline.dask_workers(scheduler=cluster.scheduler_address) as workers:
        for _ in workers.each(pow, [(i, 2) for i in range(200)]):
            cluster.close()


def test_gates_of_other_software_are_not_replaced_by_a_run(folder: Path) -> None:
    loaded = study.load(folder)
    gates = folder / "gates.xml"
    shutil.copy(folder / "results" / "gated" / "s0.gatingml.xml", gates)
    pipeline.gate_imported(loaded, gates, keep="CD3+")
    before = {f.name: f.read_bytes() for f in (folder / "results" / "gated").glob("*.h5ad")}
    pipeline.run(loaded)
    assert {f.name: f.read_bytes() for f in (folder / "results" / "gated").glob("*.h5ad")} == before
    assert pipeline.verify(loaded).faults == []
    shutil.copy(folder / "v0.fcs", folder / "v3.fcs")
    with (folder / "samples.csv").open("a") as file:
        file.write("v3.fcs,s3,P1,visit 3,90\n")
    with pytest.raises(InputError, match=r"sample `s3` is new or changed, and the others have gates of other software"):
        pipeline.run(loaded)
    pipeline.run(loaded, fresh=True)
    assert outputs(folder / "results") == fresh(folder)
