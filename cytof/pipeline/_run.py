"""The map of the house: a study on disk goes through every room in order.

``run(study)`` calls :func:`gate`, :func:`cluster`, :func:`track`, :func:`compare` and :func:`report`. Each is done
once: where its outputs are there under the same key they are left alone, and a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cytof import io, provenance
from cytof.errors import SampleFailures
from cytof.keys import UNS
from cytof.pipeline import _stages as stages
from cytof.pipeline._files import kept_cells, read_cells
from cytof.pipeline._gate import gate
from cytof.pipeline._plan import current, failed_before, key_of
from cytof.pipeline._ready import ready
from cytof.pipeline._resume import do
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
        failed = gate(study, strict=strict, say=say, workers=workers)
        cells = _clustered(study, say, workers)
        track(study, cells, say=say)
        compare(study, cells, say=say)
        page = report(study, cells, say=say)
    if failed:
        lines = "\n".join(f"  {sample}: {error}" for sample, error in failed.items())
        raise SampleFailures(f"{len(failed)} of the samples failed, the others are in {page}:\n{lines}")
    return page


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
    _once(study, "report", make, say)
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
