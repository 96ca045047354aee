"""Panels: shipped ones are sound, files match by element and mass, and every fault of a panel file has its row."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from cytof import panel
from cytof.errors import PanelError
from cytof.panel import Panel, load
from cytof.panel.channel import parse_metal

PAPER = (
    "CD45 CD11b CD11c CD66b CD19 CD14 CD7 CD3 VHH CD4 CD8 HLA-DR CCR7 CD27 CD28 CD107a Ki67 CD38 GZMB PD-1 Tim-3 CD57"
).split()


def write(folder: Path, text: str) -> Path:
    path = folder / "my.csv"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("name", panel.names())
def test_shipped_panels_are_sound(name: str) -> None:
    shipped = load(name)
    assert shipped.table.index.is_unique
    assert len(set(shipped.antigens)) == len(shipped.antigens)
    for channel in shipped.table.index[shipped.table.marker_class != "none"]:
        assert parse_metal(channel), f"{channel} is no isotope"


def test_car_t_41_holds_every_antigen_the_paper_names() -> None:
    shipped = load("car_t_41")
    assert set(PAPER) <= set(shipped.antigens)
    assert (shipped.table.marker_class != "none").sum() == 41
    assert shipped.table.index[shipped.table.role == "car"].tolist() == [
        shipped.table.index[shipped.table.antigen == "VHH"][0]
    ]


@pytest.mark.parametrize(
    ("name", "antigen"),
    [("PD1", "PD-1"), ("CD279", "PD-1"), ("tim3", "Tim-3"), ("CD366", "Tim-3"), ("vhh", "VHH"), ("CD197", "CCR7")],
)
def test_synonyms(name: str, antigen: str) -> None:
    assert load("car_t_41").antigen(name) == antigen


def test_unknown_antigen_names_the_nearest() -> None:
    with pytest.raises(PanelError, match="panel car_t_41: unknown antigen `CD45X`; did you mean `CD45"):
        load("car_t_41").antigen("CD45X")


def test_match_by_mass_whatever_the_spelling() -> None:
    shipped = load("maxpar_30")
    for name, stain in (("Er170Di", "170Er_CD3"), ("(Er170)Dd", ""), ("CD3(Er170)Di", "CD3"), ("FJComp-Er170Di", "")):
        table, cautions = shipped.match([name], [stain])
        assert table.loc["Er170", ["antigen", "role", "marker_class"]].tolist() == ["CD3", "lineage", "type"]
        assert not [c for c in cautions if "names it" in c.found]


def test_another_antigen_on_the_same_metal_is_told() -> None:
    table, cautions = load("maxpar_30").match(["Er170Di"], ["170Er_CD99"], where="a.fcs")
    assert str(cautions[0]) == "a.fcs:Er170: the file names it `CD99`, the panel `CD3`; took the panel's name"
    assert table.at["Er170", "antigen"] == "CD3"


def test_missing_markers_are_listed_once() -> None:
    _, cautions = load("maxpar_30").match(["Er170Di"], ["170Er_CD3"], where="a.fcs")
    missing = [c for c in cautions if "not in this file" in c.found]
    assert len(missing) == 1
    assert "CD45 (Y89)" in missing[0].found
    assert "CD3 (" not in missing[0].found


@pytest.mark.parametrize(
    "text",
    [
        "channel,antigen\nNd142,CD19\n",
        "\ufeffchannel;antigen\r\n Nd142 ; CD19 \r\n",
        "channel\tantigen\nNd142Di\tCD19\n",
        "channel,antigen,marker_class,role,cofactor,synonyms,source\n(Nd142)Dd,CD19,,,,,\n",
    ],
)
def test_dialects(tmp_path: Path, text: str) -> None:
    mine = load(write(tmp_path, text))
    assert isinstance(mine, Panel)
    assert mine.name == "my"
    assert mine.table.loc["Nd142", ["antigen", "marker_class", "role", "cofactor"]].tolist() == [
        "CD19",
        "none",
        "none",
        5,
    ]


FULL = "channel,antigen,marker_class,role,cofactor\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chanel,antigen\nNd142,CD19\n", "column `channel` missing, found chanel, antigen; did you mean `chanel`?"),
        (FULL + ",CD19,,,\n", "my.csv:2: `channel` is empty; name the channel"),
        (FULL + "Nd142,,,,\n", "my.csv:2: `antigen` is empty; name the antigen"),
        (FULL + "Nd142,CD19,,,\n142Nd,CD20,,,\n", "my.csv:3: channel `Nd142` stands in row 2 too; keep one"),
        (FULL + "Nd142,CD19,,,\nSm147,CD19,,,\n", "my.csv:3: antigen `CD19` stands in row 2 too; keep one"),
        (FULL + "Nd142,CD19,typ,,\n", "marker_class is `typ`, expected one of type, state, none; did you mean `type`?"),
        (FULL + "Nd142,CD19,,linage,\n", "role is `linage`, expected one of lineage, car"),
        (FULL + "Nd142,CD19,,,0\n", "my.csv:2: cofactor is `0`, expected a number above 0"),
        (FULL + "Nd142,CD19,,,five\n", "my.csv:2: cofactor is `five`, expected a number above 0"),
        ("", "my.csv: the panel is empty"),
        (FULL, "my.csv: a header, but no channels"),
    ],
)
def test_every_fault_of_a_panel_file_has_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PanelError) as caught:
        load(write(tmp_path, text))
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_faults_at_once(tmp_path: Path) -> None:
    with pytest.raises(PanelError) as caught:
        load(write(tmp_path, FULL + ",CD19,,,\nNd142,,typ,,x\n"))
    assert len(str(caught.value).splitlines()) == 4


def test_a_panel_that_is_not_there() -> None:
    with pytest.raises(PanelError, match="no file and no shipped panel `car_t_40.csv`; did you mean `car_t_41`"):
        load("car_t_40")
    with pytest.raises(PanelError, match=r"nowhere/x\.csv: no such file"):
        load("nowhere/x.csv")


def test_an_antigen_on_a_new_metal_is_taken_by_name() -> None:
    table, cautions = load("maxpar_30").match(
        ["Yb171Di", "Pr999", "In113Di"], ["171Yb_CD20", "", "113In_CD3"], where="v2.fcs"
    )
    assert table.loc["In113", ["antigen", "role", "mass"]].tolist() == ["CD3", "lineage", 113]
    assert "v2.fcs:In113: CD3 is on In113, the panel has it on Er170; took it by name" in map(str, cautions)
    assert "CD3 (" not in cautions[-1].found


def test_a_file_without_metals_is_matched_by_name() -> None:
    table, cautions = load("maxpar_30").match(["CD3", "HLADR", "Time"], ["", "", ""], where="a.fcs")
    assert table.loc["Er170", ["pnn", "antigen", "metal", "mass"]].tolist() == ["CD3", "CD3", "Er", 170]
    assert table.at["Yb173", "antigen"] == "HLA-DR"
    assert any("named `CD3` without a metal" in c.found for c in cautions)


def test_two_candidates_are_none() -> None:
    table, _ = load("maxpar_30").match(["In113Di", "In115Di"], ["CD3", "CD3"])
    assert set(table.marker_class) == {"none"}


def test_diff(tmp_path: Path) -> None:
    first = load(write(tmp_path, FULL + "Nd142,PD-1,state,none,5\nEr170,CD3,type,lineage,5\nYb171,CD20,type,none,5\n"))
    second = load(write(tmp_path, FULL + "Nd143,PD-1,state,none,5\nEr170,CD3,type,lineage,8\nYb172,CD57,type,none,5\n"))
    assert panel.diff(first, second).values.tolist() == [
        ["PD-1", "channel", "Nd142", "Nd143"],
        ["CD3", "cofactor", "5", "8"],
        ["CD20", "missing", "Yb171", ""],
        ["CD57", "missing", "", "Yb172"],
    ]


def test_compatibility_of_visits() -> None:
    maxpar = load("maxpar_30")
    files = {"v1": (["Er170Di", "Y89Di"], ["CD3", "CD45"]), "v2": (["In113Di"], ["CD3"])}
    table = panel.compatibility({k: maxpar.match(*names)[0] for k, names in files.items()}, maxpar.antigens)
    assert table.loc["CD3"].tolist() == ["Er170", "In113", "common"]
    assert table.loc["CD45"].tolist() == ["Y89", "", "some"]
    assert table.at["CD19", "found"] == "none"


def test_guess_over_several_files_keeps_every_name() -> None:
    def file(**stains: str) -> SimpleNamespace:
        return SimpleNamespace(pnn=[f"{c}Di" for c in stains], pns=list(stains.values()))

    name, table = panel.guess(
        file(Er170="170Er_CD3", Nd142="VHH"), file(Er170="CD3e", Nd142="VHH", Nd145="CD4"), file(Er170="CD3")
    )
    assert name is None
    rows = table.set_index("channel")
    assert rows.loc["Er170", ["antigen", "synonyms", "role"]].tolist() == ["CD3", "CD3e", "lineage"]
    assert rows.at["Nd142", "role"] == "car"
    assert rows.index.tolist() == ["Er170", "Nd142", "Nd145"]


def test_guess_names_the_shipped_panel_only_when_every_file_fits() -> None:
    table = load("maxpar_30").table
    whole = SimpleNamespace(pnn=[f"{c}Di" for c in table.index], pns=[f"{c}_{a}" for c, a in table.antigen.items()])
    other = SimpleNamespace(pnn=["Er170Di"], pns=["CD3"])
    assert panel.guess(whole, whole)[0] == "maxpar_30"
    assert panel.guess(whole, other)[0] is None
