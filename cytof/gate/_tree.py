"""The tree walked on one sample's columns: channels of dimensions, masks of regions, blanks of the CAR gate."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cytof.errors import TemplateError
from cytof.events import Events
from cytof.panel.template import FLAGS, ROOT, Gate, Template
from cytof.region import Boolean, Dimension, Rectangle, Region, mask

__all__ = ["blank_gates", "boolean_region", "dimension", "within"]


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


def blank_gates(template: Template) -> tuple[Gate, ...]:
    """Return the gates whose rest cannot be CAR T cells: ``blanks`` of the CAR gate, else its ancestors named ``-``.

    The blanks are the cells of such a gate's parent that the gate leaves out (CD19+ cells are no T cells).

    Raises
    ------
    TemplateError
        A gate named in ``blanks`` is a boolean over flags, which says nothing about lineage.
    """
    if template.car_gate is None:
        return ()
    car = template.gate(template.car_gate)
    named = car.args.get("blanks")
    if named is not None:
        gates = tuple(template.gate(n) for n in named)
        wrong = [g.pop for g in gates if not g.dims]
        if wrong:
            raise TemplateError(
                f"blanks name {', '.join(wrong)}", where=template.where, hint="name gates on a lineage marker"
            )
        return gates
    lines = [g for g in template.gates if car.path.startswith(f"{g.path}/")]
    return tuple(g for g in lines if g.signs == "-" and len(g.dims) == 1)
