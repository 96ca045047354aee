"""The map on arrays: batch training, and the nearest node of each cell.

Cells are added up in whole multiples of a power of two, small enough to lose nothing that matters and large enough for
float64 to add them without rounding. So the order of the cells, the blocks and the threads change no byte, and nothing
has to be sorted or held in memory at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytof._check import one_of
from cytof._neighbors._blocks import in_blocks

__all__ = ["DISTANCES", "Map", "map_cells", "plane", "spread", "train"]

DISTANCES = ("euclidean", "manhattan", "chebyshev", "cosine")

_ROWS = 8192
_LAST_RADIUS = 0.5  # in grid steps: the neighbour of a node still counts exp(-2) = 0.14


@dataclass(frozen=True)
class Map:
    """A trained map: ``codes`` float32 (n_nodes, n_features), ``grid`` (columns, rows), ``error`` after each pass."""

    codes: NDArray[np.float32]
    grid: tuple[int, int]
    error: NDArray[np.float64]


def train(
    X: NDArray[np.float32],
    grid: tuple[int, int],
    *,
    rlen: int = 10,
    start: NDArray[np.float32] | None = None,
    distance: str = "euclidean",
    weight: NDArray[np.float64] | None = None,
    n_jobs: int | None = None,
) -> Map:
    """Train a batch map: each pass takes all cells at once.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), float32; may be memory-mapped.
    grid
        Columns and rows.
    rlen
        Passes. The radius of the Gaussian neighbourhood falls linearly from half the longer side to 0.5 grid steps.
    start
        Nodes to begin with, shape (n_nodes, n_features); by default :func:`plane`.
    distance
        One of ``DISTANCES``: which node is the nearest. A node moves to the weighted mean of its cells in any case.
    weight
        Weight of each cell, above 0; by default 1.
    n_jobs
        Threads. Their number, like the order of the cells, changes no byte.

    Examples
    --------
    >>> train(np.float32([[0], [0], [9]]), (2, 1)).codes.astype(float).round(1).ravel().tolist()
    [0.6, 7.1]

    Source: Kohonen 2013, Neural Networks 37:52, equation 8.
    """
    codes = plane(X, grid, weight=weight) if start is None else np.asarray(start, np.float32)
    first = max(max(grid) / 2, _LAST_RADIUS)
    weight = None if weight is None else np.asarray(weight, np.float64) / np.max(weight)
    most, errors = max(_largest(X, n_jobs), 1.0), []
    for radius in np.linspace(first, _LAST_RADIUS, rlen) if rlen > 1 else [_LAST_RADIUS]:
        sums, counts, error = _pass(X, _seeker(codes, distance), len(codes), most, weight, n_jobs)
        errors.append(error)
        reach, total = (_smooth(part, grid, radius) for part in (counts[:, None], sums))
        reached = reach[:, 0] > 1e-9
        codes = codes.copy()
        codes[reached] = (total[reached] / reach[reached]).astype(np.float32)
    return Map(codes, grid, np.asarray(errors))


def map_cells(
    X: NDArray[np.float32], codes: NDArray[np.float32], *, distance: str = "euclidean", n_jobs: int | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the nearest node of each cell, ties to the lower node, and the distance to it.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), float32; read a block at a time, so it may be memory-mapped.
    codes
        Nodes, shape (n_nodes, n_features).
    distance, n_jobs
        As for :func:`train`.

    Examples
    --------
    >>> node, distance = map_cells(np.float32([[1], [8]]), np.float32([[0], [9]]))
    >>> node.tolist(), distance.tolist()
    ([0, 1], [1.0, 1.0])
    """
    node, away = np.empty(len(X), np.int32), np.empty(len(X), np.float32)
    seek = _seeker(codes, distance)

    def block(start: int, stop: int) -> None:
        seek(np.ascontiguousarray(X[start:stop], np.float32), node[start:stop], away[start:stop])

    in_blocks(block, len(X), _ROWS, n_jobs)
    return node, away


def _seeker(codes: NDArray[np.float32], distance: str):  # type: ignore[no-untyped-def]
    """Return ``seek(X, node, away)`` for one set of nodes and one distance."""
    from cytof.cluster._som_kernels import nearest_by, nearest_nodes

    kind = DISTANCES.index(one_of(distance, DISTANCES, "distance", where="som"))
    codes = np.ascontiguousarray(codes, np.float32)
    if kind:
        return lambda X, node, away: nearest_by(X, codes, kind, node, away)
    across = np.ascontiguousarray(codes.T)
    half = (0.5 * (codes.astype(np.float64) ** 2).sum(1)).astype(np.float32)
    return lambda X, node, away: nearest_nodes(X, across, half, node, away)


