"""Stage keys of a study: what each stage's result depends on, and nothing else.

A stage that reads another's output takes the sha256 of its bytes, so that work goes on only where something changed:
an override of one gate in one sample changes that sample's key, its cells, and the key of what reads these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import provenance
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.panel.template import Template
from cytof.pipeline._select import kept_gate
from cytof.study import Study

if TYPE_CHECKING:
    from cytof.gate import Override

__all__ = ["INFUSIONS", "clean_keys", "file_hash", "gate_key", "place_key", "stage_key"]

VERSIONS = {"clean": 1, "place": 1, "gate": 2, "cluster": 3, "track": 2, "compare": 2, "report": 2, "gate_pages": 1}
"""Raised by whoever changes a stage's results."""

_NEVER = {"name", "results", "samples", "data_dir", "panel", "gates", "clean", "gate"}  # read through what they name
_NOT_READ = {
    "cluster": _NEVER | {"track", "compare"},
    "track": _NEVER | {"compare"},
    "compare": _NEVER | {"track"},
    "report": {"results"},
    "gate_pages": {"results"},
}
"""Settings that a stage does not read; a section that is new here is read by every stage."""

INFUSIONS = "infusions.csv"
"""Table beside study.yaml that ends courses at another CAR T product; see :func:`cytof.io.read_infusions`."""

_BESIDE = {"track": (INFUSIONS,), "report": (INFUSIONS,)}
"""Tables beside study.yaml that a stage reads though no setting names them."""


def file_hash(path: str | Path) -> str:
    """Return the sha256 of an input.

    Raises
    ------
    InputError
        It is not there any more, or cannot be read.
    """
    try:
        return provenance.sha256(path)
    except OSError as error:
        hint = "put it back, or take it out of the sample sheet"
        raise InputError(f"cannot be read any more: {error.strerror}", where=str(path), hint=hint) from error


def clean_keys(study: Study, sheet: pd.DataFrame, *, flags: bool) -> dict[str, str | InputError]:
    """Return the key of each sample's cleaned events (its file, its panel, its barcode, the cleaning), or its fault."""
    found: dict[str, str | InputError] = {}
    panels: dict[str, str] = {}
    tables = [*map(provenance.sha256, study.clean_inputs())]
    for row in sheet.itertuples():
        own = str(getattr(row, "panel", ""))
        if own not in panels:
            markers = study.read_panel(own)
            panels[own] = "" if markers is None else markers.table.to_csv()
        params = {
            "sample": row.sample_id,
            "barcode": str(getattr(row, "barcode", "")),
            "panel": panels[own],
            "clean": study.clean.model_dump(mode="json"),
            "flags": flags,
            "seed": study.seed,
        }
        try:
            inputs = [file_hash(row.path), *tables]
        except InputError as error:
            found[row.sample_id] = error
            continue
        found[row.sample_id] = provenance.stage_key("clean", inputs, params, version=VERSIONS["clean"])
    return found


def place_key(study: Study, sheet: pd.DataFrame, cleaned: Mapping[str, str], template: Template) -> str:
    """Return the key of the thresholds: the samples they are placed on, the template, the sheet, the draw."""
    rows = sheet[sheet[Obs.SAMPLE].isin(list(cleaned))]
    params = {"gates": template.text, "draw": study.gate.draw, "seed": study.seed, "sheet": _text(rows)}
    return provenance.stage_key("place", list(cleaned.values()), params, version=VERSIONS["place"])


def gate_key(
    study: Study, row: Any, cleaned: str, *, template: Template | None = None, placed: pd.DataFrame | None = None,
    changes: Iterable[Override] = (), imported: Mapping[str, Any] | None = None,
) -> str:  # fmt: skip
    """Return the key of one sample's gates: its cleaned events, its thresholds, the changes a person made to them.

    ``imported``: what names the gates of other software, in place of template and thresholds.
    """
    own = [] if placed is None else placed[placed[Obs.SAMPLE].astype(str) == row.sample_id].to_dict("list")
    params = {
        "row": {k: str(v) for k, v in row._asdict().items() if k not in ("Index", "path", "file_name")},
        "gates": "none" if template is None else template.text,
        "keep": study.gate.keep or ("" if template is None else kept_gate(template)),
        "thresholds": own,
        "overrides": [c.digest() for c in changes if c.sample_id == row.sample_id],
        "imported": dict(imported or {}),
    }
    return provenance.stage_key("gate", [cleaned], params, version=VERSIONS["gate"])


def stage_key(study: Study, stage: str, inputs: Iterable[str], **more: Any) -> str:
    """Return the key of a stage over all samples: hashes of what it reads, and every setting that can matter."""
    settings = study.model_dump(mode="json", exclude=_NOT_READ[stage])
    beside = {n: provenance.sha256(study.path(n)) for n in _BESIDE.get(stage, ()) if study.path(n).is_file()}
    params = {"settings": settings, "beside": beside, **more}
    return provenance.stage_key(stage, list(inputs), params, version=VERSIONS[stage])


def _text(sheet: pd.DataFrame) -> str:
    """Return the rows of a sheet as text that no order of rows and no place of files changes."""
    table = sheet.drop(columns=["path", "file_name"], errors="ignore").sort_values(Obs.SAMPLE)
    return table.to_csv(index=False)
