"""Cumulative incidence with competing events (Aalen-Johansen) and Gray's test.

Own code, equal to R's ``cmprsk`` (estimates, variance, test) and ``survfit`` (jackknife variance); lifelines jitters
ties at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cytof._check import has_columns, one_of
from cytof.clinical._columns import levels_of, same_times, survival
from cytof.clinical._gray import gray

__all__ = ["Incidence", "Steps", "cumulative_incidence", "incidence"]

CENSORED = ("0", "censored", "censor", "none", "false", "alive", "")
CONFS = ("log-log", "log", "plain")


@dataclass(frozen=True)
class Steps:
    """Cumulative incidence of one cause in one group at its observed times."""

    time: NDArray[np.float64]
    n_risk: NDArray[np.int64]
    n_event: NDArray[np.int64]
    value: NDArray[np.float64]
    se: NDArray[np.float64]


@dataclass(frozen=True)
class Incidence:
    """Curves by (group, cause); ``gray`` is a table ``cause statistic df p``, empty for one group."""

    curves: Mapping[tuple[Any, Any], Steps]
    gray: pd.DataFrame
    conf: str
    level: float
    warnings: tuple[str, ...] = ()
    method: str = "Aalen-Johansen cumulative incidence, competing events kept; groups by Gray's test"

    def cite(self) -> str:
        """Return one sentence for the methods section."""
        return f"{self.method}; {self.level:.0%} intervals on the {self.conf} scale."

    @property
    def table(self) -> pd.DataFrame:
        """Every step: ``group cause time n_at_risk n_events incidence se ci_low ci_high``."""
        parts = []
        for (group, cause), c in self.curves.items():
            low, high = _bounds(c.value, c.se, self.conf, self.level)
            parts.append(pd.DataFrame({
                "group": group, "cause": cause, "time": c.time, "n_at_risk": c.n_risk, "n_events": c.n_event,
                "incidence": c.value, "se": c.se, "ci_low": low, "ci_high": high,
            }))  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def at(self, times: float | Sequence[float], *, extend: bool = False) -> pd.DataFrame:
        """Return ``group cause time incidence se ci_low ci_high n_at_risk``; NaN beyond the last time of a group.

        Examples
        --------
        >>> table = pd.DataFrame({"t": [1, 2, 3, 4], "cause": [1, 2, 0, 1]})
        >>> cumulative_incidence(table, "t", "cause").at([2])["incidence"].tolist()
        [0.25, 0.25]
        """
        wanted, parts = np.atleast_1d(np.asarray(times, float)), []
        for (group, cause), c in self.curves.items():
            here = np.searchsorted(c.time, wanted, "right")
            value, se = np.r_[0.0, c.value][here], np.r_[0.0, c.se][here]
            if not extend:
                value, se = (np.where(wanted > c.time[-1], np.nan, v) for v in (value, se))
            low, high = _bounds(value, se, self.conf, self.level)
            risk = np.r_[c.n_risk, 0][np.searchsorted(c.time, wanted, "left")]
            parts.append(pd.DataFrame({"group": group, "cause": cause, "time": wanted, "incidence": value, "se": se,
                                       "ci_low": low, "ci_high": high, "n_at_risk": risk}))  # fmt: skip
        return pd.concat(parts, ignore_index=True)


def incidence(
    time: NDArray, code: NDArray, cause: int, *, variance: str = "aalen"
) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Return times, at risk, events of the cause, cumulative incidence and its standard error.

    Parameters
    ----------
    time, code
        Follow-up (n,) and 0 censored, 1, 2 ... the event.
    cause
        Code that is counted.
    variance
        ``aalen`` (as R's ``cmprsk``) or ``jackknife`` (infinitesimal, as R's ``survfit``).

    Examples
    --------
    >>> incidence(np.array([1.0, 2, 3, 4]), np.array([1, 2, 0, 1]), 1)[3].tolist()
    [0.25, 0.25, 0.25, 0.75]

    Source: Aalen and Johansen 1978; Marubini and Valsecchi 1995, section 10.3.
    """
    times, place = np.unique(time, return_inverse=True)
    risk = len(time) - np.searchsorted(np.sort(time), times, "left")
    own = np.bincount(place, code == cause, len(times))
    every = np.bincount(place, code > 0, len(times))
    right = np.cumprod(1 - every / risk)
    left = np.r_[1.0, right[:-1]]
    value = np.cumsum(left * own / risk)
    se = _jackknife(time, code, cause, times, risk, own, every, left) if variance == "jackknife" else np.sqrt(
        _aalen(risk, own, every - own, left, right, value))  # fmt: skip
    return times, risk, own.astype(np.int64), value, se


def _aalen(risk: NDArray, own: NDArray, other: NDArray, left: NDArray, right: NDArray, value: NDArray) -> NDArray:
    def part(deaths: NDArray) -> NDArray:
        tied = 1 - np.maximum(deaths - 1, 0) / np.maximum(risk - 1, 1)
        return left**2 * tied * deaths / risk**2

    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(right > 0, 1 / right, 0.0)
    a, b = part(own), part(np.where(right > 0, other, 0))
    ahead, behind = 1 + inverse * value, inverse * value
    v1 = np.cumsum(ahead**2 * a + behind**2 * b)
    v2 = np.cumsum(inverse * (ahead * a + behind * b))
    v3 = np.cumsum(inverse**2 * (a + b))
    found = v1 + value**2 * v3 - 2 * value * v2
    last = np.maximum.accumulate(np.where(own > 0, np.arange(len(own)), -1))  # changes only where the curve steps
    return np.where(last >= 0, np.maximum(found[last], 0), 0.0)


