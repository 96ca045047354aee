"""Cytobank's Gating-ML: tailored gates by file name, populations as sets of gates.

Judged by Cytobank's own export: each exported population lies wholly in its own gates, and by
`expected_gate_counts.csv`, counted by a separate small evaluator of the XML.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cytof import gate, io
from cytof.errors import InputError

Real = Callable[[str], Path]
XML = "liu2020_maxpar/CytExp_265881_Gates_v1.xml"
SPACE = 'xmlns:g="http://www.isac-net.org/std/Gating-ML/v2.0/gating" '
SPACE += 'xmlns:d="http://www.isac-net.org/std/Gating-ML/v2.0/datatypes"'


@pytest.fixture(scope="module")
def liu(real_data: Real) -> io.ImportedGates:
    return io.read_gates(real_data(XML))


def test_tree_of_populations_is_found_again(liu: io.ImportedGates) -> None:
    assert liu.flavour == "Cytobank"
    assert not liu.refused
    assert len(liu.samples) == 42
    tree = liu.tree()
    assert len(tree.regions) == 69
    assert not tree.blocks  # each population adds one gate to its parent's
    naive = tree.aliases["32 CD45RA+CD45RO-: ☑ CD8 Naive"]
    assert [p.split(" ")[0] for p in naive.split("/")] == [
        "Cleanup_Ce140-", "Cleanup_Residual", "Cleanup_Center", "Cleanup_Offset", "Cleanup_Width",
        "Cleanup_EventLength", "Cleanup_LiveDead", "Cleanup_DNA1", "Cleanup_DNA2", "01", "10", "26", "27", "28", "29",
        "30", "31", "32",
    ]  # fmt: skip
    scales = {d.cofactor for r in tree.regions.values() for d in r.dims}
    assert scales == {None, 5.0}
    assert tree.aliases["13 CD14+/-CD11c+: ☑ Total Monocytes"].endswith("/13 CD14+_-CD11c+: ☑ Total Monocytes")


@pytest.mark.parametrize("tailored", [True, False])
def test_every_exported_population_and_every_count(liu: io.ImportedGates, real_data: Real, tailored: bool) -> None:
    expected = pd.read_csv(real_data("liu2020_maxpar/expected_gate_counts.csv"))
    expected = expected[expected["tailored"] == tailored]
    assert len(expected) == 11
    populations = [c for c in expected if c[:2].isdigit()]
    for row in expected.set_index("file").itertuples():
        events = io.read_fcs(real_data(f"liu2020_maxpar/populations/{row.Index}"))
        gated = gate.apply_imported(events, liu, sample=None if tailored else "")  # None: $FIL names the tube
        counts = {name: int(gated.mask(name.strip()).sum()) for name in populations}
        assert counts == expected.set_index("file").loc[row.Index, populations].astype(int).to_dict(), row.Index
        number = row.Index.removeprefix("HuImmProfiling_S1_PBMC_1_")[:2]
        own = next(name for name in populations if name.startswith(number))
        if tailored:
            assert counts[own] == len(events) == row.n
        assert gated.events.warnings == events.warnings  # nothing left out, nothing to tell


def test_clean_up_gates_on_another_file_count_as_the_separate_evaluator(liu: io.ImportedGates, real_data: Real) -> None:
    """6,157 of 6,450 and so on down: `maxpar_cleanup_gate_counts.csv`."""
    gated = gate.apply_imported(io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs")), liu)
    n = {name.rsplit("/", 1)[-1]: int(gated.masks[name].sum()) for name in gated.masks}
    chain = ["Cleanup_Ce140-", "Cleanup_Residual", "Cleanup_Center", "Cleanup_Offset", "Cleanup_Width",
             "Cleanup_EventLength", "Cleanup_LiveDead", "Cleanup_DNA1", "Cleanup_DNA2"]  # fmt: skip
    assert [n[name] for name in chain] == [6157, 5297, 4999, 4597, 4585, 4306, 4267, 3770, 3452]
    assert any("no gates tailored to REP_1_deid.fcs" in c.found for c in gated.events.warnings)


def test_a_file_that_is_not_in_the_experiment_is_refused_when_it_is_named(liu: io.ImportedGates) -> None:
    with pytest.raises(InputError, match="no gates for `HuImmProfiling_S1_PBMC_9.fcs`.*did you mean"):
        liu.tree("HuImmProfiling_S1_PBMC_9.fcs")


def info(**words: str) -> str:
    inner = "".join(f"<{k}>{v}</{k}>" for k, v in words.items())
    return f"<d:custom_info><cytobank>{inner}</cytobank></d:custom_info>"


def drawn(number: int, name: str, low: float, file: str = "", per_population: str = "") -> str:
    told = info(name=name, gate_id=str(number), fcs_file_filename=file,
                tailored_per_population_gateset_id=per_population)  # fmt: skip
    dim = f'<g:dimension g:compensation-ref="FCS" g:min="{low}"><d:fcs-dimension d:name="A"/></g:dimension>'
    return f'<g:RectangleGate g:id="g{number}{file}">{told}{dim}</g:RectangleGate>'


def population(number: int, name: str, *gates: str) -> str:
    refs = "".join(
        f'<g:gateReference g:ref="{g.strip("!")}"' + (' g:use-as-complement="true"/>' if "!" in g else "/>")
        for g in gates
    )
    told = info(name=name, gate_set_id=str(number))
    return f'<g:BooleanGate g:id="s{number}">{told}<g:and>{refs}</g:and></g:BooleanGate>'


def experiment(tmp_path: Path, *parts: str) -> io.ImportedGates:
    path = tmp_path / "c.xml"
    path.write_text(f"<g:Gating-ML {SPACE}>{info(about='x')}{''.join(parts)}</g:Gating-ML>", encoding="utf-8")
    return io.read_gates(path)


def test_populations_of_several_new_gates_and_not_gates(tmp_path: Path) -> None:
    parts = (drawn(1, "one", 1), drawn(2, "two", 2), drawn(3, "three", 3, "f.fcs"), drawn(3, "three", 4))
    found = experiment(
        tmp_path, *parts, population(1, "P", "g1", "g1"), population(2, "Q", "g1", "g2", "!g3"),
        population(3, "R", "g1", "g2", "!g3", "g3"),
    )  # fmt: skip
    tree = found.tree()
    assert {p: q for p, q in tree.parents.items() if p not in tree.blocks} == {"P": "root", "P/Q": "P", "P/Q/R": "P/Q"}
    assert tree.blocks == {"gate 2 two", "gate 3 three"}
    assert tree.regions["P/Q"].names == ("gate 2 two", "gate 3 three")
    assert tree.regions["P/Q"].complement == (False, True)
    assert tree.regions["P/Q/R"].low == (4.0,)
    assert found.tree("f.fcs").regions["P/Q/R"].low == (3.0,)
    assert found.tree("f.fcs").own == {"P/Q", "P/Q/R"}


def test_what_cannot_be_imported_is_named_once(tmp_path: Path) -> None:
    parts = (drawn(1, "one", 1), drawn(1, "one", 2, "f.fcs"), drawn(2, "only f", 2, "f.fcs"))
    parts += (drawn(3, "each", 3, per_population="7"), drawn(4, "free", 4))
    found = experiment(
        tmp_path, *parts, population(1, "P", "g1", "g1"), population(2, "Q", "g1", "g2f.fcs"),
        population(3, "R", "g1", "g3"), population(4, "S", "g1", "g3", "g9"),
    )  # fmt: skip
    assert list(found.tree().regions) == ["P", "free"]
    assert list(found.tree("f.fcs").regions) == ["P", "P/Q", "free"]
    assert sorted(map(str, found.refused)) == [
        "c.xml:Q: gate `only f` has no default, only gates for single files; left out",
        "c.xml:R: gate `each` is tailored to single populations, which is not supported; left out",
        "c.xml:S: refers to gate `g9`, which is not there; left out",
    ]


def test_quadrants_are_gates_by_their_order_in_every_file(tmp_path: Path) -> None:
    def quadrant(file: str, at: float) -> str:
        told = info(name="quad", gate_id="5", fcs_file_filename=file)
        divider = f'<g:divider g:id="x" g:compensation-ref="FCS"><d:fcs-dimension d:name="A"/><g:value>{at}</g:value>'
        halves = "".join(
            f'<g:Quadrant g:id="{side}{file}"><g:position g:divider_ref="x" g:location="{at + shift}"/></g:Quadrant>'
            for side, shift in (("low", -1), ("high", 1))
        )
        return f'<g:QuadrantGate g:id="q{file}">{told}{divider}</g:divider>{halves}</g:QuadrantGate>'

    found = experiment(tmp_path, quadrant("", 3), quadrant("f.fcs", 8), population(1, "P", "high", "high"))
    assert found.tree().regions["P"].low == (3.0,)
    assert found.tree("f.fcs").regions["P"].low == (8.0,)
    assert found.tree().regions["quad quarter 1"].high == (3.0,)
