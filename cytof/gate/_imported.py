"""Gates of other software on our events: the same tree, our masks, and our counts beside those that were stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import Caution, CytofError, GateError
from cytof.events import Events
from cytof.gate._columns import Columns
from cytof.gate._gating import Gating
from cytof.io import ImportedGates
from cytof.io._gate_tree import GateTree
from cytof.keys import Tables
from cytof.panel.template import ROOT, resolve
from cytof.region import Boolean, Dimension, Region, mask

__all__ = ["apply_imported"]

_DIFFERS = "count differs from the workspace"
_MOST_CELLS, _MOST_SHARE = 10, 0.01


def apply_imported(
    events: Events,
    imported: ImportedGates,
    *,
    sample: str | None = None,
    car_gate: str | None = None,
    subset_gates: Mapping[str, str] | None = None,
) -> Gating:
    """Gate one file with the gates that :func:`cytof.io.read_gates` returned.

    Parameters
    ----------
    events
        All events of one file. Old integer files need ``read_fcs(..., linearize=True)``.
    imported
        The gates.
    sample
        FCS file name of the document whose gates to take. None: found by ``$FIL`` or ``sample_id``, and the default
        gates where the document has none for this file; ``""``: the default gates.
    car_gate, subset_gates
        Which population are the CAR T cells, and which are CD4, CD8, DN, DP (``{"CD4+": "CD4"}``); by path, end of a
        path or alias.

    Returns
    -------
    Gating
        ``counts`` has the further column ``n_stored`` where the document stores counts; a population more than 1 % or
        10 cells off is flagged and told. Names as the other software wrote them are aliases. Compensated and ratio
        columns that gates stand on are further channels of ``events``.

    Raises
    ------
    InputError
        The document has no gates for the file.
    GateError
        None of its gates can be applied; otherwise branches that cannot be are left out and told in
        ``events.warnings``.

    Notes
    -----
    Values are channel to scale: ``$PnG`` divides, ``$TIMESTEP`` multiplies Time (not for Cytobank, which gates raw
    Time). A file that is already arcsinh-transformed is gated on its counts; gates without a scale on its mass
    channels are taken as drawn on the arcsinh values.

    Examples
    --------
    ``gated = cy.gate.apply_imported(cy.io.read_fcs("68983.fcs"), cy.io.read_gates("gating.wsp"))``
    """
    tree, name, cautions = _tree(events, imported, sample)
    columns = Columns(_without_time_step(events) if imported.flavour == "Cytobank" else events,
                      tree.sources, imported.spillover)  # fmt: skip
    regions, lost = _regions(tree, columns, events)
    told = [Caution(f"{events.sample_id}:{path}", reason, "left out") for path, reason in lost.items()]
    masks = _masks(regions, tree, columns, len(events))
    gates = [p for p in regions if p not in tree.blocks]
    if not gates:
        raise GateError(f"none of the gates of {imported.source} can be applied: {told[0]}", where=events.sample_id)
    counts = _counts(events, gates, tree, masks)
    told += [*_refused(imported, name), *cautions, *_count_cautions(counts, imported.source)]
    paths = _named(gates, tree, events, car_gate, subset_gates or {})
    return Gating(
        events=_with_columns(events, columns, regions).replace(warnings=(*events.warnings, *told)),
        masks=pd.DataFrame({p: masks[p] for p in gates}, index=pd.RangeIndex(len(events)), columns=gates, dtype=bool),
        counts=counts,
        thresholds=pd.DataFrame(columns=list(Tables.THRESHOLDS)),
        blanks=pd.DataFrame(columns=list(Tables.BLANKS)),
        regions=regions,
        parents={p: tree.parents[p] for p in regions},
        car_gate=paths[0],
        subset_gates=paths[1],
        aliases={k: p for k, p in tree.aliases.items() if p in masks and p not in tree.blocks},
        text=f"# gates of {imported.source} ({imported.flavour})\n",
    )


def _named(
    gates: list[str], tree: GateTree, events: Events, car_gate: str | None, subset_gates: Mapping[str, str]
) -> tuple[str | None, dict[str, str]]:
    """Return the paths of the CAR gate and of the subsets' gates."""
    names = pd.Index(gates)

    def path(name: str) -> str:
        return resolve(name, names, tree.aliases, where=events.sample_id, error=GateError)

    return (path(car_gate) if car_gate else None), {path(k): v for k, v in subset_gates.items()}


def _tree(events: Events, imported: ImportedGates, sample: str | None) -> tuple[GateTree, str, list[Caution]]:
    """Return the gates, the FCS file name they are for (empty for the default) and what is to be told."""
    if sample is not None:
        return imported.tree(sample or None), sample, []
    names = [PurePath(events.keywords.get("$FIL", "").strip()).name, events.sample_id, f"{events.sample_id}.fcs"]
    for name in names:
        if name in imported.samples:
            return imported.samples[name], name, []
    if imported.default is None:
        name = next(n for n in names if n)
        return imported.tree(name), name, []
    told = []
    if imported.samples:
        found = f"no gates tailored to {names[0] or names[2]} in {imported.source}"
        told = [Caution(events.sample_id, found, "used the default gates")]
    return imported.default, "", told


