"""Cells of later visits onto a finished map: the same clusters, and how far each cell lies from what the map knew."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import nearest
from cytof.cluster._columns import read
from cytof.cluster._model import Model
from cytof.cluster._som_core import map_cells
from cytof.errors import CytofWarning, PanelError, UsageError
from cytof.keys import Var

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["FAR", "map_array", "map_new", "outlier_score"]

FAR = 4.0  # deviations, as in the original (mad_allowed)


def map_new(adata: AnnData, model: Model, *, key_added: str | None = None) -> None:
    """Give cells the clusters of a finished map.

    Parameters
    ----------
    adata
        New cells; ``X`` on the arcsinh scale with the cofactors of the model, in memory or memory-mapped.
    model
        From :func:`cytof.cluster.model` or :func:`cytof.cluster.load_model`.
    key_added
        Column of ``obs``; by default that of the model.

    Writes
    ------
    ``obs[key_added]`` categorical with all clusters of the model, ``obs[key_added + "_node"]`` int32,
    ``obs[key_added + "_outlier"]`` float32: by how many deviations (1.4826 MAD) the cell is farther from its node than
    the median cell the map was made from; above 4 is far. One row of ``uns["cytof"]["steps"]``.

    Raises
    ------
    PanelError
        A marker of the model is not in ``var``.
    UsageError
        A marker was transformed with another cofactor.
    InputError
        No cells, or values missing in a marker.

    Warns
    -----
    CytofWarning
        More than 1 % and 3 x as many cells are far as among those the map was made from.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> from cytof import cluster
    >>> X = np.repeat(np.float32([[0], [9]]), 60, axis=0) + np.random.default_rng(0).normal(size=(120, 1))
    >>> first = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(index=["CD4"]))
    >>> cluster.flowsom(first, n_clusters=2, grid=(3, 3), features=["CD4"])
    >>> later = anndata.AnnData(np.float32([[0.1], [9.2]]), var=pd.DataFrame(index=["CD4"]))
    >>> map_new(later, cluster.model(first))
    >>> later.obs["flowsom"].nunique()
    2

    Source: FlowSOM's NewData and TestOutliers (Van Gassen et al. 2015).
    """
    import pandas as pd

    key = key_added or model.key
    _assert_same_scale(adata, model)
    order = [str(v) for v in adata.var_names if v in set(model.features)]
    X, names = read(adata, order, step="map_new")
    place = [list(model.features).index(n) for n in names]
    node, distance = map_cells(X, model.codes[:, place], distance=model.distance)  # type: ignore[arg-type]
    score = outlier_score(node, distance, model)
    adata.obs[key] = pd.Categorical.from_codes(model.label[node], categories=list(model.categories))
    adata.obs[f"{key}_node"], adata.obs[f"{key}_outlier"] = node, score
    far = float((score > FAR).mean())
    if far > max(0.01, 3 * model.far):
        warnings.warn(
            f"map_new: {far:.1%} of {adata.n_obs} cells lie far from every node ({model.far:.1%} when the map was "
            "made): a population the map does not know, or another staining",
            CytofWarning,
            stacklevel=2,
        )
    params: dict[str, Any] = {"model": repr(model), "features": names, "far": round(far, 6)}
    transform.record(adata, f"map_new:{key}", params, None)


def map_array(
    X: NDArray[np.float32], model: Model, *, n_jobs: int | None = None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
    """Return node, cluster (place in ``model.categories``) and outlier score of cells.

    Parameters
    ----------
    X
        Features in the order of ``model.features``, shape (n_cells, n_features); read a block at a time, so it may be
        memory-mapped and larger than memory.
    model
        From :func:`cytof.cluster.model` or :func:`cytof.cluster.load_model`.
    n_jobs
        Threads; their number changes no byte.

    Examples
    --------
    ``node, cluster, score = cytof.cluster.map_array(np.memmap("cells.f32", np.float32, shape=(n, d)), model)``
    """
    if X.shape[1] != len(model.features):
        raise UsageError(f"X has {X.shape[1]} columns, the model {len(model.features)} features", where="map_array")
    node, distance = map_cells(X, model.codes, distance=model.distance, n_jobs=n_jobs)
    return (
        node,
        model.label.astype(np.min_scalar_type(len(model.categories)))[node],
        outlier_score(node, distance, model),
    )


def outlier_score(node: NDArray[np.int32], distance: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    """Return deviations beyond the median distance to the node; nodes that knew few cells take the typical node's.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> known = SimpleNamespace(middle=np.array([1.0, np.nan]), mad=np.array([0.5, np.nan]))
    >>> outlier_score(np.int32([0, 1]), np.float32([1, 1.7413]), known).round(2).tolist()
    [0.0, 1.0]
    """
    usable = np.isfinite(model.mad) & (model.mad > 0)
    typical = np.median(model.mad[usable]) if usable.any() else 1.0
    around = np.median(model.middle[np.isfinite(model.middle)])
    middle = np.where(np.isfinite(model.middle), model.middle, around).astype(np.float32)
    width = (1.4826 * np.where(usable, model.mad, typical)).astype(np.float32)
    return (distance - middle[node]) / width[node]


def _assert_same_scale(adata: AnnData, model: Model) -> None:
    missing = [f for f in model.features if f not in adata.var_names]
    if missing:
        raise PanelError(
            f"{len(missing)} of {len(model.features)} markers of the model missing: {', '.join(missing)}",
            where="map_new",
            hint=nearest(missing[0], adata.var_names),
        )
    if Var.COFACTOR not in adata.var:
        return
    here = adata.var[Var.COFACTOR].loc[list(model.features)].to_numpy(float)
    for name, was, now in zip(model.features, model.cofactors, here, strict=True):
        if np.isfinite(was) and np.isfinite(now) and was != now:
            raise UsageError(
                f"{name} was clustered with cofactor {was:g}, here it is {now:g}",
                where="map_new",
                hint="gate these files with the panel of the first ones",
            )
