"""Merging tables: old cluster -> new name, with who decided it and when."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cytof import transform
from cytof._check import has_columns, nearest
from cytof.cluster._som import slot_name
from cytof.errors import UsageError, raise_all
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["merge"]


def merge(
    adata: AnnData, table: pd.DataFrame | str | Path, *, key: str = Obs.FLOWSOM, key_added: str | None = None,
    author: str, date: str | None = None,
) -> None:  # fmt: skip
    """Name and merge clusters by a table; clusters with one name become one.

    Parameters
    ----------
    adata
        Cells with clusters.
    table
        DataFrame or path of a CSV with the columns ``old,new`` (or ``cluster,name``, as :func:`name` returns).
    key
        Column of ``obs`` with the old clusters.
    key_added
        Column of ``obs`` for the new ones; by default ``<key>_named``.
    author, date
        Who decided it, and when (``2026-11-27``; by default today).

    Writes
    ------
    ``obs[key_added]`` categorical, names in the order of the table, shape (n_cells,).
    ``uns["cytof"]["merging"]`` (with another ``key_added``: ``merging:<key_added>``): DataFrame
    ``old new n key author date``. One row of ``uns["cytof"]["steps"]``.

    Raises
    ------
    UsageError
        A cluster is not in the table, stands in it twice or with an empty name, or is none of ``key``: all faults at
        once. No author, or a date that is none.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"flowsom": list("1123")}, index=list("abcd"))
    >>> cells = anndata.AnnData(np.zeros((4, 1), np.float32), obs=obs)
    >>> table = pd.DataFrame({"old": ["1", "2", "3"], "new": ["TCM", "TEM", "TCM"]})
    >>> merge(cells, table, author="AB", date="2026-11-27")
    >>> cells.obs["flowsom_named"].tolist()
    ['TCM', 'TCM', 'TEM', 'TCM']

    Source: the merging tables of Nowicka et al. 2017, F1000Research 6:748.
    """
    import pandas as pd

    where = "merging table" if isinstance(table, pd.DataFrame) else str(table)
    has_columns(adata.obs.columns, [key], where="adata.obs", hint="cluster first")
    rows = _rows(table, where)
    column = adata.obs[key].astype("category")
    present = [str(c) for c in column.cat.categories]
    raise_all(_faults(rows, present, where, key))
    if not author.strip():
        raise UsageError("author is empty", where=where, hint="name who decided it")
    date = _date(date, where)
    names = dict(zip(rows["old"], rows["new"], strict=True))
    written = key_added or f"{key}_named"
    used = [n for n in dict.fromkeys(rows["new"]) if n in {names[c] for c in present}]
    new = column.astype(object).map({c: names[str(c)] for c in column.cat.categories})
    adata.obs[written] = pd.Categorical(new, categories=used)
    sizes = column.value_counts().rename(index=str)
    kept = rows[rows["old"].isin(present)].assign(n=lambda t: t["old"].map(sizes).astype(int))
    kept = kept.assign(key=key, author=author, date=date).reset_index(drop=True)
    home = dict(adata.uns.get(UNS, {}))
    adata.uns[UNS] = home | {slot_name("merging", written, f"{Obs.FLOWSOM}_named"): kept}
    params = {"key": key, "author": author, "date": date, "table": names}
    transform.record(adata, f"merge:{written}", params, None)


def _rows(table: pd.DataFrame | str | Path, where: str) -> pd.DataFrame:
    """Return columns ``old new`` as text."""
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        path = Path(table)
        if not path.is_file():
            raise UsageError("no such file", where=where)
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep=None, engine="python")
    table = table.rename(columns=str)
    if "old" not in table:
        table = table.rename(columns={"cluster": "old", "name": "new"})
    has_columns(table.columns, ["old", "new"], where=where, hint="or `cluster` and `name`")
    return pd.DataFrame({c: table[c].fillna("").astype(str).str.strip() for c in ("old", "new")})


def _faults(rows: pd.DataFrame, present: list[str], where: str, key: str) -> list[UsageError]:
    faults = []
    lacking = [c for c in present if c not in set(rows["old"])]
    if lacking:
        faults.append(UsageError(f"clusters of `{key}` without a row: {', '.join(lacking)}", where=where))
    for number, (old, new) in enumerate(zip(rows["old"], rows["new"], strict=True), start=2):
        at = f"{where}:{number}"
        if old not in present:
            faults.append(UsageError(f"`{old}` is no cluster of `{key}`", where=at, hint=nearest(old, present)))
        if not new:
            faults.append(UsageError(f"cluster `{old}` has no new name", where=at))
        if (rows["old"][: number - 2] == old).any():
            faults.append(UsageError(f"cluster `{old}` stands twice", where=at, hint="keep one"))
    return faults


def _date(date: str | None, where: str) -> str:
    if date is None:
        return datetime.date.today().isoformat()
    try:
        return datetime.date.fromisoformat(date).isoformat()
    except ValueError:
        raise UsageError(f"date is {date!r}, expected one such as 2026-11-27", where=where) from None
