"""A threshold for one gate and one channel from the histograms of one or more samples, with its quality flag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof import density

__all__ = ["FLAGS", "Placed", "settle", "threshold"]

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
    blanks: Counts | None = None,
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
    blanks
        Histogram of the blanks, for ``control``.
    """
    n = int(counts.sum())
    if n < args.get("min_events", _MIN_EVENTS):
        return None
    bounds = tuple(args.get("bounds", BOUNDS))
    if method == "tailgate":
        value = density.tail(
            counts, cofactor=cofactor, tolerance=args.get("tolerance", 0.01), side=args.get("side", "right")
        )
        return _within(value, bounds, n)
    if method == "quantile":
        return _within(density.quantile(counts, args["probability"]) + density.STEP / 2, bounds, n)
    limit = _blank_limit(blanks, args) if method == "control" else None
    if limit is not None:
        bounds = (min(max(bounds[0], limit), bounds[1] - 0.1), bounds[1])
    found = density.valley(
        counts, cofactor=cofactor, bounds=bounds, min_counts=args.get("min_counts", 2.0),
        min_depth=args.get("min_depth", 0.1), random_state=seed,
    )  # fmt: skip
    if found is not None:
        flag = "ok" if found.depth >= _SHALLOW else "shallow valley"
        return Placed(found.value, found.low, found.high, found.depth, n, flag)
    if limit is not None:  # no CAR population stands out: what blanks do not reach is still called
        return Placed(bounds[0], bounds[0], bounds[0], float("nan"), n, "ok")
    return None


def _within(value: float, bounds: tuple[float, ...], n: int) -> Placed | None:
    inside = bounds[0] <= value <= bounds[1]
    return Placed(value, value, value, float("nan"), n, "ok") if inside else None


def _blank_limit(blanks: Counts | None, args: Mapping[str, Any]) -> float | None:
    """Return the limit of the blanks: the normal tail of their body, carried to ``false_positive``.

    Blanks hold doublets with CAR T cells, so their extreme quantile is one of CAR T cells. The tail is therefore drawn
    through two quantiles of the body (90 % and 98 %) and carried on.
    """
    from scipy.special import ndtri

    if blanks is None or blanks.sum() < _MIN_EVENTS:
        return None
    q = np.array([0.90, 0.98])
    y = np.array([density.quantile(blanks, p) for p in q])
    z = ndtri(q)
    slope = max((y[1] - y[0]) / (z[1] - z[0]), 0.1)
    return float(y[1] + slope * (-ndtri(args.get("false_positive", 1e-4)) - z[1]))


def settle(
    own: Mapping[str, Placed | None], pooled: Placed | None, counts: Mapping[str, Counts], args: Mapping[str, Any],
    cofactor: float,
) -> dict[str, Placed]:  # fmt: skip
    """Give every group of samples a threshold: its own, the pooled one, the template's fallback, or the emptiest place.

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
    and replaced by the pooled one when its valley is shallow besides.
    """
    found = [p.value for p in own.values() if p is not None]
    centre = float(np.median(found)) if len(found) >= 3 else None
    settled = {}
    for group, placed in own.items():
        n = int(counts[group].sum())
        if placed is not None and centre is not None and abs(placed.value - centre) > _FAR:
            if placed.flag == "shallow valley" and pooled is not None:
                placed = None
            else:
                placed = replace(placed, flag="far from the cohort")
        if placed is None:
            few = n < args.get("min_events", _MIN_EVENTS)
            placed = _instead(
                pooled, counts, args, cofactor, n, "few events" if few and pooled is not None else "fallback"
            )
        settled[group] = placed
    return settled


def _instead(
    pooled: Placed | None, counts: Mapping[str, Counts], args: Mapping[str, Any], cofactor: float, n: int, flag: str
) -> Placed:
    if pooled is not None:
        return replace(pooled, n=n, flag=flag)
    bounds = tuple(args.get("bounds", BOUNDS))
    if "fallback" in args:
        value = float(args["fallback"])
    else:
        value = density.emptiest(
            sum(counts.values(), np.zeros(len(density.GRID) + 1, np.int64)), bounds, cofactor=cofactor
        )
    return Placed(value, float(bounds[0]), float(bounds[1]), float("nan"), n, "fallback")
