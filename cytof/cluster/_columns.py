"""The clustering features of the cells, read a block of cells at a time, so that they may lie on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._matrix import chosen_features, judge

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Columns", "read"]

_ROWS = 65536


class Columns:
    """Some columns of a matrix, shape (n_cells, n_features); rows are taken out as float32 when they are asked for."""

    def __init__(self, X: Any, columns: NDArray[np.integer]) -> None:
        whole = X.shape[1] == len(columns) and (columns == np.arange(len(columns))).all()
        self._X, self._columns = X, None if whole else columns
        dense = isinstance(X, np.memmap) or (whole and isinstance(X, np.ndarray) and X.dtype == np.float32)
        self.ready = dense  # reading a block again costs little, or a copy of all would be too large
        self.shape = (X.shape[0], len(columns))

    def __len__(self) -> int:
        """Cells."""
        return self.shape[0]

    def __getitem__(self, rows: slice | NDArray) -> NDArray[np.float32]:
        """Return these cells, C-contiguous float32."""
        part = self._X[rows]
        part = part.toarray() if hasattr(part, "toarray") else part
        return np.ascontiguousarray(part if self._columns is None else part[:, self._columns], np.float32)


def read(adata: AnnData, features: Sequence[str] | None = None, *, step: str) -> tuple[Columns, list[str]]:
    """Return the features of all cells and their names; each is looked at once, none is copied.

    Raises
    ------
    InputError
        There are no cells, or values are missing or infinite; markers and counts are named.

    Warns
    -----
    CytofWarning
        A marker is constant in these cells.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[1, 2], [3, 4]]), var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> read(cells, ["CD8"], step="som")[0][:].tolist()
    [[2.0], [4.0]]
    """
    names = chosen_features(adata, features, step)
    X = Columns(adata.X, adata.var_names.get_indexer(names))
    low, high = np.full(len(names), np.inf, np.float32), np.full(len(names), -np.inf, np.float32)
    bad = np.zeros(len(names), int)
    for start in range(0, len(X), _ROWS):
        part = X[start : start + _ROWS]
        low, high = np.minimum(low, part.min(0)), np.maximum(high, part.max(0))
        if not (np.isfinite(low) & np.isfinite(high)).all():
            bad += (~np.isfinite(part)).sum(0)
    judge(names, bad, low == high, len(X), step)
    return X, names
