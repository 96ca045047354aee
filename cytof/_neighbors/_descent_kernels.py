"""Numba kernels of the approximate search: trees of random splits, then neighbours of neighbours.

Every kernel works on a range of rows that no other range writes to, and reads only what stands still meanwhile, so
that the number of threads changes nothing. Distances are squared and float32, summed feature by feature for many cells
at once: the same bytes for any width of the processor's registers.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int32, int64, uint8, uint64, void

__all__ = ["apply_updates", "candidates", "finish", "grow", "join", "join_leaves", "reverse"]


@nb.njit([uint64(uint64)], nogil=True, cache=True)
def _mix(state):  # type: ignore[no-untyped-def]
    """Return a well-mixed number (splitmix64, Steele et al. 2014)."""
    state = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> uint64(27))) * uint64(0x94D049BB133111EB)
    return state ^ (state >> uint64(31))


@nb.njit([void(float32[::1], int32[::1], uint8[::1], float32, int32)], nogil=True, cache=True)
def _push(heap, cells, fresh, value, cell):  # type: ignore[no-untyped-def]
    """Put a cell into a heap whose root is its worst, unless the cell is there; the caller knows it is better."""
    k = len(heap)
    for a in range(k):
        if cells[a] == cell:
            return
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
    [void(float32[:, ::1], int64[::1], int64[::1], int64, int64, int32[:, ::1], float32[:, ::1], uint8[:, ::1])],
    nogil=True,
    cache=True,
)
def join_leaves(X, order, starts, first, last, cells, heaps, fresh):  # type: ignore[no-untyped-def]
    """Measure all pairs within the parts ``first`` to ``last`` of a tree and keep the nearest."""
    d = X.shape[1]
    widest = 0
    for part in range(first, last):
        widest = max(widest, starts[part + 1] - starts[part])
    gathered = np.empty((d, widest), np.float32)
    away = np.empty(widest, np.float32)
    for part in range(first, last):
        low = starts[part]
        m = starts[part + 1] - low
        for a in range(m):
            for f in range(d):
                gathered[f, a] = X[order[low + a], f]
        for a in range(m):
            cell = order[low + a]
            away[:m] = 0
            for f in range(d):
                at, row = X[cell, f], gathered[f]
                for b in range(m):
                    step = row[b] - at
                    away[b] += step * step
            heap = heaps[cell]
            for b in range(m):
                if away[b] < heap[0] and b != a:
                    _push(heap, cells[cell], fresh[cell], away[b], int32(order[low + b]))


@nb.njit([void(int32[:, ::1], uint8[:, ::1], uint8, int64[::1], int32[::1])], nogil=True, cache=True)
def reverse(cells, fresh, wanted, starts, sources):  # type: ignore[no-untyped-def]
    """List for each cell the cells that have it as a neighbour with ``fresh == wanted``: rows of a CSR, ascending."""
    n, k = cells.shape
    starts[:] = 0
    for i in range(n):
        for a in range(k):
            if cells[i, a] >= 0 and fresh[i, a] == wanted:
                starts[cells[i, a] + 1] += 1
    for i in range(n):
        starts[i + 1] += starts[i]
    place = starts[:-1].copy()
    for i in range(n):
        for a in range(k):
            if cells[i, a] >= 0 and fresh[i, a] == wanted:
                sources[place[cells[i, a]]] = i
                place[cells[i, a]] += 1


@nb.njit(
    [
        void(
            int32[:, ::1], uint8[:, ::1], uint8, int64[::1], int32[::1], int64, uint64, int32[:, ::1], int32[::1],
        )
    ],
    nogil=True,
    cache=True,
)  # fmt: skip
def candidates(cells, fresh, wanted, starts, sources, first, seed, out, counts):  # type: ignore[no-untyped-def]
    """Draw for each row up to ``c`` of its neighbours with ``fresh == wanted`` and up to ``c`` of the reverse ones.

    ``out``: shape (n_rows, 2 c). Fresh neighbours that are drawn become old (in ``fresh``).
    """
    n, k = cells.shape
    c = out.shape[1] // 2
    for r in range(out.shape[0]):
        cell = first + r
        state = seed + uint64(cell) * uint64(0x9E3779B97F4A7C15)
        found = 0
        for a in range(k):
            if cells[cell, a] < 0 or fresh[cell, a] != wanted:
                continue
            if found == c:
                break
            out[r, found] = cells[cell, a]
            found += 1
            if wanted:
                fresh[cell, a] = 0
        own = found
        seen = 0
        for e in range(starts[cell], starts[cell + 1]):
            other = sources[e]
            known = False
            for a in range(own):
                known |= out[r, a] == other
            if known:
                continue
            if seen < c:
                out[r, own + seen] = other
                found += 1
            else:
                state += uint64(0x9E3779B97F4A7C15)
                place = int64(_mix(state) % uint64(seen + 1))
                if place < c:
                    out[r, own + place] = other
            seen += 1
        counts[r] = found


@nb.njit(nogil=True, cache=True)
def _longer(cells, values):  # type: ignore[no-untyped-def]
    wider, more = np.empty((2 * len(cells), 2), np.int32), np.empty(2 * len(cells), np.float32)
    wider[: len(cells)] = cells
    more[: len(values)] = values
    return wider, more


@nb.njit(
    [
        nb.types.Tuple((int32[:, ::1], float32[::1]))(
            float32[:, ::1], float32[:, ::1], int32[:, ::1], int32[::1], int32[:, ::1], int32[::1], int64, int64,
        )
    ],
    nogil=True,
    cache=True,
)  # fmt: skip
def join(X, heaps, new, n_new, old, n_old, start, stop):  # type: ignore[no-untyped-def]
    """Measure the candidates of each cell against each other: pairs (cell, better neighbour) and squared distances."""
    d = X.shape[1]
    widest = new.shape[1] + old.shape[1]
    gathered = np.empty((d, widest), np.float32)
    away, worst = np.empty(widest, np.float32), np.empty(widest, np.float32)
    who = np.empty(widest, np.int32)
    pairs, values = np.empty((4096, 2), np.int32), np.empty(4096, np.float32)
    found = 0
    for r in range(start, stop):
        fresh = n_new[r]
        m = fresh + n_old[r]
        for a in range(m):
            who[a] = new[r, a] if a < fresh else old[r, a - fresh]
            worst[a] = heaps[who[a], 0]
            for f in range(d):
                gathered[f, a] = X[who[a], f]
        if found + fresh * m * 2 > len(values):
            while found + fresh * m * 2 > len(values):
                pairs, values = _longer(pairs, values)
        for a in range(fresh):
            away[a:m] = 0
            for f in range(d):
                row = gathered[f]
                at = row[a]
                for b in range(a + 1, m):
                    step = row[b] - at
                    away[b] += step * step
            limit = worst[a]
            for b in range(a + 1, m):
                value = away[b]
                if (value < limit or value < worst[b]) and who[a] != who[b]:
                    if value < limit:
                        pairs[found, 0], pairs[found, 1], values[found] = who[a], who[b], value
                        found += 1
                    if value < worst[b]:
                        pairs[found, 0], pairs[found, 1], values[found] = who[b], who[a], value
                        found += 1
    return pairs[:found].copy(), values[:found].copy()


@nb.njit(
    [int64(int32[:, ::1], float32[::1], int64, int64, int32[:, ::1], float32[:, ::1], uint8[:, ::1])],
    nogil=True,
    cache=True,
)
def apply_updates(pairs, values, first, last, cells, heaps, fresh):  # type: ignore[no-untyped-def]
    """Put the pairs of cells ``first`` to ``last`` into their heaps, in the order given; return how many came in."""
    count = 0
    for u in range(len(values)):
        cell = pairs[u, 0]
        if cell < first or cell >= last or values[u] >= heaps[cell, 0]:
            continue
        before = heaps[cell, 0]
        _push(heaps[cell], cells[cell], fresh[cell], values[u], pairs[u, 1])
        count += heaps[cell, 0] != before
    return count


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