def _pass(  # type: ignore[no-untyped-def]
    X: NDArray[np.float32], seek, n_nodes: int, most: float, weight: NDArray[np.float64] | None, n_jobs: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return sums and weights of the cells of each node, and the mean distance of a cell to its node."""
    from cytof.cluster._som_kernels import add_up

    n, d = X.shape
    share = np.empty(0) if weight is None else weight
    scale, fine = _scale(n, most), _scale(n, 4 * most * d)

    def block(start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        part = np.ascontiguousarray(X[start:stop], np.float32)
        node, away = np.empty(len(part), np.int32), np.empty(len(part), np.float32)
        one, number = np.zeros((n_nodes, d)), np.zeros(n_nodes)
        seek(part, node, away)
        add_up(part, node, share[start:stop], scale, one, number)
        return one, number, float(np.rint(away.astype(np.float64) * fine).sum())

    sums, counts, error = np.zeros((n_nodes, d)), np.zeros(n_nodes), 0.0
    for one, number, distant in in_blocks(block, n, _ROWS, n_jobs):
        sums += one
        counts += number
        error += distant
    return sums / scale, counts / scale, error / fine / n


def _scale(n: int, most: float) -> float:
    """Return the largest power of two with which ``n`` numbers up to ``most`` add up exactly in float64."""
    return float(2.0 ** np.floor(52 - np.log2(n * most)))


def _largest(X: NDArray[np.float32], n_jobs: int | None) -> float:
    ends = in_blocks(lambda a, b: max(float(X[a:b].max()), -float(X[a:b].min())), len(X), 16 * _ROWS, n_jobs)
    return max(ends)


def _smooth(values: NDArray[np.float64], grid: tuple[int, int], radius: float) -> NDArray[np.float64]:
    """Add to each node what its neighbours hold, by a Gaussian of the distance on the grid (columns, then rows)."""
    near = [np.exp(-(np.subtract.outer(np.arange(s), np.arange(s)) ** 2) / (2 * radius**2)) for s in grid]
    cube = np.einsum("ac,crf->arf", near[0], values.reshape(*grid, -1))
    return np.einsum("br,arf->abf", near[1], cube).reshape(len(values), -1)


def spread(
    X: NDArray[np.float32], weight: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and covariance of the cells, the same for every order of the cells.

    Values are rounded to 2 * 10^-4 of the largest one or finer, so that float64 adds their products exactly.

    Examples
    --------
    >>> centre, covariance = spread(np.float32([[1], [3]]))
    >>> centre.tolist(), covariance.tolist()
    ([2.0], [[1.0]])
    """
    n, d = X.shape
    share = np.ones(n) if weight is None else np.maximum(np.rint(256 * weight / weight.max()), 1)
    bits = min((51 - int(np.ceil(np.log2(n + 1))) - (0 if weight is None else 8)) // 2, 20)
    scale = 2.0 ** np.floor(bits - np.log2(max(_largest(X, None), 1e-30)))

    def block(start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        part = np.rint(X[start:stop] * scale).astype(np.float64)
        weighted = part * share[start:stop, None] if weight is not None else part
        return weighted.sum(0), weighted.T @ part

    first, second = np.zeros(d), np.zeros((d, d))
    for one, two in in_blocks(block, n, _ROWS):
        first += one
        second += two
    total = share.sum()
    mean = first / total
    return mean / scale, (second / total - np.outer(mean, mean)) / scale**2


def plane(
    X: NDArray[np.float32], grid: Sequence[int], *, weight: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Return nodes on the plane of the first two principal components, to 2 deviations either way.

    Examples
    --------
    >>> plane(np.float32([[1, 0], [3, 0]]), (3, 1))[:, 0].tolist()
    [0.0, 2.0, 4.0]
    """
    centre, covariance = spread(X, weight)
    value, axis = np.linalg.eigh(covariance)
    value, axis = np.maximum(value[::-1][:2], 0), axis[:, ::-1][:, :2]
    axis = axis * np.where(axis[np.abs(axis).argmax(0), np.arange(axis.shape[1])] < 0, -1.0, 1.0)
    columns, rows = np.indices(tuple(grid)).reshape(2, -1)
    steps = [np.linspace(-2, 2, size) if size > 1 else np.zeros(1) for size in grid]
    codes = centre + np.outer(steps[0][columns] * np.sqrt(value[0]), axis[:, 0])
    if len(value) > 1:
        codes = codes + np.outer(steps[1][rows] * np.sqrt(value[1]), axis[:, 1])
    return codes.astype(np.float32)
