"""How strongly t-SNE holds neighbours together: openTSNE's conditional probabilities, made symmetric in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._union import union

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["affinities"]

_ROWS = 8192  # of float64 intermediates at a time


def affinities(
    indices: NDArray[np.int64], distances: NDArray[np.float32], perplexity: float, n_jobs: int = 1
) -> csr_matrix:
    """Return joint probabilities, float32 CSR, shape (n_cells, n_cells), sum 1.

    ``p_ij = (p_j|i + p_i|j) / 2n``; openTSNE finds the width of the Gaussian at which a cell has the perplexity.

    Parameters
    ----------
    indices, distances
        Neighbours without the cell itself, shape (n_cells, k).
    perplexity
        Effective number of neighbours.
    n_jobs
        Threads.

    Examples
    --------
    >>> affinities(np.array([[1], [0]]), np.float32([[1], [1]]), 1).toarray().tolist()
    [[0.0, 0.5], [0.5, 0.0]]

    Source: van der Maaten and Hinton 2008, JMLR 9:2579, equations 1 and 2.
    """
    from openTSNE.affinity import joint_probabilities_nn

    n, k = indices.shape
    near, weights = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
    for start in range(0, n, _ROWS):
        some = slice(start, min(start + _ROWS, n))
        part = joint_probabilities_nn(
            indices[some], distances[some].astype(np.float64), [perplexity], symmetrize=False,
            normalization="pair-wise", n_reference_samples=n, n_jobs=n_jobs,
        )  # fmt: skip
        near[some] = part.indices.reshape(-1, k)  # openTSNE may have sorted them
        weights[some] = part.data.reshape(-1, k) * (part.shape[0] / (2 * n))  # each row sums to 1 / 2n
    return union(near, weights, shared=0)
