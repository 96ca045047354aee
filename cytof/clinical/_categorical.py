"""Tests of tables of counts: Pearson's chi-squared where it may be used, else Fisher's exact test of any size.

The exact test is an enumeration of own make: scipy's ``fisher_exact`` of more than 2 x 2 is Monte-Carlo by default
(three calls gave 0.0126, 0.0161, 0.0153 where the exact p is 0.0144).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import gammaln

from cytof._check import one_of
from cytof.clinical._result import Categorical
from cytof.errors import InputError

__all__ = ["UNKNOWN", "categorical_test", "freeman_halton"]

UNKNOWN = ("unknown", "missing", "not done", "n.d.", "nd", "na", "n/a", "not available")
"""Levels (lower case) that are printed, but not tested."""

_RELATIVE = 1e-7
_LIMIT = 4_000_000


def categorical_test(counts: ArrayLike | pd.DataFrame, test: str = "auto") -> Categorical:
    """Test the independence of rows and columns of a table of counts.

    Parameters
    ----------
    counts
        Levels x groups, whole numbers. Of a DataFrame the rows called Unknown (Missing, n.d.) are left out; rows and
        columns without counts always are.
    test
        ``auto``: Pearson's chi-squared without correction where every expected count is at least 5, else Fisher's exact
        test (Fisher-Freeman-Halton beyond 2 x 2); or ``chi2``, ``fisher``.

    Returns
    -------
    Categorical: ``p test min_expected statistic df n``; p is NaN where fewer than two rows or columns are left.

    Raises
    ------
    InputError
        Negative or broken counts, or a table too large to enumerate.

    Examples
    --------
    >>> found = categorical_test([[8, 22], [1, 31], [3, 9]])
    >>> round(found.p, 4), found.test
    (0.0144, 'Fisher-Freeman-Halton exact test')
    >>> categorical_test([[9, 24], [3, 38]]).test
    'Pearson chi-squared test'

    Source: Freeman and Halton 1951, Biometrika 38:141.
    """
    one_of(test, ("auto", "chi2", "fisher"), "test", where="clinical.categorical_test")
    if isinstance(counts, pd.DataFrame):
        counts = counts[~counts.index.astype(str).str.strip().str.lower().isin(UNKNOWN)]
    table = np.asarray(counts, float)
    if table.ndim != 2 or np.isnan(table).any() or (table < 0).any() or (table != np.floor(table)).any():
        raise InputError("found counts that are no whole numbers, expected a table levels x groups, 0 or more",
                         where="clinical.categorical_test")  # fmt: skip
    table = table[table.sum(1) > 0][:, table.sum(0) > 0].astype(np.int64)
    n = int(table.sum())
    if min(table.shape) < 2:
        return Categorical(
            float("nan"), "not estimable: fewer than two levels or groups", float("nan"), float("nan"), 0, n
        )
    expected = np.outer(table.sum(1), table.sum(0)) / n
    low, df = float(expected.min()), int((table.shape[0] - 1) * (table.shape[1] - 1))
    statistic = float(((table - expected) ** 2 / expected).sum())
    if test == "chi2" or (test == "auto" and low >= 5):
        return Categorical(float(stats.chi2.sf(statistic, df)), "Pearson chi-squared test", low, statistic, df, n)
    name = "Fisher exact test" if table.shape == (2, 2) else "Fisher-Freeman-Halton exact test"
    return Categorical(freeman_halton(table), name, low, float("nan"), 0, n)


def freeman_halton(table: ArrayLike) -> float:
    """Return the exact p: the probability of all tables with these margins that are no likelier than this one.

    Row by row, tables with the same remaining column totals and the same probability are counted together.

    Examples
    --------
    >>> round(freeman_halton([[3, 0], [0, 3]]), 3)
    0.1
    """
    counts = np.asarray(table, np.int64)
    counts = counts if counts.shape[0] >= counts.shape[1] else counts.T
    columns = counts.sum(0)
    log_observed = -gammaln(counts + 1).sum()
    states: dict[tuple[int, ...], tuple[NDArray, NDArray]] = {tuple(columns): (np.zeros(1), np.ones(1))}
    for row in counts.sum(1):
        states = _next_row(states, int(row))
        if sum(len(v) for v, _ in states.values()) > _LIMIT:
            raise InputError(f"a table of {counts.shape[0]} x {counts.shape[1]} with {counts.sum()} counts is too "
                             "large to enumerate", where="clinical.categorical_test", hint="join rare levels, or use "
                             "test='chi2'")  # fmt: skip
    values, weights = states[tuple(np.zeros(len(columns), np.int64))]
    order = np.argsort(values)
    values, total = values[order], (weights * np.exp(values - values.max()))[order]
    as_rare = values <= log_observed + np.log1p(_RELATIVE)
    return float(min(total[as_rare].sum() / total.sum(), 1.0))


def _next_row(states: dict, row: int) -> dict:
    """Deal the next row over the columns; a state holds log probabilities and how many ways lead there."""
    found: dict[tuple[int, ...], list[tuple[NDArray, NDArray]]] = {}
    for left, (values, weights) in states.items():
        for deal in _deals(row, left):
            rest = tuple(a - b for a, b in zip(left, deal, strict=True))
            term = -gammaln(np.asarray(deal) + 1.0).sum()
            found.setdefault(rest, []).append((values + term, weights))
    return {rest: _merged(parts) for rest, parts in found.items()}


def _deals(row: int, left: tuple[int, ...]) -> list[tuple[int, ...]]:
    if len(left) == 2:
        low, high = max(0, row - left[1]), min(row, left[0])
        return [(k, row - k) for k in range(low, high + 1)]
    heads = product(*(range(min(row, c) + 1) for c in left[:-1]))
    return [(*h, row - sum(h)) for h in heads if 0 <= row - sum(h) <= left[-1]]


def _merged(parts: list[tuple[NDArray, NDArray]]) -> tuple[NDArray, NDArray]:
    values = np.concatenate([v for v, _ in parts])
    weights = np.concatenate([w for _, w in parts])
    _, first, place = np.unique(np.round(values, 9), return_index=True, return_inverse=True)
    return values[first], np.bincount(place, weights)
