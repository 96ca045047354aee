"""Another number of metaclusters from the table that flowsom left: no clustering, one lookup a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cytof import transform
from cytof._check import nearest
from cytof.cluster._labels import as_labels
from cytof.cluster._som import slot_name
from cytof.errors import UsageError
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["at", "flowsom_slots"]


def at(adata: AnnData, k: int, *, key: str = Obs.FLOWSOM, key_added: str | None = None) -> None:
    """Give the cells the metaclusters of another k.

    Parameters
    ----------
    adata
        Cells that :func:`cytof.cluster.flowsom` clustered.
    k
        Metaclusters, 2 to the largest in the table.
    key
        Column that flowsom wrote.
    key_added
        Column of ``obs``; by default ``<key>_meta<k>``.

    Writes
    ------
    ``obs[key_added]``: categorical ``"1"``, ``"2"``, ... by falling size, shape (n_cells,); cells without a node get
    none. One row of ``uns["cytof"]["steps"]``.

    Raises
    ------
    UsageError
        No metaclusters under ``key``, or none for this k.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.cluster import flowsom
    >>> X = np.repeat(np.float32([[0], [20], [40]]), 100, axis=0) + np.random.default_rng(0).normal(size=(300, 1))
    >>> cells = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(index=["CD4"]))
    >>> flowsom(cells, n_clusters=2, features=["CD4"])
    >>> at(cells, 3)
    >>> cells.obs["flowsom_meta3"].value_counts().tolist()
    [100, 100, 100]
    """
    import pandas as pd

    table = flowsom_slots(adata, key)["metaclusters"]
    if f"meta{k}" not in table:
        raise UsageError(f"k is {k}, expected 2 to {len(table.columns) + 1}", where=f"cluster.at of `{key}`")
    node = adata.obs[f"{key}_node"]
    known = node.notna().to_numpy()
    numbers = table[f"meta{k}"].to_numpy()[node[known].to_numpy(int)]
    labels = as_labels(numbers)
    whole = pd.Series(pd.Categorical([None] * adata.n_obs, categories=labels.categories), index=adata.obs_names)
    whole[known] = labels
    written = key_added or f"{key}_meta{k}"
    adata.obs[written] = whole
    transform.record(adata, f"at:{written}", {"key": key, "k": k}, None)


def flowsom_slots(adata: AnnData, key: str) -> dict[str, Any]:
    """Return what flowsom left under a key: ``som metaclusters consensus som_tree``.

    Raises
    ------
    UsageError
        There is nothing under this key; the nearest is named.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> flowsom_slots(anndata.AnnData(np.zeros((1, 1), np.float32)), "flowsom")
    Traceback (most recent call last):
    ...
    cytof.errors.UsageError: adata.uns: no metaclusters of `flowsom`, found none; run `cluster.flowsom` first
    """
    home = adata.uns.get(UNS, {})
    known = [Obs.FLOWSOM] * ("metaclusters" in home) + [s[13:] for s in home if s.startswith("metaclusters:")]
    if key not in known:
        raise UsageError(
            f"no metaclusters of `{key}`, found {', '.join(known) or 'none'}",
            where="adata.uns",
            hint=nearest(key, known) or "run `cluster.flowsom` first",
        )
    slots = ("som", "metaclusters", "consensus", "som_tree")
    return {s: home[slot_name(s, key, Obs.FLOWSOM)] for s in slots}
