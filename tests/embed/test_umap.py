"""UMAP on the stored graph: planted populations apart, the same bytes for a seed and any order, clear faults."""

from __future__ import annotations

import sys

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import neighbors
from cytof._neighbors._exact import exact_knn
from cytof.embed import umap
from cytof.errors import CytofWarning, UsageError


def cells(n: int = 300) -> tuple[anndata.AnnData, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.arange(n) % 3)
    X = (rng.normal(size=(n, 6)) + 8 * np.eye(3, 6)[truth]).astype(np.float32)
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=[f"M{i}" for i in range(6)])
    return anndata.AnnData(X, var=var, obs=pd.DataFrame(index=[f"s-{i}" for i in range(n)])), truth


def test_populations_apart_and_the_same_bytes_for_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    adata, truth = cells()
    neighbors(adata, k=20)
    shuffle = np.random.default_rng(1).permutation(adata.n_obs)
    other = adata[shuffle].copy()
    del other.uns["neighbors"], other.obsp
    umap(other)
    monkeypatch.setattr("cytof._neighbors._graph.search", None)
    umap(adata)
    near, _ = exact_knn(adata.obsm["X_umap"], 5)
    assert (truth[near] == truth[:, None]).mean() > 0.99
    assert adata.obsm["X_umap"].dtype == np.float32
    assert other.obsm["X_umap"].tobytes() == adata.obsm["X_umap"][shuffle].tobytes()
    assert adata.uns["cytof"]["X_umap"]["k"] == 15


def test_few_cells_and_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    adata, _ = cells(3)
    with pytest.warns(CytofWarning, match="3 cells have 2 others"):
        umap(adata)
    assert (adata.obsm["X_umap"] == 0).all()
    with pytest.raises(UsageError, match="min_dist is 2, expected 0 to 1"):
        umap(adata, min_dist=2)
    monkeypatch.setitem(sys.modules, "umap.umap_", None)
    with pytest.raises(UsageError, match=r"needs the package `umap-learn`.*pip install 'cytof\[umap\]'"):
        umap(adata)
