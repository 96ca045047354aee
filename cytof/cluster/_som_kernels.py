"""Numba kernel of the self-organising map: the nearest node of each cell, and the sums of cells a node."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int32, int64, void

__all__ = ["nearest_nodes"]


@nb.njit(
    [void(float32[:, ::1], float32[:, ::1], float32[::1], int32[::1], float32[::1], float64[:, ::1], int64[::1])],
    nogil=True,
    cache=True,
    fastmath={"contract"},
)
def nearest_nodes(X, codes, half, node, distance, sums, counts):  # type: ignore[no-untyped-def]
    """Write the nearest node of each cell and its distance; where ``sums`` has rows, add the cells up by node.

    ``codes``: transposed, shape (n_features, n_nodes), so that the inner loop runs over nodes; ``half``: half the
    squared norm of each node. The least ``|w|^2 / 2 - xw`` is the least distance; ties go to the lower node.
    """
    n, d = X.shape
    n_nodes = codes.shape[1]
    score = np.empty(n_nodes, np.float32)
    for i in range(n):
        for c in range(n_nodes):
            score[c] = half[c]
        for j in range(d):
            value = X[i, j]
            for c in range(n_nodes):
                score[c] -= value * codes[j, c]
        best = 0
        least = score[0]
        for c in range(1, n_nodes):
            if score[c] < least:
                least = score[c]
                best = c
        node[i] = best
        total = np.float32(0)
        for j in range(d):
            step = X[i, j] - codes[j, best]
            total += step * step
        distance[i] = np.sqrt(total)
        if len(sums):
            counts[best] += 1
            for j in range(d):
                sums[best, j] += X[i, j]
