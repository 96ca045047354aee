"""Barcode key: which channels are positive in which sample; and channels named by mass, metal or antigen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cytof._check import nearest
from cytof.errors import InputError, PanelError, SheetError, raise_all
from cytof.events import Events
from cytof.io._cells import Cell, read_cells
from cytof.panel.channel import parse_metal

__all__ = ["channel_of", "checked_key", "named_rows", "on_channels", "read_key"]

_MOST = 62  # channels a key may have: a pattern is one 64-bit number
_NO_FILE_NAME = re.compile(r'[/\\:*?"<>|\x00-\x1f]|^\.|^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$', re.IGNORECASE)


def read_key(path: str | Path) -> pd.DataFrame:
    r"""Read a barcode key: first column the barcode's name, header the masses or channels, cells 0 or 1.

    CSV, TSV or XLSX, whatever the line ends (CR, LF, CRLF).

    Returns
    -------
    DataFrame of 0 and 1 (uint8), indexed by ``barcode``, one column a channel as the header names it.

    Raises
    ------
    SheetError
        All faults at once, each ``file:row: column``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "key.csv"
    >>> _ = path.write_bytes(b"Mass ->,102,104,105\rA1,1,1,0\rA2,1,0,1\r")
    >>> read_key(path).loc["A2"].tolist()
    [1, 0, 1]
    """
    columns, rows = named_rows(Path(path), "barcode key", "write the barcodes below one another and the masses on top")
    faults = []
    for where, name, cells in rows:
        if wrong := [f"{c} is '{v}'" for c, v in zip(columns, cells, strict=True) if v not in {"0", "1"}]:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            found = f"barcode {name}: {', '.join(wrong[:3])}{more}, expected 0 or 1"
            faults.append(SheetError(found, where=where, hint="1 where the channel is stained"))
    raise_all(faults)
    key = pd.DataFrame([c for *_, c in rows], columns=columns).astype(np.uint8)
    key.index = pd.Index([name for _, name, _ in rows], name="barcode")
    return checked_key(key, str(path))


def named_rows(path: Path, what: str, hint: str) -> tuple[list[str], list[tuple[str, str, list[Cell]]]]:
    """Return the header without its first cell, and (file:row, first cell, further cells) of each row.

    Raises
    ------
    SheetError
        No file, nothing in it, a name that is blank or stands twice, or a row of another length.
    """
    if not path.is_file() or not path.stat().st_size:
        raise SheetError(
            f"no such {what}" if not path.is_file() else f"the {what} is empty", where=str(path), hint=hint
        )
    table = read_cells(path)
    if len(table) < 2 or len(table[0][1]) < 2:
        raise SheetError(f"the {what} has no {'rows' if len(table) == 1 else 'columns'}", where=str(path), hint=hint)
    header = list(table[0][1])
    while header and not header[-1]:
        header.pop()
    columns, faults, rows = [str(c) for c in header[1:]], [], []
    faults += _repeated(columns, f"{path}:{table[0][0]}", "column")
    names: dict[str, int] = {}
    for number, cells in table[1:]:
        where, name = f"{path}:{number}", str(cells[0])
        values = [*cells[1 : len(header)], *[Cell("")] * (len(header) - len(cells))]
        if any(cells[len(header) :]):
            faults.append(SheetError(f"{len(cells)} cells, the header has {len(header)}", where=where, hint=hint))
        if not name:
            faults.append(SheetError("the first cell is blank", where=where, hint="name the row"))
        elif name.casefold() in names:
            found = f"'{name}' stands in row {names[name.casefold()]} too"
            faults.append(SheetError(found, where=where, hint="keep one, or name them apart"))
        names.setdefault(name.casefold(), number)
        rows.append((where, name, values))
    raise_all(faults)
    return columns, rows


def _repeated(columns: list[str], where: str, what: str) -> list[SheetError]:
    blank = [f"{what} {i} has no name" for i, c in enumerate(columns, start=2) if not c]
    twice = [f"{what} `{c}` stands twice" for c in dict.fromkeys(columns) if c and columns.count(c) > 1]
    return [SheetError(found, where=where, hint="give each channel one column") for found in (*blank, *twice)]


def checked_key(key: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the key as 0 and 1 (uint8).

    Raises
    ------
    InputError
        It is empty, holds something else, two barcodes are the same, one has no positive or no negative channel, or a
        name cannot be a file's.
    """
    key = key.rename(index=str, columns=str)
    hint = "1 where the channel is stained, 0 where not"
    if not key.shape[0] or not key.shape[1]:
        raise InputError(f"the key has {key.shape[0]} barcodes and {key.shape[1]} channels", where=where, hint=hint)
    if key.shape[1] > _MOST:
        raise InputError(f"the key has {key.shape[1]} channels, expected at most {_MOST}", where=where)
    values = key.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    faults = []
    for name, row in zip(key.index, values, strict=True):
        problem = ""
        if not np.isin(row, (0, 1)).all():
            problem = "holds something else than 0 and 1"
        elif row.sum() in {0, len(row)}:
            problem = f"has no {'positive' if row.sum() == 0 else 'negative'} channel, so that nothing tells it apart"
        elif _NO_FILE_NAME.search(name) or len(name) > 100:
            problem = "cannot be the name of a file"
        if problem:
            faults.append(
                InputError(f"barcode '{name}' {problem}", where=where, hint="" if "file" in problem else hint)
            )
    raise_all(faults)
    _refuse_twins(key, values, where)
    return pd.DataFrame(values.astype(np.uint8), index=key.index.rename("barcode"), columns=key.columns)