def _refused(imported: ImportedGates, name: str) -> list[Caution]:
    """Return what was refused while reading, without what concerns other files."""
    others = tuple(f"{imported.source}[{other}]" for other in imported.samples if other != name)
    return [c for c in imported.refused if not c.where.startswith(others)]


def _without_time_step(events: Events) -> Events:
    return events.replace(keywords={k: v for k, v in events.keywords.items() if k != "$TIMESTEP"})


def _regions(tree: GateTree, columns: Columns, events: Events) -> tuple[dict[str, Region], dict[str, str]]:
    """Return the regions on the columns of this file, and why others, with all that stands on them, are left out."""
    regions: dict[str, Region] = {}
    lost: dict[str, str] = {}
    for path, region in tree.regions.items():
        needs = [tree.parents[path], *(region.names if isinstance(region, Boolean) else ())]
        gone = next((n for n in needs if n in lost), None)
        if gone is not None:
            lost[path] = f"stands on `{gone}`, which is left out"
            continue
        try:
            regions[path] = region if isinstance(region, Boolean) else replace(
                region, dims=tuple(_dimension(d, columns, events) for d in region.dims)  # type: ignore[arg-type]
            )  # fmt: skip
        except CytofError as error:
            lost[path] = f"{error.message}; {error.hint}" if error.hint else error.message
    return regions, lost


def _dimension(dim: Dimension, columns: Columns, events: Events) -> Dimension:
    name = columns.name(dim.channel)
    if events.transformed and dim.cofactor is None and dim.scale is None and name in events.channels.index:
        row = events.channels.loc[name]
        if row["mass"] > 0:
            return Dimension(name, float(row["cofactor"]))
    return replace(dim, channel=name)


def _masks(
    regions: Mapping[str, Region], tree: GateTree, columns: Columns, n_events: int
) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    for path, region in regions.items():
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # a bound of 1e308 is infinite in counts, which compares right
            hit = mask(region, columns.__getitem__, masks)
        parent = tree.parents[path]
        masks[path] = hit if parent == ROOT else hit & masks[parent]
    return masks


def _counts(events: Events, gates: list[str], tree: GateTree, masks: Mapping[str, NDArray[np.bool_]]) -> pd.DataFrame:
    n = {ROOT: len(events), **{path: int(masks[path].sum()) for path in gates}}
    rows = []
    for path in (ROOT, *gates):
        parent = "" if path == ROOT else tree.parents[path]
        n_parent = n[parent] if parent else n[ROOT]
        stored = tree.stored.get(path)
        off = stored is not None and _off(n[path], stored)
        rows.append({
            "sample_id": events.sample_id, "gate": path, "parent": parent, "n": n[path], "n_parent": n_parent,
            "fraction_of_parent": n[path] / n_parent if n_parent else float("nan"),
            "flag": _DIFFERS if off else "ok" if n[path] else "empty", "n_stored": stored,
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=[*Tables.COUNTS, "n_stored"]).astype({"n_stored": "Int64"})
    return table if tree.stored else table.drop(columns="n_stored")


def _off(n: int, stored: int) -> bool:
    return abs(n - stored) > _MOST_CELLS or abs(n - stored) > _MOST_SHARE * stored


def _count_cautions(counts: pd.DataFrame, source: str) -> list[Caution]:
    off = counts[counts["flag"] == _DIFFERS]
    return [
        Caution(f"{row.sample_id}:{row.gate}", f"{row.n:,} events, {row.n_stored:,} stored in {source}", "look at it")
        for row in off.itertuples()
    ]


def _with_columns(events: Events, columns: Columns, regions: Mapping[str, Region]) -> Events:
    """Return the events with the made columns that regions stand on as further channels, float32."""
    used = {d.channel for r in regions.values() for d in getattr(r, "dims", ())}
    made = {k: v for k, v in columns.made.items() if k in used}
    if not made:
        return events
    rows = pd.DataFrame({"pnn": "", "antigen": list(made)}, index=list(made))  # no $PnN: not in the FCS file
    rows = rows.reindex(columns=events.channels.columns)
    for name, value in {"pns": "", "metal": "", "mass": 0, "marker_class": "none", "role": "none"}.items():
        if name in rows:
            rows[name] = value
    for name in rows:
        rows[name] = rows[name].astype(events.channels[name].dtype)
    channels = pd.concat([events.channels, rows]).rename_axis(events.channels.index.name)
    extra = np.stack([np.asarray(v, np.float32) for v in made.values()], axis=1)
    return events.replace(X=np.concatenate([events.X, extra], axis=1), channels=channels)
