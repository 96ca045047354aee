"""What a map plot draws: a place on the map for each cell, with the columns to colour it by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import nearest
from cytof.errors import UsageError
from cytof.keys import OBSM, Obs
from cytof.track._cells import columns_of, values

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["map"]


def map(
    adata: AnnData,
    *,
    basis: str = OBSM.TSNE,
    columns: Sequence[str] = (Obs.SAMPLE, Obs.TIMEPOINT, Obs.FLOWSOM, Obs.SUBSET),
    random_state: int = 0,
) -> pd.DataFrame:
    """Return the cells that have a place on a map, in an order in which no group covers another.

    Parameters
    ----------
    adata
        Cells with ``obsm[basis]``, shape (n_cells, 2); cells with NaN there were not mapped and are left out,
        and so are those placed on a map of others (``obs["placed"]``): visits do not have equal numbers of these.
    basis
        Name of the map.
    columns
        Columns of ``obs`` or markers (arcsinh values of X) to bring along.
    random_state
        Seed of the order of the rows, which is the order in which a plot draws them.

    Returns
    -------
    DataFrame, columns ``cell x y`` and those asked for; one row a mapped cell.

    Raises
    ------
    UsageError
        There is no such map, or neither a column nor a marker of that name.

    Examples
    --------
    >>> import anndata
    >>> cells = anndata.AnnData(np.ones((2, 1), np.float32), obsm={"X_tsne": np.array([[1.0, 2.0], [np.nan, np.nan]])})
    >>> map(cells, columns=()).values.tolist()
    [['0', 1.0, 2.0]]
    """
    if basis not in adata.obsm:
        hint = nearest(basis, adata.obsm.keys()) or "make the map first, for instance with `cytof.embed.tsne(adata)`"
        raise UsageError(
            f"no map `{basis}`, found {', '.join(adata.obsm.keys()) or 'none'}", where="adata.obsm", hint=hint
        )
    unknown = [c for c in columns if c not in adata.obs and c not in adata.var_names]
    if unknown:
        known = [str(name) for name in (*adata.obs.columns, *adata.var_names)]
        raise UsageError(
            f"neither an obs column nor a marker `{unknown[0]}`", where="columns", hint=nearest(unknown[0], known)
        )
    places = np.asarray(adata.obsm[basis], float)[:, :2]
    names = adata.obs_names.to_numpy().astype(str)
    drawn = ~adata.obs[Obs.PLACED].to_numpy(bool) if Obs.PLACED in adata.obs else True
    rows = np.flatnonzero(np.isfinite(places).all(axis=1) & drawn)
    rows = rows[np.argsort(names[rows], kind="stable")]
    rows = rows[np.random.default_rng(random_state).permutation(len(rows))]
    table = pd.DataFrame({"cell": names[rows], "x": places[rows, 0], "y": places[rows, 1]})
    for column in columns:
        if column in adata.obs:
            table[column] = adata.obs[column].to_numpy()[rows]
        else:
            table[column] = values(adata, rows, columns_of(adata, [column]))[0]
    return table
