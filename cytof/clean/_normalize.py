"""Bead normalisation: the signal of the beads over time is brought to one level, and all masses with it.

Source: Finck et al. 2013, Cytometry A 83:483 (running medians of beads, slopes through the origin, straight lines in
between). Finck's one slope for all masses cannot bring runs to one scale whose sensitivity differs with mass; so each
bead channel has a slope of its own by default, with straight lines over mass in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import at_least, has_columns, in_range, one_of
from cytof.clean._beads import bead_kinds, find_beads
from cytof.clean._clock import Clock, mass_channels, read_clock
from cytof.clean._curve import Knots, apply_slopes, common_slope, running_medians, slopes_by_mass, window_for
from cytof.errors import Caution, InputError, UsageError
from cytof.events import Events
from cytof.region import Rectangle

__all__ = ["bead_reference", "bead_traces", "normalize_beads"]

_LEAST = 50  # single beads of a segment below which nothing is normalised
_DIM = 5.0  # counts: a bead channel with less has no slope of its own
_WILD = 20.0  # a slope beyond this, or its inverse, is refused
_DIGITS = 6
_GAP = 0.25  # of a run without a bead: told

Reference: TypeAlias = str | Path | pd.DataFrame | Mapping[str, float]


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
        Share of the single beads that is left out of the fit, 0 to 0.9; the record then tells how far their medians
        are from the reference.
    random_state
        Seed of the beads held out.

    Returns
    -------
    Events with ``X`` multiplied (all channels with a mass), flag and region ``bead`` drawn again on the new counts, and
    a step ``normalize_beads`` whose parameters hold reference, curve and seed (:func:`bead_traces` makes a table of
    it). With fewer than 50 single beads, or slopes beyond 20 x, the same counts with a caution.

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
    events = events if "bead" in events.flags else find_beads(events)
    region = events.regions.get("bead")
    where = f"{events.sample_id}:normalize_beads"
    if "bead" not in events.flags or not isinstance(region, Rectangle):
        return _told(events, [Caution(where, "no beads were looked for", "did not normalise")])
    channels = [d.channel for d in region.dims]
    beads = np.flatnonzero(bead_kinds(events).to_numpy() == "bead")
    fit, held = _split(beads, events, holdout, random_state)
    reference = _reference(norm_to, channels, _signal(events, channels, fit), where)
    clock = read_clock(events)
    cautions = [Caution(where, *t) for t in clock.told] if clock else [Caution(where, "no Time", "took one slope")]
    runs = _runs(events, fit, clock)
    few = [f"{len(rows)} single beads" + (f" in segment {k + 1} of {len(runs)}" if len(runs) > 1 else "")
           for k, rows in enumerate(runs) if len(rows) < _LEAST]  # fmt: skip
    if few:
        return _told(events, [*cautions, Caution(where, f"{few[0]}, too few for a slope", "did not normalise")])
    window = window or min(window_for(_signal(events, channels, rows)) for rows in runs)
    knots = [_knots(events, rows, clock, channels, window) for rows in runs]
    fitted = [_slopes(k, channels, reference, slopes, events) for k in knots]
    highest = max(float(np.max(np.maximum(f, 1 / f))) if np.isfinite(f).all() else np.inf for f in fitted)
    if not highest <= _WILD:
        return _told(events, [*cautions, Caution(where, f"a slope of {highest:.3g} x", "did not normalise")])
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
        "counts": {"single_beads": len(beads), "fitted": len(fit), "held_out": len(held)},
    }  # fmt: skip
    if len(held):
        middle = np.median(_signal(normal, channels, held), axis=0)
        step["held_out"] = {c: _rounded(float(m) / reference[c] - 1) for c, m in zip(channels, middle, strict=True)
                            if c in reference}  # fmt: skip
    again = find_beads(normal.replace(steps=(), warnings=()), beads=channels)
    cautions += _gaps(runs, clock, where)
    return again.replace(steps=(*events.steps, step), warnings=(*events.warnings, *cautions))


def bead_reference(runs: Iterable[Events]) -> pd.DataFrame:
    """Return the medians of single beads over several runs, each run counting once, as a reference for ``norm_to``.

    Parameters
    ----------
    runs
        Files with the same bead set, not normalised, each after :func:`find_beads` (it is run where it has not been).

    Returns
    -------
    DataFrame with the columns ``channel mass median n_runs n_beads``; write it with :func:`cytof.io.write_table`.

    Raises
    ------
    InputError
        No run has 50 single beads, or the runs have different bead sets.

    Examples
    --------
    >>> from cytof.clean import BEADS
    >>> X = np.full((100, 5), 600, np.float32)
    >>> channels = pd.DataFrame({"role": "bead"}, index=list(BEADS["dvs"]))
    >>> bead_reference([Events(X, channels, {}, "a"), Events(X / 2, channels, {}, "b")])["median"].tolist()
    [450.0, 450.0, 450.0, 450.0, 450.0]
    """
    medians: list[NDArray] = []
    sets: dict[tuple[str, ...], str] = {}
    mass: dict[str, int] = {}
    total = 0
    for run in runs:
        run = run if "bead" in run.flags else find_beads(run)
        region = run.regions.get("bead")
        if not isinstance(region, Rectangle):
            continue
        single = (bead_kinds(run) == "bead").to_numpy()
        if single.sum() < _LEAST:
            continue
        channels = tuple(d.channel for d in region.dims)
        sets.setdefault(channels, run.sample_id)
        mass |= {c: m for c, m in mass_channels(run).items() if c in channels}
        medians.append(np.median(run.columns(channels)[single], axis=0).astype(np.float64))
        total += int(single.sum())
    if len(sets) != 1:
        found = "; ".join(f"{sample}: {', '.join(channels)}" for channels, sample in sets.items())
        raise InputError(
            f"found {found or f'no run with {_LEAST} single beads'}, expected one bead set",
            where="bead_reference",
            hint="give the runs of one bead set",
        )
    channels = next(iter(sets))
    return pd.DataFrame(
        {
            "channel": channels,
            "mass": [mass.get(c, 0) for c in channels],
            "median": np.mean(medians, axis=0),
            "n_runs": len(medians),
            "n_beads": total,
        }
    )


def bead_traces(events: Events) -> pd.DataFrame:
    """Return the beads over time before and after normalisation, and the slopes, from the step record.

    Returns
    -------
    DataFrame with the columns ``sample_id segment time n_beads channel before after slope``, one row a place of the
    curve and bead channel: running medians in counts, and what the channel was multiplied by. Between the places the
    slope is a straight line; before the first and after the last it is level. No rows when nothing was normalised.

    Examples
    --------
    >>> bead_traces(Events(np.zeros((1, 1), np.float32), pd.DataFrame(index=["Time"]), {}, "s1")).columns.tolist()
    ['sample_id', 'segment', 'time', 'n_beads', 'channel', 'before', 'after', 'slope']
    """
    columns = ["sample_id", "segment", "time", "n_beads", "channel", "before", "after", "slope"]
    steps = [s for s in events.steps if s["step"] == "normalize_beads"]
    parts = []
    for channel in steps[-1]["params"]["channels"] if steps else []:
        curve: dict[str, Any] = steps[-1]["params"]["curve"]
        part = pd.DataFrame({k: curve[k] for k in ("segment", "time", "n_beads")})
        parts.append(part.assign(channel=channel, **{k: curve[k][channel] for k in ("before", "after", "slope")}))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    return table.assign(sample_id=events.sample_id)[columns]


def _told(events: Events, cautions: list[Caution]) -> Events:
    return events.replace(warnings=(*events.warnings, *cautions))


def _split(
    beads: NDArray[np.int64], events: Events, holdout: float, random_state: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the beads to fit and those held out, drawn in the order of the file."""
    beads = beads[np.argsort(events.rows[beads], kind="stable")]
    out = np.zeros(len(beads), bool)
    out[np.random.default_rng(random_state).permutation(len(beads))[: int(holdout * len(beads))]] = True
    return beads[~out], beads[out]


