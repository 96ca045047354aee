"""Would the clusters be found again? The same clustering over other seeds and over draws of the cells."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, has_columns, in_range
from cytof._neighbors._matrix import cell_order
from cytof.cluster._crosstab import adjusted_rand
from cytof.cluster._flowsom import flowsom
from cytof.cluster._leiden import leiden
from cytof.cluster._phenograph import phenograph
from cytof.cluster._som import Training, slot_name
from cytof.errors import CytofWarning, UsageError
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["best_overlap", "stability", "vote"]

_VERBS: dict[str, Callable[..., None]] = {"flowsom": flowsom, "phenograph": phenograph, "leiden": leiden}
_STABLE, _DISSOLVED = 0.75, 0.5


def stability(
    adata: AnnData, *, key: str = Obs.FLOWSOM, seeds: int = 5, draws: int = 5, fraction: float = 0.8,
    max_cells: int = 100_000, key_added: str | None = None, random_state: int = 0,
) -> None:  # fmt: skip
    """Repeat a clustering with its recorded parameters and rate each cluster by how well it is found again.

    Parameters
    ----------
    adata
        Cells with clusters of :func:`cytof.cluster.flowsom`, :func:`cytof.cluster.phenograph` or
        :func:`cytof.cluster.leiden`.
    key
        Column of ``obs`` with the clusters.
    seeds, draws
        Runs on all cells with other seeds; runs on draws of ``fraction`` of the cells.
    max_cells
        With more cells, all runs are made on an equal draw of this many.
    key_added
        Column of ``obs`` for consensus labels: what most runs say of a cell, clusters of each run matched with those
        of ``key`` by overlap. None for none.
    random_state
        Seed.

    Writes
    ------
    ``uns["cytof"]["stability"]`` (with another ``key``: ``stability:<key>``): DataFrame ``cluster n jaccard_seeds
    jaccard_draws lowest verdict``; Jaccard: of the cluster with its best match, mean over runs; ``verdict``: ``stable``
    from 0.75, ``doubtful``, ``dissolves`` below 0.5, by the draws.
    ``uns["cytof"]["stability_runs"]``: DataFrame ``kind a b ari``, one row a pair of runs (0 is the clustering itself).
    With ``key_added``: ``obs[key_added]`` categorical and ``obs[key_added + "_share"]`` float32, share of runs that
    agree; cells in no run keep their label, with NaN.

    Raises
    ------
    UsageError
        No column ``key``, it was made by no known method, or settings out of range.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.repeat(np.float32([[0], [20]]), 150, axis=0) + np.random.default_rng(0).normal(size=(300, 1))
    >>> cells = anndata.AnnData(X.astype(np.float32), var=pd.DataFrame(index=["CD4"]))
    >>> flowsom(cells, n_clusters=2, grid=(5, 5), features=["CD4"])
    >>> stability(cells, seeds=1, draws=2)
    >>> cells.uns["cytof"]["stability"]["verdict"].tolist()
    ['stable', 'stable']

    Source: Hennig 2007, Computational Statistics & Data Analysis 52:258 (Jaccard by cluster, its limits 0.75 and 0.5).
    """
    import pandas as pd

    has_columns(adata.obs.columns, [key], where="adata.obs", hint="cluster first")
    at_least(seeds + draws, 1, "seeds + draws", where="stability")
    in_range(fraction, 0.05, 1, "fraction", where="stability")
    again = _again(adata, key)
    part = _drawn(adata, max_cells, random_state)
    column = part.obs[key].astype("category")
    reference, categories = column.cat.codes.to_numpy(), [str(c) for c in column.cat.categories]
    runs, kinds = [reference], ["itself"]
    names = part.var_names[:0] if part.n_obs == 0 else part.uns[UNS]["features"]
    order = cell_order(np.asarray(part[:, list(names)].X, np.float32), part.obs_names.to_numpy())
    for run in range(seeds + draws):
        rng = np.random.default_rng([random_state, run])
        size = part.n_obs if run < seeds else max(int(round(fraction * part.n_obs)), 1)
        rows = np.sort(order[rng.permutation(part.n_obs)[:size]]) if run >= seeds else np.arange(part.n_obs)
        found = np.full(part.n_obs, -1)
        found[rows] = again(part[rows], random_state + 1 + run)
        runs.append(found)
        kinds.append("seeds" if run < seeds else "draws")
    table = _per_cluster(runs, kinds, categories)
    slots = {"stability": table, "stability_runs": _pairs(runs, kinds)}
    adata.uns[UNS] = dict(adata.uns[UNS]) | {slot_name(s, key, Obs.FLOWSOM): t for s, t in slots.items()}
    if key_added is not None:
        labels, share = vote(runs, len(categories))
        whole = adata.obs[key].astype("category").cat.codes.to_numpy().copy()
        known = adata.obs_names.get_indexer(part.obs_names)
        whole[known] = labels
        adata.obs[key_added] = pd.Categorical.from_codes(whole, categories=categories)
        shares = np.full(adata.n_obs, np.nan, np.float32)
        shares[known] = share
        adata.obs[f"{key_added}_share"] = shares
    params = {"key": key, "seeds": seeds, "draws": draws, "fraction": fraction, "cells": part.n_obs}
    transform.record(adata, f"stability:{key}", params, random_state)


def best_overlap(
    reference: NDArray[np.integer], found: NDArray[np.integer], n_clusters: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return for each cluster of the reference the largest Jaccard index with a cluster of a run, and which it is.

    Cells with a negative number in either take no part; NaN and -1 for a cluster without cells.

    Examples
    --------
    >>> best_overlap(np.array([0, 0, 1, 1]), np.array([5, 5, 5, 7]), 2)[0].round(2).tolist()
    [0.67, 0.5]
    """
    both = (reference >= 0) & (found >= 0)
    a, b = reference[both], found[both]
    table = np.zeros((n_clusters, int(b.max(initial=0)) + 1))
    np.add.at(table, (a, b), 1)
    union = table.sum(1)[:, None] + table.sum(0)[None] - table
    jaccard = table / np.maximum(union, 1)
    here = table.sum(1) > 0
    return np.where(here, jaccard.max(1), np.nan), np.where(here, jaccard.argmax(1), -1)


