"""Read an FCS file: every size checked against the file, every repair told, what cannot be trusted refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import scale
from cytof.errors import Caution, UsageError
from cytof.events import Events
from cytof.io._data import Tally, check_text_mode, read_matrix
from cytof.io._dataset import DataSet, find_data_set
from cytof.io._header import Notes, open_fcs
from cytof.panel import Panel, channel_table, load

__all__ = ["FCSHeader", "read_fcs", "scan_fcs"]


@dataclass(frozen=True)
class FCSHeader:
    """What HEADER and TEXT of an FCS file say.

    Attributes
    ----------
    path, version, dataset
        The file, ``FCS3.0`` or alike, and which data set of it.
    n_events, pnn, pns
        Number of events, ``$PnN`` and ``$PnS`` as written.
    keywords
        TEXT keywords, upper case.
    kinds, bits, byteorder
        ``I F D`` and bits a channel; ``big`` or ``little``.
    data_begin, event_size
        First byte of DATA in the file and bytes an event.
    warnings
        What was mended or passed over.

    Examples
    --------
    >>> FCSHeader(Path("a.fcs"), "FCS3.1", 1, 0, ("Time",), ("",), {}, ("F",), (32,), "big", 256, 4, ()).n_channels
    1
    """

    path: Path
    version: str
    dataset: int
    n_events: int
    pnn: tuple[str, ...]
    pns: tuple[str, ...]
    keywords: Mapping[str, str]
    kinds: tuple[str, ...]
    bits: tuple[int, ...]
    byteorder: str
    data_begin: int
    event_size: int
    warnings: tuple[Caution, ...]

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.pnn)


def scan_fcs(path: str | Path, *, dataset: int | None = None, trust_data_size: bool = False) -> FCSHeader:
    """Read HEADER and TEXT alone; the events stay on the disk.

    Parameters
    ----------
    path, dataset, trust_data_size
        As for :func:`read_fcs`.

    Raises
    ------
    FCSError
        The file cannot be trusted; names the file and the segment or keyword.

    Examples
    --------
    >>> import tempfile; from cytof.io import write_fcs
    >>> out = Path(tempfile.mkdtemp()) / "a.fcs"
    >>> write_fcs(out, np.ones((3, 1), np.float32), pnn=["Nd142Di"], pns=["CD19"])
    >>> scan_fcs(out).n_events, scan_fcs(out).pns
    (3, ('CD19',))
    """
    notes = Notes(path)
    handle, size = open_fcs(notes.path, notes)
    with handle:
        found = find_data_set(handle, size, _number(dataset), notes, trust_data_size)
    return _as_header(found, dataset or 1, notes)


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
        found = find_data_set(handle, size, _number(dataset), notes, trust_data_size)
        header = _as_header(found, dataset or 1, notes)
        table = _channels(header, panel, notes)
        _check_data(handle, found, size, notes)
        columns = _columns(table, channels, header)
        rows = _rows(events, header.n_events, notes)
        X, tally = read_matrix(handle, found.coding, found.place, columns, rows, notes)
        masses = np.flatnonzero(table["mass"].to_numpy() > 0)
        transformed = _already_arcsinh(handle, found, masses.tolist(), notes)
    table = table.iloc[columns]
    _tell_tally(tally, table, notes)
    if linearize:
        _linearize(X, header, columns)
    if transformed:
        _back_to_counts(X, table, notes)
    _tell_time(X, table, header, notes)
    numbers = np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows
    return Events(
        X, table, dict(header.keywords), sample_id or notes.path.stem, tuple(notes.cautions),
        rows=numbers.astype(np.int64, copy=False), transformed=transformed,
    )  # fmt: skip


def _number(dataset: int | None) -> int | None:
    if dataset is not None and dataset < 1:
        raise UsageError(f"dataset is {dataset}, expected 1 or more")
    return dataset


def _as_header(found: DataSet, dataset: int, notes: Notes) -> FCSHeader:
    keywords, code = found.keywords, found.coding
    numbers = range(1, len(code.kinds) + 1)
    return FCSHeader(
        notes.path, found.header.version, dataset, found.place.n_events,
        tuple(keywords[f"$P{n}N"] for n in numbers), tuple(keywords.get(f"$P{n}S", "") for n in numbers),
        keywords, code.kinds, tuple(8 * w for w in code.widths), "little" if code.order == "<" else "big",
        found.place.begin, code.event_size, tuple(notes.cautions),
    )  # fmt: skip


def _channels(header: FCSHeader, panel: Panel | str | Path | None, notes: Notes) -> pd.DataFrame:
    """Return the channel table; a repeated channel keeps both columns unless the panel needs it."""
    if isinstance(panel, str | Path):
        panel = load(panel)
    table = channel_table(header.pnn, header.pns)
    first: dict[str, int] = {}
    for n, (name, metal, mass) in enumerate(zip(table.pnn, table.metal, table.mass, strict=True), start=1):
        key = f"{metal}{mass}" if mass else name.strip()
        if key not in first:
            first[key] = n
            continue
        if panel is not None and key in panel.table.index:
            raise notes.error(
                f"$P{n}N",
                f"channel {key} is $P{first[key]}N too, and panel {panel.name} needs it",
                "remove one of them",
            )
        notes.add(f"$P{n}N", f"{name.strip()!r} is the name of $P{first[key]}N too", f"called it {table.index[n - 1]}")
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


def _check_data(handle: BinaryIO, found: DataSet, size: int, notes: Notes) -> None:
    n_bytes = found.place.n_events * found.coding.event_size
    if not n_bytes:
        return
    check_text_mode(handle, found.place, n_bytes, size, notes)
    behind = size - found.place.begin - n_bytes
    if 0 < behind <= 1 << 20 and found.header.analysis is None:
        handle.seek(found.place.begin + n_bytes)
        if len(handle.read(behind).strip(b" \0\r\n\t0")) > 9 and "$NEXTDATA" not in "".join(
            c.where for c in notes.cautions
        ):
            notes.add("DATA", f"{behind} bytes behind the last event", "passed over", "note")


def _already_arcsinh(handle: BinaryIO, found: DataSet, masses: list[int], notes: Notes) -> bool:
    """Tell whether the whole file is on the arcsinh scale, whatever part of it was asked for."""
    n_events = found.place.n_events
    if n_events < 100 or not masses:
        return False
    for start in range(0, n_events, 10_000):
        part = slice(start, min(start + 10_000, n_events))
        block, _ = read_matrix(handle, found.coding, found.place, masses, part, notes)
        if len(block) >= 100 and not scale.is_transformed(block) and (start == 0 or not np.nanmax(block) < 20):
            return False
    return True


def _back_to_counts(X: NDArray[np.float32], table: pd.DataFrame, notes: Notes) -> None:
    masses = np.flatnonzero(table["mass"].to_numpy() > 0)
    cofactors = table["cofactor"].to_numpy(float)[masses]
    for start in range(0, len(X), 65_536):
        block = X[start : start + 65_536]
        block[:, masses] = scale.inverse(block[:, masses], cofactors)
    shown = ", ".join(f"{c:g}" for c in np.unique(cofactors))
    notes.add(
        "DATA",
        "already arcsinh-transformed: no mass channel reaches 20, and the values are not whole numbers",
        f"brought back to counts with cofactor {shown}; not transformed twice",
    )


def _tell_tally(tally: Tally, table: pd.DataFrame, notes: Notes) -> None:
    for what, counts, level in (("not finite", tally.odd, "warning"), ("below zero", tally.negative, "note")):
        hit = np.flatnonzero(counts)
        if hit.size:
            shown = ", ".join(f"{table.index[i]} {counts[i]}" for i in hit[:8]) + (" ..." if hit.size > 8 else "")
            notes.add("DATA", f"{counts.sum()} values {what} in {hit.size} channels ({shown})", "kept", level)


def _tell_time(X: NDArray[np.float32], table: pd.DataFrame, header: FCSHeader, notes: Notes) -> None:
    places = np.flatnonzero(table["role"].to_numpy() == "time")
    if not places.size:
        return
    step = header.keywords.get("$TIMESTEP", "").strip()
    if step and not step.replace(".", "", 1).replace("e-", "", 1).replace("E-", "", 1).isdigit():
        notes.add("$TIMESTEP", f"is {step!r:.40}, expected a number of seconds", "left Time as it is in the file")
    time = X[:, places[0]]
    if len(time) > 1:
        with np.errstate(invalid="ignore"):
            resets = int(np.sum(np.diff(time) < -0.5 * np.nanmax(time))) if np.isfinite(time).any() else 0
        if resets:
            what = f"Time starts again {resets} times: concatenated files" if resets <= 20 else "not in order of Time"
            notes.add("DATA", what, "kept the order", "note")


def _linearize(X: NDArray[np.float32], header: FCSHeader, columns: list[int]) -> None:
    """Scale logarithmic integer channels: ``10 ** (f1 * x / range) * f2`` (FCS 3.1, section 3.2.20)."""
    for j, column in enumerate(columns):
        text = header.keywords.get(f"$P{column + 1}E", "0,0").replace(" ", "").split(",")
        try:
            decades, offset = float(text[0]), float(text[1])
            top = float(header.keywords.get(f"$P{column + 1}R", "nan"))
        except (ValueError, IndexError):
            continue
        if header.kinds[column] == "I" and decades > 0 and top > 0:
            X[:, j] = 10 ** (decades * X[:, j].astype(float) / top) * (offset or 1.0)
