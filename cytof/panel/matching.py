"""A file's channels against a panel: by element and mass, then by name for what sits on another metal or on none."""

from __future__ import annotations

import pandas as pd

from cytof.errors import Caution
from cytof.panel.channel import marker_from_name, parse_metal, same_antigen_key

__all__ = ["antibodies", "match_table", "named_alike", "spellings"]

_TAKEN = ("antigen", "marker_class", "role", "cofactor")


def spellings(antigen: str, synonyms: str) -> set[str]:
    """Return the keys of an antigen and its synonyms.

    Examples
    --------
    >>> sorted(spellings("PD-1", "CD279;PDCD1"))
    ['cd279', 'pd1', 'pdcd1']
    """
    return {same_antigen_key(s) for s in [antigen, *filter(None, synonyms.split(";"))]}


def named_alike(said: str, antigen: str, synonyms: str) -> bool:
    """Tell whether a file's name of a channel is an antigen, or one of its synonyms.

    Examples
    --------
    >>> named_alike("CD196_CCR6", "CCR6", "CD196")
    True
    """
    return bool(_keys(said) & spellings(antigen, synonyms))


def antibodies(panel: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a panel table that stand for antibodies."""
    return panel.loc[(panel.marker_class != "none") | panel.role.isin(["lineage", "car"])]


def match_table(
    panel: pd.DataFrame, channels: pd.DataFrame, *, name: str, where: str
) -> tuple[pd.DataFrame, list[Caution]]:
    """Fill a file's channel table from a panel's.

    Parameters
    ----------
    panel
        Table of a panel, indexed by channel.
    channels
        Table of :func:`cytof.panel.channel_table`.
    name, where
        Panel and file, for the cautions.

    Returns
    -------
    The filled table, and one caution for each channel whose name tells another antigen than the panel, for each antigen
    found on another metal, and for the antibodies that are missing.
    """
    channels = channels.copy()
    cautions = []
    shared = channels.index.intersection(panel.index)
    known, names = panel.loc[shared], channels.loc[shared]
    for channel, pnn, pns, antigen, synonyms, kind in zip(
        shared, names.pnn, names.pns, known.antigen, known.synonyms, known.marker_class, strict=True
    ):
        said = marker_from_name(pnn, pns)
        if said and kind != "none" and not named_alike(said, antigen, synonyms):
            found = f"the file names it `{said}`, the panel `{antigen}`"
            cautions.append(Caution(f"{where}:{channel}", found, "took the panel's name"))
    channels.loc[shared, list(_TAKEN)] = known[list(_TAKEN)]
    wanted = antibodies(panel)
    moved, told = _by_name(wanted.loc[~wanted.index.isin(channels.index)], panel, channels, where)
    cautions += told
    missing = wanted.loc[~wanted.index.isin([*channels.index, *moved])]
    if len(missing):
        shown = ", ".join(f"{antigen} ({channel})" for channel, antigen in missing.antigen.items())
        done = "gates that need them are left out"
        cautions.append(Caution(f"{where}:panel {name}", f"not in this file: {shown}", done))
    channels = channels.rename(index={c: p for p, c in moved.items() if not channels.at[c, "mass"]})
    for channel in set(moved) & set(channels.index):
        channels.loc[channel, ["metal", "mass"]] = parse_metal(channel) or ("", 0)
    return channels, cautions


def _by_name(
    missing: pd.DataFrame, panel: pd.DataFrame, channels: pd.DataFrame, where: str
) -> tuple[dict[str, str], list[Caution]]:
    """Find antigens of the panel that sit on another metal, or on none, under their own name; fill ``channels``."""
    moved: dict[str, str] = {}
    cautions = []
    free = [c for c in channels.index if c not in panel.index and channels.at[c, "role"] == "none"]
    for channel, row in missing.iterrows():
        known = spellings(row.antigen, row.synonyms)
        hits = [c for c in free if _keys(_name(channels.loc[c])) & known]
        if len(hits) != 1:
            continue
        moved[str(channel)] = hits[0]
        channels.loc[hits[0], list(_TAKEN)] = [row[c] for c in _TAKEN]
        place = f"on {hits[0]}" if channels.at[hits[0], "mass"] else f"named `{hits[0]}` without a metal"
        cautions.append(
            Caution(f"{where}:{hits[0]}", f"{row.antigen} is {place}, the panel has it on {channel}", "took it by name")
        )
    return moved, cautions


def _name(row: pd.Series) -> str:
    return marker_from_name(row.pnn, row.pns) or str(row.pns).strip()


def _keys(said: str) -> set[str]:
    return {same_antigen_key(t) for t in [said, *said.split("_")]} - {""}
