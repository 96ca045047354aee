"""Histograms on one fixed arcsinh grid, and their smoothing with a bandwidth that knows the spacing of counts.

Source: Silverman 1986 (section 3.4.1, bandwidth).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cytof.scale import COFACTOR

__all__ = ["GRID", "STEP", "bandwidth", "histogram", "quantile", "smooth", "spread_of_mode"]

STEP = 0.02
"""Width of a bin of :data:`GRID`."""

_LOW, _HIGH = -2.0, 12.0
GRID: NDArray[np.float64] = np.round(_LOW + STEP * (np.arange(round((_HIGH - _LOW) / STEP)) + 0.5), 4)
"""Centres of the bins on the arcsinh scale, 0.02 units apart; values beyond are counted in the outermost bins."""

_NARROW, _WIDE = 0.08, 0.25
_ALL = slice(None)


def histogram(y: NDArray) -> NDArray[np.int64]:
    """Count values of the arcsinh scale on :data:`GRID`; values <= 0 are spread by :func:`smooth`, NaN is left out.

    Parameters
    ----------
    y
        Values on the arcsinh scale, shape (n,).

    Returns
    -------
    int64 array, shape (len(GRID) + 1,): the first entry counts the values <= 0, the rest are the bins.

    Examples
    --------
    >>> counts = histogram(np.array([0.0, 0.0, 3.01]))
    >>> int(counts[0]), int(counts[1:].sum()), round(float(GRID[counts[1:].argmax()]), 2)
    (2, 1, 3.01)
    """
    y = np.asarray(y)
    positive = y[y > 0]
    places = np.minimum(((positive - _LOW) / STEP).astype(np.int64), len(GRID) - 1)
    counts = np.bincount(places, minlength=len(GRID)).astype(np.int64)
    return np.concatenate([[np.count_nonzero(y <= 0)], counts])


def quantile(counts: NDArray[np.integer], q: float) -> float:
    """Return a quantile of a histogram, to the width of a bin; NaN of an empty one.

    Examples
    --------
    >>> quantile(histogram(np.linspace(1, 3, 1001)), 0.5).__round__(1)
    2.0
    """
    total = counts.sum()
    if not total:
        return float("nan")
    reached = np.cumsum(counts) / total
    place = int(np.searchsorted(reached, q - 1e-12))
    return 0.0 if place == 0 else float(GRID[min(place, len(GRID)) - 1])


def bandwidth(counts: NDArray[np.integer], cofactor: float = COFACTOR) -> NDArray[np.float64]:
    """Return the kernel's standard deviation at each place of :data:`GRID`.

    Silverman's rule between 0.08 and 0.25 units, and never below the distance between two integer counts there.

    Examples
    --------
    >>> wide = bandwidth(histogram(np.full(1000, 3.0)))
    >>> bool(wide[np.searchsorted(GRID, 0.2)] > 0.19), float(wide[-1])
    (True, 0.08)
    """
    spacing = 1.0 / (cofactor * np.cosh(np.maximum(GRID, 0.0)))
    return np.maximum(_plain_bandwidth(counts), spacing)


def _plain_bandwidth(counts: NDArray[np.integer]) -> float:
    n = counts.sum()
    if n < 2:
        return _WIDE
    low, high = quantile(counts, 0.25), quantile(counts, 0.75)
    values = np.concatenate([[0.0], GRID])
    mean = counts @ values / n
    spread = float(np.sqrt(max(counts @ (values - mean) ** 2 / n, 0.0)))
    rule = 0.9 * min(spread, (high - low) / 1.34 or spread) * float(n) ** -0.2
    return float(np.round(np.clip(rule, _NARROW, _WIDE), 2))  # two digits: few kernels to keep


@lru_cache(maxsize=32)
def _kernel(plain: float, cofactor: float) -> NDArray[np.float64]:
    """Return the smoothing matrix, shape (len(GRID), len(GRID)): row i spreads one event of bin i."""
    spread = np.maximum(plain, 1.0 / (cofactor * np.cosh(np.maximum(GRID, 0.0))))[:, None]
    rows = np.exp(-0.5 * ((GRID[None, :] - GRID[:, None]) / spread) ** 2)
    rows /= rows.sum(axis=1, keepdims=True) * STEP
    rows.flags.writeable = False
    return rows


def _without_zeros(counts: NDArray, cofactor: float) -> NDArray[np.float64]:
    """Lay the events <= 0 out evenly between 0 and 1 count."""
    spread = (GRID > 0) & (np.sinh(GRID) * cofactor < 1)
    laid = counts[..., 1:].astype(np.float64)
    laid[..., spread] += counts[..., :1] / np.count_nonzero(spread)
    return laid


def smooth(
    counts: NDArray,
    *,
    cofactor: float = COFACTOR,
    like: NDArray[np.integer] | None = None,
    span: slice = _ALL,
) -> NDArray[np.float64]:
    """Return the density on :data:`GRID`, in events a unit; the area is the number of events.

    Parameters
    ----------
    counts
        From :func:`histogram`, shape (len(GRID) + 1,), or several, shape (m, len(GRID) + 1).
    cofactor
        Of the arcsinh scale.
    like
        Histogram whose bandwidth is used; ``counts`` itself by default.
    span
        Part of :data:`GRID` that is wanted; all of it by default.

    Examples
    --------
    >>> d = smooth(histogram(np.repeat([1.0, 4.0], 500)))
    >>> round(float(d.sum() * 0.02))
    1000
    """
    single = counts if counts.ndim == 1 else counts.sum(axis=0)
    kernel = _kernel(_plain_bandwidth(single if like is None else like), float(cofactor))
    laid = _without_zeros(counts, cofactor)
    held = np.flatnonzero(laid if laid.ndim == 1 else laid.sum(axis=0))
    # einsum and not BLAS: one thread, so the last bits do not depend on how many there are
    return np.einsum("...i,ij->...j", laid[..., held], kernel[held, span])


def spread_of_mode(d: NDArray[np.float64], peak: int, side: int) -> float:
    """Return one side's standard deviation of a peak: where the density is down to exp(-1/2) of its height.

    Parameters
    ----------
    d
        Density, from :func:`smooth`.
    peak
        Place of the peak on :data:`GRID`.
    side
        1: to the right, -1: to the left.

    Examples
    --------
    >>> d = smooth(histogram(np.random.default_rng(0).normal(5, 0.5, 100_000)))
    >>> 0.45 < spread_of_mode(d, int(d.argmax()), 1) < 0.6
    True
    """
    steps = d[peak:] if side > 0 else d[peak::-1]
    past = np.flatnonzero(steps <= np.exp(-0.5) * d[peak])
    return float(past[0] if len(past) else 1) * STEP