def _refuse_twins(key: pd.DataFrame, values: np.ndarray, where: str) -> None:
    names: dict[str, str] = {}
    patterns: dict[bytes, str] = {}
    for name, row in zip(key.index, values, strict=True):
        if name.casefold() in names:
            raise InputError(f"barcode '{name}' stands twice in the key", where=where, hint="name them apart")
        if row.tobytes() in patterns:
            found = f"barcodes '{patterns[row.tobytes()]}' and '{name}' have the same positive channels"
            raise InputError(found, where=where, hint="correct one of them")
        names[name.casefold()] = patterns[row.tobytes()] = name


def on_channels(events: Events, names: Iterable[str], *, where: str) -> list[str]:
    """Return the channel of each name: a mass (``102``), an element and a mass in any spelling, or an antigen.

    Raises
    ------
    PanelError
        Lists every name that no channel answers to, and two names for one channel.
    """
    names = [str(n).strip() for n in names]
    found = {n: channel_of(events, n) for n in names}
    if missing := [n for n, c in found.items() if not c]:
        masses = [str(c) for c in events.channels.index if parse_metal(str(c))] or list(map(str, events.channels.index))
        text = f"{events.sample_id} has no channel for {', '.join(missing)}, found {', '.join(masses) or 'none'}"
        raise PanelError(text, where=where, hint=nearest(missing[0], masses))
    channels = [found[n] for n in names]
    if twice := [c for c in dict.fromkeys(channels) if channels.count(c) > 1]:
        same = ", ".join(n for n in names if found[n] == twice[0])
        raise PanelError(f"{same} are one channel of {events.sample_id}, {twice[0]}", where=where, hint="keep one")
    return channels


def channel_of(events: Events, name: str) -> str:
    """Return the channel of a mass, metal or antigen, blank where none or more than one answers."""
    table = events.channels
    if name in table.index:
        return name
    if re.fullmatch(r"\d{2,3}(\.0)?", name):
        mass = int(float(name))
        hits = [str(c) for c in table.index if (parse_metal(str(c)) or ("", 0))[1] == mass]
        return hits[0] if len(hits) == 1 else ""
    metal = parse_metal(name)
    if metal and f"{metal[0]}{metal[1]}" in table.index:
        return f"{metal[0]}{metal[1]}"
    return events.channel(name) if events.has(name) else ""
