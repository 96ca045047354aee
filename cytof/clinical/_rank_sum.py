"""The rank-sum test of two groups: exact also with ties, normal and t approximations, and which one was taken.

scipy's ``ranksums`` ignores ties and its exact ``mannwhitneyu`` refuses them; the distribution with ties is counted
here by the shift algorithm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cytof._check import one_of
from cytof.clinical._result import Test
from cytof.errors import InputError

__all__ = ["distribution", "rank_sum"]

METHODS = ("auto", "exact", "normal", "normal-cc", "t-cc")
_EXACT_BELOW = 50


def rank_sum(x: ArrayLike, y: ArrayLike, method: str = "auto") -> Test:
    """Compare two groups by the Wilcoxon rank-sum test; missing values are left out.

    Parameters
    ----------
    x, y
        Values of the groups.
    method
        ``auto`` (exact where both groups are smaller than 50, ties or not; else ``normal``), ``exact``, ``normal``
        (variance corrected for ties), ``normal-cc`` (with continuity correction: R's ``wilcox.test``), ``t-cc`` (the
        same against Student's t with n - 1 df: the t approximation of SAS, and the paper's).

    Returns
    -------
    Test: ``statistic`` is W of the first group (pairs in which it is larger, ties one half).

    Raises
    ------
    InputError
        A group without values.

    Examples
    --------
    >>> found = rank_sum([1, 2, 3], [4, 5, 6])
    >>> found.statistic, round(found.p, 3)
    (0.0, 0.1)

    Source: Wilcoxon 1945; ties: Streitberg and Roehmel 1986, Stat Softw Newsl 12:10.
    """
    one_of(method, METHODS, "method", where="clinical.rank_sum")
    one, two = (np.asarray(v, float)[~np.isnan(np.asarray(v, float))] for v in (x, y))
    if not len(one) or not len(two):
        raise InputError("a group has no values, expected at least one in each", where="clinical.rank_sum")
    m, n = len(one), len(two)
    ranks = stats.rankdata(np.r_[one, two])
    w = float(ranks[:m].sum() - m * (m + 1) / 2)
    auto = "exact" if max(m, n) < _EXACT_BELOW else "normal"
    method = auto if method == "auto" else method
    if np.ptp(ranks) == 0:
        return Test(w, 0, 1.0, "rank-sum test, all values equal", m + n, 0)
    if method == "exact":
        return Test(w, 0, _exact(ranks, m), "exact rank-sum test", m + n, 0)
    ties = np.unique(ranks, return_counts=True)[1]
    sigma = np.sqrt(m * n / 12 * (m + n + 1 - (ties**3 - ties).sum() / ((m + n) * (m + n - 1))))
    gap = w - m * n / 2
    z = (gap - (0.5 * np.sign(gap) if method.endswith("cc") else 0.0)) / sigma
    p = 2 * (stats.t.sf(abs(z), m + n - 1) if method == "t-cc" else stats.norm.sf(abs(z)))
    name = {"normal": "normal approximation", "normal-cc": "normal approximation, continuity correction",
            "t-cc": "t approximation, continuity correction"}[method]  # fmt: skip
    return Test(w, 0, float(min(p, 1)), f"rank-sum test, {name}", m + n, 0)


def _exact(ranks: NDArray, m: int) -> float:
    """Return the two-sided exact p: the share of all choices of m ranks at least as far from the mean sum."""
    share, own, mean = distribution(ranks, m)
    far = np.abs(np.arange(len(share)) - mean) >= abs(own - mean) - 1e-9
    return float(min(share[far].sum(), 1.0))


def distribution(ranks: NDArray, m: int) -> tuple[NDArray, float, float]:
    """Return the share of all choices of m ranks by their sum, the sum of the first m, and the mean sum.

    Sums are of doubled ranks less the smallest (whole numbers also with ties): entry k of the share is of sum k.

    Examples
    --------
    >>> share, own, mean = distribution(np.array([1.0, 2, 3]), 1)
    >>> share.round(3).tolist(), own, mean
    ([0.333, 0.0, 0.333, 0.0, 0.333], 0.0, 2.0)
    """
    doubled = np.rint(2 * ranks).astype(np.int64)
    base = doubled - doubled.min()
    ways = np.zeros((m + 1, int(np.sort(base)[::-1][:m].sum()) + 1))
    ways[0, 0] = 1.0
    for k, r in enumerate(base, 1):
        for j in range(min(k, m), 0, -1):
            ways[j, r:] += ways[j - 1, : ways.shape[1] - r]
    return ways[m] / ways[m].sum(), float(base[:m].sum()), float(m * base.mean())
