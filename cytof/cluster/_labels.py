"""From cluster numbers to labels: "1", "2", ... by falling size, the same for every order of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["UNASSIGNED", "as_labels", "by_size"]

UNASSIGNED = "unassigned"
"""Name of cells and clusters that fit no signature."""


def by_size(clusters: NDArray[np.integer], *, smallest: int = 1) -> NDArray[np.int64]:
    """Number clusters 1, 2, ... by falling size, ties by first cell; those below ``smallest`` become -1.

    Parameters
    ----------
    clusters
        Any integers, shape (n_cells,), cells in canonical order.
    smallest
        Least size of a cluster.

    Examples
    --------
    >>> by_size(np.array([7, 3, 3, 9]), smallest=2).tolist()
    [-1, 1, 1, -1]
    """
    _, first, inverse, size = np.unique(clusters, return_index=True, return_inverse=True, return_counts=True)
    number = np.empty(len(size), np.int64)
    number[np.lexsort((first, -size))] = np.arange(1, len(size) + 1)
    number[size < smallest] = -1
    return number[inverse]


def as_labels(numbers: NDArray[np.integer]) -> pd.Categorical:
    """Return numbers as a categorical of text, categories in the order 1, 2, ..., then -1."""
    import pandas as pd

    present, place = np.unique(numbers, return_inverse=True)
    ranked = np.r_[np.flatnonzero(present > 0), np.flatnonzero(present <= 0)]
    codes = np.argsort(ranked)[place]
    return pd.Categorical.from_codes(codes, categories=[str(v) for v in present[ranked]])
