"""One Kaplan-Meier curve on arrays: survival, Greenwood's variance, intervals, quantiles, restricted mean.

Own code, equal to R's ``survfit``: lifelines takes the first time where S is exactly one half (R: the middle of the
step), statsmodels the next, and lifelines' variance of the restricted mean is no squared standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cytof._check import one_of

__all__ = ["CONFS", "Curve", "bounds", "crossing", "curve", "half_time", "restricted_mean"]

CONFS = ("log-log", "log", "plain", "logit", "arcsin")
_TOLERANCE = np.sqrt(np.finfo(float).eps)


@dataclass(frozen=True)
class Curve:
    """Steps at each observed time (events and censorings): at risk just before it, events, censorings, survival.

    ``se_log`` is Greenwood's standard error of log S.
    """

    time: NDArray[np.float64]
    n_risk: NDArray[np.int64]
    n_event: NDArray[np.int64]
    n_censor: NDArray[np.int64]
    survival: NDArray[np.float64]
    se_log: NDArray[np.float64]


def curve(time: ArrayLike, event: ArrayLike, entry: ArrayLike | None = None) -> Curve:
    """Return the product-limit curve of one group.

    ``S(t) = prod (1 - d/n)`` and ``var log S = sum d / (n (n - d))`` over the event times up to t.

    Parameters
    ----------
    time, event
        Follow-up and whether it ended in the event; (n,).
    entry
        Time from which each is at risk (after it); None: from the start.

    Examples
    --------
    >>> curve([1, 2, 2, 3], [1, 1, 0, 0]).survival.tolist()
    [0.75, 0.5, 0.5]

    Source: Kaplan and Meier 1958, J Am Stat Assoc 53:457; Greenwood 1926.
    """
    time, event = np.asarray(time, float), np.asarray(event, bool)
    times, place = np.unique(time, return_inverse=True)
    n_event = np.bincount(place, event, len(times)).astype(np.int64)
    n_censor = np.bincount(place, ~event, len(times)).astype(np.int64)
    n_risk = len(time) - np.searchsorted(np.sort(time), times, "left")
    if entry is not None:
        n_risk = n_risk - (len(time) - np.searchsorted(np.sort(np.asarray(entry, float)), times, "left"))
    with np.errstate(divide="ignore", invalid="ignore"):
        survival = np.cumprod(1 - n_event / n_risk)
        term = n_event / (n_risk * (n_risk - n_event).astype(float))
    se_log = np.sqrt(np.cumsum(np.where(n_event == 0, 0.0, term)))
    return Curve(times, n_risk.astype(np.int64), n_event, n_censor, survival.astype(np.float64), se_log)


def bounds(
    survival: ArrayLike, se_log: ArrayLike, conf: str = "log-log", level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pointwise interval of S, NaN where its scale is infinite (S = 0, or S = 1 on the log-log scale).

    Examples
    --------
    >>> low, high = bounds([0.5], [0.25])
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.245], [0.71])

    Source: Borgan and Liestol 1990, Scand J Stat 17:35.
    """
    one_of(conf, CONFS, "conf")
    s, se = np.asarray(survival, float), np.asarray(se_log, float)
    z = stats.norm.ppf(0.5 + level / 2)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if conf == "plain":
            half = z * se * s
            return np.maximum(s - half, 0), np.minimum(s + half, 1)
        known = np.where(s == 0, np.nan, s)
        if conf == "log":
            return np.exp(np.log(known) - z * se), np.minimum(np.exp(np.log(known) + z * se), 1)
        if conf == "log-log":
            known = np.where(s == 1, np.nan, known)
            half = z * se / np.log(known)
            return tuple(np.exp(-np.exp(np.log(-np.log(known)) + sign * half)) for sign in (-1, 1))
        if conf == "logit":
            half = z * se * (1 + known / (1 - known))
            odds = np.log(s / (1 - s))
            return 1 - 1 / (1 + np.exp(odds - half)), 1 - 1 / (1 + np.exp(odds + half))
        half, angle = 0.5 * z * se * np.sqrt(known / (1 - known)), np.arcsin(np.sqrt(known))
        return np.sin(np.maximum(0, angle - half)) ** 2, np.sin(np.minimum(np.pi / 2, angle + half)) ** 2


def half_time(time: NDArray[np.float64], survival: NDArray[np.float64]) -> float:
    """Return the median: first time with S below one half; the middle of the step where S is exactly one half.

    A step at one half that no later event ends gives its start (R's ``print(survfit)``). NaN: not reached.

    Examples
    --------
    >>> half_time(np.array([2.0, 4.0, 9.0]), np.array([0.75, 0.5, 0.25]))
    6.5
    """
    reached = ~np.isnan(survival) & (survival < 0.5 + _TOLERANCE)
    if not reached.any():
        return float("nan")
    t, s = time[reached], survival[reached]
    below = np.flatnonzero(s < s[0])
    if abs(s[0] - 0.5) < _TOLERANCE and len(below):
        return float((t[0] + t[below[0]]) / 2)
    return float(t[0])


def crossing(time: NDArray[np.float64], survival: NDArray[np.float64], p: float) -> float:
    """Return the time by which a share ``p`` had the event, as R's ``quantile.survfit``; NaN: not reached.

    Examples
    --------
    >>> crossing(np.array([2.0, 4.0, 9.0]), np.array([0.75, 0.5, 0.25]), 0.25)
    3.0
    """
    t, gone = np.r_[0.0, time], np.r_[0.0, 1 - survival]
    last = t[-1]
    _, first = np.unique(gone, return_index=True)  # NaN sorts last; one of them stays, as in R
    keep = np.sort(first)
    t, gone = t[keep], gone[keep]
    known = ~np.isnan(gone)
    ends_known, end = bool(known[-1]), float(gone[-1])
    order = np.argsort(gone[known], kind="stable")  # an upper limit can rise again; R looks in order of its height
    t, gone = t[known][order], gone[known][order]
    if not len(gone) or gone.max() < p - _TOLERANCE:
        return float("nan")
    if p == 0:
        return float(t[0])
    early = t[np.argmax(gone + _TOLERANCE >= p)]
    if ends_known and abs(p - end) < _TOLERANCE:
        return float((early + last) / 2)
    later = gone - _TOLERANCE >= p
    return float((early + t[np.argmax(later)]) / 2) if later.any() else float("nan")


def restricted_mean(of: Curve, tau: float) -> tuple[float, float]:
    """Return the mean survival up to ``tau`` (area under S) and its standard error.

    Examples
    --------
    >>> restricted_mean(curve([1, 2, 3], [1, 1, 1]), 3.0)[0]
    2.0

    Source: Klein and Moeschberger 2003, Survival Analysis, section 4.5.
    """
    keep = of.time <= tau
    t = np.r_[0.0, of.time[keep], tau]
    height = np.r_[1.0, of.survival[keep]]
    area = np.diff(t) * height
    left = of.n_risk[keep] - of.n_event[keep]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(left == 0, 0.0, of.n_event[keep] / (of.n_risk[keep] * left.astype(float)))
    after = np.cumsum(area[1:][::-1])[::-1]  # area from each time on
    return float(area.sum()), float(np.sqrt((after**2 * step).sum()))
