"""t-SNE: the gradient by a naive sum, planted populations apart, same bytes for order and threads."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import neighbors, transform
from cytof._neighbors._between import nearest_among
from cytof._neighbors._exact import exact_knn
from cytof.embed import Schedule, place, tsne
from cytof.embed._affinity import affinities
from cytof.embed._gradient import exact_gradient
from cytof.embed._grid import GridGradient
from cytof.embed._judge import preservation
from cytof.errors import CytofWarning, InputError, UsageError


def cells(n: int = 300, d: int = 6, seed: int = 0) -> tuple[anndata.AnnData, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % 3)
    X = (rng.normal(size=(n, d)) + 8 * np.eye(3, d)[truth]).astype(np.float32)
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=[f"M{i}" for i in range(d)])
    return anndata.AnnData(X, var=var, obs=pd.DataFrame(index=[f"s-{i}" for i in range(n)])), truth


def linked(n: int, seed: int = 0):
    from scipy.sparse import random

    P = random(n, n, 0.1, "csr", rng=np.random.default_rng(seed))
    P = (P + P.T).tocsr()
    P.setdiag(0)
    P.eliminate_zeros()
    return (P / P.sum()).astype(np.float32)


def naive(Y: np.ndarray, P: np.ndarray) -> tuple[float, np.ndarray]:
    """``C = sum p log(p / q)`` and ``sum_j (p - q)(y_i - y_j) / (1 + |y_i - y_j|^2)``, all pairs in float64."""
    step = Y[:, None] - Y[None]
    w = 1 / (1 + (step**2).sum(2))
    np.fill_diagonal(w, 0)
    q = w / w.sum()
    linked = P > 0
    return float((P[linked] * np.log(P[linked] / q[linked])).sum()), (((P - q) * w)[:, :, None] * step).sum(1)


@pytest.mark.parametrize("exaggeration", [1, 12])
def test_gradient_is_the_sum_over_all_pairs(exaggeration: int) -> None:
    Y, P = np.random.default_rng(1).normal(scale=4, size=(700, 2)), linked(700)
    step, expected = naive(Y, P.toarray())[0], naive(Y, P.toarray())[1]
    if exaggeration == 1:
        divergence, gradient = exact_gradient(Y, P, should_eval_error=True)
        assert divergence == pytest.approx(step, rel=1e-5)
    else:
        gradient = exact_gradient(Y, P * exaggeration)[1]
        expected = exaggeration * expected + (exaggeration - 1) * repulsion(Y)
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("width", [1e-4, 1, 10, 40, 300])
def test_gradient_on_a_grid_is_nearly_that_sum(width: float) -> None:
    """At least as near to it as openTSNE's interpolation, or within a part in a thousand of the repulsion."""
    from openTSNE.tsne import kl_divergence_fft

    Y, P = np.random.default_rng(1).uniform(-width / 2, width / 2, size=(700, 2)), linked(700)
    step, expected = naive(Y, P.toarray())
    judge = kl_divergence_fft(
        Y, P.astype(float), 1, {"n_interpolation_points": 3, "min_num_intervals": 50, "ints_in_interval": 1},
        should_eval_error=True,
    )  # fmt: skip
    found = GridGradient()(Y, P, should_eval_error=True)
    assert found[0] == pytest.approx(step, rel=2e-3)
    limit = max(1.5 * _rms(judge[1] - expected), 1e-3 * _rms(repulsion(Y)))
    assert _rms(found[1] - expected) < limit


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def test_a_grid_is_kept_while_it_fits_and_threads_change_nothing() -> None:
    Y, P = np.random.default_rng(1).normal(scale=4, size=(700, 2)), linked(700)
    kept = GridGradient()
    kept(Y, P)
    kernels = kept._kernels
    again = kept(Y * 1.01, P, n_jobs=2)[1]
    assert kept._kernels is kernels
    np.testing.assert_array_equal(again, kept(Y * 1.01, P, n_jobs=1)[1])
    kept(Y * 3, P)
    assert kept._kernels is not kernels


def test_affinities_are_openTSNEs() -> None:
    from openTSNE.affinity import joint_probabilities_nn

    indices, distances = exact_knn(np.random.default_rng(0).normal(size=(500, 4)), 30)
    judge = joint_probabilities_nn(indices, distances.astype(np.float64), [10])
    found = affinities(indices, distances.copy(), 10)
    assert found.dtype == np.float32
    assert found.has_sorted_indices
    np.testing.assert_allclose(found.toarray(), judge.toarray(), rtol=1e-6, atol=1e-12)


