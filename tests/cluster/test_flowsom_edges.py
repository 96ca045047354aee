"""Cells that are few, equal, doubled or flat: every verb gives a result."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from planted import table

from cytof import cluster
from cytof.errors import CytofWarning

RNG = np.random.default_rng(0)
CASES = {
    "one cell": np.ones((1, 4)),
    "all cells equal": np.ones((300, 4)),
    "more clusters than cells": np.eye(3),
    "all zero": np.zeros((50, 3)),
    "one marker": RNG.normal(size=(200, 1)),
    "a constant marker": np.c_[RNG.normal(size=(200, 2)), np.full(200, 2.0)],
    "duplicates": np.repeat(RNG.normal(size=(7, 4)), 40, axis=0),
    "very small": 1e-30 * RNG.random((200, 3)),
    "far below 0": -1e6 * RNG.random((200, 3)),
}
TRAININGS = ("batch", "online", cluster.Training("batch", init="sample"), cluster.Training(distance="cosine"))


@pytest.mark.parametrize("case", CASES)
def test_every_verb_gives_a_result(case: str) -> None:
    for training in TRAININGS:
        adata, later = table(CASES[case]), table(CASES[case])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CytofWarning)
            cluster.flowsom(adata, n_clusters=9, training=training)
            cluster.stability(adata, seeds=1, draws=1, key_added="agreed")
            cluster.map_new(later, cluster.model(adata))
            cluster.subcluster(adata, "1")
        assert np.isfinite(adata.uns["cytof"]["som"]["codes"]).all()
        assert adata.obs["flowsom"].notna().all()
        assert adata.obs["agreed"].notna().all()
        assert later.obs["flowsom"].astype(str).tolist() == adata.obs["flowsom"].astype(str).tolist()
        assert np.isfinite(later.obs["flowsom_outlier"]).all()


def test_equal_cells_share_a_cluster() -> None:
    adata = table(CASES["duplicates"])
    cluster.flowsom(adata, n_clusters=7)
    assert adata.obs.groupby(np.repeat(np.arange(7), 40))["flowsom"].nunique().max() == 1
    assert adata.obs["flowsom"].nunique() == 7


def test_more_clusters_than_cells_is_said() -> None:
    adata = table(CASES["more clusters than cells"])
    with pytest.warns(CytofWarning, match="9 clusters asked for, cells fill 3 nodes of the map"):
        cluster.flowsom(adata)
    assert sorted(adata.obs["flowsom"]) == ["1", "2", "3"]
