"""The verb ``neighbors``, and the graph as other rooms read it: in canonical order, never searched twice."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, one_of
from cytof._neighbors._connectivities import fuzzy_union
from cytof._neighbors._matrix import cell_order, feature_matrix
from cytof._neighbors._search import METHODS, search
from cytof.errors import CytofWarning
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Graph", "neighbors", "shared_graph"]

_SLOT = "neighbors"
_ROWS = 8192  # read at a time


@dataclass(frozen=True)
class Graph:
    """Neighbours with cells in canonical order.

    Attributes
    ----------
    X
        Features in canonical order, float32, shape (n_cells, n_features).
    order
        Row of ``adata`` of each cell, shape (n_cells,); ``result[undo(order)]`` follows the rows of ``adata``.
    indices, distances
        Neighbours as places in this order, nearest first, shape (n_cells, k).
    features
        Antigens.
    """

    X: NDArray[np.float32]
    order: NDArray[np.int64]
    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    features: list[str]


def neighbors(
    adata: AnnData,
    *,
    k: int = 30,
    features: Sequence[str] | None = None,
    method: str = "auto",
    connectivities: bool = True,
    random_state: int = 0,
    key_added: str = _SLOT,
) -> None:
    """Search the ``k`` nearest neighbours of each cell and store them as scanpy does.

    Nothing is searched when the slot already holds at least ``k`` neighbours of the same cells on the same features.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    k
        Neighbours a cell, the cell itself not counted (scanpy counts it: its ``n_neighbors`` is ``k + 1``).
    features
        Antigens to measure distance on; by default :func:`cytof.transform.features`.
    method
        ``"exact"``, ``"nn-descent"`` (approximate, recall at least 0.98 or the exact search takes over), or ``"auto"``:
        exact up to 20,000 cells or 800 ``k``, whichever is more, where that is the faster one.
    connectivities
        False leaves out UMAP's weights: PhenoGraph and t-SNE do not read them, scanpy does.
    random_state
        Seed of the approximate search; the exact search draws nothing. The same for any number of threads.
    key_added
        Slot; with a key other than ``neighbors``, obsp keys are ``<key>_distances`` and ``<key>_connectivities``.

    Writes
    ------
    ``obsp["distances"]`` float32 CSR, Euclidean, k entries a row, nearest first (duplicates as explicit zeros);
    ``obsp["connectivities"]`` float32 CSR, symmetric, UMAP's fuzzy weights (:func:`fuzzy_union`), what
    ``scanpy.tl.leiden`` and ``scanpy.tl.umap`` read; ``uns[key_added]`` with ``connectivities_key distances_key
    params`` (among them ``search``, and ``recall``: the share of true neighbours found, on 400 drawn cells); one row of
    ``uns["cytof"]["steps"]``.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``k`` below 1, an unknown method.

    Warns
    -----
    CytofWarning
        ``k`` exceeds the number of other cells and is lowered; a marker is constant; the approximate search missed too
        many neighbours and the exact one was run.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.float32([[0], [1], [5], [7]])
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4"]))
    >>> neighbors(cells, k=1, features=["CD4"])
    >>> cells.obsp["distances"].toarray()[0].tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    at_least(k, 1, "k", where="neighbors")
    one_of(method, METHODS, "method", where="neighbors")
    X, names = feature_matrix(adata, features)
    k = _attainable(k, len(X))
    digest = _digest(X, names)
    if _holds(adata, key_added, digest, method) >= k:
        logging.getLogger("cytof").info("neighbors: `%s` already holds %d neighbours", key_added, k)
        distances_key, connectivities_key = _keys(key_added)
        if connectivities and connectivities_key not in adata.obsp:
            found = adata.obsp[distances_key]
            near, lengths = (part.reshape(adata.n_obs, -1) for part in (found.indices, found.data))
            adata.obsp[connectivities_key] = fuzzy_union(near, lengths)
        return
    order = cell_order(X, adata.obs_names.to_numpy())
    params = _params(k, names, digest, random_state)
    _search_and_store(adata, key_added, X[order], order, params, method, connectivities=connectivities)


def shared_graph(
    adata: AnnData, k: int, features: Sequence[str] | None = None, *, random_state: int = 0, step: str = "neighbors"
) -> Graph:
    """Return the ``k`` nearest neighbours in canonical order: a stored graph where one has them, else a new one.

    A new graph is stored under ``neighbors``, or under ``neighbors_<k>`` where that slot is taken.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[7], [0], [1]]), var=pd.DataFrame(index=["CD4"]))
    >>> shared_graph(cells, 1, ["CD4"]).indices.ravel().tolist()
    [1, 0, 1]
    """
    X, names = feature_matrix(adata, features, step=step)
    k = _attainable(k, len(X))
    digest, order = _digest(X, names), cell_order(X, adata.obs_names.to_numpy())
    held = {_holds(adata, str(slot), digest): str(slot) for slot in adata.uns}
    enough = [found for found in held if found >= k]
    if k == 0:
        empty = np.zeros((len(X), 0))
        return Graph(X[order], order, empty.astype(np.int64), empty.astype(np.float32), names)
    if enough:
        return Graph(X[order], order, *_read(adata, held[min(enough)], order, k), names)
    X = X[order]
    slot = f"{_SLOT}_{k}" if _SLOT in adata.uns else _SLOT
    found = _search_and_store(adata, slot, X, order, _params(k, names, digest, random_state))
    return Graph(X, order, *found, names)


