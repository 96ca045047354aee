"""PhenoGraph: shared-neighbour graph, then communities by modularity."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, one_of
from cytof._neighbors._graph import shared_graph
from cytof.cluster._communities import louvain, modularity
from cytof.cluster._jaccard import jaccard_graph
from cytof.cluster._labels import as_labels, by_size
from cytof.cluster._leiden import leiden_communities
from cytof.errors import CytofWarning
from cytof.keys import UNS
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["communities_of", "phenograph"]


def phenograph(
    adata: AnnData,
    *,
    k: int = 30,
    features: Sequence[str] | None = None,
    min_cluster_size: int = 10,
    engine: str = "cytof",
    communities: str = "louvain",
    key_added: str = "phenograph",
    random_state: int = 0,
) -> None:
    """Cluster cells into communities of their neighbour graph.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    k
        Neighbours a cell. A stored graph of at least ``k`` neighbours on the same features is used
        (:func:`cytof.neighbors`); otherwise one is made and stored.
    features
        Antigens; by default :func:`cytof.transform.features`.
    min_cluster_size
        Smaller communities get the label ``"-1"``, as in the original.
    engine
        ``"cytof"``, or ``"phenograph"``: the original package, for comparison. It searches its own neighbours and its
        Louvain takes no seed.
    communities
        ``"louvain"`` (the best of up to five runs, of two above 100,000 cells) or ``"leiden"``; for the engine
        ``"cytof"``.
    key_added
        Column of ``obs``.
    random_state
        Seed of the order in which communities are tried.

    Writes
    ------
    ``obs[key_added]``: categorical ``"1"``, ``"2"``, ... by falling size, then ``"-1"``, shape (n_cells,).
    ``uns["cytof"][key_added]``: ``modularity``, ``n_clusters``, ``k``, ``engine``. One row of
    ``uns["cytof"]["steps"]``. The neighbour graph where it was not there.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``k`` below 1, an unknown engine or way to communities.

    Warns
    -----
    CytofWarning
        ``k`` exceeds the number of other cells, or every community is smaller than ``min_cluster_size``.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.random.default_rng(0).normal(size=(44, 2)).astype(np.float32)
    >>> X[:24] += 9
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> phenograph(cells, k=18, features=["CD4", "CD8"])
    >>> cells.obs["phenograph"].value_counts().to_dict()
    {'1': 24, '2': 20}

    Source: Levine et al. 2015, Cell 162:184 (Jaccard graph, k 30, Louvain).
    """
    one_of(engine, ("cytof", "phenograph"), "engine", where="phenograph")
    one_of(communities, ("louvain", "leiden"), "communities", where="phenograph")
    at_least(k, 1, "k", where="phenograph")
    graph = shared_graph(adata, k, features, random_state=random_state, step="phenograph")
    k = graph.indices.shape[1]
    if engine == "cytof":
        found, quality = communities_of(graph.indices, communities=communities, random_state=random_state)
    else:
        found = _original(graph.X, k, random_state)
        quality = modularity(jaccard_graph(graph.indices), found)
    numbers = by_size(found, smallest=min_cluster_size)
    if (numbers == -1).all():
        warnings.warn(
            f"phenograph: all communities among {adata.n_obs} cells are below {min_cluster_size} cells, labelled -1",
            CytofWarning,
            stacklevel=2,
        )
    adata.obs[key_added] = as_labels(numbers[undo(graph.order)])
    n_clusters = max(int(numbers.max()), 0)
    result = {"modularity": quality, "n_clusters": n_clusters, "k": k, "engine": engine}
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {key_added: result}
    params = {"k": k, "features": graph.features, "min_cluster_size": min_cluster_size, "engine": engine}
    params |= {"communities": communities} if engine == "cytof" else {}
    transform.record(
        adata, "phenograph" if key_added == "phenograph" else f"phenograph:{key_added}", params, random_state
    )
    logging.getLogger("cytof").info("phenograph: %d clusters, modularity %.4f", n_clusters, quality)


def communities_of(
    indices: NDArray[np.int64], *, communities: str = "louvain", random_state: int = 0, n_jobs: int | None = None
) -> tuple[NDArray[np.int64], float]:
    """Return communities of a neighbour graph and their modularity: PhenoGraph on arrays.

    Parameters
    ----------
    indices
        Neighbours without the cell itself, nearest first, shape (n_cells, k), cells in canonical order.
    communities
        ``"louvain"`` or ``"leiden"``.
    random_state
        Seed.
    n_jobs
        Threads; the result is the same for any number.

    Examples
    --------
    >>> found, quality = communities_of(np.array([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]]))
    >>> found.tolist(), round(quality, 6)
    ([0, 0, 0, 1, 1, 1], 0.5)
    """
    graph = jaccard_graph(indices, n_jobs=n_jobs)
    if communities == "leiden":
        return leiden_communities(graph, random_state=random_state)
    return louvain(graph, random_state=random_state, n_jobs=n_jobs)


def _original(X: NDArray[np.float32], k: int, random_state: int) -> NDArray[np.int64]:
    """Run the original package, which writes into the working directory, in a temporary one."""
    import phenograph as original

    with tempfile.TemporaryDirectory() as folder, _working_in(folder), contextlib.redirect_stdout(io.StringIO()):
        labels, _, _ = original.cluster(
            X.astype(np.float64), k=k, min_cluster_size=1, seed=random_state, n_jobs=1, primary_metric="euclidean"
        )
    return np.asarray(labels, np.int64)


@contextlib.contextmanager
def _working_in(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
