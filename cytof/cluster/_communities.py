"""Communities of a weighted graph by modularity: Louvain with repeated passes from the best of several starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["louvain", "modularity"]

_PASSES = 20
_STARTS, _MANY = (5, 2), 100_000  # runs up to so many cells, and above


def modularity(graph: csr_matrix, community: NDArray[np.integer]) -> float:
    """Return the weighted modularity of a partition of a symmetric graph.

    ``sum over communities of (inside / 2m - (total / 2m)^2)``; 2m is the sum of all entries of ``graph``.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> pairs = csr_matrix(np.kron(np.eye(2), [[0.0, 1.0], [1.0, 0.0]]))
    >>> modularity(pairs, np.array([0, 0, 1, 1]))
    0.5

    Source: Newman 2004, Phys Rev E 70:056131, equation 5.
    """
    community = np.asarray(community)
    whole = float(graph.sum())
    if whole == 0:
        return 0.0
    from cytof.cluster._graph_kernels import inside

    community = np.unique(community, return_inverse=True)[1].astype(np.int64)
    totals = np.bincount(community, np.asarray(graph.sum(1)).ravel())
    within = inside(*_parts(graph), community)
    return float(within / whole - ((totals / whole) ** 2).sum())


def _parts(graph: csr_matrix) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Return the arrays of a CSR as the kernels take them."""
    return graph.indptr.astype(np.int32), graph.indices.astype(np.int32), graph.data.astype(np.float64)


def louvain(
    graph: csr_matrix, *, random_state: int = 0, starts: int | None = None, n_jobs: int | None = None
) -> tuple[NDArray[np.int64], float]:
    """Return the partition of greatest modularity among several Louvain runs, and its modularity.

    Each run visits the cells in an order drawn from ``random_state`` and the number of the run, joins, and starts
    again from the partition it found until modularity no longer rises. Runs go in pairs; a pair whose modularity is the
    best so far, and the same, ends them: most starts lead there.

    Parameters
    ----------
    graph
        Symmetric, non-negative weights, float64, shape (n_cells, n_cells), rows in canonical order.
    random_state
        Seed.
    starts
        Runs at most; the first of the best is returned. By default 5 up to 100,000 cells, 2 above.
    n_jobs
        Runs at a time; the result is the same for any number.

    Returns
    -------
    Communities 0, 1, ... by first cell, int64, shape (n_cells,); modularity.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> pairs = csr_matrix(np.kron(np.eye(2), [[0.0, 1.0], [1.0, 0.0]]))
    >>> louvain(pairs)[0].tolist()
    [0, 0, 1, 1]

    Source: Blondel et al. 2008, J Stat Mech P10008; visits by queue: Traag et al. 2019, Sci Rep 9:5233, section
    "fast local move".
    """
    if graph.nnz == 0:
        return np.arange(graph.shape[0]), 0.0
    if starts is None:
        starts = _STARTS[graph.shape[0] > _MANY]
    seeds = np.random.SeedSequence(random_state).spawn(starts)
    best, most = np.arange(graph.shape[0]), -np.inf
    for first in range(0, starts, 2):
        pair = seeds[first : first + 2]

        def run(at: int, _: int, pair: list = pair) -> tuple[NDArray[np.int64], float]:
            return _run(graph, pair[at])

        found = in_blocks(run, len(pair), 1, n_jobs)
        for community, quality in found:
            if quality > most + 1e-9:
                best, most = community, quality
        if len(found) == 2 and min(quality for _, quality in found) > most - 1e-9:
            break
    return _renumber(best), most


def _run(graph: csr_matrix, seed: np.random.SeedSequence) -> tuple[NDArray[np.int64], float]:
    """Repeat passes, each from the partition of the one before, until modularity no longer rises."""
    rng = np.random.default_rng(seed)
    community, quality = np.arange(graph.shape[0]), -1.0
    for _ in range(_PASSES):
        found = _one_pass(graph, community, rng)
        better = modularity(graph, found)
        if better <= quality + 1e-7:
            break
        community, quality = found, better
    return community, quality


def _one_pass(graph: csr_matrix, community: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Move the cells of ``graph`` from the partition given, then whole communities, level by level."""
    from scipy.sparse import csr_matrix

    from cytof.cluster._graph_kernels import aggregate, move

    level, part = graph, np.unique(community, return_inverse=True)[1].astype(np.int64)
    whole = None
    while True:
        n = level.shape[0]
        degree = np.asarray(level.sum(1), np.float64).ravel()
        moves = move(*_parts(level), degree, rng.permutation(n), part)
        part = np.unique(part, return_inverse=True)[1].astype(np.int64)
        whole = part if whole is None else part[whole]
        joined = int(part.max()) + 1
        if joined == n or (moves == 0 and level is not graph):
            return whole
        rows, columns, weights = aggregate(*_parts(level), part, joined)
        level = csr_matrix((weights, columns, rows), shape=(joined, joined))
        part = np.arange(joined)


def _renumber(community: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number communities by their first cell."""
    _, first, inverse = np.unique(community, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[inverse]
