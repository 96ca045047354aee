"""HEADER and TEXT of an FCS file, without its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cytof.errors import Caution, UsageError
from cytof.io._dataset import DataSet, find_data_set
from cytof.io._header import Notes, open_fcs

__all__ = ["FCSHeader", "as_header", "data_set_number", "scan_fcs"]


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
    >>> import tempfile; import numpy as np; from cytof.io import write_fcs
    >>> out = Path(tempfile.mkdtemp()) / "a.fcs"
    >>> write_fcs(out, np.ones((3, 1), np.float32), pnn=["Nd142Di"], pns=["CD19"])
    >>> scan_fcs(out).n_events, scan_fcs(out).pns
    (3, ('CD19',))
    """
    notes = Notes(path)
    handle, size = open_fcs(notes.path, notes)
    with handle:
        found = find_data_set(handle, size, data_set_number(dataset), notes, trust_data_size)
    return as_header(found, dataset or 1, notes)


def as_header(found: DataSet, dataset: int, notes: Notes) -> FCSHeader:
    """Return the public view of a data set that was found."""
    keywords, code = found.keywords, found.coding
    numbers = range(1, len(code.kinds) + 1)
    return FCSHeader(
        notes.path, found.header.version, dataset, found.place.n_events,
        tuple(keywords[f"$P{n}N"] for n in numbers), tuple(keywords.get(f"$P{n}S", "") for n in numbers),
        keywords, code.kinds, tuple(8 * w for w in code.widths), "little" if code.order == "<" else "big",
        found.place.begin, code.event_size, tuple(notes.cautions),
    )  # fmt: skip


def data_set_number(dataset: int | None) -> int | None:
    """Return the number asked for; refuse what is below 1."""
    if dataset is not None and dataset < 1:
        raise UsageError(f"dataset is {dataset}, expected 1 or more")
    return dataset
