"""The tree walked on one sample's columns: channels of dimensions, masks of regions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cytof.events import Events
from cytof.panel.template import FLAGS, ROOT, Gate
from cytof.region import Boolean, Dimension, Rectangle, Region, mask

__all__ = ["boolean_region", "dimension", "within"]


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


def boolean_region(gate: Gate, events: Events) -> Region:
    """Return the region of a boolean gate; flags that this file has not got count as not flagged.

    When nothing is left to combine (a file without a viability channel has no dead cells to take out), the region is
    the whole of the first channel.
    """
    absent = {f for f in FLAGS if f not in events.flags}
    if "any_of" in gate.args:
        names = tuple(n for n in gate.args["any_of"] if n not in absent)
        return (
            Boolean("or", names)
            if names
            else Rectangle((Dimension(str(events.channels.index[0])),), (math.inf,), (math.inf,))
        )
    keep = [n for n in gate.args.get("all_of", ()) if n not in absent]
    drop = [n for n in gate.args.get("none_of", ()) if n not in absent]
    if not keep and len(drop) == 1:
        return Boolean("not", (drop[0],))
    if not keep and not drop:
        return Rectangle((Dimension(str(events.channels.index[0])),), (-math.inf,), (math.inf,))
    return Boolean("and", (*keep, *drop), (*[False] * len(keep), *[True] * len(drop)))


def within(gate: Gate, region: Region, events: Events, masks: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return the mask of a placed gate: inside its region and inside its parent."""
    if isinstance(region, Boolean):
        flags = {n: events.flags[n].to_numpy(bool) for n in region.names if n in FLAGS and n in events.flags}
        hit = mask(region, events.column, {**masks, **flags})
    else:
        hit = mask(region, events.column)
    return hit if gate.parent == ROOT else hit & masks[gate.parent]
