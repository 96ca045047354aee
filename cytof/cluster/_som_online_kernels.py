"""Numba kernel of the original online self-organising map: one drawn cell at a time."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import float32, float64, int32, int64, void

from cytof.cluster._som_kernels import CELLS, _lowest

__all__ = ["online_pass"]


@nb.njit(
    [void(CELLS, int64[::1], float32[:, ::1], int32[:, ::1], int64, int64, float64[::1], float64[::1])],
    nogil=True,
    cache=True,
    fastmath={"contract", "nnan", "nsz"},
)
def online_pass(X, drawn, codes, apart, begun, steps, radius, alpha):  # type: ignore[no-untyped-def]
    """Show the map the drawn cells, one after the other; ``codes`` is changed in place.

    ``codes``: transposed, shape (n_features, n_nodes). ``apart``: steps on the grid between nodes. ``begun`` of
    ``steps`` cells were shown before; ``radius`` and ``alpha`` fall linearly from their first to their second value
    over all of them. Below a radius of 1 the winner alone moves. Nodes between the first and the last neighbour move by
    ``rate``, which is 0 for those that are no neighbours, so that the loop runs straight over them.
    """
    d, n_nodes = codes.shape
    score, rate = np.empty(n_nodes, np.float32), np.empty(n_nodes, np.float32)
    whole = d // 4 * 4
    for t in range(len(drawn)):
        x = X[drawn[t]]
        for c in range(n_nodes):
            score[c] = np.float32(0)
        for j in range(0, whole, 4):
            x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
            for c in range(n_nodes):
                s0, s1 = x0 - codes[j, c], x1 - codes[j + 1, c]
                s2, s3 = x2 - codes[j + 2, c], x3 - codes[j + 3, c]
                score[c] += (s0 * s0 + s1 * s1) + (s2 * s2 + s3 * s3)
        for j in range(whole, d):
            for c in range(n_nodes):
                step = x[j] - codes[j, c]
                score[c] += step * step
        best = _lowest(score)
        done = (begun + t) / steps
        reach = radius[0] - (radius[0] - radius[1]) * done
        move = np.float32(alpha[0] - (alpha[0] - alpha[1]) * done)
        if reach < 1:
            for j in range(d):
                codes[j, best] += (x[j] - codes[j, best]) * move
            continue
        first, last = n_nodes, 0
        for c in range(n_nodes):
            near = apart[best, c] <= reach
            rate[c] = move if near else np.float32(0)
            first = min(first, c if near else n_nodes)
            last = max(last, c + 1 if near else 0)
        for j in range(d):
            value = x[j]
            for c in range(first, last):
                codes[j, c] += (value - codes[j, c]) * rate[c]
