"""The approximate search: recall against the exact one, the same bytes for threads, runs and order, hard cases."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import neighbors
from cytof._neighbors._descent import descent_knn, recall
from cytof._neighbors._exact import exact_knn
from cytof._neighbors._search import search
from cytof.errors import CytofWarning, UsageError


def populations(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) + 4 * rng.normal(size=(12, d))[rng.integers(0, 12, n)]).astype(np.float32)


def table(X: np.ndarray) -> anndata.AnnData:
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=[f"M{i}" for i in range(X.shape[1])])
    return anndata.AnnData(X, var=var, obs=pd.DataFrame(index=[f"s-{i}" for i in range(len(X))]))


@pytest.mark.parametrize(("n", "d", "k"), [(6000, 32, 30), (6000, 3, 15), (4000, 20, 90)])
def test_recall_is_the_share_an_exact_search_finds_too(n: int, d: int, k: int) -> None:
    X = populations(n, d)
    found, truth = descent_knn(X, k), exact_knn(X, k)
    shares = [len(np.intersect1d(a, b)) / k for a, b in zip(found[0], truth[0], strict=True)]
    assert np.mean(shares) >= 0.98
    assert recall(X, *found) == pytest.approx(np.mean(shares), abs=0.01)
    assert recall(X, *truth) == 1


def test_recall_notices_what_is_missed() -> None:
    X = populations(2000, 8)
    indices, distances = exact_knn(X, 40)
    assert recall(X, indices[:, ::2], distances[:, ::2]) == pytest.approx(0.5, abs=0.01)


def test_real_cells(maxpar: tuple[np.ndarray, np.ndarray]) -> None:
    X = maxpar[0]
    assert recall(X, *descent_knn(X, 30)) >= 0.98


def test_distances_are_exact_and_ranked_and_the_cell_itself_is_left_out() -> None:
    X = populations(3000, 10)
    indices, distances = descent_knn(X, 20)
    away = np.linalg.norm(X[indices].astype(float) - X[:, None].astype(float), axis=2)
    np.testing.assert_array_equal(distances, away.astype(np.float32))
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (indices != np.arange(3000)[:, None]).all()
    assert all(len(set(row)) == 20 for row in indices.tolist())


def test_same_bytes_for_five_runs_and_any_threads() -> None:
    X = populations(5000, 12)
    first = descent_knn(X, 15, n_jobs=1)
    for n_jobs in (2, 2, 3, 1, None):
        again = descent_knn(X, 15, n_jobs=n_jobs)
        assert again[0].tobytes() == first[0].tobytes()
        assert again[1].tobytes() == first[1].tobytes()
    assert descent_knn(X, 15, random_state=1)[0].tobytes() != first[0].tobytes()


def test_follows_the_cells_when_rows_are_shuffled() -> None:
    X = populations(3000, 6)
    X[:50] = X[50:100]
    adata = table(X)
    shuffle = np.random.default_rng(1).permutation(len(X))
    other = adata[shuffle].copy()
    neighbors(adata, k=10, method="nn-descent")
    neighbors(other, k=10, method="nn-descent")
    for key in ("distances", "connectivities"):
        assert (other.obsp[key] != adata.obsp[key][shuffle][:, shuffle]).nnz == 0


@pytest.mark.parametrize("copies", [5, 200])
def test_many_equal_cells(copies: int) -> None:
    X = np.repeat(populations(4000 // copies, 5), copies, 0)
    indices, distances = descent_knn(X, 30)
    assert (indices != np.arange(len(X))[:, None]).all()
    assert (distances[:, : copies - 1] == 0).all()
    assert recall(X, indices, distances) >= 0.98


def test_all_cells_equal() -> None:
    indices, distances = descent_knn(np.ones((3000, 4), np.float32), 30)
    assert (distances == 0).all()
    assert (indices != np.arange(3000)[:, None]).all()


def test_few_cells_are_searched_exactly() -> None:
    X = populations(40, 3)
    np.testing.assert_array_equal(descent_knn(X, 39)[0], exact_knn(X, 39)[0])


def test_method_is_chosen_by_cells_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    adata = table(populations(2000, 5))
    neighbors(adata, k=10)
    assert adata.uns["neighbors"]["params"]["search"] == "exact"
    neighbors(adata, k=10, method="nn-descent")
    params = adata.uns["neighbors"]["params"]
    assert params["search"] == "nn-descent"
    assert 0.98 <= params["recall"] <= 1
    monkeypatch.setattr("cytof._neighbors._search._CELLS", 1000)
    monkeypatch.setattr("cytof._neighbors._search._PER_NEIGHBOUR", 100)
    assert search(np.asarray(adata.X), 10)[2]["search"] == "nn-descent"
    assert search(np.asarray(adata.X), 20)[2]["search"] == "exact"
    with pytest.raises(UsageError, match="method is 'annoy', expected one of auto, exact, nn-descent"):
        neighbors(adata, method="annoy")


def test_a_poor_search_is_replaced_by_the_exact_one(monkeypatch: pytest.MonkeyPatch) -> None:
    X = populations(3000, 20)
    monkeypatch.setattr("cytof._neighbors._descent._ROUNDS", 0)
    monkeypatch.setattr("cytof._neighbors._search._TREES", (8, 9))
    with pytest.warns(CytofWarning, match=r"found \d\d\.\d% of the true neighbours, expected 98%: searched exactly"):
        indices, _, how = search(X, 30, method="nn-descent")
    assert how == {"search": "exact", "recall": 1.0}
    np.testing.assert_array_equal(indices, exact_knn(X, 30)[0])
