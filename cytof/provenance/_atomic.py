"""Files written whole or not at all: a part-file in the same folder, flushed to disk, put in place in one move."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from cytof.errors import ResourceError

__all__ = ["atomic", "recording", "sweep_parts"]

_PART = ".part-"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REMEDIES = {
    errno.ENOTDIR: "a file stands where a folder is needed; move it away, or choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; move it away, or choose another folder",
}


@dataclass(frozen=True)
class _Record:
    """What was written, and where each name is noted before its file is put in place."""

    written: list[Path] = field(default_factory=list)
    journal: Path | None = None


_record: ContextVar[_Record | None] = ContextVar("cytof_record", default=None)


@contextmanager
def recording(journal: Path | None = None) -> Iterator[list[Path]]:
    """Give a list that every file written inside the block by :func:`atomic` is added to.

    Parameters
    ----------
    journal
        A text file that gets a line for each file, before it is put in place: what a killed process wrote is known.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with recording() as written:
    ...     with atomic(folder / "a.txt") as part:
    ...         _ = part.write_text("a")
    >>> [p.name for p in written]
    ['a.txt']
    """
    record = _Record(journal=journal)
    token = _record.set(record)
    try:
        yield record.written
    finally:
        _record.reset(token)


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; when the block ends well, flush it to disk and put it in place.

    A block that fails, or a process that is killed, leaves what stood there before.

    Raises
    ------
    ResourceError
        The folder cannot be written, or the disk is full; names the path, the operating system's reason, and where the
        disk is full the bytes that were written and those that are free.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic(out) as part:
    ...     _ = part.write_text("whole or not at all")
    >>> out.read_text()
    'whole or not at all'
    """
    path = Path(path)
    # the suffix stays last: writers such as matplotlib and gzip go by it
    part = path.with_name(f"{_PART}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as whole:
            os.fsync(whole.fileno())
        record = _record.get()
        if record is not None and record.journal is not None:
            with record.journal.open("a", encoding="utf-8") as file:
                file.write(os.path.relpath(path, record.journal.parent) + "\n")
        part.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        number = _number(error)
        if isinstance(error, ResourceError) or number is None or not _is_about(error, part, path):
            raise
        raise _refusal(number, path, part) from error
    finally:
        with suppress(OSError):
            part.unlink()
    if record is not None:
        record.written.append(path)


def sweep_parts(folder: str | Path) -> int:
    """Remove part-files in a folder and those below it; return how many."""
    found = list(Path(folder).rglob(f"{_PART}*"))
    for part in found:
        part.unlink(missing_ok=True)
    return len(found)


def _number(error: OSError | RuntimeError) -> int | None:
    """Return the operating system's number of an error; HDF5 writes a full disk into its text alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    for number in sorted(_FULL):
        if os.strerror(number) in text or f"errno = {number}" in text:
            return number
    return None


def _is_about(error: OSError | RuntimeError, part: Path, path: Path) -> bool:
    """Tell whether an error belongs to the place being written rather than to some input read inside the block."""
    name = getattr(error, "filename", None)
    return name is None or Path(str(name)) in {part, path, path.parent, *path.parent.parents}


def _refusal(number: int, path: Path, part: Path) -> ResourceError:
    found = f"cannot be written: {os.strerror(number)}"
    if number not in _FULL:
        hint = _REMEDIES.get(number, "choose another folder (`results` in study.yaml)")
        return ResourceError(found, where=str(path), hint=hint)
    size = part.stat().st_size if part.exists() else 0
    with suppress(OSError):
        size, free = max(size, 0), shutil.disk_usage(path.parent).free
        found += f" ({size:,} bytes of it written, {free:,} bytes free; what stood there before is untouched)"
    return ResourceError(found, where=str(path), hint="free disk space, or choose another folder")


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
