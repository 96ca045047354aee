"""The map of the house: a study on disk goes through every room in order.

``run(study)`` calls :func:`gate`, :func:`cluster`, :func:`track`, :func:`compare` and :func:`report`. Each is done
once: where its outputs are there under the same key they are left alone, and a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cytof import io, provenance
from cytof.errors import InputError, SampleFailures
from cytof.keys import UNS, Obs
from cytof.pipeline import _stages as stages
from cytof.pipeline._files import kept_cells, read_cells, read_sheet
from cytof.pipeline._gate import gate
from cytof.pipeline._plan import current, failed_before, imported_states, key_of
from cytof.pipeline._ready import ready
from cytof.pipeline._resume import do, forget
from cytof.pipeline._story import run_story
from cytof.pipeline._told import Say, Told, silent
from cytof.pipeline._work import HERE, Workers
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["STAGES", "cluster", "compare", "report", "run", "track"]

T = TypeVar("T")

STAGES = ("gate", "cluster", "track", "compare", "report")


def run(
    study: Study, *, strict: bool = False, fresh: bool = False, memory: float | None = None, say: Say = silent,
    workers: Workers = HERE,
) -> Path:  # fmt: skip
    """Do everything that is not done yet and return the path of ``report.html``.

    Parameters
    ----------
    study
        From :func:`cytof.study.load`.
    strict
        Stop at the first sample that fails; otherwise the others go on.
    fresh
        Begin anew: nothing of an earlier run is trusted.
    memory
        Bytes that may be used; what the run needs is estimated and held against it before the start.
    say
        Progress callback.
    workers
        Where files are cleaned and gated; see :func:`cytof.pipeline.dask_workers`.

    Writes
    ------
    ``results/`` of the study: ``gated/*.h5ad cells.h5ad tables/*.csv figures/* report.html methods.md run.json`` and
    ``run.log`` (JSON lines: the one output with times in it).

    Raises
    ------
    SampleFailures
        The run reached its end, but these samples failed (exit code 4).
    ResourceError
        Another run is at work on these results, or disk or memory do not suffice.
    CytofError
        The study cannot be run; see :mod:`cytof.errors`.

    Examples
    --------
    ``cytof.pipeline.run(cytof.study.load("demo/study.yaml"))``
    """
    with provenance.locked(study.out):
        say = Told(say, study.out / "run.log")
        ready(study, fresh=fresh, memory=memory, say=say)
        failed = _gated(study, strict, say, workers)
        cells = _clustered(study, say, workers)
        track(study, cells, say=say)
        compare(study, cells, say=say)
        page = report(study, cells, say=say)
    failed |= _vanished(study, failed)
    if failed:
        lines = "\n".join(f"  {sample}: {error}" for sample, error in failed.items())
        raise SampleFailures(f"{len(failed)} of the samples failed, the others are in {page}:\n{lines}")
    return page


def _gated(study: Study, strict: bool, say: Say, workers: Workers) -> dict[str, str]:
    """Gate what is not gated; gates of other software, imported by ``cytof gate --import``, are not replaced.

    Raises
    ------
    InputError
        Some samples have imported gates, and another is new or changed: which gates it is to have is not ours to say.
    """
    found = {sample: done for sample, done in imported_states(study).items() if done is not None}
    if not found:
        return {s: study.shown(e) for s, e in gate(study, strict=strict, say=say, workers=workers).items()}
    failed = failed_before(study)
    other = [s for s in read_sheet(study)[Obs.SAMPLE] if not found.get(s) and s not in failed]
    if other:
        raise InputError(
            f"sample `{other[0]}` is new or changed, and the others have gates of other software", where=study.samples,
            hint="`cytof gate --import FILE` again, or `cytof gate` to place the template's gates on all of them",
        )  # fmt: skip
    say("gate", "", f"{len(found)} samples with gates of other software, done already")
    return failed


def _vanished(study: Study, failed: Mapping[str, str]) -> dict[str, str]:
    """Return the samples whose file went away while the others were worked on, each with what to do."""
    sheet = read_sheet(study)
    gone = {s: p for s, p in zip(sheet[Obs.SAMPLE], sheet["path"], strict=True) if not Path(p).exists()}
    told = "is not there any more, though its cells are in the results; put it back and run again"
    return {s: f"{Path(p).name}: {told}" for s, p in gone.items() if s not in failed}


def cluster(study: Study, *, say: Say = silent, workers: Workers = HERE) -> AnnData:
    """FlowSOM, PhenoGraph and t-SNE on the population: ``cells.h5ad``; returns the cells.

    Of more than ``cluster.in_memory`` kept cells, FlowSOM is trained on an equal draw and all are mapped a sample at a
    time; the cells that are returned then stay on disk (backed).

    Raises
    ------
    InputError
        No gated samples.
    """
    cells = _clustered(study, say, workers)
    if cells is not None:
        return cells
    return io.read_h5ad(study.out / "cells.h5ad", backed=kept_cells(study) > study.cluster.in_memory)


def track(study: Study, cells: AnnData | None = None, *, say: Say = silent) -> None:
    """Write the tables ``abundance subsets clusters state profile``.

    Raises
    ------
    InputError
        No cells, or cells of other settings, files or gates.
    """
    _refuse_stale(study, cells)
    _once(study, "track", lambda study, say: stages.track(study, _cells(study, cells), say=say), say)


def compare(study: Study, cells: AnnData | None = None, *, say: Say = silent) -> None:
    """Write the tables ``markers_visits`` (between visits within each subset) and ``markers_arms`` (CAR T v host T).

    Raises
    ------
    InputError
        No cells, or cells of other settings, files or gates.
    """
    _refuse_stale(study, cells)
    _once(study, "compare", lambda study, say: stages.compare(study, _cells(study, cells), say=say), say)


def report(study: Study, cells: AnnData | None = None, *, say: Say = silent) -> Path:
    """Draw the figures and write ``report.html``, ``methods.md`` and ``run.json``; returns the page's path.

    Raises
    ------
    InputError
        No cells, or cells of other settings, files or gates.
    """

    def make(study: Study, say: Say) -> None:
        given = _cells(study, cells)
        warnings = given.uns[UNS]["warnings"].to_dict("records")
        stages.report(study, given, run_story(study, warnings, failed_before(study)), say=say)

    _refuse_stale(study, cells)
    with provenance.locked(study.out):
        _once(study, "report", make, say)
        forget(study.out, "gate_pages")  # the report drew the pages of gates that hold now, and answers for them
    return study.out / "report.html"


def _once(study: Study, stage: str, make: Callable[..., T], say: Say) -> T | None:
    """Do a stage over all samples unless it is done."""
    with provenance.locked(study.out):
        ran, result = do(study.out, stage, key_of(study, stage), lambda: make(study, say=say))
    if not ran:
        say(stage, "", "done already")
    return result


def _clustered(study: Study, say: Say, workers: Workers) -> AnnData | None:
    """Cluster unless that is done; return the cells where they were made now and memory holds them."""
    cells = _once(study, "cluster", partial(stages.cluster, workers=workers), say)
    return cells if kept_cells(study) <= study.cluster.in_memory else None


def _cells(study: Study, cells: AnnData | None) -> AnnData:
    return io.read_h5ad(study.out / "cells.h5ad") if cells is None else cells


def _refuse_stale(study: Study, cells: AnnData | None) -> None:
    if cells is None and not current(study):
        read_cells(study)
