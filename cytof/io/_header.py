"""The first 58 bytes of an FCS file: is it one, which version, and where the segments are said to lie.

Source: Spidlen et al. 2010 (FCS 3.1), section 3.1; Spidlen et al. 2021 (FCS 3.2).
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cytof._check import nearest
from cytof.errors import Caution, FCSError

__all__ = ["Header", "Notes", "open_fcs", "read_header"]

VERSIONS = ("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2")
HEADER_BYTES = 58

_OTHER_KINDS = (
    (b"\x1f\x8b", "a gzip archive", "unpack it first (gunzip)"),
    (
        b"PK\x03\x04",
        "a ZIP archive or an Excel workbook",
        "unpack it first, or give it where a sample sheet is expected",
    ),
    (b"\x89PNG", "a PNG picture", "give the FCS file itself"),
    (b"\x89HDF", "an HDF5 file", "read .h5ad files with io.read_h5ad"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"\xfd7zXZ", "an xz archive", "unpack it first"),
    (b"%PDF", "a PDF", "give the FCS file itself"),
    (b"<?xml", "an XML file", "gates and workspaces are not event files"),
)


class Notes:
    """Collects the cautions of one file and words its errors, so that each names the file and the place.

    Parameters
    ----------
    path
        The file; errors show it as given, cautions show its name alone.

    Examples
    --------
    >>> str(Notes("run/a.fcs").error("$TOT", "blank"))
    'run/a.fcs:$TOT: blank'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.cautions: list[Caution] = []

    def error(self, part: str, message: str, hint: str = "") -> FCSError:
        """Return the error for a segment or keyword of this file."""
        return FCSError(message, where=f"{self.path}:{part}", hint=hint)

    def add(self, part: str, found: str, done: str, level: str = "warning") -> None:
        """Keep one caution; the same one twice is kept once."""
        caution = Caution(f"{self.path.name}:{part}", found, done, level)
        if caution not in self.cautions:
            self.cautions.append(caution)


@dataclass(frozen=True)
class Header:
    """What HEADER says; offsets count from the start of the data set, ends are inclusive, None is blank or unusable.

    Examples
    --------
    >>> Header("FCS3.1", (58, 1023), (1024, 2047), None).version
    'FCS3.1'
    """

    version: str
    text: tuple[int, int]
    data: tuple[int, int] | None
    analysis: tuple[int, int] | None


def open_fcs(path: Path, notes: Notes) -> tuple[BinaryIO, int]:
    """Open a regular, readable, non-empty file; return it with its size in bytes.

    Raises
    ------
    FCSError
        Missing (nearest name in its folder), a folder, a pipe, a loop of links, unreadable or empty.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        folder = path.parent
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        raise notes.error("HEADER", "no such file", nearest(path.name, names) or "check the path") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise notes.error("HEADER", f"cannot be opened ({_reason(error)})", "check the path and its links") from None
    if stat.S_ISDIR(status.st_mode):
        raise notes.error("HEADER", "is a folder, expected an FCS file", "name the file in it")
    if not stat.S_ISREG(status.st_mode):
        raise notes.error("HEADER", "is not a regular file", "copy the data into a file first")
    try:
        return path.open("rb"), status.st_size
    except OSError as error:
        raise notes.error("HEADER", f"cannot be opened ({_reason(error)})", "check your right to read it") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def read_header(handle: BinaryIO, base: int, size: int, notes: Notes) -> Header:
    """Read HEADER at ``base``.

    Raises
    ------
    FCSError
        Not FCS (the kind of file is named where it is known), an unknown version, or TEXT offsets that cannot be.
    """
    handle.seek(base)
    raw = handle.read(HEADER_BYTES)
    version = raw[:6].decode("latin-1")
    if not raw.startswith(b"FCS"):
        raise _not_fcs(raw, notes)
    if version not in VERSIONS:
        raise notes.error(
            "HEADER", f"version is {version!r}, expected one of {', '.join(VERSIONS)}", "export the file again"
        )
    if len(raw) < HEADER_BYTES:
        raise notes.error("HEADER", f"{len(raw)} bytes, expected {HEADER_BYTES}", "the file is cut off; copy it again")
    begin, end, data_begin, data_end, analysis_begin, analysis_end = (
        _offset(raw[10 + 8 * i : 18 + 8 * i]) for i in range(6)
    )
    if begin is None or end is None:
        found = raw[10:26].decode("latin-1")
        raise notes.error("HEADER", f"TEXT offsets are {found!r}, expected two whole numbers", "export the file again")
    for name, field in (("DATA", raw[26:42]), ("ANALYSIS", raw[42:58])):
        halves = field[:8], field[8:]
        if any(h.strip(b" \0") and _offset(h) is None for h in halves):
            done = "looked in TEXT" if name == "DATA" else "ignored the ANALYSIS segment"
            notes.add("HEADER", f"{name} offsets are {field.decode('latin-1')!r}", done)
    if begin < HEADER_BYTES or begin >= end:
        raise notes.error(
            "HEADER", f"TEXT is said to lie at {begin} to {end}, expected a range behind byte 58", "export again"
        )
    if base + end >= size + 1 or base + begin >= size:
        raise notes.error(
            "TEXT", f"ends at byte {base + end}, but the file has {size} bytes", "the file is cut off; copy it again"
        )
    data = (data_begin, data_end) if data_begin is not None and data_end is not None else None
    analysis = (analysis_begin, analysis_end) if analysis_begin and analysis_end else None
    return Header(version, (begin, end), data, analysis)


def _offset(field: bytes) -> int | None:
    text = field.strip(b" \0")
    return int(text) if text.isdigit() and len(text) <= 8 else None


def _not_fcs(raw: bytes, notes: Notes) -> FCSError:
    if not raw:
        return notes.error("HEADER", "the file is empty, expected FCS", "copy or export it again")
    for magic, kind, hint in _OTHER_KINDS:
        if raw.startswith(magic):
            return notes.error("HEADER", f"this is {kind}, expected FCS", hint)
    start = raw[:12].decode("latin-1")
    hint = "a table of text? export the events as FCS" if raw[:12].isascii() and start.isprintable() else "export again"
    return notes.error("HEADER", f"not an FCS file: it begins with {start!r}, expected 'FCS3.1' or alike", hint)
