"""Times known only to lie between two visits: Turnbull's estimate of the survival curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cytof._check import at_least, has_columns, in_range
from cytof.clinical._columns import levels_of
from cytof.errors import InputError

__all__ = ["IntervalCensored", "innermost", "interval_censored", "self_consistent"]


@dataclass(frozen=True)
class IntervalCensored:
    """Turnbull's estimate by group.

    ``table``: ``group low high mass survival``, the mass of each interval and S after it; ``n_open``: not seen to end.
    """

    table: pd.DataFrame
    n: dict[object, int]
    n_open: dict[object, int]
    medians: pd.DataFrame
    warnings: tuple[str, ...] = ()

    def at(self, times: ArrayLike) -> pd.DataFrame:
        """Return ``group time survival_low survival_high``: S is known only outside the intervals that bear mass.

        Examples
        --------
        >>> table = pd.DataFrame({"last": [5.0, 5, 20], "next": [10.0, 10, np.nan]})
        >>> interval_censored(table, "last", "next", n_boot=0).at([7, 12])[
        ...     ["survival_low", "survival_high"]].round(3).values.tolist()
        [[0.333, 1.0], [0.333, 0.333]]
        """
        rows = []
        for group, part in self.table.groupby("group", sort=False):
            for t in np.atleast_1d(np.asarray(times, float)):
                surely = part.loc[part["high"] <= t, "mass"].sum()
                perhaps = part.loc[part["low"] < t, "mass"].sum()
                rows.append((group, t, max(1 - perhaps, 0.0), max(1 - surely, 0.0)))
        return pd.DataFrame(rows, columns=["group", "time", "survival_low", "survival_high"])

    def median(self) -> pd.DataFrame:
        """Return ``group n n_open low high ci_low ci_high``: the interval the median lies in, and its limits.

        ``high`` is infinite where the median lies beyond the last visit.
        """
        return self.medians

    def cite(self) -> str:
        """Return one sentence for the methods section."""
        return (f"Times known only to lie between two visits were estimated by Turnbull's method "
                f"({sum(self.n.values())} patients, {sum(self.n_open.values())} of them not ended).")  # fmt: skip


def interval_censored(
    table: pd.DataFrame, low: str, high: str, by: str | None = None, *, n_boot: int = 200, level: float = 0.95,
    random_state: int = 0,
) -> IntervalCensored:  # fmt: skip
    """Estimate the distribution of a time that is only known to lie between two visits.

    Parameters
    ----------
    table
        One row a patient.
    low
        Last time at which it had not yet happened (the last sample with the transgene).
    high
        First time at which it had (the first sample without it); missing or infinite: not seen to happen (right
        censored at ``low``). Equal to ``low``: known exactly.
    by
        Column with groups.
    n_boot
        Resamples of patients for the limits of the median (0: none).
    level, random_state
        Coverage of the limits; seed of the resamples.

    Raises
    ------
    UsageError
        A column is missing.
    InputError
        A time below 0, or a ``high`` before its ``low``, with the row and both values.

    Examples
    --------
    >>> table = pd.DataFrame({"last": [0.0, 30, 30, 60], "next": [30.0, 60, 90, np.nan]})
    >>> found = interval_censored(table, "last", "next", n_boot=0)
    >>> found.table[["low", "high", "mass"]].round(3).values.tolist()
    [[0.0, 30.0, 0.25], [30.0, 60.0, 0.375], [60.0, 90.0, 0.375]]

    Source: Turnbull 1976, J R Stat Soc B 38:290; Peto 1973, Appl Stat 22:86 (the intervals that bear mass).
    """
    where = "clinical.interval_censored"
    has_columns(table.columns, [low, high, *([by] if by else [])], where=where)
    in_range(level, 0.5, 0.9999, "level", where=where)
    at_least(n_boot, 0, "n_boot", where=where)
    known = table[table[low].notna() & (table[by].notna() if by else True)]
    lost = len(table) - len(known)
    if not len(known):
        raise InputError(f"no row has `{low}`", where=where)
    left, right = known[low].to_numpy(float), known[high].to_numpy(float)
    right = np.where(np.isnan(right), np.inf, right)
    for i in np.flatnonzero((left < 0) | (right < left))[:1]:
        raise InputError(f"row {known.index[i]}: `{low}` is {left[i]:g} and `{high}` is {right[i]:g}, expected "
                         "0 <= low <= high", where=where, hint="check the visits of this patient")  # fmt: skip
    groups = levels_of(known[by]) if by else ["all"]
    parts, medians, n, n_open = [], [], {}, {}
    rng = np.random.default_rng(random_state)
    for group in groups:
        mine = (known[by] == group).to_numpy() if by else np.ones(len(known), bool)
        a, b = left[mine], right[mine]
        lows, highs, mass = self_consistent(a, b)
        parts.append(pd.DataFrame({"group": group, "low": lows, "high": highs, "mass": mass,
                                   "survival": np.maximum(1 - np.cumsum(mass), 0)}))  # fmt: skip
        n[group], n_open[group] = len(a), int(np.isinf(b).sum())
        limits = _limits(a, b, n_boot, level, rng)
        medians.append((group, len(a), n_open[group], *_half(lows, highs, mass), *limits))
    names = ["group", "n", "n_open", "low", "high", "ci_low", "ci_high"]
    warned = (f"{lost} of {len(table)} rows left out: {low} missing",) if lost else ()
    return IntervalCensored(
        pd.concat(parts, ignore_index=True), n, n_open, pd.DataFrame(medians, columns=names), warned
    )


def innermost(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the intervals (low, high] that can bear mass: a left end followed at once by a right end.

    Examples
    --------
    >>> innermost(np.array([0.0, 2.0]), np.array([4.0, 6.0]))
    (array([2.]), array([4.]))
    """
    exact = low == high
    # (low, high] is open on the left: at one time right ends come before left ends, and an exact time's left before all
    time = np.r_[low, high]
    kind = np.r_[np.where(exact, 0, 2), np.where(exact, 1, 1)]
    order = np.lexsort((kind, time))
    is_left = np.r_[np.ones(len(low), bool), np.zeros(len(high), bool)][order]
    place = np.flatnonzero(is_left[:-1] & ~is_left[1:])
    return time[order][place], time[order][place + 1]


