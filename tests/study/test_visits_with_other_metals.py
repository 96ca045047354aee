"""An antigen on a new metal at one visit, and a marker missing at one visit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cytof import io, panel, pipeline, study

pytestmark = pytest.mark.xdist_group("metals")


@pytest.fixture
def moved(study_copy: Path) -> Path:
    """In the third visit Ki67 (Nd143 in the panel) was stained on In115."""
    file = study_copy / "fcs" / "synthetic_3yr.fcs"
    events = io.read_fcs(file, panel="car_t_41")
    channels = events.channels.rename(index={"Nd143": "In115"})
    assert "In115" not in events.channels.index
    channels.loc["In115", ["pnn", "pns"]] = ["In115Di", "115In_Ki67"]
    io.write_fcs(file, events.replace(channels=channels))
    return study_copy


def test_a_panel_of_its_own_for_one_visit(moved: Path) -> None:
    text = panel.find("car_t_41").read_text().replace("Nd143", "In115")
    (moved / "panel_3yr.csv").write_text(text)
    sheet = (moved / "samples.csv").read_text().splitlines()
    rows = [line + (",panel_3yr.csv" if "3yr" in line else ",") for line in sheet[1:]]
    (moved / "samples.csv").write_text("\n".join([sheet[0] + ",panel", *rows]) + "\n")
    loaded = study.load(moved)
    found = study.check(loaded)
    assert found.faults == []
    assert found.compatibility.loc["Ki67"].tolist() == ["Nd143", "Nd143", "In115", "Nd143", "common"]
    pipeline.gate(loaded)
    cells = pipeline.cluster(loaded)
    assert "Ki67" in cells.var_names
    raw = io.read_fcs(moved / "fcs" / "synthetic_3yr.fcs").column("In115")
    third = cells[cells.obs["sample_id"] == "3yr"]
    np.testing.assert_array_equal(third.layers["counts"][:, third.var_names.get_loc("Ki67")], raw[third.obs["event"]])


def test_an_antigen_on_another_metal_is_taken_by_its_name_and_said(moved: Path) -> None:
    found = study.check(study.load(moved))
    assert found.faults == []
    assert found.compatibility.loc["Ki67"].tolist() == ["Nd143", "Nd143", "In115", "Nd143", "common"]
    assert any("Ki67" in str(c) and "In115" in str(c) for c in found.cautions)


def test_a_marker_missing_at_one_visit_is_listed_or_nan(moved: Path) -> None:
    """`common` drops it everywhere and says so, `all` keeps it with NaN."""
    file = moved / "fcs" / "synthetic_3yr.fcs"
    events = io.read_fcs(file)
    channels = events.channels.copy()
    channels.loc["In115", "pns"] = ""
    io.write_fcs(file, events.replace(channels=channels))
    loaded = study.load(moved)
    found = study.check(loaded)
    assert found.faults == []
    assert found.compatibility.loc["Ki67"].tolist() == ["Nd143", "Nd143", "", "Nd143", "some"]
    pipeline.gate(loaded)
    cells = pipeline.cluster(loaded)
    assert "Ki67" not in cells.var_names
    warned = cells.uns["cytof"]["warnings"]
    assert warned.loc[warned["where"] == "3yr:Ki67", "found"].tolist() == ["no channel for this marker"]
    (moved / "study.yaml").write_text((moved / "study.yaml").read_text() + "markers: all\n")
    everything = pipeline.cluster(study.load(moved))
    column = everything.X[:, everything.var_names.get_loc("Ki67")]
    third = (everything.obs["sample_id"] == "3yr").to_numpy()
    assert np.isnan(column[third]).all()
    assert np.isfinite(column[~third]).all()
    pipeline.track(study.load(moved), everything)
    pipeline.compare(study.load(moved), everything)
    pipeline.report(study.load(moved), everything)
