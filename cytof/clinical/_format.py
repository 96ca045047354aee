"""Numbers as a paper prints them; halves are rounded away from zero (as SAS) or to the even digit (as R)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np
import pandas as pd

from cytof._check import one_of

__all__ = ["Sheet", "count_text", "fixed", "interval_text", "mean_text", "median_text", "range_text"]


@dataclass(frozen=True)
class Sheet:
    """A table ready to be written: ``name`` of the file, title, cells as text, and the notes beneath."""

    name: str
    title: str
    table: pd.DataFrame
    notes: Sequence[str] = ()


def fixed(value: float, digits: int = 1, rounding: str = "away") -> str:
    """Return a number with a fixed number of decimals; NaN is ``NR``.

    Examples
    --------
    >>> fixed(0.25, 1), fixed(0.25, 1, "even"), fixed(12.0, 0), fixed(float("nan"))
    ('0.3', '0.2', '12', 'NR')
    """
    one_of(rounding, ("away", "even"), "rounding", where="clinical.fixed")
    if value != value:
        return "NR"
    exact = Decimal(repr(float(np.round(value, 12))))
    mode = ROUND_HALF_UP if rounding == "away" else ROUND_HALF_EVEN
    text = str(exact.quantize(Decimal(1).scaleb(-digits), rounding=mode))
    return text.lstrip("-") if float(text) == 0 else text


def count_text(n: int, of: int, digits: int = 1) -> str:
    """Return ``n (%)``.

    Examples
    --------
    >>> count_text(65, 74), count_text(0, 0)
    ('65 (87.8)', '0 (-)')
    """
    return f"{n} ({fixed(100 * n / of, digits)})" if of else f"{n} (-)"


def interval_text(value: float, low: float, high: float, digits: int = 1, scale: float = 1.0) -> str:
    """Return ``value (low-high)``; what is not reached or not estimable is NR.

    Examples
    --------
    >>> interval_text(0.21, 0.122, 0.314, scale=100), interval_text(55.8, 41.0, float("nan"))
    ('21.0 (12.2-31.4)', '55.8 (41.0-NR)')
    """
    return f"{fixed(value * scale, digits)} ({fixed(low * scale, digits)}-{fixed(high * scale, digits)})"


def mean_text(values: pd.Series, digits: int = 1) -> str:
    """Return ``mean (SD)``.

    Examples
    --------
    >>> mean_text(pd.Series([1.0, 2.0, 3.0, None]))
    '2.0 (1.0)'
    """
    values = values.dropna()
    return f"{fixed(values.mean(), digits)} ({fixed(values.std(), digits)})" if len(values) else "-"


def range_text(values: pd.Series, digits: int = 1) -> str:
    """Return ``median (minimum-maximum)``.

    Examples
    --------
    >>> range_text(pd.Series([27, 54, 55, 74]))
    '54.5 (27-74)'
    """
    values = values.dropna()
    if not len(values):
        return "-"
    whole = bool((values == values.round()).all())
    ends = [fixed(v, 0 if whole else digits) for v in (values.min(), values.max())]
    middle = values.median()
    return f"{fixed(middle, 0 if whole and float(middle).is_integer() else digits)} ({'-'.join(ends)})"


def median_text(values: pd.Series, digits: int = 1) -> str:
    """Return ``median [first quartile - third quartile]``.

    Examples
    --------
    >>> median_text(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    '3.0 [2.0 - 4.0]'
    """
    values = values.dropna()
    if not len(values):
        return "-"
    low, middle, high = (fixed(values.quantile(q), digits) for q in (0.25, 0.5, 0.75))
    return f"{middle} [{low} - {high}]"
