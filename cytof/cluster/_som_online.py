"""The original map of FlowSOM on arrays: one drawn cell at a time, so its result hangs on the seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cytof.cluster._som_core import Map

__all__ = ["sampled", "train_online"]


def sampled(X: NDArray[np.float32], grid: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return cells drawn as first nodes, without replacement where there are enough.

    Examples
    --------
    >>> sorted(sampled(np.float32([[1], [2]]), (2, 1), np.random.default_rng(0)).ravel().tolist())
    [1.0, 2.0]
    """
    n_nodes = grid[0] * grid[1]
    return np.array(X[rng.choice(len(X), n_nodes, replace=len(X) < n_nodes)], np.float32)


def train_online(
    X: NDArray[np.float32],
    grid: tuple[int, int],
    *,
    rlen: int = 10,
    start: NDArray[np.float32] | None = None,
    weight: NDArray[np.float64] | None = None,
    random_state: int = 0,
) -> Map:
    """Train a map as the original does: ``rlen * n_cells`` drawn cells, each pulls its node and the neighbours.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), float32, cells in canonical order.
    grid
        Columns and rows. The neighbourhood is a square, from the 67 % quantile of the steps between nodes down to the
        node alone; the learning rate falls from 0.05 to 0.01.
    rlen
        Draws of ``n_cells`` cells, with replacement.
    start
        Nodes to begin with; by default :func:`sampled`.
    weight
        Cells are drawn in proportion to it; by default all alike.
    random_state
        Seed of the draws.

    Returns
    -------
    Map; ``error`` is empty, nothing is measured on the way.

    Examples
    --------
    >>> codes = train_online(np.float32([[0]] * 50 + [[9]] * 50), (2, 1)).codes
    >>> sorted(codes.astype(float).round(1).ravel().tolist())
    [0.0, 9.0]

    Source: Van Gassen et al. 2015, Cytometry A 87:636; the algorithm is that of R's ``kohonen`` (Wehrens 2007).
    """
    from cytof.cluster._som_online_kernels import online_pass

    rng = np.random.default_rng(random_state)
    X = np.ascontiguousarray(X, np.float32)
    codes = sampled(X, grid, rng) if start is None else np.asarray(start, np.float32)
    columns, rows = np.indices(grid).reshape(2, -1)
    apart = np.maximum(np.abs(np.subtract.outer(columns, columns)), np.abs(np.subtract.outer(rows, rows)))
    across, n = np.ascontiguousarray(codes.T), len(X)
    radius, alpha = np.array([np.quantile(apart, 0.67), 0.0]), np.array([0.05, 0.01])
    heap = None if weight is None else np.cumsum(weight) / np.sum(weight)
    for turn in range(rlen):
        drawn = rng.integers(n, size=n) if heap is None else np.minimum(np.searchsorted(heap, rng.random(n)), n - 1)
        online_pass(X, drawn, across, apart.astype(np.int32), turn * n, rlen * n, radius, alpha)
    return Map(np.ascontiguousarray(across.T), grid, np.empty(0))
