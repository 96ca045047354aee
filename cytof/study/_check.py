"""All faults of a study in one list, before hours of work: settings, sheet, panel, gates, files, channels, dates."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from cytof import io, panel
from cytof._check import nearest
from cytof.errors import Caution, ConfigError, CytofError, PanelError, ResourceError
from cytof.keys import Obs
from cytof.panel import Panel, Template
from cytof.panel.channel import marker_from_name
from cytof.panel.matching import antibodies, named_alike
from cytof.study._settings import Study

__all__ = ["CheckResult", "barcode_faults", "check"]


@dataclass
class CheckResult:
    """What a check found.

    Attributes
    ----------
    faults
        Errors that keep the study from running, in the order of the study's parts.
    cautions
        What was mended or passed over.
    table
        One row a sample: ``sample_id events channels antibodies missing warnings``.
    compatibility
        One row an antigen, one column a sample: the channel it is on; see :func:`cytof.panel.compatibility`.
    """

    faults: list[CytofError] = field(default_factory=list)
    cautions: list[Caution] = field(default_factory=list)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    compatibility: pd.DataFrame = field(default_factory=pd.DataFrame)

    def attempt(self, part: Callable[[], Any]) -> Any:
        """Return what ``part`` gives, or note its error and return None."""
        try:
            return part()
        except CytofError as error:
            self.faults.append(error)
            return None


def check(study: Study) -> CheckResult:
    """Check a study without computing anything: only HEADER and TEXT of the files are read.

    Parameters
    ----------
    study
        From :func:`cytof.study.load`.

    Returns
    -------
    CheckResult; the study can be run when ``faults`` is empty.

    Examples
    --------
    ``check(load("demo/study.yaml")).faults`` is ``[]`` after ``cytof demo``.
    """
    found = CheckResult()
    found.attempt(partial(_writable, study))
    markers = found.attempt(study.read_panel)
    template = found.attempt(lambda: study.read_gates(markers))
    found.attempt(study.read_subsets)
    sheet = found.attempt(lambda: io.read_sheet(study.path(study.samples), data_dir=study.path(study.data_dir)))
    if sheet is None:
        return found
    if template is not None:
        found.faults += _gate_names(study, template)
    found.faults += _reference(study, sheet) + _compared(study, sheet)
    found.attempt(study.clean_inputs)
    found.faults += barcode_faults(study, sheet)
    found.cautions += _dates(study, sheet)
    if markers is not None and template is not None and template.car_gate is None:
        stained = markers.table.index[markers.table["role"] == "car"]
        found.cautions += [
            Caution(f"{study.gates or study.panel}", f"no gate is marked `car: true`, though {c} is stained", "go on")
            for c in stained
        ]
    needed = sorted({d for g in template.gates for d in g.dims}) if template is not None else []
    panels = {"": markers}
    rows, tables = [], {}
    for row in sheet.itertuples():
        own = str(getattr(row, "panel", ""))
        if own not in panels:
            panels[own] = found.attempt(partial(study.read_panel, own))
        header = found.attempt(partial(io.scan_fcs, row.path))
        if header is None:
            continue
        found.cautions += header.warnings
        channels = panel.channel_table(header.pnn, header.pns)
        if panels[own] is not None:
            channels, more = panels[own].match(header.pnn, header.pns, where=str(row.file_name))
            found.cautions += more
            found.faults += _contradictions(panels[own], channels, header, str(row.file_name))
        found.faults += _missing(channels, needed, panels[own], str(row.file_name))
        rows.append(_row(row.sample_id, header, channels, panels[own]))
        tables[row.sample_id] = channels
    found.table = pd.DataFrame(rows)
    named = [str(a) for t in tables.values() for c, a in t["antigen"].items() if c != a]
    wanted = markers.antigens if markers is not None else list(dict.fromkeys(named))
    found.compatibility = panel.compatibility(tables, wanted)
    return found


def _writable(study: Study) -> None:
    """Raise when the folder of the results cannot be written: better now than after the gates are placed."""
    there = study.out
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        found = "is not a folder" if not there.is_dir() else "cannot be written"
        raise ResourceError(found, where=str(there), hint="set `results` in study.yaml to a folder of yours")


def _contradictions(markers: Panel, channels: pd.DataFrame, header: Any, file: str) -> list[CytofError]:
    """Return a fault when more than half of the panel's antibodies are named otherwise by the file: the wrong panel."""
    table = antibodies(markers.table)
    table = table[table.index.isin(channels.index)]
    names = channels.loc[table.index]
    told, wrong, said = [], [], {}
    for channel, pnn, pns, antigen, synonyms in zip(
        table.index, names.pnn, names.pns, table.antigen, table.synonyms, strict=True
    ):
        said[channel] = marker_from_name(pnn, pns)
        if said[channel]:
            told.append(channel)
            if not named_alike(said[channel], antigen, synonyms):
                wrong.append(channel)
    if len(told) < 5 or len(wrong) <= len(told) / 2:
        return []
    shipped, _ = panel.guess(header)
    first = wrong[0]
    hint = (
        f"these channels fit the shipped panel `{shipped}`" if shipped else "name the panel this file was stained with"
    )
    message = (
        f"{len(wrong)} of {len(told)} channels bear another antigen than panel {markers.name} says, "
        f"{first} for one is `{said[first]}` and not `{markers.table.at[first, 'antigen']}`"
    )
    return [PanelError(message, where=file, hint=hint)]


