"""Log-rank tests of k groups: stratified, weighted, for trend, in pairs, and by permutation for small groups.

Own code, equal to R's ``survdiff`` (1e-9). statsmodels' ``survdiff`` agrees where it has the option; lifelines'
``peto`` weight is not R's ``rho = 1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cytof._check import at_least, one_of
from cytof.clinical._columns import Survival, survival
from cytof.clinical._curve import curve
from cytof.clinical._result import Test

__all__ = ["LogRank", "holm", "log_rank", "log_rank_pairs", "log_rank_scores", "observed_expected", "permuted"]

SMALL_GROUP, FEW_EVENTS = 10, 5


@dataclass(frozen=True)
class LogRank(Test):
    """A log-rank test; ``groups`` holds ``group n observed expected``."""

    groups: pd.DataFrame | None = None


def observed_expected(
    time: ArrayLike, event: ArrayLike, group: ArrayLike, n_groups: int, stratum: ArrayLike | None = None,
    rho: float = 0.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Return observed and expected events by group and the covariance of observed minus expected, (k,), (k,), (k, k).

    With weights ``S(t-)**rho`` (Harrington and Fleming): 0 is the log-rank test, 1 Peto and Peto's.

    Examples
    --------
    >>> o, e, v = observed_expected([1, 2, 3, 4], [1, 1, 1, 1], [0, 0, 1, 1], 2)
    >>> o.tolist(), e.round(3).tolist(), float(v[0, 0].round(3))
    ([2.0, 2.0], [0.833, 3.167], 0.472)

    Source: Harrington and Fleming 1982, Biometrika 69:553.
    """
    time, event, group = np.asarray(time, float), np.asarray(event, bool), np.asarray(group, np.intp)
    stratum = np.zeros(len(time), np.intp) if stratum is None else np.asarray(stratum, np.intp)
    observed, expected, var = np.zeros(n_groups), np.zeros(n_groups), np.zeros((n_groups, n_groups))
    for s in np.unique(stratum):
        rows = stratum == s
        t, d, g = time[rows], event[rows], group[rows]
        at = np.unique(t[d])
        if not len(at):
            continue
        risk = np.stack([(g == k).sum() - np.searchsorted(np.sort(t[g == k]), at, "left") for k in range(n_groups)])
        dead = np.stack([np.bincount(np.searchsorted(at, t[d & (g == k)]), minlength=len(at)) for k in range(n_groups)])
        n, d_all = risk.sum(0), dead.sum(0)
        c = curve(t, d)
        weight = np.r_[1.0, c.survival][np.searchsorted(c.time, at, "left")] ** rho
        observed += (weight * dead).sum(1)
        share = risk / n
        expected += (weight * share * d_all).sum(1)
        factor = weight**2 * d_all * (n - d_all) / np.maximum(n - 1, 1)
        var += np.diag((factor * share).sum(1)) - (factor * share) @ share.T
    return observed, expected, var


def log_rank(
    table: pd.DataFrame, time: str, event: str, by: str, strata: str | list[str] | None = None, *, rho: float = 0.0,
    method: str = "chi2", n_permutations: int = 9999, random_state: int = 0,
) -> LogRank:  # fmt: skip
    """Test whether groups have the same survival.

    Parameters
    ----------
    table, time, event, by
        As in :func:`kaplan_meier`.
    strata
        Column or columns; groups are compared within each stratum.
    rho
        Weight ``S(t-)**rho``; 0 log-rank, 1 Peto-Peto (early differences count more).
    method
        ``chi2`` (asymptotic), ``trend`` (one degree of freedom along the order of the groups: their numbers, or 1, 2,
        3 ...), ``permutation`` (of the group labels, within strata; for groups under 10 or fewer than 5 events).
    n_permutations, random_state
        Of the permutation test.

    Returns
    -------
    LogRank with ``statistic df p method n events warnings groups``; NaN where nothing can be estimated.

    Raises
    ------
    UsageError, InputError
        A column is missing or unreadable.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [1, 2, 3, 4, 5, 6], "e": [1, 1, 1, 1, 0, 1], "arm": list("aaabbb")})
    >>> found = log_rank(table, "t", "e", "arm")
    >>> round(found.statistic, 3), found.df, round(found.p, 4)
    (5.052, 1, 0.0246)

    Source: Mantel 1966; Peto and Peto 1972, J R Stat Soc A 135:185; trend: Tarone 1975, Biometrika 62:679.
    """
    one_of(method, ("chi2", "trend", "permutation"), "method", where="clinical.log_rank")
    of = survival(table, time, event, by=by, strata=strata, where="clinical.log_rank")
    if len(of.levels) < 2:
        nan, told = float("nan"), (*of.warnings, f"only the group {of.levels[0]!r}: not estimable")
        return LogRank(nan, 0, nan, "log-rank test", len(of.time), int(of.event.sum()), told)
    o, e, v = observed_expected(of.time, of.event, of.group, len(of.levels), of.stratum, rho)
    counts = np.bincount(of.group, minlength=len(of.levels))
    groups = pd.DataFrame({"group": list(of.levels), "n": counts, "observed": o, "expected": e})
    name = "log-rank test" if rho == 0 else f"Harrington-Fleming test, rho = {rho:g}"
    name += f" stratified by {strata if isinstance(strata, str) else ', '.join(strata)}" if strata else ""
    warned = (*of.warnings, *_small(groups))
    if method == "permutation":
        at_least(n_permutations, 99, "n_permutations", where="clinical.log_rank")
        statistic, p = permuted(of, n_permutations, random_state)
        return LogRank(statistic, len(of.levels) - 1, p, f"permutation {name}, {n_permutations} permutations, seed "
                       f"{random_state}", len(of.time), int(of.event.sum()), of.warnings, groups)  # fmt: skip
    statistic, df = _trend(o - e, v, of) if method == "trend" else _chi2(o - e, v, e)
    name = f"{name} for trend" if method == "trend" else name
    p = float(stats.chi2.sf(statistic, df)) if df else float("nan")
    return LogRank(statistic, df, p, name, len(of.time), int(of.event.sum()), warned, groups)


