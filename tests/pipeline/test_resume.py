"""A run goes on where it stopped, and does again exactly what depends on a change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_study import outputs, small_study

from cytof import pipeline, study
from cytof.errors import InputError

LATER = ["cluster", "track", "compare", "report"]
OVERRIDE = "- {sample: s7, gate: CAR+, threshold: {VHH: 3.0}, author: J. Doe, date: 2026-11-27, reason: shoulder}\n"


def to_run(loaded: study.Study) -> list[str]:
    states = pipeline.plan(loaded)
    states = states[states["state"] == "run"]
    return [f"{stage} {sample}".strip() for stage, sample in zip(states["stage"], states["sample_id"], strict=True)]


def changed(loaded: study.Study, **sections: dict[str, object]) -> study.Study:
    new = {name: getattr(loaded, name).model_copy(update=values) for name, values in sections.items()}
    return loaded.model_copy(update=new)


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> study.Study:
    """Twenty samples, run once."""
    loaded = study.load(small_study(tmp_path_factory.mktemp("twenty"), 20))
    pipeline.run(loaded)
    return loaded


def test_what_is_done_is_not_done_again(twenty: study.Study) -> None:
    before = {f: f.stat().st_mtime_ns for f in twenty.out.rglob("*") if f.is_file() and f.name != "run.log"}
    assert to_run(twenty) == []
    pipeline.run(twenty)
    assert {f: f.stat().st_mtime_ns for f in before} == before


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"compare": {"test": "welch"}}, ["compare", "report"]),
        ({"track": {"of": "CD3+"}}, ["track", "report"]),
        ({"cluster": {"n_clusters": 4}}, LATER),
        ({"gate": {"draw": 1500}}, ["place", *(f"gate s{i}" for i in range(20)), *LATER]),
        ({"clean": {"dither": "remove"}}, ["place", *(f"gate s{i}" for i in range(20)), *LATER]),
    ],
)
def test_a_setting_costs_what_depends_on_it(
    twenty: study.Study, change: dict[str, dict[str, object]], again: list[str]
) -> None:
    assert to_run(changed(twenty, **change)) == again


def test_an_override_costs_one_sample_and_what_follows(twenty: study.Study) -> None:
    """The log of the second run names one gated sample; no other sample's files are touched."""
    gated = {f: f.stat().st_mtime_ns for f in (twenty.out / "gated").iterdir()}
    file = twenty.path(pipeline.OVERRIDES)
    file.write_text(OVERRIDE)
    try:
        assert to_run(twenty) == ["gate s7", *LATER]
        lines = len((twenty.out / "run.log").read_text().splitlines())
        pipeline.run(twenty)
        log = [json.loads(line) for line in (twenty.out / "run.log").read_text().splitlines()[lines:]]
        assert [e["sample"] for e in log if e["stage"] == "gate" and "events" in e["found"]] == ["s7"]
        assert [e["found"] for e in log if e["stage"] == "place"] == ["3 gates, placed already"]
        touched = {f.name.split(".")[0] for f, then in gated.items() if f.stat().st_mtime_ns != then}
        assert touched == {"s7"}
        story = json.loads((twenty.out / "run.json").read_text())
        assert story["overrides"]["reviews"][0]["author"] == "J. Doe"
    finally:
        file.unlink()
    assert to_run(twenty) == ["gate s7", *LATER]
    pipeline.run(twenty)


def test_one_bad_sample_in_twenty(tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Nineteen finish, exit 4, the report lists the bad one with its cause; mended, it is all that is gated again."""
    file = small_study(tmp_path / "study", 20)
    whole, bad = (tmp_path / "study" / "v3.fcs").read_bytes(), tmp_path / "study" / "v3.fcs"
    bad.write_bytes(whole[: len(whole) - 5000])
    loaded = study.load(file)
    done = command("run", file)
    assert done.returncode == 4, done.stderr
    assert "v3.fcs" in done.stderr
    page = (loaded.out / "report.html").read_text()
    assert "v3.fcs" in page
    assert len(list((loaded.out / "gated").glob("*.h5ad"))) == 19
    assert set(pd.read_csv(loaded.out / "tables" / "counts.csv")["sample_id"]) == {f"s{i}" for i in range(20)} - {"s3"}
    with pytest.raises(InputError, match=r"v3\.fcs"):
        pipeline.gate(loaded, strict=True)
    bad.write_bytes(whole)
    assert pipeline.gate(loaded) == {}
    assert len(list((loaded.out / "gated").glob("*.h5ad"))) == 20


def test_results_of_a_sample_that_left_the_sheet_are_not_taken_for_results(small: study.Study) -> None:
    pipeline.gate(small)
    sheet = small.path("samples.csv")
    lines = sheet.read_text().splitlines(keepends=True)
    sheet.write_text("".join(lines[:-1]) + lines[-1].replace(",s2,", ",renamed,"))
    told: list[str] = []
    pipeline.gate(small, say=lambda stage, sample, found: told.append(f"{sample}: {found}"))
    assert "s2: not in the sample sheet any more; its results were removed" in told
    assert sorted(f.stem for f in (small.out / "gated").glob("*.h5ad")) == ["renamed", "s0", "s1"]
    assert set(pd.read_csv(small.out / "tables" / "counts.csv")["sample_id"]) == {"renamed", "s0", "s1"}
    assert not list(small.out.rglob("s2*"))


def test_an_output_changed_by_hand_is_made_again(small: study.Study) -> None:
    pipeline.gate(small)
    table = small.out / "tables" / "counts.csv"
    whole = table.read_bytes()
    table.write_text("sample_id\n")
    pipeline.gate(small)
    assert table.read_bytes() == whole


def start(file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cytof", "run", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip


def test_kill_9_at_random_moments_leaves_no_trace(tmp_path: Path) -> None:
    """Killed four times on its way, each time in the middle of work; then the bytes of a run that was left alone.

    ``benchmarks/kill.py`` does it fifty times.
    """
    alone, killed = small_study(tmp_path / "alone", 3), small_study(tmp_path / "killed", 3)
    pipeline.run(study.load(alone))
    rng = np.random.default_rng(0)
    log = tmp_path / "killed" / "results" / "run.log"
    for _ in range(4):
        lines = len(log.read_text().splitlines()) if log.exists() else 0
        run = start(killed)
        while run.poll() is None and (len(log.read_text().splitlines()) if log.exists() else 0) <= lines:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 1.5))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    pipeline.run(study.load(killed))
    found, expected = outputs(tmp_path / "killed" / "results"), outputs(tmp_path / "alone" / "results")
    assert {n for n in expected if found.get(n) != expected[n]} == set()
    assert found.keys() == expected.keys()
