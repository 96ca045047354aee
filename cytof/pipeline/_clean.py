"""Every sample of a study, cleaned: one file in memory at a time, in the order that the instrument asks for.

Dither off or on, spillover out, beads found, drift out, unsteady windows flagged; then, of a pooled run, the sample
that the row of the sheet names; then debris, doublets and dead cells of that sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from cytof import clean, io, provenance
from cytof.clean import Debarcoding
from cytof.errors import Caution, CytofError, ResourceError, raise_all
from cytof.events import Events
from cytof.study import Study, barcode_faults

__all__ = ["by_file", "cleaned", "counts_file", "new_counts"]

_CHANGES = ("compensate", "normalize_beads", "remove_dither", "add_dither")


def cleaned(study: Study, rows: Sequence[Any], *, flags: bool = True) -> Iterator[tuple[Any, Events | CytofError]]:
    """Read and clean the samples of one file: one, or all of a pooled run that are asked for.

    Gives each row of the sheet with its events, or with what is wrong with it. ``flags=False``: nothing is flagged, for
    files that are taken as they are; a flag that no gate reads leaves out nothing, and the report would say otherwise.
    """
    pool: Debarcoding | None = None
    for row in rows:
        markers, barcode = study.read_panel(str(getattr(row, "panel", ""))), str(getattr(row, "barcode", ""))
        try:
            if not barcode:
                events = _whole(study, io.read_fcs(row.path, panel=markers, sample_id=row.sample_id), flags=flags)
            else:
                if pool is None:
                    pool = _pool(study, io.read_fcs(row.path, panel=markers), flags=flags)
                events = _sample(pool, barcode, row.sample_id)
            yield row, _intact(study, events, flags=flags)
        except ResourceError:
            raise
        except CytofError as error:
            yield row, error


def by_file(study: Study, sheet: pd.DataFrame) -> list[list[Any]]:
    """Return the rows of a sheet, those of one file together: what one task reads.

    Raises
    ------
    ConfigError
        Barcodes without a key, a key without barcodes, or a table that cleaning needs is not there.
    """
    raise_all(barcode_faults(study, sheet))
    study.clean_inputs()  # a table that is not there is told once, before any file is read
    files: dict[str, list[Any]] = {}
    for row in sheet.itertuples():
        files.setdefault(str(row.path), []).append(row)
    return list(files.values())


def new_counts(events: Events) -> bool:
    """Tell whether cleaning changed counts, or took one sample out of a pooled file."""
    return any(s["step"] in (*_CHANGES, "debarcode") for s in events.steps)


def counts_file(sample_id: str) -> str:
    """Return the name of the FCS file that holds a sample's events where they are not those of the file read."""
    return f"{sample_id}.counts.fcs"


def _whole(study: Study, events: Events, *, flags: bool) -> Events:
    """Do what the study's settings say about a whole file."""
    settings = study.clean
    events = clean.tell_dither(events)
    if settings.dither == "remove":
        events = clean.remove_dither(events)
    elif settings.dither == "add":
        events = clean.add_dither(events, random_state=provenance.stage_seed(study.seed, "dither"))
    if settings.spill != "none":
        events = clean.compensate(events, study.path(settings.spill), method=settings.spill_method)
    if settings.beads != "none" and (flags or settings.normalize != "none"):
        events = clean.find_beads(events, beads=settings.beads)
    if settings.normalize != "none":
        shared = settings.normalize != "median"
        events = clean.normalize_beads(events, norm_to=study.path(settings.normalize) if shared else "median")
    if settings.steady and flags:
        events = clean.steady(events)
    return events


def _pool(study: Study, events: Events, *, flags: bool) -> Debarcoding:
    return clean.debarcode(_whole(study, events, flags=flags), study.path(study.clean.barcodes))


def _sample(pool: Debarcoding, barcode: str, sample_id: str) -> Events:
    """Return the events of one barcode, under the sample's name; what is unassigned belongs to no sample."""
    events = pool.sample(barcode)
    return events.replace(sample_id=sample_id, flags=events.flags.drop(columns="unassigned"))


def _intact(study: Study, events: Events, *, flags: bool) -> Events:
    if study.clean.intact and flags:
        events = clean.intact(events)
    if not new_counts(events):
        return events
    found = "its events or counts are not those of the FCS file that was read"
    done = f"open its Gating-ML on gated/{counts_file(events.sample_id)}, not on the raw file"
    caution = Caution(f"{events.sample_id}:gating-ml", found, done, level="note")
    return events.replace(warnings=(*events.warnings, caution))
