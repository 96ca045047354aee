"""`cytof gate STUDY --import F`: gates of another program go through the stage like a template's."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from cytof import io
from cytof.region import Dimension, Rectangle

pytestmark = pytest.mark.xdist_group("cli")


def cytof(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cytof", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def workspace(path: Path, files: dict[str, tuple[str, str, int]]) -> Path:
    """Write a FlowJo workspace: T cells above 60 counts of CD3, in them CAR T cells above 40 of the VHH."""
    space = " ".join(
        f'xmlns:{k}="http://www.isac-net.org/std/Gating-ML/v2.0/{v}"'
        for k, v in {"g": "gating", "d": "datatypes"}.items()
    )

    def box(name: str, channel: str, low: int, count: int, below: str = "") -> str:
        dim = f'<g:dimension g:min="{low}"><d:fcs-dimension d:name="{channel}"/></g:dimension>'
        gate = f"<Gate><g:RectangleGate>{dim}</g:RectangleGate></Gate>"
        return f'<Population name="{name}" count="{count}">{gate}<Subpopulations>{below}</Subpopulations></Population>'

    samples = "".join(
        f'<Sample><SampleNode name="{file}"><Subpopulations>{box("T", cd3, 60, n, box("CAR", vhh, 40, 7))}'
        "</Subpopulations></SampleNode></Sample>"
        for file, (cd3, vhh, n) in files.items()
    )
    path.write_text(f"<Workspace {space}><SampleList>{samples}</SampleList></Workspace>")
    return path


def test_a_workspace_gates_the_study_and_its_counts_are_held_against_ours(study_copy: Path) -> None:
    files, truth = {}, {}
    for file in sorted((study_copy / "fcs").glob("*.fcs")):
        events = io.read_fcs(file, panel="car_t_41")
        cd3, vhh = events.channel("CD3"), events.channels.index[events.channels["role"] == "car"][0]
        above = events.column("CD3") >= 60
        truth[file.name] = (int(above.sum()), int((above & (events.column(vhh) >= 40)).sum()))
        pnn = events.channels["pnn"]
        files[file.name] = (pnn[cd3], pnn[vhh], truth[file.name][0])
    source = workspace(study_copy / "w.wsp", files)
    done = cytof("gate", study_copy, "--import", source, "--car", "CAR", "--keep", "T")
    assert done.returncode == 0, done.stderr
    counts = pd.read_csv(study_copy / "results" / "tables" / "imported_counts.csv", dtype={"sample_id": str})
    table = counts.pivot(index="sample_id", columns="gate", values=["n", "flag"])
    for name, (n_t, n_car) in truth.items():
        sample = name.removeprefix("synthetic_").removesuffix(".fcs")
        assert table.loc[sample, ("n", "T")] == n_t > 100
        assert table.loc[sample, ("n", "T/CAR")] == n_car
        assert table.loc[sample, ("flag", "T")] == "ok"
        cells = io.read_h5ad(study_copy / "results" / "gated" / f"{sample}.h5ad")
        assert cells.n_obs == n_t
        assert int(cells.obs["car"].sum()) == n_car
        back = io.read_gates(study_copy / "results" / "gated" / f"{sample}.gatingml.xml")
        assert list(back.tree().regions) == ["T", "T/CAR"]
    assert (table[("flag", "T/CAR")] == "count differs from the workspace").any()
    assert "counts differ from those stored" in done.stderr
    before = {f: f.stat().st_mtime_ns for f in (study_copy / "results" / "gated").iterdir()}
    again = cytof("gate", study_copy, "--import", source, "--car", "CAR", "--keep", "T")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done already") >= len(truth), "nothing is cleaned again"
    assert {f: f.stat().st_mtime_ns for f in before} == before


def test_samples_without_gates_fail_alone_and_doubtful_files_are_refused(study_copy: Path) -> None:
    box = Rectangle((Dimension("nothing"),), (1.0,), (math.inf,))
    io.write_gatingml(study_copy / "g.xml", {"T": box}, {"T": "root"})
    done = cytof("gate", study_copy, "--import", study_copy / "g.xml")
    assert done.returncode == 3
    assert "none of the gates of g.xml can be applied: 2mo:T: no channel `nothing` in this file" in done.stderr
    (study_copy / "g.xml").write_text("<!DOCTYPE a><a/>")
    done = cytof("gate", study_copy, "--import", study_copy / "g.xml")
    assert done.returncode == 3
    assert done.stderr.strip() == "error: g.xml: holds a DOCTYPE, which gate files never need; do not trust it"
    assert cytof("gate", study_copy, "--car", "CAR").returncode == 2
