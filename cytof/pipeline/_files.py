"""What the stages read and write: gated samples, cells, tables, Gating-ML, stage keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cytof import io, provenance
from cytof.errors import InputError
from cytof.keys import Obs
from cytof.pipeline._clean import counts_file, new_counts
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.gate import Gating

__all__ = ["gated_files", "key", "read_cells", "read_sheet", "read_table", "write_gatingml", "write_tables"]


def read_sheet(study: Study) -> pd.DataFrame:
    """Return the study's sample sheet."""
    return io.read_sheet(study.path(study.samples), data_dir=study.path(study.data_dir))


def gated_files(study: Study) -> list[Path]:
    """Return ``results/gated/<sample>.h5ad`` in the order of the sheet, those that are there."""
    files = [study.out / "gated" / f"{sample}.h5ad" for sample in read_sheet(study)[Obs.SAMPLE]]
    there = [f for f in files if f.exists()]
    if not there:
        raise InputError("no gated samples here", where=str(study.out / "gated"), hint="run `cytof gate` first")
    return there


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
    hashes = [*inputs, *map(provenance.sha256, study.clean_inputs())]
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
    if new_counts(events):
        name = counts_file(sample)
        io.write_fcs(path.parent / name, events)
        sample, transformed = f"{sample}; gates are for {name}, whose counts are not those of the raw file", False
    io.write_gatingml(
        path, gated.regions, gated.parents, channels=events.channels["pnn"].to_dict(), sample_id=sample,
        transformed=transformed,
    )  # fmt: skip
