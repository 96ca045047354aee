"""Later visits on a map that exists: near their kind, each cell for itself, the reference untouched."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof._neighbors._between import nearest_among
from cytof._neighbors._exact import exact_knn
from cytof.embed import place, tsne
from cytof.errors import CytofError, UsageError


def cells(n: int, seed: int = 0) -> tuple[anndata.AnnData, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % 4)
    X = (rng.normal(size=(n, 6)) + 8 * np.eye(4, 6)[truth]).astype(np.float32)
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=[f"M{i}" for i in range(6)])
    return anndata.AnnData(X, var=var, obs=pd.DataFrame(index=[f"{seed}-{i}" for i in range(n)])), truth


@pytest.fixture(scope="module")
def mapped() -> tuple[anndata.AnnData, np.ndarray]:
    adata, truth = cells(400)
    tsne(adata, perplexity=20)
    return adata, truth


def test_new_cells_lie_among_their_kind(mapped: tuple[anndata.AnnData, np.ndarray]) -> None:
    reference, truth = mapped
    before = reference.obsm["X_tsne"].copy()
    later, kind = cells(150, seed=1)
    place(later, reference)
    near, _ = nearest_among(before, later.obsm["X_tsne"], 5)
    assert (truth[near] == kind[:, None]).mean() > 0.98
    assert reference.obsm["X_tsne"].tobytes() == before.tobytes()
    assert later.uns["cytof"]["X_tsne"]["placed_on"] == 400
    assert later.uns["cytof"]["steps"]["step"].tolist() == ["place:X_tsne"]


def test_each_cell_for_itself_and_in_any_order(mapped: tuple[anndata.AnnData, np.ndarray]) -> None:
    later, _ = cells(60, seed=2)
    shuffled, few = later[::-1].copy(), later[:10].copy()
    for part in (later, shuffled, few):
        place(part, mapped[0])
    assert shuffled.obsm["X_tsne"][::-1].tobytes() == later.obsm["X_tsne"].tobytes()
    np.testing.assert_allclose(few.obsm["X_tsne"], later.obsm["X_tsne"][:10], atol=1e-3)


def test_features_of_the_map_are_asked_for(mapped: tuple[anndata.AnnData, np.ndarray]) -> None:
    later, _ = cells(20, seed=3)
    with pytest.raises(CytofError, match="no marker `M5`"):
        place(later[:, :5].copy(), mapped[0])
    with pytest.raises(UsageError, match="no t-SNE map `X_tsne` in the reference"):
        place(later, later)


def test_nearest_among_is_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    reference, X = rng.normal(size=(700, 5)).astype(np.float32), rng.normal(size=(300, 5)).astype(np.float32)
    away = np.linalg.norm(X[:, None].astype(float) - reference[None].astype(float), axis=2).astype(np.float32)
    expected = np.argsort(away, axis=1, kind="stable")[:, :9]
    for n_jobs in (1, 2):
        np.testing.assert_array_equal(nearest_among(reference, X, 9, n_jobs=n_jobs)[0], expected)
    with_self = nearest_among(reference, reference, 4)[0]
    np.testing.assert_array_equal(with_self[:, 1:], exact_knn(reference, 3)[0])
