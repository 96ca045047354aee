"""Numba kernels of symmetric weights: links turned round, both directions laid over each other, widths of cells."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int32, int64, void

__all__ = ["fuzzy", "incoming", "overlay", "sort_rows"]

_KINDS = (float32, float64)


@nb.njit([void(int32[:, ::1], kind[:, ::1]) for kind in _KINDS], nogil=True, cache=True)
def sort_rows(indices, weights):  # type: ignore[no-untyped-def]
    """Put the neighbours of each cell in ascending order, in place."""
    for i in range(len(indices)):
        for e in range(1, indices.shape[1]):
            cell, weight, place = indices[i, e], weights[i, e], e
            while place > 0 and indices[i, place - 1] > cell:
                indices[i, place], weights[i, place] = indices[i, place - 1], weights[i, place - 1]
                place -= 1
            indices[i, place], weights[i, place] = cell, weight


@nb.njit(
    [nb.types.Tuple((int64[::1], int32[::1], kind[::1]))(int32[:, ::1], kind[:, ::1], int64, int64) for kind in _KINDS],
    nogil=True, cache=True,
)  # fmt: skip
def incoming(indices, weights, first, last):  # type: ignore[no-untyped-def]
    """Return the rows ``first`` to ``last`` of the transpose: starts, cells in ascending order, weights."""
    starts = np.zeros(last - first + 1, np.int64)
    for i in range(len(indices)):
        for e in range(indices.shape[1]):
            if first <= indices[i, e] < last:
                starts[indices[i, e] - first + 1] += 1
    for r in range(last - first):
        starts[r + 1] += starts[r]
    free = starts[:-1].copy()
    cells, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], weights.dtype)
    for i in range(len(indices)):
        for e in range(indices.shape[1]):
            if first <= indices[i, e] < last:
                place = free[indices[i, e] - first]
                free[indices[i, e] - first] = place + 1
                cells[place], values[place] = i, weights[i, e]
    return starts, cells, values


@nb.njit(
    [
        void(int32[:, ::1], kind[:, ::1], int64[::1], int32[::1], kind[::1], kind, int64[::1], int32[::1], kind[::1])
        for kind in _KINDS
    ],
    nogil=True, cache=True,
)  # fmt: skip
def overlay(indices, weights, starts, cells, values, shared, rows, out_indices, out):  # type: ignore[no-untyped-def]
    """Write ``a + b - shared a b`` of some rows and of those of the transpose, row r from ``rows[r]`` on.

    Without places to write to (``len(out)`` 0), ``rows[r]`` becomes the number of entries.
    """
    none, k = np.int32(2147483647), indices.shape[1]
    for r in range(len(indices)):
        e, f, place = 0, starts[r], rows[r]
        while e < k or f < starts[r + 1]:
            left = indices[r, e] if e < k else none
            right = cells[f] if f < starts[r + 1] else none
            one, two = weights.dtype.type(0), weights.dtype.type(0)
            if left <= right:
                one = weights[r, e]
                e += 1
            if right <= left:
                two = values[f]
                f += 1
            if len(out):
                out_indices[place] = min(left, right)
                out[place] = one + two - shared * one * two
            place += 1
        if not len(out):
            rows[r] = place - rows[r]


@nb.njit([void(float32[:, ::1], float64, int64, float64, float64, float64, float32[:, ::1])], nogil=True, cache=True)
def fuzzy(distances, target, steps, close, least, everywhere, out):  # type: ignore[no-untyped-def]
    """Write ``exp(-(d - rho) / sigma)`` row by row, ``sigma`` by halving until the row sums to ``target``.

    ``least``: smallest width relative to the mean distance of the row (the cell itself counted, at 0), or, in a row of
    zeros, to ``everywhere``, that of all.
    """
    k = distances.shape[1]
    beyond = np.empty(k)
    for i in range(len(distances)):
        rho, mean = np.inf, 0.0
        for e in range(k):
            d = float64(distances[i, e])
            mean += d / (k + 1)
            if d > 0 and d < rho:
                rho = d
        unequal = rho < np.inf
        for e in range(k):
            beyond[e] = max(float64(distances[i, e]) - rho, 0.0) if unequal else float64(distances[i, e])
        low, high, width = 0.0, np.inf, 1.0
        for _ in range(steps):
            total = 0.0
            for e in range(k):
                total += np.exp(-beyond[e] / width)
            if abs(total - target) < close:
                break
            if total > target:
                high = width
            else:
                low = width
            width = (low + high) / 2 if high < np.inf else 2 * width
        width = max(width, least * (mean if unequal else everywhere))
        for e in range(k):
            out[i, e] = np.exp(-beyond[e] / (width if width > 0 else 1.0))
