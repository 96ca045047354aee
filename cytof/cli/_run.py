"""Commands of the stages: gate, cluster, track, compare, report, and run for all of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from cytof.cli._app import Strict, StudyPath, app, progress, read_study, refuse_faults

__all__ = ["cluster", "compare", "gate", "report", "run", "track"]


@app.command()
def gate(
    study_path: StudyPath,
    template: Annotated[
        str | None,
        typer.Option("--template", metavar="FILE", help="Gate with this template, or shipped one, not the study's."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take the gates of a Gating-ML, Cytobank or FlowJo (.wsp) file."),
    ] = None,
    car: Annotated[str | None, typer.Option("--car", help="With --import: the population of CAR T cells.")] = None,
    keep: Annotated[str | None, typer.Option("--keep", help="With --import: the population that goes on.")] = None,
    strict: Strict = False,
) -> None:
    """Clean and gate every file: gated/*.h5ad, Gating-ML, a page of gates a sample, counts, thresholds, blanks."""
    from cytof import pipeline
    from cytof.errors import SampleFailures, UsageError

    loaded = read_study(study_path)
    if source is None and (car or keep):
        raise UsageError("--car and --keep go with --import", hint="without it, set `gate.keep` in study.yaml")
    if source is not None and template is not None:
        raise UsageError("--template and --import together", hint="gates come from one of them")
    if source is not None:
        loaded = loaded.model_copy(update={"gates": "none"})
    if template is not None:
        found = str(Path(template).resolve()) if Path(template).is_file() else template
        loaded = loaded.model_copy(update={"gates": found})
    refuse_faults(loaded, strict=strict)
    with progress() as say:
        if source is not None:
            failed = pipeline.gate_imported(loaded, source, car=car, keep=keep, strict=strict, say=say)
        else:
            failed = pipeline.gate(loaded, strict=strict, say=say)
        pipeline.gate_pages(loaded, say=say)
    print(loaded.out / "gated")
    if failed:
        lines = "\n".join(f"  {sample}: {error}" for sample, error in failed.items())
        raise SampleFailures(f"{len(failed)} of the samples failed:\n{lines}")


def _stage(study_path: Path, name: str, result: str) -> None:
    from cytof import pipeline

    loaded = read_study(study_path)
    with progress() as say:
        stage: Any = getattr(pipeline, name)
        stage(loaded, say=say)
    print(loaded.out / result)


@app.command()
def cluster(
    study_path: StudyPath,
    names: Annotated[
        Path | None,
        typer.Option("--names", metavar="CSV", help="Then name the clusters by this table: old,new,author."),
    ] = None,
) -> None:
    """FlowSOM, PhenoGraph and t-SNE of the CAR T cells (after `cytof gate`): cells.h5ad."""
    _stage(study_path, "cluster", "cells.h5ad")
    if names is not None:
        from cytof import pipeline

        pipeline.name_clusters(read_study(study_path), names)


@app.command()
def track(study_path: StudyPath) -> None:
    """Follow shares, subsets and clusters over the visits (after `cytof cluster`): tables/*.csv."""
    _stage(study_path, "track", "tables")


@app.command()
def compare(study_path: StudyPath) -> None:
    """Test markers between visits, and CAR T against host T (after `cytof cluster`): tables/markers_*.csv."""
    _stage(study_path, "compare", "tables")


@app.command()
def report(study_path: StudyPath) -> None:
    """Draw the figures, write the methods text and report.html (after `cytof compare`)."""
    _stage(study_path, "report", "report.html")


@app.command()
def run(
    study_path: StudyPath,
    strict: Strict = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew; nothing of an earlier run is trusted.")] = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done and what disk and memory it needs.")
    ] = False,
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="SIZE", help="Memory that may be used, such as `8GB`.")
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Clean and gate files on N processes of this machine (Dask).")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="tcp://...", help="Clean and gate on a running Dask cluster.")
    ] = None,
) -> None:
    """Do everything: gate, cluster, track, compare, report. Ends with the path of report.html.

    A run that was stopped, by whatever, goes on where it stopped; what is done and unchanged is not done again.
    """
    from cytof import pipeline

    loaded = read_study(study_path)
    if dry:
        _tell_plan(loaded)
        return
    refuse_faults(loaded, strict=strict)
    budget = None if memory is None else _bytes(memory)
    with progress() as say, pipeline.dask_workers(workers, scheduler) as hands:
        page = pipeline.run(loaded, strict=strict, fresh=fresh, memory=budget, say=say, workers=hands)
    print(page)


def _tell_plan(loaded: Any) -> None:
    from cytof import pipeline

    states, need = pipeline.plan(loaded), pipeline.needs(loaded)
    print(states.to_string(index=False))
    print(f"\n{(states['state'] == 'run').sum()} to run, {(states['state'] == 'cached').sum()} cached")
    print(f"disk needed about {need.disk / 1e6:,.0f} MB, memory about {need.memory / 1e6:,.0f} MB")


def _bytes(text: str) -> float:
    """Return `8GB`, `500 MB`, `4GiB` or plain bytes as a number."""
    from cytof.errors import UsageError

    units = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
    plain = text.strip().upper().replace(" ", "")
    number = plain.rstrip("BKMGTI")
    try:
        size = float(number) * units[plain[len(number) :]]
    except (ValueError, KeyError):
        size = math.nan
    if not 0 < size < math.inf:
        raise UsageError(f"`{text}` is no size", where="--memory", hint="write for instance 8GB")
    return size
