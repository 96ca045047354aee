"""A first panel from what files say of themselves: the shipped panel they fit, or a table to fill in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

import pandas as pd

from cytof.errors import UsageError
from cytof.panel.channel import marker_from_name, same_antigen_key
from cytof.panel.find import names
from cytof.panel.panel import Panel, channel_table, load
from cytof.scale import COFACTOR

__all__ = ["guess"]

_STATE = re.compile(  # what a cell does, not what it is: phospho-epitopes, cycle, release
    r"p[A-Z0-9]|phospho|STAT\d|ERK|AKT|p38|S6|NF-?[kK]B|CREB|MAPK|I[kK]B|PLC|BTK|LAT\b|SHP|ZAP|Ki-?67|Cyclin|IdU|"
    r"CD107a|GZMB|Granzyme|Perforin|IFN|TNF|IL-?\d|cPARP|cCasp"
)
_NEEDED = 0.8  # share of the antibody channels that must agree with a shipped panel
_CAR = {"vhh", "car", "cart", "fmc63", "bcmacar", "proteinl", "strep"}
_LINEAGE = {
    "cd45", "cd3", "cd4", "cd8", "cd8a", "cd19", "cd20", "cd14", "cd11b", "cd11c", "cd66", "cd66b", "cd7", "cd56",
    "cd16", "cd33", "cd123", "cd235", "cd61", "cd41",
}  # fmt: skip


class _Named(Protocol):
    @property
    def pnn(self) -> Sequence[str]: ...
    @property
    def pns(self) -> Sequence[str]: ...


def guess(*files: _Named) -> tuple[str | None, pd.DataFrame]:
    """Guess a panel from the names of the channels of one or more files.

    Parameters
    ----------
    files
        What :func:`cytof.io.scan_fcs` returns of each file (anything with ``pnn`` and ``pns``).

    Returns
    -------
    The name of the shipped panel that fits every file (at least 80 % of its antibodies on the same metal), else None;
    and a panel table (columns of a panel CSV) made of the files' own names, every antibody of class ``type``, to be
    filled in. A channel that files name differently keeps the first name, the others stand in ``synonyms``.

    Raises
    ------
    UsageError
        No file is given.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> file = SimpleNamespace(pnn=["Time", "Er170Di", "Ir191Di"], pns=["Time", "170Er_CD3", "191Ir_DNA1"])
    >>> name, table = guess(file)
    >>> name, table[["channel", "antigen", "role"]].values.tolist()
    (None, [['Er170', 'CD3', 'lineage'], ['Ir191', 'DNA1', 'dna']])
    """
    if not files:
        raise UsageError("no files to guess a panel from", where="panel.guess", hint="give it `io.scan_fcs(path)`")
    tables = [channel_table(f.pnn, f.pns) for f in files]
    best, share = None, _NEEDED
    for name in names():
        panel = load(name)
        fits = min(_fit(panel, t) for t in tables)
        if fits >= share:
            best, share = name, fits
    rows: dict[str, dict[str, Any]] = {}
    for table in tables:
        for channel, row in table[(table["metal"] != "") | _several_isotopes(table)].iterrows():
            new = _row(str(channel), row)
            known = rows.setdefault(str(channel), new)
            others = [known["antigen"], *filter(None, known["synonyms"].split(";"))]
            if new["antigen"] not in (*others, channel):
                known["synonyms"] = ";".join([*others[1:], new["antigen"]])
    return best, pd.DataFrame(list(rows.values()))


def _several_isotopes(table: pd.DataFrame) -> pd.Series:
    """Tell which channels sum several isotopes (`CD3(110:114)Dd`): antibodies without one metal in their name."""
    return table["pnn"].astype(str).str.contains(r"\(\d+:\d+\)")


def _fit(panel: Panel, channels: pd.DataFrame) -> float:
    antibodies = panel.table[panel.table.marker_class != "none"]
    agree = 0
    for channel, row in antibodies.iterrows():
        if channel in channels.index:
            said = marker_from_name(channels.at[channel, "pnn"], channels.at[channel, "pns"])
            tokens = {same_antigen_key(t) for t in [said, *said.split("_")]}
            agree += bool(tokens & {same_antigen_key(t) for t in [row.antigen, *row.synonyms.split(";")] if t})
    return agree / max(len(antibodies), 1)


def _row(channel: str, row: pd.Series) -> dict[str, Any]:
    antigen, role = str(row["antigen"]), str(row["role"])
    antibody = role == "none" and antigen != channel and not antigen[0].isdigit()
    key = same_antigen_key(antigen.split("_")[0])
    if re.fullmatch(r"(bc|barcode)\d+", key):
        antibody, role = False, "barcode"
    if antibody and key in _CAR:
        role = "car"
    elif antibody and key in _LINEAGE:
        role = "lineage"
    return {
        "channel": channel,
        "antigen": antigen,
        "marker_class": ("state" if _STATE.match(antigen) else "type") if antibody else "none",
        "role": role,
        "cofactor": f"{COFACTOR:g}",
        "synonyms": "",
        "source": "guessed from the file's channel names",
    }
