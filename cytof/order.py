"""Canonical order of cells, so that results follow the cells and not their places in the file.

Every step whose result depends on the order of rows (neighbour search, SOM, community detection, draws) first puts its
rows into the lexicographic order of their feature bytes, works, and brings the result back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["canonical", "undo"]


def _sortable(column: NDArray) -> NDArray[np.uint32]:
    """Map float32 to uint32 with the same order; -0 equals 0 and every NaN is one value, the last."""
    column = np.ascontiguousarray(column, np.float32) + np.float32(0)
    bits = column.view(np.uint32).copy()
    bits[np.isnan(column)] = 0x7FC00000
    negative = bits >> 31 == 1
    return np.where(negative, ~bits, bits | np.uint32(0x80000000))


def canonical(X: NDArray, tie: NDArray | None = None) -> NDArray[np.int64]:
    """Return the rows of ``X`` in lexicographic order of their values.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), float32.
    tie
        One sortable value a cell (for instance ``obs_names``) that orders cells whose features are all equal. Without
        it such cells keep the order they came in.

    Returns
    -------
    int64 array, shape (n_cells,): ``X[canonical(X)]`` is the same array for every shuffle of the rows.

    Examples
    --------
    >>> canonical(np.array([[2, 0], [1, 5], [1, 3]], np.float32)).tolist()
    [2, 1, 0]
    """
    n, n_features = X.shape
    order = np.arange(n) if tie is None else np.argsort(np.asarray(tie), kind="stable")
    pending = np.zeros(n, np.int64)  # group of each position of `order`; -1 once its place is final
    feature = 0
    while feature < n_features:
        rows = np.flatnonzero(pending >= 0)
        if not len(rows):
            break
        cells = order[rows]
        key = _sortable(X[cells, feature]).astype(np.uint64) << np.uint64(32)
        if feature + 1 < n_features:
            key |= _sortable(X[cells, feature + 1]).astype(np.uint64)
        place = np.lexsort((key, pending[rows])) if feature else np.argsort(key, kind="stable")
        order[rows] = cells[place]
        key, group = key[place], pending[rows]
        new = np.r_[True, (key[1:] != key[:-1]) | (group[1:] != group[:-1])]
        label = np.cumsum(new) - 1
        alone = np.bincount(label)[label] == 1
        pending[rows] = np.where(alone, -1, label)
        feature += 2
    return order


def undo(order: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the permutation that brings a result in ``order`` back: ``result[undo(order)]`` follows the cells.

    Examples
    --------
    >>> order = np.array([2, 0, 1])
    >>> np.array(["c", "a", "b"])[undo(order)].tolist()
    ['a', 'b', 'c']
    """
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    return back
