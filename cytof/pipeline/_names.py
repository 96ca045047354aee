"""Names that a person gave to clusters, laid over the clustered cells of a study."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cytof import io, provenance
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.pipeline._files import read_cells
from cytof.study import Study

__all__ = ["name_clusters"]


def name_clusters(study: Study, table: str | Path, *, key: str = Obs.FLOWSOM) -> str:
    """Name the clusters of ``cells.h5ad`` by a merging table; returns the column of ``obs`` that holds the names.

    Parameters
    ----------
    study
        After ``cytof cluster``.
    table
        CSV with the columns ``old new``, and ``author date`` as the explore page writes them.
    key
        Column of ``obs`` with the clusters.

    Writes
    ------
    ``cells.h5ad``: ``obs["<key>_named"]``; see :func:`cytof.cluster.merge`.

    Raises
    ------
    InputError
        The file is not there, or names no author.
    UsageError
        The table does not fit the clusters.
    """
    from cytof import cluster

    path = Path(table) if Path(table).is_file() else study.path(table)
    if not path.is_file():
        raise InputError("no merging table here", where=str(path), hint="save names on the explore page, or write one")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    authors = [a for a in dict.fromkeys(rows.get("author", pd.Series(dtype=str))) if a.strip()]
    if not authors:
        raise InputError("names no author", where=str(path), hint="add a column `author`: who decided it")
    dates = sorted(d for d in rows.get("date", pd.Series(dtype=str)) if d.strip())
    cells, file = read_cells(study), study.out / "cells.h5ad"
    part = cells[cells.obs[key].notna().to_numpy()].copy()
    cluster.merge(part, path, key=key, author=", ".join(authors), date=dates[-1] if dates else None)
    named = f"{key}_named"
    cells.obs[named] = part.obs[named].reindex(cells.obs_names)
    cells.uns = part.uns
    with provenance.locked(study.out):
        made = provenance.read_done(study.out, "cluster")
        with provenance.opened(study.out, "cluster"):
            io.write_h5ad(file, cells)
        if made is not None:
            outputs = [study.out / name for name in made.outputs]
            provenance.mark_done(study.out, "cluster", made.key, outputs, made.seconds, made.note)
    return named
