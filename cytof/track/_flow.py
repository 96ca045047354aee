"""Cluster flow over time: what stream and alluvial plots draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cytof.keys import Obs
from cytof.track._subsets import composition

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["FLOW", "flow"]

FLOW = (
    "sample_id", "patient_id", "timepoint", "day", "cluster", "n", "n_total", "fraction", "stack_low", "stack_high",
    "change", "first_seen", "last_seen",
)  # fmt: skip
"""Columns of :func:`flow`."""


def flow(adata: AnnData, *, groupby: str = Obs.FLOWSOM) -> pd.DataFrame:
    """Return the share of each cluster at each visit, stacked, with the first and the last visit it is seen at.

    Parameters
    ----------
    adata
        Cells with clusters in ``obs``; those without one are left out.
    groupby
        Column with the clusters.

    Returns
    -------
    DataFrame, columns :data:`FLOW`, by patient, day and cluster. ``fraction``: of the labelled cells of the sample;
    ``stack_low stack_high``: where its ribbon lies when clusters are stacked in order; ``change``: of the share since
    the patient's sample before; ``first_seen last_seen``: visits of this patient, empty for a cluster never seen.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> obs = pd.DataFrame({"sample_id": ["a", "a", "b"], "day": [1.0, 1, 9], "timepoint": ["d1", "d1", "d9"],
    ...                     "flowsom": ["1", "2", "2"]}, index=list("xyz"))
    >>> table = flow(anndata.AnnData(np.zeros((3, 1), np.float32), obs=obs))
    >>> table[["timepoint", "cluster", "fraction", "stack_low", "last_seen"]].values.tolist()
    [['d1', '1', 0.5, 0.0, 'd1'], ['d1', '2', 0.5, 0.5, 'd9'], ['d9', '1', 0.0, 0.0, 'd1'], ['d9', '2', 1.0, 0.0, 'd9']]
    """
    table = composition(adata, groupby=groupby, within=Obs.SAMPLE, by=Obs.SAMPLE)
    table = table[table["subset"].astype(str) == table["sample_id"].astype(str)]
    table = table.rename(columns={"n_subset": "n_total"}).sort_values(["patient_id", "day"], kind="stable")
    table = table.reset_index(drop=True)
    table["stack_high"] = table.groupby("sample_id", sort=False)["fraction"].cumsum()
    table["stack_low"] = table["stack_high"] - table["fraction"]
    lines = ["patient_id", "cluster"]
    table["change"] = table.groupby(lines, sort=False)["fraction"].diff()
    visit = table["timepoint"].astype(str).where(table["timepoint"].astype(str) != "", table["sample_id"].astype(str))
    seen = table.assign(visit=visit)[table["n"] > 0].groupby(lines)["visit"]
    keys = pd.MultiIndex.from_frame(table[lines])
    for column, ends in (("first_seen", seen.first()), ("last_seen", seen.last())):
        table[column] = pd.Series(ends.reindex(keys).to_numpy(object)).fillna("")
    return table[list(FLOW)]
