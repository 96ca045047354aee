"""What the report says of double negative host T cells, and of gates and clusters that disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.report._tables import StudyTables

__all__ = ["apart", "host_dn_words"]


def apart(made: StudyTables) -> pd.DataFrame | None:
    """Return the cells whose gate and cluster name different subsets."""
    table = made.tables.get("disagreement")
    return None if table is None else table[~table["agrees"]]


def host_dn_words(adata: AnnData, made: StudyTables) -> list[str]:
    """Return whether host T cells hold a double negative subset, and what double negative does not say.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> host_dn_words(cells, study_tables(cells))
    []
    """
    table = made.tables.get("host_subsets")
    own = None if table is None else table[table["population"].astype(str) == "DN"]
    if own is None or not len(own):
        return []
    parts = [f"{', '.join(rows['sample_id'].astype(str))}: {call or 'no call'} ({_counted(rows)})"
             for call, rows in own.groupby("call", sort=False)]  # fmt: skip
    told = [f"Double negative (CD4- CD8-) cells among host T cells, {'; '.join(parts)}."]
    known = {_plain(m) for m in adata.var_names}
    missing = [name for name, words in _UNCONVENTIONAL.items() if not known & words]
    if missing:
        told.append(
            f"Double negative is not specific for CAR T cells: the panel has no {' and no '.join(missing)} marker, and "
            "gamma-delta T cells and NKT cells of the host are double negative too."
        )
    return told


_UNCONVENTIONAL = {
    "TCRgd": {"tcrgd", "tcrγδ", "gdtcr", "tcrgammadelta"},
    "NKT": {"tcrva24", "va24", "va24ja18", "tcrva24ja18", "6b11", "inkt", "cd1dtetramer"},
}


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _counted(rows: pd.DataFrame) -> str:
    cells = [
        f"{int(r.n):,} cell{'s' * (r.n != 1)}, limit of blank {r.lob:.0f}"
        for r in rows.itertuples()
        if r.n == r.n and r.lob == r.lob
    ]
    return "; ".join(cells) or "not counted"
