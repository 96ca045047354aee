"""A finished FlowSOM as something to keep: made from clustered cells, written to a file, read back without pickle."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import provenance
from cytof._check import has_columns
from cytof.cluster._lookup import flowsom_slots
from cytof.errors import InputError, UsageError
from cytof.keys import Obs

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Model", "load_model", "model", "save_model"]

_LAYOUT = 1


@dataclass(frozen=True, eq=False)
class Model:
    """A map with the names of its nodes.

    Attributes
    ----------
    key
        Column of ``obs`` it was made from.
    codes
        Nodes, float32, shape (n_nodes, n_features), arcsinh scale.
    grid
        Columns and rows.
    features, cofactors
        Antigens, and the cofactors of their arcsinh (NaN where unknown), shape (n_features,).
    distance
        How the nearest node is found.
    label, categories
        Cluster of each node as a place in ``categories``, and the names of the clusters.
    middle, mad
        Median and median absolute deviation of the distance of the cells to their node, shape (n_nodes,).
    far
        Share of the cells it was made from with an outlier score above 4.
    """

    key: str
    codes: NDArray[np.float32]
    grid: NDArray[np.int64]
    features: NDArray[np.str_]
    cofactors: NDArray[np.float64]
    distance: str
    label: NDArray[np.int64]
    categories: NDArray[np.str_]
    middle: NDArray[np.float64]
    mad: NDArray[np.float64]
    far: float

    def __repr__(self) -> str:
        sizes = f"{len(self.codes)} nodes, {len(self.categories)} clusters, {len(self.features)} features"
        return f"Model({self.key}: {sizes})"


def model(adata: AnnData, *, key: str = Obs.FLOWSOM, labels: str | None = None) -> Model:
    """Return the map of clustered cells with the clusters of its nodes.

    Parameters
    ----------
    adata
        Cells that :func:`cytof.cluster.flowsom` clustered.
    key
        Column that flowsom wrote.
    labels
        Column with the clusters to keep, one a node: ``key`` itself (default), that of another k
        (:func:`cytof.cluster.at`) or one with names (:func:`cytof.cluster.merge`).

    Raises
    ------
    UsageError
        No metaclusters under ``key``, no column ``labels``, or one whose clusters part the cells of a node.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> from cytof.cluster import flowsom
    >>> X = np.repeat(np.float32([[0], [9]]), 60, axis=0) + np.random.default_rng(0).normal(size=(120, 1))
    >>> cells = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(index=["CD4"]))
    >>> flowsom(cells, n_clusters=2, grid=(3, 3), features=["CD4"])
    >>> model(cells)
    Model(flowsom: 9 nodes, 2 clusters, 1 features)
    """
    import pandas as pd

    slots = flowsom_slots(adata, key)
    som, labels = slots["som"], labels or key
    has_columns(adata.obs.columns, [labels], where="adata.obs")
    column = adata.obs[labels].astype("category")
    categories = [str(c) for c in column.cat.categories]
    node = adata.obs[f"{key}_node"].to_numpy(float)
    known = np.isfinite(node) & column.notna().to_numpy()
    pairs = np.unique(np.c_[node[known].astype(int), column.cat.codes.to_numpy()[known]], axis=0)
    if len(pairs) > len(np.unique(pairs[:, 0])):
        nodes = len(np.unique(pairs[:, 0][np.r_[False, np.diff(pairs[:, 0]) == 0]]))
        raise UsageError(
            f"`{labels}` parts the cells of {nodes} nodes of `{key}`, expected one cluster a node",
            where="cluster.model",
            hint=f"use `{key}` or a column made from it",
        )
    label = np.full(len(som["codes"]), -1)
    label[pairs[:, 0]] = pairs[:, 1]
    lookup = slots["metaclusters"].get(f"meta{som['k']}", pd.Series(1, index=range(len(label)))).to_numpy()
    for place in np.flatnonzero(label < 0):  # a node without cells: what flowsom says of it
        same = label[(lookup == lookup[place]) & (label >= 0)]
        label[place] = np.bincount(same).argmax() if len(same) else 0
    return Model(
        key, np.asarray(som["codes"], np.float32), np.asarray(som["grid"]), np.asarray(list(som["features"]), str),
        np.asarray(som["cofactors"], float), str(som["distance"]), label, np.asarray(categories, str),
        np.asarray(som["middle"]), np.asarray(som["mad"]), float(som["far"]),
    )  # fmt: skip


def save_model(model: Model, path: str | Path) -> None:
    """Write a model to ``path`` (``.npz``; plain arrays, no pickle), whole or not at all.

    Examples
    --------
    ``cytof.cluster.save_model(cytof.cluster.model(adata), "flowsom.npz")``
    """
    arrays = {f.name: np.asarray(getattr(model, f.name)) for f in fields(model)}
    with provenance.atomic(Path(path)) as part, part.open("wb") as file:
        np.savez_compressed(file, layout=np.asarray(_LAYOUT), **arrays)  # type: ignore[arg-type]


def load_model(path: str | Path) -> Model:
    """Read a model that :func:`save_model` wrote.

    Raises
    ------
    InputError
        The file is not there, is no such file, is damaged, or was written by a newer version.

    Examples
    --------
    >>> load_model("nowhere.npz")
    Traceback (most recent call last):
    ...
    cytof.errors.InputError: nowhere.npz: no such file
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError("not a model, or damaged", where=str(path), hint="cluster.save_model writes one") from error
    names = [f.name for f in fields(Model)]
    missing = [n for n in ("layout", *names) if n not in found]
    if missing:
        raise InputError(f"not a model: {', '.join(missing)} missing", where=str(path))
    if int(found["layout"]) > _LAYOUT:
        raise InputError(
            f"layout {int(found['layout'])}, this version reads {_LAYOUT}",
            where=str(path),
            hint="install a newer cytof",
        )
    plain = {"key": str(found["key"]), "distance": str(found["distance"]), "far": float(found["far"])}
    return Model(**{n: found[n] for n in names} | plain)
