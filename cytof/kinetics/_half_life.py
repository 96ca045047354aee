"""Terminal half-life of a course, values below the limit of quantification taken for what they are: below it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cytof.kinetics._biexponential import fit_two, profile_two
from cytof.kinetics._tobit import fit

__all__ = ["HalfLife", "MIN_BI", "MIN_MONO", "half_life"]

MIN_MONO, MIN_BI = 3, 7
"""Quantified points after the peak that one and two exponentials need."""

FLAT = 1e-6
"""A course that falls by less than a millionth from the first to the last day after the peak does not decline."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class HalfLife:
    """Half-life in days with its limits, or the reason why there is none.

    ``model``: ``mono-exponential``, ``bi-exponential`` or ``not estimable``; ``method``: how the limits were made;
    ``n``: points after the peak, ``n_quantified`` of them at or above the limit. ``high`` is infinite where the course
    may not decline at all.
    """

    days: float
    low: float
    high: float
    model: str
    method: str
    n: int
    n_quantified: int
    reason: str = ""


def half_life(
    day: ArrayLike, value: ArrayLike, below: ArrayLike, limit: ArrayLike, *, level: float = 0.95, model: str = "auto"
) -> HalfLife:
    """Return the half-life of what follows the peak.

    Mono-exponential: ``log(value) = a - b day + normal error`` on the points after the peak, at least three of them
    quantified; half-life ``log(2) / b``. A point below its limit enters as the chance to lie below it (Tobit). Without
    such points the limits are Student's; with them those of the profile likelihood, at the height that gives Student's
    limits where nothing is censored: ``m log(1 + t^2 / (m - 2))``, ``m`` quantified points. A slope that does not
    decline has no half-life, but its lower limit stands.

    Bi-exponential: only with at least seven quantified points, and where it fits better (extra-sum-of-squares F, 5 %);
    the half-life is the slower one, with limits by profile likelihood.

    Parameters
    ----------
    day, value, below, limit
        The whole course, each of shape (n,): days in any order; values; True where below the limit; the limits.
    level
        Coverage of the limits.
    model
        ``auto``, ``mono`` or ``bi``.

    Examples
    --------
    >>> day = np.array([14.0, 28.0, 42.0, 56.0, 70.0])
    >>> found = half_life(day, 8 * 0.5 ** (day / 14), np.zeros(5, bool), np.full(5, 0.1))
    >>> found.model, round(found.days, 6)
    ('mono-exponential', 14.0)
    >>> half_life([7, 14], [1.0, 2.0], [False, False], [0.1, 0.1]).reason
    '0 quantified points after the peak (day 14), 3 needed'

    Source: Tobin 1958; Beal 2001, J Pharmacokinet Pharmacodyn 28:481 (method M3 for values below the limit).
    """
    day, value, limit = (np.asarray(x, float) for x in (day, value, limit))
    hidden = np.asarray(below, bool)
    seen = ~hidden & (value > 0)
    if not seen.any():
        return _none(0, 0, "no quantified point")
    peak = float(day[seen][int(np.argmax(value[seen]))])
    later = (day > peak) & (seen | hidden)
    n, n_seen = int(later.sum()), int((later & seen).sum())
    if n_seen < MIN_MONO:
        return _none(n, n_seen, f"{n_seen} quantified points after the peak (day {peak:g}), {MIN_MONO} needed")
    if not (limit[later & hidden] > 0).all():
        return _none(n, n_seen, "a value below the limit without the limit")
    order = np.flatnonzero(later)[np.argsort(day[later], kind="stable")]
    x, censored = day[order] - peak, hidden[order]
    y = np.log(np.where(censored, limit[order], value[order]))
    if model == "bi" and n_seen < MIN_BI:
        return _none(n, n_seen, f"{n_seen} quantified points after the peak, {MIN_BI} needed for two exponentials")
    one = _mono(x, y, censored, level)
    if model == "mono" or n_seen < MIN_BI:
        return one
    two = _bi(x, y, censored, level, force=model == "bi")
    return one if two is None else two


