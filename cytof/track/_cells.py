"""What a table needs of an AnnData: the samples with their days, the levels of a column in order, the markers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import has_columns, nearest
from cytof.errors import PanelError
from cytof.keys import UNS, Obs, Var

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["codes", "columns_of", "default_markers", "label", "levels", "owners", "samples", "values"]

_VISIT = (Obs.SAMPLE, Obs.PATIENT, Obs.TIMEPOINT, Obs.DAY)


def samples(adata: AnnData) -> pd.DataFrame:
    """Return one row a sample, by day and then by name: ``sample_id patient_id timepoint day``.

    Read from ``uns["cytof"]["samples"]`` where it is there, then from ``obs``, then from the gate counts, so that a
    sample without a single kept cell keeps its row (its day is then known only from ``uns["cytof"]["samples"]``).

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": ["b", "a"], "day": [60.0, 365.0]}, index=["1", "2"])
    >>> samples(anndata.AnnData(np.zeros((2, 1), np.float32), obs=obs))[["sample_id", "day"]].values.tolist()
    [['b', 60.0], ['a', 365.0]]
    """
    has_columns(adata.obs.columns, [Obs.SAMPLE], where="adata.obs", hint="cells made by `cytof.assemble` have it")
    home = adata.uns.get(UNS, {})
    tables = [home[name] for name in ("samples",) if name in home]
    tables.append(adata.obs[[c for c in _VISIT if c in adata.obs]].drop_duplicates(Obs.SAMPLE))
    if "counts" in home:
        tables.append(home["counts"][[Obs.SAMPLE]].drop_duplicates())
    table = pd.concat([_plain(t) for t in tables], ignore_index=True).drop_duplicates(Obs.SAMPLE)
    return table.sort_values([Obs.DAY, Obs.SAMPLE], kind="stable", na_position="last").reset_index(drop=True)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return the four visit columns as text, text, text, float."""

    def text(name: str) -> pd.Series:
        if name not in table:
            return pd.Series("", index=table.index)
        found = table[name].astype(object)
        return found.where(found.notna(), "").astype(str)

    day = table[Obs.DAY].astype(float) if Obs.DAY in table else pd.Series(np.nan, index=table.index)
    return pd.DataFrame({**{name: text(name) for name in _VISIT[:3]}, Obs.DAY: day})


def _natural(level: Hashable) -> tuple[int, float, str]:
    """Order 2 before 10, numbers before words."""
    try:
        return (0, float(str(level)), "")
    except ValueError:
        return (1, 0.0, str(level))


def levels(adata: AnnData, column: str, *, observed: bool = True) -> list[Hashable]:
    """Return the levels of an ``obs`` column that occur, in the order tables and plots use.

    An ordered categorical keeps its order. Otherwise ``timepoint`` and ``sample_id`` follow the first ``day`` of each
    level, and every other column is in natural order (2 before 10). With ``observed=False`` also the categories
    without a cell, and both levels of a bool.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"flowsom": ["10", "2", "2"]}, index=list("abc"))
    >>> levels(anndata.AnnData(np.zeros((3, 1), np.float32), obs=obs), "flowsom")
    ['2', '10']
    """
    has_columns(adata.obs.columns, [column], where="adata.obs")
    found = adata.obs[column]
    if isinstance(found.dtype, pd.CategoricalDtype):
        present = set(found.cat.codes.unique().tolist())
        names = [c for i, c in enumerate(found.cat.categories) if i in present or not observed]
        if found.cat.ordered:
            return names
    elif found.dtype == bool and not observed:
        names = [False, True]
    else:
        names = list(pd.unique(found.dropna()))
    names = sorted(names, key=_natural)
    if column in (Obs.TIMEPOINT, Obs.SAMPLE) and Obs.DAY in adata.obs:
        first = adata.obs[Obs.DAY].astype(float).groupby(found.to_numpy(), observed=True).min()
        names.sort(key=lambda name: float(first.get(name, np.inf)) if pd.notna(first.get(name)) else np.inf)
    return names


