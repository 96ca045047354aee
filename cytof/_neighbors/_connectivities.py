"""Weights of the neighbour graph as UMAP defines them: what ``scanpy.tl.leiden`` and ``scanpy.tl.umap`` expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks
from cytof._neighbors._union import union

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["fuzzy_union"]

_STEPS, _CLOSE, _LEAST = 64, 1e-5, 1e-3  # halvings at most, their tolerance, least width relative to the mean distance
_ROWS = 4096


def fuzzy_union(indices: NDArray[np.integer], distances: NDArray[np.floating]) -> csr_matrix:
    """Return symmetric weights in (0, 1]: ``a + b - ab`` of the two directed weights of a pair.

    A directed weight is ``exp(-(d - rho) / sigma)``: ``rho`` is the distance to the nearest unequal cell, ``sigma``
    such that the weights of a cell sum to ``log2(k + 1)``.

    Parameters
    ----------
    indices, distances
        Neighbours without the cell itself, shape (n_cells, k).

    Returns
    -------
    float32 CSR matrix, shape (n_cells, n_cells), indices sorted.

    Examples
    --------
    >>> fuzzy_union(np.array([[1], [0]]), np.array([[2.0], [2.0]])).toarray().tolist()
    [[0.0, 1.0], [1.0, 0.0]]

    Source: McInnes, Healy and Melville 2018, arXiv:1802.03426, section 3.1.
    """
    from cytof._neighbors._union_kernels import fuzzy

    n, k = indices.shape
    weights = np.empty((n, k), np.float32)
    d = np.ascontiguousarray(distances, np.float32)
    everywhere = float(d.sum(dtype=np.float64)) / max(n * (k + 1), 1)

    def rows(start: int, stop: int) -> None:
        fuzzy(d[start:stop], np.log2(k + 1), _STEPS, _CLOSE, _LEAST, everywhere, weights[start:stop])

    if k:
        in_blocks(rows, n, _ROWS)
    return union(np.array(indices, np.int32, order="C"), weights, shared=1)
