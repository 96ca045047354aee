"""A study's ``clean`` settings: normalisation, steadiness and dither on the way through the pipeline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, io, pipeline, study
from cytof.errors import ConfigError, CytofError
from cytof.events import Events


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


POOL = ["Pd102", "Pd104", "Pd105", "Pd106"]
KEY = {"A": "1100", "B": "0011", "C": "1010"}


def pooled(folder: Path) -> tuple[Path, np.ndarray]:
    """Return study.yaml of one file with two samples, and the barcode of each event; C is in the key, not in the sheet.

    Nd143 holds 5 % of Nd142.
    """
    rng = np.random.default_rng(0)
    truth = rng.choice(list(KEY), 3_000)
    bits = np.array([[int(c) for c in KEY[b]] for b in truth])
    marker = rng.lognormal(5, 0.3, (3_000, 1)) * (truth == "A")[:, None]
    X = np.c_[np.arange(3_000), rng.poisson(bits * 400.0 + 2), rng.poisson(np.c_[marker, 0.05 * marker])]
    channels = pd.DataFrame(index=["Time", *POOL, "Nd142", "Nd143"])
    io.write_fcs(folder / "pool.fcs", Events(X.astype(np.float32), channels, {}, "pool"))
    rows = [f"{name},{''.join(f'{c},' for c in code)}".rstrip(",") for name, code in KEY.items()]
    (folder / "key.csv").write_text("\n".join(["code,102,104,105,106", *rows]) + "\n")
    (folder / "spill.csv").write_text(",Nd142,Nd143\nNd142,1,0.05\nNd143,0,1\n")
    (folder / "samples.csv").write_text("file_name,sample_id,barcode\npool.fcs,first,A\npool.fcs,second,B\n")
    file = folder / "study.yaml"
    file.write_text("gates: none\nclean: {beads: none, intact: false, barcodes: key.csv, spill: spill.csv}\n")
    return file, truth


def test_samples_of_a_pooled_file_with_its_spill_taken_out(tmp_path: Path) -> None:
    file, truth = pooled(tmp_path)
    chosen = study.load(file)
    assert study.check(chosen).faults == []
    assert pipeline.gate(chosen) == {}
    for name, code in (("first", "A"), ("second", "B")):
        cells = io.read_h5ad(chosen.out / "gated" / f"{name}.h5ad")
        rows = cells.obs["event"].to_numpy()
        assert (truth[rows] == code).all()
        assert len(rows) >= 0.95 * (truth == code).sum()
        record = steps(cells)
        assert record["debarcode"][name]["params"]["key"] == KEY
        assert record["compensate"][name]["params"]["spill"] == {"Nd142": {"Nd143": 0.05}}
    first = io.read_h5ad(chosen.out / "gated" / "first.h5ad")
    counts = pd.DataFrame(np.asarray(first.layers["counts"]), columns=list(first.var["channel"]))
    assert counts["Nd142"].median() > 100
    assert counts["Nd143"].median() < 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("second,B", "second,", r"samples.csv: `second` has no barcode, but `clean.barcodes` is key.csv"),
        ("second,B", "second,A", r"samples.csv:3: file_name: 'pool.fcs' with barcode A stands in row 2 too"),
        ("barcodes: key.csv", "barcodes: none", r"samples.csv: `first` has barcode A, but `clean.barcodes` names no"),
        ("barcodes: key.csv", "barcodes: keys.csv", r"`clean.barcodes` is 'keys.csv', expected a barcode key"),
        ("spill: spill.csv", "spill: no.csv", r"no.csv: `clean.spill` is 'no.csv', expected a spillover matrix"),
    ],
)
def test_faults_of_a_pooled_study_are_told_before_the_run(tmp_path: Path, old: str, new: str, message: str) -> None:
    file, _ = pooled(tmp_path)
    for name in ("samples.csv", "study.yaml"):
        path = tmp_path / name
        path.write_text(path.read_text().replace(old, new))
    faults = study.check(study.load(file)).faults
    assert any(re.search(message, str(f)) for f in faults), faults
    with pytest.raises(CytofError, match=message.split("csv: ")[-1].split(":3: ")[-1]):
        pipeline.gate(study.load(file))


def test_a_barcode_the_key_lacks_fails_its_sample_alone(tmp_path: Path) -> None:
    file, _ = pooled(tmp_path)
    sheet = tmp_path / "samples.csv"
    sheet.write_text(sheet.read_text().replace("second,B", "second,D"))
    failed = pipeline.gate(study.load(file))
    assert list(failed) == ["second"]
    assert "no barcode 'D', expected one of A, B, C" in str(failed["second"])
