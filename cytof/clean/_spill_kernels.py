"""Numba kernel of the spillover correction: least squares with no negative signal, one small problem an event."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import boolean, float64, int64

__all__ = ["solve_linear", "solve_nonnegative"]


@nb.njit(
    boolean(float64[:, ::1], int64[::1], int64, float64[:, ::1], int64[::1], float64[::1]),
    nogil=True,
    cache=True,
    fastmath={"reassoc", "contract"},
)
def _solve_passive(gram, passive, n, factor, first, x):  # type: ignore[no-untyped-def]
    """Solve ``gram[P, P] x = x`` in place by Cholesky, P the first ``n`` of ``passive``; False where it has no root."""
    for a in range(n):
        row = passive[a]
        start = 0
        while gram[row, passive[start]] == 0.0 and start < a:
            start += 1
        first[a] = start
        for b in range(start, a):
            total = gram[row, passive[b]]
            for c in range(max(start, first[b]), b):
                total -= factor[a, c] * factor[b, c]
            factor[a, b] = total * factor[b, b]
        total = gram[row, row]
        for c in range(start, a):
            total -= factor[a, c] * factor[a, c]
        if not total > 0.0:
            return False
        factor[a, a] = 1.0 / np.sqrt(total)
        total = x[a]
        for c in range(start, a):
            total -= factor[a, c] * x[c]
        x[a] = total * factor[a, a]
    for a in range(n - 1, -1, -1):
        x[a] *= factor[a, a]
        for c in range(first[a], a):
            x[c] -= factor[a, c] * x[a]
    return True


@nb.njit(int64(float64[:, ::1], float64[:, ::1], float64[:, ::1]), nogil=True, cache=True)
def solve_nonnegative(Y, S, gram):  # type: ignore[no-untyped-def]
    """Write ``argmin |x S - y|, x >= 0`` over each row of ``Y``; return how many rows had no solution (left as NaN).

    ``S``: spill, shape (n, n), rows emit; ``gram``: ``S S'``. Projected Gauss-Seidel sweeps guess which channels are
    positive; Cholesky solves for those, and channels that break the Kuhn-Tucker conditions change sides, all at once
    while their number falls (block pivoting), else the first alone, which ends for every positive definite ``gram``.
    """
    n = len(gram)
    c, g, x, z = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    factor = np.empty((n, n))
    passive, first = np.empty(n, np.int64), np.empty(n, np.int64)
    inside = np.empty(n, np.bool_)
    received = S.T.copy()
    failed = 0
    for i in range(len(Y)):
        scale = 0.0
        for a in range(n):
            c[a] = 0.0
            x[a] = 0.0
        for j in range(n):
            for a in range(n):
                c[a] += Y[i, j] * received[j, a]
        for a in range(n):
            g[a] = -c[a]
            scale = max(scale, abs(c[a]))
        for _ in range(3):
            for a in range(n):
                step = max(-x[a], -g[a] / gram[a, a])
                if step != 0.0:
                    x[a] += step
                    for b in range(n):
                        g[b] += step * gram[a, b]
        for a in range(n):
            inside[a] = x[a] > 0.0
        tolerance = 1e-13 * scale
        least, patience = n + 1, 3
        solved = False
        for _ in range(100 * n):
            m = 0
            for a in range(n):
                if inside[a]:
                    passive[m] = a
                    z[m] = c[a]
                    m += 1
            if not _solve_passive(gram, passive, m, factor, first, z):
                break
            for a in range(n):
                x[a] = 0.0
                g[a] = -c[a]
            for k in range(m):
                a = passive[k]
                x[a] = z[k]
                for b in range(n):
                    g[b] += z[k] * gram[a, b]
            wrong, lowest = 0, -1
            for a in range(n):
                if (inside[a] and x[a] < -tolerance) or (not inside[a] and g[a] < -tolerance):
                    wrong += 1
                    if lowest < 0:
                        lowest = a
            if wrong == 0:
                solved = True
                break
            if wrong < least:
                least, patience = wrong, 3
            elif patience > 0:
                patience -= 1
            if wrong < least or patience > 0:
                for a in range(n):
                    if (inside[a] and x[a] < -tolerance) or (not inside[a] and g[a] < -tolerance):
                        inside[a] = not inside[a]
            else:
                inside[lowest] = not inside[lowest]
        for a in range(n):
            Y[i, a] = max(x[a], 0.0) if solved else np.nan
        failed += 0 if solved else 1
    return failed


@nb.njit(int64(float64[:, ::1], float64[:, ::1]), nogil=True, cache=True)
def solve_linear(Y, inverse):  # type: ignore[no-untyped-def]
    """Write ``y S^-1`` over each row of ``Y``; 0, for none is without a solution."""
    n = len(inverse)
    x = np.empty(n)
    for i in range(len(Y)):
        for b in range(n):
            x[b] = 0.0
        for a in range(n):
            for b in range(n):
                x[b] += Y[i, a] * inverse[a, b]
        for b in range(n):
            Y[i, b] = x[b]
    return 0
