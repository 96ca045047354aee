"""The stages over all samples, from the gated files to the page.

Under the verbs of :mod:`cytof.pipeline._run`, which decide whether there is anything to do. One seed a stage is spawned
from the study's; every output is written whole or not at all.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof import io, provenance, transform
from cytof._assemble import assemble
from cytof.errors import InputError, UsageError
from cytof.keys import UNS, Obs
from cytof.pipeline._clusters import also_phenograph, cluster_tables
from cytof.pipeline._files import gated_files, kept_cells, read_sheet, read_table, write_tables
from cytof.pipeline._label import label
from cytof.pipeline._large import cluster_large
from cytof.pipeline._select import population, tracked
from cytof.pipeline._story import cells_story
from cytof.pipeline._told import Say, silent
from cytof.pipeline._track import add_infusions, track_tables
from cytof.pipeline._work import HERE, Workers
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["cluster", "compare", "report", "track"]

_REPLICATES = ("anchor", "replicate")  # columns of the sample sheet that name a blood measured more than once


def cluster(study: Study, *, say: Say = silent, workers: Workers = HERE) -> AnnData:
    """FlowSOM, PhenoGraph and t-SNE on the population; writes and returns ``cells.h5ad``.

    Writes the tables ``cluster_numbers cluster_stability cluster_names``. Where more than ``cluster.in_memory`` cells
    were kept, returns the drawn cells alone.
    """
    files = gated_files(study)
    story = provenance.canonical_json(cells_story(study))  # now: a file may go away while this works
    if kept_cells(study) > study.cluster.in_memory:
        return cluster_large(study, files, story, say=say, workers=workers)
    cells = assemble([io.read_h5ad(f) for f in files], read_sheet(study), markers=study.markers)
    write_tables(study, {"warnings": cells.uns[UNS]["warnings"]})
    part = population(study, cells)
    say("cluster", "", f"{part.n_obs:,} cells of {cells.n_obs:,}")
    label(study, part, cells, say=say)
    transform.merge_cells(cells, part)
    also_phenograph(study, cells, transform.features(part, study.cluster.features), say)
    write_tables(study, cluster_tables(cells))
    cells.uns[UNS]["run"] = story
    io.write_h5ad(study.out / "cells.h5ad", cells)
    return cells


def track(study: Study, cells: AnnData, *, say: Say = silent) -> None:
    """Write the tables ``abundance courses persistence subsets host_subsets clusters flow safety ... state profile``.

    ``infusions.csv`` beside study.yaml, where it is there, ends courses at another CAR T product.
    """
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
            made, why = pd.DataFrame(), error.message
        else:
            why = "it has no rows"
        if len(made):
            write_tables(study, {table: made})
        else:
            say("track", "", f"no {table}.csv: {why}")
            (study.out / "tables" / f"{table}.csv").unlink(missing_ok=True)


def compare(study: Study, cells: AnnData, *, say: Say = silent) -> None:
    """Write ``markers_visits`` (between visits), ``markers_arms`` (CAR T v host T), ``markers_host shares_visits``.

    ``markers_host`` is the change of CAR T beside that of host T cells, ``shares_visits`` the shares of subsets; a
    column of ``compare.by`` gives ``markers_<column>`` and ``shares_<column>``.
    Between visits every effect stands beside the technical band: of the markers of ``compare.stable``, and of the tubes
    that a column ``anchor`` or ``replicate`` of the sample sheet gives one word (the same blood, measured again).
    """
    from cytof import compare as tests
    from cytof import track as follow

    settings = study.compare
    options: dict[str, Any] = {"markers": settings.markers, "test": settings.test, "unit": settings.unit}
    patients = settings.test if settings.test in ("t", "moderated-t") else "auto"
    part = population(study, cells)
    within = Obs.SUBSET if part.obs[Obs.SUBSET].notna().any() else None  # no subset gates: all cells together
    arms = cells.obs[Obs.CAR].nunique() == 2

    stable = [m for m in settings.stable if m in cells.var_names]
    again = next((c for c in _REPLICATES if c in cells.obs), None)
    shifts = tests.technical_shifts(
        cells, markers=stable, within=within, reference=settings.reference, replicates=again
    )

    def visits() -> pd.DataFrame:
        found = tests.markers(part, by=Obs.TIMEPOINT, reference=settings.reference, within=within, **options)
        return tests.against_technical(found, shifts)

    def beside_host() -> pd.DataFrame:
        found = tests.difference_of_differences(
            cells, reference=settings.reference, markers=settings.markers, unit=settings.unit, test=patients
        )
        return tests.against_technical(found, shifts)

    tables = {"markers_visits": visits}
    if arms:
        tables["markers_arms"] = lambda: tests.markers(
            cells, by=Obs.CAR, reference=False, within=Obs.TIMEPOINT, **options
        )
    if arms and within:
        tables["markers_host"] = beside_host
    if within and tracked(study, cells)[0] != "root":
        shares = follow.subsets(cells, of=tracked(study, cells)[0])
        tables["shares_visits"] = lambda: tests.abundance(shares, reference=settings.reference, test=patients)
        for name in settings.by:
            sheet = cells.obs[[Obs.SAMPLE, name]].drop_duplicates(Obs.SAMPLE).astype(str)
            tables[f"shares_{name}"] = partial(
                tests.abundance, shares.merge(sheet, on=Obs.SAMPLE), by=name, test=patients
            )
    for name in settings.by:
        tables[f"markers_{name}"] = partial(tests.markers, part, by=name, within=within, **options)
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


def report(study: Study, cells: AnnData, story: dict[str, Any], *, say: Say = silent) -> Path:
    """Draw the figures and write ``report.html``, ``methods.md`` and ``run.json``; returns the page's path."""
    from cytof import report as pages

    add_infusions(study, cells)
    with provenance.atomic(study.out / "run.json") as part:
        part.write_text(provenance.canonical_json(story) + "\n", encoding="utf-8")
    made = {name: read_table(study, name) for name in ("waterfall", "gate_views", "gate_sensitivity")}
    cells.uns[UNS]["gate_sensitivity"] = made["gate_sensitivity"]
    page = pages.write(
        cells, study.out, study_name=study.name, waterfall=made["waterfall"], views=made["gate_views"], provenance=story
    )
    say("report", "", str(page))
    return page
