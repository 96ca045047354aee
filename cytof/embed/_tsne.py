"""t-SNE by openTSNE, on the neighbours that PhenoGraph uses too."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, has_columns
from cytof._neighbors._graph import Graph, shared_graph
from cytof._neighbors._matrix import feature_matrix
from cytof.embed._affinity import affinities
from cytof.embed._judge import drawn_cells, preservation
from cytof.embed._optimise import Schedule, learning_rate, optimise
from cytof.embed._place import place_array
from cytof.errors import CytofWarning, UsageError
from cytof.keys import OBSM, UNS
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

__all__ = ["components", "tsne"]

_FEWEST = 4  # cells that can be mapped: perplexity 1 needs three others
_SPREAD = 1e-4  # standard deviation of the first component at the start


def tsne(
    adata: AnnData,
    *,
    perplexity: float = 30,
    features: Sequence[str] | None = None,
    fit_on: str | None = None,
    schedule: Schedule = Schedule(),  # noqa: B008
    n_jobs: int = 2,
    key_added: str = OBSM.TSNE,
    random_state: int = 0,
) -> None:
    """Map cells to two dimensions with t-SNE.

    Starts from the first two principal components; iterations with attraction exaggerated 12 times, learning at n / 12,
    until the divergence is flat (250 at most), then 500 without, learning at n (both 200 at least; openTSNE's gradient
    lacks the factor 4). Up to 8,000 cells the gradient is exact, above it is interpolated on a grid.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale, shape (n_cells, n_channels).
    perplexity
        Effective number of neighbours; three times as many are used, from a stored graph where one holds them.
    features
        Antigens; by default :func:`cytof.transform.features`.
    fit_on
        Boolean column of ``obs``: the map is made of these cells (equal numbers a visit:
        :func:`cytof.transform.equal_draw` writes ``in_fit``) and the others are placed on it (:func:`place`). None for
        all cells.
    schedule
        Iterations, and a function that watches the progress and may end it.
    n_jobs
        Threads. Recorded: the same bytes are promised for the same ``n_jobs``.
    key_added
        Key of ``obsm``.
    random_state
        Recorded; the start is not drawn, only cells on one point are pushed apart by a draw.

    Writes
    ------
    ``obsm[key_added]`` float32, shape (n_cells, 2). ``uns["cytof"][key_added]``: ``kl_divergence``, ``perplexity``,
    ``exaggerated`` and ``n_iter`` (iterations done), ``stopped`` (by the watcher), ``learning_rate`` (of the
    exaggerated ones), ``preservation`` (share of the nearest neighbours, 30 or as many as the graph has, that are
    nearest on the map too; on 1,000 drawn cells), ``n_fit``, ``n_jobs``, ``features``. One row of
    ``uns["cytof"]["steps"]``. The neighbour graph where it was not there and all cells were fitted.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    UsageError
        ``perplexity`` or ``n_jobs`` below 1; no column ``fit_on``, or one that holds no truth values or marks no cell.

    Warns
    -----
    CytofWarning
        The perplexity is too large for the number of cells and is lowered; fewer than 4 cells (all placed at 0).

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> tsne(cells, perplexity=5, features=["CD4", "CD8"], schedule=Schedule(n_iter=50))
    >>> cells.obsm["X_tsne"].shape
    (60, 2)

    Source: van der Maaten and Hinton 2008, JMLR 9:2579; Belkina et al. 2019, Nat Commun 10:5415 (learning rate n/12,
    end of early exaggeration);
    Kobak and Berens 2019, Nat Commun 10:5416 (start from components).
    """
    for value, name in ((perplexity, "perplexity"), (n_jobs, "n_jobs")):
        at_least(value, 1, name, where="tsne")
    fitted = _fitted(adata, fit_on)
    cells = adata if fitted.all() else adata[fitted].copy()
    perplexity = _attainable(perplexity, cells.n_obs)
    k = max(1, min(cells.n_obs - 1, int(3 * perplexity)))
    graph = shared_graph(cells, k, features, random_state=random_state, step="tsne")
    drawn = drawn_cells(len(graph.X), random_state)
    near, away = graph.indices.astype(np.int32), graph.distances.copy()
    graph = replace(graph, indices=graph.indices[drawn], distances=graph.distances[drawn])  # all that is still read
    P = affinities(near, away, perplexity, n_jobs)
    del near, away
    places, result = _map(graph, drawn, P, schedule, n_jobs, random_state)
    full = np.zeros((adata.n_obs, 2), np.float32)
    full[fitted] = places[undo(graph.order)]
    if not fitted.all():
        rest, _ = feature_matrix(adata[~fitted].copy(), graph.features, step="tsne")
        full[~fitted] = place_array(rest, graph.X, places, n_jobs=n_jobs)
    adata.obsm[key_added] = full
    params: dict[str, Any] = {"perplexity": perplexity, "learning_rate": learning_rate(len(places)), "n_jobs": n_jobs}
    params |= {"n_fit": len(places), "fit_on": fit_on or "", "features": graph.features}
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {key_added: result | params}
    params |= {key: result[key] for key in ("exaggerated", "n_iter", "stopped", "gradient")}
    transform.record(adata, "tsne" if key_added == OBSM.TSNE else f"tsne:{key_added}", params, random_state)


def _fitted(adata: AnnData, fit_on: str | None) -> NDArray[np.bool_]:
    if fit_on is None:
        return np.ones(adata.n_obs, bool)
    has_columns(adata.obs.columns, [fit_on], where="tsne", hint="`transform.equal_draw` writes `in_fit`")
    column = adata.obs[fit_on]
    if column.dtype != bool or not column.any():
        found = "no True" if column.dtype == bool else f"values of type {column.dtype}"
        raise UsageError(f"fit_on: found {found} in `{fit_on}`, expected True for the cells to fit", where="tsne")
    return column.to_numpy()


def _map(
    graph: Graph, drawn: NDArray[np.int64], P: csr_matrix, schedule: Schedule, n_jobs: int, random_state: int
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return places of the cells of a graph, in its order, and what is known of the map.

    ``graph`` has only the neighbours of the ``drawn`` cells, by which the map is judged; ``P``: affinities of all.
    """
    n = len(graph.X)
    if n < _FEWEST:
        nothing = {
            "kl_divergence": 0.0,
            "exaggerated": 0,
            "n_iter": 0,
            "stopped": False,
            "preservation": 1.0,
            "gradient": "exact",
        }
        return np.zeros((n, 2), np.float32), nothing
    start = components(graph.X, random_state)
    found, result = optimise(P, start, schedule, n_jobs)
    places = found.astype(np.float32)
    return places, result | {"preservation": preservation(drawn, graph.indices, places)}


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


def components(X: NDArray[np.float32], random_state: int) -> NDArray[np.float64]:
    """Return the first two principal components, signs fixed, scaled; a trace of noise parts cells on one point.

    Float64, shape (n_cells, 2), the first with standard deviation 0.0001.
    """
    centred = X.astype(np.float64) - X.mean(0, dtype=np.float64)
    _, axis = np.linalg.eigh(np.einsum("ni,nj->ij", centred, centred))
    axis = axis[:, ::-1][:, :2]
    axis = axis * np.where(axis[np.abs(axis).argmax(0), np.arange(axis.shape[1])] < 0, -1.0, 1.0)
    places = np.zeros((len(X), 2))
    places[:, : axis.shape[1]] = np.einsum("ni,ij->nj", centred, axis)
    scale = places[:, 0].std()
    places *= _SPREAD / scale if scale > 0 else 0.0
    return places + np.random.default_rng(random_state).normal(0, _SPREAD / 100, places.shape)
