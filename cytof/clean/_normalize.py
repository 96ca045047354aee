"""Bead normalisation: the signal of the beads over time is brought to one level, and all masses with it.

Source: Finck et al. 2013, Cytometry A 83:483 (running medians of beads, slopes through the origin, straight lines in
between). Finck's one slope for all masses cannot bring runs to one scale whose sensitivity differs with mass; so each
bead channel has a slope of its own by default, with straight lines over mass in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import at_least, in_range, one_of
from cytof.clean._bead_tables import LEAST, Reference, read_reference
from cytof.clean._beads import bead_kinds, find_beads
from cytof.clean._clock import Clock, mass_channels, read_clock
from cytof.clean._curve import Knots, apply_slopes, common_slope, running_medians, slopes_by_mass, window_for
from cytof.errors import Caution
from cytof.events import Events
from cytof.region import Rectangle

__all__ = ["normalize_beads"]

_DIM = 5.0  # counts: a bead channel with less has no slope of its own
_WILD = 20.0  # a slope beyond this, or its inverse, is refused
_DIGITS = 6
_GAP = 0.25  # of a run without a bead: told


def normalize_beads(
    events: Events,
    *,
    norm_to: Reference = "median",
    window: int | None = None,
    slopes: str = "mass",
    holdout: float = 0.0,
    random_state: int = 0,
) -> Events:
    """Multiply all mass channels so that the beads have the same signal throughout, and the same as a reference.

    Parameters
    ----------
    events
        Counts of one file; beads are looked for if :func:`find_beads` has not been run.
    norm_to
        ``"median"``: the medians of this file's own beads. Else a reference that visits years apart share: a table of
        :func:`bead_reference`, the path of one as CSV, or counts by bead channel.
    window
        Single beads a running median is taken over, 20 or more. By default as many as make it sure to 1 %, between 200
        and 500 (Finck: 500).
    slopes
        ``"mass"``: a slope for each bead channel, straight lines of its logarithm over mass in between.
        ``"common"``: one slope for all masses (Finck 2013), least squares over the bead channels.
    holdout
        Share of single beads left out of the fit, 0 to 0.9; the record tells how far they are from the reference.
    random_state
        Seed of the beads held out.

    Returns
    -------
    Events with ``X`` multiplied (all channels with a mass), flag and region ``bead`` drawn again on the new counts, and
    a step ``normalize_beads`` with reference, curve and seed (see :func:`bead_traces`). With fewer than 50 single
    beads, or slopes beyond 20 x, the same counts with a caution.

    Raises
    ------
    UsageError
        An argument is out of its range, or the reference names none of the bead channels.
    InputError
        The reference table cannot be read.

    Examples
    --------
    >>> from cytof.clean import BEADS
    >>> rng = np.random.default_rng(0)
    >>> time = np.arange(4000.0)
    >>> X = np.c_[time, rng.lognormal(6, 0.1, (4000, 5)) * (1 - time / 8000)[:, None]].astype(np.float32)
    >>> channels = pd.DataFrame({"role": ["time"] + ["bead"] * 5}, index=["Time", *BEADS["dvs"]])
    >>> level = normalize_beads(Events(X, channels, {}, "s1")).X
    >>> first, last = np.median(level[:500, 1:], axis=0), np.median(level[-500:, 1:], axis=0)
    >>> bool((abs(first / last - 1) < 0.05).all())
    True
    """
    at_least(20 if window is None else window, 20, "window")
    in_range(holdout, 0, 0.9, "holdout")
    one_of(slopes, ("mass", "common"), "slopes")
    looked = "bead" in events.flags or f"{events.sample_id}:beads" in {w.where for w in events.warnings}
    events = events if looked else find_beads(events)
    region = events.regions.get("bead")
    where = f"{events.sample_id}:normalize_beads"
    if "bead" not in events.flags or not isinstance(region, Rectangle):
        return _told(events, [Caution(where, "no beads were looked for", "did not normalise")])
    channels = [d.channel for d in region.dims]
    fit, held = _split(events, channels, holdout, random_state)
    reference = read_reference(norm_to, channels, _signal(events, channels, fit), where)
    clock = read_clock(events)
    runs = _runs(events, fit, clock)
    window = window or min((window_for(_signal(events, channels, rows)) for rows in runs if len(rows)), default=20)
    knots = [_knots(events, rows, clock, channels, window) for rows in runs if len(rows)]
    fitted = [_slopes(k, channels, reference, slopes, events) for k in knots]
    if fault := _fault(runs, fitted):
        return _told(events, [Caution(where, fault, "did not normalise")])
    normal = events.replace(X=_multiplied(events, clock, knots, fitted, channels))
    after = [_knots(normal, rows, clock, channels, window) for rows in runs]
    step = {
        "step": "normalize_beads",
        "params": {
            "norm_to": "table" if isinstance(norm_to, pd.DataFrame | Mapping) else Path(norm_to).name,
            "slopes": slopes, "window": window, "holdout": holdout, "random_state": random_state,
            "channels": channels, "reference": {c: _rounded(r) for c, r in reference.items()},
            "curve": _curve(knots, fitted, after, channels),
        },
        "counts": {"single_beads": len(fit) + len(held), "fitted": len(fit), "held_out": len(held)},
    }  # fmt: skip
    step |= {"held_out": _held_out(normal, held, reference)} if len(held) else {}
    again = find_beads(normal.replace(steps=(), warnings=()), beads=channels)
    return _told(
        again.replace(steps=(*events.steps, step), warnings=events.warnings), _gaps(events, runs, clock, where)
    )


def _held_out(normal: Events, held: NDArray[np.int64], reference: dict[str, float]) -> dict[str, float]:
    """Return how far the medians of the beads held out are from the reference, as fractions of it."""
    return {c: _rounded(float(np.median(normal.column(c)[held])) / r - 1) for c, r in reference.items()}


def _fault(runs: list[NDArray[np.int64]], fitted: list[NDArray[np.float64]]) -> str:
    """Say why these slopes cannot be trusted; empty when they can."""
    fewest = min(map(len, runs))
    if fewest < LEAST:
        part = f" in one of {len(runs)} joined files" if len(runs) > 1 else ""
        return f"{fewest} single beads{part}, too few for a slope"
    highest = max(float(np.max(np.maximum(f, 1 / f))) if np.isfinite(f).all() else np.inf for f in fitted)
    return "" if highest <= _WILD else f"a slope of {highest:.3g} x"


def _told(events: Events, cautions: list[Caution]) -> Events:
    return events.replace(warnings=(*events.warnings, *cautions))


def _split(
    events: Events, channels: list[str], holdout: float, random_state: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the single beads to fit and those held out, drawn in the order of the file."""
    beads = np.flatnonzero(bead_kinds(events).to_numpy() == "bead")
    beads = beads[np.isfinite(_signal(events, channels, beads)).all(axis=1)]
    beads = beads[np.argsort(events.rows[beads], kind="stable")]
    out = np.zeros(len(beads), bool)
    out[np.random.default_rng(random_state).permutation(len(beads))[: int(holdout * len(beads))]] = True
    return beads[~out], beads[out]


