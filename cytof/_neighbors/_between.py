"""The nearest of some cells to each of others: placing cells on a map, and judging an approximate search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks

__all__ = ["nearest_among"]

_ROWS, _COLUMNS, _SPARE = 256, 4096, 16


def nearest_among(
    reference: NDArray, X: NDArray, k: int, *, n_jobs: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return for each row of ``X`` the ``k`` nearest rows of ``reference``, Euclidean, nearest first.

    Candidates by float32 products, ranks by float64 distances of ``k + 16`` candidates; ties by row.

    Parameters
    ----------
    reference, X
        Shape (n_reference, n_features) and (n_cells, n_features), finite. A cell that is in both finds itself.
    k
        At most ``n_reference``.
    n_jobs
        Threads; the result is the same for any number.

    Returns
    -------
    ``(indices, distances)``, int64 and float32, shape (n_cells, k).

    Examples
    --------
    >>> nearest_among(np.array([[0.0], [1.0], [3.0]]), np.array([[0.9]]), 2)[0].tolist()
    [[1, 0]]
    """
    from threadpoolctl import threadpool_limits

    from cytof._neighbors._exact_kernels import scan

    reference, X = (np.ascontiguousarray(a, np.float32) for a in (reference, X))
    middle = reference.mean(0, dtype=np.float64).astype(np.float32)
    right = (reference - middle).T.copy()
    squared = np.einsum("ij,ij->j", right, right)
    kept = min(k + _SPARE, len(reference))
    indices, distances = np.empty((len(X), k), np.int64), np.empty((len(X), k), np.float32)

    def block(start: int, stop: int) -> None:
        worst = np.full((stop - start, kept), np.inf, np.float32)
        found = np.full((stop - start, kept), -1, np.int64)
        left = -2 * (X[start:stop] - middle)
        for column in range(0, len(reference), _COLUMNS):
            tile = left @ right[:, column : column + _COLUMNS]
            scan(tile + squared[column : column + _COLUMNS], column, worst, found)
        found.sort(1)
        step = reference[found].astype(np.float64) - X[start:stop, None].astype(np.float64)
        away = np.sqrt(np.einsum("ijk,ijk->ij", step, step)).astype(np.float32)
        rank = np.argsort(away, axis=1, kind="stable")[:, :k]
        indices[start:stop] = np.take_along_axis(found, rank, 1)
        distances[start:stop] = np.take_along_axis(away, rank, 1)

    with threadpool_limits(1, user_api="blas"):
        in_blocks(block, len(X), _ROWS, n_jobs)
    return indices, distances
