"""What speaks for the clusters: proposed number, names, stability, agreement of the two methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import cluster
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["cluster_tables", "cluster_words"]


def cluster_tables(adata: AnnData) -> dict[str, pd.DataFrame]:
    """Return the tables of the chapter by title; those that were not made are left out.

    Parameters
    ----------
    adata
        Cells as the pipeline leaves them: ``uns["cytof"]`` with ``names stability consensus``.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> obs = pd.DataFrame({"flowsom": list("1122"), "phenograph": list("1123")}, index=list("abcd"))
    >>> list(cluster_tables(anndata.AnnData(np.zeros((4, 1), np.float32), obs=obs)))
    ['FlowSOM (rows) against PhenoGraph (columns), cells']
    """
    home = adata.uns.get(UNS, {})
    names, stable = home.get("names"), home.get("stability")
    found = {}
    if names is not None:
        found["Names of the clusters by their signatures"] = _rounded(names, ["score", "second_score"])
    if stable is not None:
        found["Stability of the clusters"] = _rounded(stable, ["jaccard_seeds", "jaccard_draws", "lowest"])
    if home.get("consensus") is not None:
        measures = ["area", "delta", "ambiguous", "within"]
        found["Consensus for each number of clusters"] = _rounded(home["consensus"], measures)
    table = _agreement(adata)
    if table is not None:
        wide = table[0].rename_axis(None, axis=1)
        wide.columns = wide.columns.astype(str)
        found["FlowSOM (rows) against PhenoGraph (columns), cells"] = wide.reset_index(names="FlowSOM")
    return found


def cluster_words(adata: AnnData) -> list[str]:
    """Say in sentences what the tables show.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> obs = pd.DataFrame({"flowsom": list("1122"), "phenograph": list("1123")}, index=list("abcd"))
    >>> print(*cluster_words(anndata.AnnData(np.zeros((4, 1), np.float32), obs=obs)))
    FlowSOM and PhenoGraph agree on 4 cells with an adjusted Rand index of 0.57 (1: the same groups; 0: chance).
    """
    home = adata.uns.get(UNS, {})
    said = [w for w in (_number_words(home.get("som")), _stability_words(home)) if w]
    table = _agreement(adata)
    if table is not None:
        said.append(
            f"FlowSOM and PhenoGraph agree on {int(table[0].to_numpy().sum()):,} cells with an adjusted Rand index of "
            f"{table[1]:.2f} (1: the same groups; 0: chance)."
        )
    return said


def _number_words(slot: Any) -> str:
    if slot is None or "proposed_k" not in slot:
        return ""
    k, proposed = int(slot["k"]), int(slot["proposed_k"])
    asked = f"{k} clusters were asked for, which is also the number proposed" if k == proposed else (
        f"{k} clusters were asked for; {proposed} would be proposed"
    )  # fmt: skip
    return f"{asked}: {slot['reason']}."


def _stability_words(home: Any) -> str:
    told, runs = home.get("stability"), home.get("stability_runs")
    if told is None or runs is None or not len(runs):
        return ""
    agree = ", ".join(
        f"{part['ari'].mean():.2f} over {'seeds' if kind == 'seeds' else 'draws of the cells'}"
        for kind, part in runs.groupby("kind", sort=True)
    )
    weak = told[told["verdict"] != "stable"]
    which = f"; not stable: {', '.join(weak['cluster'].astype(str))}" if len(weak) else ""
    return (
        f"{len(told) - len(weak)} of {len(told)} clusters are found again when FlowSOM is repeated "
        f"(mean adjusted Rand index of two runs {agree}){which}."
    )


def _agreement(adata: AnnData) -> tuple[pd.DataFrame, float] | None:
    if Obs.FLOWSOM not in adata.obs or Obs.PHENOGRAPH not in adata.obs:
        return None
    if not (adata.obs[Obs.FLOWSOM].notna() & adata.obs[Obs.PHENOGRAPH].notna()).any():
        return None
    return cluster.crosstab(adata, Obs.FLOWSOM, Obs.PHENOGRAPH)


def _rounded(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table.assign(**{c: table[c].astype(float).round(3) for c in columns})