def _reference(norm_to: Reference, channels: list[str], beads: NDArray[np.float32], where: str) -> dict[str, float]:
    """Return counts by bead channel; those of the bead channels that the reference names."""
    if isinstance(norm_to, str) and norm_to == "median":
        return dict(zip(channels, np.median(beads, axis=0).astype(float), strict=True)) if len(beads) else {}
    if isinstance(norm_to, Mapping):
        table = {str(c): float(v) for c, v in norm_to.items()}
    else:
        frame = norm_to if isinstance(norm_to, pd.DataFrame) else _read(Path(norm_to))
        has_columns(frame.columns, ("channel", "median"), where="norm_to", error=InputError)
        numbers = pd.to_numeric(frame["median"], errors="coerce")
        table = dict(zip(frame["channel"].astype(str), numbers.astype(float), strict=True))
    bad = [c for c, v in table.items() if not (np.isfinite(v) and v > 0)]
    if bad:
        raise InputError(f"{bad[0]} is {table[bad[0]]:g}, expected counts above 0", where="norm_to")
    found = {c: table[c] for c in channels if c in table}
    if not found:
        raise UsageError(
            f"the reference names {', '.join(table) or 'no channel'}, the beads are on {', '.join(channels)}",
            where=where,
            hint="make one with clean.bead_reference from runs with these beads",
        )
    return found


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        hint = "write one with clean.bead_reference, or norm_to `median`"
        raise InputError("no table of bead medians can be read here", where=str(path), hint=hint) from error


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


def _gaps(runs: list[NDArray[np.int64]], clock: Clock | None, where: str) -> list[Caution]:
    """Tell of a long time without a bead: the slope there is a straight line, or level at an end."""
    found = []
    for k, rows in enumerate(runs) if clock is not None else ():
        time = clock.time[clock.segment == k]  # type: ignore[union-attr]
        first, last = float(time.min()), float(time.max())
        places = np.r_[first, clock.time[rows], last]  # type: ignore[union-attr]
        longest = int(np.argmax(np.diff(places)))
        share = (places[longest + 1] - places[longest]) / max(last - first, 1e-9)
        if share > _GAP:
            what = f"no bead for {share:.0%} of the run, from Time {places[longest]:g} to {places[longest + 1]:g}"
            found.append(Caution(where, what, "drew the slope straight across"))
    return found
