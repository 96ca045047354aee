"""Numba kernels of the exact neighbour search: keep the nearest candidates of a tile, then measure them exactly."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int64, uint8, void

__all__ = ["measure", "scan"]

_STRIP = 32  # distances looked at together before any of them is compared with the heap


@nb.njit([void(float32[:, ::1], int64, float32[:, ::1], int64[:, ::1])], nogil=True, cache=True)
def scan(tile, first, worst, candidates):  # type: ignore[no-untyped-def]
    """Keep for each row the candidates of least value: a heap whose root (column 0) is the worst one kept.

    ``tile``: values, shape (n_rows, n_columns); column c is cell ``first + c``. ``worst`` and ``candidates``: heaps of
    values and cells, shape (n_rows, m), changed in place.
    """
    m = worst.shape[1]
    n_columns = tile.shape[1]
    for r in range(tile.shape[0]):
        heap, cells, row = worst[r], candidates[r], tile[r]
        for start in range(0, n_columns, _STRIP):
            stop = min(start + _STRIP, n_columns)
            root = heap[0]
            hit = 0
            strip = row[start:stop]  # from its start: lets the compiler look at many at once
            for c in range(len(strip)):
                hit |= strip[c] < root
            if not hit:
                continue
            for c in range(start, stop):
                value = row[c]
                if value >= heap[0]:
                    continue
                place = 0
                while True:
                    child = 2 * place + 1
                    if child >= m:
                        break
                    if child + 1 < m and heap[child + 1] > heap[child]:
                        child += 1
                    if heap[child] <= value:
                        break
                    heap[place] = heap[child]
                    cells[place] = cells[child]
                    place = child
                heap[place] = value
                cells[place] = first + c


@nb.njit(
    [void(float32[:, ::1], int64, float64[::1], int64[:, ::1], int64[:, ::1], float32[:, ::1], uint8[::1])],
    nogil=True,
    cache=True,
)
def measure(X, first, bound, candidates, indices, distances, scanned):  # type: ignore[no-untyped-def]
    """Rank candidates by exact distance, ties by cell; where they may not hold all neighbours, scan every cell.

    ``bound[r]``: squared distance below which no cell outside the candidates of cell ``first + r`` can lie.
    ``indices, distances``: shape (n_rows, k), filled with the nearest first. ``scanned[r]`` is set to 1 where the
    candidates did not suffice (many equal cells).
    """
    n, d = X.shape
    k = indices.shape[1]
    for r in range(indices.shape[0]):
        cell = first + r
        best, near = distances[r], indices[r]
        for whole in range(2):
            kept = 0
            for c in range(n if whole else candidates.shape[1]):
                other = c if whole else candidates[r, c]
                if other == cell or other < 0:
                    continue
                total = 0.0
                for j in range(d):
                    step = float64(X[cell, j]) - float64(X[other, j])
                    total += step * step
                value = np.float32(np.sqrt(total))
                if kept == k and (value > best[k - 1] or (value == best[k - 1] and other > near[k - 1])):
                    continue
                place = kept if kept < k else k - 1
                kept = min(kept + 1, k)
                while place > 0 and (value < best[place - 1] or (value == best[place - 1] and other < near[place - 1])):
                    best[place] = best[place - 1]
                    near[place] = near[place - 1]
                    place -= 1
                best[place] = value
                near[place] = other
            if kept == k and (whole or float64(best[k - 1]) * (1 + 1e-6) < np.sqrt(max(bound[r], 0.0))):
                break
            scanned[r] = 1
