"""A cohort that memory does not hold: trained on a draw, mapped a sample at a time, on workers or here."""

from __future__ import annotations

import subprocess
import threading
import time
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
    assert cells.obs["in_fit"].sum() == 198
    on_map = np.isfinite(cells.obsm["X_tsne"]).all(axis=1)
    assert on_map.tolist() == cells.obs["car"].tolist()
    assert cells.obs["placed"].tolist() == (on_map & ~cells.obs["in_fit"]).tolist()
    assert list(cells.obs["timepoint"].cat.categories) == ["visit 0", "visit 1", "visit 2"]
    assert '"inputs":{"s0":' in cells.uns["cytof"]["run"]


def test_a_cell_that_was_not_drawn_lies_among_its_neighbours_on_the_map(mapped: study.Study) -> None:
    """Against the medians of the 25 nearest drawn cells, where ``openTSNE.TSNEEmbedding.transform`` starts too."""
    cells = io.read_h5ad(mapped.out / "cells.h5ad")
    features = list(cells.uns["cytof"]["X_tsne"]["features"])
    X, Y = np.asarray(cells[:, features].X, np.float64), cells.obsm["X_tsne"]
    drawn, placed = np.flatnonzero(cells.obs["in_fit"]), np.flatnonzero(cells.obs["placed"])
    near = ((X[placed][:, None] - X[drawn][None]) ** 2).sum(2).argsort(1)[:, :25]
    away = np.linalg.norm(np.median(Y[drawn][near], axis=1) - Y[placed], axis=1)
    assert np.median(away) < 0.1 * np.ptp(Y[drawn], axis=0).max()


def test_no_cell_is_placed_where_the_study_says_none(mapped: study.Study, tmp_path: Path) -> None:
    file = small_study(tmp_path / "study", 3)
    file.write_text(file.read_text().replace("{perplexity: 10}", "{perplexity: 10, rest: none}"))
    loaded = large(file)
    pipeline.gate(loaded)
    pipeline.cluster(loaded)
    cells, placed = io.read_h5ad(loaded.out / "cells.h5ad"), io.read_h5ad(mapped.out / "cells.h5ad")
    fitted = cells.obs["in_fit"].to_numpy()
    assert not cells.obs["placed"].any()
    assert np.isnan(cells.obsm["X_tsne"][~fitted]).all()
    np.testing.assert_array_equal(cells.obsm["X_tsne"][fitted], placed.obsm["X_tsne"][fitted])


def test_cells_that_memory_holds_are_placed_too(tmp_path: Path) -> None:
    file = small_study(tmp_path / "study", 3)
    file.write_text(file.read_text().replace("max_cells: 400}", "max_cells: 200}"))
    loaded = study.load(file)
    pipeline.gate(loaded)
    cells = pipeline.cluster(loaded)
    assert cells.obs["in_fit"].sum() == 198
    assert (np.isfinite(cells.obsm["X_tsne"]).all(axis=1) == cells.obs["car"]).all()
    assert (cells.obs["placed"] == cells.obs["car"] & ~cells.obs["in_fit"]).all()


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


def test_a_lost_worker_costs_the_task_it_was_doing(tmp_path: Path) -> None:
    """Every task notes its process before it works: killed in the middle of one, that one is noted twice, no other.

    The worker is killed from a thread of its own, so that results go on being taken over meanwhile.
    """
    psutil = pytest.importorskip("psutil")
    notes = tmp_path / "notes"

    def task(number: int, file: str) -> int:
        import os
        import time
        from pathlib import Path

        with Path(file).open("a") as out:
            out.write(f"{number} {os.getpid()}\n")
        time.sleep(0.8)
        return number

    def lines() -> list[list[str]]:
        return [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []

    def kill() -> None:
        one, before = lines()[-1][1], len(lines())
        while one not in [pid for _, pid in lines()[before:]]:
            time.sleep(0.01)
        time.sleep(0.4)  # the result of the task before is taken over, this one is at work
        psutil.Process(int(one)).kill()

    killer = threading.Thread(target=kill)
    with pipeline.dask_workers(2) as workers:
        found = []
        for number in workers.each(task, [(i, str(notes)) for i in range(16)]):
            found.append(number)
            if number == 4:
                killer.start()
    killer.join()
    assert found == list(range(16))
    assert len(lines()) == 17
    assert len({number for number, _ in lines()}) == 16


def test_a_lost_worker_changes_no_byte(mapped: study.Study, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    loaded, killed = large(small_study(tmp_path / "study", 3)), []

    def kill(stage: str, sample: str, found: str) -> None:
        if stage == "gate" and sample and not killed:
            mine = [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
            killed.append(mine[-1])
            mine[-1].kill()

    with pipeline.dask_workers(2) as workers:
        assert pipeline.gate(loaded, say=kill, workers=workers) == {}
        pipeline.cluster(loaded, workers=workers)
    assert killed
    found, expected = outputs(loaded.out), outputs(mapped.out)
    assert {n for n in expected if found.get(n) != expected[n] and not n.startswith("tables/")} == set()
    assert found["tables/counts.csv"] == expected["tables/counts.csv"]
