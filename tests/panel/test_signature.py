"""Signatures of subsets: read, held against the panel, every fault with its row."""

from __future__ import annotations

from pathlib import Path

import pytest

from cytof import panel
from cytof.errors import PanelError


@pytest.mark.parametrize("name", ["car_t_41", "maxpar_30"])
def test_shipped_signatures_stand_on_their_panel(name: str) -> None:
    found = panel.load_subsets(name, panel.load(name))
    assert len({s.name for s in found}) == len(found) >= 10
    assert all(s.signs for s in found)


def test_names_with_hyphens_and_text() -> None:
    exhausted = next(s for s in panel.load_subsets("car_t_41") if s.subset == "Exhausted-like")
    assert exhausted.signs == (("PD-1", True), ("Tim-3", True))
    assert exhausted.text == "PD-1+ Tim-3+"
    assert [s.name for s in panel.load_subsets("maxpar_30")][:2] == ["CD8 Naive", "CD8 Central memory"]


def test_every_fault_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "own.subsets.csv"
    path.write_text("subset,signature\nA,CD45RA+ CCR7\nB,CD4+ CD4-\n,CD4+\nC,CCR77+\nD,\nE,CD8+\nE,CD4+\n")
    with pytest.raises(PanelError) as caught:
        panel.load_subsets(path, panel.load("car_t_41"))
    lines = str(caught.value).splitlines()
    assert lines == [
        f"{path}:2: `CCR7` has no sign, expected signs such as `CD45RA+ CCR7-`",
        f"{path}:3: `CD4` stands twice in one signature; keep one sign",
        f"{path}:4: `subset` is empty; name the subset",
        f"{path}:5: unknown antigen `CCR77`; did you mean `CCR7`?",
        f"{path}:6: no marker, expected signs such as `CD45RA+ CCR7-`",
        f"{path}:8: `E` stands twice; keep one",
    ]
    path.write_text("subset,signs\n")
    with pytest.raises(PanelError, match="column `signature` missing, found subset, signs"):
        panel.load_subsets(path)
    path.write_text("subset,signature\n")
    with pytest.raises(PanelError, match="a header, but no subsets"):
        panel.load_subsets(path)
