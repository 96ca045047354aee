"""Numba kernel of the exact t-SNE gradient: repulsion of all cells, attraction of neighbours, for a block of cells."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import boolean, float32, float64, int32, int64, void

__all__ = ["forces"]


@nb.njit(
    [
        void(
            float32[:, ::1], int32[::1], int32[::1], float32[::1], int64, float64[:, ::1], float64[::1], boolean,
        )
    ],
    nogil=True,
    cache=True,
    fastmath={"contract", "reassoc", "nsz", "arcp"},
    error_model="numpy",  # without the check for division by zero the loop over cells vectorises
)  # fmt: skip
def forces(places, indptr, indices, p, first, out, sums, judge):  # type: ignore[no-untyped-def]
    """Write attraction and unnormalised repulsion of cells ``first + r`` into ``out``, shape (n_rows, 4).

    ``places``: shape (2, n_cells). With ``q = 1 / (1 + |y_i - y_j|^2)``: attraction is the sum of ``p q (y_i - y_j)``
    over linked cells (columns 0, 1), repulsion the sum of ``q^2 (y_i - y_j)`` over all (columns 2, 3).
    ``sums``: of q over all other cells, of p, and, with ``judge``, of ``p log(p / q)``.
    """
    x, y = places[0], places[1]
    for r in range(len(out)):
        i = first + r
        xi, yi = x[i], y[i]
        total = np.float32(0)
        right, up = np.float32(0), np.float32(0)
        for j in range(len(x)):
            dx, dy = xi - x[j], yi - y[j]
            q = np.float32(1) / (np.float32(1) + dx * dx + dy * dy)
            total += q
            right += q * q * dx
            up += q * q * dy
        out[r, 2], out[r, 3] = right, up
        sums[0] += float64(total) - 1.0
        a, b = 0.0, 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = indices[e]
            dx, dy = xi - x[j], yi - y[j]
            q = 1.0 / (1.0 + float64(dx * dx + dy * dy))
            a += p[e] * q * dx
            b += p[e] * q * dy
            sums[1] += p[e]
            if judge:
                sums[2] += p[e] * np.log(p[e] / q + 1e-300)
        out[r, 0], out[r, 1] = a, b
