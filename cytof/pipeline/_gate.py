"""The gate stage: thresholds placed over all samples, then every file cleaned and gated, one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cytof import gate as gating
from cytof import provenance
from cytof.errors import CytofError
from cytof.gate import Override
from cytof.keys import Obs
from cytof.panel.template import Template
from cytof.pipeline._clean import by_file
from cytof.pipeline._files import read_parts, read_sheet, read_table, write_parts, write_tables
from cytof.pipeline._keys import clean_keys, gate_key, place_key, stage_key
from cytof.pipeline._resume import do, forget, known
from cytof.pipeline._sample import PARTS, draws, gate_file
from cytof.pipeline._story import OVERRIDES
from cytof.pipeline._told import Say, Told, silent, told
from cytof.pipeline._work import HERE, Workers
from cytof.study import Study, load

__all__ = ["changes_of", "collect", "gate", "gate_pages", "keys_of", "retire"]


def gate(study: Study, *, strict: bool = False, say: Say = silent, workers: Workers = HERE) -> dict[str, CytofError]:
    """Clean and gate every file that is not done yet; return the samples that failed.

    Writes ``gated/<sample>.h5ad``, ``gated/<sample>.gatingml.xml`` and the tables ``waterfall clean_limits gate_views
    counts thresholds blanks`` (``bead_traces`` where beads were normalised).
    """
    say = told(say)
    with provenance.locked(study.out):
        sheet, template = read_sheet(study), study.read_gates(study.read_panel())
        retire(study, sheet, say=say)
        failed: dict[str, CytofError] = {}
        cleaned = _cleaned_keys(study, sheet, failed, strict=strict, flags=template is not None)
        changes = changes_of(study, sheet, template)
        thresholds = pd.DataFrame()
        if template is not None:
            thresholds = _placed(study, sheet, template, cleaned, failed, strict, say, workers)
            thresholds = gating.overridden(thresholds, changes, template)
            if changes:
                say("gate", "", f"{len(changes)} change{'s' * (len(changes) != 1)} of {OVERRIDES} laid over them")
        keys = keys_of(study, sheet, cleaned, template, thresholds, changes)
        _gate_all(study, sheet, keys, template, thresholds, failed, strict, say, workers)
        if len(failed) == len(sheet):
            raise next(iter(failed.values()))
        collect(study, [s for s in sheet[Obs.SAMPLE] if s not in failed], failed)
    return failed


def changes_of(study: Study, sheet: pd.DataFrame, template: Template | None) -> tuple[Override, ...]:
    """Return the gate changes that a person made."""
    return gating.read_overrides(study.path(OVERRIDES), template, sheet[Obs.SAMPLE])


def keys_of(
    study: Study, sheet: pd.DataFrame, cleaned: dict[str, str], template: Template | None, thresholds: pd.DataFrame,
    changes: tuple[Override, ...],
) -> dict[str, str]:  # fmt: skip
    """Return the stage key of every sample that can be read."""
    rows = [row for row in sheet.itertuples() if row.sample_id in cleaned]
    return {
        row.sample_id: gate_key(
            study, row, cleaned[row.sample_id], template=template, changes=changes,
            placed=None if template is None else thresholds,
        )
        for row in rows
    }  # fmt: skip


def _cleaned_keys(
    study: Study, sheet: pd.DataFrame, failed: dict[str, CytofError], *, strict: bool, flags: bool
) -> dict[str, str]:
    found = {}
    for sample, key in clean_keys(study, sheet, flags=flags).items():
        if isinstance(key, str):
            found[sample] = key
        elif strict:
            raise key
        else:
            failed[sample] = key
    return found


def _placed(
    study: Study, sheet: pd.DataFrame, template: Template, cleaned: dict[str, str], failed: dict[str, CytofError],
    strict: bool, say: Told, workers: Workers,
) -> pd.DataFrame:  # fmt: skip
    """Return the thresholds: those of an earlier run where the samples they were placed on are the same."""
    seed, file = provenance.stage_seed(study.seed, "gate"), study.out / ".done" / "place.json"
    before = provenance.read_done(study.out, "place")
    earlier = set(before.note.get("failed", ())) if before is not None else set()
    retried = sheet[sheet[Obs.SAMPLE].isin(earlier & set(cleaned))]
    for _ in _drawn(study, retried, seed, cleaned, failed, strict, HERE):
        pass  # a sample that failed before and fails again changes nothing; one that is mended places all gates again
    key = place_key(study, sheet, cleaned, template)
    if provenance.is_done(study.out, "place", key):
        table = read_parts(file)["thresholds"]
        say("place", "", f"{table['gate'].nunique()} gates, placed already")
        return table

    def place() -> pd.DataFrame:
        some = _drawn(study, sheet, seed, cleaned, failed, strict, workers)
        table = gating.place(template, some, sheet, random_state=seed)
        write_parts(file, {"thresholds": table})
        return table

    with provenance.opened(study.out, "place") as written:
        table = place()
    key = place_key(study, sheet, cleaned, template)  # without those that failed
    provenance.mark_done(study.out, "place", key, written, 0.0, {"failed": sorted(failed)})
    say("place", "", f"{table['gate'].nunique()} gates placed on draws of {study.gate.draw:,} events a sample")
    return table


def _drawn(
    study: Study, sheet: pd.DataFrame, seed: int, cleaned: dict[str, str], failed: dict[str, CytofError],
    strict: bool, workers: Workers,
) -> Iterator[Any]:  # fmt: skip
    """Give a draw of each sample; one that fails is noted and passed over."""
    tasks = by_file(study, sheet[sheet[Obs.SAMPLE].isin(list(cleaned))])
    for found in workers.each(draws, [(study, rows, seed) for rows in tasks]):
        for sample, events in found:
            if isinstance(events, CytofError):
                if strict:
                    raise events
                failed[sample] = events
                cleaned.pop(sample)
            else:
                yield events


def _gate_all(
    study: Study, sheet: pd.DataFrame, keys: dict[str, str], template: Template | None, thresholds: pd.DataFrame,
    failed: dict[str, CytofError], strict: bool, say: Told, workers: Workers,
) -> None:  # fmt: skip
    done = {s for s, key in keys.items() if provenance.is_done(study.out, f"gate/{s}", key)}
    for sample in sheet[Obs.SAMPLE]:
        if sample in done:
            say("gate", sample, "done already")
    tasks = []
    for rows in by_file(study, sheet[sheet[Obs.SAMPLE].isin(set(keys) - done)]):
        names = [row.sample_id for row in rows]
        own = thresholds[thresholds[Obs.SAMPLE].astype(str).isin(names)] if template is not None else thresholds
        mine = {s: keys[s] for s in names}
        tasks.append((study, rows, mine, sheet[sheet[Obs.SAMPLE].isin(names)], template, own))
    say.expect("gate", sum(len(t[1]) for t in tasks))
    for found in workers.each(gate_file, tasks):
        for result in found:
            if result.fault is not None:
                if strict:
                    raise result.fault
                failed[result.sample] = result.fault
                say("gate", result.sample, f"FAILED: {result.fault}")
            else:
                say("gate", result.sample, f"{result.n_events:,} events, {result.n_kept:,} cells kept")


def retire(study: Study, sheet: pd.DataFrame, *, say: Say = silent) -> None:
    """Remove results of samples that the sheet does not have any more: they would be taken for results."""
    here = {f"gate/{s}" for s in sheet[Obs.SAMPLE]}
    for name in known(study.out):
        if name.startswith("gate/") and name not in here:
            forget(study.out, name)
            say("gate", name.removeprefix("gate/"), "not in the sample sheet any more; its results were removed")


def collect(study: Study, samples: list[str], failed: Mapping[str, CytofError]) -> None:
    """Join the table rows of all samples: ``tables/counts.csv`` and so on."""
    files = [study.out / ".done" / "gate" / f"{s}.tables.json" for s in samples]

    def join() -> None:
        parts = [read_parts(f) for f in files]
        names = dict.fromkeys([*PARTS, *(n for p in parts for n in p)])
        tables = {n: [p[n] for p in parts if n in p and len(p[n])] for n in names}
        write_tables(study, {n: pd.concat(t, ignore_index=True) for n, t in tables.items() if t})

    note = {"samples": samples, "failed": {s: study.shown(e) for s, e in failed.items()}, "given": _given(study)}
    key = provenance.stage_key("gate_tables", [provenance.sha256(f) for f in files], note)
    do(study.out, "gate", key, join, note=note)


def _given(study: Study) -> str | None:
    """Return the template that was given in place of the one the study file names."""
    try:
        named = load(study.folder / "study.yaml").gates
    except CytofError:
        return None
    return study.gates if study.gates != named else None


def gate_pages(study: Study, *, say: Say = silent) -> list[Path]:
    """Draw a page of gates a sample (``figures/gates_<sample>.png``)."""
    from cytof import report as pages

    views = read_table(study, "gate_views")
    if views is None:
        return []

    def draw() -> list[Path]:
        return [d.png for d in pages.gate_pages(views, study.out / "figures") if d.png is not None]

    key = stage_key(study, "gate_pages", [provenance.sha256(study.out / "tables" / "gate_views.csv")])
    with provenance.locked(study.out):
        ran, drawn = do(study.out, "gate_pages", key, draw)
    say("gate", "", f"{len(drawn)} pages of gates" if ran else "pages of gates: done already")
    return drawn or []
