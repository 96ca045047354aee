"""What a run would do: each stage and sample, done already or to be done, without doing any of it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cytof import gate as gating
from cytof import provenance
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.panel.template import Template
from cytof.pipeline._files import gated_files, read_parts, read_sheet
from cytof.pipeline._gate import changes_of, keys_of
from cytof.pipeline._keys import clean_keys, file_hash, gate_key, place_key, stage_key
from cytof.pipeline._story import cells_story, run_story
from cytof.study import Study

__all__ = ["current", "failed_before", "gate_states", "imported_states", "key_of", "plan"]


def plan(study: Study) -> pd.DataFrame:
    """Return what :func:`cytof.pipeline.run` would do.

    Parameters
    ----------
    study
        From :func:`cytof.study.load`.

    Returns
    -------
    DataFrame ``stage sample_id state``, in the order of the work; ``state`` is ``run`` or ``cached``. Stages over all
    samples have an empty ``sample_id``.

    Raises
    ------
    CytofError
        The sheet, the panel, the gates or a table of the study cannot be read.

    Examples
    --------
    ``plan(cytof.study.load("demo/study.yaml"))``
    """
    placed, gated = gate_states(study)
    rows = [*([] if placed is None else [("place", "", placed)]), *(("gate", s, done) for s, done in gated.items())]
    failed = failed_before(study)  # tried again; as long as they fail, nothing else changes
    ready = all(done for _, sample, done in rows if sample not in failed)
    for stage in ("cluster", "track", "compare", "report"):
        done = ready and provenance.is_done(study.out, stage, key_of(study, stage))
        rows.append((stage, "", done))
        ready = ready and (done or stage == "track")  # compare reads no table of track; the report reads both
    if not rows[-3][2]:
        rows[-1] = ("report", "", False)
    table = pd.DataFrame(rows, columns=["stage", "sample_id", "state"])
    return table.assign(state=table["state"].map({True: "cached", False: "run"}))


def current(study: Study) -> bool:
    """Tell whether ``cells.h5ad`` was made with the settings, files and gates that the study has now."""
    done = provenance.read_done(study.out, "gate")
    given = None if done is None else done.note.get("given")
    try:
        _, states = gate_states(study.model_copy(update={"gates": given}) if given else study)
        key = key_of(study, "cluster")
    except InputError:
        return False
    failed = failed_before(study)
    return all(done for s, done in states.items() if s not in failed) and provenance.is_done(study.out, "cluster", key)


def key_of(study: Study, stage: str) -> str:
    """Return the key of a stage over all samples, from what lies in the results now.

    Raises
    ------
    InputError
        What it reads is not there.
    """
    if stage == "cluster":
        hashes = map(provenance.sha256, gated_files(study))
        return stage_key(study, stage, hashes, signatures=repr(study.read_subsets()), story=cells_story(study))
    cells = file_hash(study.out / "cells.h5ad")
    if stage == "compare":  # shares of the subsets of what is followed
        return stage_key(study, stage, [cells], followed=study.track.population)
    if stage == "track":
        return stage_key(study, stage, [cells])
    tables = map(provenance.sha256, sorted((study.out / "tables").glob("*.csv")))
    return stage_key(study, stage, [cells, *tables], story=run_story(study, [], failed_before(study)))


def failed_before(study: Study) -> dict[str, str]:
    """Return the samples that failed in the last gate stage, each with its fault."""
    done = provenance.read_done(study.out, "gate")
    return {} if done is None else dict(done.note.get("failed", {}))


def gate_states(study: Study) -> tuple[bool | None, dict[str, bool]]:
    """Return whether the gates are placed (None: there are none to place), and of each sample whether it is gated."""
    sheet, template = read_sheet(study), study.read_gates(study.read_panel())
    states = imported_states(study)
    rest = sheet[[states[s] is None for s in sheet[Obs.SAMPLE]]]
    placed = None
    if len(rest):
        placed, own = _template_states(study, sheet, template)
        states |= {s: own[s] for s in rest[Obs.SAMPLE]}
    return placed, {s: bool(done) for s, done in states.items()}


def imported_states(study: Study) -> dict[str, bool | None]:
    """Return of each sample whether it is gated with gates of other software; None for one that has none."""
    return {row.sample_id: _imported(study, row) for row in read_sheet(study).itertuples()}


def _template_states(
    study: Study, sheet: pd.DataFrame, template: Template | None
) -> tuple[bool | None, dict[str, bool]]:
    keys = clean_keys(study, sheet, flags=template is not None)
    cleaned = {s: k for s, k in keys.items() if isinstance(k, str)}
    changes, thresholds, placed = changes_of(study, sheet, template), pd.DataFrame(), None
    if template is not None:
        before = provenance.read_done(study.out, "place")
        failed = set(before.note.get("failed", ())) if before is not None else set()
        cleaned = {s: k for s, k in cleaned.items() if s not in failed}
        placed = provenance.is_done(study.out, "place", place_key(study, sheet, cleaned, template))
        if not placed:
            return False, dict.fromkeys(keys, False)
        thresholds = read_parts(study.out / ".done" / "place.json")["thresholds"]
        thresholds = gating.overridden(thresholds, changes, template)
    made = keys_of(study, sheet, cleaned, template, thresholds, changes)
    return placed, {s: s in made and provenance.is_done(study.out, f"gate/{s}", made[s]) for s in keys}


def _imported(study: Study, row: Any) -> bool | None:
    done = provenance.read_done(study.out, f"gate/{row.sample_id}")
    if done is None or "imported" not in done.note:
        return None
    key = clean_keys(study, pd.DataFrame([row._asdict()]), flags=False)[row.sample_id]
    if not isinstance(key, str):
        return False
    return provenance.is_done(
        study.out, f"gate/{row.sample_id}", gate_key(study, row, key, imported=done.note["imported"])
    )
