"""Planted populations that the tests of clustering share, and how clusters are judged."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd


def table(X: np.ndarray) -> anndata.AnnData:
    names = [f"M{i}" for i in range(X.shape[1])]
    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=names)
    return anndata.AnnData(
        np.asarray(X, np.float32), var=var, obs=pd.DataFrame(index=[f"s-{i}" for i in range(len(X))])
    )


def planted(sizes: tuple[int, ...] = (900, 500, 250, 120, 60), d: int = 10, seed: int = 0):
    """Return cells of Gaussian populations five deviations apart, and the population of each."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    centres = 5 * rng.integers(0, 2, (len(sizes), d)) + 3 * np.eye(len(sizes), d)
    return table(centres[truth] + rng.normal(size=(len(truth), d))), truth


def mean_f1(truth: np.ndarray, labels: np.ndarray) -> float:
    """For each population the best F1 over clusters, then the mean."""
    counts = pd.crosstab(truth, np.asarray(labels)).to_numpy()
    return float((2 * counts / (counts.sum(1)[:, None] + counts.sum(0)[None])).max(1).mean())
