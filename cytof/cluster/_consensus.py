"""Consensus metaclustering of the nodes of a map, for every number of metaclusters at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["consensus"]


def consensus(
    codes: NDArray[np.floating],
    n_clusters: int,
    *,
    draws: int = 100,
    fraction: float = 0.9,
    linkage: str = "average",
    random_state: int = 0,
) -> dict[int, NDArray[np.int64]]:
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
        Number of draws, share of nodes in each.
    linkage
        Of both clusterings: ``average``, ``complete``, ``ward`` or ``single``.
    random_state
        Seed of the draws.

    Returns
    -------
    k -> int64 array, shape (n_nodes,), clusters 0 to k - 1. Tied nodes split in the order of their numbers.

    Examples
    --------
    >>> consensus(np.array([[0.0], [0.1], [5.0], [5.1], [5.2]]), 2)[2].tolist()
    [0, 0, 1, 1, 1]

    Source: Monti et al. 2003, Machine Learning 52:91; in FlowSOM: Van Gassen et al. 2015 (average linkage, 100 draws
    of 90 %).
    """
    from scipy.cluster.hierarchy import linkage as join
    from scipy.spatial.distance import pdist, squareform

    n = len(codes)
    rng = np.random.default_rng(random_state)
    ks = np.arange(2, min(n_clusters, n) + 1)
    together, drawn = np.zeros((len(ks), n, n)), np.zeros((n, n))
    apart = squareform(pdist(np.asarray(codes, np.float64)))
    size = min(n, max(int(round(fraction * n)), int(ks.max(initial=1))))
    for _ in range(draws if size > 1 else 0):
        nodes = np.sort(rng.choice(n, size, replace=False))
        cuts = _cuts(join(squareform(apart[np.ix_(nodes, nodes)], checks=False), linkage), ks)
        for place in range(len(ks)):
            together[place][np.ix_(nodes, nodes)] += cuts[place][:, None] == cuts[place]
        drawn[np.ix_(nodes, nodes)] += 1
    result = {}
    for place, k in enumerate(ks):
        distance = 1 - together[place] / np.maximum(drawn, 1)
        np.fill_diagonal(distance, 0)
        result[int(k)] = _cuts(join(squareform(distance, checks=False), linkage), np.array([k]))[0]
    return result


def _cuts(tree: NDArray[np.float64], ks: NDArray[np.integer]) -> NDArray[np.int64]:
    """Cut a tree of merges into exactly k clusters for each k; clusters are numbered by their first leaf."""
    n = len(tree) + 1
    member = np.arange(n)
    wanted = {int(k): place for place, k in enumerate(ks)}
    cuts = np.zeros((len(ks), n), np.int64)
    for merge in range(n):
        if n - merge in wanted:
            _, first, inverse = np.unique(member, return_index=True, return_inverse=True)
            cuts[wanted[n - merge]] = np.argsort(np.argsort(first))[inverse]
        if merge < len(tree):
            left, right = tree[merge, :2].astype(int)
            member[(member == left) | (member == right)] = n + merge
    return cuts
