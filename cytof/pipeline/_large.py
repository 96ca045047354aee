"""Clustering of a cohort that memory does not hold: trained on an equal draw, then one sample at a time.

The same engines as for a small study, on a draw of the population with the same number of cells from each sample; all
other cells of the population are given the cluster of their node on the finished map, and a place on that of t-SNE
(``embed.rest``). ``cells.h5ad`` grows by one sample after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cytof import cluster as engines
from cytof import io, provenance, transform
from cytof._assemble import assemble
from cytof.keys import OBSM, UNS, Layers, Obs
from cytof.pipeline._clusters import cluster_tables
from cytof.pipeline._files import read_sheet, write_tables
from cytof.pipeline._label import label
from cytof.pipeline._place import places_on, reference_of
from cytof.pipeline._select import inside, population
from cytof.pipeline._told import Say, told
from cytof.pipeline._work import HERE, Workers
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["cluster_large"]

_NODE = f"{Obs.FLOWSOM}_node"


def cluster_large(study: Study, files: Sequence[Path], story: str, *, say: Say, workers: Workers = HERE) -> AnnData:
    """Cluster a large cohort; write ``cells.h5ad`` and return its head: the drawn cells with all their results.

    Parameters
    ----------
    study
        ``cluster.fit_cells`` cells of the population are drawn, equally from each sample.
    files
        ``gated/<sample>.h5ad``.
    story
        What the cells came from, for ``uns["cytof"]["run"]``.
    say
        Progress callback.
    workers
        Where cells are drawn and mapped.
    """
    each = max(1, study.cluster.fit_cells // len(files))
    tasks = [(study, file, each) for file in files]
    part = assemble(list(workers.each(_draw, tasks)), read_sheet(study), markers=study.markers)
    if part.n_obs < 3:
        population(study, part)  # which says where the cells were lost
    say("cluster", "", f"{part.n_obs:,} cells drawn, at most {each:,} a sample")
    label(study, part, part, rest=False, say=say)
    model, steps = engines.model(part), told(say)
    steps.expect("map", len(files))
    fitted = part[part.obs[Obs.IN_FIT]]
    there = reference_of(study, fitted)
    labels = workers.each(_mapped, [(study, file, model, there, fitted.obs_names) for file in files])
    write_tables(study, {"warnings": part.uns[UNS]["warnings"], **cluster_tables(part)})
    if study.cluster.also:
        say("cluster", "", "no PhenoGraph of further populations: memory does not hold these cells")
    part.uns[UNS]["run"] = story
    _write(study, part, files, labels, steps)
    return part


def _draw(study: Study, file: Path, n: int) -> AnnData:
    """Return cells of the population of one sample, drawn."""
    cells = io.read_h5ad(file)
    part = _only(cells, inside(study, cells))
    if not part.n_obs:
        return part
    transform.equal_draw(part, n=n, random_state=provenance.stage_seed(study.seed, "fit"))
    drawn = _only(part, part.obs[Obs.IN_FIT].to_numpy())
    del drawn.obs[Obs.IN_FIT]
    return drawn


def _only(cells: AnnData, rows: NDArray[np.bool_]) -> AnnData:
    """Return some cells as their own table; a view, ``cells[rows]``, holds all of them until garbage is looked for."""
    import anndata

    layers = {Layers.COUNTS: np.asarray(cells.layers[Layers.COUNTS])[rows]}
    return anndata.AnnData(np.asarray(cells.X)[rows], obs=cells.obs[rows], var=cells.var, layers=layers, uns=cells.uns)


@dataclass(frozen=True)
class _Mapped:
    """Of the cells of one sample: which are in the population, their nodes, their clusters, their places on the map.

    Those that the map was made of have no place here (NaN).
    """

    here: NDArray[np.bool_]
    node: NDArray
    cluster: NDArray
    places: NDArray[np.float32]


def _mapped(study: Study, file: Path, model: engines.Model, there: AnnData | None, fitted: pd.Index) -> _Mapped:
    """Map the cells of one sample that are in the population."""
    cells = io.read_h5ad(file)
    here = inside(study, cells)
    columns = cells.var_names.get_indexer(list(model.features))
    X = np.ascontiguousarray(np.asarray(cells.X)[here][:, columns], np.float32)
    node, cluster, _ = engines.map_array(X, model)
    rest = here & ~np.asarray(cells.obs_names.isin(fitted))
    places = np.full((cells.n_obs, 2), np.nan, np.float32)
    places[rest] = places_on(study, cells, rest, there)
    return _Mapped(here, node, cluster, places)


def _write(study: Study, part: AnnData, files: Sequence[Path], labels: Iterator[Any], steps: Any) -> None:
    """Write ``cells.h5ad`` a sample at a time."""
    sheet, clusters = read_sheet(study), list(part.obs[Obs.FLOWSOM].cat.categories)
    with io.growing_h5ad(study.out / "cells.h5ad", part) as add:
        for file, found in zip(files, labels, strict=True):
            cells = assemble([io.read_h5ad(file)], sheet, markers=study.markers)
            here, obs = found.here, _results(cells, part, found.places)
            obs[_NODE] = _spread(found.node.astype(float), here)
            codes = _spread(found.cluster, here, -1).astype(int)
            obs[Obs.FLOWSOM] = pd.Categorical.from_codes(codes, categories=clusters)
            add(_like(part, cells, obs, found.places))
            steps("map", file.stem, f"{int(here.sum()):,} of {cells.n_obs:,} cells mapped")


def _like(part: AnnData, cells: AnnData, obs: pd.DataFrame, places: NDArray[np.float32]) -> AnnData:
    """Return the cells of one sample with the variables of the drawn cells; NaN for markers that it lacks."""
    import anndata

    at = cells.var_names.get_indexer(part.var_names)
    X, counts = (
        np.where(at >= 0, np.asarray(values)[:, at], np.float32(np.nan)).astype(np.float32, copy=False)
        for values in (cells.X, cells.layers[Layers.COUNTS])
    )
    return anndata.AnnData(X, obs=obs, var=part.var, layers={Layers.COUNTS: counts}, obsm={OBSM.TSNE: places})


def _results(cells: AnnData, part: AnnData, places: NDArray[np.float32]) -> pd.DataFrame:
    """Return ``obs`` of one sample with what only the drawn cells have; add their places on the map to ``places``."""
    obs = cells.obs.copy()
    at = part.obs_names.get_indexer(obs.index)
    drawn = at >= 0
    obs[Obs.IN_FIT], obs[Obs.PLACED] = False, np.isfinite(places).all(axis=1)
    obs.loc[drawn, Obs.IN_FIT] = part.obs[Obs.IN_FIT].to_numpy()[at[drawn]]
    if Obs.PHENOGRAPH in part.obs:
        codes = np.where(drawn, part.obs[Obs.PHENOGRAPH].cat.codes.to_numpy()[at], -1)
        obs[Obs.PHENOGRAPH] = pd.Categorical.from_codes(codes, dtype=part.obs[Obs.PHENOGRAPH].dtype)
    fitted = obs[Obs.IN_FIT].to_numpy()
    places[fitted] = part.obsm[OBSM.TSNE][at[fitted]]
    return obs


def _spread(values: NDArray, here: NDArray[np.bool_], outside: float = np.nan) -> NDArray[np.float64]:
    column = np.full(len(here), outside)
    column[here] = values
    return column
