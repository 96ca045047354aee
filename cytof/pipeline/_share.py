"""What leaves a study for other people: one workbook of all tables, one h5ad for scanpy and cellxgene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cytof import io, plot
from cytof.errors import InputError
from cytof.keys import OBSM, Obs
from cytof.pipeline._files import read_cells
from cytof.provenance import atomic, timeless
from cytof.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["viewer", "workbook"]

_ROWS = 1_048_575  # below the head, of a sheet of Excel
_KINDS = {Obs.FLOWSOM: "clusters", Obs.PHENOGRAPH: "clusters", Obs.SUBSET: "subsets", Obs.TIMEPOINT: "visits"}


def workbook(study: Study) -> Path:
    """Write every table of the study into one workbook, a sheet a table.

    Parameters
    ----------
    study
        A study with ``results/tables/*.csv``.

    Returns
    -------
    ``results/tables.xlsx``: first a sheet ``contents`` with name, rows and columns of each table. Numbers are numbers;
    text that looks like a formula is text. A table with more rows than a sheet holds is named in ``contents`` and left
    as CSV. The same tables give the same bytes.

    Raises
    ------
    InputError
        There are no tables yet.
    """
    import pandas as pd
    from openpyxl import Workbook

    files = sorted((study.out / "tables").glob("*.csv"))
    if not files:
        raise InputError("no tables here", where=str(study.out / "tables"), hint="run `cytof run` first")
    book = Workbook(write_only=True)
    contents = book.create_sheet("contents")
    contents.append(["table", "rows", "columns", "note"])
    for file in files:
        table = pd.read_csv(file, low_memory=False)
        long = len(table) > _ROWS
        note = f"longer than a sheet: see tables/{file.name}" if long else ""
        contents.append([file.stem, len(table), ", ".join(table.columns), note])
        if not long:
            _sheet(book.create_sheet(file.stem[:31]), table)
    out = study.out / "tables.xlsx"
    with atomic(out) as part:
        book.save(part)
        timeless(part)
    return out


def _sheet(sheet, table: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    """Fill a sheet; its head stays in sight."""
    from openpyxl.cell import WriteOnlyCell

    def cell(value: object) -> object:
        if isinstance(value, str):
            made = WriteOnlyCell(sheet, value)
            made.data_type = "s"  # never a formula
            return made
        return None if value is None or value != value else value

    sheet.freeze_panes = "A2"
    sheet.append([cell(str(c)) for c in table.columns])
    for row in table.astype(object).itertuples(index=False, name=None):
        sheet.append([cell(v) for v in row])


def viewer(study: Study) -> Path:
    """Write the clustered cells as plain h5ad that viewers open.

    Parameters
    ----------
    study
        A study after :func:`cytof.pipeline.cluster`.

    Returns
    -------
    ``results/viewer.h5ad``: the cells on the map; ``X`` arcsinh, ``obs`` as categories with the colours of the figures
    (``uns["flowsom_colors"]`` ..., where scanpy and cellxgene look), ``var["feature_name"]``, ``obsm["X_tsne"]``,
    ``uns["title"]`` and ``uns["default_embedding"]``. Gate tables stay in ``cells.h5ad``.

    Raises
    ------
    InputError
        The study has no clustered cells, or they have no map.
    """
    cells = read_cells(study)
    if OBSM.TSNE not in cells.obsm:
        raise InputError("the cells have no map", where=str(study.out / "cells.h5ad"), hint="run `cytof cluster` again")
    cells = cells[np.isfinite(cells.obsm[OBSM.TSNE]).all(axis=1)].copy()
    _plain(cells)
    cells.uns["title"], cells.uns["default_embedding"] = study.name, OBSM.TSNE
    out = study.out / "viewer.h5ad"
    cells.strings_to_categoricals()
    io.write_h5ad(out, cells)
    return out


def _plain(cells: AnnData) -> None:
    """Make text and flags categories, give them the figures' colours, and drop what only this package reads."""
    import pandas as pd

    cells.uns = {}
    cells.obsp.clear()
    cells.X = np.asarray(cells.X, np.float32) if isinstance(cells.X, np.ndarray) else cells.X.astype(np.float32)
    if not cells.obs_names.is_unique:
        cells.obs_names_make_unique()
    for name in list(cells.obs):
        column = cells.obs[name]
        if column.dtype.kind in "biuf" and column.dtype.kind != "b":
            continue
        text = column.astype(object).where(column.notna(), "none").astype(str)
        order = plot.in_order(column) if isinstance(column.dtype, pd.CategoricalDtype) else plot.in_order(text)
        order += [level for level in plot.in_order(text) if level not in order]
        cells.obs[name] = pd.Categorical(text, order)
        if name in _KINDS:
            palette = plot.colors(order, _KINDS[name])
            cells.uns[f"{name}_colors"] = np.array([palette[level] for level in order], dtype=object)
    for name in [c for c in cells.var if cells.var[c].dtype.kind not in "biuf"]:
        column = cells.var[name].astype(object)
        cells.var[name] = column.where(column.notna(), "").astype(str)  # of one kind: text
    cells.var["feature_name"] = cells.var_names.astype(str)
