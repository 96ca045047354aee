"""Gating-ML in: the ISAC compliance suite event for event, FlowKit beside us, and XML that must not be read.

The stranger's lines::

    strategy = flowkit.parse_gating_xml("gates.xml")
    results = strategy.gate_sample(flowkit.Sample("data1.fcs"))
    results.get_gate_membership("Polygon1")
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from cytof import gate, io
from cytof.errors import CytofError, InputError, UsageError
from cytof.region import Boolean, Dimension, Ellipse, Polygon, Rectangle
from cytof.scale import Scale

Real = Callable[[str], Path]
SPACE = 'xmlns:g="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
SPACE += 'xmlns:t="http://www.isac-net.org/std/Gating-ML/v2.0/transformations" '
SPACE += 'xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes"'
BOX = '<g:RectangleGate g:id="{id}"{more}><g:dimension g:compensation-ref="{comp}" g:min="1"{ref}>'
BOX += '<d:fcs-dimension d:name="A"/></g:dimension></g:RectangleGate>'


def box(id: str, more: str = "", comp: str = "uncompensated", ref: str = "") -> str:
    return BOX.format(id=id, more=more, comp=comp, ref=ref)


def document(tmp_path: Path, *parts: str) -> Path:
    path = tmp_path / "gates.xml"
    path.write_text(f"<g:Gating-ML {SPACE}>{''.join(parts)}</g:Gating-ML>", encoding="utf-8")
    return path


def isac(real_data: Real):
    return io.read_fcs(real_data("gatingml_compliance/data1.fcs"), linearize=True)


def documents(real_data: Real) -> list[Path]:
    # the one left out is not Gating-ML: its gate hides in an element of another name
    found = sorted(real_data("gatingml_compliance/gml").glob("*.xml"))
    return [f for f in found if f.name != "gml_range_gate_attr_testing.xml"]


def test_isac_suite_event_for_event(real_data: Real) -> None:
    truth = {
        f.stem.removeprefix("Results_"): np.array(f.read_text().split()) == "1"
        for f in real_data("gatingml_compliance/truth").glob("Results_*.txt")
    }
    events, seen, extra, compared = isac(real_data), set(), set(), 0
    for file in documents(real_data):
        imported = io.read_gates(file)
        assert not imported.refused, file.name
        gated = gate.apply_imported(events, imported)
        for path in gated.masks:
            name = {"ParRectangle1": "ParQuadRect"}.get(path.rsplit("/", 1)[-1], path.rsplit("/", 1)[-1])
            if name not in truth:
                extra.add(name)
                continue
            assert np.array_equal(gated.masks[path], truth[name]), (file.name, name)
            seen.add(name)
            compared += 1
    assert seen == set(truth)
    assert extra == {"myEllipse2"}  # the suite has no truth for it
    assert len(truth) == 51
    assert compared >= 100


def test_flowkit_and_we_agree_on_every_gate_it_loads(real_data: Real) -> None:
    import flowkit

    sample, events, n = flowkit.Sample(str(real_data("gatingml_compliance/data1.fcs"))), isac(real_data), 0
    for file in documents(real_data):
        strategy = flowkit.parse_gating_xml(str(file))
        results = strategy.gate_sample(sample)
        gated = gate.apply_imported(events, io.read_gates(file))
        for name, path in strategy.get_gate_ids():
            if name in {"Quadrant1", "Quadrant2"}:
                continue  # frames; their quadrants follow by their own names
            assert np.array_equal(results.get_gate_membership(name, path), gated.mask(name)), (file.name, name)
            n += 1
    assert n >= 80


@pytest.mark.parametrize("kind", ["logicle", "hyperlog", "log"])
def test_scales_equal_flowkit_and_go_there_and_back(kind: str) -> None:
    from flowkit import transforms

    scale = Scale(kind, T=262_144.0, W=0.0 if kind == "log" else 0.7, M=4.3, A=0.0 if kind == "log" else 0.2)
    x = np.r_[np.linspace(-3_000, 300_000, 5_001), np.geomspace(1e-3, 1e6, 500)]
    x = x[x > 0] if kind == "log" else x
    theirs = {
        "logicle": lambda: transforms.LogicleTransform(262_144, 0.7, 4.3, 0.2),
        "hyperlog": lambda: transforms.HyperlogTransform(262_144, 0.7, 4.3, 0.2),
        "log": lambda: transforms.LogTransform(262_144, 4.3),
    }[kind]()
    assert np.allclose(scale.forward(x), theirs.apply(x[:, None])[:, 0], rtol=0, atol=1e-13)
    assert np.allclose(scale.inverse(scale.forward(x)), x, rtol=1e-12, atol=1e-8)
    assert math.isnan(scale.forward(np.array([np.nan, 1.0]))[0])


def test_what_we_write_we_read(tmp_path: Path) -> None:
    logicle, log = Scale("logicle", T=1e4, W=0.5, M=4.5, A=0.0), Scale("log", T=1e4, M=4.0)
    old = (Dimension("FL1-H", scale=logicle), Dimension("FL2-H", scale=log))
    cd3, dna = Dimension("Er170Di", 5.0), Dimension("Ir191Di", 12.5)
    regions = {
        "cells": Rectangle((dna, Dimension("Time")), (3.3, -math.inf), (math.inf, 1e5)),
        "cells/T+": Polygon((cd3, Dimension("Y89Di", 5.0)), ((0.5, 0.5), (6, 1 / 3), (5, 5.1))),
        "cells/T+/oval": Ellipse((cd3, dna), (4.0, 5.0), ((0.9, 0.2), (0.2, 0.7)), 5.99),
        "cells/old": Rectangle(old, (0.2, 0.1), (0.9, 1)),
        "cells/rest": Boolean("and", ("cells/old", "cells/T+"), (False, True)),
    }  # fmt: skip
    parents = {p: p.rpartition("/")[0] or "root" for p in regions}
    io.write_gatingml(tmp_path / "g.xml", regions, parents)
    tree = io.read_gates(tmp_path / "g.xml").tree()
    assert dict(tree.parents) == parents
    assert {p: tree.regions[p] for p in regions} == regions


def test_gates_may_stand_in_any_order_and_their_names_may_hold_slashes(tmp_path: Path) -> None:
    child = '<d:custom_info><name>CD14+/- low</name></d:custom_info><g:dimension g:max="9">'
    child = f'<g:RectangleGate g:id="k" g:parent_id="p">{child}<d:fcs-dimension d:name="A"/></g:dimension>'
    tree = io.read_gates(document(tmp_path, f"{child}</g:RectangleGate>", box("p"))).tree()
    assert list(tree.regions) == ["p", "p/CD14+_- low"]
    assert tree.aliases["CD14+/- low"] == tree.aliases["k"] == "p/CD14+_- low"


@pytest.mark.parametrize(
    ("parts", "name", "reason"),
    [
        ((box("bad", comp="M"),), "bad", "refers to matrix `M`, which is not there"),
        ((box("bad", ref=' g:transformation-ref="T"'),), "bad", "refers to transformation `T`"),
        ((box("bad", more=' g:parent_id="gone"'),), "bad", "stands on `gone`, which is not imported"),
        ((box("bad", more=' g:parent_id="bad"'),), "bad", "stands on itself"),
        ((box("x", ' g:parent_id="bad"'), box("bad", ' g:parent_id="x"')), "bad", "stands on itself through `x`"),
        (('<g:SpiderGate g:id="bad"/>',), "bad", "SpiderGate is no gate of Gating-ML 2.0"),
        ((box("bad").replace('min="1"', 'min="nan"'),), "bad", "min='nan', expected a number"),
        (
            ('<t:transformation t:id="T"><t:logicle t:T="0" t:W="1" t:M="4" t:A="0"/></t:transformation>',
             box("bad", ref=' g:transformation-ref="T"')), "bad", "logicle has T=0",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_refused_by_branch_and_name(
    tmp_path: Path, parts: tuple[str, ...], name: str, reason: str
) -> None:
    below = box("below", ' g:parent_id="bad"')
    either = '<g:BooleanGate g:id="either"><g:or><g:gateReference g:ref="good"/><g:gateReference g:ref="below"/></g:or>'
    imported = io.read_gates(document(tmp_path, box("good"), *parts, below, f"{either}</g:BooleanGate>"))
    assert list(imported.table["gate"]) == ["good"]
    told = {c.where: c.found for c in imported.refused}
    assert reason in told[f"gates.xml:{name}"]
    assert told["gates.xml:below"] == "stands on `bad`, which is not imported"
    assert told["gates.xml:either"] == "stands on `below`, which is not imported"


def test_gates_that_other_software_cannot_be_told_are_not_written(tmp_path: Path) -> None:
    biex = Rectangle((Dimension("PE-A", scale=Scale("fj-biex", 262_144, -100, 4.4)),), (0.0,), (9.0,))
    with pytest.raises(UsageError, match="gate `PE` stands on FlowJo's biex scale"):
        io.write_gatingml(tmp_path / "g.xml", {"PE": biex}, {"PE": "root"})
    ratio = Rectangle((Dimension("FL2Rat1"),), (0.0,), (9.0,))
    with pytest.raises(UsageError, match="`FL2Rat1`, which is not a channel of the FCS file"):
        io.write_gatingml(tmp_path / "g.xml", {"r": ratio}, {"r": "root"}, channels={"FL2Rat1": ""})
    assert not list(tmp_path.iterdir())


ATTACKS = {
    "external entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "network entity": '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]><a>&x;</a>',
    "parameter entity": '<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><a/>',
    "billion laughs": '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>',
    "external DTD": '<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    "lower case": "<!doctype a><a/>",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["gates.xml", "work.wsp"])
def test_doctype_and_entities_are_refused_in_one_line(tmp_path: Path, text: str, encoding: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    with pytest.raises(InputError) as caught:
        io.read_gates(path)
    assert str(caught.value) == f"{name}: holds a DOCTYPE, which gate files never need; do not trust it"


def test_undeclared_entities_oversize_and_depth_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gates.xml"
    path.write_text(f"<g:Gating-ML {SPACE}>&x;</g:Gating-ML>")
    with pytest.raises(InputError, match=r"^gates\.xml:1: not well-formed XML: Entity 'x' not defined$"):
        io.read_gates(path)
    path.write_text("<a>" * 100_000)
    with pytest.raises(InputError, match=r"^gates\.xml:1: not well-formed XML: .*depth"):
        io.read_gates(path)
    with path.open("wb") as handle:
        handle.truncate(50_000_001)  # sparse: read, it would take 50 MB
    with pytest.raises(InputError, match=r"^gates\.xml: 50 MB, expected at most 50 MB of XML$"):
        io.read_gates(path)


FILES = {
    "gatingml_compliance/gml/gml_all_gates.xml": "gatingml_compliance/data1.fcs",
    "flowjo_flowsom/gating.wsp": "flowjo_flowsom/68983.fcs",
}


@pytest.mark.parametrize(("source", "fcs"), FILES.items())
def test_damaged_documents_are_imported_in_part_or_refused_in_words(
    real_data: Real, tmp_path: Path, source: str, fcs: str
) -> None:
    """Fifty mutants each: attributes changed or lost, elements lost; never another exception; children in parents."""
    events = io.read_fcs(real_data(fcs), linearize=True, events=100)
    rng, parser, imported = np.random.default_rng(0), etree.XMLParser(remove_comments=True), 0
    values = ["", "0", "-1", "1e308", "nan", "abc", "1e-320", "\u00b2", "/", "root", "FCS", "99999999999999999999"]
    for _ in range(50):
        tree = etree.parse(real_data(source), parser)
        elements = [e for e in tree.getroot().iter() if any(k in e.tag for k in ("ating-ML", "Population", "Sample"))]
        for e in (elements[i] for i in rng.integers(len(elements), size=3)):
            names, parent = list(e.attrib), e.getparent()
            if names and rng.random() < 0.7:
                e.set(names[rng.integers(len(names))], values[rng.integers(len(values))])
            elif names and rng.random() < 0.5:
                del e.attrib[names[rng.integers(len(names))]]
            elif parent is not None:
                parent.remove(e)
        tree.write(str(tmp_path / "mutant.xml"))
        try:
            gated = gate.apply_imported(events, io.read_gates(tmp_path / "mutant.xml"))
        except CytofError:
            continue
        imported += 1
        for path in gated.masks:
            if gated.parents[path] != "root":
                assert not (gated.masks[path] & ~gated.masks[gated.parents[path]]).any()
    assert imported > 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not well-formed XML"),
        ("not xml", "not well-formed XML: Start tag expected"),
        ("<a/>", "found <a>, expected Gating-ML 2.0 or a FlowJo 10 workspace"),
        ('<Gating-ML xmlns="http://www.isac-net.org/std/Gating-ML/v1.5/gating"/>', "another version of Gating-ML"),
        (f"<g:Gating-ML {SPACE}/>", "no gate that can be imported"),
        ("<Workspace/>", "no gate that can be imported"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "gates.xml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        io.read_gates(path)
    with pytest.raises(InputError, match="cannot be read"):
        io.read_gates(tmp_path / "absent.xml")
