"""Two-dimensional mixture of normals by expectation-maximisation, for the method ``flowclust``.

Source: Lo, Brinkman and Gottardo 2008 (flowClust); Dempster, Laird and Rubin 1977 (EM). Starts come from the sorted
data, so the result depends neither on the order of the events nor on a seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytof.order import canonical

__all__ = ["Mixture", "mixture"]


@dataclass(frozen=True)
class Mixture:
    """Weights (k,), means (k, d), covariances (k, d, d) and the log-likelihood of a fitted mixture."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    covariances: NDArray[np.float64]
    log_likelihood: float


def mixture(points: NDArray, k: int, *, steps: int = 200, tolerance: float = 1e-5, most: int = 20_000) -> Mixture:
    """Fit ``k`` normals with full covariances.

    Parameters
    ----------
    points
        Shape (n, d); every ceil(n / most)-th of the sorted rows is used.
    k
        Number of components.
    steps, tolerance
        Most EM steps; relative gain of the log-likelihood at which it ends.
    most
        Rows used.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> fit = mixture(np.r_[rng.normal(0, 1, (300, 2)), rng.normal(6, 1, (700, 2))], 2)
    >>> sorted(fit.weights.round(1).tolist())
    [0.3, 0.7]
    """
    points = np.asarray(points, np.float32)
    points = points[canonical(points)][:: max(1, -(-len(points) // most))].astype(np.float64)
    n, dims = points.shape
    spread = np.cov(points.T) + np.eye(dims) * 1e-6
    means = _starts(points, k)
    covariances = np.repeat(spread[None] / k, k, axis=0)
    weights = np.full(k, 1.0 / k)
    before = -np.inf
    for _ in range(steps):
        logs = np.stack([np.log(weights[j]) + _log_normal(points, means[j], covariances[j]) for j in range(k)], axis=1)
        top = logs.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(logs - top).sum(axis=1))
        likelihood = float(total.sum())
        share = np.exp(logs - total[:, None])
        mass = np.maximum(share.sum(axis=0), 1e-9)
        weights, means = mass / n, (share.T @ points) / mass[:, None]
        for j in range(k):
            away = points - means[j]
            covariances[j] = (share[:, j, None] * away).T @ away / mass[j] + np.eye(dims) * 1e-4
        if likelihood - before < tolerance * abs(likelihood):
            break
        before = likelihood
    return Mixture(weights, means, covariances, likelihood)


def _starts(points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Return k points far from each other: the one nearest the middle, then the 98 % farthest from the chosen."""
    scaled = points / np.maximum(points.std(axis=0), 1e-9)
    chosen = [int(np.argmin(((scaled - np.median(scaled, axis=0)) ** 2).sum(axis=1)))]
    while len(chosen) < k:
        nearest = np.min([((scaled - scaled[c]) ** 2).sum(axis=1) for c in chosen], axis=0)
        chosen.append(int(np.argsort(nearest, kind="stable")[int(0.98 * (len(points) - 1))]))
    return points[chosen]


def _log_normal(points: NDArray[np.float64], mean: NDArray, covariance: NDArray) -> NDArray[np.float64]:
    lower = np.linalg.cholesky(covariance)
    away = np.linalg.solve(lower, (points - mean).T)
    return -0.5 * (away**2).sum(axis=0) - np.log(np.diag(lower)).sum() - 0.5 * points.shape[1] * np.log(2 * np.pi)
