"""A study's ``clean`` settings: normalisation, steadiness and dither on the way through the pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, io, pipeline, study
from cytof.errors import ConfigError


def written(folder: Path, settings: str) -> study.Study:
    """Return the study of two visits with these lines under ``clean``."""
    sheet = pd.read_csv(folder / "samples.csv").iloc[[0, 3]]
    sheet.to_csv(folder / "samples.csv", index=False)
    file = folder / "study.yaml"
    file.write_text(file.read_text("utf-8") + f"clean: {{{settings}}}\ngate: {{draw: 5000}}\n", "utf-8")
    return study.load(file)


def steps(cells) -> dict[str, dict]:
    table = cells.uns["cytof"]["steps"]
    return {step: json.loads(params) for step, params in zip(table["step"], table["params"], strict=True)}


def test_normalised_study_brings_its_fcs_files_and_says_so(study_copy: Path) -> None:
    """Visits normalised to one table: their records, the FCS files beside the Gating-ML, and the caution."""
    names = ["2mo", "5yr"]
    raw = [clean.find_beads(io.read_fcs(study_copy / "fcs" / f"synthetic_{n}.fcs", sample_id=n)) for n in names]
    io.write_table(study_copy / "beads.csv", clean.bead_reference(raw))
    chosen = written(study_copy, "normalize: beads.csv, steady: true, dither: remove")
    assert pipeline.gate(chosen) == {}
    for name, before in zip(names, raw, strict=True):
        cells = io.read_h5ad(chosen.out / "gated" / f"{name}.h5ad")
        record = steps(cells)
        assert record["dither"][name]["params"]["kind"] == "uniform"
        assert record["remove_dither"][name]["params"]["rounded"] == "up"
        assert record["normalize_beads"][name]["params"]["norm_to"] == "beads.csv"
        assert record["steady"][name]["counts"]["windows_flagged"] == 0
        said = cells.uns["cytof"]["warnings"]
        assert said["done"].str.contains(f"open its Gating-ML on gated/{name}.counts.fcs").any()
        text = (chosen.out / "gated" / f"{name}.gatingml.xml").read_text("utf-8")
        assert f"{name}.counts.fcs, whose counts are not those of the raw file" in text
        counts = io.read_fcs(chosen.out / "gated" / f"{name}.counts.fcs")
        assert len(counts) == len(before)
        assert not np.array_equal(counts.X, before.X)
        at = [list(cells.var["channel"]).index("Y89")]
        rows = cells.obs["event"].to_numpy()
        assert np.asarray(cells.layers["counts"][:, at]).ravel() == pytest.approx(counts.column("Y89")[rows], rel=1e-5)


def test_gating_ml_of_a_normalised_study_opens_on_its_fcs_file(study_copy: Path) -> None:
    """FlowKit on ``<sample>.counts.fcs`` finds the same events in every gate."""
    flowkit = pytest.importorskip("flowkit")
    chosen = written(study_copy, "normalize: median, steady: true")
    pipeline.gate(chosen)
    file = chosen.out / "gated" / "5yr.counts.fcs"
    session = flowkit.Session(str(chosen.out / "gated" / "5yr.gatingml.xml"), fcs_samples=str(file))
    session.analyze_samples(verbose=False)
    report = session.get_analysis_report().set_index("gate_name")["count"]
    counts = io.read_h5ad(chosen.out / "gated" / "5yr.h5ad").uns["cytof"]["counts"]
    ours = {gate.rsplit("/", 1)[-1]: n for gate, n in zip(counts["gate"], counts["n"], strict=True)}
    for gate, name in (("cells", "cells"), ("CD45pos", "CD45+"), ("CD3pos", "CD3+")):
        assert report[gate] == ours[name], gate


def test_default_settings_change_no_count(study_copy: Path) -> None:
    chosen = written(study_copy, "beads: auto")
    pipeline.gate(chosen)
    cells = io.read_h5ad(chosen.out / "gated" / "2mo.h5ad")
    assert list(steps(cells)) == ["dither", "find_beads", "debris", "doublet", "dead"]
    assert not list(chosen.out.glob("gated/*.counts.fcs"))
    raw = io.read_fcs(study_copy / "fcs" / "synthetic_2mo.fcs")
    rows, at = cells.obs["event"].to_numpy(), list(cells.var["channel"]).index("Y89")
    assert np.array_equal(np.asarray(cells.layers["counts"][:, at]).ravel(), raw.column("Y89")[rows])


def test_settings_that_cannot_be_are_refused(study_copy: Path) -> None:
    with pytest.raises(ConfigError, match="normalisation needs beads, and clean.beads is `none`"):
        written(study_copy, "beads: none, normalize: median")
    file = study_copy / "study.yaml"
    file.write_text(file.read_text("utf-8").replace("beads: none, normalize: median", "normalize: meadian"), "utf-8")
    with pytest.raises(ConfigError, match="`clean.normalize` is 'meadian', expected none, median or a table"):
        pipeline.gate(study.load(file))
