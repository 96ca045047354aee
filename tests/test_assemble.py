"""assemble: what stands in which slot, from gated samples and from what an earlier call wrote."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

import cytof as cy
from cytof.errors import InputError, SheetError, UsageError

pytestmark = pytest.mark.xdist_group("flow")


@pytest.fixture(scope="module")
def gated(patient: Path) -> list[cy.gate.Gating]:
    sheet = cy.io.read_sheet(patient.parent / "samples.csv")
    template = cy.panel.load_gates("car_t_41")
    samples = [
        cy.clean.intact(cy.clean.find_beads(cy.io.read_fcs(row.path, panel="car_t_41", sample_id=row.sample_id)))
        for row in sheet.itertuples()
    ]
    thresholds = cy.gate.place(template, (s.draw(20_000) for s in samples), sheet)
    return [cy.gate.apply(s, template, thresholds).keep("CD3+") for s in samples]


@pytest.fixture(scope="module")
def sheet(patient: Path) -> pd.DataFrame:
    return cy.io.read_sheet(patient.parent / "samples.csv")


def test_slots(gated: list[cy.gate.Gating], sheet: pd.DataFrame) -> None:
    adata = cy.assemble(gated, sheet)
    assert adata.n_obs == sum(map(len, gated))
    assert adata.X.dtype == np.float32
    np.testing.assert_allclose(adata.X, np.arcsinh(adata.layers["counts"] / 5), rtol=1e-5, atol=1e-6)
    expected = {
        "sample_id",
        "patient_id",
        "timepoint",
        "day",
        "batch_id",
        "condition",
        "event",
        "gate",
        "car",
        "subset",
    }
    assert expected <= set(adata.obs.columns)
    assert adata.obs["timepoint"].cat.ordered
    assert adata.obs["timepoint"].cat.categories.tolist() == ["2mo", "1yr", "3yr", "5yr"]
    assert adata.obs["car"].dtype == bool
    assert adata.obs["subset"].cat.categories.tolist() == ["CD4", "CD8", "DN", "DP"]
    assert adata.obs_names.is_unique
    assert {"CD45", "CD7", "CD3", "CD19"} <= set(adata.var_names[adata.var["gated"]])
    assert not adata.var.loc[["VHH", "CD4", "CD8"], "gated"].any()
    for table in ("counts", "thresholds", "blanks", "warnings", "steps", "panel"):
        assert isinstance(adata.uns["cytof"][table], pd.DataFrame)


def test_event_is_the_row_in_the_file(gated: list[cy.gate.Gating], sheet: pd.DataFrame) -> None:
    adata = cy.assemble(gated, sheet)
    row = sheet.iloc[2]
    raw = cy.io.read_fcs(row.path, panel="car_t_41")
    cells = adata[adata.obs["sample_id"] == row.sample_id]
    np.testing.assert_array_equal(
        cells.layers["counts"][:, cells.var_names.get_loc("VHH")], raw.column("VHH")[cells.obs["event"]]
    )


def test_of_h5ad_of_one_sample_each_is_the_same_table(
    gated: list[cy.gate.Gating], sheet: pd.DataFrame, tmp_path: Path
) -> None:
    whole = cy.assemble(gated, sheet)
    for gating in gated:
        cy.io.write_h5ad(tmp_path / f"{gating.events.sample_id}.h5ad", cy.assemble([gating], sheet))
    again = cy.assemble([cy.io.read_h5ad(tmp_path / f"{g.events.sample_id}.h5ad") for g in gated], sheet)
    np.testing.assert_array_equal(again.X, whole.X)
    pd.testing.assert_frame_equal(again.obs, whole.obs)
    pd.testing.assert_frame_equal(again.var, whole.var)
    pd.testing.assert_frame_equal(again.uns["cytof"]["counts"], whole.uns["cytof"]["counts"])


def test_scanpy_reads_it(gated: list[cy.gate.Gating], sheet: pd.DataFrame) -> None:
    scanpy = pytest.importorskip("scanpy")
    adata = cy.assemble(gated, sheet)
    adata = adata[adata.obs["car"]].copy()
    cy.neighbors(adata, k=15)
    scanpy.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False)
    assert adata.obs["leiden"].nunique() > 3


def test_events_without_gates_are_taken_whole() -> None:
    channels = cy.panel.channel_table(["Time", "Er170Di", "Nd145Di"], ["", "170Er_CD3", "145Nd_CD4"])
    a = cy.Events(np.ones((3, 3), np.float32), channels, {}, "a")
    b = cy.Events(np.ones((2, 2), np.float32), channels.iloc[:2], {}, "b")
    adata = cy.assemble([a, b])
    assert adata.var_names.tolist() == ["CD3"]
    dropped = adata.uns["cytof"]["warnings"]
    assert dropped[["sample_id", "where"]].values.tolist() == [["b", "b:CD4"]]
    everything = cy.assemble([a, b], markers="all")
    assert everything.var_names.tolist() == ["CD3", "CD4"]
    assert np.isnan(everything.X[3:, 1]).all()
    assert isinstance(everything, anndata.AnnData)


def test_one_antigen_on_two_metals_keeps_both() -> None:
    channels = cy.panel.channel_table(["Cd112Di", "Cd114Di", "Er170Di"], ["CD14", "CD14", "CD3"])
    counts = np.arange(6, dtype=np.float32).reshape(2, 3)
    adata = cy.assemble([cy.Events(counts, channels, {}, "a")])
    assert adata.var_names.tolist() == ["CD14_Cd112", "CD14_Cd114", "CD3"]
    np.testing.assert_array_equal(adata.layers["counts"], counts)


def test_faults_are_told() -> None:
    channels = cy.panel.channel_table(["Er170Di"], ["170Er_CD3"])
    events = cy.Events(np.ones((3, 1), np.float32), channels, {}, "visit_1")
    with pytest.raises(InputError, match="no samples to assemble; gate at least one file first"):
        cy.assemble([])
    with pytest.raises(SheetError, match="sample `visit_1` is not in the sheet; did you mean `visit_11`"):
        cy.assemble([events], pd.DataFrame({"sample_id": ["visit_11"], "patient_id": ["P"]}))
    other = cy.Events(np.ones((3, 1), np.float32), cy.panel.channel_table(["Nd145Di"], ["CD4"]), {}, "b")
    with pytest.raises(InputError, match="visit_1, b: the 2 samples have no mass channel in common"):
        cy.assemble([events, other])
    with pytest.raises(UsageError, match="markers is 'some', expected `common` or `all`"):
        cy.assemble([events], markers="some")


def test_a_sample_without_a_kept_cell_is_still_a_visit(gated: list[cy.gate.Gating], sheet: pd.DataFrame) -> None:
    empty = gated[3].keep("CAR+/DP")
    assert len(empty) == 0
    adata = cy.assemble([*gated[:3], empty], sheet)
    visits = adata.uns["cytof"]["samples"]
    assert visits[["sample_id", "day"]].values.tolist() == [["2mo", 60], ["1yr", 365], ["3yr", 1095], ["5yr", 1825]]
    assert "5yr" not in set(adata.obs["sample_id"])
    shares = cy.track.abundance(adata, population="CAR+", of="CD45+").set_index("sample_id")
    assert shares.at["5yr", "day"] == 1825
    assert shares.at["5yr", "n"] > 0
