"""Done-files: what a stage wrote, each file with its sha256, under which key, with which versions, in how long."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cytof.provenance._atomic import atomic, recording, sweep_parts
from cytof.provenance._keys import sha256, versions

__all__ = ["Done", "changed", "forget_done", "is_done", "mark_done", "opened", "read_done", "sweep"]


@dataclass(frozen=True)
class Done:
    """A done-file in memory.

    Attributes
    ----------
    key
        Stage key; empty while the stage is running, or where it was killed.
    outputs
        File, relative to the folder of the results -> sha256.
    note
        What else the stage wants to know of itself.
    seconds
        How long it took.
    versions
        Versions at that time.
    """

    key: str
    outputs: Mapping[str, str]
    note: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)


def read_done(folder: str | Path, name: str) -> Done | None:
    """Return the done-file of a stage; None where there is none, or one that cannot be read."""
    try:
        made = json.loads(_file(folder, name).read_text("utf-8"))
        done = Done(made["key"], dict(made["outputs"]), made["note"], made["seconds"], made["versions"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return done if done.key else replace(done, outputs=dict.fromkeys(_begun(folder, name), "") | dict(done.outputs))


def is_done(folder: str | Path, name: str, key: str) -> bool:
    """Tell whether a stage is done under this key and every file it wrote is there with the bytes it wrote.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text("result")
    >>> mark_done(folder, "track", "key of the stage", [folder / "a.csv"], 1.0)
    >>> is_done(folder, "track", "key of the stage"), is_done(folder, "track", "another")
    (True, False)
    >>> _ = (folder / "a.csv").write_text("changed by hand")
    >>> is_done(folder, "track", "key of the stage")
    False
    """
    done = read_done(folder, name)
    return done is not None and done.key == key and not changed(folder, done)


def changed(folder: str | Path, done: Done) -> list[str]:
    """Return the outputs of a stage that are not there, or not with the bytes it wrote."""
    return [name for name, digest in done.outputs.items() if _digest(Path(folder) / name) != digest]


@contextmanager
def opened(folder: str | Path, name: str) -> Iterator[list[Path]]:
    """Say that a stage is being done, and give a list of what it writes: not to be trusted until :func:`mark_done`.

    What it writes is noted as it goes, so that the outputs of a stage that was killed are known
    (:func:`read_done`: an empty key).

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with opened(folder, "track") as written:
    ...     with atomic(folder / "a.csv") as part:
    ...         _ = part.write_text("result")
    >>> read_done(folder, "track").outputs
    {'a.csv': ''}
    """
    before = read_done(folder, name) or Done("", {})
    _write(folder, name, Done("", before.outputs, before.note))
    with recording(_journal(folder, name)) as written:
        yield written


def mark_done(
    folder: str | Path, name: str, key: str, outputs: Iterable[Path], seconds: float,
    note: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write ``<folder>/.done/<name>.done.json``. What has no done-file is not finished."""
    home = Path(folder)
    listed = {path.relative_to(home).as_posix(): sha256(path) for path in dict.fromkeys(outputs)}
    _write(folder, name, Done(key, listed, dict(note or {}), round(seconds, 3), versions()))
    _journal(folder, name).unlink(missing_ok=True)


def sweep(folder: str | Path) -> int:
    """Remove part-files that killed processes left, and notes of stages that were done; return how many part-files.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / ".part-1-a.txt").write_text("half")
    >>> sweep(folder), list(folder.iterdir())
    (1, [])
    """
    home = Path(folder) / ".done"
    for journal in home.rglob("*.open"):
        done = read_done(folder, journal.relative_to(home).as_posix().removesuffix(".open"))
        if done is None or done.key:  # killed between the last two steps of a stage
            journal.unlink(missing_ok=True)
    return sweep_parts(folder)


def forget_done(folder: str | Path, name: str) -> None:
    """Remove the done-file of a stage."""
    for file in (_file(folder, name), _journal(folder, name)):
        file.unlink(missing_ok=True)


def _file(folder: str | Path, name: str) -> Path:
    return Path(folder) / ".done" / f"{name}.done.json"


def _journal(folder: str | Path, name: str) -> Path:
    return Path(folder) / ".done" / f"{name}.open"


def _begun(folder: str | Path, name: str) -> list[str]:
    """Return what an unfinished stage put in place, relative to the folder."""
    journal, home = _journal(folder, name), Path(folder).absolute()
    if not journal.is_file():
        return []
    lines = journal.read_text("utf-8").splitlines()
    paths = [Path(os.path.normpath(journal.absolute().parent / line)) for line in lines if line]
    return [p.relative_to(home).as_posix() for p in dict.fromkeys(paths) if p.is_relative_to(home)]


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:
        return ""


def _write(folder: str | Path, name: str, done: Done) -> None:
    with atomic(_file(folder, name)) as part:
        part.write_text(json.dumps(vars(done), indent=1, sort_keys=True) + "\n", encoding="utf-8")
