"""Cells placed on a map that exists: those left out of its fit, and those of later visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof._check import at_least, nearest
from cytof._neighbors._between import nearest_among
from cytof._neighbors._matrix import cell_order, feature_matrix
from cytof.errors import UsageError
from cytof.keys import OBSM, UNS
from cytof.order import undo

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["place", "place_array"]

_NEAREST, _PERPLEXITY = 25, 5.0  # openTSNE's for new cells: the median of 25 neighbours, then a narrow neighbourhood
_INTERPOLATE = 10_000  # cells on the map above which openTSNE interpolates


def place(adata: AnnData, reference: AnnData, *, key_added: str = OBSM.TSNE, n_jobs: int = 2) -> None:
    """Place cells on the t-SNE map of other cells, for instance a later visit on the map of the first ones.

    Each cell starts at the median of its 25 nearest reference cells and is moved by t-SNE's gradient while the
    reference stands still. A cell's place does not depend on the other new cells.

    Parameters
    ----------
    adata
        New cells, ``X`` on the same arcsinh scale as the reference.
    reference
        Cells with a map (:func:`tsne`) in ``obsm[key_added]``; the features of that map are used.
    key_added
        Key of ``obsm`` in both.
    n_jobs
        Threads.

    Writes
    ------
    ``adata.obsm[key_added]`` float32, shape (n_cells, 2). ``uns["cytof"][key_added]``: ``placed_on`` (reference cells),
    ``features``. One row of ``uns["cytof"]["steps"]``.

    Raises
    ------
    InputError
        No cells, or values missing in a marker.
    PanelError
        A feature of the map is missing in the new cells.
    UsageError
        The reference has no such map.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> from cytof.embed import Schedule, tsne
    >>> X = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    >>> cells = anndata.AnnData(X, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> first, later = cells[:40].copy(), cells[40:].copy()
    >>> tsne(first, perplexity=5, features=["CD4", "CD8"], schedule=Schedule(n_iter=50))
    >>> place(later, first)
    >>> later.obsm["X_tsne"].shape
    (20, 2)

    Source: Policar, Strazar and Zupan 2021, Mach Learn 112:721 (openTSNE's placing of new data).
    """
    at_least(n_jobs, 1, "n_jobs", where="place")
    entry = reference.uns.get(UNS, {}).get(key_added, {})
    if key_added not in reference.obsm or "features" not in entry:
        hint = nearest(key_added, reference.obsm.keys()) or "make it first with `cytof.embed.tsne(reference)`"
        raise UsageError(f"no t-SNE map `{key_added}` in the reference", where="place", hint=hint)
    features = [str(name) for name in entry["features"]]
    there, _ = feature_matrix(reference, features, step="place")
    X, _ = feature_matrix(adata, features, step="place")
    order = cell_order(there, reference.obs_names.to_numpy())
    places = place_array(X, there[order], np.asarray(reference.obsm[key_added])[order], n_jobs=n_jobs)
    adata.obsm[key_added] = places.astype(np.float32)
    params = {"placed_on": reference.n_obs, "features": features}
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {key_added: params}
    transform.record(adata, f"place:{key_added}", params | {"n_jobs": n_jobs}, None)


def place_array(
    X: NDArray[np.float32], reference: NDArray[np.float32], places: NDArray, *, n_iter: int = 250, n_jobs: int = 2
) -> NDArray[np.float64]:
    """Return places of new cells on a map, on arrays; new cells in any order.

    Parameters
    ----------
    X, reference
        Features, shape (n_cells, n_features) and (n_reference, n_features).
    places
        The map, shape (n_reference, 2).
    n_iter, n_jobs
        Iterations of the gradient; threads.
    """
    from types import SimpleNamespace

    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import joint_probabilities_nn
    from openTSNE.tsne import PartialTSNEEmbedding
    from scipy.sparse import csr_matrix

    from cytof.order import canonical

    order = canonical(X)
    k = min(_NEAREST, len(reference))
    indices, distances = nearest_among(reference, X[order], k, n_jobs=n_jobs)
    start = np.median(np.asarray(places, np.float64)[indices], axis=1)
    if k < 4 or n_iter == 0:  # too few to weigh
        return start[undo(order)]
    near = min(k, int(3 * _PERPLEXITY))
    P = joint_probabilities_nn(
        indices[:, :near], distances[:, :near].astype(np.float64), [min(_PERPLEXITY, near / 3)],
        symmetrize=False, normalization="point-wise", n_reference_samples=len(reference), n_jobs=n_jobs,
    )  # fmt: skip
    method = "fft" if len(reference) > _INTERPOLATE else "bh"
    unused = SimpleNamespace(P=csr_matrix((len(reference), len(reference))))  # the reference is not optimised again
    still = TSNEEmbedding(np.array(places, np.float64), unused, negative_gradient_method=method, n_jobs=n_jobs)
    moving = PartialTSNEEmbedding(start, still, P, negative_gradient_method=method, n_jobs=n_jobs)
    moved = moving.optimize(n_iter, learning_rate=0.1, exaggeration=1.5, momentum=0.8, max_grad_norm=0.25, inplace=True)
    return np.array(moved)[undo(order)]
