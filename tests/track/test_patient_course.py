"""The synthetic patient: Figure 4C as rows, and host double negative T cells that are there only where planted."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import cytof as cy
from cytof import datasets, pipeline, study, track

VISITS = ("2mo", "1yr", "3yr", "5yr")


def gated_cells(folder: Path, scenario: str, scale: float) -> tuple[object, Path]:
    file = datasets.patient(folder, scenario=scenario, scale=scale, random_state=0)
    loaded = study.load(file)
    pipeline.gate(loaded)
    parts = [cy.io.read_h5ad(loaded.out / "gated" / f"{v}.h5ad") for v in VISITS]
    return cy.assemble(parts, cy.io.read_sheet(folder / "samples.csv")), loaded.out / "tables"


def rows(table: pd.DataFrame, population: str) -> pd.DataFrame:
    return table[table["population"] == population].set_index("sample_id")


@pytest.mark.parametrize(
    ("scale", "points"), [(0.1, 0.06), pytest.param(1.0, 0.02, marks=pytest.mark.slow)], ids=["small", "full"]
)
@pytest.mark.parametrize(("scenario", "word"), [("paper", "not detected"), ("gd", "detected")])
def test_figure_4c_and_host_double_negatives(
    tmp_path: Path, scenario: str, word: str, scale: float, points: float
) -> None:
    """Xu et al. 2024: 91.6 % double negative and under 10 % CD8 at five years; no host DN subset (scenario paper)."""
    cells, tables = gated_cells(tmp_path, scenario, scale)
    host = rows(track.subsets(cells, of="CAR-"), "DN")
    assert host["call"].tolist() == [word] * 4, host[["n", "lob", "loq", "call"]]
    car = track.subsets(cells, of="CAR+")
    assert rows(car, "DN").loc["5yr", "fraction"] == pytest.approx(0.916, abs=points)
    assert rows(car, "CD8").loc["5yr", "fraction"] < 0.10
    assert rows(car, "DN")["fraction"].is_monotonic_increasing
    shares = track.abundance(cells)
    assert shares["call"].eq("detected").all()
    assert shares["fraction"].tolist() == pytest.approx([0.0301, 0.0104, 0.0049, 0.0024], rel=0.12)
    course = track.persistence(shares).iloc[0]
    assert course["half_life_low"] < course["half_life"] < course["half_life_high"]
    assert (course["tmax"], course["tlast"], course["tlast_status"]) == (60, 1825, "right censored")
    without = pd.read_csv(tables / "gate_sensitivity.csv")
    assert (without["ratio"].between(0.99, 1.25)).all()
