"""The tree walked on one sample's columns: channels of dimensions, masks of regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cytof.events import Events
from cytof.panel.template import FLAGS, ROOT, Gate
from cytof.region import Boolean, Dimension, Rectangle, Region, mask

__all__ = ["boolean_region", "dimension", "flags_of", "slim", "within"]

Masks = Mapping[str, NDArray[np.bool_]]


_BLOCK = 16_384


def dimension(events: Events, name: str) -> Dimension:
    """Return the channel and scale of a template's dimension in this file.

    Raises
    ------
    PanelError
        No channel of the file answers to the name.
    """
    channel = events.channel(name)
    cofactor = events.channels.at[channel, "cofactor"] if "cofactor" in events.channels else float("nan")
    return Dimension(channel, None if math.isnan(float(cofactor)) else float(cofactor))


def slim(events: Events, channels: Sequence[str]) -> Events:
    """Return the events with these channels alone, each column in one piece: a gate then reads it at full speed."""
    places = [events.channels.index.get_loc(c) for c in channels]
    columns = np.empty((len(places), len(events)), events.X.dtype)
    for start in range(0, len(events), _BLOCK):
        part = slice(start, start + _BLOCK)
        columns[:, part] = events.X[part][:, places].T
    return events.replace(X=columns.T, channels=events.channels.loc[list(channels)])


def boolean_region(gate: Gate, flags: Collection[str], first: str) -> Region:
    """Return the region of a boolean gate; flags that are not among those of this file count as not flagged.

    When nothing is left to combine (a file without a viability channel has no dead cells to take out), the region is
    the whole of the ``first`` channel.
    """
    absent = {f for f in FLAGS if f not in flags}
    if "any_of" in gate.args:
        names = tuple(n for n in gate.args["any_of"] if n not in absent)
        return Boolean("or", names) if names else Rectangle((Dimension(first),), (math.inf,), (math.inf,))
    keep = [n for n in gate.args.get("all_of", ()) if n not in absent]
    drop = [n for n in gate.args.get("none_of", ()) if n not in absent]
    if not keep and len(drop) == 1:
        return Boolean("not", (drop[0],))
    if not keep and not drop:
        return Rectangle((Dimension(first),), (-math.inf,), (math.inf,))
    return Boolean("and", (*keep, *drop), (*[False] * len(keep), *[True] * len(drop)))


def within(
    gate: Gate, region: Region, column: Callable[[str], NDArray], flags: Masks, masks: Masks
) -> NDArray[np.bool_]:
    """Return the mask of a placed gate: inside its region and inside its parent."""
    if isinstance(region, Boolean):
        named = {n: flags[n] if n in FLAGS and n in flags else masks[n] for n in region.names}
        hit = mask(region, column, named)
    else:
        hit = mask(region, column)
    return hit if gate.parent == ROOT else hit & masks[gate.parent]


def flags_of(events: Events) -> dict[str, NDArray[np.bool_]]:
    """Return the flags of cleaning by name."""
    return {str(n): events.flags[n].to_numpy(bool) for n in events.flags}
