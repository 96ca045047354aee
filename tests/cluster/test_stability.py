"""Planted clusters are called stable, cut ones are not; rare phenotypes are kept when visits weigh the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted import planted, table
from sklearn.metrics import adjusted_rand_score

from cytof import cluster, transform
from cytof.cluster._stability import best_overlap, vote
from cytof.errors import UsageError


def test_planted_clusters_are_stable_and_a_cut_noise_is_not() -> None:
    adata, _ = planted((900, 500, 250, 120))
    cluster.flowsom(adata, n_clusters=4)
    cluster.stability(adata, seeds=2, draws=3)
    told = adata.uns["cytof"]["stability"]
    assert told["verdict"].tolist() == ["stable"] * 4
    assert told["jaccard_draws"].min() > 0.95
    runs = adata.uns["cytof"]["stability_runs"]
    assert runs.groupby("kind").size().to_dict() == {"seeds": 3, "draws": 6}
    assert runs["ari"].min() > 0.95
    noise = table(np.random.default_rng(0).normal(size=(1500, 8)))
    cluster.flowsom(noise, n_clusters=8)
    cluster.stability(noise, seeds=1, draws=4)
    bad = noise.uns["cytof"]["stability"]
    assert (bad["verdict"] == "stable").mean() < 0.5
    assert noise.uns["cytof"]["stability_runs"]["ari"].median() < 0.7


def test_it_repeats_the_clustering_as_it_was_made_whatever_the_order() -> None:
    adata, _ = planted((400, 300, 200))
    options = {"n_clusters": 3, "grid": (6, 6), "training": cluster.Training("online", rlen=3)}
    cluster.flowsom(adata, key_added="own", random_state=5, **options)
    cluster.stability(adata, key="own", seeds=2, draws=2, random_state=4)
    own = adata.uns["cytof"]["stability:own"]
    shuffled = adata[np.random.default_rng(0).permutation(adata.n_obs)].copy()
    cluster.stability(shuffled, key="own", seeds=2, draws=2, random_state=4)
    pd.testing.assert_frame_equal(own, shuffled.uns["cytof"]["stability:own"])
    again = adata.copy()
    cluster.flowsom(again, key_added="x", random_state=5, **options)
    assert again.obs["x"].tolist() == adata.obs["own"].tolist()


@pytest.mark.parametrize("verb", [cluster.phenograph, cluster.leiden], ids=["phenograph", "leiden"])
def test_graph_clusters_too_and_consensus_labels(verb) -> None:
    adata, truth = planted((300, 200, 150))
    verb(adata, k=60, key_added="graph")
    cluster.stability(adata, key="graph", seeds=1, draws=2, key_added="agreed")
    assert (adata.uns["cytof"]["stability:graph"]["verdict"] == "stable").all()
    assert adjusted_rand_score(truth, adata.obs["agreed"]) > 0.98
    assert adata.obs["agreed_share"].between(0.5, 1).all()
    assert "again" not in adata.obs


def test_overlap_and_votes_by_hand() -> None:
    reference = np.array([0, 0, 0, 1, 1, -1])
    found = np.array([4, 4, 2, 2, -1, 2])
    jaccard, which = best_overlap(reference, found, 2)
    np.testing.assert_allclose(jaccard, [2 / 3, 1 / 2])
    assert which.tolist() == [4, 2]
    runs = [np.array([0, 0, 1, 1]), np.array([3, 3, 3, 0]), np.array([1, 1, 1, 0])]
    label, share = vote(runs, 2)
    assert label.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(share, [1, 1, 2 / 3, 1])


def test_faults() -> None:
    adata, truth = planted((200,))
    adata.obs["mine"] = "1"
    with pytest.raises(UsageError, match="`mine` was not made by flowsom, phenograph, leiden on these cells"):
        cluster.stability(adata, key="mine")
    with pytest.raises(UsageError, match="column `flowsom` missing"):
        cluster.stability(adata)


def visits(rare: int, seed: int = 0):
    """40,000 cells of a first visit, 350 of a late one; of these ``rare`` are of a kind the first visit lacks."""
    rng = np.random.default_rng(seed)
    adata, truth = planted((22_000, 12_000, 6_000), d=12, seed=seed)
    late = rng.choice(adata.n_obs, 350 - rare, replace=False)
    fresh = np.asarray(adata.X)[rng.choice(np.flatnonzero(truth == 1), rare)].copy()
    fresh[:, :4] = 2.5 + rng.normal(0, 0.8, (rare, 4))  # between the levels of the others: near, but a kind of its own
    X = np.r_[adata.X, np.asarray(adata.X)[late], fresh]
    both = table(X)
    both.obs["sample_id"] = pd.Categorical(["day28"] * adata.n_obs + ["year5"] * 350)
    planted_here = np.zeros(len(X), bool)
    planted_here[-rare:] = True
    return both, planted_here


def best_f1(labels: pd.Series, wanted: np.ndarray, within: np.ndarray) -> float:
    counts = pd.crosstab(labels.astype(str)[within], wanted[within])
    return float((2 * counts[True] / (counts.sum(1) + counts[True].sum())).max())


def test_a_rare_phenotype_of_a_late_visit_is_kept_when_visits_weigh_the_same() -> None:
    """60 of 350 cells at 5 years, 0.15 % of all: weights or an equal draw keep them, four seeds; plain cells do not."""
    least = {"all": 1.0, "weight": 1.0, "draw": 1.0}
    for seed in range(4):
        adata, rare = visits(60, seed)
        late = (adata.obs["sample_id"] == "year5").to_numpy()
        transform.equal_weight(adata)
        assert adata.obs.groupby("sample_id", observed=True)["weight"].sum().round(6).nunique() == 1
        transform.equal_draw(adata, n=350)
        for name, fit_on in {"all": None, "weight": "weight", "draw": "in_fit"}.items():
            cluster.flowsom(adata, n_clusters=12, fit_on=fit_on, key_added=name)
            least[name] = min(least[name], best_f1(adata.obs[name], rare, late))
    assert least["weight"] >= 0.85
    assert least["draw"] >= 0.85
    assert least["all"] < least["weight"]


def test_an_empty_visit_is_no_trouble() -> None:
    adata, truth = planted((500, 300))
    adata.obs["sample_id"] = pd.Categorical(np.where(truth == 0, "a", "b"), categories=["a", "b", "empty"])
    transform.equal_weight(adata)
    transform.equal_draw(adata, n=100)
    for fit_on in ("weight", "in_fit"):
        cluster.flowsom(adata, n_clusters=2, fit_on=fit_on)
        assert adjusted_rand_score(truth, adata.obs["flowsom"]) > 0.98
