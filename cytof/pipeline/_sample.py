"""The gate stage of one file: cleaned, gated, written; what one task does, here or on a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import clean, io
from cytof import gate as gating
from cytof._assemble import assemble
from cytof.errors import CytofError, InputError, ResourceError
from cytof.events import Events
from cytof.keys import UNS, Obs
from cytof.panel.template import Template
from cytof.pipeline._clean import cleaned
from cytof.pipeline._files import write_gatingml, write_parts
from cytof.pipeline._keys import file_hash
from cytof.pipeline._resume import do
from cytof.pipeline._select import kept_gate
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.gate import Gating

__all__ = ["Gated", "PARTS", "draws", "gate_file", "save"]

PARTS = ("waterfall", "gate_views", "clean_limits", "bead_traces", "counts", "thresholds", "blanks", "gate_sensitivity")
"""Tables that get rows from every sample."""


@dataclass(frozen=True)
class Gated:
    """What became of one sample: how many events and kept cells, or the fault."""

    sample: str
    n_events: int = 0
    n_kept: int = 0
    fault: CytofError | None = None
    note: Mapping[str, Any] = field(default_factory=dict)


def draws(study: Study, rows: Sequence[Any], seed: int) -> list[tuple[str, Events | CytofError]]:
    """Return a draw of each sample of one file, for placing gates, or its fault."""
    found: list[tuple[str, Events | CytofError]] = []
    for row, events in cleaned(study, rows):
        found.append((row.sample_id, events.draw(study.gate.draw, seed) if isinstance(events, Events) else events))
    return found


def gate_file(
    study: Study, rows: Sequence[Any], keys: Mapping[str, str], sheet: pd.DataFrame, template: Template | None,
    thresholds: pd.DataFrame,
) -> list[Gated]:  # fmt: skip
    """Clean and gate the samples of one file and write ``gated/<sample>.h5ad``, ``.gatingml.xml`` and its table rows.

    Parameters
    ----------
    study
        The study.
    rows
        Rows of the sheet, all of one file.
    keys
        Sample -> stage key.
    sheet
        The sheet's rows of these samples.
    template, thresholds
        Gates, placed, with a person's changes laid over them. None: every event goes on.
    """
    found = []
    try:
        before = file_hash(rows[0].path)
    except InputError as error:
        return [Gated(row.sample_id, fault=error) for row in rows]
    for row, events in cleaned(study, rows, flags=template is not None):
        sample = row.sample_id
        try:
            if not isinstance(events, Events):
                raise events
            if file_hash(row.path) != before:
                raise InputError("changed while it was read", where=str(row.path), hint="run again")
            gated = None if template is None else gating.apply(events, template, thresholds)
            kept = events if gated is None else gated.keep(study.gate.keep or kept_gate(template))  # type: ignore[arg-type]
            cells = assemble([kept], sheet)
        except ResourceError:
            raise
        except CytofError as error:
            found.append(Gated(sample, fault=error))
            continue
        note = {"n_events": len(events), "n_kept": cells.n_obs}
        do(study.out, f"gate/{sample}", keys[sample], lambda: save(study, events, gated, cells), note=note)  # noqa: B023
        found.append(Gated(sample, len(events), cells.n_obs))
    return found


def save(
    study: Study, events: Events, gated: Gating | None, cells: AnnData,
    more: Mapping[str, pd.DataFrame] | None = None, *, gatingml: bool = True,
) -> None:  # fmt: skip
    """Write one sample: cells, gates, and its rows of the tables over all samples."""
    from cytof.report import gate_views
    from cytof.track import gate_sensitivity

    sample = str(events.sample_id)
    out = study.out / "gated" / f"{sample}.h5ad"
    judged = gated if gated is not None and gated.car_gate and more is None else None
    if gated is not None and gatingml:
        write_gatingml(out.with_suffix(".gatingml.xml"), gated)
    io.write_h5ad(out, cells)
    parts = {
        "waterfall": clean.waterfall(events).assign(sample_id=sample)[[Obs.SAMPLE, "step", "n_left", "fraction_left"]],
        "gate_views": pd.DataFrame() if gated is None else gate_views(gated),
        "clean_limits": clean.limits(sample, {s["step"]: s for s in events.steps}, len(events)),
        "bead_traces": clean.bead_traces(events).assign(sample_id=sample),
        "gate_sensitivity": pd.DataFrame() if judged is None else gate_sensitivity(judged),
        **{name: cells.uns[UNS][name] for name in ("counts", "thresholds", "blanks")},
        **(more or {}),
    }
    write_parts(study.out / ".done" / "gate" / f"{sample}.tables.json", parts)