def _jackknife(
    time: NDArray, code: NDArray, cause: int, times: NDArray, risk: NDArray, own: NDArray, every: NDArray, left: NDArray
) -> NDArray:
    at_risk = time[:, None] >= times
    here = time[:, None] == times
    with np.errstate(divide="ignore", invalid="ignore"):
        log_step = -(here * (code > 0)[:, None] - at_risk * (every / risk)) / (risk - every)
    log_step = np.where(risk - every > 0, log_step, 0.0)
    d_left = left * np.c_[np.zeros(len(time)), np.cumsum(log_step, axis=1)[:, :-1]]
    d_hazard = (here * (code == cause)[:, None] - at_risk * (own / risk)) / risk
    return np.sqrt((np.cumsum(d_left * own / risk + left * d_hazard, axis=1) ** 2).sum(0))


def _bounds(value: NDArray, se: NDArray, conf: str, level: float) -> tuple[NDArray, NDArray]:
    z = stats.norm.ppf(0.5 + level / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        if conf == "plain":
            return np.maximum(value - z * se, 0), np.minimum(value + z * se, 1)
        known = np.where((value <= 0) | (value >= 1), np.nan, value)
        if conf == "log":
            return known * np.exp(-z * se / known), np.minimum(known * np.exp(z * se / known), 1)
        width = z * se / (known * np.log(known))
        return known ** np.exp(-width), known ** np.exp(width)


def cumulative_incidence(
    table: pd.DataFrame, time: str, event: str, by: str | None = None, *, conf: str = "log-log", level: float = 0.95,
    variance: str = "aalen",
) -> Incidence:  # fmt: skip
    """Estimate cumulative incidence of each cause while the others compete, and test groups with Gray's test.

    Parameters
    ----------
    table, time, by
        As in :func:`kaplan_meier`.
    event
        Column with 0 (or ``censored``) and a number or name for each cause; 1/True alone is a single cause.
    conf
        Scale of the intervals: ``log-log``, ``log`` (that of R's ``survfit``) or ``plain``.
    level
        Coverage.
    variance
        ``aalen`` (as ``cmprsk``) or ``jackknife`` (as ``survfit``).

    Returns
    -------
    Incidence: ``.at(times)``, ``.table``, ``.gray``.

    Raises
    ------
    UsageError, InputError
        A column is missing or unreadable.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [1, 2, 3, 4, 5, 6], "cause": ["PD", "death", "censored", "PD", "PD", "death"]})
    >>> cumulative_incidence(table, "t", "cause").at([4]).round(3)[["cause", "incidence"]]
       cause  incidence
    0     PD      0.389
    1  death      0.167

    Source: Aalen and Johansen 1978, Scand J Stat 5:141; Gray 1988, Ann Stat 16:1141.
    """
    where = "clinical.cumulative_incidence"
    one_of(conf, CONFS, "conf", where=where)
    one_of(variance, ("aalen", "jackknife"), "variance", where=where)
    has_columns(table.columns, [time, event, *([by] if by else [])], where=where)
    codes, causes = _causes(table[event])
    plain = table.assign(**{"_any": np.where(table[event].isna(), np.nan, codes > 0)})
    of = survival(plain, time, "_any", by=by, where=where)
    codes, times = codes[of.rows], same_times(of.time)
    curves = {}
    for k, cause in enumerate(causes, 1):
        for i, group in enumerate(of.levels):
            rows = of.group == i
            curves[group, cause] = Steps(*incidence(times[rows], codes[rows], k, variance=variance))
    rows_gray = []
    for k, cause in enumerate(causes, 1) if len(of.levels) > 1 else ():
        statistic, df = gray(times, codes, of.group, k, len(of.levels))
        rows_gray.append((cause, statistic, df, float(stats.chi2.sf(statistic, df)) if df else float("nan")))
    tests = pd.DataFrame(rows_gray, columns=["cause", "statistic", "df", "p"])
    warnings = tuple(w.replace("_any", event) for w in of.warnings)
    if not (codes > 0).any():
        warnings += ("nobody had an event: the incidence is 0 as far as anyone was followed",)
    return Incidence(curves, tests, conf, level, warnings)


def _causes(column: pd.Series) -> tuple[NDArray[np.int64], list[Any]]:
    """Return codes (0 censored or missing, 1, 2 ...) and the causes in order."""
    if column.dtype == bool:
        return column.to_numpy().astype(np.int64), [1]
    known = column.dropna()
    words = known.astype(str).str.strip().str.lower().str.removesuffix(".0")
    free = words.isin(CENSORED)
    causes = levels_of(known[~free] if not isinstance(column.dtype, pd.CategoricalDtype) else known[~free])
    if not causes:  # all censored: one cause that never came
        return np.zeros(len(column), np.int64), [1]
    if not isinstance(column.dtype, pd.CategoricalDtype) and not pd.api.types.is_numeric_dtype(column):
        causes = list(dict.fromkeys(known[~free]))
    place = {c: i for i, c in enumerate(causes, 1)}
    codes = np.zeros(len(column), np.int64)
    at = np.flatnonzero(column.notna().to_numpy())
    codes[at[~free.to_numpy()]] = [place[v] for v in known[~free]]
    return codes, causes
