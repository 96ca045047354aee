"""Is a growing double negative pool one clone that divides? Diversity of its clusters, and its Ki67."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import has_columns, one_of
from cytof.keys import Obs
from cytof.track._cells import codes, columns_of, levels, owners, samples
from cytof.track._interval import clopper_pearson
from cytof.track._state import thresholds_of
from cytof.track._subsets import SUBSETS

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["SAFETY", "safety"]

SAFETY = (
    "sample_id", "patient_id", "timepoint", "day", "subset", "n", "n_all", "fraction", "ci_low", "ci_high", "growing",
    "n_clusters", "shannon", "simpson", "largest_cluster", "largest_fraction", "marker", "marker_mean",
    "marker_positive", "note",
)  # fmt: skip
"""Columns of :func:`safety`."""

_DOMINANT = 0.9


def safety(adata: AnnData, *, subset: str = "DN", groupby: str = Obs.FLOWSOM, marker: str = "Ki67") -> pd.DataFrame:
    """Return how large a subset is at each visit, how many clusters it is made of, and how many of its cells divide.

    Parameters
    ----------
    adata
        CAR T cells with ``obs["subset"]`` and clusters.
    subset
        The pool, by gate.
    groupby
        Column with the clusters. They are phenotypes: one dominant cluster is a hint, not a proof of one clone.
    marker
        Of proliferation.

    Returns
    -------
    DataFrame, columns :data:`SAFETY`. ``shannon``: ``-sum p log p`` (nats); ``simpson``: ``1 - sum p^2``;
    ``largest_cluster largest_fraction``: the most abundant. ``growing``: the share's exact interval lies above that of
    the patient's sample before. ``marker_mean``: arcsinh; ``marker_positive``: above the one threshold, where gated.
    ``note``: ``one cluster holds ...`` where it holds 90 % or more of a growing pool, and what is missing.

    Raises
    ------
    UsageError
        No such column, or a subset that is neither one of CD4, CD8, DN, DP nor a level of ``obs["subset"]``.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": "5yr", "subset": ["DN"] * 4 + ["CD8"], "flowsom": list("44771")},
    ...                    index=list("abcde"))
    >>> cells = anndata.AnnData(np.ones((5, 1), np.float32), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> safety(cells)[["n", "fraction", "n_clusters", "simpson", "marker_mean"]].values.tolist()
    [[4.0, 0.8, 2.0, 0.5, 1.0]]

    Source: Shannon 1948, Bell Syst Tech J 27:379; Simpson 1949, Nature 163:688.
    """
    has_columns(adata.obs.columns, [Obs.SUBSET, groupby], where="adata.obs")
    known = dict.fromkeys([*map(str, levels(adata, Obs.SUBSET, observed=False)), *SUBSETS])
    one_of(subset, list(known), "subset", where="safety")
    visits = samples(adata)
    names = levels(adata, groupby)
    cluster = codes(adata, groupby, names)
    owner = owners(adata, visits["sample_id"])
    inside = (adata.obs[Obs.SUBSET].astype(str) == subset).to_numpy()
    place = columns_of(adata, [marker])[0] if marker in adata.var_names else None
    limit = thresholds_of(adata, [marker], visits["sample_id"].tolist())[0] if place is not None else None
    rows = []
    for i, visit in visits.iterrows():
        here = owner == i
        cells = np.flatnonzero(here & inside)
        row = {**visit.to_dict(), "subset": subset, "n": len(cells), "n_all": int(here.sum()), "marker": marker}
        row |= _diversity(np.bincount(cluster[cells][cluster[cells] >= 0], minlength=len(names)), names)
        row["marker_mean"] = row["marker_positive"] = np.nan
        if place is not None and len(cells):
            taken = adata.X[cells][:, [place]]
            x = np.asarray(taken.toarray() if hasattr(taken, "toarray") else taken, float)[:, 0]
            x = x[np.isfinite(x)]
            row["marker_mean"] = float(x.mean()) if len(x) else np.nan
            if limit is not None and np.isfinite(limit[int(i)]) and len(x):
                row["marker_positive"] = float(np.mean(x >= limit[int(i)]))
        rows.append(row)
    return _judged(pd.DataFrame(rows, columns=[c for c in SAFETY if c not in ("growing", "note")]), place is not None)


def _diversity(n: np.ndarray, names: list) -> dict[str, object]:
    if not n.sum():
        return {
            "n_clusters": 0,
            "shannon": np.nan,
            "simpson": np.nan,
            "largest_cluster": "",
            "largest_fraction": np.nan,
        }
    p = n[n > 0] / n.sum()
    return {"n_clusters": len(p), "shannon": float(-np.sum(p * np.log(p))), "simpson": float(1 - np.sum(p**2)),
            "largest_cluster": str(names[int(np.argmax(n))]), "largest_fraction": float(p.max())}  # fmt: skip


def _judged(table: pd.DataFrame, has_marker: bool) -> pd.DataFrame:
    table["fraction"] = table["n"] / table["n_all"].where(table["n_all"] > 0)
    table["ci_low"], table["ci_high"] = clopper_pearson(table["n"], table["n_all"])
    before = table.groupby("patient_id", sort=False)["ci_high"].shift()
    table["growing"] = (table["ci_low"] > before).to_numpy(bool)
    notes = []
    for row in table.itertuples():
        said = ["no cells"] if not row.n else []
        if row.growing and row.largest_fraction >= _DOMINANT:
            said.append(f"one cluster holds {100 * row.largest_fraction:.0f} % of a growing pool")
        if not has_marker:
            said.append(f"the panel has no {row.marker}")
        elif row.n and np.isnan(row.marker_mean):
            said.append(f"no value: {row.marker} is missing in all {row.n:,} cells")
        notes.append("; ".join(said))
    return table.assign(note=notes)[list(SAFETY)]
