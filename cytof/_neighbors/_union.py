"""Directed weights of neighbours made symmetric: a graph laid over its transpose, a sixteenth of it at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["union"]

_BLOCKS = 16


def union(
    indices: NDArray[np.integer], weights: NDArray[np.floating], *, shared: float, n_jobs: int | None = None
) -> csr_matrix:
    """Return ``a + b - shared * a * b`` of the two directed weights of a pair, 0 where there is none.

    Parameters
    ----------
    indices
        Neighbours without the cell itself, shape (n_cells, k). Where they are int32, overwritten: sorted row by row.
    weights
        Of a cell to each of them, float32 or float64, shape (n_cells, k). Overwritten likewise.
    shared
        1 for a probabilistic or (either of two independent links), 0 for a sum.
    n_jobs
        Threads; the result is the same for any number.

    Returns
    -------
    CSR matrix of the precision of the weights, shape (n_cells, n_cells), indices sorted.

    Examples
    --------
    >>> union(np.int32([[1], [0]]), np.float32([[0.5], [0.5]]), shared=1).toarray().tolist()
    [[0.0, 0.75], [0.75, 0.0]]
    """
    from scipy.sparse import csr_matrix

    from cytof._neighbors._union_kernels import incoming, overlay, sort_rows

    n, k = indices.shape
    if k == 0:
        return csr_matrix((n, n), dtype=weights.dtype)
    indices, weights = np.ascontiguousarray(indices, np.int32), np.ascontiguousarray(weights)
    block = -(-n // _BLOCKS)  # so much of the transpose is in memory at a time
    rows, no_cells, nothing = np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, weights.dtype)
    in_blocks(lambda a, b: sort_rows(indices[a:b], weights[a:b]), n, block, n_jobs)

    def count(a: int, b: int) -> None:
        starts, sources, values = incoming(indices, weights, a, b)
        overlay(indices[a:b], weights[a:b], starts, sources, values, shared, rows[1 + a : 1 + b], no_cells, nothing)

    in_blocks(count, n, block, n_jobs)
    np.cumsum(rows, out=rows)
    cells, found = np.empty(rows[-1], np.int32), np.empty(rows[-1], weights.dtype)

    def fill(a: int, b: int) -> None:
        starts, sources, values = incoming(indices, weights, a, b)
        overlay(indices[a:b], weights[a:b], starts, sources, values, shared, rows[a:b], cells, found)

    in_blocks(fill, n, block, n_jobs)
    return csr_matrix((found, cells, rows.astype(np.int32) if rows[-1] < 2**31 else rows), shape=(n, n))