def _chi2(u: NDArray, var: NDArray, expected: NDArray) -> tuple[float, int]:
    """Return the quadratic form over groups with any expectation, and its degrees of freedom."""
    keep = np.flatnonzero(expected > 0)[1:]
    if not len(keep) or not var.any():
        return float("nan"), 0
    return float(u[keep] @ np.linalg.solve(var[np.ix_(keep, keep)], u[keep])), len(keep)


def _trend(u: NDArray, var: NDArray, of: Survival) -> tuple[float, int]:
    numeric = all(isinstance(level, int | float) for level in of.levels)
    scores = np.asarray(of.levels, float) if numeric else np.arange(1.0, len(of.levels) + 1)
    below = float(scores @ var @ scores)
    return (float((scores @ u) ** 2 / below), 1) if below > 0 else (float("nan"), 0)


def _small(groups: pd.DataFrame) -> list[str]:
    small = groups[(groups["n"] < SMALL_GROUP)]
    if len(small) or groups["observed"].sum() < FEW_EVENTS:
        named = ", ".join(f"{r.group} (n = {r.n})" for r in small.itertuples()) or "few events"
        return [f"small groups: {named}; the chi-squared p is approximate, method='permutation' is not"]
    return []


def log_rank_scores(time: ArrayLike, event: ArrayLike) -> NDArray[np.float64]:
    """Return the log-rank score of each patient: event minus the Nelson-Aalen hazard up to its time.

    Examples
    --------
    >>> log_rank_scores([1, 2, 3], [1, 0, 1]).round(3).tolist()
    [0.667, -0.333, -0.333]
    """
    time, event = np.asarray(time, float), np.asarray(event, bool)
    c = curve(time, event)
    hazard = np.cumsum(c.n_event / c.n_risk)
    return event - hazard[np.searchsorted(c.time, time)]


def permuted(of: Survival, n_permutations: int, random_state: int) -> tuple[float, float]:
    """Return the statistic (conditional chi-squared of the scores) and its permutation p, the observed one counted."""
    rng = np.random.default_rng(random_state)
    scores = np.empty(len(of.time))
    for s in np.unique(of.stratum):
        rows = of.stratum == s
        scores[rows] = log_rank_scores(of.time[rows], of.event[rows])
    k = len(of.levels)
    codes = np.tile(of.group, (n_permutations + 1, 1))
    for s in np.unique(of.stratum):
        rows = np.flatnonzero(of.stratum == s)
        codes[1:, rows] = rng.permuted(codes[1:, rows], axis=1)
    sums = np.stack([np.where(codes == g, scores, 0).sum(1) for g in range(k)], axis=1)
    expected, var = _conditional(of, scores, k)
    u = sums[:, :-1] - expected[:-1]
    if not var[:-1, :-1].any():
        return float("nan"), float("nan")
    inverse = np.linalg.pinv(var[:-1, :-1])
    found = np.einsum("ij,jk,ik->i", u, inverse, u)
    hits = (found[1:] >= found[0] * (1 - 1e-9)).sum()
    return float(found[0]), float((hits + 1) / (n_permutations + 1))


def _conditional(of: Survival, scores: NDArray, k: int) -> tuple[NDArray, NDArray]:
    """Return mean and covariance of the sums of scores over all permutations within strata."""
    mean, var = np.zeros(k), np.zeros((k, k))
    for s in np.unique(of.stratum):
        rows = of.stratum == s
        a, n = scores[rows], int(rows.sum())
        share = np.bincount(of.group[rows], minlength=k) / n
        mean += a.sum() * share
        if n > 1:
            var += ((a - a.mean()) ** 2).sum() * n / (n - 1) * (np.diag(share) - np.outer(share, share))
    return mean, var


def log_rank_pairs(table: pd.DataFrame, time: str, event: str, by: str, **options: Any) -> pd.DataFrame:
    """Test each pair of groups: ``group_1 group_2 statistic df p p_holm n events``, with Holm's adjusted p.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [1, 2, 3, 4, 5, 6], "e": 1, "arm": list("aabbcc")})
    >>> log_rank_pairs(table, "t", "e", "arm")["p_holm"].round(4).tolist()
    [0.2687, 0.2687, 0.2687]
    """
    from cytof.clinical._columns import levels_of

    rows = []
    for one, other in combinations(levels_of(table[by]), 2):
        part = table[table[by].isin([one, other])]
        found = log_rank(part, time, event, by, **options)
        rows.append((one, other, found.statistic, found.df, found.p, found.n, found.events))
    pairs = pd.DataFrame(rows, columns=["group_1", "group_2", "statistic", "df", "p", "n", "events"])
    pairs.insert(5, "p_holm", holm(pairs["p"]))
    return pairs


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return Holm's adjusted p values; NaN stays NaN and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]

    Source: Holm 1979, Scand J Stat 6:65.
    """
    p = np.asarray(p, float)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    out = np.full(p.shape, np.nan)
    out[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return out
