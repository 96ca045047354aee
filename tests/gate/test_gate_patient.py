"""The synthetic patient: CAR T cells found at every visit, shares as in the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, datasets, gate, io, panel


def scored(study: Path) -> pd.DataFrame:
    """Gate a patient and compare with the truth: one row a visit."""
    template, sheet = panel.load_gates("car_t_41"), io.read_sheet(study.parent / "samples.csv")
    events = []
    for row in sheet.itertuples():
        read = io.read_fcs(row.path, panel="car_t_41", sample_id=row.sample_id)
        events.append(clean.intact(clean.find_beads(read)))
    table = gate.place(template, (e.draw(50_000) for e in events), sheet)
    rows = []
    for e, row in zip(events, sheet.itertuples(), strict=True):
        g = gate.apply(e, template, table)
        truth = pd.read_csv(study.parent / "truth" / f"{Path(row.path).stem}.truth.csv", keep_default_na=False)
        cell = ((truth.live == 1) & (truth.singlet == 1) & (truth.bead == 0) & (truth.debris == 0)).to_numpy()
        car = cell & (truth.car == 1).to_numpy()
        blood = cell & (truth.cell_type != "erythroblast").to_numpy()
        host = cell & truth.cell_type.str.startswith("host").to_numpy()
        got, host_got = g.mask("CAR+"), g.mask("Host T")
        line = {
            "sample_id": row.sample_id,
            "f1": 2 * (got & car).sum() / (got.sum() + car.sum()),
            "ratio": got.sum() / g.mask("CD45+").sum() / (car.sum() / blood.sum()),
            "n_car": car.sum(),
        }
        for subset in ("CD4", "CD8", "DN"):
            named = (truth.subset == subset).to_numpy()
            line[f"car_{subset}"] = g.mask(f"CAR+/{subset}").sum() / got.sum() - (car & named).sum() / car.sum()
            line[f"host_{subset}"] = (
                g.mask(f"Host T/{subset}").sum() / host_got.sum() - (host & named).sum() / host.sum()
            )
        rows.append(line)
    return pd.DataFrame(rows).set_index("sample_id")


def assert_promised(found: pd.DataFrame) -> None:
    assert found.index.tolist() == ["2mo", "1yr", "3yr", "5yr"]
    assert found.f1.min() >= 0.95, found
    assert found.ratio.between(0.9, 1.1).all(), found
    shares = found.filter(regex="^(car|host)_")
    assert shares.shape[1] == 6
    assert shares.abs().to_numpy().max() <= 0.03, found


def test_small_patient(patient: Path) -> None:
    assert_promised(scored(patient))


def test_another_seed_with_host_gamma_delta_t_cells(tmp_path: Path) -> None:
    assert_promised(scored(datasets.patient(tmp_path, random_state=5, scale=0.15, scenario="gd")))


def test_paths_are_the_papers(patient: Path) -> None:
    events = io.read_fcs(patient.parent / "fcs" / "synthetic_2mo.fcs", panel="car_t_41")
    template = panel.load_gates("car_t_41")
    g = gate.apply(events, template, gate.place(template, [events]))
    chain = "cells/singlets/live/CD45+/CD11b-/CD11c-/CD66b-/CD19-/CD14-/CD7+/CD3+"
    assert g.car_gate == f"{chain}/CAR+"
    assert g.path("Host T/CD8") == f"{chain}/CAR-/CD8"
    assert not (g.mask("CAR+") & g.mask("CAR-")).any()
    assert np.array_equal(g.mask("CAR+") | g.mask("CAR-"), g.mask("CD3+"))
    assert set(g.blanks.blank) == {"CD11b+", "CD11c+", "CD66b+", "CD19+", "CD14+", "all"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_ten_patients_at_full_size(tmp_path: Path, seed: int) -> None:
    assert_promised(scored(datasets.patient(tmp_path, random_state=seed)))
