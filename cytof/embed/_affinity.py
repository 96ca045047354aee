"""How strongly t-SNE holds neighbours together: openTSNE's conditional probabilities, in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["conditional"]

_ROWS = 2048  # of float64 intermediates at a time


def conditional(
    indices: NDArray[np.int64], distances: NDArray[np.float32], perplexity: float, n_jobs: int = 1
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return neighbours and ``p_j|i / 2n``; the sum of both directions (:func:`union`) is t-SNE's ``p_ij``.

    openTSNE finds the width of the Gaussian at which a cell has the perplexity.

    Parameters
    ----------
    indices, distances
        Neighbours without the cell itself, shape (n_cells, k). Overwritten.
    perplexity
        Effective number of neighbours.
    n_jobs
        Threads.

    Returns
    -------
    int32 and float32, shape (n_cells, k): neighbours, by row in whatever order, and their weights; all sum to 1/2.

    Examples
    --------
    >>> conditional(np.array([[1], [0]]), np.float32([[1], [1]]), 1)[1].tolist()
    [[0.25], [0.25]]

    Source: van der Maaten and Hinton 2008, JMLR 9:2579, equations 1 and 2.
    """
    from openTSNE.affinity import joint_probabilities_nn

    n, k = indices.shape
    if k < 2:  # one neighbour has it all
        return indices.astype(np.int32), np.full((n, k), 1 / max(2 * n, 1), np.float32)
    for start in range(0, n, _ROWS):
        some = slice(start, min(start + _ROWS, n))
        part = joint_probabilities_nn(
            indices[some], distances[some].astype(np.float64), [perplexity], symmetrize=False,
            normalization="pair-wise", n_reference_samples=n, n_jobs=n_jobs,
        )  # fmt: skip
        indices[some] = part.indices.reshape(-1, k)  # openTSNE may have sorted them
        distances[some] = part.data.reshape(-1, k) * (part.shape[0] / (2 * n))  # each row sums to 1 / 2n
    return indices.astype(np.int32), distances
