"""True cells in a gate, from what lies in it and what blanks say lies there falsely; and those that it misses.

Source: Rolke, Lopez and Conrad 2005, Nucl Instrum Methods A 551:493 (profile likelihood of a signal beside a measured
background); Garwood 1936 (exact Poisson limits); Cohen 1950, Ann Math Stat 21:557 (normal truncated from below).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["excess", "garwood", "missed_share"]

_DROP = 1.920729  # half the chi-squared quantile of 0.95, one degree of freedom
_EXACT = 10  # counts below which the profile is too narrow


def excess(n: int, n_at_risk: int, n_above: int, n_blank: int) -> tuple[float, float]:
    """Return the 95 % interval of the number of true cells among ``n``.

    Parameters
    ----------
    n
        Cells in the gate.
    n_at_risk
        Cells of its parent.
    n_above, n_blank
        Blank cells in the gate, and in all. Without blanks, none is taken for false.

    Notes
    -----
    ``n ~ Poisson(s + n_at_risk r)``, ``n_above ~ Poisson(n_blank r)``; ``s`` is kept where the log-likelihood, at its
    best ``r``, lies within 1.92 of the best of all. Below ten cells the upper end is at least the exact Poisson limit
    of ``n`` less the false cells expected.

    Examples
    --------
    >>> low, high = excess(32, 35_000, 6, 8_000)
    >>> low, round(high)
    (0.0, 26)
    >>> [round(x) for x in excess(1000, 35_000, 1, 8_000)]
    [934, 1059]
    """
    ratio = n_blank / n_at_risk if n_at_risk else 0.0
    if ratio <= 0:
        low, high = garwood(n)
        return low, high
    best = max(n - n_above / ratio, 0.0)
    top = _log_likelihood(best, n, n_above, ratio)

    def outside(s: float) -> bool:
        return top - _log_likelihood(s, n, n_above, ratio) > _DROP

    low = _edge(best, 0.0, outside) if outside(0.0) else 0.0
    far = best + 6 * math.sqrt(n + 4) + 10
    high = _edge(best, far, outside)
    return low, max(high, garwood(n)[1] - n_above / ratio) if n < _EXACT else high


def garwood(n: int) -> tuple[float, float]:
    """Return the exact 95 % limits of a Poisson mean.

    Examples
    --------
    >>> [round(x, 2) for x in garwood(0)]
    [0.0, 3.69]
    """
    from scipy.special import gammaincinv

    return float(gammaincinv(n, 0.025)) if n else 0.0, float(gammaincinv(n + 1, 0.975))


def _log_likelihood(s: float, n: int, b: int, ratio: float) -> float:
    """Return the log-likelihood at its best false count f: n ~ Poisson(s + f), b ~ Poisson(ratio f)."""
    # (1 + ratio) f^2 + ((1 + ratio) s - n - b) f - b s = 0
    p = (1 + ratio) * s - n - b
    f = (-p + math.sqrt(p * p + 4 * (1 + ratio) * b * s)) / (2 * (1 + ratio))
    return _poisson(n, s + f) + _poisson(b, ratio * f)


def _poisson(n: int, mean: float) -> float:
    if mean <= 0:
        return 0.0 if n == 0 else -math.inf
    return n * math.log(mean) - mean


def _edge(inside: float, outside: float, is_outside: object) -> float:
    """Return where the interval ends, by halving."""
    for _ in range(60):
        middle = (inside + outside) / 2
        if is_outside(middle):  # type: ignore[operator]
            outside = middle
        else:
            inside = middle
    return inside


def missed_share(y: NDArray, threshold: float) -> float:
    """Return the cells below the threshold for each cell above it, if the cells are normal on this scale.

    Parameters
    ----------
    y
        Values of the cells above the threshold, arcsinh scale.
    threshold
        On the same scale.

    Returns
    -------
    From 0 to 1; 0 for fewer than 10 cells, which tell no shape.

    Notes
    -----
    Centre and spread come from the upper half of the cells (50 % and 84.13 % quantile), which truncation moves least,
    and are mended for what lies below the threshold.

    Examples
    --------
    >>> y = np.random.default_rng(0).normal(3.0, 0.5, 20_000)
    >>> missed_share(y[y > 2.5], 2.5).__round__(2)
    0.18
    """
    from scipy.special import ndtr, ndtri

    if len(y) < 10:
        return 0.0
    q50, q84 = np.quantile(np.asarray(y, np.float64), [0.5, 0.8413])
    below = 0.0
    for _ in range(100):
        z50, z84 = ndtri(below + (1 - below) * 0.5), ndtri(below + (1 - below) * 0.8413)
        spread = max((q84 - q50) / (z84 - z50), 1e-3)
        below = min(float(ndtr((threshold - (q50 - spread * z50)) / spread)), 0.5)
    return below / (1 - below)
