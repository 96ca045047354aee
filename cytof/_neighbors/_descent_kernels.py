"""Numba kernels of the approximate search: trees of random splits, then neighbours of neighbours.

Every kernel writes to the rows of a range only and reads what stands still meanwhile, so that the number of threads
changes nothing. Distances while searching are squared and float32, summed in eight lanes
(:func:`cytof._neighbors._lanes.squared`): the same bytes on every processor.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int32, int64, uint8, uint64, void

from cytof._neighbors._lanes import squared

__all__ = ["expand", "finish", "grow", "link", "reverse", "seed"]


@nb.njit([uint64(uint64)], nogil=True, cache=True)
def _mix(state):  # type: ignore[no-untyped-def]
    """Return a well-mixed number (splitmix64, Steele et al. 2014)."""
    state = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> uint64(27))) * uint64(0x94D049BB133111EB)
    return state ^ (state >> uint64(31))


@nb.njit([void(float32[::1], int32[::1], uint8[::1], float32, int32)], nogil=True, cache=True)
def _push(heap, cells, fresh, value, cell):  # type: ignore[no-untyped-def]
    """Put a cell in place of the worst of a heap, its root; the caller knows that it is better and not there yet."""
    k = len(heap)
    place = 0
    while True:
        child = 2 * place + 1
        if child >= k:
            break
        if child + 1 < k and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[place] = heap[child]
        cells[place] = cells[child]
        fresh[place] = fresh[child]
        place = child
    heap[place] = value
    cells[place] = cell
    fresh[place] = 1


@nb.njit([int64[::1](float32[:, ::1], int64, uint64, int64[::1])], nogil=True, cache=True)
def grow(X, leaf, seed, order):  # type: ignore[no-untyped-def]
    """Part the cells by planes halfway between two drawn ones until parts are small; return where parts start.

    ``order`` is filled with cells, part by part. A split that leaves a side with less than a sixteenth (equal cells)
    is replaced by halving. The last entry returned is the number of cells.
    """
    n, d = X.shape
    starts = np.empty(n + 1, np.int64)
    stack = np.empty((256, 2), np.int64)
    side = np.empty(n, np.uint8)
    spare = np.empty(n, np.int64)
    normal = np.empty(d, np.float32)
    for i in range(n):
        order[i] = i
    stack[0, 0], stack[0, 1] = 0, n
    depth, parts = 1, 0
    state = seed
    while depth:
        depth -= 1
        low, high = stack[depth, 0], stack[depth, 1]
        m = high - low
        if m <= leaf:
            starts[parts] = low
            parts += 1
            continue
        state += uint64(0x9E3779B97F4A7C15)
        a = order[low + int64(_mix(state) % uint64(m))]
        state += uint64(0x9E3779B97F4A7C15)
        b = order[low + int64(_mix(state) % uint64(m))]
        offset = float32(0)
        for f in range(d):
            normal[f] = X[a, f] - X[b, f]
            offset += normal[f] * (X[a, f] + X[b, f]) * float32(0.5)
        left = int64(0)
        for i in range(low, high):
            cell = order[i]
            value = -offset
            for f in range(d):
                value += normal[f] * X[cell, f]
            side[i] = value > 0
            left += value > 0
        if left < m // 16 or left > m - m // 16:
            left = m // 2
            for i in range(low, high):
                side[i] = i < low + left
        ahead, behind = low, low + left
        for i in range(low, high):
            if side[i]:
                spare[ahead] = order[i]
                ahead += 1
            else:
                spare[behind] = order[i]
                behind += 1
        for i in range(low, high):
            order[i] = spare[i]
        stack[depth, 0], stack[depth, 1] = low + left, high
        stack[depth + 1, 0], stack[depth + 1, 1] = low, low + left
        depth += 2
    starts[parts] = n
    return starts[: parts + 1].copy()


@nb.njit(
    [void(float32[:, ::1], int32[:, ::1], int32[:, ::1], int64, int64, int32[:, ::1], float32[:, ::1], uint8[:, ::1])],
    nogil=True,
    cache=True,
)
def seed(X, parts, which, first, last, cells, heaps, fresh):  # type: ignore[no-untyped-def]
    """Keep for the cells ``first`` to ``last`` the nearest of those in the same part of any tree.

    ``parts``: the cells of each tree, part by part, shape (n_trees, n_cells); ``which``: where the part of each cell
    starts and ends there, shape (2 n_trees, n_cells).
    """
    n, d = X.shape
    met = np.full(n, -1, np.int32)
    for i in range(first, last):
        met[i] = i
        for tree in range(len(parts)):
            for place in range(which[2 * tree, i], which[2 * tree + 1, i]):
                other = parts[tree, uint64(place)]
                if met[uint64(other)] == i:
                    continue
                met[uint64(other)] = i
                value = squared(X, i, int64(other), d)
                if value < heaps[i, 0]:
                    _push(heaps[i], cells[i], fresh[i], value, other)


@nb.njit([void(int32[:, ::1], uint8[:, ::1], int64[::1], int32[::1], uint8[::1])], nogil=True, cache=True)
def reverse(cells, fresh, starts, sources, recent):  # type: ignore[no-untyped-def]
    """List for each cell the cells that have it as a neighbour: rows of a CSR, fresh ones first, then ascending."""
    n, k = cells.shape
    starts[:] = 0
    for i in range(n):
        for a in range(k):
            if cells[i, a] >= 0:
                starts[cells[i, a] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
    place = starts[:-1].copy()
    for wanted in range(1, -1, -1):
        for i in range(n):
            for a in range(k):
                if cells[i, a] >= 0 and fresh[i, a] == wanted:
                    sources[place[cells[i, a]]] = i
                    recent[place[cells[i, a]]] = wanted
                    place[cells[i, a]] += 1


@nb.njit(
    [
        void(
            int32[:, ::1], uint8[:, ::1], int64[::1], int32[::1], uint8[::1], int64, int64,
            int32[:, ::1], uint8[:, ::1], int32[::1],
        )
    ],
    nogil=True,
    cache=True,
)  # fmt: skip
def link(near, new, starts, sources, recent, first, last, cells, fresh, counts):  # type: ignore[no-untyped-def]
    """List the cells joined to the cells ``first`` to ``last`` either way, as many as ``cells`` has columns.

    Half the columns are its own neighbours (where there are more, the end of the heap, which holds the nearer ones).
    """
    k, width = near.shape[1], cells.shape[1]
    low = max(k - width // 2, 0)
    for i in range(first, last):
        m = 0
        for a in range(low, k):
            cells[i, m], fresh[i, m] = near[i, a], new[i, a]
            m += 1
        own = m
        for e in range(starts[i], starts[i + 1]):
            if m == width:
                break
            known = False
            for a in range(own):
                known |= cells[i, a] == sources[e]
            if not known:
                cells[i, m], fresh[i, m] = sources[e], recent[e]
                m += 1
        counts[i] = m


@nb.njit(
    [
        int64(
            float32[:, ::1], int32[:, ::1], int32[:, ::1], uint8[:, ::1], int32[::1], int64, int64,
            int32[:, ::1], float32[:, ::1], uint8[:, ::1],
        )
    ],
    nogil=True,
    cache=True,
)  # fmt: skip
def expand(X, near, linked, recent, counts, first, last, cells, heaps, fresh):  # type: ignore[no-untyped-def]
    """Measure what is linked to the links of the cells ``first`` to ``last``; return how many neighbours came in.

    ``near``: neighbours at the start of the round. ``linked, recent, counts``: :func:`link`; a pair joined by two older
    links was measured before. ``cells, heaps, fresh``: what is kept, changed here.
    """
    n, k = near.shape
    d, width = X.shape[1], linked.shape[1]
    met = np.full(n, -1, np.int32)
    found = np.empty(width * (width + 1), np.int32)
    came = 0
    for i in range(first, last):
        met[i] = i
        for a in range(k):
            met[uint64(near[i, a])] = i
        m = uint64(0)
        for a in range(uint64(counts[i])):
            between = uint64(linked[i, a])
            whole = recent[i, a]
            if whole and met[between] != i:
                met[between] = i
                found[m] = linked[i, a]
                m += uint64(1)
            for b in range(uint64(counts[between])):
                other = linked[between, b]
                if (whole or recent[between, b]) and met[uint64(other)] != i:
                    met[uint64(other)] = i
                    found[m] = other
                    m += uint64(1)
        for c in range(m):
            value = squared(X, i, int64(found[c]), d)
            if value < heaps[i, 0]:
                _push(heaps[i], cells[i], fresh[i], value, found[c])
        for a in range(k):
            came += fresh[i, a]
    return came


@nb.njit([void(float32[:, ::1], int32[:, ::1], int64, int64[:, ::1], float32[:, ::1])], nogil=True, cache=True)
def finish(X, cells, first, indices, distances):  # type: ignore[no-untyped-def]
    """Measure the neighbours kept in float64 and rank them by float32 distance, then by cell."""
    d = X.shape[1]
    k = indices.shape[1]
    for r in range(indices.shape[0]):
        for a in range(k):
            other = int64(cells[first + r, a])
            total = 0.0
            for f in range(d):
                step = float64(X[first + r, f]) - float64(X[other, f])
                total += step * step
            value = np.float32(np.sqrt(total))
            place = a
            while place > 0 and (
                value < distances[r, place - 1] or (value == distances[r, place - 1] and other < indices[r, place - 1])
            ):
                distances[r, place] = distances[r, place - 1]
                indices[r, place] = indices[r, place - 1]
                place -= 1
            distances[r, place] = value
            indices[r, place] = other
