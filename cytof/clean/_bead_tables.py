"""Bead medians that runs share: made from runs, read from a table or a mapping; and the traces of a normalised run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns
from cytof.clean._beads import bead_kinds, find_beads
from cytof.clean._clock import mass_channels
from cytof.errors import InputError, UsageError
from cytof.events import Events
from cytof.region import Rectangle

__all__ = ["LEAST", "Reference", "bead_reference", "bead_traces", "read_reference"]

LEAST = 50
"""Single beads of a run below which it has no reference and no slope."""

Reference: TypeAlias = str | Path | pd.DataFrame | Mapping[str, float]
"""What ``norm_to`` may be."""


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
        if single.sum() < LEAST:
            continue
        channels = tuple(d.channel for d in region.dims)
        sets.setdefault(channels, run.sample_id)
        mass |= {c: m for c, m in mass_channels(run).items() if c in channels}
        medians.append(np.median(run.columns(channels)[single], axis=0).astype(np.float64))
        total += int(single.sum())
    if len(sets) != 1:
        found = "; ".join(f"{sample}: {', '.join(channels)}" for channels, sample in sets.items())
        raise InputError(
            f"found {found or f'no run with {LEAST} single beads'}, expected one bead set",
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


def read_reference(norm_to: Reference, channels: list[str], beads: NDArray[np.float32], where: str) -> dict[str, float]:
    """Return counts by bead channel, of those bead channels that the reference names.

    Parameters
    ----------
    norm_to
        ``"median"``, a table with the columns ``channel median``, the path of one, or counts by channel.
    channels
        The bead channels.
    beads
        Counts of the single beads, shape (n_beads, n_bead_channels), for ``"median"``.
    where
        Place for the error.

    Raises
    ------
    UsageError
        The reference names none of the bead channels.
    InputError
        The table cannot be read, or a value is not above 0.

    Examples
    --------
    >>> read_reference({"Ce140": 900, "Pr141": 1}, ["Ce140", "Lu175"], np.empty((0, 2), np.float32), "s1")
    {'Ce140': 900.0}
    """
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
