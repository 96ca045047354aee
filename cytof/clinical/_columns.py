"""Columns of a table -> arrays of one analysis: times, events, groups; what was dropped or read otherwise is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from cytof._check import has_columns
from cytof.errors import InputError

__all__ = ["EVENT_WORDS", "Survival", "event_flags", "levels_of", "same_times", "survival"]

EVENT_WORDS = {
    "true": True, "yes": True, "y": True, "dead": True, "died": True, "death": True, "deceased": True, "event": True,
    "pd": True, "progression": True, "relapse": True,
    "false": False, "no": False, "n": False, "alive": False, "censored": False, "living": False, "none": False,
}  # fmt: skip
"""Words of an event column that are understood, lower case."""


@dataclass(frozen=True)
class Survival:
    """Arrays of one analysis, rows with anything missing left out.

    ``group`` holds codes into ``levels``; ``stratum`` codes of the strata (all 0 without); ``entry`` is -inf where
    nobody enters late; ``rows`` are the positions of the kept rows in the table; ``warnings`` are sentences.
    """

    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    entry: NDArray[np.float64]
    group: NDArray[np.intp]
    levels: tuple[Any, ...]
    stratum: NDArray[np.intp]
    rows: NDArray[np.intp]
    n_dropped: int
    warnings: tuple[str, ...]


def survival(
    table: pd.DataFrame, time: str, event: str, *, by: str | None = None, strata: str | Sequence[str] | None = None,
    entry: str | None = None, also: Sequence[str] = (), where: str,
) -> Survival:  # fmt: skip
    """Read the columns of an analysis; refuse what no survival time can be, drop what is missing and say so.

    Parameters
    ----------
    table
        One row a patient (or a patient and interval, with ``entry``).
    time, event, by, strata, entry
        Names of columns; ``entry`` is the time from which a row is at risk.
    also
        Further columns in which nothing may be missing (covariates).
    where
        Name of the function, for messages.

    Raises
    ------
    UsageError
        A column is missing.
    InputError
        A negative or unreadable time, an unknown event code, an entry not before its time, or no complete row.

    Examples
    --------
    >>> table = pd.DataFrame({"months": [3.0, 5.0, None], "dead": [1, 0, 1]})
    >>> found = survival(table, "months", "dead", where="example")
    >>> found.time.tolist(), found.event.tolist(), found.warnings
    ([3.0, 5.0], [True, False], ('1 of 3 rows left out: months missing',))
    """
    strata = [strata] if isinstance(strata, str) else list(strata or [])
    needed = [time, event, *filter(None, [by, entry]), *strata, *also]
    has_columns(table.columns, needed, where=where)
    if event.upper() == "CNSR":
        raise InputError(
            "`CNSR` is 1 for censored, expected a column that is 1 for the event; use 1 - CNSR", where=where
        )
    times = _numbers(table[time], where)
    entries = _numbers(table[entry], where) if entry else pd.Series(-np.inf, table.index)
    flags, told = event_flags(table[event], where=f"{where}:{event}")
    missing = pd.DataFrame({c: table[c].isna() for c in dict.fromkeys(needed)})
    keep = ~missing.any(axis=1).to_numpy()
    if not keep.any():
        raise InputError(f"no row has all of {', '.join(dict.fromkeys(needed))}", where=where)
    warned = list(told) + _dropped(missing)
    _refuse_times(table, times, entries, keep, time, where)
    zero = keep & (times.to_numpy() == 0) & flags
    if zero.any():
        warned.append(f"{int(zero.sum())} events at {time} 0; they count as events before anybody was followed")
    warned += _turned(times.to_numpy(float)[keep], flags[keep], f"{where}:{event}")
    part = table[keep]
    group, levels = _codes(part[by]) if by else (np.zeros(len(part), np.intp), ("all",))
    stratum = part.groupby(strata, observed=True).ngroup().to_numpy() if strata else np.zeros(len(part), np.intp)
    start = entries.to_numpy(float)[keep]
    both = same_times(np.r_[times.to_numpy(float)[keep], start])
    return Survival(
        both[: len(part)], flags[keep], both[len(part) :], group, levels, stratum, np.flatnonzero(keep),
        int((~keep).sum()), tuple(warned),
    )  # fmt: skip


def _numbers(column: pd.Series, where: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = column[numbers.isna() & column.notna()]
    if len(bad):
        raise InputError(
            f"found {bad.iloc[0]!r} in row {bad.index[0]}, expected a number", where=f"{where}:{column.name}"
        )
    if np.isinf(numbers.to_numpy(float)).any():
        raise InputError("found an infinite value, expected a number", where=f"{where}:{column.name}")
    return numbers


def _refuse_times(
    table: pd.DataFrame, times: pd.Series, entries: pd.Series, keep: NDArray[np.bool_], time: str, where: str
) -> None:
    negative = keep & (times.to_numpy() < 0)
    late = keep & (entries.to_numpy() >= times.to_numpy())
    for rows, said in ((negative, "below 0"), (late, "not after its entry")):
        if rows.any():
            named = ", ".join(f"row {table.index[i]}: {times.iloc[i]:g}" for i in np.flatnonzero(rows)[:5])
            raise InputError(
                f"{int(rows.sum())} times are {said} ({named}), expected time from the start to the event or the last "
                "visit", where=f"{where}:{time}", hint="check the dates of these patients",
            )  # fmt: skip


def _turned(time: NDArray, event: NDArray, where: str) -> list[str]:
    """Return a sentence where the event flag looks turned around: those with it were followed much longer."""
    if min(event.sum(), (~event).sum()) < 5:
        return []
    p = stats.mannwhitneyu(time[event], time[~event], alternative="greater").pvalue
    if p >= 1e-4:
        return []
    return [f"{where}: those with the event were followed longer (median {np.median(time[event]):g} against "
            f"{np.median(time[~event]):g}) and look like the censored: check that 1 is the event"]  # fmt: skip


def _dropped(missing: pd.DataFrame) -> list[str]:
    lost = missing.any(axis=1)
    if not lost.any():
        return []
    names = [c for c in missing if missing[c].any()]
    return [f"{int(lost.sum())} of {len(missing)} rows left out: {', '.join(names)} missing"]


def event_flags(column: pd.Series, *, where: str) -> tuple[NDArray[np.bool_], list[str]]:
    """Return event yes or no (missing: no) and what had to be interpreted; refuse codes that cannot be understood.

    0/1 and False/True are taken as they are; 1/2 as censored/event, as R's ``Surv`` does; words by ``EVENT_WORDS``.

    Examples
    --------
    >>> event_flags(pd.Series([1, 2, 2]), where="status")
    (array([False,  True,  True]), ['status: codes 1 and 2 are taken as 1 censored, 2 event (2 of 3 are events)'])
    """
    known = column.dropna()
    values = set(known.tolist())
    if values <= {0, 1}:
        return column.eq(1).fillna(False).to_numpy(bool), []
    if values == {1, 2}:
        flags = column.eq(2).to_numpy(bool)
        return flags, [f"{where}: codes 1 and 2 are taken as 1 censored, 2 event ({flags.sum()} of {len(known)} "
                       "are events)"]  # fmt: skip
    words = known.astype(str).str.strip().str.lower()
    if words.isin(EVENT_WORDS).all():
        read = words.map(EVENT_WORDS).reindex(column.index).eq(True).to_numpy(bool)
        as_event = sorted({str(v) for v, w in zip(known, words, strict=True) if EVENT_WORDS[w]})
        return read, [f"{where}: {', '.join(as_event) or 'nothing'} taken as the event ({read.sum()} of {len(known)})"]
    if words.isin(["0", "1"]).all():
        return words.reindex(column.index).eq("1").to_numpy(bool), []
    odd = sorted(values, key=str)[:6]
    raise InputError(
        f"found {', '.join(map(repr, odd))}, expected 1 for the event and 0 for censored (or True/False, Dead/Alive)",
        where=where,
    )


def levels_of(column: pd.Series) -> list[Any]:
    """Return the levels of a column: a categorical's own order (those present), else sorted; whole numbers as int.

    Examples
    --------
    >>> levels_of(pd.Series([2.0, 1.0, None])), levels_of(pd.Series(["b", "a"]))
    ([1, 2], ['a', 'b'])
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [c for c in column.cat.categories if (column == c).any()]
    found = column.dropna().unique().tolist()
    if all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in found):
        return [int(v) if float(v).is_integer() else float(v) for v in sorted(found)]
    return sorted(found, key=str)


def _codes(column: pd.Series) -> tuple[NDArray[np.intp], tuple[Any, ...]]:
    levels = levels_of(column)
    place = {level: i for i, level in enumerate(levels)}
    return np.array([place[v] for v in column], np.intp), tuple(levels)


def same_times(time: ArrayLike) -> NDArray[np.float64]:
    """Return times in which those equal but for rounding are the same number (as R's ``timefix``).

    Neighbours in order that differ by at most 1.49e-8, absolutely or relative to the mean, take the lower value: 0.1 +
    0.2 and 0.3 are one time, not two.

    Examples
    --------
    >>> len(set(same_times([0.1 + 0.2, 0.3]).tolist()))
    1
    """
    time = np.asarray(time, float)
    values, place = np.unique(time, return_inverse=True)
    finite = np.isfinite(values)
    if finite.sum() < 2:
        return time
    gap = np.diff(values)
    limit = np.sqrt(np.finfo(float).eps)
    scale = np.abs(values[finite]).mean()
    tied = (gap <= limit) | (gap <= limit * scale)
    first = np.r_[0, np.where(tied, 0, np.arange(1, len(values)))]
    return values[np.maximum.accumulate(first)][place]
