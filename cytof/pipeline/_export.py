"""What leaves a study for other software: FCS files with gate, subset, clusters and map as columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cytof import io
from cytof.errors import SampleFailures
from cytof.keys import OBSM, Obs
from cytof.pipeline._files import read_cells, read_sheet
from cytof.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["export"]

_LABELS = (Obs.GATE, Obs.SUBSET, Obs.FLOWSOM, Obs.PHENOGRAPH)


def export(study: Study, *, cells_only: bool = False) -> list[Path]:
    """Write each sample's FCS file again with what the study found out, for FlowJo, Cytobank, FlowKit or R.

    Parameters
    ----------
    study
        A study after :func:`cytof.pipeline.cluster`.
    cells_only
        Only the events that were kept (CD3+ for ``car_t_41``); otherwise every event, in the order of the file.

    Returns
    -------
    Paths ``results/fcs/<sample>.fcs``: the counts as they were, and the columns ``gate subset flowsom phenograph``
    (whole numbers; 0: none; what each means is in the keywords ``GATE_1``, ``GATE_2``, ...), ``tsne1 tsne2`` (scaled to
    0-1000 over all samples; -100 off the map), ``car`` (0 or 1).

    Raises
    ------
    InputError
        The study has no clustered cells yet.
    SampleFailures
        A file of the study is not there any more, or is not the one that was gated; the others are written.
    """
    cells = read_cells(study)
    corner, span = _frame(cells)
    written, failed = [], []
    for row in read_sheet(study).itertuples():
        here = (cells.obs[Obs.SAMPLE] == row.sample_id).to_numpy()
        rows = cells.obs[Obs.EVENT].to_numpy()[here]
        events = io.read_fcs(row.path, sample_id=row.sample_id)
        if len(rows) and rows.max() >= len(events):
            failed.append(f"  {row.sample_id}: {row.path.name} holds {len(events):,} events, fewer than were gated")
            continue
        columns = _columns(cells, here, len(events), corner, span)
        if cells_only:
            events, columns = events.take(rows), {name: values[rows] for name, values in columns.items()}
        out = study.out / "fcs" / f"{row.sample_id}.fcs"
        io.write_fcs(out, events, extra_columns=columns, keywords=_meanings(cells))
        written.append(out)
    if failed:
        raise SampleFailures("\n".join(["some samples cannot be exported; run `cytof run` again:", *failed]))
    return written


def _frame(cells: AnnData) -> tuple[NDArray, NDArray]:
    """Return the lower corner and the span of the map."""
    if OBSM.TSNE not in cells.obsm or not np.isfinite(cells.obsm[OBSM.TSNE]).any():
        return np.zeros(2), np.ones(2)
    low = np.nanmin(cells.obsm[OBSM.TSNE], axis=0)
    return low, np.nanmax(cells.obsm[OBSM.TSNE], axis=0) - low


def _columns(
    cells: AnnData, here: NDArray[np.bool_], n: int, corner: NDArray, span: NDArray
) -> dict[str, NDArray[np.float32]]:
    """Return the columns of one sample; codes count the categories of all samples, so that they agree between files."""
    rows = cells.obs[Obs.EVENT].to_numpy()[here]
    columns = {}
    for name in _LABELS:
        if name in cells.obs:
            columns[name] = _spread(cells.obs[name].cat.codes.to_numpy()[here] + 1, rows, n)
    columns[Obs.CAR] = _spread(cells.obs[Obs.CAR].to_numpy()[here], rows, n)
    if OBSM.TSNE in cells.obsm:
        place = np.nan_to_num((cells.obsm[OBSM.TSNE][here] - corner) / span * 1000, nan=-100)
        for axis in (0, 1):
            columns[f"tsne{axis + 1}"] = _spread(place[:, axis], rows, n, outside=-100)
    return columns


def _spread(values: NDArray, rows: NDArray, n: int, outside: float = 0) -> NDArray[np.float32]:
    column = np.full(n, outside, np.float32)
    column[rows] = values
    return column


def _meanings(cells: AnnData) -> dict[str, Any]:
    """Return the keywords that say what each whole number means."""
    meanings: dict[str, Any] = {}
    for name in _LABELS:
        if name in cells.obs:
            labels: pd.Index = cells.obs[name].cat.categories
            meanings |= {f"{name.upper()}_{k}": str(label) for k, label in enumerate(labels, start=1)}
    return meanings
