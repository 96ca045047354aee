"""Approximate nearest neighbours for many cells: random trees, then neighbours of neighbours, recall measured.

A tree of random splits finds most neighbours; comparing the neighbours of a cell with each other finds the rest. The
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
_CANDIDATES = 30  # fresh and old neighbours of a cell that are compared, each way
_ROUNDS, _STILL = 12, 0.005  # rounds at most; share of entries that changed below which it stops
_ROWS, _TOGETHER = 1024, 16  # rows a block; blocks compared before any result is taken over
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
    for seed in state.seeds[trees:]:
        if state.round(seed) <= _STILL * X.shape[0] * k:
            break
    return state.result()


class _Search:
    """Neighbours found so far, cells in the order of the first tree so that neighbours lie close in memory."""

    def __init__(self, X: NDArray[np.float32], k: int, trees: int, random_state: int, n_jobs: int | None) -> None:
        from cytof._neighbors._descent_kernels import grow, join_leaves

        n = len(X)
        self.given, self.n_jobs = X, n_jobs
        self.seeds = np.random.SeedSequence(random_state).generate_state(trees + _ROUNDS, np.uint64)
        leaf = max(_LEAF, 2 * k)
        self.along = np.empty(n, np.int64)
        grow(X, leaf, self.seeds[0], self.along)
        self.X = np.ascontiguousarray(X[self.along] - X.mean(0, dtype=np.float64).astype(np.float32))
        self.cells, self.heaps = np.full((n, k), -1, np.int32), np.full((n, k), np.inf, np.float32)
        self.fresh = np.ones((n, k), np.uint8)
        wide = min(k, _CANDIDATES)
        self.old, self.new = ((np.empty((n, 2 * wide), np.int32), np.empty(n, np.int32)) for _ in range(2))

        def plant(tree: int, _: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            order = np.empty(n, np.int64)
            return order, grow(self.X, leaf, self.seeds[tree], order)

        for order, starts in in_blocks(plant, trees, 1, n_jobs):

            def part(a: int, b: int, order: NDArray = order, starts: NDArray = starts) -> None:
                join_leaves(self.X, order, starts, a, b, self.cells, self.heaps, self.fresh)

            in_blocks(part, len(starts) - 1, 64, n_jobs)

    def round(self, seed: np.uint64) -> int:
        """Compare the neighbours of each cell with each other; return how many neighbours were replaced."""
        from cytof._neighbors._descent_kernels import apply_updates, join

        for (out, counts), wanted in ((self.old, 0), (self.new, 1)):
            self._draw(out, counts, wanted, seed)
        n, changed = len(self.X), 0
        for first in range(0, n, _ROWS * _TOGETHER):

            def compare(a: int, b: int, first: int = first) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
                (new, n_new), (old, n_old) = self.new, self.old
                return join(self.X, self.heaps, new, n_new, old, n_old, first + a, first + b)

            found = in_blocks(compare, min(_ROWS * _TOGETHER, n - first), _ROWS, self.n_jobs)

            def take(a: int, b: int, found: list = found) -> int:
                return sum(
                    apply_updates(pairs, away, a, b, self.cells, self.heaps, self.fresh) for pairs, away in found
                )

            changed += sum(in_blocks(take, n, -(-n // 4), self.n_jobs))
        return changed

    def _draw(self, out: NDArray[np.int32], counts: NDArray[np.int32], wanted: int, seed: np.uint64) -> None:
        from cytof._neighbors._descent_kernels import candidates, reverse

        starts, sources = np.empty(len(self.X) + 1, np.int64), np.empty(self.cells.size, np.int32)
        reverse(self.cells, self.fresh, wanted, starts, sources)

        def rows(a: int, b: int) -> None:
            candidates(self.cells, self.fresh, wanted, starts, sources, a, seed, out[a:b], counts[a:b])

        in_blocks(rows, len(self.X), 16 * _ROWS, self.n_jobs)

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

        in_blocks(rows, n, 16 * _ROWS, self.n_jobs)
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
