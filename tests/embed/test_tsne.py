"""t-SNE: the gradient by a naive sum, planted populations apart, same bytes for order and threads."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import neighbors
from cytof._neighbors._exact import exact_knn
from cytof.embed import tsne
from cytof.embed._gradient import exact_gradient
from cytof.errors import CytofWarning, InputError, UsageError


def cells(n: int = 300, d: int = 6, seed: int = 0) -> tuple[anndata.AnnData, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % 3)
    X = (rng.normal(size=(n, d)) + 8 * np.eye(3, d)[truth]).astype(np.float32)
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=[f"M{i}" for i in range(d)])
    return anndata.AnnData(X, var=var, obs=pd.DataFrame(index=[f"s-{i}" for i in range(n)])), truth


def affinities(n: int, seed: int = 0):
    from scipy.sparse import random

    P = random(n, n, 0.1, "csr", rng=np.random.default_rng(seed))
    P = (P + P.T).tocsr()
    P.setdiag(0)
    P.eliminate_zeros()
    return P / P.sum()


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
    Y, P = np.random.default_rng(1).normal(scale=4, size=(700, 2)), affinities(700)
    step, expected = naive(Y, P.toarray())[0], naive(Y, P.toarray())[1]
    if exaggeration == 1:
        divergence, gradient = exact_gradient(Y, P, should_eval_error=True)
        assert divergence == pytest.approx(step, rel=1e-5)
    else:
        gradient = exact_gradient(Y, P * exaggeration)[1]
        expected = exaggeration * expected + (exaggeration - 1) * repulsion(Y)
    np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


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
    found = exact_gradient(np.asarray(embedding), near.P, should_eval_error=True)
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
    assert (result["perplexity"], result["n_jobs"]) == (20, 2)


def test_same_bytes_for_order_and_threads() -> None:
    adata, _ = cells()
    shuffle = np.random.default_rng(1).permutation(adata.n_obs)
    other, single = adata[shuffle].copy(), adata.copy()
    tsne(adata, n_iter=100)
    tsne(other, n_iter=100)
    tsne(single, n_iter=100, n_jobs=1)
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
    tsne(fresh, perplexity=10, n_iter=50)
    neighbors(adata, k=40)
    monkeypatch.setattr("cytof._neighbors._graph.exact_knn", None)
    tsne(adata, perplexity=10, n_iter=50)
    assert adata.obsm["X_tsne"].tobytes() == fresh.obsm["X_tsne"].tobytes()


def test_few_equal_and_no_cells() -> None:
    adata, _ = cells(20)
    with pytest.warns(CytofWarning, match="perplexity 30 needs 91 cells, found 20: lowered to 6.33"):
        tsne(adata, n_iter=50)
    assert np.isfinite(adata.obsm["X_tsne"]).all()
    three = adata[:3].copy()
    with pytest.warns(CytofWarning, match="3 cells, at least 4 make a map"):
        tsne(three)
    assert (three.obsm["X_tsne"] == 0).all()
    equal = cells(100)[0]
    equal.X[:] = 1
    with pytest.warns(CytofWarning, match="constant"):
        tsne(equal, perplexity=10, n_iter=50)
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
    monkeypatch.setattr("cytof.embed._tsne._EXACT", 100)
    adata, truth = cells()
    tsne(adata, perplexity=20)
    indices, _ = exact_knn(adata.obsm["X_tsne"], 5)
    assert (truth[indices] == truth[:, None]).mean() > 0.99
