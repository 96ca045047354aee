"""The gate stage with gates of other software in place of the study's template."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cytof import clean, io, provenance
from cytof import gate as gating
from cytof._assemble import assemble
from cytof.errors import CytofError, InputError, UsageError
from cytof.events import Events
from cytof.gate import Gating
from cytof.keys import Obs
from cytof.pipeline._clean import cleaned
from cytof.pipeline._files import key, read_sheet, write_gatingml, write_tables
from cytof.study import Study

__all__ = ["gate_imported"]


def gate_imported(
    study: Study,
    source: str | Path,
    *,
    car: str | None = None,
    keep: str | None = None,
    strict: bool = False,
    say: Callable[[str, str, str], None] = lambda stage, sample, found: None,
) -> dict[str, CytofError]:
    """Clean every file and gate it with imported gates; return the samples that failed.

    Parameters
    ----------
    study
        From :func:`cytof.study.load`; its template is not used.
    source
        Gating-ML 2.0, Cytobank's Gating-ML or a FlowJo workspace, see :func:`cytof.io.read_gates`. Gates of a file are
        found by the file's name in the sample sheet, then by ``$FIL``.
    car
        Population that holds the CAR T cells, by path, end of a path or name.
    keep
        Population whose cells go on. Default: the setting ``gate.keep``, the parent of ``car``, all events.
    strict
        Stop at the first sample that fails.
    say
        Progress callback: stage, sample, what was found.

    Writes
    ------
    What :func:`cytof.pipeline.gate` writes; ``tables/imported_counts.csv`` holds our counts beside those stored,
    ``tables/clean_agreement.csv`` our clean-up beside the gates on the way to the population that is kept.

    Raises
    ------
    InputError
        The file cannot be imported, or no sample could be gated.

    Examples
    --------
    ``cytof.pipeline.gate_imported(study, "gating.wsp", keep="CD3+")``
    """
    from cytof.report import gate_views

    imported, digest = io.read_gates(source), provenance.sha256(Path(source))
    say("gate", "", repr(imported))
    for caution in imported.refused:
        say("gate", "", f"refused {caution}")
    sheet = read_sheet(study)
    files = dict(zip(sheet[Obs.SAMPLE], sheet["path"], strict=True))
    failed: dict[str, CytofError] = {}
    waterfalls, views, counts, agreements = [], [], [], []
    for events in cleaned(study, sheet, failed, strict=strict, flags=False):
        sample, started = events.sample_id, time.monotonic()
        file = Path(files[sample])
        try:
            name = file.name if file.name in imported.samples else None
            gated = gating.apply_imported(events, imported, sample=name, car_gate=car)
            kept = _kept(gated, keep or study.gate.keep)
            agreed = _against(events, gated, kept)
            noted = {"step": "against_manual", "params": {}, "table": agreed.drop(columns="sample_id").to_dict("list")}
            gated = replace(gated, events=gated.events.replace(steps=(*gated.events.steps, noted)))
            cells = assemble([gated.keep(kept)], sheet)
        except CytofError as error:
            if strict:
                raise
            failed[sample] = error
            continue
        out = study.out / "gated" / f"{sample}.h5ad"
        try:
            write_gatingml(out.with_suffix(".gatingml.xml"), gated)
        except UsageError as error:
            say("gate", sample, f"no Gating-ML: {error}")
        io.write_h5ad(out, cells)
        waterfalls.append(clean.waterfall(events).assign(sample_id=sample))
        views.append(gate_views(gated))
        counts.append(gated.counts)
        agreements.append(agreed)
        provenance.mark_done(out, key(study, "gate", [provenance.sha256(file), digest]), time.monotonic() - started)
        off = int((gated.counts["flag"] == "count differs from the workspace").sum())
        told = f", {off} counts differ from those stored" if off else ""
        say("gate", sample, f"{len(events):,} events, {cells.n_obs:,} cells kept{told}")
    if not counts:
        raise next(iter(failed.values()), InputError("no sample in the sheet", where=str(study.samples)))
    tables = {"waterfall": pd.concat(waterfalls)[["sample_id", "step", "n_left", "fraction_left"]]}
    tables |= {"gate_views": pd.concat(views), "imported_counts": pd.concat(counts)}
    write_tables(study, {**tables, "clean_agreement": pd.concat(agreements)})
    return failed


def _against(events: Events, gated: Gating, kept: str) -> pd.DataFrame:
    """Hold our clean-up against the gates on the way to the population that is kept."""
    path, chain = kept, []
    while path in gated.parents and path in gated.masks:
        chain.append(path)
        path = gated.parents[path]
    ends = [p.rsplit("/", 1)[-1] for p in chain]
    names = {p: e if ends.count(e) == 1 else p for p, e in zip(reversed(chain), reversed(ends), strict=True)}
    return clean.against(events, gated.masks[list(names)].rename(columns=names))


def _kept(gated: Gating, keep: str | None) -> str:
    if keep:
        return gated.path(keep)
    return gated.parents[gated.car_gate] if gated.car_gate else "root"
