"""Pass 2: one file, the placed gates, and what lies in each."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns
from cytof.errors import Caution, GateError
from cytof.events import Events
from cytof.gate._blank_table import blank_table
from cytof.gate._gating import Gating
from cytof.gate._placed import DIFFERS, FLAGS
from cytof.gate._tree import flags_of, slim, within
from cytof.keys import Tables
from cytof.panel.template import FLAGS as CLEAN_FLAGS
from cytof.panel.template import ROOT, Template
from cytof.region import Boolean, Region, from_json

__all__ = ["apply", "counts_of"]

_WORTH_TELLING = 50  # an empty gate under fewer events says nothing


def apply(events: Events, template: Template, thresholds: pd.DataFrame) -> Gating:
    """Gate one file with thresholds from :func:`cytof.gate.place`.

    Parameters
    ----------
    events
        All events of one file, cleaned as those that were placed on.
    template
        The template the thresholds were placed for.
    thresholds
        Table of :func:`cytof.gate.place`; the rows of ``events.sample_id`` are used.

    Returns
    -------
    Gating with a mask and a count for every gate; gates without events are flagged ``empty`` and leave a caution.

    Raises
    ------
    GateError
        The table has no rows for this sample, or lacks a gate of the template.

    Examples
    --------
    >>> from cytof.gate import place
    >>> from cytof.panel import Gate
    >>> rng = np.random.default_rng(0)
    >>> counts = np.r_[rng.lognormal(0.5, 0.5, 900), rng.lognormal(5, 0.4, 600)].astype(np.float32)[:, None]
    >>> channels = pd.DataFrame({"antigen": ["CD3"], "cofactor": [5.0]}, index=["Er170"])
    >>> events = Events(counts, channels, {}, "s1")
    >>> template = Template("t", (Gate("CD3+", "CD3+", "root", ("CD3",), "mindensity", signs="+"),))
    >>> apply(events, template, place(template, [events])).counts.n.tolist()
    [1500, 600]
    """
    rows = _rows(events, template, thresholds)
    text = dict(zip(rows["gate"], rows["region"], strict=True))
    masks: dict[str, NDArray[np.bool_]] = {}
    regions = {path: from_json(text[path]) for path in template.paths}
    read = slim(events, list(dict.fromkeys(d.channel for r in regions.values() for d in getattr(r, "dims", ()))))
    flags = flags_of(events)
    for gate in template.gates:
        masks[gate.path] = within(gate, regions[gate.path], read.column, flags, masks)
    parents = {g.path: g.parent for g in template.gates}
    cleaning = _cleaning(events, regions)
    counts = counts_of(events, template, masks, rows)
    return Gating(
        events=events.replace(warnings=(*events.warnings, *_cautions(events, template, counts, rows))),
        masks=pd.DataFrame(masks, index=pd.RangeIndex(len(events)), columns=list(template.paths), dtype=bool),
        counts=counts,
        thresholds=rows.reset_index(drop=True),
        blanks=blank_table(read, template, masks, regions, rows),
        regions={**cleaning, **regions},
        parents={**dict.fromkeys(cleaning, ROOT), **parents},
        car_gate=template.car_gate,
        subset_gates=template.subset_gates,
        aliases=template.aliases,
        text=template.text,
    )


def _rows(events: Events, template: Template, thresholds: pd.DataFrame) -> pd.DataFrame:
    has_columns(thresholds.columns, Tables.THRESHOLDS, where="thresholds", error=GateError)
    rows = thresholds[thresholds["sample_id"].astype(str) == events.sample_id]
    if rows.empty:
        known = ", ".join(thresholds["sample_id"].astype(str).unique()[:10]) or "none"
        raise GateError(
            f"no thresholds for this sample, found them for {known}",
            where=events.sample_id,
            hint="give it to gate.place",
        )
    missing = [p for p in template.paths if p not in set(rows["gate"])]
    if missing:
        raise GateError(
            f"no threshold for gate `{missing[0]}`",
            where=events.sample_id,
            hint="place the gates with this template again",
        )
    return rows


def _cleaning(events: Events, regions: dict[str, Region]) -> dict[str, Region]:
    """Return the regions of cleaning that the gates refer to, and those they are made of."""
    wanted = [n for r in regions.values() if isinstance(r, Boolean) for n in r.names if n in CLEAN_FLAGS]
    found: dict[str, Region] = {}
    while wanted:
        name = wanted.pop(0)
        if name in events.regions and name not in found:
            region = events.regions[name]
            found[name] = region
            wanted.extend(region.names if isinstance(region, Boolean) else ())
    return found


def counts_of(
    events: Events, template: Template, masks: dict[str, NDArray[np.bool_]], rows: pd.DataFrame
) -> pd.DataFrame:
    """Return the counts table of one sample from the masks of its gates and its rows of the thresholds."""
    rank = {flag: i for i, flag in enumerate(FLAGS)}
    worst = rows.groupby("gate")["flag"].agg(lambda flags: max(flags, key=lambda f: rank.get(f, 0)))
    n_all = {ROOT: len(events), **{path: int(m.sum()) for path, m in masks.items()}}
    table = [{"sample_id": events.sample_id, "gate": ROOT, "parent": "", "n": len(events), "n_parent": len(events),
              "fraction_of_parent": 1.0, "flag": "ok" if len(events) else "empty"}]  # fmt: skip
    for gate in template.gates:
        n, n_parent = n_all[gate.path], n_all[gate.parent]
        table.append({
            "sample_id": events.sample_id, "gate": gate.path, "parent": gate.parent, "n": n, "n_parent": n_parent,
            "fraction_of_parent": n / n_parent if n_parent else float("nan"),
            "flag": worst[gate.path] if n else "empty",
        })  # fmt: skip
    return pd.DataFrame(table, columns=list(Tables.COUNTS))


def _cautions(events: Events, template: Template, counts: pd.DataFrame, rows: pd.DataFrame) -> list[Caution]:
    n = dict(zip(counts["gate"], counts["n"], strict=True))
    found = []
    for gate in template.gates:
        wanted = gate.car or (gate.method != "quadrant" and n[gate.parent] >= _WORTH_TELLING)
        if wanted and n[gate.parent] and not n[gate.path]:
            what = f"none of the {n[gate.parent]:,} events of {gate.parent.rsplit('/', 1)[-1]} lie in it"
            found.append(Caution(f"{events.sample_id}:{gate.path}", what, "the gate is empty; look at its threshold"))
    doubtful = rows[rows["flag"].isin([DIFFERS, "far from the cohort", "fallback"])]
    for row in doubtful.drop_duplicates(["channel", "value"]).itertuples():
        what = f"threshold {row.value:.2f} on {row.channel}: {row.flag}"
        found.append(Caution(f"{events.sample_id}:{row.gate}", what, "used it; look at the gate"))
    return found
