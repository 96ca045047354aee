"""The gate stage with gates of other software in place of the study's template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import clean, io, provenance
from cytof import gate as gating
from cytof._assemble import assemble
from cytof.errors import CytofError, InputError, ResourceError, UsageError
from cytof.events import Events
from cytof.gate import Gating
from cytof.keys import Obs
from cytof.pipeline._clean import by_file, cleaned
from cytof.pipeline._files import read_sheet
from cytof.pipeline._gate import collect, retire
from cytof.pipeline._keys import clean_keys, gate_key
from cytof.pipeline._resume import do
from cytof.pipeline._sample import save
from cytof.pipeline._told import Say, silent, told
from cytof.study import Study

if TYPE_CHECKING:
    from cytof.io import ImportedGates

__all__ = ["gate_imported"]


def gate_imported(
    study: Study,
    source: str | Path,
    *,
    car: str | None = None,
    keep: str | None = None,
    strict: bool = False,
    say: Say = silent,
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
    imported = io.read_gates(source)
    say("gate", "", repr(imported))
    for caution in imported.refused:
        say("gate", "", f"refused {caution}")
    told_ = told(say)
    names = {"source": provenance.sha256(Path(source)), "car": car or "", "keep": keep or ""}
    with provenance.locked(study.out):
        sheet, failed = read_sheet(study), {}
        retire(study, sheet, say=say)
        keys = clean_keys(study, sheet, flags=False)
        done = _done_already(study, sheet, keys, names)
        for sample in sheet[Obs.SAMPLE][sheet[Obs.SAMPLE].isin(done)]:
            say("gate", sample, "done already")
        todo = sheet[~sheet[Obs.SAMPLE].isin(done)]
        told_.expect("gate", len(todo))
        for rows in by_file(study, todo):
            for row, events in cleaned(study, rows, flags=False):
                try:
                    found = _one(study, row, events, keys[row.sample_id], imported, names, sheet)
                except ResourceError:
                    raise
                except CytofError as error:
                    if strict:
                        raise
                    failed[row.sample_id] = error
                    found = f"FAILED: {error}"
                told_("gate", row.sample_id, found)
        if len(failed) == len(sheet):
            raise next(iter(failed.values()))
        collect(study, [s for s in sheet[Obs.SAMPLE] if s not in failed], failed)
    return failed


def _done_already(
    study: Study, sheet: pd.DataFrame, keys: Mapping[str, str | InputError], names: Mapping[str, str]
) -> set[str]:
    """Return the samples that were gated with these gates on these cleaned events: they are not even read."""
    found = set()
    for row in sheet.itertuples():
        key = keys[str(row.sample_id)]
        if isinstance(key, str):
            made = gate_key(study, row, key, imported=names)
            if provenance.is_done(study.out, f"gate/{row.sample_id}", made):
                found.add(str(row.sample_id))
    return found


def _one(
    study: Study, row: Any, events: Events | CytofError, key: str | InputError, imported: ImportedGates,
    names: Mapping[str, str], sheet: pd.DataFrame,
) -> str:  # fmt: skip
    """Gate and write one sample; return what is told of it."""
    if isinstance(events, CytofError):
        raise events
    if isinstance(key, CytofError):
        raise key
    file = Path(row.path).name
    gated = gating.apply_imported(
        events, imported, sample=file if file in imported.samples else None, car_gate=names["car"] or None
    )
    kept = _kept(gated, names["keep"] or study.gate.keep)
    agreed = _against(events, gated, kept)
    noted = {"step": "against_manual", "params": {}, "table": agreed.drop(columns="sample_id").to_dict("list")}
    gated = replace(gated, events=gated.events.replace(steps=(*gated.events.steps, noted)))
    cells = assemble([gated.keep(kept)], sheet)
    more = {"imported_counts": gated.counts, "clean_agreement": agreed}
    told = [f"{len(events):,} events, {cells.n_obs:,} cells kept"]

    def write() -> None:
        try:
            save(study, events, gated, cells, more)
        except UsageError as error:  # gates that Gating-ML has no words for
            told.append(f"no Gating-ML: {error}")
            save(study, events, gated, cells, more, gatingml=False)

    made = gate_key(study, row, key, imported=names)
    note = {"n_events": len(events), "n_kept": cells.n_obs, "imported": dict(names)}
    do(study.out, f"gate/{row.sample_id}", made, write, note=note)
    off = int((gated.counts["flag"] == "count differs from the workspace").sum())
    return ", ".join([*told, *([f"{off} counts differ from those stored"] if off else [])])


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
