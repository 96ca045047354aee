"""Is this machine ready? Versions, threads, memory, disk, optional parts; what is missing and how to install it."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pandas as pd

from cytof import provenance
from cytof.pipeline._ready import available_memory

__all__ = ["doctor"]

_OPTIONAL = (  # module, what it is for, how to install it
    ("bokeh", "gate review (`cytof review`)", "pip install 'cytof[app]'"),
    ("distributed", "several machines or processes (`cytof run --workers`)", "pip install 'cytof[dask]'"),
)
_LEAST_MEMORY = 2e9
_LEAST_DISK = 2e9


def doctor(folder: str | Path = ".") -> pd.DataFrame:
    """Look at this machine.

    Parameters
    ----------
    folder
        Where the results would go.

    Returns
    -------
    DataFrame ``part found state remedy``; ``state`` is ``ok``, ``missing`` (optional) or ``low``.

    Examples
    --------
    >>> doctor().set_index("part").at["cytof", "state"]
    'ok'
    """
    rows = [("python", f"{platform.python_version()} at {sys.executable}", "ok", "")]
    rows += [(name, version, "ok", "") for name, version in provenance.versions().items() if name != "python"]
    rows += [_threads(), _memory(), _disk(Path(folder)), _cache()]
    for module, purpose, remedy in _OPTIONAL:
        here = importlib.util.find_spec(module) is not None
        found = metadata.version(module) if here else f"not installed; for {purpose}"
        rows.append((module, found, "ok" if here else "missing", "" if here else remedy))
    return pd.DataFrame(rows, columns=["part", "found", "state", "remedy"])


def _threads() -> tuple[str, str, str, str]:
    from numba import get_num_threads

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return "threads", f"{cores} cores, numba uses {get_num_threads()}", "ok", ""


def _memory() -> tuple[str, str, str, str]:
    free = available_memory()
    if free is None:
        return "memory", "not told by this system", "ok", ""
    low = free < _LEAST_MEMORY
    remedy = "close other programs; a run wants 2 GB and five times the largest file"
    return "memory", f"{free / 1e9:.1f} GB free", "low" if low else "ok", remedy if low else ""


def _disk(folder: Path) -> tuple[str, str, str, str]:
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return "disk", f"{there} is no folder", "low", "name the folder that results go to"
    free, writable = shutil.disk_usage(there).free, os.access(there, os.W_OK)
    if not writable:
        return "disk", f"{there} cannot be written", "low", "choose another folder"
    low = free < _LEAST_DISK
    remedy = "free some; `cytof run STUDY --dry-run` tells what a study needs"
    return "disk", f"{free / 1e9:.1f} GB free in {there}", "low" if low else "ok", remedy if low else ""


def _cache() -> tuple[str, str, str, str]:
    """Where compiled code is kept: where it cannot be, every command compiles anew."""
    import cytof

    home = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(cytof.__file__ or ".").parent)
    if os.access(home, os.W_OK):
        return "compiled code", f"kept in {home}", "ok", ""
    fallback = Path.home() / ".cache"
    if os.access(fallback if fallback.exists() else Path.home(), os.W_OK):
        return "compiled code", f"kept below {fallback}", "ok", ""
    return "compiled code", "can be kept nowhere: each command compiles anew", "low", "set NUMBA_CACHE_DIR to a folder"
