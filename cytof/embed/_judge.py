"""How well a map keeps the neighbours that cells have among all markers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._between import nearest_among

__all__ = ["drawn_cells", "preservation"]

_K, _CHECKED = 30, 1000


def drawn_cells(n: int, random_state: int = 0) -> NDArray[np.int64]:
    """Return the cells that are looked at: 1,000 of ``n``, in order.

    Examples
    --------
    >>> drawn_cells(3).tolist()
    [0, 1, 2]
    """
    return np.sort(np.random.default_rng(random_state).choice(n, min(n, _CHECKED), replace=False))


def preservation(drawn: NDArray[np.int64], indices: NDArray[np.int64], places: NDArray) -> float:
    """Return the mean share of a cell's nearest neighbours that are among as many nearest on the map.

    Parameters
    ----------
    drawn
        Cells that are looked at (:func:`drawn_cells`).
    indices
        Their neighbours without the cell itself, nearest first, shape (n_drawn, k); the first 30 are looked at.
    places
        The map, shape (n_cells, 2).

    Examples
    --------
    >>> preservation(np.arange(3), np.array([[1], [0], [1]]), np.array([[0.0, 0], [1, 0], [3, 0]]))
    1.0

    Source: Kobak and Berens 2019, Nat Commun 10:5416 (KNN).
    """
    k = min(indices.shape[1], _K)
    near, _ = nearest_among(places, places[drawn], min(k + 1, len(places)))
    kept = 0
    for cell, true, found in zip(drawn, indices, near, strict=True):
        others = found[found != cell][:k]
        kept += int(np.isin(true[:k], others).sum())
    return kept / (len(drawn) * k)
