"""Two groups of values: rank-sum, Welch, permutation, and the AUROC with DeLong's interval. Array cores, O(n log n).

``x`` is the group in question, ``y`` the reference; differences are x minus y, an AUROC above 0.5 says x is higher.
Ranks compare values in float32, as X holds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["N_PERMUTATIONS", "Overlap", "delong", "overlap", "permutation", "rank_sum", "welch"]

N_PERMUTATIONS = 999
_FLAT = 1e-10  # an error below this share of the largest value is rounding


@dataclass(frozen=True)
class Overlap:
    """Two groups counted value by value: ``n_x`` and ``n_y`` cells, ``x[i]`` and ``y[i]`` of them at the i-th value."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]

    @property
    def n(self) -> tuple[int, int]:
        """Cells of x and of y."""
        return int(self.x.sum()), int(self.y.sum())


def _sortable(values: NDArray) -> NDArray[np.uint64]:
    """Map float32 to whole numbers with the same order; -0 equals 0."""
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.uint32)
    flip = np.where(bits >> np.uint32(31), np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    return (bits ^ flip).astype(np.uint64)


def overlap(x: NDArray, y: NDArray) -> Overlap:
    """Count both groups at each distinct value, lowest first; no NaN.

    Examples
    --------
    >>> overlap(np.array([1.0, 2.0, 2.0]), np.array([2.0, 3.0])).y.tolist()
    [0, 1, 1]
    """
    key = np.concatenate([_sortable(x) << np.uint64(1), (_sortable(y) << np.uint64(1)) | np.uint64(1)])
    key.sort(kind="stable")  # a merge, where both groups come sorted
    new = key[1:] >> np.uint64(1) != key[:-1] >> np.uint64(1)
    ends = np.append(np.flatnonzero(new) + 1, len(key))[: len(key)]
    of_y = np.cumsum(key & np.uint64(1), dtype=np.int64)[ends - 1]
    both = np.diff(ends, prepend=0)
    y_here = np.diff(of_y, prepend=0)
    return Overlap(both - y_here, y_here)


def _u(counts: Overlap) -> float:
    """Return Mann-Whitney U of x: pairs with x above y, ties half."""
    below = np.cumsum(counts.y) - counts.y
    return float(np.sum(counts.x * (below + counts.y / 2)))


def rank_sum(x: NDArray, y: NDArray, *, counts: Overlap | None = None) -> tuple[float, float]:
    """Wilcoxon rank-sum test: normal approximation, corrected for ties and continuity.

    The numbers of R's ``wilcox.test(x, y, exact = FALSE)``: ``W`` and a two-sided p from
    ``z = (W - m n / 2 -+ 1/2) / sqrt(m n / 12 (m + n + 1 - sum(t^3 - t) / ((m + n) (m + n - 1))))``.

    Parameters
    ----------
    x, y
        Values without NaN, shape (m,) and (n,).
    counts
        ``overlap(x, y)`` where it is already there.

    Returns
    -------
    W, p: NaN p without two different values or with an empty group.

    Examples
    --------
    >>> w, p = rank_sum(np.array([1.1, 2.2, 2.2, 4.0]), np.array([0.5, 2.2, 0.1]))
    >>> w, round(p, 4)
    (10.0, 0.1991)

    Source: Hollander and Wolfe 1999, eq. 4.13 and 4.16.
    """
    from scipy.special import ndtr

    counts = overlap(x, y) if counts is None else counts
    m, n = counts.n
    if not m or not n:
        return float("nan"), float("nan")
    w = _u(counts)
    ties = (counts.x + counts.y).astype(float)
    variance = m * n / 12 * ((m + n + 1) - np.sum(ties**3 - ties) / ((m + n) * max(m + n - 1, 1)))
    if len(ties) < 2 or variance <= 0:
        return w, float("nan")
    distance = w - m * n / 2
    z = (distance - np.sign(distance) * 0.5) / np.sqrt(variance)
    return w, float(min(2 * ndtr(-abs(z)), 1.0))


def delong(x: NDArray, y: NDArray, *, level: float = 0.95, counts: Overlap | None = None) -> tuple[float, float, float]:
    """Return the AUROC (chance that a value of x is above one of y, ties half) with DeLong's interval.

    The variance is that of the placements, ``S10 / m + S01 / n``, from midranks in one sort (Sun and Xu); limits are
    normal, cut at 0 and 1, as in R's ``pROC::ci.auc``. NaN limits below two values in a group.

    Examples
    --------
    >>> [round(v, 3) for v in delong(np.array([2.0, 3, 4, 5]), np.array([1.0, 2, 3, 1]))]
    [0.875, 0.63, 1.0]

    Source: DeLong et al. 1988, Biometrics 44:837; Sun and Xu 2014, IEEE Signal Process Lett 21:1389.
    """
    from scipy.special import ndtri

    counts = overlap(x, y) if counts is None else counts
    m, n = counts.n
    if not m or not n:
        return float("nan"), float("nan"), float("nan")
    area = _u(counts) / (m * n)
    if m < 2 or n < 2:
        return area, float("nan"), float("nan")
    of_x = (np.cumsum(counts.y) - counts.y / 2) / n  # share of y below each value
    of_y = 1 - (np.cumsum(counts.x) - counts.x / 2) / m  # share of x above each value
    variance = np.sum(counts.x * (of_x - area) ** 2) / (m - 1) / m + np.sum(counts.y * (of_y - area) ** 2) / (n - 1) / n
    half = float(ndtri((1 + level) / 2) * np.sqrt(variance))
    return area, max(area - half, 0.0), min(area + half, 1.0)


def welch(x: NDArray, y: NDArray, *, level: float = 0.95) -> tuple[float, float, float, float, float]:
    """Welch's t test and interval of the difference of means, as R's ``t.test(x, y)``.

    Returns
    -------
    estimate, low, high, t, p: the last four NaN below two values in a group or without any spread.

    Examples
    --------
    >>> [round(v, 4) for v in welch(np.array([1.0, 2, 4]), np.array([0.0, 1, 1, 2]))]
    [1.3333, -1.846, 4.5126, 1.372, 0.2677]

    Source: Welch 1947, Biometrika 34:28.
    """
    from scipy.special import stdtr, stdtrit

    nan = float("nan")
    m, n = len(x), len(y)
    if not m or not n:
        return nan, nan, nan, nan, nan
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    estimate = float(x.mean() - y.mean())
    if m < 2 or n < 2:
        return estimate, nan, nan, nan, nan
    of_x, of_y = x.var(ddof=1) / m, y.var(ddof=1) / n
    spread = float(of_x + of_y)
    largest = max(abs(float(v)) for own in (x, y) for v in (own.min(), own.max()))
    if not spread > (_FLAT * largest) ** 2:
        return estimate, nan, nan, nan, nan
    freedom = spread**2 / (of_x**2 / (m - 1) + of_y**2 / (n - 1))
    t = estimate / np.sqrt(spread)
    half = float(stdtrit(freedom, (1 + level) / 2) * np.sqrt(spread))
    return estimate, estimate - half, estimate + half, float(t), float(2 * stdtr(freedom, -abs(t)))


def permutation(x: NDArray, y: NDArray, *, n: int = N_PERMUTATIONS, random_state: int = 0) -> tuple[float, float]:
    """Permutation test of the difference of means, two-sided: ``p = (1 + as large) / (1 + n)``.

    The smallest p it can give is ``1 / (n + 1)``. The result does not depend on the order of the values.

    Returns
    -------
    difference, p: p is NaN below two values in a group or where all values are equal.

    Examples
    --------
    >>> permutation(np.array([5.0, 6, 7, 8, 9]), np.array([0.0, 1, 2, 3, 4]), random_state=1)[0]
    5.0

    Source: Phipson and Smyth 2010, Stat Appl Genet Mol Biol 9:39 (the 1 in both places).
    """
    if not len(x) or not len(y):
        return float("nan"), float("nan")
    x, y = np.sort(np.asarray(x, np.float64)), np.sort(np.asarray(y, np.float64))
    observed = float(x.mean() - y.mean())
    values = np.sort(np.concatenate([x, y]))
    if min(len(x), len(y)) < 2 or values[0] == values[-1]:
        return observed, float("nan")
    rng = np.random.default_rng(random_state)
    total, fewer = values.sum(), min(len(x), len(y))
    more = len(values) - fewer
    near = 1e-12 * max(np.abs(values).max(), 1.0)
    hits = 0
    for _ in range(n):
        part = values[rng.choice(len(values), fewer, replace=False, shuffle=False)].sum()
        hits += abs(part / fewer - (total - part) / more) >= abs(observed) - near
    return observed, (1 + hits) / (1 + n)
