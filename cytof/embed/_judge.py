"""How well a map keeps the neighbours that cells have among all markers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._between import nearest_among

__all__ = ["preservation"]

_K, _CHECKED = 30, 1000


def preservation(indices: NDArray[np.int64], places: NDArray, *, random_state: int = 0) -> float:
    """Return the mean share of a cell's nearest neighbours that are among as many nearest on the map.

    Parameters
    ----------
    indices
        Neighbours without the cell itself, nearest first, shape (n_cells, k); the first 30 are looked at.
    places
        The map, shape (n_cells, 2).
    random_state
        Seed of the draw of 1,000 cells.

    Examples
    --------
    >>> line = np.array([[1], [0], [1]])
    >>> preservation(line, np.array([[0.0, 0], [1, 0], [3, 0]]))
    1.0

    Source: Kobak and Berens 2019, Nat Commun 10:5416 (KNN).
    """
    n, k = indices.shape
    k = min(k, _K)
    drawn = np.sort(np.random.default_rng(random_state).choice(n, min(n, _CHECKED), replace=False))
    near, _ = nearest_among(places, places[drawn], min(k + 1, n))
    kept = 0
    for cell, found in zip(drawn, near, strict=True):
        others = found[found != cell][:k]
        kept += int(np.isin(indices[cell, :k], others).sum())
    return kept / (len(drawn) * k)