def codes(adata: AnnData, column: str, names: Sequence[Hashable]) -> NDArray[np.int64]:
    """Return for each cell the place of its level in ``names``, -1 for a cell without one; shape (n_cells,)."""
    found = adata.obs[column]
    if isinstance(found.dtype, pd.CategoricalDtype):
        place = pd.Index(names).get_indexer(found.cat.categories)
        own = found.cat.codes.to_numpy()
        return np.where(own >= 0, np.append(place, -1)[own], -1).astype(np.int64)
    return pd.Index(names).get_indexer(pd.Index(found)).astype(np.int64)


def owners(adata: AnnData, ids: Sequence[str]) -> NDArray[np.int64]:
    """Return for each cell the place of its sample in ``ids`` (text), -1 for none of them; shape (n_cells,).

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": pd.Categorical([2, 1, 2])}, index=list("abc"))
    >>> owners(anndata.AnnData(np.zeros((3, 1), np.float32), obs=obs), ["1", "2"]).tolist()
    [1, 0, 1]
    """
    found = adata.obs[Obs.SAMPLE].astype("category").cat
    place = pd.Index(ids).get_indexer(pd.Index(found.categories.astype(str)))
    return np.append(place, -1)[found.codes.to_numpy()].astype(np.int64)


def label(column: str, level: Hashable) -> str:
    """Return the word of a level in a table: ``CAR+`` and ``CAR-`` for the column ``car``, else its text.

    Examples
    --------
    >>> label("car", True), label("timepoint", "5yr")
    ('CAR+', '5yr')
    """
    if column == Obs.CAR and isinstance(level, bool | np.bool_):
        return "CAR+" if level else "CAR-"
    return str(level)


def default_markers(adata: AnnData, markers: Sequence[str] | None = None) -> list[str]:
    """Return the markers asked for, or every ``type`` and ``state`` marker that no gate made constant, CAR left out.

    Raises
    ------
    PanelError
        A marker asked for is not in ``var``; the nearest is named.

    Examples
    --------
    >>> import anndata
    >>> var = pd.DataFrame({"marker_class": ["type", "state", "state"], "role": ["lineage", "lineage", "car"]},
    ...                    index=["CD4", "Ki67", "VHH"])
    >>> default_markers(anndata.AnnData(np.zeros((1, 3), np.float32), var=var))
    ['CD4', 'Ki67']
    """
    if markers is not None:
        asked = [markers] if isinstance(markers, str) else list(markers)
        for name in asked:
            if name not in adata.var_names:
                raise PanelError(
                    f"no marker `{name}`, found {', '.join(map(str, adata.var_names))}",
                    where="markers",
                    hint=nearest(name, adata.var_names),
                )
        return asked
    keep = np.ones(adata.n_vars, bool)
    if Var.MARKER_CLASS in adata.var:
        keep &= adata.var[Var.MARKER_CLASS].isin(["type", "state"]).to_numpy()
    if Var.ROLE in adata.var:
        keep &= (adata.var[Var.ROLE] != "car").to_numpy()
    if "gated" in adata.var:
        keep &= ~adata.var["gated"].astype(bool).to_numpy()
    return [str(m) for m in adata.var_names[keep]]


def columns_of(adata: AnnData, markers: Sequence[str]) -> NDArray[np.int64]:
    """Return the places of markers in ``var``, shape (len(markers),)."""
    return adata.var_names.get_indexer(list(markers)).astype(np.int64)


def values(adata: AnnData, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return X of these cells as float32, one contiguous row a marker; shape (len(columns), len(rows))."""
    whole = adata.X
    if isinstance(whole, np.ndarray) and 4 * len(columns) < adata.n_vars:
        return np.stack([whole[rows, c] for c in columns]).astype(np.float32, copy=False)
    taken = whole[rows] if len(rows) else np.empty((0, adata.n_vars), np.float32)
    dense = taken.toarray() if hasattr(taken, "toarray") else np.asarray(taken)
    return np.ascontiguousarray(dense[:, columns].T, dtype=np.float32)
