"""CD4, CD8, double negative and double positive cells over the visits, and the clusters each subset is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.errors import GateError
from cytof.keys import Obs, Tables
from cytof.track import _gates
from cytof.track._abundance import abundance
from cytof.track._cells import codes, label, levels, owners, samples
from cytof.track._interval import clopper_pearson
from cytof.track._spill import IMPURITY, against_expected, expected_false, host_above

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["COMPOSITION", "SUBSETS", "composition", "subsets"]

SUBSETS = ("CD4", "CD8", "DN", "DP")
"""Subsets of T cells by the CD4 and CD8 gates, in the order of tables and plots."""

COMPOSITION = (
    "sample_id", "patient_id", "timepoint", "day", "subset", "cluster", "n", "n_subset", "fraction", "ci_low",
    "ci_high",
)  # fmt: skip
"""Columns of :func:`composition`."""


def subsets(adata: AnnData, *, of: str = "CAR+", impurity: float = IMPURITY) -> pd.DataFrame:
    """Return the share of CD4, CD8, DN and DP cells among the cells of a gate, one row a sample and subset.

    Counted by gate: the gates ``CD4 CD8 DN DP`` right below ``of``. A template that names them otherwise is counted by
    ``obs["subset"]``, which gating filled from those gates.

    Parameters
    ----------
    adata
        Cells with gate counts in ``uns["cytof"]["counts"]``.
    of
        Gate whose cells are divided: ``CAR+``, ``CAR-`` (the host arm) or ``CD3+``.
    impurity
        Share of those cells that no gate chain keeps out (other leukocytes, doublets), at least expected in a subset.

    Returns
    -------
    DataFrame, columns ``keys.Tables.ABUNDANCE``, by day, sample, and subset in the order CD4, CD8, DN, DP. ``call``: is
    the subset there at all (rule: :mod:`cytof.track._spill`). DN is not specific: where the panel lacks TCRgd and NKT
    markers, gamma-delta and NKT cells of the host are CD4- CD8- too.

    Raises
    ------
    GateError
        No such gate, or it is not divided into subsets.

    Examples
    --------
    >>> import anndata
    >>> counts = pd.DataFrame({"sample_id": "5yr", "gate": ["CAR+", "CAR+/CD8", "CAR+/DN"], "parent": "CAR+",
    ...                        "n": [74, 9, 65]})
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["5yr"]}, index=["c"]))
    >>> cells.uns["cytof"] = {"counts": counts}
    >>> subsets(cells)[["population", "n", "fraction", "ci_low", "ci_high"]].round(3).values.tolist()
    [['CD8', 9, 0.122, 0.057, 0.218], ['DN', 65, 0.878, 0.782, 0.943]]
    """
    paths = _gates.counts(adata)["gate"].unique()
    above = _gates.path(adata, of)
    here = [name for name in SUBSETS if f"{above}/{name}" in set(paths)]
    if not here:
        if Obs.SUBSET not in adata.obs or adata.obs[Obs.SUBSET].isna().all():
            raise GateError(
                f"`{above}` has no gate {', '.join(SUBSETS)} below it, and no cell a subset",
                where="subsets",
                hint="mark the subset gates with `subset: CD4` in the template",
            )
        return abundance(adata, of=of, groupby=Obs.SUBSET)
    parts = []
    for place, name in enumerate(here):
        part = abundance(adata, population=f"{above}/{name}", of=above)
        false = expected_false(adata, above, name, part, impurity)
        part = against_expected(part, false, host_above(adata, above, name, part["sample_id"].tolist()))
        parts.append(part.assign(population=name, denominator=of, order=place, row=np.arange(len(part))))
    table = pd.concat(parts).sort_values(["row", "order"], kind="stable", ignore_index=True)
    return table[list(Tables.ABUNDANCE)]


def composition(
    adata: AnnData, *, groupby: str = Obs.FLOWSOM, within: str = Obs.SUBSET, by: str | None = None
) -> pd.DataFrame:
    """Return the make-up of each subset by cluster (Figure 4C): every subset x cluster, also at zero.

    Parameters
    ----------
    adata
        Cells with both columns in ``obs``; cells without a label in either are left out.
    groupby
        Column with the clusters.
    within
        Column with the subsets.
    by
        None: the cells of all samples together, so that a visit weighs by its cells. ``"sample_id"``: each sample by
        itself.

    Returns
    -------
    DataFrame, columns ``sample_id patient_id timepoint day subset cluster n n_subset fraction ci_low ci_high``; with
    ``by=None`` the sample is ``all``, the other three columns are empty. ``ci_low ci_high``: exact 95 % interval.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"sample_id": "5yr", "subset": ["DN", "DN", "CD8"], "flowsom": ["4", "7", "4"]},
    ...                    index=list("abc"))
    >>> table = composition(anndata.AnnData(np.zeros((3, 1), np.float32), obs=obs))
    >>> table[["subset", "cluster", "n", "fraction"]].values.tolist()
    [['CD8', '4', 1, 1.0], ['CD8', '7', 0, 0.0], ['DN', '4', 1, 0.5], ['DN', '7', 1, 0.5]]
    """
    clusters, groups = levels(adata, groupby), levels(adata, within)
    cluster, group = codes(adata, groupby, clusters), codes(adata, within, groups)
    if by is None:
        visits = pd.DataFrame({"sample_id": ["all"], "patient_id": [""], "timepoint": [""], "day": [np.nan]})
        owner = np.zeros(adata.n_obs, np.int64)
    else:
        visits = samples(adata)
        owner = owners(adata, visits["sample_id"])
    n = np.zeros((len(visits), len(groups), len(clusters)), np.int64)
    labelled = (cluster >= 0) & (group >= 0)
    np.add.at(n, (owner[labelled], group[labelled], cluster[labelled]), 1)
    table = visits.loc[visits.index.repeat(n[0].size)].reset_index(drop=True)
    table["subset"] = np.tile(np.repeat([label(within, g) for g in groups], len(clusters)), len(visits))
    table["cluster"] = np.tile([label(groupby, c) for c in clusters], len(visits) * len(groups))
    table["n"], table["n_subset"] = n.ravel(), np.repeat(n.sum(axis=2).ravel(), len(clusters))
    table["fraction"] = table["n"] / table["n_subset"].where(table["n_subset"] > 0)
    table["ci_low"], table["ci_high"] = clopper_pearson(table["n"], table["n_subset"])
    return table[list(COMPOSITION)]
