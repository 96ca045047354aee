"""One gate changed: its mask and those below it made again, everything else kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from cytof.errors import GateError
from cytof.gate._apply import counts_of
from cytof.gate._blank_table import blank_table
from cytof.gate._gating import Gating
from cytof.gate._tree import flags_of, within
from cytof.panel.template import Template
from cytof.region import Boolean, Region, to_json

__all__ = ["change", "depends_on"]


def depends_on(template: Template, gates: Mapping[str, Region] | set[str]) -> tuple[str, ...]:
    """Return the paths of these gates and of all gates that follow from them, in the order of the template.

    A gate follows from its parent, and a boolean gate from those it names.

    Examples
    --------
    >>> from cytof import panel
    >>> paths = depends_on(panel.load_gates("car_t_41"), {"cells/singlets/live/CD45+/CD11b-/CD11c-/CD66b-/CD19-/CD14-/CD7+/CD3+/CAR+"})
    >>> [p.rsplit("/", 1)[-1] for p in paths[:2]], len(paths)
    (['CAR+', 'CD4'], 10)
    """  # noqa: E501
    changed: set[str] = set()
    for gate in template.gates:
        named = {n for k in ("all_of", "any_of", "none_of") for n in gate.args.get(k, ())}
        if gate.path in gates or gate.parent in changed or named & changed:
            changed.add(gate.path)
    return tuple(p for p in template.paths if p in changed)


def change(gating: Gating, template: Template, regions: Mapping[str, Region]) -> Gating:
    """Return the gating with other regions for some gates; only those and what follows from them is computed again.

    Parameters
    ----------
    gating
        Of :func:`cytof.gate.apply`, with all its events.
    template
        The template that was applied.
    regions
        Path -> new region.

    Returns
    -------
    Gating; masks of other gates are the same arrays. The thresholds' regions are brought up to date, their values and
    flags are not: write an override and apply it for a result that lasts.

    Raises
    ------
    GateError
        A path is not in the template, or the gating holds the events of one gate alone.

    Examples
    --------
    ``change(gated, template, {path: new_region}).counts``
    """
    if gating.kept != "root":
        raise GateError("only a part of the events is here", where=gating.events.sample_id, hint="change before `keep`")
    if unknown := [p for p in regions if p not in template.paths]:
        raise GateError(f"no gate `{unknown[0]}`", where=gating.events.sample_id)
    again = set(depends_on(template, regions))
    masks = {p: gating.masks[p].to_numpy(bool) for p in template.paths if p not in again}
    drawn = {**gating.regions, **regions}
    flags = flags_of(gating.events)
    for gate in template.gates:
        if gate.path in again:
            masks[gate.path] = within(gate, drawn[gate.path], gating.events.column, flags, masks)
    rows = gating.thresholds.copy()
    for path, region in regions.items():
        if not isinstance(region, Boolean):
            rows.loc[rows["gate"] == path, "region"] = to_json(region)
    own = {p: masks[p] for p in template.paths}
    return replace(
        gating,
        masks=pd.DataFrame(own, index=pd.RangeIndex(len(gating.events)), columns=list(template.paths), dtype=bool),
        counts=counts_of(gating.events, template, own, rows),
        thresholds=rows,
        blanks=blank_table(gating.events, template, own, drawn, rows),
        regions=drawn,
    )
