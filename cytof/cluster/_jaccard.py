"""The graph of PhenoGraph: cells joined by the share of neighbours they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks
from cytof._neighbors._union import union

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["jaccard_graph", "jaccard_weights"]

_ROWS = 16_384


def jaccard_weights(indices: NDArray[np.int64], *, n_jobs: int | None = None) -> NDArray[np.float64]:
    """Return the Jaccard index of the neighbour sets of each cell and each of its neighbours.

    Parameters
    ----------
    indices
        Neighbours without the cell itself, shape (n_cells, k).

    Returns
    -------
    float64 array, shape (n_cells, k): ``s / (2k - s)`` for s neighbours in common.

    Examples
    --------
    >>> jaccard_weights(np.array([[1, 2], [0, 2], [0, 1]])).round(3).tolist()
    [[0.333, 0.333], [0.333, 0.333], [0.333, 0.333]]

    Source: Levine et al. 2015, Cell 162:184, Experimental Procedures.
    """
    from cytof.cluster._graph_kernels import shared

    indices = np.ascontiguousarray(indices, np.int64)
    counts = np.empty(indices.shape, np.int32)
    in_blocks(lambda start, stop: shared(indices, start, counts[start:stop]), len(indices), _ROWS, n_jobs)
    return counts / (2.0 * indices.shape[1] - counts)


def jaccard_graph(indices: NDArray[np.int64], *, n_jobs: int | None = None) -> csr_matrix:
    """Return the symmetric graph ``(J + J.T) / 2``, zeros left out: float64 CSR, shape (n_cells, n_cells)."""
    from scipy.sparse import csr_matrix

    n, k = indices.shape
    if k == 0:
        return csr_matrix((n, n))
    graph = union(indices, jaccard_weights(indices, n_jobs=n_jobs), shared=0)
    graph.data /= 2
    graph.eliminate_zeros()
    return graph
