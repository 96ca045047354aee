"""Directed weights of neighbours made symmetric: one pass over a matrix and its transpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["union"]


def union(indices: NDArray[np.int32], weights: NDArray[np.float32], *, shared: float) -> csr_matrix:
    """Return ``a + b - shared * a * b`` of the two directed weights of a pair, 0 where there is none.

    Parameters
    ----------
    indices
        Neighbours without the cell itself, int32, C-contiguous, shape (n_cells, k). Overwritten: sorted row by row.
    weights
        Of a cell to each of them, float32, C-contiguous, shape (n_cells, k). Overwritten likewise.
    shared
        1 for a probabilistic or (either of two independent links), 0 for a sum.

    Returns
    -------
    float32 CSR matrix, shape (n_cells, n_cells), indices sorted.

    Examples
    --------
    >>> union(np.int32([[1], [0]]), np.float32([[0.5], [0.5]]), shared=1).toarray().tolist()
    [[0.0, 0.75], [0.75, 0.0]]
    """
    from scipy.sparse import csr_matrix

    from cytof._neighbors._union_kernels import overlay, transpose

    n, k = indices.shape
    if k == 0:
        return csr_matrix((n, n), dtype=np.float32)
    if 2 * n * k >= 2**31:
        raise ValueError(f"{n:,} cells with {k} neighbours: more entries than 32-bit places count")
    rows = np.arange(0, n * k + 1, k, dtype=np.int32)
    there = _empty(n, n * k)
    transpose(rows, indices.reshape(-1), weights.reshape(-1), *there)
    back = np.zeros(n + 1, np.int32), indices.reshape(-1), weights.reshape(-1)
    transpose(*there, *back)  # the same matrix again, rows sorted
    counted = _empty(n, 0)
    overlay(*back, *there, shared, True, *counted)
    found = (counted[0], *_empty(0, int(counted[0][-1]))[1:])
    overlay(*back, *there, shared, False, *found)
    return csr_matrix((found[2], found[1], found[0]), shape=(n, n))


def _empty(n: int, entries: int) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    return np.zeros(n + 1, np.int32), np.empty(entries, np.int32), np.empty(entries, np.float32)
