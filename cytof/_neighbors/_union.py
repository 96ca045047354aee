"""Directed weights of neighbours made symmetric: one pass over a matrix and its transpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["union"]


def union(indices: NDArray[np.integer], weights: NDArray[np.floating], *, shared: float) -> csr_matrix:
    """Return ``a + b - shared * a * b`` of the two directed weights of a pair, 0 where there is none.

    Parameters
    ----------
    indices
        Neighbours without the cell itself, shape (n_cells, k).
    weights
        Of a cell to each of them, float32 or float64, shape (n_cells, k).
    shared
        1 for a probabilistic or (either of two independent links), 0 for a sum.

    Returns
    -------
    CSR matrix of the precision of the weights, shape (n_cells, n_cells), indices sorted.

    Examples
    --------
    >>> union(np.array([[1], [0]]), np.float32([[0.5], [0.5]]), shared=1).toarray().tolist()
    [[0.0, 0.75], [0.75, 0.0]]
    """
    from scipy.sparse import csr_matrix

    from cytof._neighbors._union_kernels import overlay, transpose

    n, k = indices.shape
    if k == 0:
        return csr_matrix((n, n), dtype=weights.dtype)
    if 2 * n * k >= 2**31:
        raise ValueError(f"{n:,} cells with {k} neighbours: more entries than 32-bit places count")
    rows = np.arange(0, n * k + 1, k, dtype=np.int32)
    kind = weights.dtype
    there = _empty(n, n * k, kind)
    given = np.ascontiguousarray(indices, np.int32).ravel(), np.ascontiguousarray(weights).ravel()
    transpose(rows, *given, *there)
    del given, indices, weights
    back = _empty(n, n * k, kind)
    transpose(*there, *back)  # the same matrix again, rows sorted
    counted = _empty(n, 0, kind)
    overlay(*back, *there, shared, True, *counted)
    found = (counted[0], *_empty(0, int(counted[0][-1]), kind)[1:])
    overlay(*back, *there, shared, False, *found)
    return csr_matrix((found[2], found[1], found[0]), shape=(n, n))


def _empty(n: int, entries: int, kind: np.dtype) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.floating]]:
    return np.zeros(n + 1, np.int32), np.empty(entries, np.int32), np.empty(entries, kind)
