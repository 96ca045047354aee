"""Self-organising map, batch training: each pass takes all cells at once, so the result has no order and no luck."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, has_columns
from cytof._neighbors._blocks import in_blocks
from cytof._neighbors._matrix import cell_order, feature_matrix
from cytof.errors import CytofWarning, InputError
from cytof.keys import UNS

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Map", "map_cells", "som", "train"]

_ROWS = 8192
_LAST_RADIUS = 0.5  # in grid steps: the neighbour of a node still counts exp(-2) = 0.14


@dataclass(frozen=True)
class Map:
    """A trained map: ``codes`` float32 (n_nodes, n_features), ``grid`` (columns, rows), ``error`` after each pass."""

    codes: NDArray[np.float32]
    grid: tuple[int, int]
    error: NDArray[np.float64]


def som(
    adata: AnnData,
    *,
    grid: tuple[int, int] = (10, 10),
    rlen: int = 10,
    features: Sequence[str] | None = None,
    fit_on: str | None = None,
    key_added: str = "som_node",
    random_state: int = 0,
) -> None:
    """Train a self-organising map on the cells and give each cell its node.

    Batch training from the plane of the first two principal components: nothing is drawn, the same cells give the
    same map whatever their order, the seed and the threads.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    grid
        Columns and rows of nodes.
    rlen
        Passes over the cells.
    features
        Antigens; by default :func:`cytof.transform.features`.
    fit_on
        Bool column of ``obs``: the map is trained on these cells (for instance an equal draw a visit) and all cells
        are mapped.
    key_added
        Column of ``obs``.
    random_state
        Recorded; batch training draws nothing.

    Writes
    ------
    ``obs[key_added]`` int32, node of each cell, 0 to n_nodes - 1.
    ``uns["cytof"]["som"]``: ``codes`` float32 (n_nodes, n_features), ``grid``, ``features``, ``rlen``, ``counts``
    (cells a node), ``quantisation_error`` (mean distance of a cell to its node). One row of
    ``uns["cytof"]["steps"]``.

    Raises
    ------
    InputError
        No cells to train on, or values missing in a marker.
    UsageError
        ``grid`` or ``rlen`` below 1, or no column ``fit_on``.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[0], [0], [9]]), var=pd.DataFrame(index=["CD4"]))
    >>> som(cells, grid=(2, 1), features=["CD4"])
    >>> cells.obs["som_node"].nunique()
    2

    Source: Kohonen 2013, Neural Networks 37:52, section 4 (batch); Van Gassen et al. 2015, Cytometry A 87:636.
    """
    X, names = feature_matrix(adata, features, step="som")
    result, node, error = _fit_and_map(adata, X, grid, rlen, fit_on)
    adata.obs[key_added] = node
    slot = {
        "codes": result.codes,
        "grid": np.asarray(result.grid),
        "features": names,
        "rlen": rlen,
        "counts": np.bincount(node, minlength=len(result.codes)),
        "quantisation_error": error,
    }
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {"som": slot}
    params = {"grid": list(grid), "rlen": rlen, "features": names, "fit_on": fit_on or ""}
    transform.record(adata, "som" if key_added == "som_node" else f"som:{key_added}", params, random_state)


def _fit_and_map(
    adata: AnnData, X: NDArray[np.float32], grid: tuple[int, int], rlen: int, fit_on: str | None
) -> tuple[Map, NDArray[np.int32], float]:
    for size, name in ((grid[0], "grid columns"), (grid[1], "grid rows"), (rlen, "rlen")):
        at_least(size, 1, name, where="som")
    chosen = np.ones(len(X), bool)
    if fit_on is not None:
        has_columns(adata.obs.columns, [fit_on], where="adata.obs", hint="`transform.equal_draw` writes `in_fit`")
        chosen = adata.obs[fit_on].to_numpy(bool)
    if not chosen.any():
        raise InputError(f"`{fit_on}` marks 0 of {len(X)} cells, expected at least 1", where="som")
    rows = np.flatnonzero(chosen)
    if len(rows) < grid[0] * grid[1]:
        warnings.warn(
            f"som: {len(rows)} cells for {grid[0] * grid[1]} nodes, some nodes stay empty", CytofWarning, stacklevel=3
        )
    rows = rows[cell_order(X[rows], adata.obs_names.to_numpy()[rows])]
    result = train(X[rows], grid, rlen=rlen)
    node, distance = map_cells(X, result.codes)
    return result, node, float(distance.mean(dtype=np.float64))


def train(X: NDArray[np.float32], grid: tuple[int, int], *, rlen: int = 10, n_jobs: int | None = None) -> Map:
    """Train a batch map.

    Parameters
    ----------
    X
        Features, shape (n_cells, n_features), float32, cells in canonical order.
    grid
        Columns and rows.
    rlen
        Passes. The radius of the Gaussian neighbourhood falls linearly from half the longer side to 0.5 grid steps.
    n_jobs
        Threads; sums are made a block of cells and added in block order, so the result is the same for any number.

    Examples
    --------
    >>> train(np.float32([[0], [0], [9]]), (2, 1)).codes.astype(float).round(1).ravel().tolist()
    [0.6, 7.1]
    """
    X = np.ascontiguousarray(X, np.float32)
    codes, places = _plane(X, grid)
    between = ((places[:, None] - places[None]) ** 2).sum(2)
    first = max(max(grid) / 2, _LAST_RADIUS)
    errors = []
    for radius in np.linspace(first, _LAST_RADIUS, rlen) if rlen > 1 else [_LAST_RADIUS]:
        _, distance, sums, counts = _assign(X, codes, True, n_jobs)
        errors.append(distance.mean(dtype=np.float64))
        near = np.exp(-between / (2 * radius**2))
        weight = near @ counts
        reached = weight > 1e-9
        codes[reached] = ((near @ sums)[reached] / weight[reached, None]).astype(np.float32)
    return Map(codes, grid, np.asarray(errors))


def map_cells(
    X: NDArray[np.float32], codes: NDArray[np.float32], *, n_jobs: int | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the nearest node of each cell, ties to the lower node, and the distance to it.

    Examples
    --------
    >>> node, distance = map_cells(np.float32([[1], [8]]), np.float32([[0], [9]]))
    >>> node.tolist(), distance.tolist()
    ([0, 1], [1.0, 1.0])
    """
    return _assign(np.ascontiguousarray(X, np.float32), codes, False, n_jobs)[:2]


