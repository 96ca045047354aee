"""Is a population there at all, and can its size be told? Limits of blank, detection and quantification of a gate.

The blanks of the CAR gate are populations that bear no CAR (B cells, monocytes): of ``m`` such cells ``b`` lie above
the threshold. Of ``N`` cells at risk (the gate's parent) ``n`` lie above it. Without a single CAR T cell both counts
come from one rate, so that given ``n + b`` the count ``n`` is binomial with share ``N / (N + m)`` (Currie's paired
counts, exact):

    LoB  = the largest x with  P(X >= x | x + b) = I_{N/(N+m)}(x, b + 1)  > alpha            (I: incomplete beta)
    LoD  = the smallest number of true cells with  P(n > LoB) >= 1 - alpha,  blanks and cells counted anew at the rates
           that the blanks leave likely, Gamma(b + 1, m): under that law false cells have the very tail of LoB
    LoQ  = the smallest number of true cells whose estimate n - N b / m has a coefficient of variation of at most cv:
           sqrt(x + F (1 + N / m)) / x = cv,  F = N b / m

``detected`` when n > LoB and n - F >= LoQ. ``below LOQ`` when n > LoB alone: there, but its size is not to be quoted.
``not detected`` when n <= LoB and LoD is at most 1 % of the cells at risk. ``not evaluable`` when none of these: no
cells at risk, no blank cells, or too few of either to have seen 1 %.

Source: Currie 1968, Anal Chem 40:586 (critical level of paired counts, limits of detection and of determination);
Przyborowski and Wilenski 1940, Biometrika 31:313 (the exact conditional test); CLSI EP17-A2 (the three limits).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "ALPHA",
    "CV",
    "Limits",
    "SHARE_TO_SEE",
    "call",
    "detected",
    "detection_power",
    "limit_of_blank",
    "limit_of_detection",
    "limit_of_quantification",
    "limit_of_sum",
    "limits",
    "pooled_blanks",
]

ALPHA = 0.05
"""Share of blank samples above the limit of blank, and of samples at the limit of detection that are missed."""

CV = 0.2
"""Coefficient of variation at the limit of quantification: 25 cells where no false ones are expected."""

SHARE_TO_SEE = 0.01
"""``not detected`` is said only where a population of this share of the cells at risk would have been detected."""


class Limits(NamedTuple):
    """Numbers of cells in the gate: the blank's limit, and true cells to be detected and to be quantified."""

    lob: float
    lod: float
    loq: float


def limit_of_blank(n_above: int, n_blank: int, n_at_risk: int, *, alpha: float = ALPHA) -> float:
    """Return the largest count among ``n_at_risk`` cells that blanks alone explain.

    Parameters
    ----------
    n_above
        Blank cells above the threshold.
    n_blank
        Blank cells in all.
    n_at_risk
        Cells of the gate's parent.
    alpha
        Chance of exceeding the limit with no true cell.

    Returns
    -------
    Count; NaN without blank cells or cells at risk.

    Examples
    --------
    >>> limit_of_blank(0, 1000, 1000)
    4.0
    """
    if not (n_blank > 0 and n_at_risk > 0):
        return float("nan")
    return _limit_of_blank(float(n_above), int(n_at_risk) / (int(n_at_risk) + int(n_blank)), alpha)


@lru_cache(maxsize=10_000)
def _limit_of_blank(n_above: float, share: float, alpha: float) -> float:
    """Return the limit where ``n_above`` blanks lie above, and cells at risk are ``share`` of them and the blanks."""
    from scipy.special import betainc

    low, high = 0, 1  # the chance falls with x: double, then halve
    while betainc(high, n_above + 1, share) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if betainc(middle, n_above + 1, share) > alpha else (low, middle)
    return float(low)


