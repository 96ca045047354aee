"""FlowSOM: a self-organising map, then consensus metaclusters of its nodes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least
from cytof.cluster._consensus import consensus
from cytof.cluster._labels import as_labels
from cytof.cluster._som import som
from cytof.errors import CytofWarning
from cytof.keys import UNS

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["flowsom", "metaclusters"]


def flowsom(
    adata: AnnData,
    *,
    n_clusters: int = 9,
    grid: tuple[int, int] = (10, 10),
    rlen: int = 10,
    features: Sequence[str] | None = None,
    fit_on: str | None = None,
    key_added: str = "flowsom",
    random_state: int = 0,
) -> None:
    """Cluster cells with FlowSOM: batch map (:func:`som`), then consensus metaclustering of its nodes.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    n_clusters
        Metaclusters.
    grid, rlen, features, fit_on
        As for :func:`som`.
    key_added
        Column of ``obs``; nodes go to ``<key_added>_node``.
    random_state
        Seed of the draws of the consensus; the map itself draws nothing.

    Writes
    ------
    ``obs[key_added]``: categorical ``"1"``, ``"2"``, ... by falling size, shape (n_cells,).
    ``obs[key_added + "_node"]`` int32. ``uns["cytof"]["som"]`` as :func:`som`.
    ``uns["cytof"]["metaclusters"]``: DataFrame, one row a node, columns ``meta2`` to ``meta<n_clusters>``, each with
    numbers by falling size (cells in all). Rows of ``uns["cytof"]["steps"]``.

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
    import pandas as pd

    at_least(n_clusters, 1, "n_clusters", where="flowsom")
    node_key = f"{key_added}_node"
    som(adata, grid=grid, rlen=rlen, features=features, fit_on=fit_on, key_added=node_key, random_state=random_state)
    slot = adata.uns[UNS]["som"]
    node = adata.obs[node_key].to_numpy()
    lookup = metaclusters(slot["codes"], slot["counts"], n_clusters, random_state=random_state)
    found = max(lookup)
    if found < n_clusters:
        warnings.warn(
            f"flowsom: {n_clusters} clusters asked for, cells fill {found} node{'s' if found > 1 else ''} of the map",
            CytofWarning,
            stacklevel=2,
        )
    adata.obs[key_added] = as_labels(lookup[found][node])
    table = pd.DataFrame(
        {f"meta{k}": numbers for k, numbers in lookup.items() if k > 1},
        index=pd.Index([str(i) for i in range(len(slot["codes"]))], name="node"),
    )
    adata.uns[UNS] = dict(adata.uns[UNS]) | {"metaclusters": table}
    params = {"n_clusters": n_clusters, "grid": list(grid), "rlen": rlen, "features": slot["features"]}
    transform.record(
        adata,
        "flowsom" if key_added == "flowsom" else f"flowsom:{key_added}",
        params | {"fit_on": fit_on or "", "linkage": "average", "draws": 100},
        random_state,
    )
    logging.getLogger("cytof").info("flowsom: %d clusters of %d cells", found, adata.n_obs)


def metaclusters(
    codes: NDArray[np.floating], counts: NDArray[np.integer], n_clusters: int, *, random_state: int = 0
) -> dict[int, NDArray[np.int64]]:
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

    Examples
    --------
    >>> metaclusters(np.array([[0.0], [4.0], [5.0]]), np.array([9, 0, 20]), 2)[2].tolist()
    [2, 1, 1]
    """
    full = np.flatnonzero(counts)
    apart = ((np.asarray(codes, np.float64)[:, None] - np.asarray(codes, np.float64)[None, full]) ** 2).sum(2)
    nearest = apart.argmin(1)
    found: dict[int, NDArray[np.int64]] = {1: np.zeros(len(full), np.int64)}
    found |= consensus(codes[full], min(n_clusters, len(full)), random_state=random_state)
    result = {}
    for k, cluster in found.items():
        size = np.bincount(cluster, counts[full], minlength=k)
        number = np.empty(k, np.int64)
        number[np.lexsort((np.arange(k), -size))] = np.arange(1, k + 1)
        result[k] = number[cluster][nearest]
    return result
