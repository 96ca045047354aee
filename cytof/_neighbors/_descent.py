"""Approximate nearest neighbours for many cells: random trees, then neighbours of neighbours, recall measured.

A tree of random splits finds many neighbours; the neighbours of the neighbours of a cell are the rest of them. The
cells are first put into the order of a tree, so that neighbours lie close in memory. Ties in the final ranks go to the
cell that comes first in the order given, as in the exact search.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._between import nearest_among
from cytof._neighbors._blocks import in_blocks

__all__ = ["descent_knn", "recall"]

_TREES, _LEAF = 6, 96
# cells followed from a cell in the first round and later, its neighbours and those it is a neighbour of
_FOLLOWED = 20, 30
_ROUNDS, _STILL = 12, 0.008  # rounds at most; share of neighbours that came in below which it stops
_ROWS = 2048  # rows a block
_CHECKED = 400  # cells on which recall is measured


def descent_knn(
    X: NDArray, k: int, *, random_state: int = 0, trees: int = _TREES, n_jobs: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return about the ``k`` nearest other cells of each cell, Euclidean, nearest first.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), finite, rows in canonical order.
    k
        Neighbours a cell, at most ``n_cells - 1``.
    random_state
        Seed of the splits and of the draws.
    trees
        Trees; more find more.
    n_jobs
        Threads; the result is the same for any number.

    Returns
    -------
    ``(indices, distances)`` as :func:`cytof._neighbors._exact.exact_knn` gives them; distances are exact, some
    neighbours may be missed (:func:`recall`).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    >>> found = descent_knn(X, 5)
    >>> recall(X, *found) > 0.98
    True

    Source: Dong, Moses and Li 2011, WWW, 577 (NN-descent); Dasgupta and Freund 2008, STOC, 537 (random splits).
    """
    X = np.ascontiguousarray(X, np.float32)
    state = _Search(X, k, trees, random_state, n_jobs)
    for number in range(_ROUNDS):
        if state.round(_FOLLOWED[number > 0]) <= _STILL * X.shape[0] * k:
            break
    return state.result()


class _Search:
    """Neighbours found so far, cells in the order of the first tree so that neighbours lie close in memory."""

    def __init__(self, X: NDArray[np.float32], k: int, trees: int, random_state: int, n_jobs: int | None) -> None:
        from cytof._neighbors._descent_kernels import grow, seed
        from cytof._neighbors._lanes import LANES

        n = len(X)
        self.given, self.n_jobs = X, n_jobs
        seeds = np.random.SeedSequence(random_state).generate_state(trees + 1, np.uint64)
        leaf = max(_LEAF, 2 * k)
        self.along = np.empty(n, np.int64)
        grow(X, leaf, seeds[0], self.along)
        self.X = np.zeros((n, -(-X.shape[1] // LANES) * LANES), np.float32)
        self.X[:, : X.shape[1]] = X[self.along] - X.mean(0, dtype=np.float64).astype(np.float32)
        self.cells, self.heaps = np.full((n, k), -1, np.int32), np.full((n, k), np.inf, np.float32)
        self.fresh = np.ones((n, k), np.uint8)
        parts, which = np.empty((trees, n), np.int32), np.empty((2 * trees, n), np.int32)

        def plant(tree: int, _: int) -> None:
            order = np.empty(n, np.int64)
            starts = grow(self.X, leaf, seeds[1 + tree], order)
            parts[tree] = order
            for row, edge in ((2 * tree, starts[:-1]), (2 * tree + 1, starts[1:])):
                which[row, order] = np.repeat(edge, np.diff(starts))

        in_blocks(plant, trees, 1, n_jobs)

        def rows(a: int, b: int) -> None:
            seed(self.X, parts, which, a, b, self.cells, self.heaps, self.fresh)

        in_blocks(rows, n, _ROWS, n_jobs)

    def round(self, followed: int) -> int:
        """Measure the neighbours of ``followed`` neighbours of each cell, either way; return how many came in."""
        from cytof._neighbors._descent_kernels import expand, link, reverse

        near, new = self.cells.copy(), self.fresh.copy()
        self.fresh[:] = 0
        n, k = near.shape
        starts, sources, recent = np.empty(n + 1, np.int64), np.empty(n * k, np.int32), np.empty(n * k, np.uint8)
        reverse(near, new, starts, sources, recent)
        width = 2 * min(followed, k)
        linked, flags, counts = np.empty((n, width), np.int32), np.empty((n, width), np.uint8), np.empty(n, np.int32)
        in_blocks(
            lambda a, b: link(near, new, starts, sources, recent, a, b, linked, flags, counts), n, _ROWS, self.n_jobs
        )

        def rows(a: int, b: int) -> int:
            return int(expand(self.X, near, linked, flags, counts, a, b, self.cells, self.heaps, self.fresh))

        return sum(in_blocks(rows, n, _ROWS, self.n_jobs))

    def result(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return neighbours in the order of the cells given, measured in float64; exact ones where some are missing."""
        from cytof._neighbors._descent_kernels import finish
        from cytof._neighbors._exact import exact_knn

        n, k = self.cells.shape
        if (self.cells < 0).any():
            return exact_knn(self.given, k, n_jobs=self.n_jobs)
        cells = np.empty((n, k), np.int32)
        cells[self.along] = self.along[self.cells]
        indices, distances = np.empty((n, k), np.int64), np.empty((n, k), np.float32)

        def rows(a: int, b: int) -> None:
            finish(self.given, cells, a, indices[a:b], distances[a:b])

        in_blocks(rows, n, _ROWS, self.n_jobs)
        return indices, distances


def recall(X: NDArray, indices: NDArray[np.int64], distances: NDArray[np.float32], *, random_state: int = 0) -> float:
    """Return the share of true neighbours that were found, on 400 drawn cells measured against all.

    A neighbour counts as true when it lies no farther than the k-th of an exact search (ties are no misses).

    Examples
    --------
    >>> X = np.arange(6, dtype=np.float32)[:, None]
    >>> recall(X, np.array([[1], [0], [1], [2], [3], [0]]), np.float32([[1], [1], [1], [1], [1], [5]]))
    0.8333333333333334
    """
    n, k = indices.shape
    drawn = np.sort(np.random.default_rng(random_state).choice(n, min(n, _CHECKED), replace=False))
    _, true = nearest_among(X, X[drawn], k + 1)  # the cell itself among them, at distance 0
    return float((distances[drawn] <= true[:, k:]).mean())
