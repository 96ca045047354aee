"""Normalisation beads: events that are high in every bead channel, whether or not a cell clings to them.

Source: Finck et al. 2013, Cytometry A 83:483 (bead sets; beads are high in all bead channels, singlets low in DNA).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import density
from cytof._check import one_of
from cytof.clean._curve import smoothed
from cytof.errors import Caution, UsageError
from cytof.events import Events
from cytof.region import Dimension, Rectangle, mask
from cytof.scale import COFACTOR, to_counts

__all__ = ["BEADS", "bead_kinds", "find_beads"]

BEADS: dict[str, tuple[str, ...]] = {
    "dvs": ("Ce140", "Eu151", "Eu153", "Ho165", "Lu175"),
    "dvs2010": ("La139", "Pr141", "Tb159", "Tm169", "Lu175"),
    "eq6": ("Y89", "In115", "Ce140", "Tb159", "Lu175", "Bi209"),
}
"""Bead sets: EQ four element beads (Ce Eu Ho Lu; two europium isotopes), the older five elements, EQ six elements."""

_BOUNDS = (0.7, 5.0)  # where the threshold may lie, arcsinh(counts / 5): 4 to 371 counts
_ONE_COUNT = 0.2  # the least a bead channel may ask for
_SEEDS = 50
_HIGHEST = np.float32(1e9)  # counts; what is beyond, infinity included, counts as this
_MANY = 0.5  # a larger share of beads is told
_NO_CELL = 1.6  # where it is put when no valley stands out: 12 counts in every bead channel, which no cell has
_PAIR = float(np.log(1.5))  # two beads have twice the signal of one; the line is drawn half way (geometric: 1.4)
_CELL_DNA = 0.25  # of a cell's DNA: so much of it makes a bead a bead with a cell


def find_beads(events: Events, *, beads: str | Sequence[str] = "auto") -> Events:
    """Flag normalisation beads and bead-cell doublets.

    An event is flagged when all channels of the bead set are above a threshold: the valley of the lowest of the bead
    channels, event by event, or less in a channel in which the beads themselves are dim. Cells lack at least one of the
    elements, so that markers on europium do not matter. Without a valley (no or very few beads) it is 12 counts.

    Parameters
    ----------
    events
        Counts of one file.
    beads
        ``"auto"`` (the set of :data:`BEADS` whose channels are there and that flags most), the name of a set, or the
        bead channels.

    Returns
    -------
    Events with ``flags["bead"]``, ``regions["bead"]`` (the flagged region) and a step record with the counts ``bead``
    (all flagged), ``bead_bead`` and ``bead_cell`` (those of them that :func:`bead_kinds` tells apart). Without the
    channels, the same events with a caution.

    Raises
    ------
    UsageError
        ``beads`` names no known set.

    Examples
    --------
    >>> X = np.zeros((2000, 5), np.float32)
    >>> X[:100] = 800
    >>> channels = pd.DataFrame({"role": "bead"}, index=list(BEADS["dvs"]))
    >>> int(find_beads(Events(X, channels, {}, "s1")).flags["bead"].sum())
    100
    """
    sets = _candidates(beads)
    present = {name: chans for name, chans in sets.items() if all(c in events.channels.index for c in chans)}
    if not present or not len(events):
        missing = {n: [c for c in chans if c not in events.channels.index] for n, chans in sets.items()}
        what = "; ".join(f"{n}: {', '.join(m)}" for n, m in missing.items() if m)
        said = f"channels missing ({what})" if len(events) else "no events"
        caution = Caution(f"{events.sample_id}:beads", said, "beads were not looked for")
        return events.replace(warnings=(*events.warnings, caution))
    regions = {name: _region(events, chans) for name, chans in present.items()}
    masks = {name: mask(r, events.column) for name, r in regions.items()}
    chosen = max(present, key=lambda name: (int(masks[name].sum()), -list(present).index(name)))
    flag, region = masks[chosen], regions[chosen]
    found = events.replace(flags=events.flags.assign(bead=flag), regions={**events.regions, "bead": region})
    kinds = bead_kinds(found).value_counts()
    step = {
        "step": "find_beads",
        "params": {
            "beads": chosen,
            "channels": list(present[chosen]),
            "low_counts": [to_counts(low) for low in region.low],
        },
        "counts": {"bead": int(flag.sum()), "bead_bead": int(kinds["bead-bead"]), "bead_cell": int(kinds["bead-cell"])},
    }
    cautions = events.warnings
    if len(events) >= _SEEDS and flag.mean() > _MANY:
        what = f"{flag.mean():.0%} of the events are high in all of {', '.join(present[chosen])}"
        cautions = (*cautions, Caution(f"{events.sample_id}:beads", what, "flagged them as beads; is this a bead run?"))
    return found.replace(steps=(*events.steps, step), warnings=cautions)


def bead_kinds(events: Events) -> pd.Series:
    """Tell single beads from pairs of beads and from beads with a cell.

    A bead with a cell has a quarter of a cell's DNA or more in every DNA channel. A pair of beads has, over all bead
    channels, more than 1.5 times the signal of the beads before and after it (their running median, so that drift
    does not matter), and more than 3.5 robust standard deviations of the beads' own spread.

    Parameters
    ----------
    events
        After :func:`find_beads`.

    Returns
    -------
    Categorical series, one value an event: ``none bead bead-bead bead-cell``.

    Raises
    ------
    UsageError
        No beads were looked for.

    Examples
    --------
    >>> X = np.full((300, 5), 800, np.float32) * np.random.default_rng(0).lognormal(0, 0.1, (300, 1))
    >>> X[::50] *= 2
    >>> channels = pd.DataFrame({"role": "bead"}, index=list(BEADS["dvs"]))
    >>> bead_kinds(find_beads(Events(X.astype(np.float32), channels, {}, "s1"))).value_counts()["bead-bead"].item()
    6
    """
    region = events.regions.get("bead")
    if "bead" not in events.flags or not isinstance(region, Rectangle):
        raise UsageError("no beads were looked for", where=events.sample_id, hint="run clean.find_beads first")
    flag = events.flags["bead"].to_numpy(bool)
    code = flag.astype(np.int8)
    dna = [c for c in events.with_role("dna") or ("Ir191", "Ir193") if c in events.channels.index]
    places = np.flatnonzero(flag)
    places = places[np.argsort(events.rows[places], kind="stable")]
    signal = np.zeros(len(places))
    for dim in region.dims:
        signal += np.log1p(np.clip(events.column(dim.channel)[places], 0, _HIGHEST)) / len(region.dims)
    if len(places) >= _SEEDS:
        away = signal - smoothed(signal[:, None]).ravel()
        spread = float(np.median(np.abs(away))) * 1.4826
        code[places[away > max(_PAIR, 3.5 * spread)]] = 2
    if dna and len(places):
        code[flag & _has_dna(events, dna, flag)] = 3
    return pd.Series(pd.Categorical.from_codes(code, ["none", "bead", "bead-bead", "bead-cell"]), name="bead_kind")


def _candidates(beads: str | Sequence[str]) -> dict[str, tuple[str, ...]]:
    if isinstance(beads, str):
        if beads == "auto":
            return BEADS
        one_of(beads, ["auto", *BEADS], "beads")
        return {beads: BEADS[beads]}
    return {"given": tuple(beads)}


def _region(events: Events, channels: tuple[str, ...]) -> Rectangle:
    lowest = events.column(channels[0]).copy()
    for channel in channels[1:]:
        np.minimum(lowest, events.column(channel), out=lowest)
    lowest = np.arcsinh(np.minimum(lowest, _HIGHEST) / np.float32(COFACTOR))
    threshold = _threshold(lowest)
    low = dict.fromkeys(channels, threshold)
    seeds = lowest >= threshold
    if seeds.sum() >= _SEEDS:  # a dim bead channel: its own lower limit, where that is less
        for channel in channels:
            values = np.arcsinh(np.minimum(events.column(channel)[seeds], _HIGHEST) / np.float32(COFACTOR))
            middle, upper = np.quantile(values, [0.5, 0.84])
            low[channel] = round(min(threshold, max(_ONE_COUNT, float(middle - 4 * (upper - middle)))), 4)
    return Rectangle(tuple(Dimension(c, COFACTOR) for c in channels), tuple(low.values()), (np.inf,) * len(channels))


def _threshold(lowest: NDArray) -> float:
    counts = density.histogram(lowest)
    found = density.valley(counts, bounds=_BOUNDS, min_counts=0, floor=0.0, n_bootstrap=0)
    if found is not None:
        return found.value
    if density.quantile(counts, 0.5) > _NO_CELL:  # a file of beads alone
        return min(max(density.tail(counts, side="left"), _BOUNDS[0]), _NO_CELL)
    return _NO_CELL


def _has_dna(events: Events, dna: list[str], bead: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which events have at least a quarter of a cell's DNA (the median of what is no bead)."""
    hit = bead.copy()
    for channel in dna:
        values = events.column(channel)
        cells = values[~bead]
        hit &= values > _CELL_DNA * (np.median(cells) if len(cells) else np.inf)
    return hit
