"""The main job on the synthetic patient, held against what was planted."""

from __future__ import annotations

from pathlib import Path

import anndata
import flowkit
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

import cytof as cy
from cytof import datasets, pipeline, provenance, study
from cytof.errors import InputError

pytestmark = pytest.mark.xdist_group("flow")

VISITS = ("2mo", "1yr", "3yr", "5yr")
SEEDS = [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(1, 10))]


def truth_of(folder: Path, visit: str) -> pd.DataFrame:
    return pd.read_csv(folder / "truth" / f"synthetic_{visit}.truth.csv", keep_default_na=False)


@pytest.fixture(scope="module", params=SEEDS)
def gated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> study.Study:
    """The full-size patient, gated: thresholds at 0.24 % are the point, so it is not made smaller."""
    file = datasets.patient(tmp_path_factory.mktemp("full"), random_state=request.param)
    loaded = study.load(file)
    pipeline.gate(loaded)
    return loaded


@pytest.fixture(scope="module")
def car_cells(gated: study.Study) -> anndata.AnnData:
    """CAR T cells as gated, with the planted phenotype of each (empty for what is not a CAR T cell)."""
    parts = [cy.io.read_h5ad(gated.out / "gated" / f"{v}.h5ad") for v in VISITS]
    cells = cy.assemble(parts, cy.io.read_sheet(gated.path("samples.csv")))
    cells = cells[cells.obs["car"]].copy()
    truth = pd.concat({v: truth_of(gated.folder, v) for v in VISITS})
    cells.obs["planted"] = truth.loc[
        list(zip(cells.obs["sample_id"], cells.obs["event"], strict=True)), "cluster"
    ].to_numpy()
    return cells


@pytest.mark.parametrize("visit", VISITS)
def test_car_gate_finds_the_planted_cells(gated: study.Study, visit: str) -> None:
    cells = cy.io.read_h5ad(gated.out / "gated" / f"{visit}.h5ad")
    truth = truth_of(gated.folder, visit)
    alive = (truth["live"] == 1) & (truth["singlet"] == 1) & (truth["bead"] == 0) & (truth["debris"] == 0)
    planted = (alive & (truth["car"] == 1)).to_numpy()
    called = np.zeros(len(truth), bool)
    called[cells.obs["event"][cells.obs["car"]]] = True
    f1 = 2 * (called & planted).sum() / (called.sum() + planted.sum())
    assert f1 >= 0.95

    share = cy.track.abundance(cells, population="CAR+", of="CD45+")["fraction"].item()
    leukocytes = alive & (truth["cell_type"] != "erythroblast")
    realised = planted.sum() / leukocytes.sum()
    assert share == pytest.approx(realised, rel=0.10)

    subsets = cy.track.subsets(cells, of="CAR+").set_index("population")["fraction"]
    for name, part in truth.loc[planted, "subset"].value_counts(normalize=True).items():
        found = next(v for k, v in subsets.items() if str(k).rsplit("/", 1)[-1] == name)
        assert found == pytest.approx(part, abs=0.03), name


def equal_draw(cells: anndata.AnnData, by: str) -> anndata.AnnData:
    cells = cells[cells.obs["planted"] != ""].copy()
    cy.transform.equal_draw(cells, n=int(cells.obs[by].value_counts().min()), by=by)
    return cells[cells.obs["in_fit"]].copy()


@pytest.mark.parametrize("by", ["sample_id", "planted"])
def test_clusters_are_the_planted_phenotypes(car_cells: anndata.AnnData, by: str) -> None:
    cells = equal_draw(car_cells, by)
    cy.cluster.flowsom(cells, n_clusters=9, random_state=0)
    cy.cluster.phenograph(cells, k=30, random_state=0)
    assert adjusted_rand_score(cells.obs["planted"], cells.obs["flowsom"]) >= 0.80
    assert adjusted_rand_score(cells.obs["planted"], cells.obs["phenograph"]) >= 0.70


TRENDS = {
    ("DN", "5yr - 2mo"): {
        "HLA-DR": 1, "CCR7": 1, "CD27": 1, "CD28": 1, "CD107a": 1, "GZMB": -1, "PD-1": -1, "Tim-3": -1,
        "Ki67": 0, "CD38": 0,
    },
    ("CD8", "5yr - 2mo"): {"GZMB": -1, "PD-1": -1, "Ki67": 0, "HLA-DR": 0},
}  # fmt: skip
"""Xu et al. 2024, Figure 4D: the sign of each change; 0 is level."""


