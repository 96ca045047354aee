"""t-SNE by openTSNE, on the neighbours that PhenoGraph uses too."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least
from cytof._neighbors._graph import shared_graph
from cytof.embed._gradient import exact_gradient
from cytof.errors import CytofWarning
from cytof.keys import OBSM, UNS
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["tsne"]

_FEWEST = 4  # cells that can be mapped: perplexity 1 needs three others
_EXACT = 20_000  # up to so many cells all pairs are taken; beyond, openTSNE's interpolation is faster
_SPREAD = 1e-4  # standard deviation of the first component at the start


def tsne(
    adata: AnnData,
    *,
    perplexity: float = 30,
    features: Sequence[str] | None = None,
    n_iter: int = 500,
    n_jobs: int = 2,
    key_added: str = OBSM.TSNE,
    random_state: int = 0,
) -> None:
    """Map cells to two dimensions with t-SNE.

    Starts from the first two principal components; 250 iterations with attraction exaggerated 12 times, learning at
    n / 12, then ``n_iter`` without, learning at n (both 200 at least; openTSNE's gradient lacks the factor 4).
    Up to 20,000 cells the gradient is exact, above it is interpolated.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    perplexity
        Effective number of neighbours; three times as many are used, from a stored graph where one holds them.
    features
        Antigens; by default :func:`cytof.transform.features`.
    n_iter
        Iterations after early exaggeration.
    n_jobs
        Threads. Recorded: the same bytes are promised for the same ``n_jobs``.
    key_added
        Key of ``obsm``.
    random_state
        Recorded; the start is not drawn, only cells on one point are pushed apart by a draw.

    Writes
    ------
    ``obsm[key_added]`` float32, shape (n_cells, 2). ``uns["cytof"][key_added]``: ``kl_divergence``, ``perplexity``,
    ``n_iter``, ``learning_rate`` (of the exaggerated iterations), ``n_jobs``. One row of ``uns["cytof"]["steps"]``.
    The neighbour graph where it was not there.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``perplexity``, ``n_iter`` or ``n_jobs`` below 1.

    Warns
    -----
    CytofWarning
        The perplexity is too large for the number of cells and is lowered; fewer than 4 cells (all placed at 0).

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> tsne(cells, perplexity=5, features=["CD4", "CD8"], n_iter=50)
    >>> cells.obsm["X_tsne"].shape
    (60, 2)

    Source: van der Maaten and Hinton 2008, JMLR 9:2579; Belkina et al. 2019, Nat Commun 10:5415 (learning rate n/12);
    Kobak and Berens 2019, Nat Commun 10:5416 (start from components).
    """
    for value, name in ((perplexity, "perplexity"), (n_iter, "n_iter"), (n_jobs, "n_jobs")):
        at_least(value, 1, name, where="tsne")
    n = adata.n_obs
    perplexity = _attainable(perplexity, n)
    k = max(1, min(n - 1, int(3 * perplexity)))
    graph = shared_graph(adata, k, features, random_state=random_state, step="tsne")
    if n < _FEWEST:
        places, divergence = np.zeros((n, 2)), 0.0
    else:
        start = _components(graph.X, random_state)
        places, divergence = _map(graph.indices, graph.distances, start, perplexity, n_iter, n_jobs)
    adata.obsm[key_added] = places[undo(graph.order)].astype(np.float32)
    result = {
        "kl_divergence": float(divergence),
        "perplexity": float(perplexity),
        "n_iter": n_iter,
        "learning_rate": _rate(n, 12),
        "n_jobs": n_jobs,
    }
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {key_added: result}
    params = {key: value for key, value in result.items() if key != "kl_divergence"} | {"features": graph.features}
    transform.record(adata, "tsne" if key_added == OBSM.TSNE else f"tsne:{key_added}", params, random_state)


def _attainable(perplexity: float, n: int) -> float:
    if n < _FEWEST:
        if n:
            warnings.warn(
                f"tsne: {n} cells, at least {_FEWEST} make a map: all placed at 0", CytofWarning, stacklevel=3
            )
        return 1.0
    most = max(1.0, (n - 1) / 3)
    if perplexity > most:
        warnings.warn(
            f"tsne: perplexity {perplexity:g} needs {int(3 * perplexity) + 1} cells, found {n}: lowered to {most:.3g}",
            CytofWarning,
            stacklevel=3,
        )
    return min(float(perplexity), most)


def _components(X: NDArray[np.float32], random_state: int) -> NDArray[np.float64]:
    """Return the first two principal components, signs fixed, scaled; a trace of noise parts cells on one point."""
    centred = X.astype(np.float64) - X.mean(0, dtype=np.float64)
    _, axis = np.linalg.eigh(np.einsum("ni,nj->ij", centred, centred))
    axis = axis[:, ::-1][:, :2]
    axis = axis * np.where(axis[np.abs(axis).argmax(0), np.arange(axis.shape[1])] < 0, -1.0, 1.0)
    places = np.zeros((len(X), 2))
    places[:, : axis.shape[1]] = np.einsum("ni,ij->nj", centred, axis)
    scale = places[:, 0].std()
    places *= _SPREAD / scale if scale > 0 else 0.0
    return places + np.random.default_rng(random_state).normal(0, _SPREAD / 100, places.shape)


def _rate(n: int, exaggeration: float) -> float:
    return max(200.0, n / exaggeration)


def _map(
    indices: NDArray[np.int64],
    distances: NDArray[np.float32],
    start: NDArray[np.float64],
    perplexity: float,
    n_iter: int,
    n_jobs: int,
) -> tuple[NDArray[np.float64], float]:
    """Run openTSNE on neighbours in canonical order; return places and the Kullback-Leibler divergence."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    affinities = PerplexityBasedNN(
        knn_index=PrecomputedNeighbors(indices, distances.astype(np.float64)), perplexity=perplexity, n_jobs=n_jobs
    )
    method = exact_gradient if len(start) <= _EXACT else "fft"
    embedding = TSNEEmbedding(start, affinities, n_jobs=n_jobs, negative_gradient_method=method, random_state=0)
    n = len(start)
    embedding.optimize(250, exaggeration=12, momentum=0.5, learning_rate=_rate(n, 12), inplace=True)
    embedding.optimize(n_iter, momentum=0.8, learning_rate=_rate(n, 1), inplace=True)
    return np.asarray(embedding), float(embedding.kl_divergence)
