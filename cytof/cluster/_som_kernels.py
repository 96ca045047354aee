"""Numba kernels of the self-organising map: the nearest node of each cell, and exact sums of cells a node."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int32, int64, types, void

__all__ = ["CELLS", "add_up", "nearest_by", "nearest_nodes"]

CELLS = types.Array(float32, 2, "C", readonly=True)
"""Type of the cells: a memory-mapped file may be open for reading only."""

_FAST = {"contract", "nnan", "nsz"}


@nb.njit(int32(float32[::1]), nogil=True, cache=True, fastmath=_FAST)
def _lowest(score):  # type: ignore[no-untyped-def]
    """Return the place of the least value, the first of equal ones; two passes, so that both vectorise."""
    least = score[0]
    for c in range(len(score)):
        least = min(least, score[c])
    none = np.int32(len(score))
    best = none
    for c in range(len(score)):
        best = min(best, np.int32(c) if score[c] == least else none)
    return np.int32(best)


@nb.njit(
    [void(CELLS, float32[:, ::1], float32[::1], int32[::1], float32[::1])],
    nogil=True,
    cache=True,
    fastmath=_FAST,
)
def nearest_nodes(X, codes, half, node, distance):  # type: ignore[no-untyped-def]
    """Write the nearest node of each cell and its Euclidean distance.

    ``codes``: transposed, shape (n_features, n_nodes), so that the inner loop runs over nodes; ``half``: half the
    squared norm of each node. The least ``|w|^2 / 2 - xw`` is the least distance; ties go to the lower node. Two cells
    and eight features a step keep the scores in registers.
    """
    n, d = X.shape
    n_nodes = codes.shape[1]
    a, b = np.empty(n_nodes, np.float32), np.empty(n_nodes, np.float32)
    whole = d // 8 * 8
    for i in range(0, n, 2):
        k = min(i + 1, n - 1)
        for c in range(n_nodes):
            a[c] = half[c]
            b[c] = half[c]
        for j in range(0, whole, 8):
            x0, x1, x2, x3 = X[i, j], X[i, j + 1], X[i, j + 2], X[i, j + 3]
            x4, x5, x6, x7 = X[i, j + 4], X[i, j + 5], X[i, j + 6], X[i, j + 7]
            y0, y1, y2, y3 = X[k, j], X[k, j + 1], X[k, j + 2], X[k, j + 3]
            y4, y5, y6, y7 = X[k, j + 4], X[k, j + 5], X[k, j + 6], X[k, j + 7]
            for c in range(n_nodes):
                w0, w1, w2, w3 = codes[j, c], codes[j + 1, c], codes[j + 2, c], codes[j + 3, c]
                w4, w5, w6, w7 = codes[j + 4, c], codes[j + 5, c], codes[j + 6, c], codes[j + 7, c]
                s, t = a[c], b[c]
                s -= x0 * w0
                t -= y0 * w0
                s -= x1 * w1
                t -= y1 * w1
                s -= x2 * w2
                t -= y2 * w2
                s -= x3 * w3
                t -= y3 * w3
                s -= x4 * w4
                t -= y4 * w4
                s -= x5 * w5
                t -= y5 * w5
                s -= x6 * w6
                t -= y6 * w6
                s -= x7 * w7
                t -= y7 * w7
                a[c] = s
                b[c] = t
        for j in range(whole, d):
            for c in range(n_nodes):
                a[c] -= X[i, j] * codes[j, c]
                b[c] -= X[k, j] * codes[j, c]
        node[i] = _lowest(a)
        node[k] = _lowest(b) if k > i else node[i]
    for i in range(n):
        total = np.float32(0)
        best = node[i]
        for j in range(d):
            step = X[i, j] - codes[j, best]
            total += step * step
        distance[i] = np.sqrt(total)


@nb.njit(
    [void(CELLS, CELLS, int64, int32[::1], float32[::1])],
    nogil=True,
    cache=True,
    fastmath={"contract"},
)
def nearest_by(X, codes, kind, node, distance):  # type: ignore[no-untyped-def]
    """Write the nearest node of each cell by another distance.

    ``codes``: shape (n_nodes, n_features). ``kind``: 1 Manhattan, 2 Chebyshev, 3 cosine (one minus the cosine of the
    angle; a cell or node at the origin is at distance 1 from all).
    """
    n, d = X.shape
    for i in range(n):
        best, least = 0, np.float32(np.inf)
        for c in range(len(codes)):
            total, x2, w2 = np.float32(0), np.float32(0), np.float32(0)
            for j in range(d):
                if kind == 3:
                    total += X[i, j] * codes[c, j]
                    x2 += X[i, j] * X[i, j]
                    w2 += codes[c, j] * codes[c, j]
                else:
                    step = abs(X[i, j] - codes[c, j])
                    total = total + step if kind == 1 else max(total, step)
            if kind == 3:
                total = np.float32(1) - total / np.sqrt(x2 * w2) if x2 * w2 > 0 else np.float32(1)
            if total < least:
                best, least = c, total
        node[i] = best
        distance[i] = least


@nb.njit([void(CELLS, int32[::1], float64[::1], float64, float64[:, ::1], float64[::1])], nogil=True, cache=True)
def add_up(X, node, weight, scale, sums, counts):  # type: ignore[no-untyped-def]
    """Add cells to the sums of their nodes as whole multiples of ``1 / scale``: exact, so in any order the same.

    ``weight``: of each cell; empty for 1 each. ``sums``, ``counts``: shape (n_nodes, n_features) and (n_nodes,), in
    units of ``1 / scale``; as long as they stay below 2^53 no addition rounds.
    """
    n, d = X.shape
    for i in range(n):
        unit = scale * weight[i] if len(weight) else scale
        row = node[i]
        counts[row] += np.rint(unit)
        for j in range(d):
            sums[row, j] += np.rint(X[i, j] * unit)
