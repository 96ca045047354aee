"""Weights of the neighbour graph as UMAP defines them: what ``scanpy.tl.leiden`` and ``scanpy.tl.umap`` expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["fuzzy_union"]

_STEPS, _CLOSE, _LEAST = 64, 1e-5, 1e-3  # halvings at most, their tolerance, least width relative to the mean distance


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
    from scipy.sparse import csr_matrix

    n, k = indices.shape
    if k == 0:
        return csr_matrix((n, n), dtype=np.float32)
    d = np.asarray(distances, np.float64)
    unequal = np.where(d > 0, d, np.inf).min(1)
    rho = np.where(np.isfinite(unequal), unequal, 0.0)
    beyond = np.maximum(d - rho[:, None], 0.0)
    mean = d.sum(1) / (k + 1)
    least = _LEAST * np.where(rho > 0, mean, d.sum() / (n * (k + 1)))
    sigma = np.maximum(_widths(beyond, np.log2(k + 1)), least)
    weight = np.exp(-beyond / np.where(sigma > 0, sigma, 1.0)[:, None])
    rows = np.arange(0, n * k + 1, k)
    directed = csr_matrix((weight.ravel(), np.asarray(indices, np.int32).ravel(), rows), shape=(n, n))
    directed.sort_indices()
    union = directed + directed.T - directed.multiply(directed.T)
    return union.tocsr().astype(np.float32)


def _widths(beyond: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Return the width a row at which ``sum(exp(-beyond / width))`` is ``target``, by halving."""
    low, high, width = np.zeros(len(beyond)), np.full(len(beyond), np.inf), np.ones(len(beyond))
    open_ = np.arange(len(beyond))
    for _ in range(_STEPS):
        total = np.exp(-beyond[open_] / width[open_, None]).sum(1)
        still = np.abs(total - target) >= _CLOSE
        open_, total = open_[still], total[still]
        if not len(open_):
            break
        wide = total > target
        high[open_[wide]] = width[open_[wide]]
        low[open_[~wide]] = width[open_[~wide]]
        bounded = np.isfinite(high[open_])
        width[open_] = np.where(bounded, (low[open_] + np.where(bounded, high[open_], 0)) / 2, 2 * width[open_])
    return width
