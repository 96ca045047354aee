"""How a study's cells are clustered, and what speaks for the clusters: stability, agreement, names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from cytof import cluster as engines
from cytof import provenance, transform
from cytof.errors import PanelError
from cytof.keys import UNS, Obs
from cytof.pipeline._select import population
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["also_phenograph", "cluster_tables", "judge_clusters", "run_flowsom"]

_TABLES = {"cluster_stability": "stability", "cluster_names": "names", "cluster_numbers": "consensus"}


def cluster_tables(cells: AnnData) -> dict[str, pd.DataFrame]:
    """Return the tables that speak for the clusters: those that were made."""
    return {name: cells.uns[UNS][slot] for name, slot in _TABLES.items() if slot in cells.uns[UNS]}


def run_flowsom(study: Study, part: AnnData, features: list[str]) -> str:
    """Cluster a population with FlowSOM as the study says, every sample with the same weight unless it says `cells`.

    Returns what was found, in words.
    """
    settings = study.cluster
    by_sample = settings.weigh == "samples" and part.obs[Obs.SAMPLE].nunique() > 1
    if by_sample:
        transform.equal_weight(part)
    engines.flowsom(
        part, n_clusters=min(settings.n_clusters, part.n_obs), grid=settings.grid,
        training=engines.Training(settings.training, rlen=settings.rlen), features=features,
        fit_on=Obs.WEIGHT if by_sample else None, random_state=provenance.stage_seed(study.seed, "flowsom"),
    )  # fmt: skip
    proposed = part.uns[UNS]["som"]["proposed_k"]
    return f"FlowSOM: {part.obs[Obs.FLOWSOM].nunique()} clusters, {proposed} proposed"


def also_phenograph(study: Study, cells: AnnData, features: list[str], say: Callable[[str, str, str], None]) -> None:
    """Run PhenoGraph on an equal draw of each further population the study names (``cluster.also``).

    Writes ``obs["phenograph_<population>"]`` of all cells, none outside the draw.
    """
    for name in study.cluster.also:
        part = population(study, cells, name)
        transform.equal_draw(
            part, total=study.cluster.max_cells, key_added="_also",
            random_state=provenance.stage_seed(study.seed, f"draw {name}"),
        )  # fmt: skip
        drawn = part[part.obs["_also"]].copy()
        key = f"{Obs.PHENOGRAPH}_{name.replace('/', '_')}"
        engines.phenograph(
            drawn, k=study.cluster.k, features=features, key_added=key,
            random_state=provenance.stage_seed(study.seed, "phenograph"),
        )  # fmt: skip
        cells.obs[key] = drawn.obs[key].reindex(cells.obs_names)
        home, steps = cells.uns[UNS], drawn.uns[UNS]["steps"]
        own = steps[steps["step"] == f"phenograph:{key}"]
        cells.uns[UNS] = home | {"steps": pd.concat([home["steps"], own], ignore_index=True)}
        say("cluster", "", f"PhenoGraph of {name}: {drawn.obs[key].nunique()} clusters of {drawn.n_obs:,} cells")


def judge_clusters(study: Study, part: AnnData, cells: AnnData, say: Callable[[str, str, str], None]) -> None:
    """Rate the FlowSOM clusters over seeds and draws, and name them by the study's signatures.

    Parameters
    ----------
    part
        Clustered cells of the population.
    cells
        All kept cells; the levels of the markers come from these.

    Writes ``uns["cytof"]`` of ``part``: ``stability stability_runs`` and ``names``, and the tables
    ``cluster_stability cluster_names``.
    """
    runs = study.cluster.stability
    if runs and part.n_obs >= 10:
        engines.stability(
            part, seeds=runs, draws=runs, max_cells=study.cluster.max_cells,
            random_state=provenance.stage_seed(study.seed, "stability"),
        )  # fmt: skip
        told = part.uns[UNS]["stability"]
        say("cluster", "", f"stability: {(told['verdict'] == 'stable').sum()} of {len(told)} clusters stable")
    signatures = study.read_subsets()
    if not signatures:
        return
    try:
        markers = list(dict.fromkeys(a for s in signatures for a, _ in s.signs if a in cells.var_names))
        levels = engines.marker_thresholds(cells, markers)
        names = engines.name(part, signatures, thresholds=levels)
    except PanelError as error:  # a panel without the markers of the signatures: clusters keep their numbers
        say("cluster", "", f"no names: {error.message}")
        return
    part.uns[UNS] = part.uns[UNS] | {"names": names}
    say("cluster", "", f"names: {', '.join(f'{c} {n}' for c, n in zip(names['cluster'], names['name'], strict=True))}")
