"""Time of each event: its channel, files that were joined (Time starts again), events out of order."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import Caution
from cytof.events import Events

__all__ = ["Clock", "mass_channels", "read_clock"]

_MASS = re.compile(r"^\(?(?:[A-Z][a-z]?|BCKG|\d{2,3})\)?(\d{2,3})\)?(?:D[id])?$")
_LEAST = 50  # events of a segment; where half of them hold fewer, the file is out of order and not joined


@dataclass(frozen=True)
class Clock:
    """Time of every event.

    Attributes
    ----------
    channel
        Name of the Time channel.
    time
        float64, shape (n_events,), in the file's unit; NaN where the event has none.
    segment
        int32, shape (n_events,): 0, 1, ... for the files that were joined into this one; -1 where Time is NaN.
    n
        Number of segments.
    seconds
        Seconds a unit of Time (``$TIMESTEP``, else a millisecond, which is what Helios writes).
    told
        (found, done) pairs worth a caution.
    """

    channel: str
    time: NDArray[np.float64]
    segment: NDArray[np.int32]
    n: int
    seconds: float
    told: tuple[tuple[str, str], ...] = ()

    def cautions(self, events: Events) -> list[Caution]:
        """Return what was told as cautions, but for those that the events carry already."""
        found = [Caution(f"{events.sample_id}:{self.channel}", *told) for told in self.told]
        return [c for c in found if c not in events.warnings]


def read_clock(events: Events) -> Clock | None:
    """Return the clock of a file; None without a Time channel or without two different times.

    Events are taken in the order of the file (``events.rows``), whatever order they stand in now. A step back to less
    than half of what the segment has run starts a new segment, unless half of the segments would then hold fewer than
    50 events: such a file was shuffled, and its events are put in order of Time.

    Examples
    --------
    >>> time = np.r_[np.arange(100), np.arange(80)].astype(np.float32)
    >>> e = Events(time[:, None], pd.DataFrame({"role": ["time"]}, index=["Time"]), {}, "s1")
    >>> clock = read_clock(e)
    >>> clock.n, int(clock.segment[100]), clock.told[0][0]
    (2, 1, 'Time starts again after event 100')
    """
    named = events.with_role("time") if "role" in events.channels else []
    channel = next((c for c in [*named, "Time", "time"] if c in events.channels.index), None)
    if channel is None or not len(events):
        return None
    time = events.column(channel).astype(np.float64)
    time[~np.isfinite(time)] = np.nan
    known = np.isfinite(time)
    if not known.any() or np.nanmin(time) == np.nanmax(time):
        return None
    rows = np.flatnonzero(known)
    if (np.diff(events.rows[rows]) < 0).any():
        rows = rows[np.argsort(events.rows[rows], kind="stable")]
    starts, told = _starts(time[rows], events.rows[rows])
    if not known.all():
        told.append((f"{int((~known).sum()):,} events without a Time", "left them as they are"))
    segment = np.full(len(time), -1, np.int32)
    segment[rows] = np.cumsum(np.isin(np.arange(len(rows)), starts)) if len(starts) else 0
    return Clock(channel, time, segment, len(starts) + 1, _seconds(events), tuple(told))


def _starts(time: NDArray[np.float64], rows: NDArray[np.int64]) -> tuple[list[int], list[tuple[str, str]]]:
    """Return the places at which a new segment starts."""
    back = np.flatnonzero(np.diff(time) < 0)
    if not len(back):
        return [], []
    starts: list[int] = []
    first = 0
    for i in back:
        if time[i + 1] < time[first] + 0.5 * (time[i] - time[first]):
            first = int(i + 1)
            starts.append(first)
    sizes = np.diff([0, *starts, len(time)])
    if not starts or np.median(sizes) < _LEAST or len(back) > 0.01 * len(time) + len(starts):
        return [], [(f"Time goes backwards at {len(back):,} of {len(time):,} events", "put them in order of Time")]
    places = ", ".join(f"{int(rows[s]):,}" for s in starts[:5]) + (", ..." if len(starts) > 5 else "")
    return starts, [
        (f"Time starts again after event {places}", f"took it for {len(starts) + 1} files, each with a time of its own")
    ]


def _seconds(events: Events) -> float:
    try:
        step = float(events.keywords.get("$TIMESTEP", "0.001"))
    except ValueError:
        return 0.001
    return step if step > 0 else 0.001


def mass_channels(events: Events) -> dict[str, int]:
    """Return channel -> mass of every mass channel, in the file's order, those without an antibody included.

    Examples
    --------
    >>> table = pd.DataFrame({"role": "none"}, index=["Time", "Nd142", "Ru96Di", "BCKG190", "Center"])
    >>> mass_channels(Events(np.zeros((1, 5), np.float32), table, {}, "s1"))
    {'Nd142': 142, 'Ru96Di': 96, 'BCKG190': 190}
    """
    known = events.channels["mass"] if "mass" in events.channels else pd.Series(np.nan, index=events.channels.index)
    found = {}
    for channel, mass in zip(events.channels.index, known, strict=True):
        if pd.notna(mass) and mass > 0:
            found[str(channel)] = int(mass)
        elif match := _MASS.match(str(channel)):
            found[str(channel)] = int(match[1])
    return found
