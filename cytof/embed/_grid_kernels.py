"""Numba kernels of the interpolated t-SNE gradient: cells to grid, grid to cells, attraction of neighbours."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import boolean, float32, float64, int32, int64, void

__all__ = ["attract", "gather", "spread"]


@nb.njit([void(float64, float32[::1])], nogil=True, cache=True, inline="always")
def _weights(t, out):  # type: ignore[no-untyped-def]
    """Write the weights of the nodes -1, 0, 1, 2 of a cubic through them, at ``t`` between 0 and 1."""
    out[0] = -t * (t - 1) * (t - 2) / 6
    out[1] = (t + 1) * (t - 1) * (t - 2) / 2
    out[2] = -(t + 1) * t * (t - 2) / 2
    out[3] = (t + 1) * t * (t - 1) / 6


@nb.njit([void(float64[:, ::1], float64, float64, float64, float32[:, ::1])], nogil=True, cache=True)
def spread(places, left, low, step, grid):  # type: ignore[no-untyped-def]
    """Add each cell to the 16 nodes around it, weights summing to one. One thread: cells of one node are added in turn.

    ``left, low``: place of node (0, 0); ``step``: between nodes. Cells lie between node 1 and the last but one.
    """
    across, up = np.empty(4, np.float32), np.empty(4, np.float32)
    for i in range(len(places)):
        u, v = (places[i, 0] - left) / step, (places[i, 1] - low) / step
        a, b = int(u), int(v)
        _weights(u - a, across)
        _weights(v - b, up)
        for r in range(4):
            for c in range(4):
                grid[a + r - 1, b + c - 1] += across[r] * up[c]


@nb.njit(
    [void(float64[:, ::1], int64, float64, float64, float64, float32[:, :, ::1], float32[:, ::1])],
    nogil=True, cache=True,
)  # fmt: skip
def gather(places, first, left, low, step, fields, out):  # type: ignore[no-untyped-def]
    """Write two fields at the cells ``first + r`` into ``out``, shape (n_rows, 2)."""
    across, up = np.empty(4, np.float32), np.empty(4, np.float32)
    for r in range(len(out)):
        u, v = (places[first + r, 0] - left) / step, (places[first + r, 1] - low) / step
        a, b = int(u), int(v)
        _weights(u - a, across)
        _weights(v - b, up)
        x, y = np.float32(0), np.float32(0)
        for i in range(4):
            for j in range(4):
                weight = across[i] * up[j]
                x += weight * fields[0, a + i - 1, b + j - 1]
                y += weight * fields[1, a + i - 1, b + j - 1]
        out[r, 0], out[r, 1] = x, y


@nb.njit(
    [void(float32[::1], float32[::1], int32[::1], int32[::1], float32[::1], int64, float32[:, ::1], float64[::1],
          boolean)],
    nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz", "arcp"}, error_model="numpy",
)  # fmt: skip
def attract(x, y, indptr, indices, p, first, out, sums, judge):  # type: ignore[no-untyped-def]
    """Write the sum of ``p q (y_i - y_j)`` over the neighbours of cells ``first + r`` into ``out``, (n_rows, 2).

    ``sums``: with ``judge``, of p and of ``p log(p / q)``.
    """
    for r in range(len(out)):
        i = first + r
        xi, yi = x[i], y[i]
        right, up = np.float32(0), np.float32(0)
        near, weight = indices[indptr[i] : indptr[i + 1]], p[indptr[i] : indptr[i + 1]]
        for e in range(len(near)):
            j = np.uint32(near[e])  # unsigned: no look for places counted from the end, so that the loop vectorises
            dx, dy = xi - x[j], yi - y[j]
            pull = weight[e] / (np.float32(1) + dx * dx + dy * dy)
            right += pull * dx
            up += pull * dy
        out[r, 0], out[r, 1] = right, up
        if judge:
            for e in range(len(near)):
                j = np.uint32(near[e])
                dx, dy = float64(xi - x[j]), float64(yi - y[j])
                sums[0] += weight[e]
                sums[1] += weight[e] * np.log(weight[e] * (1.0 + dx * dx + dy * dy) + 1e-300)
