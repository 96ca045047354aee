"""What the stages read and write: the sheet, gated samples, cells, tables, Gating-ML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import io, provenance
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.pipeline._clean import counts_file, new_counts
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.gate import Gating

__all__ = [
    "gated_files", "kept_cells", "read_cells", "read_parts", "read_sheet", "read_table", "write_gatingml",
    "write_parts", "write_tables",
]  # fmt: skip


def read_sheet(study: Study) -> pd.DataFrame:
    """Return the study's sample sheet, by patient, day and name: no result depends on the order of its rows.

    A file that vanished is a fault of its sample, told when it is read; it stops no other.
    """
    sheet = io.read_sheet(study.path(study.samples), data_dir=study.path(study.data_dir), must_exist=False)
    return sheet.sort_values([Obs.PATIENT, Obs.DAY, Obs.SAMPLE], ignore_index=True)


def gated_files(study: Study) -> list[Path]:
    """Return ``results/gated/<sample>.h5ad`` of the samples of the sheet, those that are finished.

    Raises
    ------
    InputError
        There is none.
    """
    stage, found = provenance.read_done(study.out, "gate"), []
    gated = set(stage.note.get("samples", ())) if stage is not None and stage.key else set()
    for sample in read_sheet(study)[Obs.SAMPLE]:
        done = provenance.read_done(study.out, f"gate/{sample}")
        if sample in gated and done is not None and done.key and not provenance.changed(study.out, done):
            found.append(study.out / "gated" / f"{sample}.h5ad")
    if not found:
        raise InputError("no gated samples here", where=str(study.out / "gated"), hint="run `cytof gate` first")
    return found


def kept_cells(study: Study) -> int:
    """Return how many cells the gated samples hold."""
    done = [provenance.read_done(study.out, f"gate/{f.stem}") for f in gated_files(study)]
    return sum(int(d.note.get("n_kept", 0)) for d in done if d is not None)


def read_cells(study: Study) -> AnnData:
    """Return what ``cytof cluster`` wrote.

    Raises
    ------
    InputError
        It is not there, or was made with other settings, files or gated samples than the study has now.
    """
    from cytof.pipeline._plan import current

    file = study.out / "cells.h5ad"
    if not file.exists():
        raise InputError("no clustered cells here", where=str(file), hint="run `cytof cluster` first")
    if not current(study):
        raise InputError(
            "made with other settings or samples than the study has now",
            where=str(file),
            hint="run `cytof cluster` again (after `cytof gate`, where files or gates changed)",
        )
    return io.read_h5ad(file)


def read_table(study: Study, name: str) -> pd.DataFrame | None:
    """Return ``results/tables/<name>.csv``, None where an earlier stage had nothing to write."""
    file = study.out / "tables" / f"{name}.csv"
    return pd.read_csv(file, dtype={"sample_id": str}) if file.exists() else None


def write_tables(study: Study, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write ``results/tables/<name>.csv``."""
    for name, table in tables.items():
        io.write_table(study.out / "tables" / f"{name}.csv", table)


def write_parts(path: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write the rows of one sample in tables that are joined later; numbers read back equal.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "s1.tables.json"
    >>> write_parts(file, {"counts": pd.DataFrame({"n": [3], "share": [0.1]})})
    >>> read_parts(file)["counts"].to_dict("list")
    {'n': [3], 'share': [0.1]}
    """
    found = {name: table.to_dict("list") for name, table in tables.items()}
    with provenance.atomic(path) as part:
        part.write_text(json.dumps(found, default=_plain), encoding="utf-8")


def read_parts(path: Path) -> dict[str, pd.DataFrame]:
    """Return what :func:`write_parts` wrote."""
    return {name: pd.DataFrame(columns) for name, columns in json.loads(path.read_text("utf-8")).items()}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


def write_gatingml(path: Path, gated: Gating) -> None:
    """Write the gates of one sample, on the channel names of its FCS file.

    Where cleaning changed counts, the events go beside it as ``<sample>.counts.fcs``, and the gates are for that file.
    """
    events, sample, transformed = gated.events, gated.events.sample_id, gated.events.transformed
    if new_counts(events):
        name = counts_file(sample)
        io.write_fcs(path.parent / name, events)
        sample, transformed = f"{sample}; gates are for {name}, whose counts are not those of the raw file", False
    io.write_gatingml(
        path, gated.regions, gated.parents, channels=events.channels["pnn"].to_dict(), sample_id=sample,
        transformed=transformed,
    )  # fmt: skip
