"""Debris, doublets and dead cells, from DNA, event length, the Gaussian parameters of the ion cloud and viability.

Source: Bagwell et al. 2020, Cytometry A 97:184 (Gaussian parameters, event length); Fienberg et al. 2012 (cisplatin).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cytof import density
from cytof._check import in_range
from cytof.errors import Caution
from cytof.events import Events
from cytof.region import Boolean, Dimension, Rectangle, Region, mask
from cytof.scale import COFACTOR

__all__ = ["intact"]

_GAUSSIAN = ("Center", "Offset", "Width", "Residual")
_VIABILITY = ("Rh103", "Pt195", "Pt194", "Pt198")
_DOUBLE = 0.55  # a second nucleus adds ln 2 = 0.69 on the arcsinh scale; above this a doublet is likelier than a cell
_MIN_CELLS = 50
_MANY = 0.4  # a step that flags more of what is left is told


def intact(events: Events, *, z: float = 3.0) -> Events:
    """Flag debris, doublets and dead cells; the limits come from the file's own main cloud of cells.

    * ``debris``: DNA below the cloud (its valley, else ``z + 1`` sided standard deviations), or a very short event.
    * ``doublet``: DNA above it, or event length, Center, Offset, Width or Residual outside ``z`` sided standard
      deviations of the cells that DNA keeps (log scale).
    * ``dead``: viability above the valley over the living, else above the normal tail of their upper half.

    Steps whose channels are absent are skipped, with a caution that lists them.

    Parameters
    ----------
    events
        Counts of one file; run :func:`find_beads` first, so that beads do not count as debris; events that
        :func:`steady` flagged do not draw the limits either.
    z
        Standard deviations, 1 to 10. On a cloud without doublets 3 loses about 1 % of the cells.

    Returns
    -------
    Events with ``flags`` and ``regions`` for ``debris doublet dead`` as far as the channels allow, the regions
    ``nucleated`` and ``single`` whose complements ``debris`` and ``doublet`` are, and one step record each: limits,
    counts, and ``by_channel``, what each limit alone flags.

    Raises
    ------
    UsageError
        ``z`` is out of its range.

    Notes
    -----
    The limits are intervals. An ellipse on the two DNA channels (:func:`cytof.density.ellipse`, squared distances of 9
    to 16, in place of the intervals) was tried and is no better: F1 of the synthetic patient 0.989-0.994 for 0.994, and
    93-96 % of the least well kept of the eleven populations of Liu et al. 2020 for 98 %.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> dna = np.r_[rng.lognormal(7, 0.15, 5000), rng.lognormal(2, 0.5, 500)].astype(np.float32)
    >>> e = Events(dna[:, None], pd.DataFrame({"role": ["dna"]}, index=["Ir191"]), {}, "s1")
    >>> flags = intact(e).flags
    >>> int(flags["debris"][5000:].sum()), bool(flags["debris"][:5000].sum() < 5)
    (500, True)
    """
    in_range(z, 1, 10, "z")
    kept = np.ones(len(events), bool)
    for name in ("bead", "unsteady"):
        if name in events.flags:
            kept &= ~events.flags[name].to_numpy(bool)
    regions: dict[str, Region] = {}
    skipped: list[str] = []
    dna = _dna_limits(events, kept, z, skipped)
    for low, high, channel in dna:
        values = events.column(channel)
        kept = kept & (values >= np.sinh(low) * COFACTOR) & (values < np.sinh(high) * COFACTOR)
    shape = _shape_limits(events, kept, z, skipped)
    _add(regions, "nucleated", "debris", [(Dimension(c, COFACTOR), low, math.inf) for low, _, c in dna]
         + [(Dimension(c), low, math.inf) for low, _, c in shape if _is_length(c)])  # fmt: skip
    _add(regions, "single", "doublet", [(Dimension(c, COFACTOR), -math.inf, high) for _, high, c in dna]
         + [(Dimension(c), -math.inf if _is_length(c) else low, high) for low, high, c in shape])  # fmt: skip
    for low, high, channel in shape:
        values = events.column(channel)
        kept = kept & (values >= low) & (values < high)
    dead = _dead_limit(events, kept, z, skipped)
    if dead is not None:
        regions["dead"] = Rectangle((Dimension(dead[1], COFACTOR),), (dead[0],), (math.inf,))
    return _flagged(events, regions, z, skipped)


def _add(regions: dict[str, Region], keep: str, flag: str, limits: list[tuple[Dimension, float, float]]) -> None:
    if limits:
        dims, low, high = zip(*limits, strict=True)
        regions[keep] = Rectangle(dims, low, high)
        regions[flag] = Boolean("not", (keep,))


def _flagged(events: Events, regions: dict[str, Region], z: float, skipped: list[str]) -> Events:
    masks: dict[str, NDArray[np.bool_]] = {}
    for name, region in regions.items():
        masks[name] = mask(region, events.column, masks)
    flags, steps = events.flags, list(events.steps)
    left = ~flags.to_numpy(bool).any(axis=1) if flags.shape[1] else np.ones(len(events), bool)
    cautions = list(events.warnings)
    for name in ("debris", "doublet", "dead"):
        if name in masks:
            flags = flags.assign(**{name: masks[name]})
            geometry = regions["nucleated" if name == "debris" else "single" if name == "doublet" else name]
            limits, by_channel = _by_channel(events, geometry, keep=name != "dead")
            new, n_left = int((masks[name] & left).sum()), int(left.sum())
            counts = {name: int(masks[name].sum()), "not_flagged_before": new}
            step = {"step": name, "params": {"z": z, "limits": limits}, "counts": counts, "by_channel": by_channel}
            steps.append(step)
            left = left & ~masks[name]
            if new > _MANY * max(n_left, 1):
                found = f"{new / n_left:.0%} of the events left are flagged `{name}`"
                cautions.append(
                    Caution(f"{events.sample_id}:intact", found, "flagged them; look at the channels' limits")
                )
    if skipped:
        cautions.append(Caution(f"{events.sample_id}:intact", "; ".join(skipped), "these steps were skipped"))
    return events.replace(
        flags=flags, regions={**events.regions, **regions}, steps=tuple(steps), warnings=tuple(cautions)
    )


def _by_channel(events: Events, geometry: Region, *, keep: bool) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return the limits of each channel and how many events each flags alone: a manual chain can be compared."""
    limits, flagged = {}, {}
    for dim, low, high in zip(geometry.dims, geometry.low, geometry.high, strict=True):  # type: ignore[union-attr]
        inside = int(mask(Rectangle((dim,), (low,), (high,)), events.column).sum())
        limits[dim.channel] = [low, high]
        flagged[dim.channel] = len(events) - inside if keep else inside
    return limits, flagged


