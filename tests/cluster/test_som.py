"""The map against naive loops; the same map for every order of cells and number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from planted import planted, table

from cytof.cluster import Training, som
from cytof.cluster._som_core import map_cells, plane, train
from cytof.errors import CytofWarning, InputError, UsageError


def naive_train(X: np.ndarray, codes: np.ndarray, grid: tuple[int, int], radii: np.ndarray) -> np.ndarray:
    """Kohonen's batch rule, cell by cell in float64."""
    places = np.array([(i, j) for i in range(grid[0]) for j in range(grid[1])], float)
    codes = codes.astype(np.float64)
    for radius in radii:
        weight, total = np.zeros(len(codes)), np.zeros(codes.shape)
        for cell in X.astype(np.float64):
            winner = ((codes - cell) ** 2).sum(1).argmin()
            near = np.exp(-((places - places[winner]) ** 2).sum(1) / (2 * radius**2))
            weight += near
            total += near[:, None] * cell
        codes = np.where(weight[:, None] > 1e-9, total / np.maximum(weight, 1e-9)[:, None], codes)
    return codes


def test_cells_go_to_the_nearest_node() -> None:
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(700, 9)).astype(np.float32), rng.normal(size=(37, 9)).astype(np.float32)
    node, distance = map_cells(X, codes)
    away = np.sqrt(((X[:, None].astype(float) - codes[None].astype(float)) ** 2).sum(2))
    np.testing.assert_allclose(distance, away.min(1), rtol=1e-5)
    np.testing.assert_allclose(away[np.arange(700), node], away.min(1), rtol=1e-5)


def test_equal_nodes_give_the_first() -> None:
    assert map_cells(np.zeros((3, 2), np.float32), np.ones((4, 2), np.float32))[0].tolist() == [0, 0, 0]


def test_training_is_kohonens_batch_rule() -> None:
    X = np.asarray(planted((150, 60))[0].X)
    start = train(X, (4, 3), rlen=1)
    after_one = naive_train(X, start.codes, (4, 3), np.array([0.5]))
    more = train(X, (4, 3), rlen=3)
    first = train_start(X, (4, 3))
    np.testing.assert_allclose(plane(X, (4, 3)), first, atol=2e-4)
    after_three = naive_train(X, plane(X, (4, 3)), (4, 3), np.linspace(2, 0.5, 3))
    np.testing.assert_allclose(more.codes, after_three, atol=2e-4)
    assert np.abs(after_one - start.codes).max() > 1e-3


def train_start(X: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The plane of the first two components by SVD, to two deviations, signs by the largest loading."""
    centred = X.astype(np.float64) - X.mean(0, dtype=np.float64)
    _, value, axis = np.linalg.svd(centred, full_matrices=False)
    axis = axis[:2] * np.sign(axis[:2][np.arange(2), np.abs(axis[:2]).argmax(1)])[:, None]
    width = 2 * value[:2] / np.sqrt(len(X))
    a, b = (np.linspace(-1, 1, size) for size in grid)
    return np.array([X.mean(0) + i * width[0] * axis[0] + j * width[1] * axis[1] for i in a for j in b])


def test_error_falls_and_empty_corners_stay_finite() -> None:
    result = train(np.asarray(planted()[0].X), (10, 10), rlen=10)
    assert result.error[-1] < 0.85 * result.error[0]
    assert np.isfinite(result.codes).all()


def test_same_bytes_for_threads_and_order() -> None:
    X = np.asarray(planted((20_000, 9_000))[0].X)
    assert train(X, (10, 10), n_jobs=1).codes.tobytes() == train(X, (10, 10), n_jobs=2).codes.tobytes()
    small, _ = planted()
    shuffle = np.random.default_rng(5).permutation(small.n_obs)
    other = small[shuffle].copy()
    som(small)
    som(other)
    assert small.uns["cytof"]["som"]["codes"].tobytes() == other.uns["cytof"]["som"]["codes"].tobytes()
    np.testing.assert_array_equal(small.obs["som_node"].to_numpy()[shuffle], other.obs["som_node"])


def test_trained_on_some_cells_maps_all() -> None:
    adata, truth = planted()
    adata.obs["in_fit"] = truth < 2
    som(adata, fit_on="in_fit", grid=(5, 5))
    part = adata[adata.obs["in_fit"]].copy()
    som(part, grid=(5, 5), key_added="own")
    np.testing.assert_array_equal(adata.uns["cytof"]["som"]["codes"], part.uns["cytof"]["som:own"]["codes"])
    assert adata.obs["som_node"].notna().all()
    assert adata.uns["cytof"]["som"]["counts"].sum() == adata.n_obs


def test_faults() -> None:
    adata, _ = planted((200,))
    with pytest.raises(UsageError, match="column `in_fit` missing"):
        som(adata, fit_on="in_fit")
    adata.obs["in_fit"] = False
    with pytest.raises(InputError, match="marks 0 of 200 cells"):
        som(adata, fit_on="in_fit")
    with pytest.raises(UsageError, match="rlen is 0"):
        som(adata, training=Training(rlen=0))
    with pytest.warns(CytofWarning, match="3 cells for 100 nodes"):
        som(table(np.eye(3)))
