"""Exact rank and permutation tests of few patients, and the smallest p that they can give."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

__all__ = ["attainable", "exact", "smallest_p"]

_LISTED = 1 << 14  # up to so many arrangements are listed, beyond them 9,999 are drawn
_DRAWN = 9999
_RANKED = 100  # up to so many patients ranks are counted exactly


def smallest_p(m: int, n: int | None = None, *, ranks: bool = True) -> float:
    """Return the smallest two-sided p of an exact test of ``m`` pairs, or of ``m`` against ``n`` patients.

    Parameters
    ----------
    m, n
        Pairs; or patients of the two groups.
    ranks
        False: of the permutation test, which draws 9,999 arrangements where there are more than 16,384.

    Examples
    --------
    >>> smallest_p(6), smallest_p(5), round(smallest_p(4, 4), 4), smallest_p(20, ranks=False)
    (0.03125, 0.0625, 0.0286, 0.0001)
    """
    ways = 2**m if n is None else comb(m + n, m)
    drawn = ways > _LISTED and (not ranks or m + (n or 0) > _RANKED)
    return 1 / (_DRAWN + 1) if drawn else min(1.0, 2 / ways)


def exact(x: NDArray, y: NDArray | None = None, *, ranks: bool, seed: int = 0) -> tuple[float, float]:
    """Exact test of one group of differences (signs flipped) or of two groups (labels exchanged), two-sided.

    With ``ranks`` Wilcoxon's signed-rank and rank-sum tests, ties by mid-ranks and without normal approximation, from
    the exact distribution up to 100 patients. Else all arrangements of the values, or 9,999 drawn of more than 16,384.

    Returns
    -------
    statistic (sum of positive ranks, rank-sum W, mean or difference of means), p.

    Examples
    --------
    >>> exact(np.array([1.2, 0.4, -0.3, 2.2, 1.7, 0.9, 1.1]), ranks=True)
    (27.0, 0.03125)

    Source: Hollander and Wolfe 1999, 3.1 and 4.1; Phipson and Smyth 2010 where arrangements are drawn.
    """
    size, m, found = _sizes(x, y, ranks)
    if y is None:
        statistic = found if ranks else float(x.mean())
    else:
        statistic = found - len(x) * (len(x) + 1) / 2 if ranks else float(x.mean() - y.mean())
    return statistic, _p(size, m, found, ranks, seed)


def attainable(x: NDArray, y: NDArray | None = None, *, ranks: bool, seed: int = 0) -> float:
    """Return the smallest p that an exact test of these values can give, whichever way signs or labels fall.

    Differences of 0 tell nothing, and ties leave fewer arrangements that differ: it is at least that of
    :func:`smallest_p`, often above it.

    Examples
    --------
    >>> attainable(np.array([1.0, 2, 3, 4, 5, 0]), ranks=True)
    0.0625
    >>> attainable(np.array([0.0, 0, 0, 5]), np.zeros(4), ranks=True)
    1.0
    """
    size, m, _ = _sizes(x, y, ranks)
    ordered = np.sort(size)
    ends = (float(size.sum()), 0.0) if m is None else (float(ordered[-m:].sum()), float(ordered[:m].sum()))
    return min(_p(size, m, end, ranks, seed) for end in ends)


def _sizes(x: NDArray, y: NDArray | None, ranks: bool) -> tuple[NDArray, int | None, float]:
    """Return what is summed (mid-ranks or values), the size of the first group, and its sum."""
    from scipy.stats import rankdata

    if y is None:
        d = x[x != 0]
        size = rankdata(np.abs(d)) if ranks else np.abs(d)
        return size, None, float(size[d > 0].sum())
    both = np.concatenate([x, y])
    size = rankdata(both) if ranks else both
    return size, len(x), float(size[: len(x)].sum())


def _p(size: NDArray, m: int | None, found: float, ranks: bool, seed: int) -> float:
    """Return the share of arrangements whose sum is as far from the middle as the one found."""
    if ranks and len(size) <= _RANKED:
        return _ranked(size, m, found)
    sums = _signs(size, seed) if m is None else _labels(size, m, seed)
    middle = size.sum() / 2 if m is None else size.mean() * m
    near = 1e-9 * max(float(np.abs(size).sum()), 1e-300)
    return int((np.abs(sums - middle) >= abs(found - middle) - near).sum()) / len(sums)


def _ranked(size: NDArray, m: int | None, found: float) -> float:
    """Return p from the distribution of a sum of mid-ranks: each counted or not, or ``m`` of them counted."""
    twice = np.rint(2 * size).astype(np.int64)
    total = int(twice.sum())
    ways = np.zeros((1 if m is None else m + 1, total + 1))
    ways[0, 0] = 1.0
    for rank in twice.tolist():
        moved = np.zeros_like(ways)
        moved[:, rank:] = ways[:, : total + 1 - rank]
        if m is None:
            ways = (ways + moved) / 2  # chances, so that they stay finite
        else:
            ways[1:] += moved[:-1]
    chance = ways[-1] / ways[-1].sum()
    middle = total / 2 if m is None else total * m / len(size)
    far = np.abs(np.arange(total + 1) - middle) >= abs(2 * found - middle) - 1e-6
    return min(float(chance[far].sum()), 1.0)


def _signs(size: NDArray, seed: int) -> NDArray:
    """Return the sum of the positive part for every arrangement of signs, or of 9,999 drawn and the largest."""
    k = len(size)
    if 2**k <= _LISTED:
        return ((np.arange(2**k)[:, None] >> np.arange(k)) & 1) @ size
    drawn = np.random.default_rng(seed).integers(0, 2, (_DRAWN, k)) @ size
    return np.append(drawn, size.sum())  # the 1 of (1 + hits) / (1 + draws)


@lru_cache(maxsize=8)
def _choices(k: int, m: int) -> NDArray[np.int64]:
    """Return every choice of ``m`` of ``k``, shape (n_choices, m)."""
    return np.array(list(combinations(range(k), m)), np.int64)


def _labels(size: NDArray, m: int, seed: int) -> NDArray:
    """Return the sum of the first group for every choice of ``m`` of all, or of 9,999 drawn and the largest."""
    if comb(len(size), m) <= _LISTED:
        return size[_choices(len(size), m)].sum(axis=1)
    order = np.argsort(np.random.default_rng(seed).random((_DRAWN, len(size))), axis=1)[:, :m]
    return np.append(size[order].sum(axis=1), np.sort(size)[-m:].sum())
