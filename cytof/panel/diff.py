"""Panels side by side, and which antigens each sample has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from cytof.panel.channel import same_antigen_key
from cytof.panel.matching import spellings
from cytof.panel.panel import Panel

__all__ = ["compatibility", "diff"]


def diff(first: Panel, second: Panel) -> pd.DataFrame:
    """Say what two panels do otherwise.

    Parameters
    ----------
    first, second
        The panels; antigens are compared over their synonyms.

    Returns
    -------
    DataFrame
        One row a difference, columns ``antigen what first second``; ``what`` is ``missing`` (in one of them),
        ``channel``, ``marker_class``, ``role`` or ``cofactor``. Empty when they agree.

    Examples
    --------
    >>> from cytof.panel import load
    >>> diff(load("car_t_41"), load("car_t_41")).empty
    True
    """
    rows = []
    theirs = {antigen: channel for channel, antigen in second.table.antigen.items()}
    seen = set()
    for channel, row in first.table.iterrows():
        antigen = next((a for a in theirs if _same(first, str(row.antigen), str(a))), None)
        if antigen is None:
            rows.append((row.antigen, "missing", str(channel), ""))
            continue
        seen.add(antigen)
        other = second.table.loc[theirs[antigen]]
        if channel != theirs[antigen]:
            rows.append((row.antigen, "channel", str(channel), str(theirs[antigen])))
        rows += [
            (row.antigen, what, str(row[what]), str(other[what]))
            for what in ("marker_class", "role", "cofactor")
            if row[what] != other[what]
        ]
    rows += [(antigen, "missing", "", str(channel)) for antigen, channel in theirs.items() if antigen not in seen]
    return pd.DataFrame(rows, columns=["antigen", "what", "first", "second"])


def _same(panel: Panel, antigen: str, other: str) -> bool:
    row = panel.table.loc[panel.table.antigen == antigen].iloc[0]
    return same_antigen_key(other) in spellings(antigen, row.synonyms)


def compatibility(samples: Mapping[str, pd.DataFrame], antigens: Sequence[str]) -> pd.DataFrame:
    """Return which channel carries each antigen in each sample.

    Parameters
    ----------
    samples
        Sample -> its channel table (:meth:`Panel.match`, or :func:`channel_table` without a panel).
    antigens
        The antigens to look for, :attr:`Panel.antigens`.

    Returns
    -------
    DataFrame
        Index antigen, one column a sample holding the channel (blank: not there), and ``found``: ``common`` (in every
        sample), ``some`` or ``none``.

    Examples
    --------
    >>> from cytof.panel import load
    >>> maxpar = load("maxpar_30")
    >>> table = compatibility({"s1": maxpar.match(["Er170Di"], ["170Er_CD3"])[0]}, maxpar.antigens)
    >>> table.loc[["CD3", "CD45"], ["s1", "found"]].values.tolist()
    [['Er170', 'common'], ['', 'none']]
    """
    columns = {}
    for sample, channels in samples.items():
        where = {str(antigen): str(channel) for channel, antigen in channels["antigen"].items()}
        columns[sample] = [where.get(a, "") for a in antigens]
    table = pd.DataFrame(columns, index=pd.Index(antigens, name="antigen"))
    found = (table != "").sum(axis=1)
    table["found"] = ["common" if n == len(samples) else "some" if n else "none" for n in found]
    return table