def self_consistent(
    low: ArrayLike, high: ArrayLike, *, tolerance: float = 1e-9, steps: int = 20_000
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return intervals and their mass: the maximum of the likelihood, by Turnbull's steps.

    Stops where no mass could raise the likelihood any more (Gentleman and Geyer's condition, to ``tolerance``).

    Parameters
    ----------
    low, high
        Shape (n,); the time lies in (low, high], or is known exactly where both are equal.
    tolerance, steps
        See above; steps at most.

    Examples
    --------
    >>> [v.tolist() for v in self_consistent([1, 2, 3], [1, 2, 3])][2]
    [0.3333333333333333, 0.3333333333333333, 0.3333333333333333]

    Source: Gentleman and Geyer 1994, Biometrika 81:618.
    """
    start, end, inside, counts = _pairs(np.asarray(low, float), np.asarray(high, float))
    return start, end, _masses(inside, counts[None, :] / counts.sum(), tolerance, steps)[0]


def _pairs(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the intervals that bear mass, which of them lie in each different (low, high], and how many have that."""
    pairs, counts = np.unique(np.c_[low, high], axis=0, return_counts=True)
    low, high = pairs[:, 0], pairs[:, 1]
    start, end = innermost(low, high)
    exact = (low == high)[:, None]
    inside = (start >= low[:, None]) & (end <= high[:, None])
    # an interval of one point (an exact time of somebody else) lies in (low, high] only beyond low
    inside &= exact | ~((start == end) & (start <= low[:, None]))
    return start, end, inside.astype(float), counts


def _masses(inside: NDArray, weights: NDArray, tolerance: float, steps: int) -> NDArray[np.float64]:
    """Return the masses (a row for each row of weights of the different intervals, which sum to 1)."""
    mass = np.full((len(weights), inside.shape[1]), 1 / inside.shape[1])
    for _ in range(steps):
        chance = mass @ inside.T
        share = np.divide(weights, chance, out=np.zeros_like(chance), where=weights > 0)
        gain = share @ inside  # 1 where mass is held, at most 1 elsewhere
        mass = mass * gain
        mass[mass < 1e-14] = 0.0
        if np.where(mass > 0, np.abs(gain - 1), gain - 1).max() < tolerance:
            break
    return mass / mass.sum(1, keepdims=True)


def _half(low: NDArray, high: NDArray, mass: NDArray) -> tuple[float, float]:
    here = int(np.searchsorted(np.cumsum(mass), 0.5 - 1e-9))
    here = min(here, len(mass) - 1)
    return float(low[here]), float(high[here])


def _limits(low: NDArray, high: NDArray, n_boot: int, level: float, rng: np.random.Generator) -> tuple[float, float]:
    if not n_boot:
        return float("nan"), float("nan")
    start, end, inside, counts = _pairs(low, high)  # holds an interval of mass of every resample
    weights = rng.multinomial(len(low), counts / len(low), n_boot) / len(low)
    found = [_half(start, end, mass) for mass in _masses(inside, weights, 1e-3, 300)]
    ends = np.sort(np.array(found), axis=0)
    cut = int(np.floor(n_boot * (1 - level) / 2))
    return float(ends[cut, 0]), float(ends[n_boot - 1 - cut, 1])
