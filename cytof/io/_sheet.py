"""Sample sheet -> validated table: every fault at once, each with file:row, the column and the remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from cytof._check import nearest
from cytof.errors import SheetError, raise_all
from cytof.io._cells import Cell, day_of, read_cells
from cytof.keys import Tables

__all__ = ["read_sheet"]

_REQUIRED = ("file_name", "sample_id")
_DEFAULTS = {"patient_id": "P1", "timepoint": "", "batch_id": "", "condition": "", "control": ""}
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_MANGLED = re.compile(r"\d\.\d+E\+\d+", re.IGNORECASE)


def read_sheet(path: str | Path, *, data_dir: str | Path | None = None, must_exist: bool = True) -> pd.DataFrame:
    r"""Read a sample sheet: CSV, TSV or XLSX; BOM, CRLF, ``;``, blank rows and stray blanks are fine.

    Parameters
    ----------
    path
        The sheet. Columns ``file_name`` and ``sample_id`` are required; ``patient_id timepoint day batch_id condition
        control`` are known; all others are kept. Of a pooled file each sample has a row, told by ``barcode``.
        ``day`` is days since the infusion; where it is
        absent and ``infusion_date`` and ``visit_date`` are there, it is computed.
    data_dir
        Folder that ``file_name`` counts from; that of the sheet by default. No file may lie outside.
    must_exist
        A file that is not there is a fault of the sheet. False: it is found out when it is read.

    Returns
    -------
    DataFrame
        One row a sample, in the sheet's order: the known columns (``day`` float, the others text), ``path`` (the file,
        resolved), then the further columns as text.

    Raises
    ------
    SheetError
        All faults at once, each ``file:row: column``.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.fcs").write_bytes(b"FCS3.1")
    >>> _ = (folder / "samples.csv").write_text("file_name;sample_id;day\r\n a.fcs ;s1;60\r\n")
    >>> read_sheet(folder / "samples.csv")[["sample_id", "timepoint", "day"]].values.tolist()
    [['s1', '60', 60.0]]
    """
    path = Path(path)
    rows = read_cells(path)
    if not rows:
        raise SheetError("the sheet is empty", where=str(path), hint="write a header row with file_name,sample_id")
    columns, faults = _columns(rows[0][1], f"{path}:{rows[0][0]}")
    raise_all(faults)
    records, numbers = [], []
    for number, cells in rows[1:]:
        if len(cells) > len(columns) and any(cells[len(columns) :]):
            faults.append(
                SheetError(
                    f"{len(cells)} cells, the header has {len(columns)}",
                    where=f"{path}:{number}",
                    hint="quote values that hold the separator",
                )
            )
        cells = [*cells, *[Cell("")] * (len(columns) - len(cells))]
        records.append(dict(zip(columns, cells, strict=False)))
        numbers.append(number)
    if not records:
        raise SheetError("a header, but no samples", where=str(path), hint="write one row a sample")
    folder = (Path(data_dir) if data_dir is not None else path.parent).resolve()
    places = [f"{path}:{n}" for n in numbers]
    faults += _id_faults(records, places)
    paths, path_faults = _paths(records, places, folder, must_exist=must_exist)
    days, day_faults = _days(records, places)
    raise_all(sorted([*faults, *path_faults, *day_faults], key=lambda f: int(f.where.rsplit(":", 1)[1])))
    return _table(records, paths, days)


def _table(records: list[dict[str, Cell]], paths: list[Path], days: list[float]) -> pd.DataFrame:
    table = pd.DataFrame([{k: str(v) for k, v in r.items()} for r in records])
    for column, default in _DEFAULTS.items():
        if column not in table:
            table[column] = default
    table["day"] = pd.Series(days, dtype=float)
    blank = (table["timepoint"] == "") & table["day"].notna()
    table.loc[blank, "timepoint"] = [f"{d:g}" for d in table.loc[blank, "day"]]
    table["path"] = pd.Series(paths, dtype=object)
    known = [*Tables.SHEET, "path"]
    return table[[*known, *(c for c in table.columns if c not in known)]]


def _columns(header: list[Cell], where: str) -> tuple[list[str], list[SheetError]]:
    """Return the column names, known ones in their own spelling, and what is wrong with them."""
    while header and not header[-1]:
        header = header[:-1]
    columns: list[str] = []
    faults = []
    for i, cell in enumerate(header, start=1):
        plain = re.sub(r"[\s\-]+", "_", cell.casefold())
        name = plain if plain in (*Tables.SHEET, "infusion_date", "visit_date") else str(cell) or f"column_{i}"
        if name in columns:
            faults.append(SheetError(f"column `{name}` stands twice", where=where, hint="keep one"))
        if name == "path":
            faults.append(SheetError("column `path` is made by the program", where=where, hint="call it otherwise"))
        columns.append(name)
    free = [c for c in columns if c not in Tables.SHEET]
    for name in _REQUIRED:
        if name not in columns:
            hint = nearest(name, free) or f"add it; the sheet needs {' and '.join(_REQUIRED)}"
            found = ", ".join(columns) or "nothing"
            faults.append(SheetError(f"column `{name}` missing, found {found}", where=where, hint=hint))
    return columns, faults


def _id_faults(records: list[dict[str, Cell]], places: list[str]) -> list[SheetError]:
    faults = []
    first: dict[str, tuple[str, str]] = {}
    for record, where in zip(records, places, strict=True):
        name = record["sample_id"]
        problem = _id_problem(name)
        if problem:
            faults.append(SheetError(f"sample_id: {problem[0]}", where=where, hint=problem[1]))
        elif name.casefold() in first:
            row, other = first[name.casefold()]
            how = f"'{name}'" if name == other else f"'{name}', apart from upper and lower case '{other}',"
            remedy = "give each row a sample_id of its own"
            faults.append(SheetError(f"sample_id: {how} stands in row {row} too", where=where, hint=remedy))
        else:
            first[name.casefold()] = where.rsplit(":", 1)[1], name
    return faults


def _id_problem(name: Cell) -> tuple[str, str] | None:
    if not name:
        return "empty", "give every sample a name"
    if name.is_date:
        return f"'{name}' is a date in the workbook", "format the column as text and type the name again"
    if _MANGLED.fullmatch(name):
        return (
            f"'{name}' was turned into a number by a spreadsheet",
            "format the column as text and type the name again",
        )
    if len(name) > 100:
        return f"{len(name)} characters, expected at most 100", "shorten it"
    if re.search(r'[/\\:*?"<>|\x00-\x1f]', name) or name.startswith(".") or _RESERVED.fullmatch(name):
        return f"'{name}' cannot be a file name", "use letters, digits, - and _"
    return None


def _paths(
    records: list[dict[str, Cell]], places: list[str], folder: Path, *, must_exist: bool
) -> tuple[list[Path], list[SheetError]]:
    """Return the file of each row, resolved, and what is wrong with them."""
    paths: list[Path] = []
    named = {str(record["file_name"]) for record in records}
    faults = []
    first: dict[tuple[Path, str], str] = {}
    for record, where in zip(records, places, strict=True):
        name, barcode = record["file_name"], str(record.get("barcode", ""))
        path = folder / name.replace("\\", "/")
        try:
            path = path.resolve()
            there = path.is_file()
        except (OSError, RuntimeError, ValueError):
            there = False
        paths.append(path)
        if not name:
            problem, hint = "empty", "name the FCS file"
        elif not path.is_relative_to(folder):
            problem, hint = f"'{name}' lies outside the data folder {folder}", "move the file there, or set data_dir"
        elif not there and must_exist:
            problem, hint = f"'{name}' not found", _closest(name, folder, named)
        elif (path, barcode) in first:
            same = f" with barcode {barcode}" if barcode else ""
            problem, hint = f"'{name}'{same} stands in row {first[path, barcode]} too", "one row a file"
            hint += ", or a barcode of its own for each sample of a pooled file" if barcode else ""
        else:
            first[path, barcode] = where.rsplit(":", 1)[1]
            continue
        faults.append(SheetError(f"file_name: {problem}", where=where, hint=hint))
    return paths, faults


def _closest(name: str, folder: Path, named: set[str]) -> str:
    """Return the nearest file that no other row names."""
    parent = (folder / name.replace("\\", "/")).parent
    if not parent.is_dir():
        return f"there is no folder {parent}"
    stem = "" if parent == folder else f"{parent.relative_to(folder).as_posix()}/"
    others = sorted(f"{stem}{p.name}" for p in parent.iterdir() if p.is_file() and p.suffix != ".csv")
    return nearest(name, [o for o in others if o not in named]) or f"file names count from {folder}"


def _days(records: list[dict[str, Cell]], places: list[str]) -> tuple[list[float], list[SheetError]]:
    """Return days since infusion, NaN where blank; computed from two dates where there is no ``day``."""
    days: list[float] = []
    faults = []
    for record, where in zip(records, places, strict=True):
        text = record.get("day", Cell(""))
        days.append(float("nan"))
        if not text:
            visit, start = (record.get(k, Cell("")) for k in ("visit_date", "infusion_date"))
            if not (visit and start):
                continue
            dates = {"visit_date": day_of(visit), "infusion_date": day_of(start)}
            for column, date in dates.items():
                if date is None:
                    faults.append(
                        SheetError(f"{column}: '{record[column]}' is not a date", where=where, hint="write YYYY-MM-DD")
                    )
            if all(dates.values()):
                days[-1] = float((dates["visit_date"] - dates["infusion_date"]).days)  # type: ignore[operator]
            continue
        try:
            days[-1] = float(text if "," not in text or "." in text else text.replace(",", "."))
        except ValueError:
            dated = text.is_date or day_of(text) is not None
            found = f"day: '{text}' is {'a date' if dated else 'not a number'}, expected days since infusion"
            hint = "give visit_date and infusion_date, and leave day out" if dated else "write for instance 60"
            faults.append(SheetError(found, where=where, hint=hint))
            continue
        if not abs(days[-1]) < 40_000:
            faults.append(
                SheetError(f"day: {text} is no number of days since infusion", where=where, hint="is it a date?")
            )
    return days, faults