def _dna_limits(
    events: Events, kept: NDArray[np.bool_], z: float, skipped: list[str]
) -> list[tuple[float, float, str]]:
    """Return (low, high, channel) of the cells' DNA, on the arcsinh scale."""
    channels = [c for c in events.with_role("dna") or ("Ir191", "Ir193") if c in events.channels.index]
    if not channels:
        skipped.append("no DNA channel (Ir191, Ir193): neither debris nor doublets by DNA")
        return []
    if kept.sum() < _MIN_CELLS:
        skipped.append(f"{int(kept.sum())} events besides beads: too few for limits of DNA")
        return []
    limits = []
    for channel in channels:
        counts = _histogram(events, channel, kept)
        if not counts.any():
            skipped.append(f"{channel} holds no numbers")
            continue
        d = density.smooth(counts)
        peak = _cell_peak(d)
        left, right = (max(density.spread_of_mode(d, peak, side), 0.05) for side in (-1, 1))
        mode = float(density.GRID[peak])
        low = _valley_below(counts, mode, mode - (z + 1) * left)
        limits.append((low, mode + min((z + 1) * right, max(_DOUBLE, 2.5 * right)), channel))
    return limits


def _histogram(events: Events, channel: str, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
    values = np.minimum(events.column(channel)[kept], np.float32(1e9))  # infinity: as high as can be
    return density.histogram(np.arcsinh(values / np.float32(COFACTOR)))


def _cell_peak(d: NDArray[np.float64]) -> int:
    """Return the place of the cells' DNA peak.

    The tallest peak above 20 counts, unless a tenth of the events stand around one with more than 4.5 times its DNA:
    then the tall one is debris (a doublet has twice, a clump of three has three times the DNA of a cell).
    """
    high = np.where(np.sinh(density.GRID) * COFACTOR > 20, d, 0.0)
    if high.sum() < 0.02 * d.sum():
        return int(d.argmax())
    peak = int(high.argmax())
    around = np.convolve(d, np.ones(round(1.0 / density.STEP)), "same") / d.sum()
    far = np.where((density.GRID > density.GRID[peak] + 1.5) & (around > 0.1), high, 0.0)
    return int(far.argmax()) if far.any() else peak


def _valley_below(counts: NDArray[np.integer], mode: float, tail: float) -> float:
    """Return the valley between debris and cells, when it lies below the mode and cuts no deeper than the tail does."""
    found = density.valley(counts, bounds=(0.9, mode - 0.2), floor=0.0, n_bootstrap=0)
    return found.value if found is not None and found.value > tail - 1.0 else tail


def _is_length(channel: str) -> bool:
    return channel not in _GAUSSIAN


def _shape_limits(
    events: Events, kept: NDArray[np.bool_], z: float, skipped: list[str]
) -> list[tuple[float, float, str]]:
    """Return (low, high, channel) of event length and the Gaussian parameters, on their own scale."""
    length = [c for c in events.with_role("event_length") or ("Event_length",) if c in events.channels.index]
    gaussian = [c for c in _GAUSSIAN if c in events.channels.index]
    if not length:
        skipped.append("no Event_length")
    if len(gaussian) < len(_GAUSSIAN):
        skipped.append(f"no {', '.join(c for c in _GAUSSIAN if c not in gaussian)}")
    if kept.sum() < _MIN_CELLS:
        return []
    limits = []
    for channel in [*length, *gaussian]:
        values = np.log1p(np.maximum(events.column(channel)[kept].astype(np.float64), 0))
        values = values[np.isfinite(values)]
        if not len(values):
            skipped.append(f"{channel} holds no numbers")
            continue
        q25, q50, q75 = np.quantile(values, [0.25, 0.5, 0.75])
        if q75 - q25 < 1e-9:
            skipped.append(f"{channel} is constant")
            continue
        low, high = q50 - z * (q50 - q25) / 0.6745, q50 + z * (q75 - q50) / 0.6745
        limits.append((float(np.expm1(low)), float(np.expm1(high)), channel))
    return limits


def _dead_limit(events: Events, kept: NDArray[np.bool_], z: float, skipped: list[str]) -> tuple[float, str] | None:
    """Return (threshold on the arcsinh scale, channel) of the viability stain."""
    named = events.with_role("viability")
    stains = named[:1] if len(named) == 1 else [c for c in named or _VIABILITY if c in events.channels.index]
    if not stains:
        skipped.append(f"no viability channel ({', '.join(_VIABILITY)} or role viability): dead cells")
        return None
    if kept.sum() < _MIN_CELLS:
        skipped.append("too few intact events for a limit of viability")
        return None
    channel = max(stains, key=lambda c: float(np.quantile(events.column(c), 0.99)))
    counts = _histogram(events, channel, kept)
    if not counts.any():
        skipped.append(f"{channel} holds no numbers: dead cells")
        return None
    q75, q95 = density.quantile(counts, 0.75), density.quantile(counts, 0.95)
    tail = q95 + (z + 0.5 - 1.645) * max((q95 - q75) / (1.645 - 0.6745), 0.2)
    found = density.valley(
        counts,
        bounds=(density.quantile(counts, 0.5) + 0.3, 8.0),
        min_counts=5.0,
        min_depth=0.3,
        floor=0.0,
        n_bootstrap=0,
    )
    return (found.value if found is not None else tail), channel