def detection_power(true: float, rate: float, n_blank: int, n_at_risk: int, *, alpha: float = ALPHA) -> float:
    """Return the chance that ``true`` cells are detected, blanks and cells being Poisson counts.

    Parameters
    ----------
    true
        True cells expected among those at risk.
    rate
        Share of the blanks above the threshold, in truth.
    n_blank, n_at_risk
        Cells of either.
    alpha
        Of the limit of blank.

    Returns
    -------
    ``sum over b of Poisson(b; rate n_blank) P(Poisson(true + rate n_at_risk) > LoB(b))``; where many ``b`` are likely,
    over 64 equally likely ones.

    Examples
    --------
    >>> round(detection_power(9.16, 0.0, 1000, 1000), 3)
    0.95
    """
    from scipy.special import gammainc

    counts, weights = _likely_blanks(rate * n_blank)
    limit = np.array([limit_of_blank(int(b), n_blank, n_at_risk, alpha=alpha) for b in counts])
    return float(weights @ gammainc(limit + 1, max(true + rate * n_at_risk, 0.0)))


def _likely_blanks(mean: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return blank counts and their chances."""
    from scipy.stats import poisson

    if mean <= 0:
        return np.zeros(1), np.ones(1)
    if mean > 40:
        return poisson.ppf((np.arange(64) + 0.5) / 64, mean), np.full(64, 1 / 64)
    counts = np.arange(0, int(mean + 8 * np.sqrt(mean) + 12), dtype=float)
    chances = poisson.pmf(counts, mean)
    return counts, chances / chances.sum()


def limit_of_detection(n_above: int, n_blank: int, n_at_risk: int, *, alpha: float = ALPHA) -> float:
    """Return the number of true cells among ``n_at_risk`` that exceeds the limit of blank with chance ``1 - alpha``.

    The rate of false cells is not known but what the blanks tell of it: 0 of 700 blanks may be a rate of 3 in 1,000.
    The chance is the mean over the rates that they leave likely, so that few blanks do not promise too low a limit.

    Examples
    --------
    >>> round(limit_of_detection(0, 1000, 1000), 1), round(limit_of_detection(0, 100_000, 1000), 1)
    (11.8, 3.1)
    """
    if not (n_blank > 0 and n_at_risk > 0):
        return float("nan")
    return _limit_of_detection(int(n_above), int(n_blank), int(n_at_risk), alpha)


@lru_cache(maxsize=10_000)
def _limit_of_detection(n_above: int, n_blank: int, n_at_risk: int, alpha: float) -> float:
    from scipy.optimize import brentq
    from scipy.special import gammainc

    rates, counts, weights = _likely_rates(n_above, n_blank)
    share = n_at_risk / (n_at_risk + n_blank)
    each, place = np.unique(counts, return_inverse=True)
    limit = np.array([_limit_of_blank(float(b), share, alpha) for b in each])[place.reshape(counts.shape)]

    def short(true: float) -> float:
        return float(np.sum(weights * gammainc(limit + 1, true + rates * n_at_risk))) - (1 - alpha)

    high = 10.0
    while short(high) < 0:
        high *= 2
    return float(brentq(short, 0.0, high, xtol=1e-3)) if short(0.0) < 0 else 0.0


def _likely_rates(n_above: int, n_blank: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return equally likely rates after these blanks, blank counts at each, and the chances of the pairs.

    Shapes (n_rates, 1), (1 or n_rates, n_counts) and (n_rates, n_counts); the chances sum to 1.
    """
    from scipy.special import gammaincinv
    from scipy.stats import poisson

    n = 64 if n_above <= 40 else 32
    middle = (np.arange(n) + 0.5) / n
    means = gammaincinv(n_above + 1, middle)[:, None]
    if n_above > 40:
        counts = poisson.ppf(middle[None, :], means)
        return means / n_blank, counts, np.full(counts.shape, 1 / n**2)
    top = float(means[-1, 0])
    counts = np.arange(0, int(top + 8 * np.sqrt(top) + 12), dtype=float)[None, :]
    chances = poisson.pmf(counts, means)
    return means / n_blank, counts, chances / chances.sum()


def limit_of_quantification(n_above: int, n_blank: int, n_at_risk: int, *, cv: float = CV) -> float:
    """Return the number of true cells whose estimate has a coefficient of variation of ``cv``.

    Examples
    --------
    >>> round(limit_of_quantification(0, 1000, 1000), 6), round(limit_of_quantification(10, 1000, 1000), 1)
    (25.0, 38.1)
    """
    if not (n_blank > 0 and n_at_risk > 0):
        return float("nan")
    return _quantified(n_at_risk * n_above / n_blank * (1 + n_at_risk / n_blank), cv)


def _quantified(spread: float, cv: float) -> float:
    """Solve ``sqrt(x + spread) = cv x``."""
    return float((1 + np.sqrt(1 + 4 * cv**2 * spread)) / (2 * cv**2))


def limits(n_above: int, n_blank: int, n_at_risk: float, *, alpha: float = ALPHA, cv: float = CV) -> Limits:
    """Return the three limits of one sample.

    Examples
    --------
    >>> [round(x, 1) for x in limits(0, 1000, 1000)]
    [4.0, 11.8, 25.0]
    """
    if not (n_blank > 0 and n_at_risk > 0):
        return Limits(np.nan, np.nan, np.nan)
    at_risk = int(n_at_risk)
    return Limits(
        limit_of_blank(n_above, n_blank, at_risk, alpha=alpha),
        limit_of_detection(n_above, n_blank, at_risk, alpha=alpha),
        limit_of_quantification(n_above, n_blank, at_risk, cv=cv),
    )


def call(n: float, false: float, n_at_risk: float, limit: Limits) -> str:
    """Return ``detected``, ``below LOQ``, ``not detected`` or ``not evaluable`` for ``n`` cells (rule above).

    Examples
    --------
    >>> found = limits(0, 10_000, 1000)
    >>> [call(n, 0.0, 1000, found) for n in (30, 12, 1, np.nan)]
    ['detected', 'below LOQ', 'not detected', 'not evaluable']
    """
    if not (n_at_risk > 0 and n >= 0 and limit.lob >= 0):
        return "not evaluable"
    if n > limit.lob:
        return detected(n, false, limit.loq)
    return "not detected" if limit.lod <= SHARE_TO_SEE * n_at_risk else "not evaluable"


def detected(n: float, false: float, loq: float) -> str:
    """Return ``detected`` or ``below LOQ`` for ``n`` cells above the limit of blank."""
    return "detected" if n - false >= loq else "below LOQ"


def limit_of_sum(false: float, spread: float, least: float, *, alpha: float = ALPHA, cv: float = CV) -> Limits:
    """Return the limits of the summed count of several tubes (no limit of detection: nothing is called by it).

    Parameters
    ----------
    false
        False cells expected in all of them.
    spread
        Variance of their estimate, the sum over the tubes of ``F (1 + N / m)``. It tells ``N / m`` and the blanks
        above the threshold, ``b = F m / N``, that one tube with the same two moments has.
    least
        Largest limit of blank of a tube. It stands where no blank lies above the threshold: then the limit depends on
        ``N / m`` alone, and that of the sum lies between those of the tubes.

    Examples
    --------
    >>> one, found = limits(10, 1000, 1000), limit_of_sum(10.0, 20.0, 0.0)
    >>> found.lob == one.lob, round(found.loq, 6) == round(one.loq, 6)
    (True, True)
    """
    loq = _quantified(spread, cv)
    ratio = spread / false - 1 if false > 0 else 0.0
    if not ratio > 1e-9:
        return Limits(least, np.nan, loq)
    return Limits(max(_limit_of_blank(false / ratio, ratio / (1 + ratio), alpha), least), np.nan, loq)


def pooled_blanks(blanks: pd.DataFrame, sample_ids: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cells above the threshold and cells in all of the blanks of each sample; shape (n_samples,) both.

    The row ``all`` (every blank cell once) where there is one, else the sum over the kinds of blank.
    """
    if (blanks["blank"] == "all").any():
        blanks = blanks[blanks["blank"] == "all"]
    rows = (
        blanks.astype({"sample_id": str}).groupby("sample_id")[["n_above", "n"]].sum().reindex(sample_ids, fill_value=0)
    )
    return rows["n_above"].to_numpy(np.int64), rows["n"].to_numpy(np.int64)
