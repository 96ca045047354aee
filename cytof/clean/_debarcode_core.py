"""Array core of debarcoding: patterns, separations and distances, block by block."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof.events import Events
from cytof.scale import arcsinh

__all__ = ["assign", "counts_above", "covariances", "distances_of", "in_blocks", "scaled"]

_BLOCK = 32_768
_UPPER = 95.0  # percentile of the positive channels that is 1 on the scale of separations
_NOISE = 1e-4  # variance added to each channel, arcsinh units: a constant channel has a distance too


def in_blocks(task: Callable[[int, int], Any], n: int, n_jobs: int | None = None, block: int = _BLOCK) -> list[Any]:
    """Run ``task(start, stop)`` over blocks of rows on a few threads; results in block order.

    ``task`` releases the global lock (a numba kernel with ``nogil``); ``n_jobs`` is what numba would use by default.
    """
    if n_jobs is None:
        from numba import config

        n_jobs = int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    starts = range(0, n, block)
    stops = [min(s + block, n) for s in starts]
    if min(n_jobs, len(starts)) <= 1:
        return [task(a, b) for a, b in zip(starts, stops, strict=True)]
    with ThreadPoolExecutor(min(n_jobs, len(starts))) as pool:
        return list(pool.map(task, starts, stops))


def assign(
    events: Events, channels: list[str], bits: NDArray[np.bool_], cofactor: float, n_jobs: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32], int]:
    """Return the barcode channels on the arcsinh scale, the barcode by pattern (-1: none), the gap, and NaN events.

    Shapes (n_events, n_channels), (n_events,), (n_events,).
    """
    from cytof.clean._debarcode_kernels import patterns

    n, d = len(events), len(channels)
    places = [events.channels.index.get_loc(c) for c in channels]
    Y = np.empty((n, d), np.float32)
    label, gap = np.empty(n, np.int32), np.empty(n, np.float32)
    allowed = np.zeros(d + 1, np.bool_)
    allowed[bits.sum(axis=1)] = True
    codes = bits @ (np.int64(1) << np.arange(d, dtype=np.int64))
    order = np.argsort(codes)
    sorted_codes = codes[order]

    def work(start: int, stop: int) -> int:
        part = Y[start:stop]
        with np.errstate(invalid="ignore"):
            arcsinh(events.X[start:stop, places], cofactor, out=part)
        code = np.empty(stop - start, np.int64)
        patterns(part, allowed, code, gap[start:stop])
        at = np.minimum(np.searchsorted(sorted_codes, code), len(codes) - 1)
        label[start:stop] = np.where(sorted_codes[at] == code, order[at], -1)
        return int((~np.isfinite(part).all(axis=1)).sum())

    return Y, label, gap, sum(in_blocks(work, n, n_jobs))


def scaled(
    Y: NDArray[np.float32], label: NDArray[np.int32], gap: NDArray[np.float32], bits: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return the gaps in units of the 95th percentile of the barcode's positive channels; 0 without a barcode."""
    separation = np.zeros(len(Y), np.float32)
    for b, rows in enumerate(_rows(label, len(bits))):
        if len(rows):
            level = np.percentile(Y[np.ix_(rows, np.flatnonzero(bits[b]))], _UPPER)
            separation[rows] = gap[rows] / np.float32(level) if level > 0 else 0
    return separation


def counts_above(
    label: NDArray[np.int32], separation: NDArray[np.float32], n_barcodes: int, cutoffs: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return how many events of each barcode reach each cutoff, shape (n_barcodes, n_cutoffs)."""
    held = label >= 0
    place = np.searchsorted(cutoffs.astype(np.float32), separation[held], side="right")
    flat = label[held].astype(np.int64) * (len(cutoffs) + 1) + place
    table = np.bincount(flat, minlength=n_barcodes * (len(cutoffs) + 1)).reshape(n_barcodes, -1)
    return table[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]


def covariances(
    Y: NDArray[np.float32], label: NDArray[np.int32], n_barcodes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[bool]]:
    """Return centre and Cholesky root of the covariance of each barcode's events, and which had too few for one.

    Values are rounded to a grid on which sums are exact, so that the order of the events changes no byte. Fewer than
    three events a channel (and 20): the root is NaN.
    """
    d = Y.shape[1]
    centre = np.zeros((n_barcodes, d))
    root = np.full((n_barcodes, d, d), np.nan)
    few = []
    for b, rows in enumerate(_rows(label, n_barcodes)):
        n = len(rows)
        few.append(0 < n < max(20, 3 * d))
        if n < max(20, 3 * d):
            continue
        grid = 2.0 ** ((52 - int(np.ceil(np.log2(n)))) // 2 - 4)  # |arcsinh| < 16 = 2^4: sums of products below 2^52
        total, product = np.zeros(d), np.zeros((d, d))
        for start in range(0, n, _BLOCK):
            part = np.rint(Y[rows[start : start + _BLOCK]] * grid).astype(np.float64)
            total += part.sum(axis=0)
            product += part.T @ part
        centre[b] = total / n / grid
        spread = (product / n / grid**2 - np.outer(centre[b], centre[b])) * (n / (n - 1))
        root[b] = np.linalg.cholesky(spread + _NOISE * np.eye(d))
    return centre, root, few


def distances_of(
    Y: NDArray[np.float32],
    label: NDArray[np.int32],
    centre: NDArray[np.float64],
    root: NDArray[np.float64],
    n_jobs: int | None,
) -> NDArray[np.float32]:
    """Return the squared Mahalanobis distance of each event from its barcode's centre; NaN where there is none."""
    from cytof.clean._debarcode_kernels import distances

    out = np.empty(len(Y), np.float32)
    in_blocks(lambda a, b: distances(Y[a:b], label[a:b], centre, root, out[a:b]), len(Y), n_jobs)
    return out


def _rows(label: NDArray[np.int32], n_barcodes: int) -> list[NDArray[np.int64]]:
    """Return the rows of each barcode, in file order."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.searchsorted(label[order], np.arange(n_barcodes + 1)))[1:-1]