def vote(runs: list[NDArray[np.integer]], n_clusters: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return what most runs say of each cell, and the share of the runs it took part in that say so.

    Every cluster of a run is given the cluster of the first run it overlaps most. Ties go to the label of the first
    run, then to the lower number.

    Examples
    --------
    >>> vote([np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([1, 0, 0])], 2)[0].tolist()
    [0, 0, 1]
    """
    first = runs[0]
    votes = np.zeros((len(first), n_clusters), np.float32)
    for found in runs:
        there = np.flatnonzero((found >= 0) & (first >= 0))
        table = np.zeros((n_clusters, int(found.max(initial=0)) + 1))
        np.add.at(table, (first[there], found[there]), 1)
        votes[there, table.argmax(0)[found[there]]] += 1
    known = np.flatnonzero(first >= 0)
    cast = votes.sum(1)
    votes[known, first[known]] += 0.5
    label = np.where(first >= 0, votes.argmax(1), -1)
    votes[known, first[known]] -= 0.5
    return label, (votes[np.arange(len(first)), np.maximum(label, 0)] / np.maximum(cast, 1)).astype(np.float32)


def _again(adata: AnnData, key: str) -> Callable[[AnnData, int], NDArray[np.int64]]:
    """Return a function that clusters cells the way ``key`` was made and returns numbers."""
    steps = adata.uns.get(UNS, {}).get("steps")
    recorded = {} if steps is None else dict(zip(steps["step"].astype(str), steps["params"].astype(str), strict=True))
    step = next((s for v in _VERBS for s in (v if key == v else f"{v}:{key}",) if s in recorded), None)
    if step is None:
        raise UsageError(
            f"`{key}` was not made by {', '.join(_VERBS)} on these cells, so it cannot be repeated",
            where="stability",
            hint=f"steps: {', '.join(recorded) or 'none'}",
        )
    verb, params = _VERBS[step.split(":")[0]], json.loads(recorded[step])
    options: dict[str, Any] = {p: params[p] for p in inspect.signature(verb).parameters if p in params}
    options["fit_on"] = params.get("fit_on") or None
    if verb is flowsom:
        chosen = {"method": params["training"], **{p: params[p] for p in ("rlen", "init", "distance")}}
        options |= {"training": Training(**chosen), "grid": tuple(params["grid"])}
    else:
        del options["fit_on"]

    def cluster_again(part: AnnData, seed: int) -> NDArray[np.int64]:
        copy = part.copy()
        for graph in ("distances", "connectivities"):
            copy.obsp.pop(graph, None)
        copy.uns.pop("neighbors", None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CytofWarning)
            verb(copy, key_added="again", random_state=seed, **options)
        numbers = copy.obs["again"].astype(str).astype(int).to_numpy()
        return np.where(numbers > 0, numbers - 1, -1)

    return cluster_again


def _drawn(adata: AnnData, max_cells: int, random_state: int) -> AnnData:
    """Return the cells to work on: an equal draw of the samples where there are too many."""
    if adata.n_obs <= max_cells:
        return adata
    light = adata.copy() if Obs.SAMPLE in adata.obs else adata
    if Obs.SAMPLE in adata.obs:
        transform.equal_draw(light, total=max_cells, key_added="_stability", random_state=random_state)
        return light[light.obs["_stability"]]
    rows = np.random.default_rng(random_state).permutation(adata.n_obs)[:max_cells]
    return adata[np.sort(rows)]


def _per_cluster(runs: list[NDArray[np.integer]], kinds: list[str], categories: list[str]) -> pd.DataFrame:
    import pandas as pd

    overlap = np.array([best_overlap(runs[0], found, len(categories))[0] for found in runs[1:]])
    of = {kind: overlap[[k == kind for k in kinds[1:]]] for kind in ("seeds", "draws")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a cluster that no run saw has no mean
        mean = {kind: np.nanmean(values, 0) if len(values) else np.full(len(categories), np.nan)
                for kind, values in of.items()}  # fmt: skip
        lowest = np.nanmin(overlap, 0)
    judged = np.where(np.isfinite(mean["draws"]), mean["draws"], mean["seeds"])
    verdict = np.select([judged >= _STABLE, judged >= _DISSOLVED], ["stable", "doubtful"], "dissolves")
    n = np.bincount(runs[0][runs[0] >= 0], minlength=len(categories))
    return pd.DataFrame({
        "cluster": categories, "n": n, "jaccard_seeds": mean["seeds"], "jaccard_draws": mean["draws"],
        "lowest": lowest, "verdict": verdict,
    })  # fmt: skip


def _pairs(runs: list[NDArray[np.integer]], kinds: list[str]) -> pd.DataFrame:
    """Return the agreement of each pair of runs of one kind (the clustering itself belongs to both)."""
    import pandas as pd

    rows = []
    for kind in ("seeds", "draws"):
        places = [i for i, k in enumerate(kinds) if k in ("itself", kind)]
        for at, a in enumerate(places):
            for b in places[at + 1 :]:
                both = (runs[a] >= 0) & (runs[b] >= 0)
                rows.append((kind, a, b, adjusted_rand(runs[a][both], runs[b][both])))
    return pd.DataFrame(rows, columns=["kind", "a", "b", "ari"])
