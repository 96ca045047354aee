"""A threshold for one gate and one channel from the histograms of one or more samples, with its quality flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof import density

__all__ = ["BOUNDS", "FLAGS", "Placed", "above", "blank_limit", "settle", "threshold"]

FLAGS = ("ok", "shallow valley", "few events", "far from the cohort", "fallback")
"""Quality of a threshold, from good to put there for want of anything better."""

BOUNDS = (0.4, 5.5)
"""Where a threshold may lie on the arcsinh scale when the template says nothing: 2 to 612 counts."""

_MIN_EVENTS = 200
_SHALLOW = 0.3
_FAR = 0.7  # arcsinh units: a factor of two in counts

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Placed:
    """A threshold on the arcsinh scale: value, 95 % interval, depth of its valley (NaN if none), events, flag."""

    value: float
    low: float
    high: float
    depth: float
    n: int
    flag: str


def threshold(
    counts: Counts, method: str, args: Mapping[str, Any], cofactor: float, seed: np.random.SeedSequence,
    limit: float | None = None,
) -> Placed | None:  # fmt: skip
    """Return the threshold that ``method`` finds in a histogram, or None when it finds none.

    Parameters
    ----------
    counts
        Histogram of the gated parent, from :func:`cytof.density.histogram`.
    method, args
        Of the template; ``args["bounds"]`` is one pair here.
    cofactor
        Of the channel.
    seed
        For the bootstrap.
    limit
        For ``control``: no valley is looked for below it, see :func:`blank_limit`.
    """
    n = int(counts.sum())
    if n < args.get("min_events", _MIN_EVENTS):
        return None
    low, high = args.get("bounds", BOUNDS)
    if method == "tailgate":
        end = density.tail(
            counts, cofactor=cofactor, tolerance=args.get("tolerance", 0.01), side=args.get("side", "right")
        )
        return _within(end, low, high, n)
    if method == "quantile":
        return _within(density.quantile(counts, args["probability"]) + density.STEP / 2, low, high, n)
    found = density.valley(
        counts, cofactor=cofactor, bounds=(low if limit is None else min(max(low, limit), high - 0.1), high),
        min_counts=args.get("min_counts", 2.0), min_depth=args.get("min_depth", 0.1), random_state=seed,
    )  # fmt: skip
    if found is None:
        return None
    return Placed(
        found.value, found.low, found.high, found.depth, n, "ok" if found.depth >= _SHALLOW else "shallow valley"
    )


def _within(value: float, low: float, high: float, n: int) -> Placed | None:
    value = round(value, 4)
    return Placed(value, value, value, float("nan"), n, "ok") if low <= value <= high else None


def blank_limit(blanks: Counts, cells: Counts, false_positive: float, cofactor: float) -> float | None:
    """Return the limit of blank on the arcsinh scale: the tail of the blanks' body carried to ``false_positive``.

    Blanks hold doublets with CAR T cells, so that their extreme quantiles are CAR T cells. An exponential in counts is
    therefore drawn through the 90 % and the 98 % quantile of their smoothed density and carried on. Where the gated
    cells are noisier than the blanks (90 % quantiles, one count added), the limit rises in proportion, by half at most.

    Parameters
    ----------
    blanks
        Histogram of cells that cannot be positive.
    cells
        Histogram of the gated cells.
    false_positive
        Fraction of blanks that may lie above.
    cofactor
        Of the channel.

    Returns
    -------
    The limit, or None for fewer than 200 blanks.

    Examples
    --------
    >>> noise = density.histogram(np.arcsinh(np.random.default_rng(0).exponential(2.0, 20_000) / 5))
    >>> limit = blank_limit(noise, noise, 1e-3, 5.0)
    >>> bool(12 < np.sinh(limit) * 5 < 16)  # -2 ln(0.001) is 13.8
    True
    """
    if blanks.sum() < _MIN_EVENTS:
        return None
    q90, q98 = (_smooth_quantile(blanks, q, cofactor) for q in (0.90, 0.98))
    limit = q98 + max((q98 - q90) / np.log(5), 0.2) * np.log(0.02 / min(false_positive, 0.02))
    if cells.sum() >= _MIN_EVENTS:
        limit *= min(max((_smooth_quantile(cells, 0.90, cofactor) + 1) / (q90 + 1), 1.0), 1.5)
    return round(float(np.arcsinh(limit / cofactor)), 4)


def above(counts: Counts, value: float) -> float:
    """Return the fraction of a histogram's events above a place on the arcsinh scale; 0 of an empty one."""
    total = counts.sum()
    return float(counts[1:][density.GRID > value].sum() / total) if total else 0.0


def _smooth_quantile(counts: Counts, q: float, cofactor: float) -> float:
    """Return a quantile of the smoothed density in counts: integers give steps, this gives none."""
    d = np.cumsum(density.smooth(counts, cofactor=cofactor))
    return float(np.sinh(max(np.interp(q, d / d[-1], density.GRID), 0.0)) * cofactor)


def settle(
    own: Mapping[str, Placed | None], pooled: Placed | None, counts: Mapping[str, Counts], args: Mapping[str, Any],
    cofactor: float, limits: Mapping[str, float | None] | None = None,
) -> dict[str, Placed]:  # fmt: skip
    """Give every group of samples a threshold: its own, the pooled one, the limit of blank, or a fallback.

    Parameters
    ----------
    own
        Group -> its own threshold, None where none was found.
    pooled
        The threshold of all samples together, if there is one.
    counts
        Group -> histogram.
    args, cofactor
        As for :func:`threshold`.
    limits
        Group -> limit of blank, for ``control``.

    Returns
    -------
    Group -> threshold. A threshold more than a factor of two in counts away from the middle of the cohort is flagged,
    and replaced by the pooled one when its valley is shallow besides. Where nothing was found, neither here nor in all
    samples together, the threshold is the limit of blank, the template's ``fallback``, or the emptiest place between
    the bounds, in this order.
    """
    found = [p.value for p in own.values() if p is not None]
    centre = float(np.median(found)) if len(found) >= 3 else None
    settled = {}
    for group, placed in own.items():
        if placed is not None and centre is not None and abs(placed.value - centre) > _FAR:
            if placed.flag == "shallow valley" and pooled is not None:
                placed = None
            else:
                placed = replace(placed, flag="far from the cohort")
        settled[group] = placed or _instead(pooled, group, counts, args, cofactor, (limits or {}).get(group))
    return settled


def _instead(
    pooled: Placed | None, group: str, counts: Mapping[str, Counts], args: Mapping[str, Any], cofactor: float,
    limit: float | None,
) -> Placed:  # fmt: skip
    n = int(counts[group].sum())
    low, high = map(float, args.get("bounds", BOUNDS))
    if pooled is not None and (limit is None or pooled.value >= limit):
        return replace(pooled, n=n, flag="few events" if n < args.get("min_events", _MIN_EVENTS) else "fallback")
    if limit is not None:
        value = min(max(limit, low), high)
        return Placed(value, value, value, float("nan"), n, "fallback")
    if "fallback" in args:
        value = float(args["fallback"])
    else:
        value = density.emptiest(np.sum(list(counts.values()), axis=0), (low, high), cofactor=cofactor)
    return Placed(value, low, high, float("nan"), n, "fallback")
