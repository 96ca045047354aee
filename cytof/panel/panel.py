"""Panel: which antigen each metal carries, what it is for (class, role), its cofactor and other names.

A panel file is a CSV with the columns ``channel,antigen,marker_class,role,cofactor,synonyms,source``; ``channel`` is an
element and a mass (``Nd142``), ``synonyms`` are separated by ``;``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cytof._check import has_columns, nearest
from cytof.errors import Caution, PanelError, raise_all
from cytof.keys import Roles
from cytof.panel.channel import canonical_role, isotope_fault, marker_from_name, parse_metal, same_antigen_key
from cytof.panel.find import find
from cytof.panel.matching import antibodies, match_table, spellings
from cytof.scale import COFACTOR

__all__ = ["Panel", "REAGENT", "channel_table", "load"]

_COLUMNS = ("channel", "antigen", "marker_class", "role", "cofactor", "synonyms", "source")
REAGENT = ("clone", "supplier", "catalogue", "dilution")
"""Columns a panel file may have besides: what MIFlowCyt asks of a reagent."""


_CHANNELS = ("channel", "pnn", "pns", "metal", "mass", "antigen", "marker_class", "role", "cofactor")


@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """A panel in memory.

    Attributes
    ----------
    name
        Name of the panel.
    table
        One row a channel, indexed by channel, columns ``antigen marker_class role cofactor synonyms source``, and of
        ``clone supplier catalogue dilution`` those that the file has.
    """

    name: str
    table: pd.DataFrame

    def __repr__(self) -> str:
        return f"Panel({self.name}: {len(self.table)} channels, {len(self.antigens)} antigens)"

    @property
    def antigens(self) -> list[str]:
        """Antigens of the antibody channels (marker class ``type`` or ``state``, and lineage and CAR channels)."""
        return antibodies(self.table)["antigen"].tolist()

    def antigen(self, name: str) -> str:
        """Return the panel's spelling of an antigen, synonym or channel.

        Raises
        ------
        PanelError
            The name is unknown; the nearest one is given.
        """
        if name in self.table.index:
            return str(self.table.at[name, "antigen"])
        key = same_antigen_key(name)
        for antigen, synonyms in zip(self.table.antigen, self.table.synonyms, strict=True):
            if key in spellings(antigen, synonyms):
                return str(antigen)
        raise PanelError(
            f"unknown antigen `{name}`", where=f"panel {self.name}", hint=nearest(name, self.table.antigen)
        )

    def match(self, pnn: Sequence[str], pns: Sequence[str], *, where: str = "") -> tuple[pd.DataFrame, list[Caution]]:
        """Match a file's channels with the panel: by element and mass, then by name.

        Parameters
        ----------
        pnn, pns
            ``$PnN`` and ``$PnS`` of the file, in order.
        where
            File name for the cautions.

        Returns
        -------
        The channel table of :class:`cytof.events.Events`, and cautions: a name that tells another antigen than the
        panel, an antigen that sits on another metal (it is taken by its name), antibodies that are missing.
        """
        return match_table(self.table, channel_table(pnn, pns), name=self.name, where=where)


def channel_table(pnn: Sequence[str], pns: Sequence[str]) -> pd.DataFrame:
    """Return the channel table of a file without a panel: metal, mass, antigen and role as far as the names tell."""
    rows = []
    for name, stain in zip(pnn, pns, strict=True):
        found = parse_metal(name, stain)
        metal, mass = found or ("", 0)
        marker = marker_from_name(name, stain) if found else ""
        role = canonical_role(name, metal or None, mass or None, marker)
        rows.append(
            {
                "channel": f"{metal}{mass}" if found else name.strip(),
                "pnn": name,
                "pns": stain,
                "metal": metal,
                "mass": mass,
                "antigen": marker or (f"{metal}{mass}" if found else name.strip()),
                "marker_class": "none",
                "role": role,
                "cofactor": COFACTOR if found else float("nan"),
            }
        )
    table = pd.DataFrame(rows, columns=list(_CHANNELS))
    table["channel"] = _told_apart(table["channel"].tolist())
    return table.set_index("channel")


def _told_apart(names: list[str]) -> list[str]:
    """Return the names with ``-2``, ``-3`` ... behind repeated ones, never one that is there already."""
    taken = set(names)
    seen: set[str] = set()
    out = []
    for name in names:
        new, k = name, 1
        while new in seen or (k > 1 and new in taken):
            k += 1
            new = f"{name}-{k}"
        seen.add(new)
        out.append(new)
    return out


def load(name: str | Path) -> Panel:
    """Read a panel by the name of a shipped one (``car_t_41``) or by path.

    Raises
    ------
    PanelError
        Every fault of the file at once, each with ``file:row``.

    Examples
    --------
    >>> load("car_t_41").antigen("CD279")
    'PD-1'
    """
    path = find(name, ".csv")
    table = _read(path)
    has_columns(table.columns, ["channel", "antigen"], where=str(path), error=PanelError)
    for column in _COLUMNS:
        table[column] = table[column].str.strip() if column in table else ""
    raise_all(_faults(table, path))
    table["marker_class"] = table.marker_class.replace("", "none")
    table["role"] = table.role.replace("", "none")
    table["cofactor"] = pd.to_numeric(table.cofactor.replace("", str(COFACTOR)))
    table["channel"] = [_channel_name(c) for c in table.channel]
    more = [c for c in REAGENT if c in table]
    return Panel(path.name.removesuffix(".csv"), table.set_index("channel")[[*_COLUMNS[1:], *more]])


def _read(path: Path) -> pd.DataFrame:
    """Return the rows of a panel file as text, indexed by row number; BOM, CRLF, ``;`` and tabs are fine."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    mark = max("\t;,", key=lambda d: lines[0].count(d))
    try:
        rows = [[c.strip() for c in row] for row in csv.reader(lines, delimiter=mark)]
    except csv.Error as error:
        raise PanelError(f"not readable: {error}", where=str(path), hint="save it as CSV") from None
    header, *body = rows
    if not any(header):
        raise PanelError("the panel is empty", where=str(path), hint="write a header row with channel,antigen")
    if twice := [c for i, c in enumerate(header) if c and c in header[:i]]:
        raise PanelError(f"column `{twice[0]}` stands twice", where=f"{path}:1", hint="keep one")
    kept = [(n, row) for n, row in enumerate(body, start=2) if any(row)]
    if not kept:
        raise PanelError("a header, but no channels", where=str(path), hint="write one row a channel")
    long = [n for n, row in kept if any(row[len(header) :])]
    raise_all(
        PanelError(f"more cells than the header's {len(header)}", where=f"{path}:{n}", hint="quote commas")
        for n in long
    )
    width = len(header)
    cells = [(row + [""] * width)[:width] for _, row in kept]
    return pd.DataFrame(cells, columns=header, index=[n for n, _ in kept], dtype=str)


