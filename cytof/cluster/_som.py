"""Self-organising map of the cells: trained in batch (no order, no luck) or online as the original."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, has_columns, one_of
from cytof._neighbors._matrix import cell_order
from cytof.cluster._columns import Columns, read
from cytof.cluster._som_core import DISTANCES, Map, map_cells, plane, train
from cytof.cluster._som_online import sampled, train_online
from cytof.errors import CytofWarning, InputError, UsageError
from cytof.keys import UNS, Var

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Training", "slot_name", "som"]


@dataclass(frozen=True)
class Training:
    """How a map is trained.

    Parameters
    ----------
    method
        ``batch``: each pass takes all cells at once; the same cells give the same map whatever their order, the seed
        and the threads. ``online``: the original algorithm, one drawn cell at a time.
    rlen
        Passes over the cells.
    init
        First nodes: ``pca`` (plane of the first two components; default of ``batch``) or ``sample`` (drawn cells;
        default of ``online``, as in the original).
    distance
        ``euclidean``; in batch training also ``manhattan``, ``chebyshev``, ``cosine``.

    Examples
    --------
    >>> Training("online").start
    'sample'
    """

    method: str = "batch"
    rlen: int = 10
    init: str | None = None
    distance: str = "euclidean"

    @property
    def start(self) -> str:
        """``init``, or the default of the method."""
        return self.init or ("pca" if self.method == "batch" else "sample")

    def checked(self, grid: Sequence[int]) -> Training:
        """Return itself; raise UsageError where a value is wrong."""
        for size, name in ((grid[0], "grid columns"), (grid[1], "grid rows"), (self.rlen, "rlen")):
            at_least(size, 1, name, where="som")
        one_of(self.method, ("batch", "online"), "training", where="som")
        one_of(self.start, ("pca", "sample"), "init", where="som")
        one_of(self.distance, DISTANCES, "distance", where="som")
        if self.method == "online" and self.distance != "euclidean":
            raise UsageError(
                f"distance is {self.distance!r}, online training knows euclidean",
                where="som",
                hint='use Training("batch", distance=...)',
            )
        return self


def som(
    adata: AnnData,
    *,
    grid: tuple[int, int] = (10, 10),
    training: Training | str = "batch",
    features: Sequence[str] | None = None,
    fit_on: str | None = None,
    key_added: str = "som_node",
    random_state: int = 0,
) -> None:
    """Train a self-organising map on the cells and give each cell its node.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels), in memory or memory-mapped.
    grid
        Columns and rows of nodes.
    training
        ``"batch"``, ``"online"`` or a :class:`Training`.
    features
        Antigens; by default :func:`cytof.transform.features`.
    fit_on
        Column of ``obs``. Bool: the map is trained on these cells (for instance an equal draw a visit,
        :func:`cytof.transform.equal_draw`). Numbers: weights of the cells (:func:`cytof.transform.equal_weight`), 0
        leaves a cell out. All cells are mapped.
    key_added
        Column of ``obs``.
    random_state
        Seed of drawn cells; batch training from the principal components draws nothing.

    Writes
    ------
    ``obs[key_added]`` int32, node of each cell, 0 to n_nodes - 1.
    ``uns["cytof"]["som"]`` (with another ``key_added``: ``som:<key_added>``): ``codes`` float32 (n_nodes, n_features),
    ``grid``, ``features``, ``cofactors`` (n_features; NaN where ``var`` has none), ``method``, ``rlen``, ``init``,
    ``distance``, ``counts`` (cells a node), ``middle`` and ``mad`` (median and median absolute deviation of the
    distance of the cells to their node, a node; NaN for an empty one), ``far`` (share of cells more than 4 deviations
    beyond it), ``quantisation_error`` (mean distance of a cell to its node). One row of ``uns["cytof"]["steps"]``.

    Raises
    ------
    InputError
        No cells to train on, values missing in a marker, or weights that are negative or missing.
    UsageError
        ``grid`` or ``rlen`` below 1, unknown method, no column ``fit_on``.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[0], [0], [9]]), var=pd.DataFrame(index=["CD4"]))
    >>> som(cells, grid=(2, 1), features=["CD4"])
    >>> cells.obs["som_node"].nunique()
    2

    Source: Kohonen 2013, Neural Networks 37:52, section 4 (batch); Van Gassen et al. 2015, Cytometry A 87:636.
    """
    asked = (Training(training) if isinstance(training, str) else training).checked(grid)
    X, names = read(adata, features, step="som")
    result = _fit(adata, X, grid, asked, fit_on, random_state)
    node, distance = map_cells(X, result.codes, distance=asked.distance)  # type: ignore[arg-type]
    adata.obs[key_added] = node
    cofactor = adata.var[Var.COFACTOR] if Var.COFACTOR in adata.var else None
    slot: dict[str, Any] = {
        "codes": result.codes,
        "grid": np.asarray(result.grid),
        "features": names,
        "cofactors": np.full(len(names), np.nan) if cofactor is None else cofactor.loc[names].to_numpy(float),
        "method": asked.method,
        "rlen": asked.rlen,
        "init": asked.start,
        "distance": asked.distance,
        **_typical(node, distance, len(result.codes)),
    }
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {slot_name("som", key_added, "som_node"): slot}
    params = {"grid": list(grid), "training": asked.method, "rlen": asked.rlen, "init": asked.start}
    params |= {"distance": asked.distance, "features": names, "fit_on": fit_on or ""}
    transform.record(adata, slot_name("som", key_added, "som_node"), params, random_state)


def slot_name(slot: str, key: str, usual: str) -> str:
    """Return the name of a slot of ``uns["cytof"]``: plain for the usual key, ``<slot>:<key>`` for another.

    Examples
    --------
    >>> slot_name("som", "som_node", "som_node"), slot_name("som", "cd8", "som_node")
    ('som', 'som:cd8')
    """
    return slot if key == usual else f"{slot}:{key}"


def _fit(
    adata: AnnData, X: Columns, grid: tuple[int, int], training: Training, fit_on: str | None, random_state: int
) -> Map:
    """Train on the cells asked for; where cells are drawn, they first go into canonical order."""
    rows, weight = _fit_rows(adata, fit_on)
    if len(rows) < grid[0] * grid[1]:
        warnings.warn(
            f"som: {len(rows)} cells for {grid[0] * grid[1]} nodes, some nodes stay empty", CytofWarning, stacklevel=4
        )
    drawing = training.method == "online" or training.start == "sample"
    part: Any = X if len(rows) == len(X) and X.ready and not drawing else X[rows]
    if drawing:
        order = cell_order(part, adata.obs_names.to_numpy()[rows])
        part, weight = part[order], None if weight is None else weight[order]
    start = sampled(part, grid, np.random.default_rng([random_state, 1])) if training.start == "sample" else None
    if training.method == "batch":
        return train(part, grid, rlen=training.rlen, start=start, distance=training.distance, weight=weight)
    start = plane(part, grid, weight=weight) if start is None else start
    return train_online(part, grid, rlen=training.rlen, start=start, weight=weight, random_state=random_state)


def _fit_rows(adata: AnnData, fit_on: str | None) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
    """Return the cells to train on, and their weights where the column holds numbers."""
    if fit_on is None:
        return np.arange(adata.n_obs), None
    hint = "`transform.equal_draw` writes `in_fit`, `transform.equal_weight` writes `weight`"
    has_columns(adata.obs.columns, [fit_on], where="adata.obs", hint=hint)
    column = adata.obs[fit_on]
    weight = None if column.dtype == bool else np.asarray(column, np.float64)
    if weight is not None and not (np.isfinite(weight) & (weight >= 0)).all():
        bad = int((~np.isfinite(weight) | (weight < 0)).sum())
        raise InputError(f"`{fit_on}` is negative or missing in {bad} cells, expected weights from 0", where="som")
    rows = np.flatnonzero(column.to_numpy() if weight is None else weight > 0)
    if not len(rows):
        raise InputError(f"`{fit_on}` marks 0 of {adata.n_obs} cells, expected at least 1", where="som")
    return rows, None if weight is None else weight[rows]


def _typical(node: NDArray[np.int32], distance: NDArray[np.float32], n_nodes: int) -> dict[str, Any]:
    """Return cells a node, and how far from it they lie."""
    counts = np.bincount(node, minlength=n_nodes)
    order = np.argsort(node.astype(np.uint16 if n_nodes < 65536 else np.int32), kind="stable")
    middle, mad = np.full(n_nodes, np.nan), np.full(n_nodes, np.nan)
    for place, away in enumerate(np.split(distance[order], np.cumsum(counts)[:-1])):
        if len(away):
            middle[place] = np.median(away)
            mad[place] = np.median(np.abs(away - middle[place]))
    fine = np.rint(distance.astype(np.float64) * 2.0**20).sum() / 2.0**20 / len(distance)
    width = 1.4826 * np.where(mad > 0, mad, np.median(mad[mad > 0]) if (mad > 0).any() else 1.0)
    far = float((distance > (middle + 4 * width)[node]).mean())
    return {"counts": counts, "middle": middle, "mad": mad, "far": far, "quantisation_error": float(fine)}
