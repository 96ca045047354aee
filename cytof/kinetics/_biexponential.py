"""Two exponentials through a declining course: ``log(A exp(-fast t) + B exp(-slow t))`` + normal error, censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytof.kinetics._tobit import SMALLEST_SIGMA, log_likelihood

__all__ = ["Two", "fit_two", "profile_two"]

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Two:
    """Rates a day, parameters ``log A, log B, log(fast - slow), log sigma``, and the log-likelihood there."""

    slow: float
    rest: Vector
    top: float

    @property
    def fast(self) -> float:
        """The faster rate."""
        return self.slow + float(np.exp(self.rest[2]))


def _loss(rest: Vector, slow: float, x: Vector, y: Vector, censored: NDArray[np.bool_]) -> tuple[float, Vector]:
    """Return the negative log-likelihood and its slopes by ``log slow`` and the four of ``rest``."""
    from scipy.special import log_ndtr

    a, b, gap, spread = np.clip(rest, -60, 60)
    part, other = a - (slow + np.exp(gap)) * x, b - slow * x
    curve = np.logaddexp(part, other)
    first, sigma = np.exp(part - curve), max(float(np.exp(spread)), SMALLEST_SIGMA)
    z = (y - curve) / sigma
    mills = np.exp(-0.5 * z**2 - log_ndtr(z)) / np.sqrt(2 * np.pi)
    up = np.where(censored, -mills, z) / sigma  # of the log-likelihood, by the curve
    wide = np.where(censored, -mills * z, z**2 - 1).sum() if np.exp(spread) > SMALLEST_SIGMA else 0.0
    slopes = np.array([-(up * x).sum() * slow, (up * first).sum(), (up * (1 - first)).sum(),
                       -(up * first * x).sum() * np.exp(gap), wide])  # fmt: skip
    return -log_likelihood(y - curve, sigma, censored), -slopes


def fit_two(x: Vector, y: Vector, censored: NDArray[np.bool_]) -> Two | None:
    """Return the best fit of several starts (peeled at each possible break), None where the two rates do not part.

    Parameters
    ----------
    x
        Days from the peak, rising; shape (n,).
    y
        Logarithms of values, of the limits where ``censored``.
    censored
        Known only to lie below ``y``.

    Examples
    --------
    >>> t = np.arange(1.0, 13)
    >>> two = fit_two(t, np.log(90 * np.exp(-t) + 10 * np.exp(-0.05 * t)), np.zeros(12, bool))
    >>> round(two.fast, 2), round(two.slow, 3)
    (1.0, 0.05)
    """
    from scipy.optimize import minimize

    seen = np.flatnonzero(~censored)
    best: Two | None = None
    for split in range(2, len(seen) - 1, max(1, len(seen) // 4)):
        early, late = seen[:split], seen[split:]
        steep, gentle = np.polyfit(x[early], y[early], 1), np.polyfit(x[late], y[late], 1)
        slow = max(-gentle[0], 1e-4)
        gap = max(-steep[0] - slow, 0.5 * slow)
        start = np.array([np.log(slow), steep[1], gentle[1], np.log(gap), np.log(0.3)])
        found = minimize(
            lambda p: _loss(p[1:], float(np.exp(np.clip(p[0], -30, 10))), x, y, censored), start, jac=True,
            method="BFGS", options={"maxiter": 500, "gtol": 1e-7},
        )  # fmt: skip
        if best is None or -found.fun > best.top:
            best = Two(float(np.exp(np.clip(found.x[0], -30, 10))), found.x[1:], -float(found.fun))
    apart = best is not None and best.fast > 1.2 * best.slow and best.rest[0] > -50
    return best if apart else None


def profile_two(x: Vector, y: Vector, censored: NDArray[np.bool_], slow: float, near: Two) -> float:
    """Return the largest log-likelihood with the slow rate held at ``slow``, sought from the best fit.

    Examples
    --------
    >>> t = np.arange(1.0, 13)
    >>> y = np.log(90 * np.exp(-t) + 10 * np.exp(-0.05 * t)) + 0.1 * (-1) ** t
    >>> two = fit_two(t, y, np.zeros(12, bool))
    >>> profile_two(t, y, np.zeros(12, bool), 2 * two.slow, two) < two.top
    True
    """
    from scipy.optimize import minimize

    best = np.inf
    for gap in (near.rest[2], np.log(max(near.fast - slow, 0.2 * near.fast))):
        start = np.r_[near.rest[:2], gap, max(near.rest[3], np.log(0.05))]
        found = minimize(
            lambda p: _held(p, slow, x, y, censored), start, jac=True, method="BFGS",
            options={"maxiter": 500, "gtol": 1e-7},
        )  # fmt: skip
        best = min(best, float(found.fun))
    return -best


def _held(rest: Vector, slow: float, x: Vector, y: Vector, censored: NDArray[np.bool_]) -> tuple[float, Vector]:
    value, slopes = _loss(rest, slow, x, y, censored)
    return value, slopes[1:]
