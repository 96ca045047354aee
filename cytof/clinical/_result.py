"""What a test or a rate returns: named numbers with their method, by attribute or by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

__all__ = ["Categorical", "Rate", "Result", "Test", "p_text"]


@dataclass(frozen=True)
class Result:
    """Base: ``result.p`` and ``result["p"]`` are the same; :meth:`to_row` gives a table of one row."""

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Return the names of the values."""
        return [f.name for f in fields(self)]

    def to_row(self) -> pd.DataFrame:
        """Return a table of one row."""
        kept = [k for k in self.keys() if not isinstance(self[k], pd.DataFrame)]
        return pd.DataFrame([{k: "; ".join(self[k]) if k == "warnings" else self[k] for k in kept}])


@dataclass(frozen=True)
class Test(Result):
    """A test: statistic, degrees of freedom, p, the method in words, patients, events and what was noticed."""

    __test__ = False  # no test case of pytest

    statistic: float
    df: int
    p: float
    method: str
    n: int
    events: int
    warnings: tuple[str, ...] = ()

    def cite(self) -> str:
        """Return one sentence for the methods section.

        Examples
        --------
        >>> Test(10.3, 1, 0.00131, "log-rank test", 228, 165).cite()
        'log-rank test, 228 patients, 165 events: statistic 10.3, 1 df, p = 0.0013.'
        """
        of = f", {self.n} patients, {self.events} events" if self.events else f", {self.n} patients"
        df = f", {self.df} df" if self.df else ""
        return f"{self.method}{of}: statistic {self.statistic:.3g}{df}, p {p_text(self.p, sign=True)}."


@dataclass(frozen=True)
class Rate(Result):
    """A proportion with its interval (0 to 1)."""

    rate: float
    ci_low: float
    ci_high: float
    successes: int
    n: int
    method: str

    def cite(self) -> str:
        """Return the rate as a paper prints it.

        Examples
        --------
        >>> Rate(65 / 74, 0.7816, 0.9429, 65, 74, "Clopper-Pearson").cite()
        '65/74 (87.8 %; 95 % CI 78.2-94.3, Clopper-Pearson)'
        """
        low, high = self.ci_low * 100, self.ci_high * 100
        return f"{self.successes}/{self.n} ({self.rate * 100:.1f} %; 95 % CI {low:.1f}-{high:.1f}, {self.method})"


@dataclass(frozen=True)
class Categorical(Result):
    """A test of a table of counts: p, the test that was taken, and the smallest expected count that decided it."""

    p: float
    test: str
    min_expected: float
    statistic: float
    df: int
    n: int


def p_text(p: float, *, sign: bool = False) -> str:
    """Return p as a paper prints it: four digits, ``<0.0001`` below.

    Examples
    --------
    >>> p_text(0.01441), p_text(0.00002), p_text(0.5), p_text(0.00002, sign=True), p_text(float("nan"))
    ('0.0144', '<0.0001', '0.5000', '< 0.0001', 'not estimable')
    """
    if p != p:
        return "not estimable"
    if p < 0.0001:
        return "< 0.0001" if sign else "<0.0001"
    text = f"{p:.4f}"
    return f"= {text}" if sign else text
