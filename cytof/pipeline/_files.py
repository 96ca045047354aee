"""What the stages read and write: cleaned files one after the other, tables, Gating-ML, stage keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cytof import clean, io, provenance
from cytof.errors import Caution, ConfigError, CytofError, InputError
from cytof.events import Events
from cytof.keys import Obs
from cytof.panel import Panel
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.gate import Gating

__all__ = ["cleaned", "gated_files", "key", "read_cells", "read_sheet", "read_table", "write_gatingml", "write_tables"]


def read_sheet(study: Study) -> pd.DataFrame:
    """Return the study's sample sheet."""
    return io.read_sheet(study.path(study.samples), data_dir=study.path(study.data_dir))


def cleaned(
    study: Study, sheet: pd.DataFrame, failed: dict[str, CytofError], *, strict: bool, flags: bool = True
) -> Iterator[Events]:
    """Read and clean one file after the other; a file that fails is noted in ``failed`` and passed over.

    ``flags=False``: nothing is flagged, for files that are taken as they are; a flag that no gate reads leaves out
    nothing, and the report would say otherwise.
    """
    panels: dict[str, Panel | None] = {}
    _reference(study)  # a table that is not there is told once, before any file is read
    for row in sheet.itertuples():
        if row.sample_id in failed:
            continue
        name = str(getattr(row, "panel", ""))
        if name not in panels:
            panels[name] = study.read_panel(name)
        try:
            events = _clean(study, io.read_fcs(row.path, panel=panels[name], sample_id=row.sample_id), flags=flags)
        except CytofError as error:
            if strict:
                raise
            failed[row.sample_id] = error
            continue
        yield events


def gated_files(study: Study) -> list[Path]:
    """Return ``results/gated/<sample>.h5ad`` in the order of the sheet, those that are there."""
    files = [study.out / "gated" / f"{sample}.h5ad" for sample in read_sheet(study)[Obs.SAMPLE]]
    there = [f for f in files if f.exists()]
    if not there:
        raise InputError("no gated samples here", where=str(study.out / "gated"), hint="run `cytof gate` first")
    return there


def _clean(study: Study, events: Events, *, flags: bool) -> Events:
    """Do what the study's ``clean`` settings say, in the order of the instrument: dither last on, first off."""
    settings = study.clean
    events = clean.tell_dither(events)
    if settings.dither == "remove":
        events = clean.remove_dither(events)
    elif settings.dither == "add":
        events = clean.add_dither(events, random_state=provenance.stage_seed(study.seed, "dither"))
    if settings.beads != "none" and (flags or settings.normalize != "none"):
        events = clean.find_beads(events, beads=settings.beads)
    if settings.normalize != "none":
        reference = _reference(study)
        events = clean.normalize_beads(events, norm_to="median" if reference is None else reference)
    if settings.steady and flags:
        events = clean.steady(events)
    if settings.intact and flags:
        events = clean.intact(events)
    if _new_counts(events):
        found = "its counts are not those of the FCS file that was read"
        done = f"open its Gating-ML on gated/{_fcs_name(events.sample_id)}, not on the raw file"
        caution = Caution(f"{events.sample_id}:gating-ml", found, done, level="note")
        events = events.replace(warnings=(*events.warnings, caution))
    return events


def _reference(study: Study) -> Path | None:
    """Return the path of the table of bead medians; None where the study names none."""
    if study.clean.normalize in ("none", "median"):
        return None
    path = study.path(study.clean.normalize)
    if not path.is_file():
        raise ConfigError(
            f"`clean.normalize` is {study.clean.normalize!r}, expected none, median or a table of bead medians",
            where=str(path),
            hint="make one with cytof.clean.bead_reference",
        )
    return path


def _new_counts(events: Events) -> bool:
    """Tell whether cleaning changed counts."""
    return any(s["step"] in ("normalize_beads", "remove_dither", "add_dither") for s in events.steps)


def _fcs_name(sample_id: str) -> str:
    return f"{sample_id}.counts.fcs"


def read_cells(study: Study) -> AnnData:
    """Return what ``cytof cluster`` wrote.

    Raises
    ------
    InputError
        It is not there, or was made with other settings or gated samples than the study has now.
    """
    file = study.out / "cells.h5ad"
    if not file.exists():
        raise InputError("no clustered cells here", where=str(file), hint="run `cytof cluster` first")
    made = provenance.done_key(file)
    if made is not None and made != key(study, "cluster", map(provenance.sha256, gated_files(study))):
        raise InputError(
            "made with other settings or samples than the study has now",
            where=str(file),
            hint="run `cytof cluster` again (after `cytof gate`, where files or gates changed)",
        )
    return io.read_h5ad(file)


_LATER = {"gate": {"cluster", "embed", "track", "compare", "markers"}, "cluster": {"track", "compare"}}
"""Settings that a stage does not read."""


def key(study: Study, stage: str, inputs: Iterable[str]) -> str:
    """Return the stage key: hashes of the inputs and every setting that can change a number of this stage."""
    reference = _reference(study)
    hashes = [*inputs, *([provenance.sha256(reference)] if reference else [])]
    settings = study.model_dump(mode="json", exclude={"name", "results", *_LATER[stage]})
    return provenance.stage_key(stage, hashes, settings)


def read_table(study: Study, name: str) -> pd.DataFrame | None:
    """Return ``results/tables/<name>.csv``, None where an earlier stage had nothing to write."""
    file = study.out / "tables" / f"{name}.csv"
    return pd.read_csv(file, dtype={"sample_id": str}) if file.exists() else None


def write_tables(study: Study, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write ``results/tables/<name>.csv``."""
    for name, table in tables.items():
        io.write_table(study.out / "tables" / f"{name}.csv", table)


def write_gatingml(path: Path, gated: Gating) -> None:
    """Write the gates of one sample, on the channel names of its FCS file.

    Where cleaning changed counts, the events go beside it as ``<sample>.counts.fcs``, and the gates are for that file.
    """
    events, sample, transformed = gated.events, gated.events.sample_id, gated.events.transformed
    if _new_counts(events):
        name = _fcs_name(sample)
        io.write_fcs(path.parent / name, events)
        sample, transformed = f"{sample}; gates are for {name}, whose counts are not those of the raw file", False
    io.write_gatingml(
        path, gated.regions, gated.parents, channels=events.channels["pnn"].to_dict(), sample_id=sample,
        transformed=transformed,
    )  # fmt: skip
