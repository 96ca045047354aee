"""Exact nearest neighbours: float32 matrix products find candidates, float64 distances rank them, a bound proves them.

``|x - y|^2 = |x|^2 + |y|^2 - 2xy`` is fast as a matrix product and inexact in float32. So more candidates than asked
for are kept, their distances are taken again in float64, and a neighbour counts as found only where the rounding bound
of the product excludes every other cell; elsewhere (many equal cells) all cells are measured. The result is therefore
the same whatever the BLAS, its threads and the order of the cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks

__all__ = ["exact_knn"]

_ROWS, _COLUMNS = 256, 4096  # a tile of products, 4 MiB: stays in the cache until it is read
_SPARE = 16  # candidates kept beyond k


def exact_knn(X: NDArray, k: int, *, n_jobs: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``k`` nearest other cells of each cell, Euclidean, nearest first.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), finite. Cells at equal distance rank by row, so rows in canonical order
        (:func:`cytof.order.canonical`) give the same graph for every shuffle.
    k
        Neighbours a cell, at most ``n_cells - 1``. The cell itself is never among them; its duplicates are.
    n_jobs
        Threads; the result is the same for any number.

    Returns
    -------
    ``(indices, distances)``, int64 and float32, each of shape (n_cells, k). Ranks are by the float32 distance, then by
    row: the first j columns are the j-neighbour graph.

    Examples
    --------
    >>> indices, distances = exact_knn(np.array([[0.0], [1.0], [3.0]]), 1)
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 2.0])
    """
    from threadpoolctl import threadpool_limits

    from cytof._neighbors._exact_kernels import measure, scan

    X = np.ascontiguousarray(X, np.float32)
    n, d = X.shape
    indices, distances = np.zeros((n, k), np.int64), np.zeros((n, k), np.float32)
    if n == 0 or k == 0:
        return indices, distances
    centred = (X - X.mean(0, dtype=np.float64)).astype(np.float32)
    squared = np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
    # the tile holds |y|^2 - 2xy: one product of [-2x, 1] and [y, |y|^2]
    left = np.c_[-2 * centred, np.ones(n, np.float32)]
    right = np.ascontiguousarray(np.c_[centred, squared.astype(np.float32)].T)
    # rounding: of the product (d + 1 terms), of |y|^2 and of centring, against the largest terms there are
    slack = (d + 8) * 2.0**-23 * (np.sqrt(squared) + np.sqrt(squared.max())) ** 2
    kept = min(k + 1 + _SPARE, n)

    def block(start: int, stop: int) -> None:
        worst = np.full((stop - start, kept), np.inf, np.float32)
        candidates = np.full((stop - start, kept), -1, np.int64)
        for column in range(0, n, _COLUMNS):
            scan(left[start:stop] @ right[:, column : column + _COLUMNS], column, worst, candidates)
        bound = worst[:, 0] + squared[start:stop] - slack[start:stop] if kept < n else np.full(stop - start, np.inf)
        flags = np.zeros(stop - start, np.uint8)
        measure(X, start, bound, candidates, indices[start:stop], distances[start:stop], flags)

    with threadpool_limits(1, user_api="blas"):
        in_blocks(block, n, _ROWS, n_jobs)
    return indices, distances
