"""Numba kernel of t-SNE's conditional probabilities: the width of a Gaussian at which a cell has the perplexity."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, void

__all__ = ["gaussian"]

_STEPS, _CLOSE = 200, 1e-8


@nb.njit([void(float32[:, ::1], float64, float64, float32[:, ::1])], nogil=True, cache=True)
def gaussian(distances, perplexity, total, out):  # type: ignore[no-untyped-def]
    """Write ``exp(-beta d^2)`` row by row, summing to ``total``; ``beta`` by halving until the entropy fits."""
    k = distances.shape[1]
    squared, weight = np.empty(k), np.empty(k)
    wanted = np.log(perplexity)
    for i in range(len(distances)):
        nearest = np.inf
        for e in range(k):
            squared[e] = float64(distances[i, e]) ** 2
            nearest = min(nearest, squared[e])
        beta, low, high = 1.0, 0.0, np.inf
        for _ in range(_STEPS):
            mass, moment = 0.0, 0.0
            for e in range(k):
                weight[e] = np.exp(-beta * (squared[e] - nearest))  # the nearest weighs 1: no row sums to zero
                mass += weight[e]
                moment += weight[e] * (squared[e] - nearest)
            entropy = np.log(mass) + beta * moment / mass
            if abs(entropy - wanted) < _CLOSE:
                break
            if entropy > wanted:
                low = beta
                beta = 2 * beta if high == np.inf else (beta + high) / 2
            else:
                high = beta
                beta = (beta + low) / 2
        for e in range(k):
            out[i, e] = weight[e] / mass * total
