"""Steadiness over time: flow rate and signal in windows over Time; clogs, bursts and jumps of the signal.

Source: Monaco et al. 2016, Bioinformatics 32:2473 (flowAI: rate and signal over time); Emmaneel et al. 2022, Cytometry
A 101:325 (PeacoQC: medians of windows, robust limits). Slow drift that a straight line follows is no fault here: bead
normalisation takes it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import in_range
from cytof.clean._clock import Clock, mass_channels, read_clock
from cytof.errors import Caution
from cytof.events import Events
from cytof.region import Boolean, Dimension, Rectangle, Region

__all__ = ["steady", "time_windows"]

_COLUMNS = ["sample_id", "segment", "start", "end", "n", "rate", "drift", "flag", "reason"]
_FEW = 1000  # events of a segment below which windows say nothing
_PER_WINDOW, _MOST, _LEAST = 500, 200, 10
_DRAWN = 1000  # events of a window whose signal is looked at
_BRIGHT = 5.0  # median counts of a channel that can show drift
_SURE = 5.0  # standard deviations beyond chance
_MANY = 0.2  # a larger share of flagged events is told
_SLOW = 1.5  # a larger change over the whole run is told


def time_windows(events: Events, *, rate: float = 1.6, drift: float = 1.25) -> pd.DataFrame:
    """Return flow rate and signal of windows over Time.

    Parameters
    ----------
    events
        One file; beads that :func:`find_beads` flagged are counted in the rate and left out of the signal.
    rate
        A window is a ``clog`` or a ``burst`` when its rate is lower or higher by this factor than the straight line
        (Theil-Sen) through the rates of its segment, and by 5 standard deviations of the count.
    drift
        ``signal low`` or ``signal high``: the signal differs by this factor from its straight line, and by 5 robust
        standard deviations of the windows.

    Returns
    -------
    DataFrame with the columns ``sample_id segment start end n rate drift flag reason``, one row a window ``start <=
    Time < end``: events, events a second, signal as a factor of the segment's own (1: the median window; the change
    that all channels share, from the medians of those with five counts or more), and why it is flagged: ``clog``,
    ``burst``, ``signal low``, ``signal high``; ``gap`` (no event) and ``few events`` flag nothing. Windows have equal
    length: 10 to 200 a segment, 500 events each. No rows without Time.

    Raises
    ------
    UsageError
        A factor is not between 1.05 and 100.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> time = np.sort(np.r_[rng.uniform(0, 1e5, 20_000), rng.uniform(3e4, 3.5e4, 4000)]).astype(np.float32)
    >>> e = Events(time[:, None], pd.DataFrame({"role": ["time"]}, index=["Time"]), {}, "s1")
    >>> found = time_windows(e)
    >>> found.reason[found.flag].unique().tolist(), bool(found.start[found.flag].between(27e3, 35e3).all())
    (['burst'], True)
    """
    in_range(rate, 1.05, 100, "rate")
    in_range(drift, 1.05, 100, "drift")
    clock = read_clock(events)
    return _table(events, clock, rate, drift) if clock else pd.DataFrame(columns=_COLUMNS)


def steady(events: Events, *, rate: float = 1.6, drift: float = 1.25) -> Events:
    """Flag the events of windows in which the instrument did not run steadily.

    Parameters
    ----------
    events
        One file, after :func:`find_beads` and, where it is used, :func:`normalize_beads`.
    rate, drift
        Factors, see :func:`time_windows`.

    Returns
    -------
    Events with ``flags["unsteady"]``, ``regions["unsteady"]`` (an interval on Time, or ``or`` over the intervals
    ``unsteady_1``, ``unsteady_2``, ...) and a step ``steady`` with the flagged windows. Joined files (Time starts
    again) are judged each on its own; their intervals on Time overlap, which a caution says. Without Time, or with
    fewer than 1,000 events, nothing is flagged and a caution says so.

    Raises
    ------
    UsageError
        A factor is not between 1.05 and 100.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> time = np.sort(np.r_[rng.uniform(0, 1e5, 20_000), rng.uniform(3e4, 3.5e4, 4000)]).astype(np.float32)
    >>> e = Events(time[:, None], pd.DataFrame({"role": ["time"]}, index=["Time"]), {}, "s1")
    >>> found = steady(e)
    >>> bool(found.flags["unsteady"][time < 29_000].any()), bool(found.flags["unsteady"].sum() > 4000)
    (False, True)
    """
    in_range(rate, 1.05, 100, "rate")
    in_range(drift, 1.05, 100, "drift")
    where = f"{events.sample_id}:steady"
    clock = read_clock(events)
    if clock is None:
        found = "no events" if not len(events) else "no Time channel, or every Time the same"
        caution = Caution(where, found, "steadiness was not looked at")
        return events.replace(warnings=(*events.warnings, caution))
    table = _table(events, clock, rate, drift)
    bad = table[table["flag"]]
    spans = _spans(bad)
    flag = np.zeros(len(events), bool)
    for span in spans:
        flag |= (clock.segment == span.segment) & (clock.time >= span.start) & (clock.time < span.end)
    regions = _regions(clock, spans)
    cautions = clock.cautions(events) + _cautions(where, table, clock, spans, flag)
    step = {
        "step": "steady",
        "params": {
            "rate": rate, "drift": drift, "segments": clock.n, "windows": len(table),
            "flagged": [{"segment": int(w.segment), "start": float(w.start), "end": float(w.end), "reason": w.reason}
                        for w in bad.itertuples()],
        },
        "counts": {"unsteady": int(flag.sum()), "windows_flagged": len(bad)},
    }  # fmt: skip
    return events.replace(
        flags=events.flags.assign(unsteady=flag),
        regions={**events.regions, **regions},
        steps=(*events.steps, step),
        warnings=(*events.warnings, *cautions),
    )


@dataclass(frozen=True)
class _Span:
    segment: int
    start: float
    end: float


def _spans(bad: pd.DataFrame) -> list[_Span]:
    """Return the flagged windows, neighbours joined."""
    spans: list[_Span] = []
    for window in bad.itertuples():
        last = spans[-1] if spans else None
        if last and last.segment == window.segment and last.end == window.start:
            spans[-1] = _Span(last.segment, last.start, float(window.end))
        else:
            spans.append(_Span(int(window.segment), float(window.start), float(window.end)))
    return spans


def _regions(clock: Clock, spans: list[_Span]) -> dict[str, Region]:
    dims = (Dimension(clock.channel),)
    if len(spans) < 2:  # no span: an interval without width, which holds no event
        last = float(np.nanmax(clock.time)) + 1
        start, end = (spans[0].start, spans[0].end) if spans else (last, last)
        return {"unsteady": Rectangle(dims, (start,), (end,))}
    parts = {f"unsteady_{k}": Rectangle(dims, (s.start,), (s.end,)) for k, s in enumerate(spans, 1)}
    return {**parts, "unsteady": Boolean("or", tuple(parts))}


def _table(events: Events, clock: Clock, rate: float, drift: float) -> pd.DataFrame:
    bead = events.flags["bead"].to_numpy(bool) if "bead" in events.flags else np.zeros(len(events), bool)
    parts = []
    for k in range(clock.n):
        rows = np.flatnonzero(clock.segment == k)
        time = clock.time[rows]
        if (np.diff(time) < 0).any():
            order = np.lexsort((events.rows[rows], time))
            rows, time = rows[order], time[order]
        parts.append(_segment(events, clock, rows, bead, (rate, drift)).assign(segment=k))
    return pd.concat(parts, ignore_index=True).assign(sample_id=events.sample_id)[_COLUMNS]


def _segment(
    events: Events, clock: Clock, rows: NDArray[np.int64], bead: NDArray[np.bool_], factors: tuple[float, float]
) -> pd.DataFrame:
    """Return the windows of one segment; ``rows`` in order of Time."""
    time = clock.time[rows]
    count = int(np.clip(len(rows) // _PER_WINDOW, _LEAST, _MOST)) if len(rows) >= _FEW else 1
    last = float(np.nextafter(np.float32(time[-1]), np.float32(np.inf)))
    edges = np.linspace(time[0], last, count + 1)
    edges[-1] = last
    ends = np.searchsorted(time, edges)
    n = np.diff(ends)
    width = np.diff(edges) * clock.seconds
    table = pd.DataFrame({"start": edges[:-1], "end": edges[1:], "n": n, "rate": n / width, "drift": np.nan})
    if len(rows) < _FEW:
        return table.assign(flag=False, reason="few events")
    reason = np.where(n == 0, "gap", "").astype(object)
    level, noise = _signal(events, rows, ends, bead)
    if len(level):
        table["drift"] = np.exp(level - np.nanmedian(level))
        away = level - _line(level)
        limit = max(np.log(factors[1]), _SURE * noise)
        reason[away < -limit] = "signal low"
        reason[away > limit] = "signal high"
    expected = np.maximum(_line(np.where(n > 0, n, np.nan)), 1.0)
    away, chance = n - expected, _SURE * np.sqrt(expected)
    reason[(n > 0) & (n * factors[0] < expected) & (-away > chance)] = "clog"
    reason[(n > expected * factors[0]) & (away > chance)] = "burst"
    return table.assign(flag=~np.isin(reason, ["", "gap"]), reason=reason)


def _signal(
    events: Events, rows: NDArray[np.int64], ends: NDArray[np.int64], bead: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float]:
    """Return the log signal of each window that all channels share, and its noise from one window to the next."""
    places = np.array([events.channels.index.get_loc(c) for c in mass_channels(events)], np.intp)
    chosen = []
    for a, b in zip(ends[:-1], ends[1:], strict=True):
        here = rows[a:b]
        here = here[~bead[here]]
        chosen.append(here[:: max(1, len(here) // _DRAWN)])
    if not len(places) or not sum(map(len, chosen)):
        return np.empty(0), 0.0
    sparse = np.concatenate(chosen)
    sparse = sparse[:: max(1, len(sparse) // 20_000)]
    bright = places[_medians(events.X[np.ix_(sparse, places)]) >= _BRIGHT]
    if not len(bright):
        return np.empty(0), 0.0
    medians = np.full((len(chosen), len(bright)), np.nan)
    for w, here in enumerate(chosen):
        if len(here):
            medians[w] = _medians(events.X[np.ix_(here, bright)])
    logs = np.log1p(np.maximum(medians, 0))
    level = np.full(len(logs), np.nan)
    full = np.isfinite(logs).all(axis=1)
    level[full] = np.median(logs[full] - np.median(logs[full], axis=0), axis=1)
    steps = np.abs(np.diff(level[full]))
    return level, float(np.median(steps)) * 1.4826 / np.sqrt(2) if len(steps) else 0.0


def _medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the medians of the columns, NaN left out; 0 for a column without a number."""
    if np.isfinite(values).all():
        return np.median(values, axis=0)
    values[:, ~np.isfinite(values).any(axis=0)] = 0
    return np.nanmedian(values, axis=0)