def _channel_name(text: str) -> str:
    found = parse_metal(text)
    return f"{found[0]}{found[1]}" if found else text


def _faults(table: pd.DataFrame, path: Path) -> list[PanelError]:
    faults = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in zip(table.index, table.to_dict("records"), strict=True):
        where = f"{path}:{number}"
        for column in ("channel", "antigen"):
            value = _channel_name(row[column]) if column == "channel" else row[column]
            if not value:
                faults.append(PanelError(f"`{column}` is empty", where=where, hint=f"name the {column}"))
            elif (column, value) in seen:
                first = seen[column, value]
                faults.append(PanelError(f"{column} `{value}` stands in row {first} too", where=where, hint="keep one"))
            seen.setdefault((column, value), number)
        unreal = isotope_fault(row["channel"])
        if unreal:
            faults.append(PanelError(f"channel `{row['channel']}` is no isotope", where=where, hint=unreal))
        for column, allowed in (("marker_class", Roles.CLASSES), ("role", Roles.ALL)):
            if row[column] and row[column] not in allowed:
                faults.append(
                    PanelError(
                        f"{column} is `{row[column]}`, expected one of {', '.join(allowed)}",
                        where=where,
                        hint=nearest(row[column], allowed),
                    )
                )
        if row["cofactor"]:
            try:
                good = float(row["cofactor"]) > 0
            except ValueError:
                good = False
            if not good:
                faults.append(PanelError(f"cofactor is `{row['cofactor']}`, expected a number above 0", where=where))
    return faults