def repulsion(Y: np.ndarray) -> np.ndarray:
    step = Y[:, None] - Y[None]
    w = 1 / (1 + (step**2).sum(2))
    np.fill_diagonal(w, 0)
    return ((w**2 / w.sum())[:, :, None] * step).sum(1)


def test_gradient_is_openTSNEs() -> None:
    """``openTSNE.tsne.kl_divergence_bh`` with theta 0.01, which is nearly exact: same scale, same sign."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors
    from openTSNE.tsne import kl_divergence_bh

    adata, _ = cells()
    near = PerplexityBasedNN(knn_index=PrecomputedNeighbors(*exact_knn(np.asarray(adata.X), 60)), perplexity=20)
    embedding = TSNEEmbedding(np.random.default_rng(2).normal(scale=3, size=(300, 2)), near)
    judge = kl_divergence_bh(embedding, near.P, dof=1, bh_params={"theta": 0.01}, should_eval_error=True, n_jobs=1)
    found = exact_gradient(np.asarray(embedding), near.P.astype(np.float32), should_eval_error=True)
    assert found[0] == pytest.approx(judge[0], rel=1e-5)
    np.testing.assert_allclose(found[1], judge[1], atol=1e-5 * np.abs(judge[1]).max())


def test_planted_populations_lie_apart() -> None:
    adata, truth = cells()
    tsne(adata, perplexity=20)
    Y = adata.obsm["X_tsne"]
    assert Y.dtype == np.float32
    indices, _ = exact_knn(Y, 5)
    assert (truth[indices] == truth[:, None]).mean() > 0.99
    result = adata.uns["cytof"]["X_tsne"]
    assert 0 < result["kl_divergence"] < 1.5
    assert (result["perplexity"], result["n_jobs"], result["n_fit"]) == (20, 2, 300)
    assert 50 <= result["exaggerated"] < 250, "early exaggeration ends once the divergence is flat"
    assert result["n_iter"] == 500
    assert 0.3 < result["preservation"] <= 1


def test_same_bytes_for_order_and_threads() -> None:
    adata, _ = cells()
    shuffle = np.random.default_rng(1).permutation(adata.n_obs)
    other, single = adata[shuffle].copy(), adata.copy()
    tsne(adata, schedule=Schedule(n_iter=100))
    tsne(other, schedule=Schedule(n_iter=100))
    tsne(single, schedule=Schedule(n_iter=100), n_jobs=1)
    assert adata.obsm["X_tsne"][shuffle].tobytes() == other.obsm["X_tsne"].tobytes()
    assert adata.obsm["X_tsne"].tobytes() == single.obsm["X_tsne"].tobytes()


def test_as_good_as_openTSNE_alone() -> None:
    """``openTSNE.TSNE(perplexity=30, initialization="pca", neighbors="exact").fit(X)``: divergence within 2 %."""
    from openTSNE import TSNE

    adata, _ = cells(600)
    plain = TSNE(perplexity=30, initialization="pca", neighbors="exact", random_state=0).fit(np.asarray(adata.X))
    tsne(adata)
    assert adata.uns["cytof"]["X_tsne"]["kl_divergence"] <= 1.02 * plain.kl_divergence


def test_stored_neighbours_are_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    adata, _ = cells()
    fresh = adata.copy()
    tsne(fresh, perplexity=10, schedule=Schedule(n_iter=50))
    neighbors(adata, k=40)
    monkeypatch.setattr("cytof._neighbors._graph.search", None)
    tsne(adata, perplexity=10, schedule=Schedule(n_iter=50))
    assert adata.obsm["X_tsne"].tobytes() == fresh.obsm["X_tsne"].tobytes()


def test_few_equal_and_no_cells() -> None:
    adata, _ = cells(20)
    with pytest.warns(CytofWarning, match="perplexity 30 needs 91 cells, found 20: lowered to 6.33"):
        tsne(adata, schedule=Schedule(n_iter=50))
    assert np.isfinite(adata.obsm["X_tsne"]).all()
    three = adata[:3].copy()
    with pytest.warns(CytofWarning, match="3 cells, at least 4 make a map"):
        tsne(three)
    assert (three.obsm["X_tsne"] == 0).all()
    equal = cells(100)[0]
    equal.X[:] = 1
    with pytest.warns(CytofWarning, match="constant"):
        tsne(equal, perplexity=10, schedule=Schedule(n_iter=50))
    assert np.isfinite(equal.obsm["X_tsne"]).all()
    with pytest.raises(InputError, match="found 0 cells"):
        tsne(adata[:0].copy())
    with pytest.raises(UsageError, match="perplexity is 0.5"):
        tsne(adata, perplexity=0.5)
    adata.X[:2, 0] = np.nan
    with pytest.raises(InputError, match="M0 in 2 cells"):
        tsne(adata, perplexity=3)


@pytest.mark.slow
def test_above_the_limit_of_the_exact_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cytof.embed._optimise._EXACT", 100)
    adata, truth = cells()
    tsne(adata, perplexity=20)
    indices, _ = exact_knn(adata.obsm["X_tsne"], 5)
    assert (truth[indices] == truth[:, None]).mean() > 0.99


def test_exaggeration_ended_early_costs_no_divergence() -> None:
    """Against all 250 exaggerated iterations: the watcher never says stop, so only the flatness differs."""
    adata, _ = cells(500)
    from cytof.embed import _optimise

    tsne(adata)
    ended = adata.uns["cytof"]["X_tsne"]
    kept, _optimise._SETTLED = _optimise._SETTLED, -1.0
    try:
        tsne(adata)
    finally:
        _optimise._SETTLED = kept
    whole = adata.uns["cytof"]["X_tsne"]
    assert (ended["exaggerated"] < 250, whole["exaggerated"]) == (True, 250)
    assert ended["kl_divergence"] <= 1.01 * whole["kl_divergence"]


def test_preservation_is_a_count() -> None:
    rng = np.random.default_rng(0)
    indices, places = exact_knn(rng.normal(size=(200, 4)), 12)[0], rng.normal(size=(200, 2))
    on_map, _ = exact_knn(places, 12)
    expected = np.mean([len(np.intersect1d(a, b)) / 12 for a, b in zip(indices, on_map, strict=True)])
    assert preservation(np.arange(200), indices, places) == pytest.approx(expected, abs=1e-9)
    assert preservation(np.arange(200), on_map, places) == 1


def test_watcher_sees_the_map_and_ends_it() -> None:
    adata, _ = cells()
    seen: list[tuple[int, float]] = []

    def watch(iteration: int, divergence: float, places: np.ndarray) -> bool:
        assert places.shape == (300, 2)
        seen.append((iteration, divergence))
        return len(seen) == 4

    tsne(adata, schedule=Schedule(progress=watch))
    result = adata.uns["cytof"]["X_tsne"]
    assert len(seen) == 4
    assert [i for i, _ in seen] == sorted(i for i, _ in seen)
    assert result["stopped"]
    assert result["exaggerated"] + result["n_iter"] == seen[-1][0]
    assert result["kl_divergence"] == pytest.approx(seen[-1][1])
    assert np.isfinite(adata.obsm["X_tsne"]).all()


def test_fit_on_equal_cells_a_visit_and_the_rest_placed() -> None:
    adata, truth = cells(400)
    adata.obs["sample_id"] = np.where(np.arange(400) < 320, "d7", "d28")
    transform.equal_draw(adata, n=80)
    tsne(adata, perplexity=15, fit_on="in_fit")
    fitted, Y = adata.obs["in_fit"].to_numpy(), adata.obsm["X_tsne"]
    assert adata.uns["cytof"]["X_tsne"]["n_fit"] == fitted.sum() == 160
    alone = adata[fitted].copy()
    tsne(alone, perplexity=15)
    assert alone.obsm["X_tsne"].tobytes() == Y[fitted].tobytes(), "the fit does not see the other cells"
    near, _ = nearest_among(Y[fitted], Y[~fitted], 5)
    assert (truth[fitted][near] == truth[~fitted][:, None]).mean() > 0.98


def test_fit_on_faults() -> None:
    adata, _ = cells(50)
    with pytest.raises(UsageError, match="column `in_fit` missing"):
        tsne(adata, fit_on="in_fit")
    adata.obs["in_fit"] = False
    with pytest.raises(UsageError, match="found no True in `in_fit`"):
        tsne(adata, fit_on="in_fit")
    adata.obs["in_fit"] = 1.0
    with pytest.raises(UsageError, match="found values of type float64 in `in_fit`"):
        tsne(adata, fit_on="in_fit")


def test_an_empty_visit_changes_nothing() -> None:
    adata, _ = cells(200)
    adata.obs["sample_id"] = pd.Categorical(["d7"] * 200, categories=["d7", "d28"])
    transform.equal_draw(adata, n=100)
    tsne(adata, perplexity=10, fit_on="in_fit", schedule=Schedule(n_iter=50))
    assert np.isfinite(adata.obsm["X_tsne"]).all()
    with pytest.raises(InputError, match="found 0 cells"):
        place(adata[:0].copy(), adata)
