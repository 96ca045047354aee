"""Intervals of a share: the exact one, which covers at least, and the score interval, which covers on average."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["clopper_pearson", "wilson"]


def clopper_pearson(
    n: ArrayLike, total: ArrayLike, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the exact (Clopper-Pearson) limits of a share.

    ``low`` is the ``(1 - level) / 2`` quantile of Beta(n, total - n + 1), 0 where n = 0; ``high`` is the
    ``(1 + level) / 2`` quantile of Beta(n + 1, total - n), 1 where n = total. They cover the sampling of cells only:
    neither where the gate stands nor what differs from tube to tube.

    Parameters
    ----------
    n
        Cells in the population; any shape.
    total
        Cells in all, broadcast against ``n``. NaN and 0 give NaN limits.
    level
        Coverage, at least.

    Returns
    -------
    low, high
        float64, the broadcast shape.

    Examples
    --------
    >>> low, high = clopper_pearson(65, 74)
    >>> f"{100 * low:.1f}-{100 * high:.1f} %"
    '78.2-94.3 %'

    Source: Clopper and Pearson 1934, Biometrika 26:404.
    """
    from scipy.special import betaincinv

    k, m = np.broadcast_arrays(np.asarray(n, float), np.asarray(total, float))
    known = (m > 0) & (k >= 0) & (k <= m)
    tail = (1 - level) / 2
    inner_low, inner_high = known & (k > 0), known & (k < m)
    low, high = np.where(known, 0.0, np.nan), np.where(known, 1.0, np.nan)
    low[inner_low] = betaincinv(k[inner_low], m[inner_low] - k[inner_low] + 1, tail)
    high[inner_high] = betaincinv(k[inner_high] + 1, m[inner_high] - k[inner_high], 1 - tail)
    return low, high


def wilson(n: ArrayLike, total: ArrayLike, *, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the score (Wilson) limits of a share: the shares whose normal test does not reject ``n`` of ``total``.

    They cover ``level`` on average over the shares and are never of zero width. Arguments as
    :func:`clopper_pearson`.

    Examples
    --------
    >>> low, high = wilson([0, 81], [20, 263])
    >>> [f"{a:.4f}-{b:.4f}" for a, b in zip(low, high)]
    ['0.0000-0.1611', '0.2553-0.3662']

    Source: Wilson 1927, J Am Stat Assoc 22:209; Newcombe 1998, Stat Med 17:857 (method 3).
    """
    from scipy.special import ndtri

    k, m = np.broadcast_arrays(np.asarray(n, float), np.asarray(total, float))
    known = (m > 0) & (k >= 0) & (k <= m)
    k, m = np.where(known, k, np.nan), np.where(known, m, np.nan)
    z = float(ndtri((1 + level) / 2))
    middle, half = (k + z**2 / 2) / (m + z**2), z * np.sqrt(k * (m - k) / m + z**2 / 4) / (m + z**2)
    return np.where(k == 0, 0.0, middle - half), np.where(k == m, 1.0, middle + half)
