"""Every spelling of a channel gives its element and mass; roles come from masses and names."""

# ruff: noqa: E501

from __future__ import annotations

import pytest

from cytof.panel import channel_table
from cytof.panel.channel import canonical_role, marker_from_name, parse_metal, same_antigen_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Y89Di", ("Y", 89)), ("(Rh103)Di", ("Rh", 103)), ("CD19(Nd142)Di", ("Nd", 142)), ("CD45(In115)Dd", ("In", 115)),
        ("BCKG190Di", ("BCKG", 190)), ("ArAr80Di", ("ArAr", 80)), ("141Pr_CD196_CCR6", ("Pr", 141)), ("120Sn", ("Sn", 120)),
        ("140Ce_Bead", ("Ce", 140)), ("FJComp-Er170Di", ("Er", 170)), ("Eu153_CD25", ("Eu", 153)), ("(Pm147)Di", ("Pm", 147)),
        ("Event_length", None), ("Time", None), ("FSC-A", None), ("V450-A", None), ("CD3", None), ("Y2020", None),
        ("I127Di", ("I", 127)), ("IL10", None), ("Nd999Di", None), ("CD3(110:114)Dd", None), ("", None),
    ],
)  # fmt: skip
def test_element_and_mass(text: str, expected: tuple[str, int] | None) -> None:
    assert parse_metal(text) == expected


@pytest.mark.parametrize(
    ("pnn", "pns", "expected"),
    [
        ("Nd142Di", "142Nd_CD19", "CD19"), ("Nd142Di", "CD19", "CD19"), ("Nd142Di", "CD19_142Nd", "CD19"),
        ("CD19(Nd142)Di", "", "CD19"), ("(Nd142)Di", " CAR-T ", "CAR-T"), ("Yb173Di", "173Yb_HLA-DR", "HLA-DR"),
        ("Pr141Di", "141Pr_CD196_CCR6", "CD196_CCR6"), ("Sn120Di", "120Sn", ""), ("Nd142Di", "", ""),
        ("FJComp-Nd142Di", "", ""), ("Er170Dd", "170Er", ""), ("Gd160Di", "Ki-67_160Gd", "Ki-67"),
    ],
)  # fmt: skip
def test_antigen_without_the_metal(pnn: str, pns: str, expected: str) -> None:
    assert marker_from_name(pnn, pns) == expected


@pytest.mark.parametrize(
    ("name", "stain", "role"),
    [
        ("Time", "", "time"), ("Event_length", "", "event_length"), ("Cell_length", " ", "event_length"),
        ("Center", "", "gaussian"), ("Residual", "Residual", "gaussian"), ("Ir191Di", "191Ir_DNA1", "dna"),
        ("Rh103Di", "103Rh_Live_Dead", "viability"), ("Pt195Di", "Cisplatin", "viability"), ("Pt195Di", "195Pt", "none"),
        ("Ce140Di", "140Ce_Bead", "bead"), ("Er170Di", "170Er_CD3", "none"), ("beadDist", "", "none"), ("Barcode", "", "none"),
    ],
)  # fmt: skip
def test_role(name: str, stain: str, role: str) -> None:
    assert channel_table([name], [stain])["role"].tolist() == [role]


def test_role_needs_no_metal() -> None:
    assert canonical_role("time", None, None, "") == "time"


def test_repeated_channels_keep_all_columns_under_names_of_their_own() -> None:
    table = channel_table(["A", "A", "A-2", "Nd142Di", "Nd142Dd"], [""] * 5)
    assert table.index.is_unique
    assert list(table.pnn) == ["A", "A", "A-2", "Nd142Di", "Nd142Dd"]
    assert list(table.index[3:]) == ["Nd142", "Nd142-2"]


@pytest.mark.parametrize("other", ["PD1", "pd-1", "PD 1", "PD_1", "pd/1"])
def test_spellings_of_one_antigen(other: str) -> None:
    assert same_antigen_key(other) == same_antigen_key("PD-1")
    assert same_antigen_key("PD-L1") != same_antigen_key("PD-1")
