"""FlowSOM: a self-organising map, then consensus metaclusters of its nodes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least
from cytof.cluster._choose import choose
from cytof.cluster._consensus import Consensus, consensus
from cytof.cluster._labels import as_labels
from cytof.cluster._som import Training, slot_name, som
from cytof.cluster._tree import spanning_tree
from cytof.errors import CytofWarning
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["flowsom", "metaclusters"]

_LEAST_K = 20  # the lookup table reaches at least this far, so that a proposed k has room above it


def flowsom(
    adata: AnnData,
    *,
    n_clusters: int = 9,
    grid: tuple[int, int] = (10, 10),
    training: Training | str = "batch",
    features: Sequence[str] | None = None,
    fit_on: str | None = None,
    key_added: str = Obs.FLOWSOM,
    random_state: int = 0,
) -> None:
    """Cluster cells with FlowSOM: a map (:func:`som`), then consensus metaclustering of its nodes, for every k at once.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    n_clusters
        Metaclusters. Those of any other k up to the larger of 20 and ``n_clusters`` are kept as well: :func:`at`.
    grid, training, features, fit_on
        As for :func:`som`.
    key_added
        Column of ``obs``; nodes go to ``<key_added>_node``.
    random_state
        Seed of the draws of the consensus (and of an online map).

    Writes
    ------
    ``obs[key_added]``: categorical ``"1"``, ``"2"``, ... by falling size, shape (n_cells,).
    ``obs[key_added + "_node"]`` int32. In ``uns["cytof"]`` (with another ``key_added``: ``<slot>:<key_added>``):
    ``som`` as :func:`som`, with ``k`` and the ``proposed_k`` and its ``reason``;
    ``metaclusters``: DataFrame, one row a node, columns ``meta2`` to ``meta<K>``, each with numbers by falling size;
    ``consensus``: DataFrame ``k area delta ambiguous within`` (:func:`cytof.cluster.choose`);
    ``som_tree``: DataFrame ``source target length`` (:func:`cytof.cluster.spanning_tree`). Rows of
    ``uns["cytof"]["steps"]``.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``n_clusters``, ``grid`` or ``rlen`` below 1; no column ``fit_on``.

    Warns
    -----
    CytofWarning
        Fewer nodes hold cells than metaclusters are asked for; a marker is constant.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    >>> X[:200] += 9
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> flowsom(cells, n_clusters=2, features=["CD4", "CD8"])
    >>> cells.obs["flowsom"].value_counts().to_dict()
    {'1': 200, '2': 100}

    Source: Van Gassen et al. 2015, Cytometry A 87:636.
    """
    at_least(n_clusters, 1, "n_clusters", where="flowsom")
    node_key = f"{key_added}_node"
    som(
        adata, grid=grid, training=training, features=features, fit_on=fit_on, key_added=node_key,
        random_state=random_state,
    )  # fmt: skip
    home = dict(adata.uns[UNS])
    slot = home.pop(slot_name("som", node_key, "som_node"))
    lookup, agreed = metaclusters(slot["codes"], slot["counts"], max(n_clusters, _LEAST_K), random_state=random_state)
    found = min(n_clusters, max(lookup))
    if found < n_clusters:
        warnings.warn(
            f"flowsom: {n_clusters} clusters asked for, cells fill {found} node{'s' if found > 1 else ''} of the map",
            CytofWarning,
            stacklevel=2,
        )
    adata.obs[key_added] = as_labels(lookup[found][adata.obs[node_key].to_numpy()])
    told, proposed, reason = choose(slot["codes"], slot["counts"], lookup, agreed)
    slots = {
        "som": slot | {"k": found, "proposed_k": proposed, "reason": reason},
        "metaclusters": _lookup_table(lookup),
        "consensus": told,
        "som_tree": spanning_tree(slot["codes"]),
    }
    adata.uns[UNS] = home | {slot_name(s, key_added, Obs.FLOWSOM): value for s, value in slots.items()}
    _record(adata, key_added, slot, {"n_clusters": n_clusters, "fit_on": fit_on or ""}, random_state)
    logging.getLogger("cytof").info("flowsom: %d clusters of %d cells", found, adata.n_obs)


def _lookup_table(lookup):  # type: ignore[no-untyped-def]
    import pandas as pd

    nodes = pd.Index([str(i) for i in range(len(lookup[1]))], name="node")
    return pd.DataFrame({f"meta{k}": numbers for k, numbers in lookup.items() if k > 1}, index=nodes)


def _record(adata: AnnData, key: str, slot: dict[str, Any], params: dict[str, Any], random_state: int) -> None:
    """Record the map and the metaclusters as one step."""
    steps = adata.uns[UNS]["steps"]
    own = slot_name("som", f"{key}_node", "som_node")
    adata.uns[UNS] = dict(adata.uns[UNS]) | {"steps": steps[steps["step"] != own]}
    params |= {"grid": slot["grid"].tolist(), "training": slot["method"], "rlen": slot["rlen"], "init": slot["init"]}
    params |= {"distance": slot["distance"], "features": slot["features"], "linkage": "average", "draws": 100}
    transform.record(adata, slot_name("flowsom", key, Obs.FLOWSOM), params, random_state)


def metaclusters(
    codes: NDArray[np.floating], counts: NDArray[np.integer], n_clusters: int, *, random_state: int = 0
) -> tuple[dict[int, NDArray[np.int64]], Consensus]:
    """Return metaclusters of nodes for every k from 1 to ``n_clusters``, numbered 1, 2, ... by falling number of cells.

    Nodes that hold no cell take no part; each gets the metacluster of the nearest node that holds some. So k is at
    most the number of nodes with cells.

    Parameters
    ----------
    codes
        Nodes, shape (n_nodes, n_features).
    counts
        Cells a node, shape (n_nodes,).
    n_clusters
        Largest k.
    random_state
        Seed of the consensus.

    Returns
    -------
    k -> int64 array, shape (n_nodes,); and the :class:`Consensus` of the nodes with cells.

    Examples
    --------
    >>> metaclusters(np.array([[0.0], [4.0], [5.0]]), np.array([9, 0, 20]), 2)[0][2].tolist()
    [2, 1, 1]
    """
    from scipy.spatial.distance import cdist

    full = np.flatnonzero(counts)
    nearest = cdist(codes, codes[full], "sqeuclidean").argmin(1)
    agreed = consensus(codes[full], n_clusters, random_state=random_state)
    result = {}
    for k, cluster in ({1: np.zeros(len(full), np.int64)} | agreed.clusters).items():
        size = np.bincount(cluster, counts[full], minlength=k)
        number = np.empty(k, np.int64)
        number[np.lexsort((np.arange(k), -size))] = np.arange(1, k + 1)
        result[k] = number[cluster][nearest]
    return result, agreed
