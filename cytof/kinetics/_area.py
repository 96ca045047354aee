"""Area under a course, linear up and logarithmic down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["area", "quantified_course"]


def area(day: NDArray[np.float64], value: NDArray[np.float64], *, end: float | None = None) -> float:
    """Return the area under the course from day 0 to ``end``.

    Rising and level pieces, and those that touch 0, are trapezoids; a falling piece is ``(c1 - c2) (t2 - t1) /
    log(c1 / c2)``, exact for exponential decline. Between two samples ``end`` is interpolated by the same rule.

    Parameters
    ----------
    day
        Rising, shape (n,). Nothing is there before the infusion: without a sample at day 0 the course starts at 0.
    value
        Same shape.
    end
        Last day; None for the last sample.

    Returns
    -------
    value x days; NaN where the course is empty or ends before ``end``.

    Examples
    --------
    >>> round(area(np.array([0.0, 10.0, 20.0]), np.array([0.0, 4.0, 1.0])), 3)  # 20 up, 30 / log 4 down
    41.64

    Source: Gabrielsson and Weiner 2012, Methods Mol Biol 929:377 (linear-up log-down).
    """
    if not len(day):
        return float("nan")
    if day[0] < 0:
        inside = day >= 0
        day, value = day[inside], value[inside]
    if not len(day) or day[0] > 0:
        day, value = np.r_[0.0, day], np.r_[0.0, value]
    end = float(day[-1]) if end is None else end
    if end > day[-1]:
        return float("nan")
    if end < day[-1]:
        at = int(np.searchsorted(day, end, side="right"))
        last = _between(day[at - 1], day[at], value[at - 1], value[at], end)
        day, value = np.r_[day[:at], end], np.r_[value[:at], last]
    step, first, second = np.diff(day), value[:-1], value[1:]
    pieces = step * (first + second) / 2
    falls = (second < first) & (second > 0)
    pieces[falls] = (first - second)[falls] * step[falls] / np.log(first[falls] / second[falls])
    return float(pieces.sum())


def _between(t1: float, t2: float, c1: float, c2: float, t: float) -> float:
    share = (t - t1) / (t2 - t1)
    if 0 < c2 < c1:
        return float(c1 * (c2 / c1) ** share)
    return float(c1 + share * (c2 - c1))


def quantified_course(
    day: NDArray[np.float64], value: NDArray[np.float64], below: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the course that areas are taken of: below the limit counts 0 before the peak, and is left out after it.

    Examples
    --------
    >>> quantified_course(np.array([1.0, 7.0, 60.0]), np.array([np.nan, 5.0, np.nan]), np.array([True, False, True]))
    (array([1., 7.]), array([0., 5.]))
    """
    if below.all():
        return day[:0], value[:0]
    known = np.where(below, -np.inf, value)
    early = np.arange(len(day)) < int(np.argmax(known))
    kept = ~below | early
    return day[kept], np.where(below, 0.0, value)[kept]
