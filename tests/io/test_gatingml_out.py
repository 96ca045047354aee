"""Gating-ML out: FlowKit loads it and calls every event as we do.

The stranger's lines::

    strategy = flowkit.parse_gating_xml("gates.xml")
    results = strategy.gate_sample(flowkit.Sample("tube.fcs"))
    results.get_gate_membership("CARpos")
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import flowkit
import numpy as np
import pytest
from lxml import etree

from cytof import clean, gate, io, panel
from cytof.errors import UsageError
from cytof.events import Events
from cytof.region import Boolean, Dimension, Ellipse, Polygon, Rectangle, mask

GATING = "{http://www.isac-net.org/std/Gating-ML/v2.0/gating}"
Real = Callable[[str], Path]


def flowkit_masks(xml: Path, fcs: Path) -> dict[str, np.ndarray]:
    """Return path -> membership as FlowKit sees it."""
    import flowkit

    results = flowkit.parse_gating_xml(str(xml)).gate_sample(flowkit.Sample(str(fcs), ignore_offset_error=True))
    ids = {e.findtext(".//path"): e.get(f"{GATING}id") for e in etree.parse(xml).getroot() if e.findtext(".//path")}
    return {path: results.get_gate_membership(i) for path, i in ids.items()}


def gated(fcs: Path, name: str) -> gate.Gating:
    template = panel.load_gates(name)
    events = clean.intact(clean.find_beads(io.read_fcs(fcs, panel=name)))
    return gate.apply(events, template, gate.place(template, [events]))


def compared(fcs: Path, name: str, tmp_path: Path) -> int:
    g, xml = gated(fcs, name), tmp_path / "gates.xml"
    io.write_gatingml(
        xml, g.regions, g.parents, channels=g.events.channels["pnn"].to_dict(), sample_id=g.events.sample_id
    )
    theirs = flowkit_masks(xml, fcs)
    assert set(theirs) == set(g.regions)
    for path in g.masks:
        assert np.array_equal(theirs[path], g.masks[path]), path
    for flag in g.events.flags:
        assert np.array_equal(theirs[flag], g.events.flags[flag]), flag
    return g.masks.shape[1]


@pytest.mark.parametrize("visit", ["2mo", "5yr"])
def test_flowkit_calls_every_event_of_the_patient_alike(patient: Path, tmp_path: Path, visit: str) -> None:
    assert compared(patient.parent / "fcs" / f"synthetic_{visit}.fcs", "car_t_41", tmp_path) == 21


def test_flowkit_calls_every_event_of_real_files_alike(real_data: Real, tmp_path: Path) -> None:
    folder = "liu2020_maxpar/populations/HuImmProfiling_S1_PBMC_1_"
    for name in (f"{folder}35_CD8_CD27_____CD8_Effector_Memory.fcs", "cytofqc_raw/raw_cytof.fcs"):
        assert compared(real_data(name), "maxpar_30", tmp_path) == 20


REGIONS = {
    "box": Rectangle((Dimension("Ir191", 5.0), Dimension("Time")), (5.0, 100.0), (7.5, math.inf)),
    "box/poly": Polygon(
        (Dimension("Er170", 5.0), Dimension("Y89", 5.0)), ((1.1, 1.3), (6.2, 0.9), (5.7, 4.6), (0.7, 4.4))
    ),
    "box/oval": Ellipse((Dimension("Er170", 5.0), Dimension("Y89", 5.0)), (4.2, 4.6), ((0.9, 0.2), (0.2, 0.7)), 5.99),
    "box/poly/wide": Rectangle((Dimension("Er170", 12.5),), (0.3,), (math.inf,)),
    "box/either": Boolean("or", ("box/poly", "box/oval")),
    "box/only oval": Boolean("and", ("box/oval", "box/poly"), (False, True)),
    "box/not poly": Boolean("not", ("box/poly",)),
    "box/same": Boolean("and", ("box/poly",)),
    "all": Rectangle((Dimension("Time"),), (-math.inf,), (math.inf,)),
}  # fmt: skip
PARENTS = {path: path.rpartition("/")[0] or "root" for path in REGIONS}


def test_every_kind_of_region_counts_alike(real_data: Real, tmp_path: Path) -> None:
    fcs = real_data("cytofqc_raw/raw_cytof.fcs")
    events = io.read_fcs(fcs, panel="maxpar_30")
    masks: dict[str, np.ndarray] = {}
    for path, region in REGIONS.items():
        hit = mask(region, events.column, masks)
        masks[path] = hit if PARENTS[path] == "root" else hit & masks[PARENTS[path]]
    io.write_gatingml(tmp_path / "g.xml", REGIONS, PARENTS, channels=events.channels["pnn"].to_dict())
    theirs = flowkit_masks(tmp_path / "g.xml", fcs)
    for path in REGIONS:
        assert np.array_equal(theirs[path], masks[path]), path
    assert 100 < masks["box/only oval"].sum() < masks["box/either"].sum() < masks["box"].sum() < masks["all"].sum()


def test_arcsinh_is_written_as_the_standard_says(tmp_path: Path) -> None:
    """Section 6.4: fasinh(x) = (arcsinh(x sinh(M ln 10 + A ln 10) / T) + A ln 10) / ((M + A) ln 10)."""
    io.write_gatingml(tmp_path / "g.xml", REGIONS, PARENTS)
    space = {"t": "http://www.isac-net.org/std/Gating-ML/v2.0/transformations"}
    found = {}
    for scale in etree.parse(tmp_path / "g.xml").iterfind("t:transformation", space):
        term = scale[0]
        t, m, a = (float(term.get(f"{{{space['t']}}}{k}")) for k in "TMA")
        found[scale.get(f"{{{space['t']}}}id")] = (math.asinh(70 * math.sinh((m + a) * math.log(10)) / t) + a) / (
            (m + a) * math.log(10)
        )
    assert found == pytest.approx({"arcsinh_5": math.asinh(14), "arcsinh_12p5": math.asinh(5.6)})


def test_ids_are_xml_names_short_readable_and_unique(tmp_path: Path) -> None:
    box = Rectangle((Dimension("Er170"),), (1.0,), (2.0,))
    paths = ["CD3+", "CD3+/CAR+", "CD3+/CAR+/DN", "CD3+/CAR-", "CD3+/CAR-/DN", "1 <&>\"'\x07", "CD3pos", "é"]
    parents = {p: p.rpartition("/")[0] or "root" for p in paths}
    io.write_gatingml(tmp_path / "g.xml", dict.fromkeys(paths, box), parents)
    gates = [e for e in etree.parse(tmp_path / "g.xml").getroot() if e.get(f"{GATING}id")]
    ids = [e.get(f"{GATING}id") for e in gates]
    assert ids[:5] == ["CD3pos", "CARpos", "CARpos_DN", "CARneg", "CARneg_DN"]
    assert len(set(ids)) == len(paths)
    assert gates[2].findtext(".//path") == "CD3+/CAR+/DN"
    assert gates[2].get(f"{GATING}parent_id") == "CARpos"
    import flowkit

    assert len(flowkit.parse_gating_xml(str(tmp_path / "g.xml")).get_gate_ids()) == len(paths)


def test_same_gates_same_bytes(tmp_path: Path) -> None:
    for name in ("a.xml", "b.xml"):
        io.write_gatingml(tmp_path / name, REGIONS, PARENTS)
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.xml", "b.xml"]


def test_a_file_that_is_already_transformed_gets_no_second_scale(real_data: Real, tmp_path: Path) -> None:
    fcs = real_data("liu2020_maxpar/downsample.fcs")
    events: Events = io.read_fcs(fcs, panel="maxpar_30")
    assert events.transformed
    channel = events.channel("CD3")
    regions = {"CD3+": Rectangle((Dimension(channel, 5.0),), (2.4,), (math.inf,))}
    pnn = events.channels["pnn"].to_dict()
    io.write_gatingml(tmp_path / "g.xml", regions, {"CD3+": "root"}, channels=pnn, transformed=True)
    theirs = flowkit_masks(tmp_path / "g.xml", fcs)["CD3+"]
    assert np.array_equal(theirs, mask(regions["CD3+"], events.column))


def test_gates_that_refer_to_nothing_are_refused(tmp_path: Path) -> None:
    box = REGIONS["box"]
    with pytest.raises(UsageError, match="gate `a` refers to `b`, which is not among the regions"):
        io.write_gatingml(tmp_path / "g.xml", {"a": box}, {"a": "b"})
    with pytest.raises(UsageError, match="gate `a` has no parent; give `root`"):
        io.write_gatingml(tmp_path / "g.xml", {"a": box}, {})
    with pytest.raises(UsageError, match="gate `n` refers to `bead`"):
        io.write_gatingml(tmp_path / "g.xml", {"n": Boolean("not", ("bead",))}, {"n": "root"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("low", "high"), [(math.inf, math.inf), (-math.inf, -math.inf)])
def test_a_gate_that_lets_nothing_in_stays_empty_in_flowkit(low: float, high: float, tmp_path: Path) -> None:
    """An infinite bound must not be left out: without it the gate would hold every event."""
    io.write_fcs(tmp_path / "a.fcs", np.arange(10, dtype=np.float32)[:, None], pnn=["Er170Di"])
    for dimension in (Dimension("Er170Di"), Dimension("Er170Di", 5.0)):
        io.write_gatingml(tmp_path / "a.xml", {"none": Rectangle((dimension,), (low,), (high,))}, {"none": "root"})
        counts = flowkit.parse_gating_xml(tmp_path / "a.xml").gate_sample(flowkit.Sample(tmp_path / "a.fcs")).report
        assert counts["count"].tolist() == [0]
