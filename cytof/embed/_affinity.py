"""How strongly t-SNE holds neighbours together, in float32, with little beside the result in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks
from cytof._neighbors._union import union

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["affinities"]

_ROWS = 4096


def affinities(indices: NDArray, distances: NDArray[np.float32], perplexity: float, n_jobs: int = 1) -> csr_matrix:
    """Return joint probabilities, float32 CSR, shape (n_cells, n_cells), sum 1.

    ``p_ij = (p_j|i + p_i|j) / 2n``, a Gaussian of the width at which a cell has the perplexity.

    Parameters
    ----------
    indices, distances
        Neighbours without the cell itself, shape (n_cells, k). Distances are overwritten.
    perplexity
        Effective number of neighbours.
    n_jobs
        Threads; the result is the same for any number.

    Examples
    --------
    >>> affinities(np.array([[1], [0]]), np.float32([[1], [1]]), 1).toarray().tolist()
    [[0.0, 0.5], [0.5, 0.0]]

    Source: van der Maaten and Hinton 2008, JMLR 9:2579, equations 1 and 2.
    """
    from cytof.embed._affinity_kernels import gaussian

    n = len(indices)

    def rows(start: int, stop: int) -> None:
        gaussian(distances[start:stop], perplexity, 1 / (2 * n), distances[start:stop])

    in_blocks(rows, n, _ROWS, n_jobs)
    return union(indices.astype(np.int32, copy=False), distances, shared=0, n_jobs=n_jobs)
