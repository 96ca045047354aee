"""Leiden communities of PhenoGraph's graph, at a resolution: finer or coarser clusters from the same neighbours."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least
from cytof._neighbors._graph import shared_graph
from cytof.cluster._communities import modularity
from cytof.cluster._jaccard import jaccard_graph
from cytof.cluster._labels import as_labels, by_size
from cytof.errors import UsageError
from cytof.keys import UNS
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

__all__ = ["leiden", "leiden_communities"]


def leiden(
    adata: AnnData,
    *,
    resolution: float = 1.0,
    k: int = 30,
    features: Sequence[str] | None = None,
    key_added: str = "leiden",
    random_state: int = 0,
) -> None:
    """Cluster cells into Leiden communities of their shared-neighbour graph.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    resolution
        Above 1 gives more and smaller clusters, below 1 fewer; 1 is modularity itself, as in PhenoGraph.
    k
        Neighbours a cell. A stored graph of at least ``k`` neighbours on the same features is used
        (:func:`cytof.neighbors`); otherwise one is made and stored.
    features
        Antigens; by default :func:`cytof.transform.features`.
    key_added
        Column of ``obs``.
    random_state
        Seed.

    Writes
    ------
    ``obs[key_added]``: categorical ``"1"``, ``"2"``, ... by falling size, shape (n_cells,).
    ``uns["cytof"][key_added]``: ``modularity`` (at resolution 1), ``n_clusters``, ``k``, ``resolution``. One row of
    ``uns["cytof"]["steps"]``. The neighbour graph where it was not there.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``k`` below 1, ``resolution`` not above 0.

    Warns
    -----
    CytofWarning
        ``k`` exceeds the number of other cells.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.random.default_rng(0).normal(size=(44, 2)).astype(np.float32)
    >>> X[:24] += 9
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> leiden(cells, k=18, features=["CD4", "CD8"], resolution=0.5)
    >>> cells.obs["leiden"].value_counts().to_dict()
    {'1': 24, '2': 20}

    Source: Traag, Waltman and van Eck 2019, Sci Rep 9:5233; graph of Levine et al. 2015, Cell 162:184.
    """
    at_least(k, 1, "k", where="leiden")
    if not resolution > 0:
        raise UsageError(f"resolution is {resolution:g}, expected a number above 0, 1 for modularity", where="leiden")
    graph = shared_graph(adata, k, features, random_state=random_state, step="leiden")
    k = graph.indices.shape[1]
    communities, quality = leiden_communities(
        jaccard_graph(graph.indices), resolution=resolution, random_state=random_state
    )
    numbers = by_size(communities, smallest=1)
    adata.obs[key_added] = as_labels(numbers[undo(graph.order)])
    result = {"modularity": quality, "n_clusters": int(numbers.max()), "k": k, "resolution": float(resolution)}
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {key_added: result}
    params = {"k": k, "features": graph.features, "resolution": float(resolution)}
    transform.record(adata, "leiden" if key_added == "leiden" else f"leiden:{key_added}", params, random_state)
    logging.getLogger("cytof").info("leiden: %d clusters at resolution %g", result["n_clusters"], resolution)


def leiden_communities(
    graph: csr_matrix, *, resolution: float = 1.0, random_state: int = 0, n_iterations: int = 10
) -> tuple[NDArray[np.int64], float]:
    """Return Leiden communities of a symmetric graph and their modularity: igraph's routine on a seed of its own.

    Parameters
    ----------
    graph
        Symmetric, non-negative weights, float64, shape (n_cells, n_cells), rows in canonical order.
    resolution
        Factor of the expected weight within communities.
    random_state
        Seed; the generators of ``random`` and numpy are left as they are.
    n_iterations
        Passes at most.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> pairs = csr_matrix(np.kron(np.eye(2), [[0.0, 1.0], [1.0, 0.0]]))
    >>> leiden_communities(pairs)[0].tolist()
    [0, 0, 1, 1]
    """
    import igraph
    from scipy.sparse import triu

    upper = triu(graph, 1).tocoo()
    if upper.nnz == 0:
        return np.arange(graph.shape[0]), 0.0
    network = igraph.Graph(n=graph.shape[0], edges=np.c_[upper.row, upper.col])
    with _seeded(random_state):
        found = network.community_leiden(
            "modularity", weights=upper.data, resolution=resolution, n_iterations=n_iterations
        )
    community = np.asarray(found.membership, np.int64)
    return community, modularity(graph, community)


@contextlib.contextmanager
def _seeded(random_state: int) -> Iterator[None]:
    """Give igraph a generator of its own for a while; afterwards it draws from ``random`` again, its default."""
    import igraph

    igraph.set_random_number_generator(random.Random(random_state))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)
