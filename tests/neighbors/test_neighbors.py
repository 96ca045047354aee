"""Neighbours against a naive loop, scikit-learn and scanpy; the same graph for every order of cells and of threads."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import neighbors
from cytof._neighbors._connectivities import fuzzy_union
from cytof._neighbors._exact import exact_knn
from cytof._neighbors._graph import shared_graph
from cytof.errors import CytofWarning, InputError, PanelError, UsageError


def blobs(n: int = 600, d: int = 8, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) + 6 * rng.integers(0, 3, n)[:, None]).astype(np.float32)


def table(X: np.ndarray) -> anndata.AnnData:
    names = [f"M{i}" for i in range(X.shape[1])]
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=names)
    return anndata.AnnData(X, var=var, obs=pd.DataFrame(index=[f"s-{i}" for i in range(len(X))]))


def naive(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Every distance by a loop in float64, the cell itself left out by its number, ties by number."""
    indices, distances = np.empty((len(X), k), int), np.empty((len(X), k))
    for i, cell in enumerate(X.astype(np.float64)):
        away = np.sqrt(((X.astype(np.float64) - cell) ** 2).sum(1)).astype(np.float32)
        others = np.delete(np.arange(len(X)), i)
        indices[i] = others[np.lexsort((others, away[others]))][:k]
        distances[i] = away[indices[i]]
    return indices, distances


@pytest.mark.parametrize(("n", "d", "k"), [(600, 8, 30), (257, 1, 5), (40, 33, 39), (2, 3, 1)])
def test_equal_to_a_naive_loop(n: int, d: int, k: int) -> None:
    X = blobs(n, d)
    found, expected = exact_knn(X, k), naive(X, k)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)


def test_far_from_the_origin_is_still_exact() -> None:
    """Far from 0, ``|x|^2 + |y|^2 - 2xy`` in float32 loses the distance; the bound must notice and measure."""
    X = blobs(500, 6) + np.float32(300)
    X[0] = 5000
    np.testing.assert_array_equal(exact_knn(X, 10)[0], naive(X, 10)[0])


def test_duplicates_are_neighbours_and_the_cell_itself_is_not() -> None:
    X = np.repeat(blobs(12, 4), 50, 0)
    indices, distances = exact_knn(X, 60)
    assert (indices != np.arange(600)[:, None]).all()
    assert (distances[:, :49] == 0).all()
    assert (distances[:, 49:] > 0).all()
    np.testing.assert_array_equal(indices, naive(X, 60)[0])


def test_same_bytes_for_one_and_two_threads() -> None:
    X = blobs(2000, 12)
    one, two = exact_knn(X, 20, n_jobs=1), exact_knn(X, 20, n_jobs=2)
    assert one[0].tobytes() == two[0].tobytes()
    assert one[1].tobytes() == two[1].tobytes()


def test_real_cells_as_scikit_learn_finds_them(maxpar: tuple[np.ndarray, np.ndarray]) -> None:
    """``sklearn.neighbors.NearestNeighbors(algorithm="brute").fit(X).kneighbors()`` on float64."""
    from sklearn.neighbors import NearestNeighbors

    X = maxpar[0][:5000]
    judge, _ = NearestNeighbors(n_neighbors=30, algorithm="brute").fit(X.astype(float)).kneighbors()
    np.testing.assert_allclose(exact_knn(X, 30)[1], judge, atol=2e-6)


def test_slots_as_scanpy_lays_them_out() -> None:
    adata = table(blobs())
    neighbors(adata, k=15)
    entry = adata.uns["neighbors"]
    assert (entry["connectivities_key"], entry["distances_key"]) == ("connectivities", "distances")
    assert entry["params"]["n_neighbors"] == 16
    assert (np.diff(adata.obsp["distances"].indptr) == 15).all()
    weights = adata.obsp["connectivities"]
    assert abs(weights - weights.T).max() == 0
    assert 0 < weights.data.min() <= weights.data.max() <= 1
    assert adata.uns["cytof"]["steps"]["step"].tolist() == ["neighbors"]


@pytest.mark.parametrize("k", [3, 14])
def test_weights_of_a_cell_sum_to_log2(k: int) -> None:
    """Each width found by scipy's root finder: directed weights a, then ``a + b - ab``."""
    from scipy.optimize import brentq

    indices, distances = exact_knn(blobs(150, 5), k)
    directed = np.zeros((150, 150))
    for i, away in enumerate(distances.astype(float)):
        beyond = away - away.min()
        width = brentq(lambda s, b=beyond: np.exp(-b / s).sum() - np.log2(k + 1), 1e-6, 1e6, xtol=1e-12)
        directed[i, indices[i]] = np.exp(-beyond / width)
    expected = directed + directed.T - directed * directed.T
    np.testing.assert_allclose(fuzzy_union(indices, distances).toarray(), expected, atol=2e-5)


