"""Separation cutoff of one barcode, from its yield at every cutoff.

Source: for ``log_logistic``, the estimate that CATALYST documents for ``estCutoffs``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SEPARATIONS", "log_logistic", "plateau"]

SEPARATIONS: NDArray[np.float64] = np.arange(101) / 100
"""Cutoffs at which yields are counted."""

_STEEP = 0.1  # relative loss of yield a unit of separation at which the log-logistic's plateau ends
_WIDTH = 0.03  # standard deviation of the smoothing of the slope
_LEAST = 0.25  # below this lie two cells, up to about four times apart in stain
_FLAT = 0.02  # of the steepest slope: what still counts as flat


def plateau(share: NDArray[np.float64]) -> tuple[float, float]:
    """Return the middle of the plateau of a yield curve, where it falls least, and how steep it is there.

    The slope (the density of separations) is smoothed; its highest peak above 0.25 are the single cells. The plateau
    is where, between 0.25 and that peak, the slope exceeds its least value by less than 2 % of the peak. The
    second value is the least slope as a share of the peak: near 0 for a plateau, near 1 where there is none.

    Parameters
    ----------
    share
        Yield at each of :data:`SEPARATIONS`, from 1 downwards.

    Examples
    --------
    >>> doublets, cells = 0.3 * (SEPARATIONS < 0.15), 0.7 / (1 + (SEPARATIONS / 0.7) ** 16)
    >>> middle, steepness = plateau(doublets + cells)
    >>> 0.25 < middle < 0.5, steepness < 0.1
    (True, True)
    """
    fall = np.maximum(-np.diff(share), 0)
    middle = (SEPARATIONS[1:] + SEPARATIONS[:-1]) / 2
    kernel = np.exp(-0.5 * ((middle[:, None] - middle) / _WIDTH) ** 2)
    slope = kernel @ fall / kernel.sum(axis=1)
    singles = middle > _LEAST
    peak = int(np.flatnonzero(singles)[slope[singles].argmax()])
    between = np.flatnonzero((middle > _LEAST) & (np.arange(len(middle)) <= peak))
    flat = slope[between] <= slope[between].min() + _FLAT * slope[peak]
    places = between[flat]
    return float(SEPARATIONS[places[len(places) // 2]]), float(slope[between].min() / max(slope[peak], 1e-12))


def log_logistic(share: NDArray[np.float64]) -> float:
    """Return the cutoff that CATALYST estimates from a yield curve.

    Two curves are fitted: a line ``b0 + b1 x``, whose cutoff is ``-b0 / (2 b1)``, and ``d / (1 + (x / e)^b)``, whose
    cutoff is the least ``x`` with ``|f'| / f > 0.1``. The cutoff is their mean, weighed by each other's residual sum.

    Parameters
    ----------
    share
        Yield at each of :data:`SEPARATIONS`, from 1 downwards.

    Examples
    --------
    >>> 0.2 < log_logistic(1 / (1 + (SEPARATIONS / 0.6) ** 8)) < 0.4
    True
    """
    x = SEPARATIONS
    slope, start = np.polyfit(x, share, 1)
    rss_line = float(((start + slope * x - share) ** 2).sum())
    line = -start / (2 * slope) if slope < 0 else 0.0
    fitted = _fit(share)
    if fitted is None:
        return float(np.clip(line, 0, 1))
    d, b, e = fitted
    power = (x[1:] / e) ** b
    rss_curve = float(((d / (1 + power) - share[1:]) ** 2).sum())
    steep = b / x[1:] * power / (1 + power) > _STEEP
    curve = x[1:][steep.argmax()] if steep.any() else 1.0
    weight = rss_curve / (rss_curve + rss_line) if rss_curve + rss_line > 0 else 0.0
    return float(np.clip((1 - weight) * curve + weight * line, 0, 1))


def _fit(share: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Return ``d, b, e`` of ``d / (1 + (x / e)^b)`` by least squares, or None where there is no fit."""
    from scipy.optimize import least_squares

    x = SEPARATIONS[1:]
    half = float(np.interp(0.5, 1 - share, SEPARATIONS))

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return p[0] / (1 + np.exp(np.clip(p[1] * (np.log(x) - p[2]), -500, 500))) - share[1:]

    begin = [1.0, 5.0, np.log(min(max(half, 0.01), 1.0))]
    found = least_squares(misfit, begin, bounds=([0.0, 0.1, np.log(0.001)], [1.5, 200.0, np.log(10.0)]))
    return (float(found.x[0]), float(found.x[1]), float(np.exp(found.x[2]))) if found.success else None
