"""Numba kernel of the consensus: until which number of clusters two nodes stay together."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import int32, int64, uint16, void

__all__ = ["count_together"]


@nb.njit([void(int32[:, ::1], int64[::1], uint16[:, :, ::1])], nogil=True, cache=True)
def count_together(merges, nodes, last):  # type: ignore[no-untyped-def]
    """Add one draw: ``last[i, j, k]`` counts draws in which i and j share a cluster for up to k clusters, not for more.

    ``merges``: shape (size - 1, 2), the pairs of clusters a hierarchy joins, in its order, clusters numbered as scipy
    does. ``nodes``: shape (size,), which nodes were drawn, ascending. The last axis of ``last`` holds 0 to K; a pair
    that stays together beyond K counts at K.
    """
    size = len(nodes)
    most = last.shape[2] - 1
    chain = np.full(size, -1, np.int64)  # next leaf of the same cluster
    head, tail = np.empty(2 * size, np.int64), np.empty(2 * size, np.int64)
    for leaf in range(size):
        head[leaf] = leaf
        tail[leaf] = leaf
    for t in range(size - 1):
        left, right = merges[t, 0], merges[t, 1]
        k = min(size - 1 - t, most)
        a = head[left]
        while a >= 0:
            b = head[right]
            while b >= 0:
                i, j = nodes[a], nodes[b]
                last[min(i, j), max(i, j), k] += 1
                b = chain[b]
            a = chain[a]
        chain[tail[left]] = head[right]
        head[size + t] = head[left]
        tail[size + t] = tail[right]
