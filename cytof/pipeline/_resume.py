"""A stage is done once: its done-file says under which key, and every file it lists is checked before it is trusted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cytof import provenance

__all__ = ["do", "forget", "known"]


def do(
    folder: Path, name: str, key: str, make: Callable[[], Any], *, note: Mapping[str, Any] | None = None
) -> tuple[bool, Any]:
    """Run a stage unless its outputs are there under this key; return whether it ran, and what it returned.

    While it runs its done-file is open, so that a run that is killed leaves nothing to be trusted. What an earlier run
    of the stage wrote and this one did not is removed: it would be taken for a result.
    """
    if provenance.is_done(folder, name, key):
        return False, None
    before = provenance.read_done(folder, name)
    started = time.monotonic()
    with provenance.opened(folder, name) as written:
        result = make()
    outputs = [p for p in written if p.is_relative_to(folder) and p.exists()]
    provenance.mark_done(folder, name, key, outputs, time.monotonic() - started, note)
    if before is not None:
        _remove(folder, set(before.outputs) - {p.relative_to(folder).as_posix() for p in outputs})
    return True, result


def known(folder: Path) -> list[str]:
    """Return the names of all stages that have a done-file."""
    home, end = folder / ".done", ".done.json"
    return sorted(p.relative_to(home).as_posix().removesuffix(end) for p in home.rglob(f"*{end}"))


def forget(folder: Path, name: str) -> None:
    """Remove a stage's outputs and its done-file."""
    done = provenance.read_done(folder, name)
    provenance.forget_done(folder, name)
    if done is not None:
        _remove(folder, set(done.outputs))


def _remove(folder: Path, names: set[str]) -> None:
    """Remove files that no other stage wrote."""
    for name in known(folder):
        done = provenance.read_done(folder, name)
        names = names - set(done.outputs if done is not None else ())
    for name in names:
        (folder / name).unlink(missing_ok=True)
