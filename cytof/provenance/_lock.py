"""One run at a time in a folder: a lock that its process' end frees, however it ended."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cytof.errors import ResourceError

__all__ = ["locked"]

_held: set[Path] = set()


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold ``<folder>/run.lock`` during the block; inside a block that holds it already, nothing more is done.

    The file names process, boot and machine. Its lock is the operating system's, so that it falls with the process,
    killed or not; where the file system knows no locks, a process that is gone, or a boot that is over, frees it.

    Raises
    ------
    ResourceError
        Another process holds it, or the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with locked(folder):
    ...     (folder / "run.lock").exists()
    True
    >>> (folder / "run.lock").exists()
    False
    """
    file = (Path(folder) / "run.lock").resolve()
    if file in _held:
        yield
        return
    handle = _take(file)
    _held.add(file)
    try:
        yield
    finally:
        _held.discard(file)
        with suppress(OSError):
            file.unlink()
        os.close(handle)


def _take(file: Path) -> int:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        while True:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
            if not _alone(handle):
                holder = _read(handle)
                os.close(handle)
                raise _taken(file, holder)
            with suppress(FileNotFoundError):
                if file.stat().st_ino == os.fstat(handle).st_ino:
                    break
            os.close(handle)  # its last holder removed it between our two steps
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(_self()).encode(), 0)
    except OSError as error:
        if isinstance(error, ResourceError):
            raise
        hint = "choose another folder (`results` in study.yaml)"
        raise ResourceError(f"cannot be written: {error.strerror}", where=str(file), hint=hint) from error
    return handle


def _alone(handle: int) -> bool:
    """Lock the file; False where another process holds it."""
    try:
        import fcntl
    except ImportError:
        return _over(_read(handle))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return _over(_read(handle))
    return True


def _over(holder: dict[str, Any]) -> bool:
    """Tell whether the process that wrote the lock is gone."""
    me = _self()
    if not holder or holder.get("boot") != me["boot"]:
        return True
    try:
        os.kill(int(holder["pid"]), 0)
    except (ProcessLookupError, ValueError, KeyError):
        return True
    except PermissionError:
        return False
    return int(holder["pid"]) == me["pid"]


def _read(handle: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(handle, 4096, 0)))
    except (OSError, ValueError):
        return {}


def _self() -> dict[str, Any]:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "pid": os.getpid(), "boot": boot.read_text().strip() if boot.exists() else "", "machine": socket.gethostname()
    }  # fmt: skip


def _taken(file: Path, holder: dict[str, Any]) -> ResourceError:
    who = f"process {holder['pid']} on {holder['machine']}" if {"pid", "machine"} <= set(holder) else "another process"
    return ResourceError(
        f"{who} is working on these results", where=str(file), hint="wait for it to end, or stop it; the lock then "
        "frees itself",
    )  # fmt: skip
