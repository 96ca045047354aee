"""A cutpoint chosen by the data, with the p that pays for the choosing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cytof._check import in_range
from cytof.clinical._columns import survival
from cytof.clinical._result import Result
from cytof.errors import InputError

__all__ = ["Cutpoint", "best_cut", "cutpoint", "lausen_92", "lausen_94", "rank_scores"]


@dataclass(frozen=True)
class Cutpoint(Result):
    """The cut (groups: at most it, above it), the maximal statistic and its p; ``p`` is the permutation p.

    ``bound_lausen_94`` is the Bonferroni bound before it is cut at 1. There is no plain log-rank p on purpose: at the
    best of many cuts it is far too small.
    """

    cutpoint: float
    statistic: float
    p: float
    p_lausen_92: float
    p_lausen_94: float
    bound_lausen_94: float
    ci_low: float
    ci_high: float
    n_cuts: int
    n: int
    events: int
    method: str
    warnings: tuple[str, ...] = ()


def cutpoint(
    table: pd.DataFrame, time: str, event: str, variable: str, *, between: tuple[float, float] = (0.1, 0.9),
    n_permutations: int = 9999, n_bootstrap: int = 999, random_state: int = 0,
) -> Cutpoint:  # fmt: skip
    """Find the cut of a variable that separates survival best, and test it by the maximally selected statistic.

    Parameters
    ----------
    table, time, event
        As in :func:`kaplan_meier`.
    variable
        Column with numbers.
    between
        Shares of the patients between which cuts are tried.
    n_permutations
        For the permutation p (scores dealt anew); the observed one is counted.
    n_bootstrap
        For the percentile interval of the cutpoint.
    random_state
        Seed of both.

    Returns
    -------
    Cutpoint.

    Raises
    ------
    InputError
        No two different values between the shares.

    Examples
    --------
    >>> table = pd.DataFrame({"t": range(1, 21), "e": 1, "dose": range(1, 21)})
    >>> found = cutpoint(table, "t", "e", "dose", n_permutations=199, n_bootstrap=99)
    >>> found.cutpoint, found.p
    (15.0, 0.005)

    Source: Lausen and Schumacher 1992, Biometrics 48:73; 1994: Lausen, Sauerbrei and Schumacher; Hothorn and Lausen
    2003.
    """
    where = "clinical.cutpoint"
    in_range(between[0], 0, between[1], "between", where=where)
    of = survival(table, time, event, also=[variable], where=where)
    x = pd.to_numeric(table[variable].iloc[of.rows], errors="coerce").to_numpy(float)
    if np.isnan(x).any():
        raise InputError(f"`{variable}` is not numeric in {int(np.isnan(x).sum())} rows", where=where)
    scores, n = rank_scores(of.time, of.event), len(x)
    found, statistic, sizes = best_cut(x, scores, between)
    rng = np.random.default_rng(random_state)
    ordered = np.sort(x)
    hits = 0
    for start in range(0, n_permutations, 500):
        draws = rng.permuted(np.tile(scores, (min(500, n_permutations - start), 1)), axis=1)
        hits += int((_statistics(draws, sizes).max(1) >= statistic * (1 - 1e-12)).sum())
    cuts = []
    for _ in range(n_bootstrap):
        rows = rng.integers(0, n, n)
        if len(np.unique(x[rows])) > 1 and of.event[rows].any():
            try:
                cuts.append(best_cut(x[rows], rank_scores(of.time[rows], of.event[rows]), between)[0])
            except InputError:
                continue
    low, high = np.percentile(cuts, [2.5, 97.5]) if cuts else (np.nan, np.nan)
    bound = lausen_94(statistic, n, sizes)
    return Cutpoint(
        float(found), float(statistic), (hits + 1) / (n_permutations + 1), lausen_92(statistic, *between),
        min(bound, 1.0), bound, float(low), float(high), len(sizes), n, int(of.event.sum()),
        f"maximally selected log-rank statistic over {len(sizes)} cuts of {ordered[0]:g} to {ordered[-1]:g}; p by "
        f"{n_permutations} permutations, interval of the cut by bootstrap, seed {random_state}", of.warnings,
    )  # fmt: skip


def rank_scores(time: NDArray, event: NDArray) -> NDArray[np.float64]:
    """Return log-rank scores as R's ``maxstat``: tied times share the last rank.

    Examples
    --------
    >>> rank_scores(np.array([1.0, 2.0, 3.0]), np.array([True, False, True])).round(3).tolist()
    [0.667, -0.333, -0.333]
    """
    order, rank = np.argsort(time, kind="stable"), stats.rankdata(time, "max").astype(int)
    step = event / (len(time) - rank + 1)
    return event - np.cumsum(step[order])[rank - 1]


def best_cut(x: NDArray, scores: NDArray, between: tuple[float, float]) -> tuple[float, float, NDArray[np.int64]]:
    """Return the best cut, its standardised statistic, and the sizes of the lower group that were tried."""
    order, n = np.argsort(x, kind="stable"), len(x)
    ordered = x[order]
    sizes = np.flatnonzero(np.r_[True, np.diff(ordered) > 0])
    sizes = sizes[(sizes >= max(1, np.floor(n * between[0]))) & (sizes <= np.floor(n * between[1]))]
    if not len(sizes):
        raise InputError(f"no two different values between the shares {between[0]:g} and {between[1]:g}",
                         where="clinical.cutpoint")  # fmt: skip
    of = _statistics(scores[order][None, :], sizes)[0]
    best = int(np.flatnonzero(of == of.max())[0])
    return float(ordered[sizes[best] - 1]), float(of[best]), sizes


def _statistics(scores: NDArray, sizes: NDArray) -> NDArray[np.float64]:
    """Return |sum - mean| / sd of the first ``sizes`` scores of each row, (rows, sizes)."""
    n, total, squares = scores.shape[1], scores[0].sum(), (scores[0] ** 2).sum()
    var = sizes * (n - sizes) / (n**2 * (n - 1)) * (n * squares - total**2)
    if not (var > 0).all():
        return np.zeros((len(scores), len(sizes)))
    return np.abs(np.cumsum(scores, axis=1)[:, sizes - 1] - sizes / n * total) / np.sqrt(var)


def lausen_92(b: float, low: float, high: float) -> float:
    """Return the asymptotic p of a maximum ``b`` over cuts between the shares ``low`` and ``high``.

    Examples
    --------
    >>> round(lausen_92(3.0, 0.1, 0.9), 4)
    0.0578
    """
    if b < 1:
        return 1.0
    d = stats.norm.pdf(b)
    return float(min(max(4 * d / b + d * (b - 1 / b) * np.log(high * (1 - low) / ((1 - high) * low)), 0), 1))


def lausen_94(b: float, n: int, sizes: NDArray) -> float:
    """Return the improved Bonferroni bound of the p of ``b`` over lower groups of these sizes; it can exceed 1.

    Examples
    --------
    >>> round(lausen_94(3.0, 20, np.arange(2, 19)), 4)
    0.0287
    """
    one, two = sizes[:-1], sizes[1:]
    t = np.sqrt(1 - one * (n - two) / ((n - one) * two))
    added = (np.exp(-(b**2) / 2) / np.pi * (t - (b**2 / 4 - 1) * t**3 / 6)).sum()
    return float(2 * stats.norm.sf(b) + added)