def _line(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Theil-Sen line through values at even places, NaN left out."""
    place = np.flatnonzero(np.isfinite(values))
    if len(place) < 2:
        return np.full(len(values), values[place[0]] if len(place) else 0.0)
    i, j = np.triu_indices(len(place), 1)
    slope = np.median((values[place[j]] - values[place[i]]) / (place[j] - place[i]))
    return slope * np.arange(len(values)) + np.median(values[place] - slope * place)


def _cautions(
    where: str, table: pd.DataFrame, clock: Clock, spans: list[_Span], flag: NDArray[np.bool_]
) -> list[Caution]:
    found = []
    few = table[table["reason"] == "few events"]
    if len(few):
        what = f"{int(few['n'].sum()):,} events in {len(few)} of {clock.n} segments" if clock.n > 1 else (
            f"{int(few['n'].sum()):,} events")  # fmt: skip
        found.append(Caution(where, f"{what}, too few for windows of Time", "flagged none of them"))
    if flag.mean() > _MANY:
        reasons = ", ".join(sorted(table["reason"][table["flag"]].unique()))
        found.append(Caution(where, f"{flag.mean():.0%} of the events lie in unsteady windows ({reasons})",
                             "flagged them; look at rate and signal over time"))  # fmt: skip
    for k, part in table.groupby("segment"):
        drift = part["drift"].dropna().to_numpy()
        if len(drift) >= _LEAST:
            line = _line(np.log(drift))
            change = float(np.exp(line[-1] - line[0]))
            if max(change, 1 / change) > _SLOW:
                of = f" of segment {int(k) + 1}" if clock.n > 1 else ""
                found.append(Caution(where, f"the signal changes {change:.2f} x over the run{of}",
                                     "flagged nothing for it; bead normalisation takes it out"))  # fmt: skip
    if clock.n > 1 and spans:
        found.append(Caution(where, "the intervals on Time hold events of more than one of the joined files",
                             "the flag is right, Gating-ML of these intervals flags too many"))  # fmt: skip
    return found
