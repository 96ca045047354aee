"""Numba kernels of symmetric weights: a matrix turned over, two matrices laid over each other, widths of cells."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import boolean, float32, float64, int32, int64, void

__all__ = ["fuzzy", "overlay", "transpose"]

_SPARSE = (int32[::1], int32[::1], float32[::1])
_PRECISE = (int32[::1], int32[::1], float64[::1])


@nb.njit([void(*_SPARSE, *_SPARSE), void(*_PRECISE, *_PRECISE)], nogil=True, cache=True)
def transpose(indptr, indices, weights, out_indptr, out_indices, out_weights):  # type: ignore[no-untyped-def]
    """Write the transpose of a square CSR matrix; its rows come out sorted. ``out_indptr`` holds zeros."""
    n = len(indptr) - 1
    for e in range(len(indices)):
        out_indptr[indices[e] + 1] += 1
    for i in range(n):
        out_indptr[i + 1] += out_indptr[i]
    free = out_indptr[:-1].copy()
    for i in range(n):
        for e in range(indptr[i], indptr[i + 1]):
            place = free[indices[e]]
            free[indices[e]] = place + 1
            out_indices[place], out_weights[place] = i, weights[e]


@nb.njit(
    [void(*_SPARSE, *_SPARSE, float32, boolean, *_SPARSE), void(*_PRECISE, *_PRECISE, float64, boolean, *_PRECISE)],
    nogil=True,
    cache=True,
)
def overlay(indptr, indices, a, t_indptr, t_indices, b, shared, count, out_indptr, out_indices, out):  # type: ignore[no-untyped-def]
    """Write ``a + b - shared a b`` of two CSR matrices with sorted rows; with ``count`` only ``out_indptr``."""
    place = 0
    for i in range(len(indptr) - 1):
        e, f = indptr[i], t_indptr[i]
        while e < indptr[i + 1] or f < t_indptr[i + 1]:
            left = indices[e] if e < indptr[i + 1] else np.int32(2147483647)
            right = t_indices[f] if f < t_indptr[i + 1] else np.int32(2147483647)
            one, two = a.dtype.type(0), a.dtype.type(0)
            if left <= right:
                one = a[e]
                e += 1
            if right <= left:
                two = b[f]
                f += 1
            if not count:
                out_indices[place] = min(left, right)
                out[place] = one + two - shared * one * two
            place += 1
        if count:
            out_indptr[i + 1] = place


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