def _assign(
    X: NDArray[np.float32], codes: NDArray[np.float32], add: bool, n_jobs: int | None
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Give cells their nodes; with ``add`` also the sums and counts a node, added block by block."""
    from cytof.cluster._som_kernels import nearest_nodes

    n, d = X.shape
    node, distance = np.empty(n, np.int32), np.empty(n, np.float32)
    across = np.ascontiguousarray(codes.T, np.float32)
    half = (0.5 * (codes.astype(np.float64) ** 2).sum(1)).astype(np.float32)

    def block(start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        sums, counts = np.zeros((len(codes) if add else 0, d)), np.zeros(len(codes), np.int64)
        nearest_nodes(X[start:stop], across, half, node[start:stop], distance[start:stop], sums, counts)
        return sums, counts

    sums, counts = np.zeros((len(codes) if add else 0, d)), np.zeros(len(codes))
    for part, number in in_blocks(block, n, _ROWS, n_jobs):
        sums += part
        counts += number
    return node, distance, sums, counts


def _plane(X: NDArray[np.float32], grid: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return codes on the plane of the first two principal components, to 2 deviations either way, and their places."""
    centre = X.mean(0, dtype=np.float64)
    spread = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _ROWS):
        part = X[start : start + _ROWS] - centre
        spread += np.einsum("ni,nj->ij", part, part)
    value, axis = np.linalg.eigh(spread / max(len(X) - 1, 1))
    value, axis = np.maximum(value[::-1][:2], 0), axis[:, ::-1][:, :2]
    axis = axis * np.where(axis[np.abs(axis).argmax(0), np.arange(axis.shape[1])] < 0, -1.0, 1.0)
    columns, rows = np.indices(grid).reshape(2, -1)
    steps = [np.linspace(-2, 2, size) if size > 1 else np.zeros(1) for size in grid]
    codes = centre + np.outer(steps[0][columns] * np.sqrt(value[0]), axis[:, 0])
    if len(value) > 1:
        codes = codes + np.outer(steps[1][rows] * np.sqrt(value[1]), axis[:, 1])
    return codes.astype(np.float32), np.stack([columns, rows], 1).astype(np.float64)
