"""A sample sheet's cells: CSV, TSV or XLSX -> rows of text with their row numbers, whatever wrote the file."""

from __future__ import annotations

import csv
import datetime
import io
import re
from pathlib import Path
from typing import Any

from cytof.errors import SheetError

__all__ = ["Cell", "day_of", "read_cells"]


class Cell(str):
    """Text of a cell that remembers whether the workbook held a date.

    Examples
    --------
    >>> Cell("s1"), Cell("s1").is_date
    ('s1', False)
    """

    is_date: bool = False

    @classmethod
    def of(cls, value: Any) -> Cell:
        """Return a workbook's value as text: whole numbers without `.0`, dates as YYYY-MM-DD."""
        if value is None:
            return cls("")
        if isinstance(value, datetime.datetime | datetime.date):
            cell = cls(value.strftime("%Y-%m-%d"))
            cell.is_date = True
            return cell
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            value = int(value)
        return cls(re.sub(r"\s+", " ", str(value)).strip())


def read_cells(path: Path) -> list[tuple[int, list[Cell]]]:
    """Return the rows that hold anything, each with its row number in the file (from 1).

    Raises
    ------
    SheetError
        The file is missing, empty, or neither text nor a workbook.
    """
    if not path.is_file():
        raise SheetError("no such sheet", where=str(path), hint="check the path; make one with `cytof new`")
    start = path.read_bytes()[:4]
    if not start:
        raise SheetError("the sheet is empty", where=str(path), hint="write a header row with file_name,sample_id")
    if path.suffix.casefold() in {".xlsx", ".xlsm"} or start == b"PK\x03\x04":
        rows = _workbook(path)
    else:
        rows = _text(path)
    return [(n, cells) for n, cells in rows if any(cells)]


def _workbook(path: Path) -> list[tuple[int, list[Cell]]]:
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        return [(n, [Cell.of(v) for v in row]) for n, row in enumerate(sheet.iter_rows(values_only=True), start=1)]
    except Exception as error:  # noqa: BLE001 - openpyxl raises of many kinds for a broken workbook
        raise SheetError(
            f"not readable as a workbook ({type(error).__name__})", where=str(path), hint="save it again, or as CSV"
        ) from None


def _text(path: Path) -> list[tuple[int, list[Cell]]]:
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = raw.decode("utf-16", errors="replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", errors="replace")
    if "\0" in text:
        raise SheetError("not a text table", where=str(path), hint="save the sheet as CSV, TSV or XLSX")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if named := re.fullmatch(r"sep=(.)", lines[first].strip()):
        mark, first = named[1], first + 1
    else:
        mark = max("\t;,", key=lambda d: lines[first].count(d))
    reader = csv.reader(io.StringIO("\n".join(lines[first:])), delimiter=mark)
    rows, line = [], first + 1
    try:
        for cells in reader:
            rows.append((line, [Cell.of(c) for c in cells]))
            line = first + 1 + reader.line_num
    except csv.Error as error:
        raise SheetError(f"not readable: {error}", where=f"{path}:{line}", hint="check the quotes") from None
    return rows


def day_of(text: str) -> datetime.date | None:
    """Return a date written year first (2024-03-05, 2024/3/5, 20240305) or as 05-Mar-2024; None otherwise.

    Examples
    --------
    >>> day_of("2024-03-05"), day_of("05/03/2024")
    (datetime.date(2024, 3, 5), None)
    """
    text = text.strip().split("T")[0].split(" ")[0]
    for form in ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d-%b-%Y", "%d-%B-%Y", "%Y.%m.%d"):
        try:
            return datetime.datetime.strptime(text, form).date()
        except ValueError:
            continue
    return None