def _search_and_store(
    adata: AnnData,
    slot: str,
    X: NDArray[np.float32],
    order: NDArray[np.int64],
    params: dict[str, Any],
    method: str = "auto",
    *,
    connectivities: bool = True,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Search among cells in canonical order, store and record what was found."""
    k, random_state = params["n_neighbors"] - 1, params["random_state"]
    indices, distances, how = search(X, k, method=method, random_state=random_state)
    _store(adata, slot, order, indices, distances, params | how, connectivities=connectivities)
    recorded = {"k": k, "features": params["features"], "method": how["search"], "recall": round(how["recall"], 4)}
    transform.record(adata, _step(slot), recorded, random_state)
    return indices, distances


def _attainable(k: int, n: int) -> int:
    if k >= n:
        found = f"{n} cells have {n - 1} others" if n > 1 else "there is 1 cell"
        warnings.warn(f"k is {k}, but {found}: k lowered to {n - 1}", CytofWarning, stacklevel=4)
    return min(int(k), n - 1)


def _digest(X: NDArray[np.float32], names: list[str]) -> str:
    digest = hashlib.blake2b("\0".join(names).encode(), digest_size=16)
    digest.update(X.data)
    return digest.hexdigest()


def _step(slot: str) -> str:
    return _SLOT if slot == _SLOT else f"{_SLOT}:{slot}"


def _params(k: int, names: list[str], digest: str, random_state: int) -> dict[str, Any]:
    return {
        "n_neighbors": k + 1,
        "method": "umap",
        "metric": "euclidean",
        "random_state": random_state,
        "features": names,
        "digest": digest,
    }


def _keys(slot: str) -> tuple[str, str]:
    prefix = "" if slot == _SLOT else f"{slot}_"
    return f"{prefix}distances", f"{prefix}connectivities"


def _holds(adata: AnnData, slot: str, digest: str, method: str = "auto") -> int:
    """Return how many neighbours a slot holds for exactly these cells and features; -1 for another's slot.

    Where a method is asked for by name, a graph found by another does not count.
    """
    entry = adata.uns.get(slot)
    params = entry.get("params", {}) if isinstance(entry, dict) else {}
    if str(params.get("digest", "")) != digest or entry["distances_key"] not in adata.obsp:
        return -1
    if method not in ("auto", params["search"]):
        return -1
    held = int(params["n_neighbors"]) - 1
    counts = np.diff(adata.obsp[entry["distances_key"]].indptr)
    return held if (counts == held).all() else -1


def _store(
    adata: AnnData, slot: str, order: NDArray, indices: NDArray, distances: NDArray, params: dict[str, Any], *,
    connectivities: bool,
) -> None:  # fmt: skip
    from scipy.sparse import csr_matrix

    n, k = indices.shape
    back, rows = undo(order), k * np.arange(n + 1)
    neighbours, lengths = np.empty((n, k), np.int32), distances[back]
    neighbours[order] = order.astype(np.int32)[indices]
    distances_key, connectivities_key = _keys(slot)
    adata.obsp[distances_key] = csr_matrix((lengths.ravel(), neighbours.ravel(), rows), shape=(n, n))
    if connectivities:
        adata.obsp[connectivities_key] = fuzzy_union(neighbours, lengths)
    else:
        adata.obsp.pop(connectivities_key, None)  # those of an earlier graph
    adata.uns[slot] = {
        "connectivities_key": connectivities_key,
        "distances_key": distances_key,
        "params": params,
    }


def _read(adata: AnnData, slot: str, order: NDArray[np.int64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``k`` nearest of the stored neighbours in canonical order, by distance, then by place, as found."""
    graph = adata.obsp[adata.uns[slot]["distances_key"]]
    place, n = undo(order), len(order)
    found, away = graph.indices.reshape(n, -1), graph.data.reshape(n, -1)
    indices, distances = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    for start in range(0, n, _ROWS):
        rows = order[start : start + _ROWS]
        near, lengths = place[found[rows]], away[rows]
        rank = np.lexsort((near, lengths), axis=1)[:, :k]
        indices[start : start + _ROWS] = np.take_along_axis(near, rank, 1)
        distances[start : start + _ROWS] = np.take_along_axis(lengths, rank, 1)
    return indices, distances