def _dates(study: Study, sheet: pd.DataFrame) -> list[Caution]:
    """Return a note where the order of the visits cannot be told from the sheet."""
    where = str(study.path(study.samples))
    several = sheet.groupby(Obs.PATIENT)[Obs.SAMPLE].transform("size") > 1
    notes = []
    undated = sheet.loc[several & sheet[Obs.DAY].isna(), Obs.SAMPLE]
    if len(undated):
        found = f"`day` is empty for {len(undated)} of {len(sheet)} samples: {', '.join(undated[:3])}"
        notes.append(Caution(where, found, "these come last, in the order of their names"))
    twins = sheet[sheet[Obs.DAY].notna() & sheet.duplicated([Obs.PATIENT, Obs.DAY, "condition"], keep=False)]
    if len(twins):
        found = f"samples {', '.join(twins[Obs.SAMPLE][:4])} of one patient share a day and a condition"
        notes.append(Caution(where, found, "took them as separate samples of that day"))
    return notes


def _gate_names(study: Study, template: Template) -> list[CytofError]:
    """Return one fault for each setting that names a gate the template lacks."""
    faults: list[CytofError] = []
    for key in ("gate.keep", "cluster.population", "track.population", "track.of"):
        section, name = key.split(".")
        value = getattr(getattr(study, section), name)
        try:
            if value not in (None, "root"):
                template.gate(value)
        except CytofError as error:
            where = str(study.path("study.yaml"))
            faults.append(ConfigError(f"`{key}`: {error.message}", where=where, hint=error.hint))
    return faults


def _reference(study: Study, sheet: pd.DataFrame) -> list[CytofError]:
    reference = study.compare.reference
    known = sheet[Obs.TIMEPOINT].astype(str).unique()
    if reference is None or reference in known:
        return []
    listed = f"time points of the sheet: {', '.join(known)}"
    where = str(study.path("study.yaml"))
    hint = nearest(reference, known)
    return [ConfigError(f"`compare.reference` is `{reference}`, which no sample has; {listed}", where=where, hint=hint)]


def _compared(study: Study, sheet: pd.DataFrame) -> list[CytofError]:
    """Return one fault for each column of ``compare.by`` that the sheet lacks or that has one level."""
    faults: list[CytofError] = []
    for name in study.compare.by:
        levels = sorted(set(sheet[name].dropna().astype(str)) - {""}) if name in sheet else []
        if len(levels) > 1:
            continue
        said = f"has one level, {', '.join(levels) or 'empty'}" if name in sheet else "is no column of the sample sheet"
        hint = "" if name in sheet else nearest(name, [str(c) for c in sheet.columns])
        where = str(study.path("study.yaml"))
        faults.append(ConfigError(f"`compare.by`: `{name}` {said}", where=where, hint=hint))
    return faults


def barcode_faults(study: Study, sheet: pd.DataFrame) -> list[CytofError]:
    """Return what is wrong with samples of pooled files: barcodes without a key, or a key without barcodes.

    Examples
    --------
    >>> from pathlib import Path
    >>> table = pd.DataFrame({"sample_id": ["s1"], "barcode": ["A1"]})
    >>> barcode_faults(Study(folder=Path(".")), table)[0].message
    '`s1` has barcode A1, but `clean.barcodes` names no key'
    """
    named = sheet["barcode"].astype(str) if "barcode" in sheet else pd.Series("", index=sheet.index)
    where, key = str(study.path(study.samples)), study.clean.barcodes
    bare = sheet.loc[named == "", Obs.SAMPLE]
    if key == "none" and (named != "").any():
        first = sheet.loc[named != ""].iloc[0]
        message = f"`{first[Obs.SAMPLE]}` has barcode {first['barcode']}, but `clean.barcodes` names no key"
        return [ConfigError(message, where=where, hint="name the key in study.yaml, or leave the column out")]
    if key != "none" and len(bare):
        message = f"`{bare.iloc[0]}` has no barcode, but `clean.barcodes` is {key}"
        return [ConfigError(message, where=where, hint="fill in the column `barcode`, or set `clean.barcodes: none`")]
    return []


def _missing(channels: pd.DataFrame, needed: list[str], markers: Panel | None, file: str) -> list[CytofError]:
    """Return one fault that lists every antigen that a gate needs and the file lacks."""
    present = {str(v).casefold() for column in ("antigen", "role", "pnn") for v in channels[column]}
    present |= {str(c).casefold() for c in channels.index}
    lacking, near = [], []
    for name in needed:
        spelling = _panel_name(markers, name)
        if spelling.casefold() in present:
            continue
        at = markers.table.index[markers.table.antigen == spelling] if markers is not None else []
        lacking.append(f"`{name}` ({at[0]})" if len(at) else f"`{name}`")
        near.append(nearest(name, [str(a) for a in channels["antigen"]], cutoff=0.8))
    if not lacking:
        return []
    hint = (near[0] if len(near) == 1 else "") or "check `panel` in study.yaml; `cytof inspect FILE` lists the channels"
    return [PanelError(f"no channel for {', '.join(lacking)}, which the gates need", where=file, hint=hint)]


def _panel_name(markers: Panel | None, name: str) -> str:
    if markers is None:
        return name
    try:
        return markers.antigen(name)
    except PanelError:
        return name


def _row(sample: str, header: Any, channels: pd.DataFrame, markers: Panel | None) -> dict[str, Any]:
    antibodies = set(markers.antigens) if markers is not None else set()
    present = antibodies & set(channels["antigen"])
    return {
        Obs.SAMPLE: sample,
        "events": header.n_events,
        "channels": len(header.pnn),
        "antibodies": f"{len(present)}/{len(antibodies)}" if markers is not None else "",
        "missing": ", ".join(sorted(antibodies - present)) or "-",
        "warnings": len(header.warnings),
    }
