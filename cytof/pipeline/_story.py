"""What a reviewer asks years later: inputs, settings, versions, seeds, gates, and who changed which gate and why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cytof import gate as gating
from cytof import provenance
from cytof.errors import CytofError
from cytof.io import instrument, scan_fcs
from cytof.keys import Obs
from cytof.panel.panel import REAGENT, Panel
from cytof.pipeline._files import read_sheet
from cytof.pipeline._keys import INFUSIONS
from cytof.study import Study

__all__ = ["OVERRIDES", "SEEDS", "cells_story", "run_story"]

OVERRIDES = "overrides.yaml"
"""Gate changes made by a person, beside study.yaml; see :func:`cytof.gate.read_overrides`."""

SEEDS = ("dither", "gate", "fit", "flowsom", "stability", "draw", "phenograph", "tsne")


def cells_story(study: Study) -> dict[str, Any]:
    """Return what the cells came from, for ``uns["cytof"]["run"]``: nothing of it that comes after them."""
    sheet, markers = read_sheet(study), study.read_panel()
    template = study.read_gates(markers)
    changes = gating.read_overrides(study.path(OVERRIDES), template, sheet[Obs.SAMPLE])
    reviews = [
        {"sample_id": c.sample_id, "gate": c.gate, "author": c.author, "date": c.date, "reason": c.reason,
         "before": dict(c.before), "after": dict(c.after)}
        for c in changes
    ]  # fmt: skip
    later = {"name", "results", "samples", "data_dir", "track", "compare"}
    return {
        "inputs": {s: _input(Path(p)) for s, p in zip(sheet[Obs.SAMPLE], sheet["path"], strict=True)},
        "settings": study.model_dump(mode="json", exclude=later),
        "sheet": _sha(sheet.drop(columns="path").to_csv(index=False)),
        "panel": _sha(markers.table.to_csv()) if markers is not None else "",
        "panels": _own_panels(study, sheet),
        "reagents": _reagents(markers),
        "gates": _sha(template.text) if template is not None else "",
        "subsets": _sha(repr(study.read_subsets())),
        "overrides": {"sha256": _file(study.path(OVERRIDES)), "reviews": reviews},
        "clean": {p.name: _file(p) for p in study.clean_inputs()},
        "seeds": {"study": study.seed} | {s: provenance.stage_seed(study.seed, s) for s in SEEDS},
        "versions": provenance.versions(),
    }


def run_story(study: Study, warnings: list[dict[str, Any]], failed: Mapping[str, str]) -> dict[str, Any]:
    """Return what ``run.json`` holds: the story of the cells, all settings, what was odd, and what failed."""
    return {
        **cells_story(study),
        "infusions": _file(study.path(INFUSIONS)),
        "study": study.model_dump(mode="json"),
        "failed": dict(failed),
        "warnings": warnings,
    }


def _input(path: Path) -> dict[str, Any]:
    """Return name, hash and size of a file, and what it says of itself: events, channels and the machine."""
    if not path.is_file():
        return {"file": path.name, "sha256": "", "bytes": 0}
    found: dict[str, Any] = {"file": path.name, "sha256": _file(path), "bytes": path.stat().st_size}
    try:
        header = scan_fcs(path)
    except CytofError:  # told where the sample is read, as its fault
        return found
    return found | {"events": header.n_events, "channels": header.n_channels, "instrument": instrument(header.keywords)}


def _own_panels(study: Study, sheet: pd.DataFrame) -> dict[str, str]:
    """Return name -> hash of the panels that the sheet names for samples of their own."""
    found = {}
    for name in sorted({str(n) for n in sheet.get("panel", ()) if str(n)}):
        markers = study.read_panel(name)
        found[name] = "" if markers is None else _sha(markers.table.to_csv())
    return found


def _reagents(markers: Panel | None) -> dict[str, dict[str, str]]:
    """Return antigen -> clone, supplier, catalogue number and dilution, those of them that the panel tells."""
    if markers is None:
        return {}
    told = [c for c in REAGENT if c in markers.table]
    rows = markers.table.set_index("antigen")[told].to_dict("index") if told else {}
    return {str(a): {k: str(v) for k, v in row.items() if str(v).strip()} for a, row in rows.items()}


def _file(path: Path) -> str:
    return provenance.sha256(path) if path.is_file() else ""


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