def _none(n: int, n_seen: int, reason: str) -> HalfLife:
    return HalfLife(np.nan, np.nan, np.nan, "not estimable", "", n, n_seen, reason)


def _height(n: int, df: int, level: float) -> float:
    """Return by how much twice the log-likelihood may fall: Student's limits where nothing is censored."""
    from scipy.special import stdtrit

    return float(n * np.log1p(stdtrit(df, (1 + level) / 2) ** 2 / df))


def _mono(x: Vector, y: Vector, censored: NDArray[np.bool_], level: float) -> HalfLife:
    n, n_seen = len(x), int((~censored).sum())
    middle = x.mean()
    beta, sigma, top = fit(np.c_[np.ones(n), x - middle], y, censored)
    rate, spread = -float(beta[1]), float(np.sum((x - middle) ** 2))
    if censored.any():
        method = "profile likelihood, below the limit as censored"
        height = _height(n_seen, n_seen - 2, level)

        def fall(b: float) -> float:
            return 2 * (top - fit(np.ones((n, 1)), y + b * x, censored)[2]) - height

        low, high = _crossings(fall, rate, max(abs(rate), sigma / np.sqrt(spread)))
    else:
        from scipy.special import stdtrit

        method = "Student's t"
        wide = float(stdtrit(n - 2, (1 + level) / 2) * sigma * np.sqrt(n / (n - 2) / spread))
        low, high = rate - wide, rate + wide
    return _from_rates(rate, (low, high), x[-1] - x[0], "mono-exponential", method, (n, n_seen))


def _bi(x: Vector, y: Vector, censored: NDArray[np.bool_], level: float, *, force: bool) -> HalfLife | None:
    from scipy.special import fdtri

    n, n_seen = len(x), int((~censored).sum())
    df = n_seen - 4
    two = fit_two(x, y, censored)
    if two is None:
        return _none(n, n_seen, "two exponentials do not fit") if force else None
    one = fit(np.c_[np.ones(n), x], y, censored)[2]
    better = 2 * (two.top - one) > n * np.log1p(2 * fdtri(2, df, 0.95) / df)
    if not better and not force:
        return None
    height = _height(n_seen, df, level)
    level_off = two.slow * (x[-1] - x[0]) < 0.01
    rate, step = (0.0, 0.02 / (x[-1] - x[0])) if level_off else (two.slow, 0.2 * two.slow)

    def fall(b: float) -> float:
        return 2 * (two.top - profile_two(x, y, censored, b, two)) - height

    low, high = _crossings(fall, rate, step, floor=0.0)
    return _from_rates(rate, (low, high), x[-1] - x[0], "bi-exponential", "profile likelihood", (n, n_seen))


def _crossings(
    fall: Callable[[float], float], rate: float, step: float, *, floor: float = -np.inf
) -> tuple[float, float]:
    """Return the rates on both sides where the likelihood has fallen by its height; else ``floor``, inf."""
    from scipy.optimize import brentq

    found = []
    for sign in (-1, 1):
        inner, reach = rate, 0.5 * step
        while True:
            outer = max(rate + sign * reach, floor)
            if fall(outer) > 0:
                found.append(float(brentq(fall, inner, outer, xtol=1e-4 * step, rtol=1e-4)))
                break
            if outer == floor or reach > 200 * step:
                found.append(floor if sign < 0 else np.inf)
                break
            inner, reach = outer, 2 * reach
    return found[0], found[1]


def _from_rates(
    rate: float, limits: tuple[float, float], span: float, model: str, method: str, n: tuple[int, int]
) -> HalfLife:
    low, high = limits
    fastest = np.log(2) / high if high > 0 else np.inf
    slowest = np.log(2) / low if low > 0 else np.inf
    if rate * span <= FLAT:
        reason = "no decline after the peak" if model.startswith("mono") else "the slow phase does not decline"
        return HalfLife(np.nan, float(fastest), np.inf, "not estimable", method, *n, reason)
    return HalfLife(float(np.log(2) / rate), float(fastest), float(slowest), model, method, *n)
