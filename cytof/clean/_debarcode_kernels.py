"""Numba kernels of debarcoding: the pattern of positive channels of each event, and its distance from its barcode."""

from __future__ import annotations

import numba as nb
import numpy as np
from numba import boolean, float32, float64, int32, int64, void

__all__ = ["distances", "patterns"]


@nb.njit([void(float32[:, ::1], boolean[::1], int64[::1], float32[::1])], nogil=True, cache=True)
def patterns(Y, allowed, code, gap):  # type: ignore[no-untyped-def]
    """Write the pattern of positive channels (bit ``j``: channel ``j``) and the gap below the lowest positive one.

    ``allowed[k]``: whether a barcode has ``k`` positive channels. Of the allowed ``k`` that with the widest gap between
    the ``k``-th and the next value counts; ties go to the smaller ``k``. No gap, NaN or infinity: pattern 0, gap 0.
    """
    n, d = Y.shape
    value = np.empty(d, np.float32)
    place = np.empty(d, np.int64)
    for i in range(n):
        total = np.float32(0)
        for j in range(d):
            v = Y[i, j]
            total += v - v
            k = j
            while k > 0 and value[k - 1] < v:
                value[k] = value[k - 1]
                place[k] = place[k - 1]
                k -= 1
            value[k] = v
            place[k] = j
        code[i] = 0
        gap[i] = 0
        if total == 0:
            best = 0
            for k in range(1, d):
                if allowed[k] and value[k - 1] - value[k] > gap[i]:
                    gap[i] = value[k - 1] - value[k]
                    best = k
            for k in range(best):
                code[i] |= np.int64(1) << place[k]


@nb.njit([void(float32[:, ::1], int32[::1], float64[:, ::1], float64[:, :, ::1], float32[::1])], nogil=True, cache=True)
def distances(Y, label, centre, root, out):  # type: ignore[no-untyped-def]
    """Write the squared Mahalanobis distance of each event from its barcode's centre; NaN without one.

    ``root``: lower Cholesky factors of the covariances, shape (n_barcodes, d, d); NaN in it where there is none.
    """
    n, d = Y.shape
    z = np.empty(d)
    for i in range(n):
        b = label[i]
        if b < 0:
            out[i] = np.nan
            continue
        total = 0.0
        for j in range(d):
            step = Y[i, j] - centre[b, j]
            for k in range(j):
                step -= root[b, j, k] * z[k]
            z[j] = step / root[b, j, j]
            total += z[j] * z[j]
        out[i] = total
