"""Cells that were not drawn for the map, placed on it: here in one go, of a large cohort a sample at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cytof import embed
from cytof.keys import OBSM, UNS, Obs
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["place_rest", "places_on", "reference_of"]


def reference_of(study: Study, drawn: AnnData) -> AnnData | None:
    """Return the cells of the map with what placing others needs; None where the study places none."""
    import anndata

    if study.embed.rest == "none":
        return None
    entry = drawn.uns[UNS][OBSM.TSNE]
    few = drawn[:, [str(name) for name in entry["features"]]]
    cells = anndata.AnnData(np.asarray(few.X).copy(), obs=few.obs[[]], var=few.var[[]])
    cells.obsm[OBSM.TSNE], cells.uns[UNS] = np.asarray(drawn.obsm[OBSM.TSNE]), {OBSM.TSNE: entry}
    return cells


def places_on(study: Study, cells: AnnData, rows: NDArray[np.bool_], reference: AnnData | None) -> NDArray[np.float32]:
    """Return places of some cells on the map, float32, shape (n_rows, 2); NaN where the study places none."""
    import anndata

    if reference is None or not rows.any():
        return np.full((int(rows.sum()), 2), np.nan, np.float32)
    columns = cells.var_names.get_indexer(reference.var_names)
    X = np.ascontiguousarray(np.asarray(cells.X)[rows][:, columns], np.float32)
    others = anndata.AnnData(X, obs=cells.obs.loc[rows, []], var=reference.var)
    embed.place(others, reference, n_jobs=study.embed.n_jobs)
    return np.asarray(others.obsm[OBSM.TSNE])


def place_rest(study: Study, part: AnnData, drawn: AnnData) -> int:
    """Place the cells of the population that are not on the map; return how many.

    Writes ``obsm["X_tsne"]`` and ``obs["placed"]`` of ``part``, which holds the map of the drawn cells already.
    """
    rest = ~part.obs[Obs.IN_FIT].to_numpy()
    places = places_on(study, part, rest, reference_of(study, drawn))
    part.obsm[OBSM.TSNE][rest] = places
    part.obs[Obs.PLACED] = rest & np.isfinite(part.obsm[OBSM.TSNE]).all(axis=1)
    return int(part.obs[Obs.PLACED].sum())
