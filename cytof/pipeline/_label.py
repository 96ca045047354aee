"""FlowSOM, PhenoGraph and t-SNE of one population, with one search of neighbours for the last two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cytof import provenance, transform
from cytof._neighbors import neighbors
from cytof.keys import Obs
from cytof.pipeline._clusters import judge_clusters, run_flowsom
from cytof.pipeline._place import place_rest
from cytof.pipeline._told import Say
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["label"]


def label(study: Study, part: AnnData, cells: AnnData, *, rest: bool = True, say: Say) -> None:
    """Cluster the cells of the population and map a draw of them; levels of the markers come from ``cells``.

    Writes
    ------
    ``obs["flowsom"]`` of all cells; ``obs["phenograph"]`` and ``obsm["X_tsne"]`` of the cells of ``obs["in_fit"]``, an
    equal draw of each sample, at most ``cluster.max_cells`` in all. With ``rest``, the others are placed on the
    map, and ``obs["placed"]`` says which they are.
    """
    from cytof import cluster as engines
    from cytof import embed

    settings, features = study.cluster, transform.features(part, study.cluster.features)
    say("cluster", "", run_flowsom(study, part, features))
    judge_clusters(study, part, cells, say)
    transform.equal_draw(part, total=settings.max_cells, random_state=provenance.stage_seed(study.seed, "draw"))
    drawn = part[part.obs[Obs.IN_FIT]].copy()
    widest = max(settings.k, int(3 * study.embed.perplexity))  # one search serves PhenoGraph and t-SNE
    neighbors(drawn, k=min(widest, drawn.n_obs - 1), features=features, connectivities=False)
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
    placed = place_rest(study, part, drawn) if rest else 0
    if placed:
        say("cluster", "", f"t-SNE: {placed:,} further cells placed on it")
