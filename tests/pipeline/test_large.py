"""A cohort that memory does not hold: trained on a draw, mapped a sample at a time, on workers or here."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from small_study import outputs, small_study

from cytof import cluster, io, pipeline, study


def large(file: Path) -> study.Study:
    """Say that memory holds 100 cells, so that 300 are drawn."""
    text = file.read_text().replace("max_cells: 400}", "max_cells: 200, in_memory: 100, fit_cells: 300}")
    file.write_text(text)
    return study.load(file)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> study.Study:
    loaded = large(small_study(tmp_path_factory.mktemp("large") / "study", 3))
    pipeline.gate(loaded)
    pipeline.cluster(loaded)
    return loaded


def test_all_cells_are_there_and_those_of_the_population_are_on_the_map(mapped: study.Study) -> None:
    cells = io.read_h5ad(mapped.out / "cells.h5ad")
    parts = [io.read_h5ad(mapped.out / "gated" / f"s{i}.h5ad") for i in range(3)]
    assert cells.obs_names.tolist() == [n for p in parts for n in p.obs_names]
    np.testing.assert_array_equal(cells.layers["counts"], np.concatenate([p.layers["counts"] for p in parts]))
    np.testing.assert_array_equal(cells.X, np.concatenate([p.X for p in parts]))
    assert cells.obs["flowsom"].notna().tolist() == cells.obs["car"].tolist()
    assert cells.obs["in_fit"].sum() == np.isfinite(cells.obsm["X_tsne"][:, 0]).sum() == 198
    assert list(cells.obs["timepoint"].cat.categories) == ["visit 0", "visit 1", "visit 2"]
    assert '"inputs":{"s0":' in cells.uns["cytof"]["run"]


def test_each_cell_has_the_cluster_of_its_node(mapped: study.Study) -> None:
    """By hand: the nearest code of the map, in float64."""
    cells = io.read_h5ad(mapped.out / "cells.h5ad")
    part = cells[cells.obs["car"]]
    som = cells.uns["cytof"]["som"]
    X = np.asarray(part[:, list(som["features"])].X, np.float64)
    nearest = ((X[:, None] - np.asarray(som["codes"], np.float64)[None]) ** 2).sum(2).argmin(1)
    assert (nearest == part.obs["flowsom_node"]).mean() > 0.999
    assert part.obs.groupby("flowsom_node", observed=True)["flowsom"].nunique().max() == 1


def test_the_clusters_are_those_of_all_cells_in_memory(mapped: study.Study) -> None:
    cells = io.read_h5ad(mapped.out / "cells.h5ad")
    part = cells[cells.obs["car"]].copy()
    features = list(cells.uns["cytof"]["som"]["features"])
    cluster.flowsom(part, n_clusters=3, grid=(4, 4), features=features, key_added="all")
    assert adjusted_rand_score(part.obs["all"], part.obs["flowsom"]) > 0.9


def test_the_stages_after_it_read_it(mapped: study.Study) -> None:
    pipeline.track(mapped)
    assert (mapped.out / "tables" / "clusters.csv").exists()


def test_dask_maps_the_same_cells(
    mapped: study.Study, tmp_path: Path, command: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    loaded = large(small_study(tmp_path / "study", 3))
    with pipeline.dask_workers(2) as workers:
        pipeline.gate(loaded, workers=workers)
        pipeline.cluster(loaded, workers=workers)
    found, expected = outputs(loaded.out), outputs(mapped.out)
    assert found["cells.h5ad"] == expected["cells.h5ad"]
    assert found["tables/counts.csv"] == expected["tables/counts.csv"]
