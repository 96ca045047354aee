"""The online map against a plain loop of the original algorithm, and the choices of training."""

from __future__ import annotations

import numpy as np
import pytest
from planted import planted, table
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from cytof.cluster import Training, flowsom, som
from cytof.cluster._som_core import map_cells, plane, train
from cytof.cluster._som_online import sampled, train_online
from cytof.errors import InputError, UsageError


def original(
    X: np.ndarray, codes: np.ndarray, grid: tuple[int, int], rlen: int, rng: np.random.Generator
) -> np.ndarray:
    """FlowSOM's som.c, line by line in float64: Chebyshev neighbourhood, radius and rate fall with every cell.

    ``threshold = radius[0] - k * (radius[0] - radius[1]) / niter``, 0.5 once it is below 1;
    ``codes[cd] += (x - codes[cd]) * alpha`` for every node with ``nhbrdist[cd, nearest] <= threshold``.
    """
    codes = codes.astype(np.float64)
    places = [(i, j) for i in range(grid[0]) for j in range(grid[1])]
    apart = cdist(places, places, "chebyshev")
    threshold, steps = np.quantile(apart, 0.67), rlen * len(X)
    fall = threshold / steps
    for turn in range(rlen):
        for t, i in enumerate(rng.integers(len(X), size=len(X))):
            nearest = ((X[i] - codes) ** 2).sum(1).argmin()
            threshold = 0.5 if threshold < 1 else threshold
            alpha = 0.05 - 0.04 * (turn * len(X) + t) / steps
            near = apart[:, nearest] <= threshold
            codes[near] += (X[i] - codes[near]) * alpha
            threshold -= fall
    return codes


def test_online_training_is_the_original_algorithm() -> None:
    X = np.asarray(planted((300, 150))[0].X)
    start = sampled(X, (5, 4), np.random.default_rng(1))
    ours = train_online(X, (5, 4), rlen=4, start=start, random_state=3)
    theirs = original(X.astype(np.float64), start, (5, 4), 4, np.random.default_rng(3))
    np.testing.assert_allclose(ours.codes, theirs, atol=2e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_quantisation_error_of_real_cells_is_that_of_the_original(maxpar, seed: int) -> None:
    """Other draws, the same error within 2 %: 1,500 cells of Liu 2020, 10 x 10."""
    X = maxpar[0][:1500]
    theirs = original(X.astype(np.float64), X[:100], (10, 10), 5, np.random.default_rng(100 + seed))
    ours = train_online(X, (10, 10), rlen=5, random_state=seed)
    errors = [map_cells(X, np.asarray(c, np.float32))[1].mean() for c in (ours.codes, theirs)]
    assert abs(errors[0] / errors[1] - 1) < 0.02


@pytest.mark.parametrize("training", ["batch", "online", Training("batch", init="sample")])
def test_same_seed_same_labels(training: Training | str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five runs, one and two threads, cells in five orders: bit for bit the same, each label with its cell."""
    import numba

    first, truth = planted((5000, 3000, 1500, 600), d=9)
    first.X[100:200] = first.X[0]  # duplicates
    flowsom(first, training=training, random_state=7)
    for run in range(5):
        shuffle = np.random.default_rng(run).permutation(first.n_obs)
        other = table(first.X[shuffle])
        other.obs_names = first.obs_names[shuffle]
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 1 + run % 2)
        flowsom(other, training=training, random_state=7)
        slots = [a.uns["cytof"]["som"] for a in (first, other)]
        assert slots[0]["codes"].tobytes() == slots[1]["codes"].tobytes()
        assert slots[0]["quantisation_error"] == slots[1]["quantisation_error"]
        for column in ("flowsom", "flowsom_node"):
            np.testing.assert_array_equal(first.obs[column].to_numpy()[shuffle], other.obs[column].to_numpy())
    assert adjusted_rand_score(truth[200:], first.obs["flowsom"][200:]) > 0.5


def test_another_seed_is_another_online_map() -> None:
    X = np.asarray(planted()[0].X)
    one, two = (train_online(X, (4, 4), random_state=s).codes for s in (0, 1))
    assert np.abs(one - two).max() > 1e-3


@pytest.mark.parametrize("distance", ["manhattan", "chebyshev", "cosine"])
def test_other_distances_against_scipy(distance: str) -> None:
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(300, 7)).astype(np.float32), rng.normal(size=(12, 7)).astype(np.float32)
    node, away = map_cells(X, codes, distance=distance)
    between = cdist(X.astype(float), codes.astype(float), distance.replace("manhattan", "cityblock"))
    np.testing.assert_allclose(away, between.min(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(between[np.arange(300), node], between.min(1), rtol=1e-4, atol=1e-6)
    adata, truth = planted()
    flowsom(adata, n_clusters=5, training=Training(distance=distance))
    assert adjusted_rand_score(truth, adata.obs["flowsom"]) > 0.9


def test_weights_count_like_copies_of_cells() -> None:
    X = np.asarray(planted((200, 90))[0].X)
    copies = np.random.default_rng(0).integers(1, 4, len(X))
    weighted = train(X, (4, 3), start=plane(X, (4, 3)), weight=copies.astype(float))
    copied = train(np.repeat(X, copies, axis=0), (4, 3), start=plane(X, (4, 3)))
    np.testing.assert_allclose(weighted.codes, copied.codes, atol=1e-4)
    np.testing.assert_allclose(
        plane(X, (4, 3), weight=copies.astype(float)), plane(np.repeat(X, copies, axis=0), (4, 3)), atol=0.05
    )


def test_weights_of_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    adata, truth = planted()
    adata.obs["weight"] = np.where(truth < 2, 1.0, 0.0)
    adata.obs["in_fit"] = truth < 2
    som(adata, fit_on="weight")
    by_weight = adata.uns["cytof"]["som"]["codes"]
    som(adata, fit_on="in_fit")
    np.testing.assert_allclose(by_weight, adata.uns["cytof"]["som"]["codes"], atol=0.02)
    adata.obs["weight"] = -1.0
    with pytest.raises(InputError, match="`weight` is negative or missing in 1830 cells"):
        som(adata, fit_on="weight")


def test_faults_of_training() -> None:
    adata, _ = planted((200,))
    with pytest.raises(UsageError, match="training is 'bach', expected one of batch, online; did you mean `batch`"):
        som(adata, training="bach")
    with pytest.raises(UsageError, match="distance is 'cosine', online training knows euclidean"):
        som(adata, training=Training("online", distance="cosine"))
    with pytest.raises(UsageError, match="init is 'pcs', expected one of pca, sample; did you mean `pca`"):
        som(adata, training=Training(init="pcs"))
