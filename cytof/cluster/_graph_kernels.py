"""Numba kernels on neighbour graphs: shared neighbours of a pair, and the moving of cells between communities."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float64, int32, int64, void

__all__ = ["aggregate", "inside", "move", "shared"]


@nb.njit([void(int64[:, ::1], int64, int32[:, ::1])], nogil=True, cache=True)
def shared(neighbours, first, out):  # type: ignore[no-untyped-def]
    """Count the neighbours that cell ``first + r`` shares with each of its neighbours into ``out[r]``."""
    n, k = neighbours.shape
    mark = np.full(n, -1, np.int64)
    for r in range(out.shape[0]):
        cell = first + r
        for a in range(k):
            mark[neighbours[cell, a]] = cell
        for a in range(k):
            other = neighbours[cell, a]
            count = 0
            for b in range(k):
                count += mark[neighbours[other, b]] == cell
            out[r, a] = count


@nb.njit([int64(int32[::1], int32[::1], float64[::1], float64[::1], int64[::1], int64[::1])], nogil=True, cache=True)
def move(indptr, indices, weights, degree, queue, community):  # type: ignore[no-untyped-def]
    """Move cells to the neighbouring community of greatest modularity gain until none gains; return the moves.

    The graph is symmetric CSR; ``degree`` are its row sums. ``queue`` starts as the order of visits and is used up;
    a cell whose neighbour left is visited again. ``community`` is changed in place.
    """
    n = len(degree)
    total = np.zeros(n)
    whole = 0.0
    for i in range(n):
        total[community[i]] += degree[i]
        whole += degree[i]
    toward = np.zeros(n)
    touched = np.empty(n, np.int64)
    waiting = np.ones(n, np.uint8)
    head, length, moves = 0, n, 0
    while length:
        i = queue[head]
        head = head + 1 if head + 1 < n else 0
        length -= 1
        waiting[i] = 0
        home = community[i]
        total[home] -= degree[i]
        reached = 0
        for e in range(indptr[i], indptr[i + 1]):
            if indices[e] == i:
                continue
            c = community[indices[e]]
            if toward[c] == 0.0:
                touched[reached] = c
                reached += 1
            toward[c] += weights[e]
        share = degree[i] / whole
        best = home
        most = toward[home] - share * total[home]
        for t in range(reached):
            c = touched[t]
            gain = toward[c] - share * total[c]
            if gain > most + 1e-12:
                best, most = c, gain
        for t in range(reached):
            toward[touched[t]] = 0.0
        total[best] += degree[i]
        if best == home:
            continue
        community[i] = best
        moves += 1
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            if not waiting[j] and community[j] != best:
                waiting[j] = 1
                queue[head + length if head + length < n else head + length - n] = j
                length += 1
    return moves


@nb.njit([float64(int32[::1], int32[::1], float64[::1], int64[::1])], nogil=True, cache=True)
def inside(indptr, indices, weights, community):  # type: ignore[no-untyped-def]
    """Return the sum of the weights within communities, row by row."""
    total = 0.0
    for i in range(len(community)):
        row = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            if community[indices[e]] == community[i]:
                row += weights[e]
        total += row
    return total


@nb.njit(
    [nb.types.Tuple((int32[::1], int32[::1], float64[::1]))(int32[::1], int32[::1], float64[::1], int64[::1], int64)],
    nogil=True,
    cache=True,
)
def aggregate(indptr, indices, weights, community, n):  # type: ignore[no-untyped-def]
    """Return the graph of the ``n`` communities as CSR, ascending: weights between them summed, cell by cell."""
    starts = np.zeros(n + 1, np.int64)
    for i in range(len(community)):
        starts[community[i] + 1] += 1
    for c in range(n):
        starts[c + 1] += starts[c]
    members, place = np.empty(len(community), np.int64), starts[:-1].copy()
    for i in range(len(community)):
        members[place[community[i]]] = i
        place[community[i]] += 1
    rows = np.zeros(n + 1, np.int32)
    columns, sums = np.empty(len(indices), np.int32), np.empty(len(indices))
    toward, seen, touched = np.zeros(n), np.full(n, -1, np.int64), np.empty(n, np.int32)
    filled = 0
    for c in range(n):
        reached = 0
        for m in range(starts[c], starts[c + 1]):
            for e in range(indptr[members[m]], indptr[members[m] + 1]):
                other = community[indices[e]]
                if seen[other] != c:
                    seen[other] = c
                    toward[other] = 0.0
                    touched[reached] = other
                    reached += 1
                toward[other] += weights[e]
        touched[:reached].sort()
        for t in range(reached):
            columns[filled], sums[filled] = touched[t], toward[touched[t]]
            filled += 1
        rows[c + 1] = filled
    return rows, columns[:filled].copy(), sums[:filled].copy()
