"""Signatures of subsets: a name and the signs of its markers (``TCM: CD45RO+ CD45RA- CCR7+``), from a CSV file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from cytof._check import has_columns
from cytof.errors import PanelError, raise_all
from cytof.panel.find import find
from cytof.panel.panel import Panel

__all__ = ["Signature", "load_subsets", "signs"]


@dataclass(frozen=True)
class Signature:
    """A subset and what tells it.

    Attributes
    ----------
    subset
        Its name.
    parent
        Subset gate it belongs to (``CD4``, ``CD8``, ``DN``); empty for any.
    signs
        Antigen and sign of each marker, in the order of the file: ``(("CD45RA", True), ("CCR7", False))``.
    source
        Where it is from.
    """

    subset: str
    parent: str
    signs: tuple[tuple[str, bool], ...]
    source: str = ""

    @property
    def name(self) -> str:
        """Parent and subset, as a cluster is called."""
        return f"{self.parent} {self.subset}".strip()

    @property
    def text(self) -> str:
        """The signs as they are written: ``CD45RA+ CCR7-``."""
        return " ".join(f"{antigen}{'+' if positive else '-'}" for antigen, positive in self.signs)


def signs(text: str, *, where: str = "signature") -> tuple[tuple[str, bool], ...]:
    """Read the signs of markers.

    Raises
    ------
    PanelError
        A marker without a sign, a marker twice, or no marker at all.

    Examples
    --------
    >>> signs("CD45RA+ PD-1-")
    (('CD45RA', True), ('PD-1', False))
    """
    words = text.replace(",", " ").split()
    bad = [w for w in words if len(w) < 2 or w[-1] not in "+-"]
    if bad or not words:
        fault = f"`{bad[0]}` has no sign" if bad else "no marker"
        raise PanelError(f"{fault}, expected signs such as `CD45RA+ CCR7-`", where=where)
    found = tuple((w[:-1], w[-1] == "+") for w in words)
    names = [antigen for antigen, _ in found]
    twice = [n for i, n in enumerate(names) if n in names[:i]]
    if twice:
        raise PanelError(f"`{twice[0]}` stands twice in one signature", where=where, hint="keep one sign")
    return found


def load_subsets(name: str | Path, panel: Panel | None = None) -> tuple[Signature, ...]:
    """Read signatures by the name of a shipped panel (``car_t_41``) or by path.

    Parameters
    ----------
    name
        Shipped name, or path of a CSV with the columns ``subset,signature`` and perhaps ``parent,source``.
    panel
        Where given, every antigen has to be in it and takes its spelling.

    Raises
    ------
    PanelError
        Every fault of the file at once, each with ``file:row`` and the nearest name.

    Examples
    --------
    >>> [s.text for s in load_subsets("car_t_41") if s.subset == "TEM"]
    ['CD45RO+ CD45RA- CCR7- CD27-']
    """
    path = find(name, ".subsets.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        has_columns(rows.fieldnames or [], ["subset", "signature"], where=str(path), error=PanelError)
        body = [(number, {k: (v or "").strip() for k, v in row.items() if k}) for number, row in enumerate(rows, 2)]
    found: list[Signature] = []
    faults: list[PanelError] = []
    for number, row in body:
        if not any(row.values()):
            continue
        try:
            found.append(_signature(row, f"{path}:{number}", panel))
            if found[-1].name in [s.name for s in found[:-1]]:
                raise PanelError(f"`{found[-1].name}` stands twice", where=f"{path}:{number}", hint="keep one")
        except PanelError as error:
            faults.append(error)
    raise_all(faults)
    if not found:
        raise PanelError("a header, but no subsets", where=str(path), hint="write one row a subset")
    return tuple(found)


def _signature(row: dict[str, str], where: str, panel: Panel | None) -> Signature:
    if not row["subset"]:
        raise PanelError("`subset` is empty", where=where, hint="name the subset")
    read = signs(row["signature"], where=where)
    if panel is not None:
        try:
            read = tuple((panel.antigen(antigen), positive) for antigen, positive in read)
        except PanelError as error:
            raise PanelError(error.message, where=where, hint=error.hint) from None
    return Signature(row["subset"], row.get("parent", ""), read, row.get("source", ""))
