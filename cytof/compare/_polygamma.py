"""Digamma and trigamma for compiled loops: recurrence up to 8, then the asymptotic series."""

from __future__ import annotations

from math import log

import numba

__all__ = ["digamma", "trigamma"]


@numba.njit("float64(float64)", cache=True)
def digamma(x: float) -> float:
    """Return the derivative of ``log gamma`` at ``x > 0``.

    Examples
    --------
    >>> round(digamma(1.0), 12)
    -0.577215664902

    Source: Abramowitz and Stegun 1964, 6.3.5 and 6.3.18.
    """
    out = 0.0
    while x < 8.0:
        out -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * 691 / 32760)))))
    return out + log(x) - 0.5 / x - series


@numba.njit("float64(float64)", cache=True)
def trigamma(x: float) -> float:
    """Return the second derivative of ``log gamma`` at ``x > 0``.

    Examples
    --------
    >>> round(trigamma(1.0), 12)
    1.644934066848

    Source: Abramowitz and Stegun 1964, 6.4.6 and 6.4.12.
    """
    out = 0.0
    while x < 8.0:
        out += 1.0 / (x * x)
        x += 1.0
    r = 1.0 / (x * x)
    series = r * (1 / 6 - r * (1 / 30 - r * (1 / 42 - r * (1 / 30 - r * (5 / 66 - r * 691 / 2730)))))
    return out + 1.0 / x + 0.5 * r + series / x
