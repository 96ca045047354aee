"""UMAP by umap-learn, on the weights that ``neighbors`` stored: nothing is searched again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cytof import transform
from cytof._check import at_least, in_range
from cytof._neighbors._connectivities import fuzzy_union
from cytof._neighbors._graph import shared_graph
from cytof.embed._tsne import components
from cytof.errors import UsageError
from cytof.keys import OBSM, UNS
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["umap"]

_FEWEST = 4
_SPREAD = 1e-4  # standard deviation of `components`; UMAP starts with 10 at the far end


def umap(
    adata: AnnData,
    *,
    k: int = 15,
    min_dist: float = 0.1,
    features: Sequence[str] | None = None,
    n_epochs: int | None = None,
    key_added: str = OBSM.UMAP,
    random_state: int = 0,
) -> None:
    """Map cells to two dimensions with UMAP.

    Starts from the first two principal components; one thread, so that a seed gives one map.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    k
        Neighbours a cell, from a stored graph where one holds them.
    min_dist
        How close cells may lie on the map, 0 to 1.
    features
        Antigens; by default :func:`cytof.transform.features`.
    n_epochs
        Epochs; by default 500 up to 10,000 cells, 200 above.
    key_added
        Key of ``obsm``.
    random_state
        Seed of the epochs.

    Writes
    ------
    ``obsm[key_added]`` float32, shape (n_cells, 2). ``uns["cytof"][key_added]``: ``k``, ``min_dist``, ``n_epochs``,
    ``features``. One row of ``uns["cytof"]["steps"]``. The neighbour graph where it was not there.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``k`` or ``n_epochs`` below 1, ``min_dist`` outside 0 to 1, or ``umap-learn`` is not installed.

    Warns
    -----
    CytofWarning
        ``k`` exceeds the number of other cells and is lowered.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> umap(cells, k=10, features=["CD4", "CD8"], n_epochs=20)
    >>> cells.obsm["X_umap"].shape
    (60, 2)

    Source: McInnes, Healy and Melville 2018, arXiv:1802.03426.
    """
    at_least(k, 1, "k", where="umap")
    in_range(min_dist, 0, 1, "min_dist", where="umap")
    if n_epochs is not None:
        at_least(n_epochs, 1, "n_epochs", where="umap")
    try:
        from umap.umap_ import find_ab_params, simplicial_set_embedding
    except ImportError as fault:
        hint = "install it with `pip install 'cytof[umap]'`"
        raise UsageError("UMAP needs the package `umap-learn`, which is not here", where="umap", hint=hint) from fault
    graph = shared_graph(adata, k, features, random_state=random_state, step="umap")
    n, k = graph.indices.shape
    n_epochs = n_epochs or (500 if n <= 10_000 else 200)
    places = np.zeros((n, 2), np.float32)
    if n >= _FEWEST:
        a, b = find_ab_params(1.0, min_dist)
        start = (components(graph.X, random_state) * (10 / _SPREAD / 3)).astype(np.float32)
        places, _ = simplicial_set_embedding(
            graph.X, fuzzy_union(graph.indices, graph.distances), 2, 1.0, a, b, 1.0, 5, n_epochs, start,
            np.random.RandomState(random_state), "euclidean", {}, False, {}, False,
        )  # fmt: skip
    adata.obsm[key_added] = np.asarray(places, np.float32)[undo(graph.order)]
    params = {"k": k, "min_dist": float(min_dist), "n_epochs": n_epochs, "features": graph.features}
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {key_added: params}
    transform.record(adata, "umap" if key_added == OBSM.UMAP else f"umap:{key_added}", params, random_state)
