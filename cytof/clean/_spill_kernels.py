"""Numba kernel of the spillover correction: least squares with no negative signal, one small problem an event."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import boolean, float64, int64

__all__ = ["solve_linear", "solve_nonnegative"]

_LANES = 64  # events that go through a sweep together, so that its inner loops are vector code


@nb.njit(
    boolean(float64[:, ::1], int64[::1], int64, float64[:, ::1], float64[::1]),
    nogil=True,
    cache=True,
    fastmath={"reassoc", "contract"},
)
def _solve_passive(gram, passive, n, work, x):  # type: ignore[no-untyped-def]
    """Solve ``gram[P, P] x = x`` in place, P the first ``n`` of ``passive``; False where that is not definite.

    Elimination of the upper triangle (Cholesky without roots); zeros of a sparse ``gram`` are passed over.
    """
    for a in range(n):
        for b in range(a, n):
            work[a, b] = gram[passive[a], passive[b]]
    for k in range(n):
        if not work[k, k] > 0.0:
            return False
        for a in range(k + 1, n):
            if work[k, a] != 0.0:
                factor = work[k, a] / work[k, k]
                for b in range(a, n):
                    work[a, b] -= factor * work[k, b]
                x[a] -= factor * x[k]
    for k in range(n - 1, -1, -1):
        total = x[k]
        for a in range(k + 1, n):
            total -= work[k, a] * x[a]
        x[k] = total / work[k, k]
    return True


@nb.njit(
    boolean(float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[:, ::1]),
    nogil=True,
    cache=True,
    fastmath={"reassoc", "contract"},
)
def _solve_one(gram, c, x, z, work):  # type: ignore[no-untyped-def]
    """Solve one event exactly, from the positive channels of ``x`` on; ``x`` holds the solution where True.

    Channels that break the Kuhn-Tucker conditions change sides, all at once while their number falls (block pivoting),
    else the first alone, which ends for every positive definite ``gram``.
    """
    n = len(gram)
    g = np.empty(n)
    passive = np.empty(n, np.int64)
    inside = x > 0.0
    tolerance = 1e-13 * np.abs(c).max()
    least, patience = n + 1, 3
    for _ in range(100 * n):
        m = 0
        for a in range(n):
            x[a] = 0.0
            g[a] = -c[a]
            if inside[a]:
                passive[m] = a
                z[m] = c[a]
                m += 1
        if not _solve_passive(gram, passive, m, work, z):
            return False
        for k in range(m):
            a = passive[k]
            x[a] = z[k]
            for b in range(n):
                g[b] += z[k] * gram[a, b]
        wrong = np.flatnonzero(np.where(inside, x, g) < -tolerance)
        if len(wrong) == 0:
            return True
        if len(wrong) < least:
            least, patience = len(wrong), 3
        else:
            patience -= 1
        for a in wrong if patience > 0 else wrong[:1]:
            inside[a] = not inside[a]
    return False


@nb.njit(
    int64(float64[:, ::1], float64[:, ::1], float64[:, ::1], int64[::1], int64[::1]),
    nogil=True,
    cache=True,
    fastmath={"contract"},
)
def solve_nonnegative(Y, S, gram, starts, places):  # type: ignore[no-untyped-def]
    """Write ``argmin |x S - y|, x >= 0`` over each row of ``Y``; return how many rows had no solution (left as NaN).

    ``S``: spill, shape (n, n), rows emit; ``gram``: ``S S'``, whose entries that are not 0 stand in row ``a`` at the
    columns ``places[starts[a] : starts[a + 1]]``. Sixty-four events at a time go through projected Gauss-Seidel sweeps
    (spill is small, so that each takes most of what is left of the error); an event stops when no channel moves by
    more than 1e-13 of the largest. What does not stop in 40 sweeps is solved exactly (:func:`_solve_one`).
    """
    n = len(gram)
    y, c, g, x = np.zeros((n, _LANES)), np.empty((n, _LANES)), np.empty((n, _LANES)), np.empty((n, _LANES))
    step, moved, enough, live = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    work, z = np.empty((n, n)), np.empty(n)
    failed = 0
    for start in range(0, len(Y), _LANES):
        size = min(_LANES, len(Y) - start)
        for e in range(size):
            for j in range(n):
                y[j, e] = Y[start + e, j]
        enough[:] = 0.0
        for a in range(n):
            c[a] = 0.0
            x[a] = 0.0
            for j in range(n):
                value = S[a, j]
                if value != 0.0:
                    for e in range(_LANES):
                        c[a, e] += value * y[j, e]
            for e in range(_LANES):
                g[a, e] = -c[a, e]
                enough[e] = max(enough[e], abs(c[a, e]))
        for e in range(_LANES):
            enough[e] *= 1e-13
            live[e] = 1.0 if e < size else 0.0
        for _ in range(40):
            moved[:] = 0.0
            for a in range(n):
                scale = 1.0 / gram[a, a]
                for e in range(_LANES):
                    move = max(-x[a, e], -g[a, e] * scale) * live[e]
                    x[a, e] += move
                    moved[e] = max(moved[e], abs(move))
                    step[e] = move
                for k in range(starts[a], starts[a + 1]):
                    b = places[k]
                    value = gram[a, b]
                    for e in range(_LANES):
                        g[b, e] += value * step[e]
            left = 0.0
            for e in range(_LANES):
                if moved[e] <= enough[e]:
                    live[e] = 0.0
                left += live[e]
            if left == 0.0:
                break
        for e in range(size):
            if live[e] > 0.0:
                own = x[:, e].copy()
                solved = _solve_one(gram, c[:, e].copy(), own, z, work)
                failed += 0 if solved else 1
                for a in range(n):
                    x[a, e] = own[a] if solved else np.nan
            for a in range(n):
                Y[start + e, a] = max(x[a, e], 0.0)
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
