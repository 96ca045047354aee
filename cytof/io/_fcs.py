"""Read an FCS file: every size checked against the file, every repair told, what cannot be trusted refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import UsageError
from cytof.events import Events
from cytof.io._data import read_matrix
from cytof.io._dataset import find_data_set
from cytof.io._header import Notes, open_fcs
from cytof.io._scan import FCSHeader, as_header, data_set_number
from cytof.io._told import already_arcsinh, back_to_counts, check_data, linearized, tell_tally, tell_time
from cytof.panel import Panel, channel_table, load

__all__ = ["read_fcs"]


def read_fcs(
    path: str | Path,
    *,
    panel: Panel | str | Path | None = None,
    sample_id: str | None = None,
    dataset: int | None = None,
    channels: Sequence[str] | None = None,
    events: int | slice | Sequence[int] | NDArray | None = None,
    trust_data_size: bool = False,
    linearize: bool = False,
) -> Events:
    """Read an FCS 2.0, 3.0, 3.1 or 3.2 file as float32 counts.

    Parameters
    ----------
    path
        The file.
    panel
        What the channels mean: a :class:`~cytof.panel.Panel`, its name or file; None takes the file's own names.
    sample_id
        Name of the sample; the file's name without suffix by default.
    dataset
        Which of chained data sets, from 1; needed only where there are more.
    channels
        Read these alone, in this order: channel (``Nd142``), antigen, ``$PnN`` or role.
    events
        Read the first so many, a slice, or these row numbers.
    trust_data_size
        Where ``$TOT`` is wrong, take the number of events from the size of DATA.
    linearize
        Apply ``$PnE`` to integer channels of old instruments.

    Returns
    -------
    Events
        ``X`` counts, shape (n_events, n_channels). A file that is already on the arcsinh scale is brought back to
        counts with each channel's cofactor, and ``transformed`` is True. ``warnings`` tell what was mended.

    Raises
    ------
    FCSError
        The file cannot be trusted; names the file and the segment or keyword.
    PanelError
        A channel asked for is not there.
    ResourceError
        The events do not fit into free memory.

    References
    ----------
    Spidlen et al. 2010, FCS 3.1; Spidlen et al. 2021, FCS 3.2.

    Examples
    --------
    >>> import tempfile; from cytof.io import write_fcs
    >>> out = Path(tempfile.mkdtemp()) / "a.fcs"
    >>> write_fcs(out, np.array([[1.0], [30.0]]), pnn=["Nd142Di"], pns=["142Nd_CD19"])
    >>> read_fcs(out).column("CD19").tolist()
    [1.0, 30.0]
    """
    notes = Notes(path)
    handle, size = open_fcs(notes.path, notes)
    with handle:
        found = find_data_set(handle, size, data_set_number(dataset), notes, trust_data_size)
        header = as_header(found, dataset or 1, notes)
        table = _channels(header, panel, notes)
        check_data(handle, found, size, notes)
        columns = _columns(table, channels, header)
        rows = _rows(events, header.n_events, notes)
        X, tally = read_matrix(handle, found.coding, found.place, columns, rows, notes)
        masses = np.flatnonzero(table["mass"].to_numpy() > 0)
        transformed = already_arcsinh(handle, found, masses.tolist(), notes)
    table = table.iloc[columns]
    tell_tally(tally, table, notes)
    if linearize:
        linearized(X, header, columns)
    if transformed:
        back_to_counts(X, table, notes)
    tell_time(X, table, header, notes)
    numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    return Events(
        X, table, dict(header.keywords), sample_id or notes.path.stem, tuple(notes.cautions),
        rows=numbers.astype(np.int64, copy=False), transformed=transformed,
    )  # fmt: skip


def _channels(header: FCSHeader, panel: Panel | str | Path | None, notes: Notes) -> pd.DataFrame:
    """Return the channel table; a repeated channel keeps both columns unless the panel needs it."""
    if isinstance(panel, str | Path):
        panel = load(panel)
    table = channel_table(header.pnn, header.pns)
    first: dict[str, int] = {}
    names: dict[str, int] = {}
    for n, (pnn, metal, mass) in enumerate(zip(table.pnn, table.metal, table.mass, strict=True), start=1):
        name = pnn.strip()
        key = f"{metal}{mass}" if mass else name
        if key in first and panel is not None and key in panel.table.index:
            found = f"channel {key} is $P{first[key]}N too, and panel {panel.name} needs it"
            raise notes.error(f"$P{n}N", found, "remove one of them")
        if key in first or name in names:
            other = first[key] if key in first else names[name]
            notes.add(f"$P{n}N", f"{name!r} is the name of $P{other}N too", f"called it {table.index[n - 1]}")
        first.setdefault(key, n)
        names.setdefault(name, n)
    if panel is not None:
        table, cautions = panel.match(header.pnn, header.pns, where=notes.path.name)
        notes.cautions.extend(cautions)
    return table


def _columns(table: pd.DataFrame, channels: Sequence[str] | None, header: FCSHeader) -> list[int]:
    if channels is None:
        return list(range(len(table)))
    if isinstance(channels, str):
        channels = [channels]
    names = Events(np.empty((0, len(table)), np.float32), table, {}, header.path.name)
    return [int(table.index.get_loc(names.channel(c))) for c in channels]


def _rows(events: Any, n_events: int, notes: Notes) -> NDArray[np.int64] | slice:
    if events is None:
        return slice(0, n_events)
    if isinstance(events, int | np.integer):
        if events < 0:
            raise UsageError(f"events is {events}, expected 0 or more", where=str(notes.path))
        return slice(0, min(int(events), n_events))
    if isinstance(events, slice):
        start, stop, step = events.indices(n_events)
        return slice(start, max(start, stop)) if step == 1 else np.arange(start, stop, step, dtype=np.int64)
    rows = np.asarray(events)
    if rows.dtype == bool and rows.shape == (n_events,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or (rows.size and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_events)):
        raise UsageError(f"events holds row numbers outside 0 to {n_events - 1}", where=str(notes.path))
    return rows.astype(np.int64)
