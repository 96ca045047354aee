"""Gate changes by a person: read with their faults, laid over thresholds, and only what follows from them changes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, gate, io, panel, pipeline, study
from cytof.errors import ConfigError, GateError, UsageError
from cytof.gate import Gating
from cytof.panel import Gate, Template
from cytof.region import Dimension, Ellipse, Polygon, Rectangle, from_json

CAR = "cells/singlets/live/CD45+/CD11b-/CD11c-/CD66b-/CD19-/CD14-/CD7+/CD3+/CAR+"
SAID = "author: J. Doe, date: 2026-11-27, reason: shoulder"


@pytest.fixture(scope="module")
def gated(patient: Path) -> tuple[Template, pd.DataFrame, dict[str, Gating]]:
    template = panel.load_gates("car_t_41")
    files = sorted((patient.parent / "fcs").glob("*.fcs"))[:2]
    runs = [io.read_fcs(f, panel="car_t_41", sample_id=f.stem[10:]) for f in files]
    runs = [clean.intact(clean.find_beads(e)) for e in runs]
    thresholds = gate.place(template, [e.draw(5_000) for e in runs])
    return template, thresholds, {e.sample_id: gate.apply(e, template, thresholds) for e in runs}


def written(folder: Path, *entries: str) -> Path:
    path = folder / "overrides.yaml"
    path.write_text("".join(f"- {{{e}}}\n" for e in entries))
    return path


def test_threshold_of_one_sample_moves_and_nothing_else(gated, tmp_path: Path) -> None:
    template, thresholds, _ = gated
    first, second = thresholds["sample_id"].unique()
    path = written(tmp_path, f"sample: {first}, gate: CAR T, threshold: {{VHH: 3.25}}, {SAID}")
    changes = gate.read_overrides(path, template, [first, second])
    assert changes[0].where.endswith("overrides.yaml:1")
    table = gate.overridden(thresholds, changes, template)
    row = table[(table["sample_id"] == first) & (table["gate"] == CAR)].iloc[0]
    assert (row["value"], row["low"], row["high"], row["method"], row["flag"]) == (3.25, 3.25, 3.25, "override", "ok")
    assert from_json(row["region"]).low == (3.25,)
    other = ~((table["sample_id"] == first) & (table["gate"] == CAR))
    pd.testing.assert_frame_equal(table[other], thresholds[other])


def test_later_entry_wins_and_a_quadrant_takes_its_siblings(gated, tmp_path: Path) -> None:
    template, thresholds, _ = gated
    sample = thresholds["sample_id"].iloc[0]
    entries = [f"sample: {sample}, gate: CAR+/DN, threshold: {{CD4: {v}, CD8: 2.0}}, {SAID}" for v in (2.5, 2.75)]
    table = gate.overridden(thresholds, gate.read_overrides(written(tmp_path, *entries), template), template)
    rows = table[(table["sample_id"] == sample) & table["gate"].str.startswith(f"{CAR}/")]
    assert set(rows["gate"].str.rsplit("/", n=1).str[-1]) == {"CD4", "CD8", "DP", "DN"}
    channel = dict(zip(thresholds["channel"], thresholds["channel"], strict=True))
    values = {c: set(rows.loc[rows["channel"] == c, "value"]) for c in channel if (rows["channel"] == c).any()}
    assert sorted(v.pop() for v in values.values()) == [2.0, 2.75]
    host = table[(table["sample_id"] == sample) & table["gate"].str.contains("CAR-/")]
    assert (host["method"] == "quadrant").all()


def test_change_equals_gating_from_the_start(gated, tmp_path: Path) -> None:
    template, thresholds, runs = gated
    name, gating = next(iter(runs.items()))
    region = Rectangle(gating.regions[CAR].dims, (3.4,), (math.inf,))
    again = gate.change(gating, template, {CAR: region})
    override = gate.override_of(name, template.gate(CAR), region, author="J", reason="r", date="2026-11-27")
    whole = gate.apply(gating.events, template, gate.overridden(thresholds, [override], template))
    pd.testing.assert_frame_equal(again.masks, whole.masks)
    pd.testing.assert_frame_equal(again.counts.drop(columns="flag"), whole.counts.drop(columns="flag"))
    pd.testing.assert_frame_equal(again.blanks, whole.blanks)
    follows = gate.depends_on(template, {CAR})
    assert {p.rsplit("/", 1)[-1] for p in follows} == {"CAR+", "CAR-", "CD4", "CD8", "DP", "DN"}
    for path in set(template.paths) - set(follows):
        assert np.shares_memory(again.masks[path].to_numpy(), again.masks[path].to_numpy())
        assert (again.masks[path] == gating.masks[path]).all()
    lost = gate.diff(gating, again)
    assert set(lost["gate"]) <= set(follows)
    assert lost.loc[lost["gate"] == CAR, "n_change"].iloc[0] < 0
    assert gate.diff(gating, gating).empty
    with pytest.raises(GateError, match="only a part of the events is here"):
        gate.change(gating.keep("CD3+"), template, {CAR: region})
    with pytest.raises(GateError, match="no gate `CAR`"):
        gate.change(gating, template, {"CAR": region})


@pytest.mark.parametrize(
    "region",
    [
        Rectangle((Dimension("a", 5.0),), (2.0,), (math.inf,)),
        Rectangle((Dimension("a", 5.0),), (-math.inf,), (2.0,)),
        Rectangle((Dimension("a", 5.0), Dimension("b", 5.0)), (1.0, 1.5), (3.0, 4.0)),
        Polygon((Dimension("a", 5.0), Dimension("b", 5.0)), ((0.0, 0.0), (2.0, 0.0), (1.0, 2.0))),
        Ellipse((Dimension("a", 5.0), Dimension("b", 5.0)), (1.0, 2.0), ((1.0, 0.2), (0.2, 0.5)), 6.0),
    ],
    ids=["above", "below", "box", "polygon", "ellipse"],
)
def test_every_shape_is_written_and_read_back(tmp_path: Path, region) -> None:
    dims = tuple(d.channel for d in region.dims)
    node = Gate("g", "g", "root", dims, "polygon" if len(dims) == 2 else "range")
    template = Template("t", (node,))
    override = gate.override_of("s 1: x", node, region, author="Jöe", reason='said "no": - # x', before={"n": 3})
    path = tmp_path / "overrides.yaml"
    gate.add_override(path, override)
    gate.add_override(path, override)
    back = gate.read_overrides(path, template, ["s 1: x"])
    assert back == (override, override)
    assert back[1].where != back[0].where
    from cytof.gate._overrides import _changed

    blank = region if not isinstance(region, Rectangle) else Rectangle(
        region.dims, tuple(b if math.isinf(b) else b - 9 for b in region.low), region.high
    )  # fmt: skip
    assert _changed(blank, node, back[0]) == region


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("sample: s9, gate: CD3+, threshold: {CD3: 2}, %", "overrides.yaml:1: no sample `s9`; did you mean `s1`?"),
        ("sample: s1, gate: CD33+, threshold: {CD3: 2}, %", "no gate `CD33+`; did you mean `CD3+`?"),
        ("sample: s1, gate: CD3+, threshold: {CD4: 2}, %", "`CD3+` does not read `CD4`; did you mean `CD3`?"),
        ("sample: s1, gate: live, threshold: {CD3: 2}, %", "`live` is a boolean gate; change the gates it is made of"),
        (
            "sample: s1, gate: CD3+, thresold: {CD3: 2}, threshold: {CD3: 2}, %",
            "unknown key `thresold`; did you mean `threshold`?",
        ),
        ("sample: s1, gate: CD3+, %", "no shape; write one of threshold, low and high"),
        ("sample: s1, gate: CD3+, threshold: {CD3: 2}, vertices: [[1, 1]], %", "threshold and vertices together"),
        ("sample: s1, gate: CD3+, threshold: {CD3: two}, %", "threshold of CD3 is 'two', no number"),
        ("sample: s1, gate: CD3+, vertices: [[1, 1], [2, 2]], %", "`vertices` is no list of three or more"),
        ("sample: s1, gate: CD3+, threshold: {CD3: 2}, author: J, date: 2026-11-27", "no `reason`; every change says"),
        ("gate: CD3+, threshold: {CD3: 2}, %", "no `sample`; every change says where, who, when and why"),
    ],
)
def test_a_wrong_override_is_one_clear_line(tmp_path: Path, entry: str, message: str) -> None:
    path = written(tmp_path, entry.replace("%", SAID))
    with pytest.raises(ConfigError) as told:
        gate.read_overrides(path, panel.load_gates("car_t_41"), ["s1", "t2"])
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_all_faults_at_once_and_files_that_are_none(tmp_path: Path) -> None:
    path = written(
        tmp_path, f"sample: s1, gate: CD3+, {SAID}", f"sample: s1, gate: CD9+, threshold: {{CD3: 1}}, {SAID}"
    )
    with pytest.raises(ConfigError, match=r"(?s):1: no shape.*:2: no gate `CD9\+`"):
        gate.read_overrides(path, panel.load_gates("car_t_41"))
    assert gate.read_overrides(tmp_path / "none.yaml") == ()
    path.write_text("")
    assert gate.read_overrides(path) == ()
    path.write_text("sample: s1\n")
    with pytest.raises(ConfigError, match="found no list of overrides"):
        gate.read_overrides(path)
    path.write_text("- {a: [}\n")
    with pytest.raises(ConfigError, match=r"overrides.yaml:1: not readable as YAML"):
        gate.read_overrides(path)
    node, box = Gate("g", "g", "root", ("a",), "range"), Rectangle((Dimension("a"),), (1.0,), (math.inf,))
    with pytest.raises(ConfigError, match="no author and no reason; say who and why"):
        gate.override_of("s1", node, box, author=" ", reason="")


def test_shape_that_does_not_fit_the_gate_is_refused(gated, tmp_path: Path) -> None:
    template, thresholds, _ = gated
    sample = thresholds["sample_id"].iloc[0]
    path = written(tmp_path, f"sample: {sample}, gate: CD3+, vertices: [[1, 1], [2, 2], [3, 1]], {SAID}")
    with pytest.raises(ConfigError, match=r"`CD3\+` is an interval, which this shape does not fit"):
        gate.overridden(thresholds, gate.read_overrides(path, template), template)


def test_templates_are_told_apart() -> None:
    old = panel.load_gates("car_t_41")
    from dataclasses import replace

    gates = [replace(g, args={**g.args, "bounds": [1.0, 3.0]}) if g.pop == "CD3+" else g for g in old.gates]
    new = Template("t", tuple(g for g in gates if g.pop != "DP"))
    table = gate.diff(old, new)
    assert table.loc[table["change"] == "changed", ["gate", "what", "before", "after"]].values.tolist() == [
        [CAR.rsplit("/", 1)[0], "args.bounds", "[1.0,4.0]", "[1.0,3.0]"]
    ]
    assert (table["change"] == "removed").sum() == 2
    assert gate.diff(old, old).empty
    with pytest.raises(UsageError, match="found a Template, expected two templates, two gatings or two counts tables"):
        gate.diff(old, 3)


def test_study_with_an_override_differs_only_below_that_gate(study_copy: Path) -> None:
    """The whole way: counts of other samples, and of gates not below, are the same to the last event."""
    file = study_copy / "study.yaml"
    file.write_text(file.read_text("utf-8") + "gate: {draw: 5000}\n", "utf-8")
    loaded = study.load(file)
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    before = pd.read_csv(loaded.out / "tables" / "counts.csv")
    keys = {p.name: p.read_text() for p in (loaded.out / ".done" / "gate").glob("*.done.json")}
    sample = before["sample_id"].iloc[-1]
    (study_copy / "overrides.yaml").write_text(f"- {{sample: {sample}, gate: CAR+, threshold: {{VHH: 3.5}}, {SAID}}}\n")
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    changed = gate.diff(before, pd.read_csv(loaded.out / "tables" / "counts.csv"))
    assert set(changed["sample_id"]) == {sample}
    assert all("/CAR" in g for g in changed["gate"])
    later = {p.name: p.read_text() for p in (loaded.out / ".done" / "gate").glob("*.done.json")}

    assert {n for n in keys if keys[n] != later[n]} == {f"{sample}.done.json"}, "no other sample was gated again"
    thresholds = pd.read_csv(loaded.out / "tables" / "thresholds.csv")
    assert (thresholds["method"] == "override").sum() == 1


def test_check_tells_of_wrong_overrides_and_of_words_that_are_no_control(study_copy: Path) -> None:
    """Before hours of work: a gate that is not there, and a control whose name was misspelt."""
    sheet = pd.read_csv(study_copy / "samples.csv")
    sheet["control"] = ["helthy donor", "FMO VHH", *[""] * (len(sheet) - 2)]
    sheet.to_csv(study_copy / "samples.csv", index=False)
    sample = sheet["sample_id"][0]
    written(study_copy, f"sample: {sample}, gate: CD33+, threshold: {{CD3: 2}}, {SAID}")
    found = pipeline.check(study.load(study_copy))
    (fault,) = found.faults
    assert "overrides.yaml:1: no gate `CD33+`; did you mean `CD3+`?" in str(fault)
    notes = [str(c) for c in found.cautions if "control" in str(c)]
    assert len(notes) == 1
    assert f"`{sample}` has control `helthy donor`; took it as no control of the CAR gate" in notes[0]
