"""Metaclusters: planted populations found, all k at once, and the manual labels of real cells."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from planted import mean_f1, planted, table
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score

from cytof.cluster import flowsom
from cytof.cluster._consensus import consensus
from cytof.cluster._flowsom import metaclusters
from cytof.errors import CytofWarning, InputError, UsageError


def nodes(n: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def test_one_whole_draw_is_plain_hierarchical_clustering() -> None:
    """``scipy.cluster.hierarchy.fcluster(linkage(codes, "average"), k, "maxclust")`` for every k."""
    tree = linkage(nodes(), "average")
    found = consensus(nodes(), 15, draws=1, fraction=1.0).clusters
    assert list(found) == list(range(2, 16))
    for k, clusters in found.items():
        assert len(set(clusters)) == k
        assert adjusted_rand_score(clusters, fcluster(tree, k, "maxclust")) == 1


def test_consensus_finds_planted_groups_at_their_k() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(4), [30, 20, 10, 5])
    codes = 10 * rng.normal(size=(4, 6))[truth] + rng.normal(size=(65, 6))
    assert adjusted_rand_score(consensus(codes, 8).clusters[4], truth) == 1


def test_numbers_fall_with_cells_and_empty_nodes_follow_the_nearest() -> None:
    counts = np.random.default_rng(2).integers(0, 50, 40)
    counts[:5] = 0
    for k, number in metaclusters(nodes(), counts, 12)[0].items():
        sizes = np.bincount(number, counts, minlength=k + 1)[1:]
        assert (np.diff(sizes) <= 0).all()
        assert sizes[-1] > 0
    assert max(metaclusters(nodes(), np.r_[np.ones(3), np.zeros(37)], 12)[0]) == 3


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_populations_are_found(seed: int) -> None:
    adata, truth = planted(seed=seed)
    flowsom(adata, n_clusters=5)
    assert adjusted_rand_score(truth, adata.obs["flowsom"]) > 0.98
    assert adata.obs["flowsom"].cat.categories.tolist() == list("12345")
    assert adata.obs["flowsom"].value_counts(sort=False).is_monotonic_decreasing


def test_lookup_gives_every_k_at_no_cost(tmp_path) -> None:
    adata, _ = planted()
    flowsom(adata, n_clusters=8)
    lookup = adata.uns["cytof"]["metaclusters"]
    assert list(lookup.columns) == [f"meta{k}" for k in range(2, 21)]
    of_cells = lookup["meta8"].to_numpy()[adata.obs["flowsom_node"]]
    np.testing.assert_array_equal(of_cells, adata.obs["flowsom"].astype(int))
    other, _ = planted()
    flowsom(other, n_clusters=4)
    np.testing.assert_array_equal(other.uns["cytof"]["metaclusters"]["meta4"], lookup["meta4"])
    adata.write_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(anndata.read_h5ad(tmp_path / "cells.h5ad").uns["cytof"]["metaclusters"], lookup)


def test_labels_follow_shuffled_cells() -> None:
    adata, _ = planted()
    shuffle = np.random.default_rng(3).permutation(adata.n_obs)
    other = adata[shuffle].copy()
    flowsom(adata)
    flowsom(other)
    np.testing.assert_array_equal(
        adata.obs["flowsom"].astype(str).to_numpy()[shuffle], other.obs["flowsom"].astype(str)
    )


def test_manual_labels_of_real_cells(maxpar: tuple[np.ndarray, np.ndarray]) -> None:
    """Liu 2020, 18,305 labelled cells of 20,000: the public package reached ARI 0.69 to 0.81, mean F1 0.70 to 0.71."""
    X, truth = maxpar
    adata, known = table(X), truth > 0
    scores = []
    for seed in range(10):
        flowsom(adata, n_clusters=20, random_state=seed)
        labels = adata.obs["flowsom"].to_numpy()[known]
        scores.append((adjusted_rand_score(truth[known], labels), mean_f1(truth[known], labels)))
    ari, f1 = np.median(scores, axis=0)
    assert ari >= 0.75
    assert f1 >= 0.70
    low, high = np.quantile([s[0] for s in scores], [0.25, 0.75])
    assert high - low <= 0.04


def test_online_training_reaches_the_manual_labels_of_the_public_package(maxpar: tuple[np.ndarray, np.ndarray]) -> None:
    """``flowsom`` 0.2.2 over ten seeds in one run of benchmarks/flowsom.py: median ARI 0.787, mean F1 0.700."""
    X, truth = maxpar
    adata, known = table(X), truth > 0
    scores = []
    for seed in range(3):
        flowsom(adata, n_clusters=20, training="online", random_state=seed)
        labels = adata.obs["flowsom"].to_numpy()[known]
        scores.append((adjusted_rand_score(truth[known], labels), mean_f1(truth[known], labels)))
    ari, f1 = np.median(scores, axis=0)
    assert ari >= 0.75
    assert f1 >= 0.70


@pytest.mark.slow
def test_manual_labels_of_parts_of_the_real_cells(maxpar: tuple[np.ndarray, np.ndarray]) -> None:
    """Ten draws of 16,000 cells: the figures do not hang on these very cells."""
    scores = []
    for seed in range(10):
        rows = np.random.default_rng(seed).choice(len(maxpar[0]), 16_000, replace=False)
        adata, truth = table(maxpar[0][rows]), maxpar[1][rows]
        flowsom(adata, n_clusters=20, random_state=seed)
        labels = adata.obs["flowsom"].to_numpy()[truth > 0]
        scores.append((adjusted_rand_score(truth[truth > 0], labels), mean_f1(truth[truth > 0], labels)))
    assert np.median(scores, axis=0)[0] >= 0.70
    assert np.median(scores, axis=0)[1] >= 0.68


def test_more_clusters_than_kinds_of_cells() -> None:
    equal = table(np.ones((300, 4)))
    with pytest.warns(CytofWarning, match="9 clusters asked for, cells fill 1 node of the map"):
        flowsom(equal)
    assert set(equal.obs["flowsom"]) == {"1"}
    one = table(np.ones((1, 4)))
    with pytest.warns(CytofWarning, match="1 cells for 100 nodes"):
        flowsom(one)
    assert one.obs["flowsom"].tolist() == ["1"]


def test_a_constant_marker_changes_nothing_but_is_said() -> None:
    adata, truth = planted()
    wide = table(np.c_[adata.X, np.full(adata.n_obs, 2.0)])
    with pytest.warns(CytofWarning, match="M10 constant"):
        flowsom(wide, n_clusters=5)
    assert adjusted_rand_score(truth, wide.obs["flowsom"]) > 0.98


def test_faults() -> None:
    adata, _ = planted((200,))
    with pytest.raises(UsageError, match="n_clusters is 0"):
        flowsom(adata, n_clusters=0)
    adata.X[:3, 1] = np.nan
    with pytest.raises(InputError, match="M1 in 3 cells"):
        flowsom(adata)
