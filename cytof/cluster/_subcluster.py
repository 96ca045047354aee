"""One cluster clustered again; its lineage is in the key and in the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cytof import transform
from cytof._check import has_columns, nearest
from cytof.cluster._flowsom import flowsom
from cytof.cluster._lookup import flowsom_slots
from cytof.cluster._som import Training, slot_name
from cytof.errors import UsageError
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["lineage_key", "subcluster"]


def subcluster(
    adata: AnnData,
    cluster: str,
    *,
    key: str = Obs.FLOWSOM,
    n_clusters: int = 4,
    training: Training | str = "batch",
    features: Sequence[str] | None = None,
    key_added: str | None = None,
    random_state: int = 0,
) -> None:
    """Cluster the cells of one cluster with a FlowSOM of their own.

    Parameters
    ----------
    adata
        Cells with clusters.
    cluster
        A label of ``obs[key]``.
    key
        Column of ``obs`` with the clusters, of whichever method.
    n_clusters, training, features, random_state
        As for :func:`cytof.cluster.flowsom`; the grid is as wide as the cells fill it: 10 x 10, or less where there
        are fewer than 1,000 cells (10 cells a node).
    key_added
        Column of ``obs``; by default the lineage: ``flowsom.3`` for cluster 3 of ``flowsom``, ``flowsom.3.1`` for
        cluster 3.1 of ``flowsom.3``.

    Writes
    ------
    ``obs[key_added]`` categorical, shape (n_cells,): ``<cluster>.1``, ``<cluster>.2``, ... by falling size; all other
    cells keep their label of ``key``. ``obs[key_added + "_node"]`` float, NaN outside the cluster. Slots of
    :func:`cytof.cluster.flowsom` under ``key_added``, and ``lineage:<key_added>``: ``parent``, ``cluster``, ``n``.

    Raises
    ------
    UsageError
        No column ``key``, or no such cluster; the nearest is named.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> from cytof.cluster import flowsom
    >>> X = np.repeat(np.float32([[0], [20], [23]]), 100, axis=0) + np.random.default_rng(0).normal(size=(300, 1)) / 9
    >>> cells = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(index=["CD4"]))
    >>> flowsom(cells, n_clusters=2, features=["CD4"])
    >>> subcluster(cells, "1", n_clusters=2, features=["CD4"])
    >>> cells.obs["flowsom.1"].value_counts().sort_index().to_dict()
    {'1.1': 100, '1.2': 100, '2': 100}
    """
    import pandas as pd

    has_columns(adata.obs.columns, [key], where="adata.obs", hint="cluster first")
    column = adata.obs[key].astype("category").cat.rename_categories(str)
    cluster = str(cluster)
    inside = (column == cluster).to_numpy()
    if not inside.any():
        present = [str(c) for c in column.cat.categories]
        hint = nearest(cluster, present) or f"clusters: {', '.join(present)}"
        raise UsageError(f"`{cluster}` is no cluster of `{key}`", where="cluster.subcluster", hint=hint)
    written = key_added or lineage_key(key, cluster)
    side = int(np.clip(np.sqrt(inside.sum() / 10), 2, 10))
    part = adata[inside].copy()
    flowsom(
        part, n_clusters=n_clusters, grid=(side, side), training=training, features=features, key_added=written,
        random_state=random_state,
    )  # fmt: skip
    fine = part.obs[written].cat.rename_categories(lambda c: f"{cluster}.{c}")
    order = [f for c in column.cat.categories for f in (list(fine.cat.categories) if c == cluster else [c])]
    whole = column.astype(object)
    whole[inside] = fine.astype(object).to_numpy()
    adata.obs[written] = pd.Categorical(whole, categories=[c for c in order if c in set(whole.dropna())])
    node = np.full(adata.n_obs, np.nan)
    node[inside] = part.obs[f"{written}_node"]
    adata.obs[f"{written}_node"] = node
    slots = {slot_name(s, written, Obs.FLOWSOM): v for s, v in flowsom_slots(part, written).items()}
    slots[f"lineage:{written}"] = {"parent": key, "cluster": cluster, "n": int(inside.sum())}
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | slots
    params = {"parent": key, "cluster": cluster, "n": int(inside.sum()), "n_clusters": n_clusters}
    params |= {"grid": [side, side], "features": list(part.uns[UNS]["features"])}
    transform.record(adata, f"subcluster:{written}", params, random_state)


def lineage_key(key: str, cluster: str) -> str:
    """Return the key of a cluster's own clustering: what the cluster's label shares with the key is said once.

    Examples
    --------
    >>> lineage_key("flowsom", "3"), lineage_key("flowsom.3", "3.1"), lineage_key("flowsom_named", "CD8 TEM/x")
    ('flowsom.3', 'flowsom.3.1', 'flowsom_named.CD8 TEM_x')
    """
    above = key.split(".", 1)[1] + "." if "." in key else ""
    return f"{key}.{cluster.removeprefix(above)}".replace("/", "_")
