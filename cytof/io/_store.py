"""Tables and cells on disk: written whole or not at all, equal when read back, harmless in a spreadsheet."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cytof.errors import InputError
from cytof.io._hdf5 import new_hdf5
from cytof.keys import SCHEMA, UNS
from cytof.provenance import atomic

if TYPE_CHECKING:
    import h5py
    from anndata import AnnData

__all__ = ["read_h5ad", "write_h5ad", "write_table"]

_NAMES = 2**18  # of cells, read at once
_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf", re.IGNORECASE)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV (``.tsv``: tabs): UTF-8, LF, shortest numbers that read back equal.

    Text that a spreadsheet would run as a formula (it begins with ``= + - @``, TAB or CR and is no number) gets a ``'``
    in front. An index with a name, or of text, is written as a column. The same table gives the same bytes.

    Raises
    ------
    ResourceError
        The folder cannot be written or the disk is full; what stood there before stays.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "t.csv"
    >>> write_table(out, pd.DataFrame({"marker": ["=cmd()", "-1", "CD3"], "p": [0.1, -2, 3]}))
    >>> out.read_text().split()
    ['marker,p', "'=cmd(),0.1", '-1,-2.0', 'CD3,3.0']
    """
    path = Path(path)
    named = any(n is not None for n in table.index.names) or not pd.api.types.is_numeric_dtype(table.index.dtype)
    safe = table.reset_index() if named else table.reset_index(drop=True)
    safe.columns = [_harmless(c) for c in safe.columns]
    for i, dtype in enumerate(safe.dtypes):
        if not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype)):
            safe.isetitem(i, safe.iloc[:, i].astype(object).map(_harmless))
    with atomic(path) as part:
        safe.to_csv(
            part, index=False, sep="\t" if path.suffix == ".tsv" else ",", encoding="utf-8", lineterminator="\n"
        )


def _harmless(value: Any) -> Any:
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def write_h5ad(path: str | Path, adata: AnnData) -> None:
    """Write cells as ``.h5ad``, whole or not at all; the AnnData itself is not changed.

    Raises
    ------
    ResourceError
        The folder cannot be written or the disk is full; what stood there before stays.

    Examples
    --------
    >>> import tempfile; import numpy as np; from anndata import AnnData
    >>> out = Path(tempfile.mkdtemp()) / "cells.h5ad"
    >>> write_h5ad(out, AnnData(np.ones((2, 1), np.float32)))
    >>> read_h5ad(out).X.tolist()
    [[1.0], [1.0]]
    """
    from anndata.io import write_elem

    with atomic(path) as part, new_hdf5(part) as (home, _):
        write_elem(home, "/", adata)
        if adata.raw is None and "raw" in home:
            del home["raw"]  # an empty one, which earlier readers do not know


def read_h5ad(path: str | Path, *, backed: bool = False) -> AnnData:
    """Read cells; ``backed`` leaves ``X`` and the layers on disk, for what memory does not hold.

    Some of them, ``cells[rows].to_memory()``, are read when they are asked for.

    Raises
    ------
    InputError
        Missing, not HDF5, cut off, or written by a later version of this package.

    Examples
    --------
    >>> read_h5ad("nowhere.h5ad")
    Traceback (most recent call last):
    ...
    cytof.errors.InputError: nowhere.h5ad: no such file; run the stage that writes it
    """
    from anndata import read_h5ad as read

    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=str(path), hint="run the stage that writes it")
    with path.open("rb") as file:
        if file.read(4) != b"\x89HDF":
            raise InputError("not an HDF5 file", where=str(path), hint="run the stage that writes it again")
    try:
        adata = _backed(path) if backed else read(path)
    except Exception as error:  # h5py and anndata raise of many kinds for a broken file
        raise InputError(
            f"cannot be read as cells ({type(error).__name__})", where=str(path), hint="write it again"
        ) from error
    schema = adata.uns.get(UNS, {}).get("schema", SCHEMA) if isinstance(adata.uns.get(UNS, {}), dict) else SCHEMA
    if int(schema) > SCHEMA:
        raise InputError(
            f"layout {int(schema)}, this version knows up to {SCHEMA}", where=str(path), hint="update the package"
        )
    return adata


def _backed(path: Path) -> AnnData:
    """Read all but ``X`` and the layers; anndata's own backed mode leaves only ``X`` on disk."""
    import h5py
    from anndata import AnnData
    from anndata.io import read_elem, sparse_dataset

    home = h5py.File(path, "r")
    parts = {k: read_elem(home[k]) for k in ("var", "uns", "obsm", "varm", "obsp", "varp") if k in home}
    stored = dict(home.get("layers", {}))
    layers = {k: v if isinstance(v, h5py.Dataset) else sparse_dataset(v) for k, v in stored.items()}
    return AnnData(filename=home, obs=_obs(home["obs"]), layers=layers, **parts)


def _obs(frame: h5py.Group) -> pd.DataFrame:
    """Read a table of cells, their names in pieces: names of 17 million, read at once, take 1.2 GiB more."""
    from anndata.io import read_elem

    stored = frame[frame.attrs["_index"]]
    names = np.empty(stored.shape[0], object)
    for start in range(0, len(names), _NAMES):
        names[start : start + _NAMES] = stored.asstr()[start : start + _NAMES]
    columns = {c: read_elem(frame[c]) for c in frame.attrs["column-order"]}
    return pd.DataFrame(columns, index=pd.Index(names), copy=False)
