"""The exact t-SNE gradient as openTSNE's optimiser calls it: for some thousand cells faster than its approximations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks

__all__ = ["exact_gradient"]

_ROWS = 512


def exact_gradient(
    embedding: NDArray[np.float64], P: Any, *, n_jobs: int = 1, should_eval_error: bool = False, **_: Any
) -> tuple[float, NDArray[np.float64]]:
    """Return the Kullback-Leibler divergence (0 unless asked for) and the gradient, scaled as openTSNE does.

    A quarter of ``dC/dy_i = 4 sum_j (p_ij - q_ij)(y_i - y_j) / (1 + |y_i - y_j|^2)``, over all pairs, in float32 within
    a cell and float64 between cells. Work grows with the square of the cells; bytes do not depend on ``n_jobs``.

    Parameters
    ----------
    embedding
        Places, shape (n_cells, 2).
    P
        Affinities, float32 CSR, shape (n_cells, n_cells), sum 1 (or the exaggeration).
    n_jobs
        Threads.
    should_eval_error
        Whether to take the divergence too.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> P = csr_matrix(np.float32([[0, 0.5], [0.5, 0]]))
    >>> exact_gradient(np.array([[0.0, 0.0], [1.0, 0.0]]), P)[1].tolist()
    [[0.0, 0.0], [0.0, 0.0]]

    Source: van der Maaten and Hinton 2008, JMLR 9:2579, equation 5.
    """
    from cytof.embed._exact_kernels import forces

    n = len(embedding)
    places, out = np.ascontiguousarray(np.asarray(embedding).T, np.float32), np.empty((n, 4))

    def block(start: int, stop: int) -> NDArray[np.float64]:
        sums = np.zeros(3)
        forces(places, P.indptr, P.indices, P.data, start, out[start:stop], sums, should_eval_error)
        return sums

    q, p, log_ratio = np.sum(in_blocks(block, n, _ROWS, n_jobs), axis=0)
    divergence = float(log_ratio + p * np.log(q)) if should_eval_error else 0.0
    return divergence, out[:, :2] - out[:, 2:] / q
