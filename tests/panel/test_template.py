# ruff: noqa: E501
"""Gating templates: the shipped ones stand, and every fault is told with its line and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cytof import panel
from cytof.errors import TemplateError

HEAD = "name: t\ngates:\n"
CD45 = "  - pop: CD45+\n    dims: CD45\n    gating_method: mindensity\n"
CD3 = "  - pop: CD3+\n    parent: CD45+\n    dims: CD3\n    gating_method: mindensity\n"


def load(tmp_path: Path, text: str, with_panel: str | None = None) -> panel.Template:
    path = tmp_path / "t.gates.yaml"
    path.write_text(text, "utf-8")
    return panel.load_gates(path, panel.load(with_panel) if with_panel else None)


def test_car_t_41_is_the_papers_chain() -> None:
    template = panel.load_gates("car_t_41", panel.load("car_t_41"))
    chain = "cells singlets live CD45+ CD11b- CD11c- CD66b- CD19- CD14- CD7+ CD3+"
    assert template.car_gate == "/".join([*chain.split(), "CAR+"])
    host = template.path("Host T")
    assert host == "/".join([*chain.split(), "CAR-"])
    assert template.subset_gates == {
        f"{arm}/{s}": s for arm in (template.car_gate, host) for s in ("CD4", "CD8", "DP", "DN")
    }
    for arm in ("CAR+", "CAR-"):
        assert template.gate(f"{arm}/DN").args["place_on"] == template.path("CD3+")
        assert template.gate(f"{arm}/CD4").signs == "+-"


def test_maxpar_30_has_subsets_and_no_car_gate() -> None:
    template = panel.load_gates("maxpar_30", panel.load("maxpar_30"))
    assert template.car_gate is None
    assert template.path("CD3+") == "cells/singlets/live/CD45+/CD3+"
    assert set(template.subset_gates.values()) == {"CD4", "CD8", "DN", "DP"}
    assert len(panel.load("maxpar_30").antigens) == 30


def test_parents_may_stand_below_and_come_first(tmp_path: Path) -> None:
    template = load(tmp_path, HEAD + CD3 + CD45)
    assert template.paths == ("CD45+", "CD45+/CD3+")
    assert template.gate("CD3+").line == 3


def test_names_resolve_by_end_alias_and_not_by_guess(tmp_path: Path) -> None:
    template = panel.load_gates("car_t_41")
    assert template.path("CAR T/DN").endswith("CD3+/CAR+/DN")
    assert template.path("root") == "root"
    with pytest.raises(TemplateError, match=r"`DN` stands for 2 gates; write one of `CAR\+/DN`, `CAR-/DN`"):
        template.path("DN")
    with pytest.raises(TemplateError, match=r"no gate `CD19\+`; did you mean `CD1"):
        template.path("CD19+")


FAULTS = {
    "unknown method": (
        HEAD + "  - pop: A+\n    dims: CD3\n    gating_method: mindensty\n",
        r"t\.gates\.yaml:5: gating_method is `mindensty`; did you mean `mindensity`\?",
    ),
    "no method": (HEAD + "  - pop: A+\n    dims: CD3\n", r":3: `gating_method` is missing; expected one of mindensity"),
    "unknown parent": (HEAD + CD45 + CD3.replace("CD45+", "CD54+"), r":6: parent of `CD3\+`: no gate `CD54\+`; did you mean `CD45\+`\?"),
    "circle": (
        HEAD + CD45 + CD3.replace("CD45+", "B+") + CD3.replace("CD3+", "B+").replace("CD45+", "CD3+"),
        r":6: gate `CD3\+` hangs on `B\+`.*; parents must not go in a circle",
    ),
    "own parent": (HEAD + CD3.replace("CD45+", "CD3+"), r":3: gate `CD3\+` hangs on `CD3\+`"),
    "twice": (HEAD + CD45 + CD3 + CD3, r":10: pop `CD3\+` stands under CD45\+ already \(line 6\); give one another name"),
    "unknown key": (HEAD + CD45 + "    colapse: pooled\n", r":6: unknown key `colapse` of a gate; did you mean `collapse`\?"),
    "unknown top key": ("gate: []\n" + HEAD + CD45, r":1: unknown key `gate` of the template; did you mean `gates`\?"),
    "unknown argument": (
        HEAD + CD45 + "    gating_args: {bound: [1, 2]}\n",
        r":6: unknown key `bound` of gating_args of mindensity; did you mean `bounds`\?",
    ),
    "bounds upside down": (HEAD + CD45 + "    gating_args: {bounds: [4, 1]}\n", r":6: bounds are \[4, 1\], expected \[low, high\] with low < high"),
    "bounds of one": (HEAD + CD45 + "    gating_args: {bounds: 4}\n", r":6: bounds are 4, expected \[low, high\]"),
    "bounds of another": (HEAD + CD45 + "    gating_args: {bounds: {CD54: [1, 2]}}\n", r":6: bounds name `CD54`; did you mean `CD45`\?"),
    "number": (HEAD + CD45 + "    gating_args: {min_depth: 2}\n", r":6: min_depth is 2, expected a number from 0 to 1"),
    "collapse": (HEAD + CD45 + "    collapse: pool\n", r":6: collapse is `pool`, expected one of sample, batch, pooled; did you mean `pooled`\?"),
    "dims": (HEAD + CD45.replace("dims: CD45", "dims: [CD45, CD3]"), r":4: mindensity has 2 dims, expected 1"),
    "quadrant pop": (
        HEAD + "  - pop: CD4\n    dims: [CD4, CD8]\n    gating_method: quadrant\n",
        r":3: a quadrant's pop is a mapping of names to signs",
    ),
    "quadrant signs": (
        HEAD + '  - pop: {CD4: "+"}\n    dims: [CD4, CD8]\n    gating_method: quadrant\n',
        r":3: signs of `CD4` are `\+`, expected \+\+, \+-, -\+, --",
    ),
    "slash": (HEAD + CD45.replace("CD45+", "CD45/x"), r":3: `CD45/x` cannot be a pop's name"),
    "boolean names": (
        HEAD + "  - pop: cells\n    gating_method: boolean\n    gating_args: {none_of: [beads]}\n",
        r":3: `cells`: no gate `beads` before it; .*flags of clean: bead, unsteady, debris, doublet, dead",
    ),
    "boolean looks ahead": (
        HEAD + "  - pop: x\n    gating_method: boolean\n    gating_args: {none_of: [CD45+]}\n" + CD45,
        r":3: `x`: no gate `CD45\+` before it",
    ),
    "any_of with more": (
        HEAD + "  - pop: x\n    gating_method: boolean\n    gating_args: {any_of: [bead], none_of: [dead]}\n",
        r":5: any_of stands with other arguments",
    ),
    "range": (HEAD + "  - pop: x\n    dims: Time\n    gating_method: range\n    gating_args: {low: 5, high: 5}\n", r":6: low is 5, high is 5, expected low < high"),
    "polygon": (
        HEAD + "  - pop: x\n    dims: [A, B]\n    gating_method: polygon\n    gating_args: {vertices: [[0, 0], [1, 1]]}\n",
        r":6: polygon needs `vertices`: at least three",
    ),
    "two car gates": (HEAD + CD45 + "    car: true\n" + CD3 + "    car: true\n", r":7: `car: true` stands on two gates; keep one"),
    "alias twice": (HEAD + CD45 + "    alias: T\n" + CD3 + "    alias: T\n", r":7: alias `T` is given twice"),
    "no gates": ("name: t\n", r"`gates` is missing or empty; list at least one gate"),
    "not yaml": ("gates: [\n", r"t\.gates\.yaml:\d+: not YAML"),
    "text": ("just text\n", r"found no mapping"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault_has_line_and_remedy(tmp_path: Path, name: str) -> None:
    text, message = FAULTS[name]
    with pytest.raises(TemplateError, match=message) as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 2


def test_antigens_are_looked_up_in_the_panel(tmp_path: Path) -> None:
    with pytest.raises(
        TemplateError, match=r":3: `CD45\+`: unknown antigen `CD455` in panel maxpar_30; did you mean `CD45`\?"
    ):
        load(tmp_path, HEAD + CD45.replace("dims: CD45", "dims: CD455"), "maxpar_30")
    assert load(tmp_path, HEAD + CD45.replace("dims: CD45", "dims: CD8a"), "maxpar_30").antigens == ("CD8a",)


def test_all_faults_come_at_once_in_order(tmp_path: Path) -> None:
    text = HEAD + CD45 + "    colapse: pooled\n" + CD3 + "    subset: CD5\n    car: 7\n"
    with pytest.raises(TemplateError) as caught:
        load(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in lines] == ["6", "11", "12"]


def test_unknown_template_lists_the_shipped_ones() -> None:
    with pytest.raises(TemplateError, match=r"no shipped panel `car_t_14\.gates\.yaml`.*car_t_41"):
        panel.load_gates("car_t_14")


def test_byte_order_mark_and_crlf_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "t.gates.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + (HEAD + CD45).replace("\n", "\r\n").encode())
    assert panel.load_gates(path).paths == ("CD45+",)
