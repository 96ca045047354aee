"""Tables to files: HTML by great_tables, DOCX by python-docx, XLSX by openpyxl; CSV, LaTeX and long lists by pandas."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cytof._check import one_of
from cytof.clinical._format import Sheet
from cytof.errors import ResourceError
from cytof.provenance import timeless

__all__ = ["FORMATS", "write_tables"]

FORMATS = ("csv", "html", "docx", "tex", "xlsx")
_PAGE = 40  # rows of a table on one page
_LISTING = 100  # rows from which a table is a plain list


def write_tables(sheets: Sequence[Sheet], folder: str | Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write tables: a CSV and a LaTeX file each; HTML, DOCX and XLSX hold all of them (``tables.*``).

    Parameters
    ----------
    sheets
        In order.
    folder
        Made when it is not there; files of the same names are replaced.
    formats
        Any of ``csv html docx tex xlsx``.

    Returns
    -------
    The paths that were written.

    Raises
    ------
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sheet = Sheet("table_1", "Table 1", pd.DataFrame({"a": ["1"]}), ["A note."])
    ...     [p.name for p in write_tables([sheet], folder, ["csv", "xlsx"])]
    ['table_1.csv', 'tables.xlsx']
    """
    for name in formats:
        one_of(name, FORMATS, "format", where="clinical.write_tables")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made: list[Path] = []
        for sheet in sheets:
            if "csv" in formats:
                made.append(_put(folder / f"{sheet.name}.csv", sheet.table.to_csv(index=False).encode("utf-8-sig")))
            if "tex" in formats:
                made.append(_put(folder / f"{sheet.name}.tex", _latex(sheet).encode()))
        if "html" in formats:
            made.append(_put(folder / "tables.html", _html(sheets).encode()))
        if "docx" in formats:
            made.append(_docx(sheets, folder / "tables.docx"))
        if "xlsx" in formats:
            made.append(_xlsx(sheets, folder / "tables.xlsx"))
    except OSError as error:
        raise ResourceError(f"cannot be written: {error.strerror or error}", where=str(folder)) from None
    return made


def _put(path: Path, data: bytes) -> Path:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
    return path


def _html(sheets: Sequence[Sheet]) -> str:
    body = "\n".join(_listing(s) if len(s.table) > _LISTING else _gt(s) for s in sheets)
    head = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Tables</title></head>'
    return f"{head}<body>\n{body}\n</body></html>\n"


def _gt(sheet: Sheet) -> str:
    from great_tables import GT

    made = GT(sheet.table.astype(str)).tab_header(title=sheet.title)
    for note in sheet.notes:
        made = made.tab_source_note(note)
    return made.tab_options(table_font_size="12px", data_row_padding="3px").as_raw_html()


def _listing(sheet: Sheet) -> str:
    """Return a long list of patients: great_tables takes seconds for each thousand rows."""
    from html import escape

    table = sheet.table.astype(str).to_html(index=False, border=0, justify="left")
    notes = "".join(f"<p>{escape(note)}</p>" for note in sheet.notes)
    style = "font-family: sans-serif; font-size: 12px"
    return f'<section style="{style}"><h3>{escape(sheet.title)}</h3>\n{table}\n{notes}</section>'


def _latex(sheet: Sheet) -> str:
    """Return a table (a longtable where it does not fit a page) for a document with the package booktabs."""
    table = sheet.table.astype(str).reset_index(drop=True)
    styler = table.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    long = len(table) > _PAGE
    made = styler.to_latex(
        hrules=True, caption=_escaped(sheet.title), column_format="l" * table.shape[1],
        environment="longtable" if long else None, position=None if long else "!htbp",
        position_float=None if long else "centering",
    )  # fmt: skip
    return made + "".join(f"\n\\noindent {_escaped(note)}\n" for note in sheet.notes)


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, f"\\{c}" if c in "&%$#_{}" else c) for c in text)


def _docx(sheets: Sequence[Sheet], path: Path) -> Path:
    from docx import Document
    from docx.shared import Pt

    document = Document()
    document.styles["Normal"].font.size = Pt(9)
    for sheet in sheets:
        document.add_heading(sheet.title, level=2)
        values = [[str(c) for c in sheet.table.columns], *sheet.table.astype(str).values.tolist()]
        grid = document.add_table(rows=len(values), cols=sheet.table.shape[1], style="Light List")
        for row, line in zip(grid.rows, values, strict=True):  # a row's own cells: the table's are found anew each time
            for cell, value in zip(row.cells, line, strict=True):
                cell.text = value
        for note in sheet.notes:
            document.add_paragraph(note)
    part = path.with_name(path.name + ".part")
    document.save(os.fspath(part))
    timeless(part)
    part.replace(path)
    return path


def _xlsx(sheets: Sequence[Sheet], path: Path) -> Path:
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font

    book = Workbook()
    del book[book.active.title]
    for sheet in sheets:
        page = book.create_sheet(sheet.name[:31])
        page.append([sheet.title])
        page["A1"].font = Font(bold=True, size=12)
        page.append([str(c) for c in sheet.table.columns])
        for cell in page[2]:
            cell.font = Font(bold=True)
        for values in sheet.table.itertuples(index=False, name=None):
            page.append([_number(v) for v in values])
        for note in sheet.notes:
            page.append([note])
        for i, column in enumerate(sheet.table.columns):
            longest = max([len(str(column)), *sheet.table.iloc[:, i].astype(str).str.len()], default=8)
            page.column_dimensions[page.cell(2, i + 1).column_letter].width = min(longest + 2, 50)
            page.cell(2, i + 1).alignment = Alignment(wrap_text=True, vertical="top")
        page.freeze_panes = "A3"
    part = path.with_name(path.name + ".part")
    book.save(os.fspath(part))
    timeless(part)
    part.replace(path)
    return path


def _number(value: object) -> object:
    """Return what Excel may take as it is; text that would be a formula is text."""
    if value is None or value != value:
        return None
    if isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "@") else text
