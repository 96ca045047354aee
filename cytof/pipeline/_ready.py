"""Before the first event is read: leftovers swept, disk and memory held against what the run needs."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cytof import io, provenance
from cytof.errors import CytofError, ResourceError
from cytof.keys import Obs
from cytof.pipeline._files import read_sheet
from cytof.pipeline._plan import plan
from cytof.pipeline._resume import forget, known
from cytof.pipeline._told import Say, silent
from cytof.study import Study

__all__ = ["Needs", "available_memory", "needs", "ready"]

_MIB = 1024**2
_KEPT = 0.5  # share of the events that go on, until samples that are done tell better
_SAFE = 1.5


@dataclass(frozen=True)
class Needs:
    """Bytes that a run needs: ``disk`` for what is still to be written, ``memory`` at its peak."""

    disk: int
    memory: int


def ready(study: Study, *, fresh: bool = False, memory: float | None = None, say: Say = silent) -> None:
    """Sweep what killed runs left, and hold disk and memory against what the run needs.

    Raises
    ------
    ResourceError
        They do not suffice: found and needed, in bytes.
    """
    if fresh:
        for name in known(study.out):
            forget(study.out, name)
    swept = provenance.sweep(study.out)
    if swept:
        say("run", "", f"{swept} half-written file{'s' * (swept != 1)} of a run that was stopped removed")
    need, free = needs(study), shutil.disk_usage(study.out).free
    if need.disk > free:
        raise ResourceError(
            f"the run needs about {need.disk:,} bytes on disk, {free:,} are free",
            where=str(study.out), hint="free disk space, or set `results` in study.yaml to another disk",
        )  # fmt: skip
    if memory is not None and need.memory > memory:
        raise ResourceError(
            f"the run needs about {need.memory:,} bytes of memory, --memory allows {memory:,.0f}",
            where=str(study.folder), hint="give it more, split the largest file, or keep a smaller gate (`gate.keep`)",
        )  # fmt: skip
    there = available_memory()
    if there is not None and need.memory > there:
        say("run", "", f"needs about {need.memory / 1e9:.1f} GB of memory, {there / 1e9:.1f} GB are free: may be slow")


def needs(study: Study) -> Needs:
    """Estimate what a run needs, from the headers of the files and from what is done already.

    A gated sample holds counts and arcsinh values of the kept events, ``cells.h5ad`` those of all samples; together
    with figures and tables times 1.5. In memory there are one file with its copies, or the kept cells of all samples.
    """
    states = plan(study)
    todo = set(states.loc[(states["stage"] == "gate") & (states["state"] == "run"), "sample_id"])
    sizes = {s: _size(Path(p)) for s, p in zip(*(read_sheet(study)[c] for c in (Obs.SAMPLE, "path")), strict=True)}
    kept = _kept_share(study, list(sizes))
    new_counts = study.clean.spill != "none" or study.clean.normalize != "none" or study.clean.barcodes != "none"
    gated = sum(size * (2 * kept + new_counts) for s, size in sizes.items() if s in todo)
    later = (states["state"] == "run").to_numpy() & states["stage"].isin(["cluster", "report"]).to_numpy()
    cells = 2 * kept * sum(sizes.values())
    disk = _SAFE * (gated + (cells + 40 * _MIB if later.any() else 0))
    if (states["state"] == "cached").all():
        return Needs(0, 0)
    memory = 400 * _MIB + max(5 * max(sizes.values(), default=0), 3 * cells)
    return Needs(math.ceil(disk), math.ceil(memory))


def available_memory() -> int | None:
    """Return the bytes of memory that are free for use, None where the system does not say."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return None
    found = [line.split()[1] for line in info.read_text().splitlines() if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _size(path: Path) -> int:
    """Return the bytes of a file's events as float32."""
    try:
        header = io.scan_fcs(path)
    except CytofError:
        return path.stat().st_size if path.exists() else 0
    return 4 * header.n_events * len(header.pnn)


def _kept_share(study: Study, samples: list[str]) -> float:
    notes = [done.note for s in samples if (done := provenance.read_done(study.out, f"gate/{s}")) is not None]
    known = pd.DataFrame(notes, columns=["n_events", "n_kept"]).sum()
    return float(known["n_kept"] / known["n_events"]) if known["n_events"] else _KEPT
