"""Consensus metaclustering of the nodes of a map, for every number of metaclusters at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Consensus", "consensus", "cut"]


@dataclass(frozen=True)
class Consensus:
    """Metaclusters of nodes: ``clusters`` k -> int64 (n_nodes,), 0 to k - 1; ``area`` and ``ambiguous`` k -> number.

    ``area``: under the cumulative distribution of the consensus of two nodes. ``ambiguous``: share of pairs of nodes
    with a consensus between 0.1 and 0.9.
    """

    clusters: dict[int, NDArray[np.int64]]
    area: dict[int, float]
    ambiguous: dict[int, float]


def consensus(
    codes: NDArray[np.floating],
    n_clusters: int,
    *,
    draws: int = 100,
    fraction: float = 0.9,
    linkage: str = "average",
    random_state: int = 0,
) -> Consensus:
    """Return metaclusters of nodes for every k from 2 to ``n_clusters``.

    Nodes are clustered hierarchically many times, each time a ``fraction`` of them; the share of draws in which two
    nodes fell together is their consensus, and ``1 - consensus`` is clustered hierarchically once more.

    Parameters
    ----------
    codes
        Nodes, shape (n_nodes, n_features).
    n_clusters
        Largest k, at most ``n_nodes``.
    draws, fraction
        Number of draws (up to 65,535), share of nodes in each. One draw of all nodes is plain hierarchical clustering.
    linkage
        Of both clusterings: ``average``, ``complete``, ``ward`` or ``single``.
    random_state
        Seed of the draws.

    Returns
    -------
    :class:`Consensus`. Tied nodes split in the order of their numbers.

    Examples
    --------
    >>> consensus(np.array([[0.0], [0.1], [5.0], [5.1], [5.2]]), 2).clusters[2].tolist()
    [0, 0, 1, 1, 1]

    Source: Monti et al. 2003, Machine Learning 52:91; in FlowSOM: Van Gassen et al. 2015 (average linkage, 100 draws
    of 90 %). Ambiguous pairs: Senbabaoglu et al. 2014, Scientific Reports 4:6207.
    """
    from scipy.cluster.hierarchy import linkage as join

    n = len(codes)
    most = min(n_clusters, n)
    found = Consensus({}, {}, {})
    if most < 2:
        return found
    last, drawn = _draw(np.asarray(codes, np.float64), most, draws, fraction, linkage, random_state)
    pairs = np.triu_indices(n, 1)
    together = np.cumsum(last[pairs][:, ::-1], axis=1, dtype=np.int64)[:, ::-1] / np.maximum(drawn[pairs], 1)[:, None]
    for k in range(2, most + 1):
        shared = together[:, k]
        found.clusters[k] = cut(join(1 - shared, linkage), k)
        found.area[k] = float(1 - shared.mean())
        found.ambiguous[k] = float(((shared > 0.1) & (shared < 0.9)).mean())
    return found


def _draw(
    codes: NDArray[np.float64], most: int, draws: int, fraction: float, linkage: str, random_state: int
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Cluster many draws of nodes; return how long pairs stay together and how often they were drawn together."""
    from scipy.cluster.hierarchy import linkage as join
    from scipy.spatial.distance import pdist, squareform

    from cytof.cluster._consensus_kernels import count_together

    n = len(codes)
    rng = np.random.default_rng(random_state)
    apart = squareform(pdist(codes))
    last, present = np.zeros((n, n, most + 1), np.uint16), np.zeros((draws, n))
    size = min(n, max(int(round(fraction * n)), most))
    upper = np.triu_indices(size, 1)
    for draw in range(draws):
        nodes = np.sort(rng.choice(n, size, replace=False))
        tree = join(apart[np.ix_(nodes, nodes)][upper], linkage)
        count_together(np.ascontiguousarray(tree[:, :2], np.int32), nodes, last)
        present[draw, nodes] = 1
    return last, np.rint(present.T @ present).astype(np.int64)


def cut(tree: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Undo the last ``k - 1`` merges of a tree of scipy; clusters are numbered by their first leaf.

    Examples
    --------
    >>> cut(np.array([[0, 1, 0.1, 2], [2, 3, 5.0, 3]]), 2).tolist()
    [0, 0, 1]
    """
    n = len(tree) + 1
    members: dict[int, list[int]] = {leaf: [leaf] for leaf in range(n)}
    for merge in range(n - k):
        left, right = tree[merge, :2].astype(int)
        members[n + merge] = members.pop(left) + members.pop(right)
    result = np.empty(n, np.int64)
    for number, leaves in enumerate(sorted(members.values(), key=min)):
        result[leaves] = number
    return result