def _runs(events: Events, fit: NDArray[np.int64], clock: Clock | None) -> list[NDArray[np.int64]]:
    """Return the beads of each segment in order of time."""
    if clock is None:
        return [fit]
    fit = fit[np.argsort(clock.time[fit], kind="stable")]
    return [fit[clock.segment[fit] == k] for k in range(clock.n)]


def _signal(events: Events, channels: list[str], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.stack([events.column(c)[rows] for c in channels], axis=1)


def _knots(events: Events, rows: NDArray[np.int64], clock: Clock | None, channels: list[str], window: int) -> Knots:
    if clock is None:
        return running_medians(np.zeros(len(rows)), _signal(events, channels, rows), len(rows) + 1)
    return running_medians(clock.time[rows], _signal(events, channels, rows), window)


def _slopes(
    knots: Knots, channels: list[str], reference: dict[str, float], slopes: str, events: Events
) -> NDArray[np.float64]:
    """Return what each bead channel is multiplied by at each knot, shape (n_knots, n_bead_channels), rounded."""
    known = [i for i, c in enumerate(channels) if c in reference]
    goal = np.array([reference[channels[i]] for i in known])
    signal = knots.signal[:, known]
    bright = (signal.min(axis=0) >= _DIM) & (goal >= _DIM)
    if slopes == "common" or bright.sum() < 2:
        found = np.repeat(common_slope(signal, goal)[:, None], len(channels), axis=1)
    else:
        masses = mass_channels(events)
        mass = np.array([masses[c] for c in channels])
        own = goal[bright] / signal[:, bright]
        found = slopes_by_mass(own, mass[known][bright], mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = np.power(10.0, _DIGITS - 1 - np.floor(np.log10(found)))
        return np.round(found * digits) / digits


def _multiplied(
    events: Events, clock: Clock | None, knots: list[Knots], fitted: list[NDArray], channels: list[str]
) -> NDArray[np.float32]:
    masses = mass_channels(events)
    places = np.array([events.channels.index.get_loc(c) for c in masses])
    bead_mass = np.array([masses[c] for c in channels])
    X = events.X.copy()
    for k, (knot, slope) in enumerate(zip(knots, fitted, strict=True)):
        curve = Knots(knot.time, knot.n, slopes_by_mass(slope, bead_mass, np.array(list(masses.values()))))
        rows = np.ones(len(X), bool) if clock is None or clock.n == 1 else clock.segment == k
        apply_slopes(X, places, np.zeros(len(X)) if clock is None else clock.time, rows, curve)
    return X


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _curve(
    knots: list[Knots], fitted: list[NDArray[np.float64]], after: list[Knots], channels: list[str]
) -> dict[str, Any]:
    """Return the curve as lists for the step record: what was applied, to the last digit."""

    def listed(arrays: list[NDArray]) -> list[float]:
        return [_rounded(float(v)) for a in arrays for v in a]

    return {
        "segment": [k for k, knot in enumerate(knots) for _ in knot.time],
        "time": [float(t) for knot in knots for t in knot.time],
        "n_beads": [int(n) for knot in knots for n in knot.n],
        "before": {c: listed([k.signal[:, i] for k in knots]) for i, c in enumerate(channels)},
        "after": {c: listed([k.signal[:, i] for k in after]) for i, c in enumerate(channels)},
        "slope": {c: listed([f[:, i] for f in fitted]) for i, c in enumerate(channels)},
    }


def _gaps(events: Events, runs: list[NDArray[np.int64]], clock: Clock | None, where: str) -> list[Caution]:
    """Tell of trouble with Time, and of a long time without a bead: the slope is straight there, or level at an end."""
    if clock is None:
        return [Caution(where, "no Time channel, or every Time the same", "took one slope for the whole file")]
    found = clock.cautions(events)
    for k, rows in enumerate(runs):
        time = clock.time[clock.segment == k]
        first, last = float(time.min()), float(time.max())
        places = np.r_[first, clock.time[rows], last]
        longest = int(np.argmax(np.diff(places)))
        share = (places[longest + 1] - places[longest]) / max(last - first, 1e-9)
        if share > _GAP:
            what = f"no bead for {share:.0%} of the run, from Time {places[longest]:g} to {places[longest + 1]:g}"
            found.append(Caution(where, what, "drew the slope straight across"))
    return found
