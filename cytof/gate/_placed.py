"""A threshold for one gate and one channel from the histograms of one or more samples, with its quality flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof import density

__all__ = ["BOUNDS", "DIFFERS", "FLAGS", "MIN_EVENTS", "Placed", "settle", "threshold"]

DIFFERS = "blank differs from T"
FLAGS = ("ok", "shallow valley", DIFFERS, "few events", "far from the cohort", "fallback")
"""Quality of a threshold, from good to put there for want of anything better."""

BOUNDS = (0.4, 5.5)
"""Where a threshold may lie on the arcsinh scale when the template says nothing: 2 to 612 counts."""

MIN_EVENTS = 200
"""Fewer events do not place their own threshold, when the template says nothing."""

_SHALLOW = 0.3
_FAR = 0.7  # arcsinh units: a factor of two in counts

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Placed:
    """A threshold on the arcsinh scale: value, 95 % interval, depth of its valley (NaN if none), events, flag.

    ``blank``: JSON of the blanks that a CAR threshold rests on.
    """

    value: float
    low: float
    high: float
    depth: float
    n: int
    flag: str
    blank: str = ""


def threshold(
    counts: Counts, method: str, args: Mapping[str, Any], cofactor: float, seed: np.random.SeedSequence
) -> Placed | None:
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
    """
    n = int(counts.sum())
    if n < args.get("min_events", MIN_EVENTS):
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
        counts, cofactor=cofactor, bounds=(low, high),
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


def settle(
    own: Mapping[str, Placed | None], pooled: Placed | None, counts: Mapping[str, Counts], args: Mapping[str, Any],
    cofactor: float,
) -> dict[str, Placed]:  # fmt: skip
    """Give every group of samples a threshold: its own, the pooled one, or a fallback.

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

    Returns
    -------
    Group -> threshold. A threshold more than a factor of two in counts away from the middle of the cohort is flagged,
    and replaced by the pooled one when its valley is shallow besides. Where nothing was found, neither here nor in all
    samples together, the threshold is the template's ``fallback``, or the emptiest place between the bounds.
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
        settled[group] = placed or _instead(pooled, group, counts, args, cofactor)
    return settled


def _instead(
    pooled: Placed | None, group: str, counts: Mapping[str, Counts], args: Mapping[str, Any], cofactor: float
) -> Placed:
    n = int(counts[group].sum())
    low, high = map(float, args.get("bounds", BOUNDS))
    if pooled is not None:
        return replace(pooled, n=n, flag="few events" if n < args.get("min_events", MIN_EVENTS) else "fallback")
    if "fallback" in args:
        value = float(args["fallback"])
    else:
        value = density.emptiest(np.sum(list(counts.values()), axis=0), (low, high), cofactor=cofactor)
    return Placed(value, low, high, float("nan"), n, "fallback")
