"""Medians and Hodges-Lehmann's shift with intervals from order statistics, of sorted values."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["hodges_lehmann", "median_interval", "walsh"]

GRID = 4096
_MANY = 10_000_000


@numba.njit("int64(float32[::1], float32[::1], float64)", cache=True, nogil=True)
def _at_most(x: NDArray, y: NDArray, d: float) -> int:
    """Count pairs with ``x - y <= d``, both sorted: one walk along both."""
    total, j = 0, len(y)
    for i in range(len(x) - 1, -1, -1):
        # y >= x - d; as x falls the first such y moves down
        limit = np.float64(x[i]) - d
        while j > 0 and np.float64(y[j - 1]) >= limit:
            j -= 1
        total += len(y) - j
    return total


@numba.njit("float64(float32[::1], float32[::1], float64)", cache=True, nogil=True)
def _next_difference(x: NDArray, y: NDArray, d: float) -> float:
    """Return the smallest ``x - y`` above ``d``."""
    best, j = np.inf, len(y)
    for i in range(len(x) - 1, -1, -1):
        limit = np.float64(x[i]) - d
        while j > 0 and np.float64(y[j - 1]) >= limit:
            j -= 1
        if j > 0:
            best = min(best, np.float64(x[i]) - np.float64(y[j - 1]))
    return best


@numba.njit("float64(float32[::1], float32[::1], int64, float64, float64)", cache=True, nogil=True)
def _kth(x: NDArray, y: NDArray, k: int, low: float, high: float) -> float:
    """Return the k-th smallest difference (from 1): brackets by regula falsi and halving, then the exact value."""
    width = max(high - low, 1e-6)
    n_low = _at_most(x, y, low)
    while n_low >= k:
        low -= width
        width *= 2
        n_low = _at_most(x, y, low)
    n_high = _at_most(x, y, high)
    while n_high < k:
        high += width
        width *= 2
        n_high = _at_most(x, y, high)
    step = 0
    while high - low > 1e-7 * max(1.0, abs(low)) and n_high - n_low > 1:
        share = (k - 0.5 - n_low) / (n_high - n_low) if step % 3 else 0.5
        middle = low + min(max(share, 0.02), 0.98) * (high - low)
        n = _at_most(x, y, middle)
        if n >= k:
            high, n_high = middle, n
        else:
            low, n_low = middle, n
        step += 1
    return _next_difference(x, y, low)


@numba.njit("int64(int64[::1], int64[::1], int64)", cache=True, nogil=True)
def _binned_at_most(x: NDArray, above: NDArray, d: int) -> int:
    """Count pairs with ``x - y <= d`` in bins: ``x`` cells a bin, ``above[i]`` cells of y in bin i and beyond."""
    total = 0
    last = len(above) - 1
    for i in range(len(x)):
        total += x[i] * above[min(max(i - d, 0), last)]
    return total


@numba.njit("int64(int64[::1], int64[::1], int64, int64, int64)", cache=True, nogil=True)
def _binned_kth(x: NDArray, above: NDArray, k: int, low: int, high: int) -> int:
    """Return the k-th smallest difference in bins; the bracket widens until it holds it."""
    width = max(high - low, 1)
    while _binned_at_most(x, above, low) >= k:
        low -= width
        width *= 2
    while _binned_at_most(x, above, high) < k:
        high += width
        width *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if _binned_at_most(x, above, middle) >= k:
            high = middle
        else:
            low = middle
    return high


def _on_grid(x: NDArray, y: NDArray, ranks: list[int]) -> list[float]:
    """Return the differences of these ranks with the values rounded to the grid."""
    low = min(float(x[0]), float(y[0]))
    base = int(np.rint(low * GRID))
    place = [np.rint(v.astype(np.float64) * GRID).astype(np.int64) - base for v in (x, y)]
    own = np.bincount(place[0])
    above = np.append(np.bincount(place[1])[::-1].cumsum()[::-1], 0).astype(np.int64)
    middle = int(place[0][len(x) // 2] - place[1][len(y) // 2])
    found = []
    for k in ranks:
        middle = _binned_kth(own, above, k, middle - 64, middle + 64)
        found.append(middle / GRID)
    return found


def _in_order(x: NDArray) -> NDArray:
    return x if (x[1:] >= x[:-1]).all() else np.sort(x)


def hodges_lehmann(x: NDArray, y: NDArray, *, ties: float = 0.0, level: float = 0.95) -> tuple[float, float, float]:
    """Return Hodges-Lehmann's shift (the median of all differences x - y) and its interval.

    The limits are the order statistics of the differences at ``m n / 2 -+ z sqrt(variance of W)``, as in R's
    ``wilcox.test(x, y, exact = FALSE, correct = FALSE, conf.int = TRUE)``; the shift is 0 where more than half of both
    groups are 0.

    Parameters
    ----------
    x, y
        Values without NaN, shape (m,) and (n,); sorted here where they are not. With more than 10 million pairs values
        are rounded to 1/4096 (0.00024 on the arcsinh scale); 0 stays 0.
    ties
        ``sum(t^3 - t) / ((m + n) (m + n - 1))`` over the sizes of ties, which narrows the interval.

    Returns
    -------
    shift, low, high: NaN for an empty group, limits NaN below two values.

    Examples
    --------
    >>> hodges_lehmann(np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0]))[0]
    1.5

    Source: Hollander and Wolfe 1999, 4.2 and 4.3.
    """
    from scipy.special import ndtri

    nan = float("nan")
    m, n = len(x), len(y)
    if not m or not n:
        return nan, nan, nan
    x, y = (_in_order(np.ascontiguousarray(v, np.float32)) for v in (x, y))
    pairs = m * n
    half = float(ndtri((1 + level) / 2) * np.sqrt(pairs / 12 * max(m + n + 1 - ties, 1)))
    k = int(np.clip(np.floor(pairs / 2 - half), 1, pairs))
    ranks = [k, (pairs + 1) // 2, pairs // 2 + 1, pairs + 1 - k]
    reach = max(float(x[-1]), float(y[-1])) - min(float(x[0]), float(y[0]))
    if pairs > _MANY and reach * GRID < 1 << 20:
        low, first, second, high = _on_grid(x, y, ranks)
    else:
        width = reach / np.sqrt(m + n)
        middle = float(x[m // 2]) - float(y[n // 2])
        low, first, second, high = (_kth(x, y, rank, middle - width, middle + width) for rank in ranks)
    shift = first if first == second else (first + second) / 2
    return (shift, low, high) if min(m, n) > 1 else (shift, nan, nan)


def median_interval(x: NDArray, *, level: float = 0.95) -> tuple[float, float]:
    """Return the limits of the median: order statistics by the binomial distribution, at least ``level``.

    Parameters
    ----------
    x
        Values without NaN, sorted here where they are not. NaN limits where so few values cannot reach the level
        (below 6 for 95 %).

    Examples
    --------
    >>> median_interval(np.arange(1.0, 11.0))
    (2.0, 9.0)

    Source: Conover 1999, Practical Nonparametric Statistics, 3.2.
    """
    from scipy.special import bdtr, ndtri

    x, n = _in_order(np.asarray(x)), len(x)
    if n > 5000:
        k = int(np.floor(n / 2 - float(ndtri((1 + level) / 2)) * np.sqrt(n) / 2))
    else:
        below = bdtr(np.arange(n // 2 + 1), n, 0.5) <= (1 - level) / 2
        k = int(below.sum())
    return (float(x[k - 1]), float(x[n - k])) if k >= 1 else (float("nan"), float("nan"))


def walsh(d: NDArray, *, level: float = 0.95) -> tuple[float, float, float]:
    """Return the median of the Walsh averages of differences, and its exact signed-rank interval (from 6 pairs on).

    Examples
    --------
    >>> walsh(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0]))
    (3.5, 1.0, 7.0)

    Source: Hollander and Wolfe 1999, 3.2 and 3.3.
    """
    k = len(d)
    averages = np.sort(((d[:, None] + d) / 2)[np.triu_indices(k)])
    ways = np.ones(1)
    for rank in range(1, k + 1):  # of each sum of positive ranks
        ways = np.append(ways, np.zeros(rank)) + np.append(np.zeros(rank), ways)
    cut = int(np.searchsorted(np.cumsum(ways) / 2.0**k, (1 - level) / 2))
    shift = float(np.median(averages))
    return (shift, float(averages[cut - 1]), float(averages[-cut])) if cut else (shift, float("nan"), float("nan"))