def test_planted_marker_trends_are_recovered(car_cells: anndata.AnnData) -> None:
    tests = cy.compare.markers(car_cells, by="timepoint", reference="2mo", within="subset")
    for (subset, _), markers in TRENDS.items():
        rows = tests[(tests["subset"] == subset) & tests["contrast"].str.startswith("5yr")].set_index("marker")
        for marker, sign in markers.items():
            estimate = rows.at[marker, "estimate"]
            if sign:
                assert np.sign(estimate) == sign, f"{subset} {marker}: {estimate:+.2f}"
                assert abs(estimate) > 0.2, f"{subset} {marker}: {estimate:+.2f}"
            else:
                assert abs(estimate) < 0.35, f"{subset} {marker}: {estimate:+.2f}"


def test_car_t_against_host_t_at_five_years(gated: study.Study) -> None:
    """Figure 4E: PD-1, CD57, GZMB and CD107a are lower in CAR T cells."""
    cells = cy.io.read_h5ad(gated.out / "gated" / "5yr.h5ad")
    tests = cy.compare.markers(cells, by="car", reference=False, within="timepoint").set_index("marker")
    for marker in ("PD-1", "CD57", "GZMB", "CD107a"):
        assert tests.at[marker, "estimate"] < -0.2, marker


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> list[study.Study]:
    studies = []
    for name in ("first", "second"):
        file = datasets.patient(tmp_path_factory.mktemp(name), scale=0.1, random_state=3)
        studies.append(study.load(file))
        pipeline.run(studies[-1])
    return studies


def test_two_runs_are_byte_identical(two_runs: list[study.Study]) -> None:
    """Tables, figures, cells and report of two complete runs in two folders."""
    hashes = [
        {
            str(f.relative_to(run.out)): provenance.sha256(f)
            for f in sorted(run.out.rglob("*"))
            if f.is_file() and not f.name.endswith(".done.json") and f.name != "run.log"
        }
        for run in two_runs
    ]
    assert len(hashes[0]) > 40
    assert {name for name in hashes[0] if hashes[0][name] != hashes[1].get(name)} == set()
    assert hashes[0].keys() == hashes[1].keys()


def test_host_t_cells_keep_their_gate_and_subset(two_runs: list[study.Study]) -> None:
    cells = cy.io.read_h5ad(two_runs[0].out / "cells.h5ad")
    host = cells.obs[~cells.obs["car"]]
    assert host["gate"].notna().all()
    assert host["subset"].notna().mean() > 0.95
    shares = pd.read_csv(two_runs[0].out / "tables" / "abundance.csv")
    assert (shares["band_low"] <= shares["fraction"]).all()
    assert (shares["band_high"] >= shares["fraction"]).all()


def test_exported_fcs_shows_the_clusters_in_other_software(two_runs: list[study.Study]) -> None:
    """FlowKit reads the raw counts unchanged and each cluster with as many events as cells.h5ad."""
    run = two_runs[0]
    cells = cy.io.read_h5ad(run.out / "cells.h5ad")
    paths = pipeline.export(run)
    assert [p.stem for p in paths] == list(VISITS)
    for path in paths:
        sample = flowkit.Sample(path)
        raw = sample.get_events(source="raw")
        original = cy.io.read_fcs(run.folder / "fcs" / f"synthetic_{path.stem}.fcs")
        assert original.channels.index[0] == "Time"  # which FlowKit multiplies with $TIMESTEP
        np.testing.assert_array_equal(raw[:, 1 : original.X.shape[1]], original.X[:, 1:])
        flowsom = raw[:, sample.pnn_labels.index("flowsom")].astype(int)
        labels = sample.get_metadata()
        part = cells[cells.obs["sample_id"] == path.stem]
        for cluster, n in part.obs["flowsom"].value_counts().items():
            code = next(
                int(k.removeprefix("flowsom_")) for k, v in labels.items() if k.startswith("flowsom_") and v == cluster
            )
            assert (flowsom == code).sum() == n
        tsne = raw[:, sample.pnn_labels.index("tsne1")]
        on_map = tsne[tsne > -100]
        assert len(on_map) == np.isfinite(part.obsm["X_tsne"][:, 0]).sum()
        assert on_map.min() >= 0
        assert on_map.max() <= 1000.001


def test_export_of_kept_cells_only(two_runs: list[study.Study]) -> None:
    run = two_runs[1]
    for path in pipeline.export(run, cells_only=True):
        kept = cy.io.read_h5ad(run.out / "gated" / f"{path.stem}.h5ad")
        assert cy.io.scan_fcs(path).n_events == kept.n_obs


def test_results_of_other_settings_are_not_reported_as_these(two_runs: list[study.Study]) -> None:
    """`cytof report` after a change of `n_clusters` says that the clusters are old; a change of the test does not."""
    run = two_runs[1]
    pipeline.track(run.model_copy(update={"compare": run.compare.model_copy(update={"test": "welch"})}))
    changed = run.model_copy(update={"cluster": run.cluster.model_copy(update={"n_clusters": 5})})
    with pytest.raises(
        InputError, match="made with other settings or samples than the study has now; run `cytof cluster`"
    ):
        pipeline.track(changed)
