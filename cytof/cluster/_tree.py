"""The minimum spanning tree of the nodes of a map, which FlowSOM draws its stars on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof.keys import Obs

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["spanning_tree", "tree"]


def spanning_tree(codes: NDArray[np.floating]) -> pd.DataFrame:
    """Return the edges that join all nodes at the least total length.

    Parameters
    ----------
    codes
        Nodes, shape (n_nodes, n_features).

    Returns
    -------
    DataFrame ``source target length`` with n_nodes - 1 rows, source < target, sorted. Of edges of one length that with
    the lower nodes is taken.

    Examples
    --------
    >>> spanning_tree(np.array([[0.0], [3.0], [1.0]])).values.tolist()
    [[0.0, 2.0, 1.0], [1.0, 2.0, 2.0]]

    Source: Prim 1957, Bell System Technical Journal 36:1389.
    """
    import pandas as pd
    from scipy.spatial.distance import cdist

    apart = cdist(codes, codes)
    n = len(apart)
    edges, near, source = [], apart[0].copy(), np.zeros(n, int)
    near[0] = np.inf
    outside = np.ones(n, bool)
    outside[0] = False
    for _ in range(n - 1):
        new = int(np.where(outside, near, np.inf).argmin())
        edges.append((min(new, source[new]), max(new, source[new]), near[new]))
        outside[new] = False
        closer = outside & (apart[new] < near)
        near[closer], source[closer] = apart[new][closer], new
    table = pd.DataFrame(edges, columns=["source", "target", "length"])
    return table.astype({"source": int, "target": int}).sort_values(["source", "target"], ignore_index=True)


def tree(adata: AnnData, *, key: str = Obs.FLOWSOM, labels: str | None = None) -> pd.DataFrame:
    """Return the spanning tree of a map as :func:`cytof.plot.tree` draws it.

    Parameters
    ----------
    adata
        Cells that :func:`cytof.cluster.flowsom` clustered.
    key
        Column that flowsom wrote.
    labels
        Column with the cluster of each node: ``key`` itself (default), that of another k or one with names.

    Returns
    -------
    DataFrame ``node parent x y n cluster``, one row a node: ``parent`` the node it hangs on (-1 for the node with most
    cells, from which the tree grows), ``x y`` its place (Kamada and Kawai), ``n`` cells.

    Raises
    ------
    UsageError
        As :func:`cytof.cluster.model`.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> from cytof.cluster import flowsom
    >>> X = np.repeat(np.float32([[0], [9]]), 60, axis=0) + np.random.default_rng(0).normal(size=(120, 1))
    >>> cells = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(index=["CD4"]))
    >>> flowsom(cells, n_clusters=2, grid=(3, 3), features=["CD4"])
    >>> nodes = tree(cells)
    >>> len(nodes), (nodes["parent"] == -1).sum(), nodes["n"].sum()
    (9, np.int64(1), np.int64(120))

    Source: Van Gassen et al. 2015 (minimum spanning tree); Kamada and Kawai 1989, Inf Process Lett 31:7.
    """
    import pandas as pd

    from cytof.cluster._lookup import flowsom_slots
    from cytof.cluster._model import model

    slots, named = flowsom_slots(adata, key), model(adata, key=key, labels=labels)
    edges = slots["som_tree"][["source", "target"]].to_numpy(int)
    counts = np.asarray(slots["som"]["counts"])
    parent = _rooted(edges, len(counts), int(counts.argmax()))
    place = _layout(edges, len(counts))
    return pd.DataFrame({
        "node": np.arange(len(counts)), "parent": parent, "x": place[:, 0], "y": place[:, 1], "n": counts,
        "cluster": named.categories[named.label],
    })  # fmt: skip


def _rooted(edges: NDArray[np.int64], n: int, root: int) -> NDArray[np.int64]:
    """Return the neighbour of each node on its way to the root, -1 for the root."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order

    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()
    before = breadth_first_order(graph, root, directed=False)[1]
    return np.where(before < 0, -1, before)


def _layout(edges: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Return places in the plane, longest way lying, centred."""
    import igraph

    circle = np.c_[np.cos(2 * np.pi * np.arange(n) / n), np.sin(2 * np.pi * np.arange(n) / n)]
    graph = igraph.Graph(n=n, edges=edges.tolist())
    place = np.asarray(graph.layout_kamada_kawai(seed=circle.tolist()).coords)
    place = place - place.mean(0)
    axis = np.linalg.svd(place, full_matrices=False)[2] if n > 1 else np.eye(2)
    turned = place @ axis.T
    return turned * np.where(turned[np.abs(turned).argmax(0), [0, 1]] < 0, -1.0, 1.0)
