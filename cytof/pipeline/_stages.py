"""The map of the house: a study on disk goes through every room in order.

``run(study)`` calls :func:`gate`, :func:`cluster`, :func:`track`, :func:`compare` and :func:`report`; each can be
called alone and then reads what the one before it wrote. One seed a stage is spawned from the study's; every output is
written whole or not at all, with a done-file beside the stage's main output.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import clean, io, provenance, transform
from cytof._assemble import assemble
from cytof._neighbors import neighbors
from cytof.errors import CytofError, InputError, SampleFailures, UsageError
from cytof.keys import UNS, Obs
from cytof.pipeline._clean import cleaned
from cytof.pipeline._clusters import also_phenograph, judge_clusters, run_flowsom
from cytof.pipeline._files import (
    gated_files,
    key,
    read_cells,
    read_sheet,
    read_table,
    write_gatingml,
    write_tables,
)
from cytof.pipeline._select import kept_gate, population, tracked
from cytof.pipeline._track import add_infusions, track_tables
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["GATE_TABLES", "OVERRIDES", "STAGES", "cluster", "compare", "gate", "gate_pages", "report", "run", "track"]

OVERRIDES = "overrides.yaml"
"""Gate changes made by a person, beside study.yaml; see :func:`cytof.gate.read_overrides`."""

GATE_TABLES = ("counts", "thresholds", "blanks", "warnings")
STAGES = ("gate", "cluster", "track", "compare", "report")

Say = Callable[[str, str, str], None]
"""Called with stage, sample (or empty) and what was found: the command line shows it as progress."""


def _silent(stage: str, sample: str, found: str) -> None:
    pass


def run(study: Study, *, strict: bool = False, say: Say = _silent) -> Path:
    """Do everything and return the path of ``report.html``.

    Parameters
    ----------
    study
        From :func:`cytof.study.load`.
    strict
        Stop at the first sample that fails; otherwise the others go on.
    say
        Progress callback.

    Writes
    ------
    ``results/`` of the study: ``gated/*.h5ad cells.h5ad tables/*.csv figures/* report.html methods.md run.json``.

    Raises
    ------
    SampleFailures
        The run reached its end, but these samples failed (exit code 4).
    CytofError
        The study cannot be run; see :mod:`cytof.errors`.

    Examples
    --------
    ``cytof.pipeline.run(cytof.study.load("demo/study.yaml"))``
    """
    failed = gate(study, strict=strict, say=say)
    cells = cluster(study, say=say)
    track(study, cells, say=say)
    compare(study, cells, say=say)
    page = report(study, cells, failed=failed, say=say)
    if failed:
        lines = "\n".join(f"  {sample}: {error}" for sample, error in failed.items())
        raise SampleFailures(f"{len(failed)} of the samples failed, the others are in {page}:\n{lines}")
    return page


def gate(study: Study, *, strict: bool = False, say: Say = _silent) -> dict[str, CytofError]:
    """Clean and gate every file; return the samples that failed.

    Writes ``gated/<sample>.h5ad``, ``gated/<sample>.gatingml.xml`` and the tables ``waterfall clean_limits gate_views``
    (``gate_sensitivity`` where there is a CAR gate, ``bead_traces`` where beads were normalised).
    """
    from cytof import gate as gating
    from cytof.report import gate_views
    from cytof.track import gate_sensitivity

    sheet, template = read_sheet(study), study.read_gates(study.read_panel())
    files = dict(zip(sheet[Obs.SAMPLE], sheet["path"], strict=True))
    failed: dict[str, CytofError] = {}
    seed = provenance.stage_seed(study.seed, "gate")
    thresholds, changes = pd.DataFrame(), gating.read_overrides(study.path(OVERRIDES), template, sheet[Obs.SAMPLE])
    if template is not None:
        draws = (e.draw(study.gate.draw, seed) for e in cleaned(study, sheet, failed, strict=strict))
        thresholds = gating.place(template, draws, sheet, random_state=seed)
        say("gate", "", f"{thresholds['gate'].nunique()} gates placed on draws of {study.gate.draw:,} events a sample")
        thresholds = gating.overridden(thresholds, changes, template)
        if changes:
            say("gate", "", f"{len(changes)} change{'s' * (len(changes) != 1)} of {OVERRIDES} laid over them")
    waterfalls, views, limits, traces, without = [], [], [], [], []
    for events in cleaned(study, sheet, failed, strict=strict, flags=template is not None):
        sample = events.sample_id
        started = time.monotonic()
        waterfalls.append(clean.waterfall(events))
        limits.append(clean.limits(sample, {s["step"]: s for s in events.steps}, len(events)))
        traces.append(clean.bead_traces(events).assign(sample_id=sample))
        out = study.out / "gated" / f"{sample}.h5ad"
        if template is None:
            cells = assemble([events], sheet)
        else:
            gated = gating.apply(events, template, thresholds)
            write_gatingml(out.with_suffix(".gatingml.xml"), gated)
            views.append(gate_views(gated))
            if gated.car_gate:
                without.append(gate_sensitivity(gated))
            cells = assemble([gated.keep(study.gate.keep or kept_gate(template))], sheet)
        io.write_h5ad(out, cells)
        own = [c.digest() for c in changes if c.sample_id == sample]
        made = key(study, "gate", [provenance.sha256(files[sample]), *own])
        provenance.mark_done(out, made, time.monotonic() - started)
        say("gate", sample, f"{len(events):,} events, {cells.n_obs:,} cells kept")
    if len(failed) == len(sheet):
        raise next(iter(failed.values()))
    tables = {"waterfall": waterfalls, "gate_views": views, "clean_limits": limits, "bead_traces": traces,
              "gate_sensitivity": without}  # fmt: skip
    write_tables(study, {name: pd.concat(parts) for name, parts in tables.items() if any(map(len, parts))})
    return failed


def gate_pages(study: Study, *, say: Say = _silent) -> list[Path]:
    """Draw a page of gates a sample (``figures/gates_<sample>.png``) and write the gate tables."""
    from cytof import report as pages

    cells = assemble([io.read_h5ad(f) for f in gated_files(study)], read_sheet(study))
    write_tables(study, {name: cells.uns[UNS][name] for name in GATE_TABLES})
    views = read_table(study, "gate_views")
    drawn = pages.gate_pages(views, study.out / "figures") if views is not None else []
    say("gate", "", f"{len(drawn)} pages of gates")
    return [d.png for d in drawn if d.png is not None]


def cluster(study: Study, *, say: Say = _silent) -> AnnData:
    """FlowSOM, PhenoGraph and t-SNE on the population; writes and returns ``cells.h5ad``.

    Writes the tables ``cluster_numbers cluster_stability cluster_names``.
    """
    from cytof import cluster as engines
    from cytof import embed

    started = time.monotonic()
    files = gated_files(study)
    cells = assemble([io.read_h5ad(f) for f in files], read_sheet(study), markers=study.markers)
    write_tables(study, {name: cells.uns[UNS][name] for name in GATE_TABLES})
    part = population(study, cells)
    say("cluster", "", f"{part.n_obs:,} cells of {cells.n_obs:,}")
    settings, features = study.cluster, transform.features(part, study.cluster.features)
    say("cluster", "", run_flowsom(study, part, features))
    judge_clusters(study, part, cells, say)
    transform.equal_draw(part, total=settings.max_cells, random_state=provenance.stage_seed(study.seed, "draw"))
    drawn = part[part.obs[Obs.IN_FIT]].copy()
    widest = max(settings.k, int(3 * study.embed.perplexity))  # one search serves PhenoGraph and t-SNE
    neighbors(drawn, k=min(widest, drawn.n_obs - 1), features=features)
    engines.phenograph(
        drawn, k=settings.k, features=features, random_state=provenance.stage_seed(study.seed, "phenograph")
    )
    say("cluster", "", f"PhenoGraph: {drawn.obs[Obs.PHENOGRAPH].nunique()} clusters")
    embed.tsne(
        drawn, perplexity=study.embed.perplexity, n_jobs=study.embed.n_jobs, features=features,
        random_state=provenance.stage_seed(study.seed, "tsne"),
    )  # fmt: skip
    say("cluster", "", f"t-SNE: {drawn.n_obs:,} cells on the map")
    transform.merge_cells(part, drawn)
    transform.merge_cells(cells, part)
    also_phenograph(study, cells, features, say)
    judged = {"cluster_stability": "stability", "cluster_names": "names", "cluster_numbers": "consensus"}
    write_tables(study, {name: cells.uns[UNS][slot] for name, slot in judged.items() if slot in cells.uns[UNS]})
    out = study.out / "cells.h5ad"
    io.write_h5ad(out, cells)
    provenance.mark_done(out, key(study, "cluster", map(provenance.sha256, files)), time.monotonic() - started)
    return cells


def track(study: Study, cells: AnnData | None = None, *, say: Say = _silent) -> None:
    """Write the tables ``abundance courses persistence subsets host_subsets clusters flow safety ... state profile``.

    ``infusions.csv`` beside study.yaml, where it is there, ends courses at another CAR T product.
    """
    cells = read_cells(study) if cells is None else cells
    name, of = tracked(study, cells)
    part = population(study, cells)
    add_infusions(study, cells)
    tables = track_tables(cells, part, (name, of))
    if name == "root":
        say("track", "", "no abundance.csv and no subsets.csv: without gates there is nothing to take a share of")
    else:
        say("track", "", f"{name} of {of}")
    for table, make in tables.items():
        try:
            made = make()
        except (InputError, UsageError) as error:  # gates a study lacks leave out their table, no other
            made = pd.DataFrame()
            say("track", "", f"no {table}.csv: {error.message}")
        if len(made):
            write_tables(study, {table: made})
        else:
            (study.out / "tables" / f"{table}.csv").unlink(missing_ok=True)


def compare(study: Study, cells: AnnData | None = None, *, say: Say = _silent) -> None:
    """Write ``markers_visits`` (between visits), ``markers_arms`` (CAR T v host T), ``markers_host shares_visits``.

    ``markers_host`` is the change of CAR T beside that of host T cells, ``shares_visits`` the shares of subsets.
    Between visits every effect stands beside the technical band of the markers of ``compare.stable``.
    """
    from cytof import compare as tests
    from cytof import track as follow

    cells = read_cells(study) if cells is None else cells
    settings = study.compare
    options: dict[str, Any] = {"markers": settings.markers, "test": settings.test, "unit": settings.unit}
    patients = settings.test if settings.test in ("t", "moderated-t") else "auto"
    part = population(study, cells)
    within = Obs.SUBSET if part.obs[Obs.SUBSET].notna().any() else None  # no subset gates: all cells together
    arms = cells.obs[Obs.CAR].nunique() == 2

    def visits() -> pd.DataFrame:
        found = tests.markers(part, by=Obs.TIMEPOINT, reference=settings.reference, within=within, **options)
        stable = [m for m in settings.stable if m in cells.var_names]
        if not stable:
            return found
        shifts = tests.technical_shifts(cells, markers=stable, within=within, reference=settings.reference)
        return tests.against_technical(found, shifts)

    tables = {"markers_visits": visits}
    if arms:
        tables["markers_arms"] = lambda: tests.markers(
            cells, by=Obs.CAR, reference=False, within=Obs.TIMEPOINT, **options
        )
    if arms and within:
        tables["markers_host"] = lambda: tests.difference_of_differences(
            cells, reference=settings.reference, markers=settings.markers, unit=settings.unit, test=patients
        )
    if within and tracked(study, cells)[0] != "root":
        shares = follow.subsets(cells, of=tracked(study, cells)[0])
        tables["shares_visits"] = lambda: tests.abundance(shares, reference=settings.reference, test=patients)
    made = {"markers_visits": tables.pop("markers_visits")()}
    for name, make in tables.items():
        try:
            made[name] = make()
        except (InputError, UsageError) as error:  # what a study lacks leaves out its table, no other
            (study.out / "tables" / f"{name}.csv").unlink(missing_ok=True)
            say("compare", "", f"no {name}.csv: {error.message}")
    write_tables(study, made)
    say("compare", "", ", ".join(f"{len(t):,} rows in {n}.csv" for n, t in made.items()))
    if Obs.BATCH in cells.obs and transform.batch_is(cells.obs) == "coincide":
        say("compare", "", "batch and visit coincide: read changes between visits beside the technical band and "
            "the host T cells of the same tubes")  # fmt: skip


def report(
    study: Study, cells: AnnData | None = None, *, failed: dict[str, CytofError] | None = None, say: Say = _silent
) -> Path:
    """Draw the figures and write ``report.html``, ``methods.md`` and ``run.json``; returns the page's path."""
    from cytof import report as pages

    cells = read_cells(study) if cells is None else cells
    add_infusions(study, cells)
    sheet = read_sheet(study)
    story = {
        "study": study.model_dump(mode="json"),
        "inputs": {s: {"file": Path(p).name, "sha256": provenance.sha256(p), "bytes": Path(p).stat().st_size}
                   for s, p in zip(sheet[Obs.SAMPLE], sheet["path"], strict=True)},
        "failed": {s: str(e) for s, e in (failed or {}).items()},
        "versions": provenance.versions(),
    }  # fmt: skip
    with provenance.atomic(study.out / "run.json") as part:
        part.write_text(provenance.canonical_json(story) + "\n", encoding="utf-8")
    made = {name: read_table(study, name) for name in ("waterfall", "gate_views")}
    page = pages.write(
        cells, study.out, study_name=study.name, waterfall=made["waterfall"], views=made["gate_views"], provenance=story
    )
    say("report", "", str(page))
    return page