@pytest.mark.slow
def test_weights_are_umaps() -> None:
    """What scanpy calls on the same neighbours (the cell itself first, as scanpy has it)."""
    from umap.umap_ import fuzzy_simplicial_set

    X = blobs(400, 5)
    X[:3] = X[0]
    indices, distances = exact_knn(X, 14)
    with_self = np.c_[np.arange(400), indices], np.c_[np.zeros(400), distances].astype(np.float32)
    judge, _, _ = fuzzy_simplicial_set(X, 15, None, None, knn_indices=with_self[0], knn_dists=with_self[1])
    assert abs(fuzzy_union(indices, distances) - judge.tocsr()).max() < 1e-4


@pytest.mark.slow
def test_scanpy_runs_on_the_graph() -> None:
    import scanpy

    adata = table(blobs())
    neighbors(adata, k=15)
    scanpy.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False, resolution=0.05)
    scanpy.tl.umap(adata)
    assert adata.obs["leiden"].nunique() == 3
    assert np.isfinite(adata.obsm["X_umap"]).all()


def test_graph_follows_the_cells_when_rows_are_shuffled() -> None:
    X = np.r_[blobs(300, 4), blobs(300, 4)[:40]]
    adata = table(X)
    shuffle = np.random.default_rng(1).permutation(len(X))
    other = adata[shuffle].copy()
    neighbors(adata, k=10)
    neighbors(other, k=10)
    for key in ("distances", "connectivities"):
        there = other.obsp[key].toarray()
        np.testing.assert_array_equal(there, adata.obsp[key].toarray()[shuffle][:, shuffle])


def test_a_graph_that_has_enough_neighbours_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    adata = table(np.r_[blobs(300, 4), blobs(300, 4)[:40]])
    fresh = shared_graph(adata.copy(), 12)
    neighbors(adata, k=40)
    monkeypatch.setattr("cytof._neighbors._graph.search", None)
    neighbors(adata, k=20)
    read = shared_graph(adata, 12)
    np.testing.assert_array_equal(read.indices, fresh.indices)
    np.testing.assert_array_equal(read.distances, fresh.distances)


def test_weights_are_left_out_on_request_and_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    adata = table(blobs(300, 4))
    whole = adata.copy()
    neighbors(whole, k=15)
    neighbors(adata, k=15, connectivities=False)
    assert "connectivities" not in adata.obsp
    assert (adata.obsp["distances"] != whole.obsp["distances"]).nnz == 0
    monkeypatch.setattr("cytof._neighbors._graph.search", None)
    neighbors(adata, k=15)
    assert (adata.obsp["connectivities"] != whole.obsp["connectivities"]).nnz == 0


def test_a_graph_of_other_features_or_cells_is_not_taken() -> None:
    adata = table(blobs())
    neighbors(adata, k=20)
    narrow = shared_graph(adata, 10, ["M0", "M1"])
    np.testing.assert_array_equal(narrow.indices, exact_knn(narrow.X, 10)[0])
    assert set(adata.obsp) == {"distances", "connectivities", "neighbors_10_distances", "neighbors_10_connectivities"}
    part = adata[:200].copy()
    np.testing.assert_array_equal(shared_graph(part, 10).indices, exact_knn(shared_graph(part, 10).X, 10)[0])


def test_survives_h5ad(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    adata = table(blobs(200))
    neighbors(adata, k=9)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    back = anndata.read_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr("cytof._neighbors._graph.search", None)
    np.testing.assert_array_equal(shared_graph(back, 9).indices, shared_graph(adata, 9).indices)


def test_missing_values_name_marker_and_count() -> None:
    X = blobs(100, 3)
    X[:7, 1] = np.nan
    X[0, 2] = np.inf
    with pytest.raises(InputError, match=r"M1 in 7 cells, M2 in 1 cells.*each of the 100 cells"):
        neighbors(table(X))


def test_faults_and_warnings() -> None:
    with pytest.raises(InputError, match="found 0 cells"):
        neighbors(table(blobs(5))[:0].copy())
    with pytest.raises(PanelError, match="no marker `M9`"):
        neighbors(table(blobs(50)), features=["M9"])
    with pytest.raises(UsageError, match="k is 0"):
        neighbors(table(blobs(50)), k=0)
    few = table(blobs(5))
    with pytest.warns(CytofWarning, match="k is 30, but 5 cells have 4 others"):
        neighbors(few)
    assert few.obsp["distances"].nnz == 20
    flat = table(np.c_[blobs(50, 2), np.ones(50, np.float32)])
    with pytest.warns(CytofWarning, match="M2 constant in these 50 cells"):
        neighbors(flat, k=5)


def test_one_cell_and_equal_cells() -> None:
    one = table(blobs(1))
    with pytest.warns(CytofWarning, match="there is 1 cell"):
        neighbors(one)
    assert one.obsp["distances"].shape == (1, 1)
    equal = table(np.ones((80, 3), np.float32))
    with pytest.warns(CytofWarning, match="constant"):
        neighbors(equal, k=5)
    assert (equal.obsp["distances"].data == 0).all()
    assert np.isfinite(equal.obsp["connectivities"].data).all()
