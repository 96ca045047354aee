"""CD4, CD8, DN and DP by gate beside the same by cluster: which cells differ, and could a dim marker fake a subset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.errors import PanelError
from cytof.keys import Obs
from cytof.track._cells import codes, label, levels, owners, samples
from cytof.track._state import thresholds_of

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["DISAGREEMENT", "disagreement", "signature_of_clusters"]

DISAGREEMENT = (
    "sample_id", "patient_id", "timepoint", "day", "cluster", "cluster_subset", "subset", "n", "n_cluster", "fraction",
    "agrees", "cd4_just_below", "cd8_just_below", "note",
)  # fmt: skip
"""Columns of :func:`disagreement`."""

NEAR = 0.5
"""Arcsinh units below a threshold that count as just below: a factor of about 1.6 in counts."""

_MANY = 0.2


def signature_of_clusters(adata: AnnData, *, groupby: str = Obs.FLOWSOM) -> pd.Series:
    """Return CD4, CD8, DN or DP for each cluster: the median distance of its cells to the thresholds of CD4 and CD8.

    Parameters
    ----------
    adata
        Cells with thresholds of CD4 and CD8 in ``uns["cytof"]["thresholds"]``.
    groupby
        Column with the clusters.

    Raises
    ------
    PanelError
        The panel has no CD4 or no CD8.
    """
    names = levels(adata, groupby)
    group, above = codes(adata, groupby, names), _distance(adata)
    found = {}
    for i, name in enumerate(names):
        middle = pd.DataFrame(above[group == i]).median().to_numpy() if (group == i).any() else np.full(2, np.nan)
        found[label(groupby, name)] = _word(middle)
    return pd.Series(found, dtype=object)


def disagreement(adata: AnnData, *, groupby: str = Obs.FLOWSOM) -> pd.DataFrame:
    """Return how the cells of each cluster are gated, and where the two disagree.

    Parameters
    ----------
    adata
        Cells with ``obs["subset"]`` (by gate), clusters, and thresholds of CD4 and CD8.
    groupby
        Column with the clusters.

    Returns
    -------
    DataFrame, columns :data:`DISAGREEMENT`, one row a sample, cluster and gated subset with cells. ``cluster_subset``:
    by the cluster's medians (:func:`signature_of_clusters`). ``cd4_just_below cd8_just_below``: share of these cells
    within 0.5 arcsinh units below the threshold. ``note``: double negative cells of a CD4 or CD8 cluster, which its dim
    cells may be, and double negative cells of which a fifth or more lies just below a threshold.

    Examples
    --------
    ``cytof.track.disagreement(cells)[lambda t: ~t["agrees"]]``
    """
    has_columns(adata.obs.columns, [Obs.SUBSET, groupby, Obs.SAMPLE], where="adata.obs")
    by_cluster, above = signature_of_clusters(adata, groupby=groupby), _distance(adata)
    names = levels(adata, groupby)
    just = (above < 0) & (above >= -NEAR)
    cells = pd.DataFrame({
        "sample_id": adata.obs[Obs.SAMPLE].astype(str).to_numpy(),
        "cluster": np.array([*(label(groupby, v) for v in names), ""], object)[codes(adata, groupby, names)],
        "subset": adata.obs[Obs.SUBSET].astype(object).where(adata.obs[Obs.SUBSET].notna(), "").astype(str).to_numpy(),
        "cd4_just_below": just[:, 0], "cd8_just_below": just[:, 1],
    })  # fmt: skip
    cells = cells[(cells["cluster"] != "") & (cells["subset"] != "")]
    keys = ["sample_id", "cluster", "subset"]
    shares = cells.groupby(keys, sort=True)[["cd4_just_below", "cd8_just_below"]].mean()
    table = shares.assign(n=cells.groupby(keys, sort=True).size()).reset_index()
    table["n_cluster"] = table.groupby(["sample_id", "cluster"])["n"].transform("sum")
    table["fraction"] = table["n"] / table["n_cluster"]
    table["cluster_subset"] = table["cluster"].map(by_cluster)
    table["agrees"] = table["cluster_subset"] == table["subset"]
    table["note"] = [_note(row) for row in table.to_dict("records")]
    table = samples(adata).merge(table, on="sample_id", how="inner")
    return table[list(DISAGREEMENT)]


def _distance(adata: AnnData) -> NDArray[np.float64]:
    """Return CD4 and CD8 of each cell less the threshold of its sample, arcsinh; shape (n_cells, 2)."""
    missing = [m for m in ("CD4", "CD8") if m not in adata.var_names]
    if missing:
        raise PanelError(f"the panel has no {' and no '.join(missing)}", where="track.disagreement")
    ids = samples(adata)["sample_id"].tolist()
    limits = thresholds_of(adata, ["CD4", "CD8"], ids)
    owner = owners(adata, ids)
    taken = adata[:, ["CD4", "CD8"]].X
    x = np.asarray(taken.toarray() if hasattr(taken, "toarray") else taken, float)
    return x - limits.T[owner]


def _word(distance: NDArray[np.float64]) -> str:
    if np.isnan(distance).any():
        return "unknown"
    return {(True, False): "CD4", (False, True): "CD8", (True, True): "DP", (False, False): "DN"}[
        bool(distance[0] >= 0), bool(distance[1] >= 0)
    ]


def _note(row: dict) -> str:
    said = []
    if row["subset"] == "DN" and row["cluster_subset"] in ("CD4", "CD8"):
        said.append(f"may be dim cells of a {row['cluster_subset']} cluster")
    if row["subset"] == "DN":
        said += [f"{100 * row[c]:.0f} % lie just below the {c[:3].upper()} threshold"
                 for c in ("cd4_just_below", "cd8_just_below") if row[c] >= _MANY]  # fmt: skip
    return "; ".join(said)
