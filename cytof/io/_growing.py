"""An h5ad that grows by the cells of one sample after another: only one sample is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.io._hdf5 import new_hdf5
from cytof.provenance import atomic

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["growing_h5ad"]

_ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}
_TEXT = {"encoding-type": "string-array", "encoding-version": "0.2.0"}
_ROWS = 4096  # of a chunk


@contextmanager
def growing_h5ad(path: str | Path, like: AnnData) -> Iterator[Callable[[AnnData], None]]:
    """Give a function that adds cells to a new ``.h5ad``, which is put in place when the block ends well.

    Parameters
    ----------
    path
        The file.
    like
        ``var`` and ``uns`` of the file, and the order of the categories of ``obs``; categories that it does not have
        come after, as they are met. None of its cells is written.

    Yields
    ------
    A function of an AnnData with the same variables, all with the same columns, layers and ``obsm``: ``X``, ``layers``,
    ``obs`` and ``obsm`` are added to the file. Cells keep the order in which they are added.

    Raises
    ------
    ResourceError
        The folder cannot be written or the disk is full; what stood there before stays.

    Examples
    --------
    >>> import tempfile; from anndata import AnnData; from cytof.io import read_h5ad
    >>> out = Path(tempfile.mkdtemp()) / "cells.h5ad"
    >>> few = AnnData(np.ones((2, 1), np.float32))
    >>> with growing_h5ad(out, few) as add:
    ...     add(few)
    ...     add(few)
    >>> read_h5ad(out).shape
    (4, 1)
    """
    from anndata.io import write_elem

    with atomic(path) as part, new_hdf5(part) as (home, check):
        home.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for group in ("layers", "obsm", "varm", "obsp", "varp"):
            write_elem(home, group, {})
        frame = home.create_group("obs")
        frame.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        frame.attrs["column-order"] = list(map(str, like.obs.columns))
        known = _Categories(like.obs)

        def add(cells: AnnData) -> None:
            if cells.n_obs:  # of no cells, pandas does not know the types
                _append(home, "X", np.asarray(cells.X))
                for kind in ("layers", "obsm"):
                    for name, values in getattr(cells, kind).items():
                        _append(home, f"{kind}/{name}", np.asarray(values))
                _append_obs(frame, cells.obs, known)
            check()

        yield add
        known.write(frame)
        write_elem(home, "var", like.var)
        write_elem(home, "uns", dict(like.uns))


class _Categories:
    """The categories of each column that has some, in the order of the first table, then as they are met."""

    def __init__(self, obs: pd.DataFrame) -> None:
        self._known = {c: list(obs[c].cat.categories) for c in obs if isinstance(obs[c].dtype, pd.CategoricalDtype)}
        self._ordered: dict[str, bool] = {}

    def codes(self, name: str, column: pd.Series) -> NDArray[np.int32]:
        known = self._known.setdefault(name, [])
        known += [c for c in column.cat.categories if c not in known]
        self._ordered.setdefault(name, bool(column.cat.ordered))
        places = {c: i for i, c in enumerate(known)}
        own = np.array([*(places[c] for c in column.cat.categories), -1], np.int32)
        return own[column.cat.codes.to_numpy()]

    def write(self, frame: h5py.Group) -> None:
        from anndata.io import write_elem

        for name, ordered in self._ordered.items():
            group = frame[name]
            group.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": ordered})
            write_elem(group, "categories", pd.Index(self._known[name]).to_numpy())


def _append_obs(frame: h5py.Group, obs: pd.DataFrame, known: _Categories) -> None:
    frame.attrs["column-order"] = list(map(str, obs.columns))
    _append(frame, "_index", obs.index.to_numpy().astype(object))
    for name in obs:
        if isinstance(obs[name].dtype, pd.CategoricalDtype):
            _append(frame.require_group(str(name)), "codes", known.codes(str(name), obs[name]))
        else:
            _append(frame, str(name), obs[name].to_numpy())


def _append(home: h5py.Group, name: str, values: NDArray) -> None:
    """Add rows to a table, made when the first are added."""
    import h5py

    text = values.dtype == object
    if name not in home:
        table = home.create_dataset(
            name, data=values, dtype=h5py.string_dtype() if text else None, maxshape=(None, *values.shape[1:]),
            chunks=(_ROWS, *values.shape[1:]),
        )  # fmt: skip
        table.attrs.update(_TEXT if text else _ARRAY)
        return
    table = home[name]
    if not text and values.dtype != table.dtype:
        raise TypeError(f"`{name}` was {table.dtype} in the first cells and is {values.dtype} in later ones")
    start = table.shape[0]
    table.resize(start + len(values), axis=0)
    table[start:] = values
