"""Valleys, empty places and tails of a smoothed histogram.

Source: Finak et al. 2014, openCyto (mindensity, tailgate).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytof.density._histogram import GRID, bandwidth, smooth
from cytof.scale import COFACTOR

__all__ = ["Valley", "emptiest", "tail", "valley"]

_SIGNIFICANT = 3.0  # standard deviations by which a peak has to stand above the valley beside it


@dataclass(frozen=True)
class Valley:
    """A valley of a density.

    Attributes
    ----------
    value
        Its place on the arcsinh scale.
    low, high
        95 % bootstrap interval of the place.
    depth
        1 - (density in the valley) / (density of the lower of the two peaks beside it); 0 is none, 1 is empty.
    n
        Events in the histogram.
    """

    value: float
    low: float
    high: float
    depth: float
    n: int


def valley(
    counts: NDArray[np.integer],
    *,
    cofactor: float = COFACTOR,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    min_counts: float = 2.0,
    min_depth: float = 0.1,
    floor: float = 0.25,
    n_bootstrap: int = 50,
    random_state: int | np.random.SeedSequence = 0,
) -> Valley | None:
    """Return the valley that best parts two populations, or None when no valley stands out from noise.

    Parameters
    ----------
    counts
        From :func:`histogram`.
    cofactor
        Of the arcsinh scale.
    bounds
        Range on the arcsinh scale in which the valley has to lie.
    min_counts
        Valleys below this many counts are refused (0 to refuse none).
    min_depth
        Shallower valleys are refused.
    floor
        How far up its floor reaches, as a share of the way to the lower peak; the value is the floor's middle.
    n_bootstrap
        Multinomial resamples for the interval; 0 gives an interval of no width.
    random_state
        Seed of the resamples.

    Notes
    -----
    Among several valleys the one with the largest depth x (share of events on the smaller side)^(1/4) is taken: depth
    counts most, but a deep notch beside a handful of events does not beat the valley between two large populations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.r_[rng.normal(1.0, 0.4, 5000), rng.normal(4.5, 0.4, 100)]
    >>> from cytof.density import histogram
    >>> found = valley(histogram(y))
    >>> 2.2 < found.value < 3.6 and found.depth > 0.9
    True
    >>> valley(histogram(rng.normal(1.0, 0.4, 5000))) is None
    True
    """
    d = smooth(counts, cofactor=cofactor)
    low = max(bounds[0], float(np.arcsinh(min_counts / cofactor)) if min_counts > 0 else -np.inf)
    inside = np.flatnonzero((low <= GRID) & (bounds[1] >= GRID))
    best = _best_valley(d, counts, inside, bandwidth(counts, cofactor), min_depth)
    if best is None:
        return None
    place, left, right = best
    depth = 1.0 - d[place] / min(d[left], d[right])
    span = (max(left, inside[0]), min(right, inside[-1]))
    ends = _interval(counts, cofactor, span, floor, n_bootstrap, random_state)
    value = _middle(d, place, min(d[left], d[right]), floor)
    return Valley(value, min(ends[0], value), max(ends[1], value), float(depth), int(counts.sum()))


def _best_valley(
    d: NDArray, counts: NDArray[np.integer], inside: NDArray, spread: NDArray, min_depth: float
) -> tuple[int, int, int] | None:
    """Return (valley, left peak, right peak) as places of the grid."""
    if len(inside) < 3 or not d.any():
        return None
    total = d.sum()
    below = np.cumsum(d) / total
    floor = 1e-9 * d.max()
    best, best_score = None, 0.0
    for place in inside:
        if not (d[place] <= d[max(place - 1, 0)] and d[place] <= d[min(place + 1, len(d) - 1)]):
            continue
        left, right = int(np.argmax(d[:place])) if place else 0, int(place + np.argmax(d[place:]))
        lower = min(d[left], d[right])
        if lower <= floor:
            continue
        depth = 1.0 - d[place] / lower
        # events under a kernel: enough to tell peak from valley?
        peak = min(d[left] * spread[left], d[right] * spread[right]) * 2.507
        base = d[place] * spread[place] * 2.507
        if depth < min_depth or peak - base < _SIGNIFICANT * np.sqrt(peak + base):
            continue
        score = depth * min(below[place], 1.0 - below[place]) ** 0.25
        if score > best_score * (1 + 1e-9):
            best, best_score = (int(place), left, right), score
    return best


def _middle(d: NDArray, place: int, lower: float, floor: float, grid: NDArray = GRID) -> float:
    """Return the middle of the floor around a minimum: a wide valley has no single lowest point.

    The floor is what can be reached from the minimum without climbing more than the share ``floor`` of the way to
    ``lower``, the lower of the two peaks. Places are weighted by what is left of that climb on the highest point of
    the way, to the fourth power, so that single events in an all but empty gap move the middle little, and nothing
    makes it jump.
    """
    cut = max(d[place] + floor * max(lower - d[place], 0.0), 1.02 * d[place], 1e-9 * d.max(initial=0.0))
    if cut <= d[place]:
        return round(float(grid[place]), 4)
    way = np.concatenate([np.maximum.accumulate(d[place::-1])[:0:-1], np.maximum.accumulate(d[place:])])
    weight = (np.maximum(cut - way, 0.0) / (cut - d[place])) ** 4
    return round(float(weight @ grid / weight.sum()), 4)


def _interval(
    counts: NDArray[np.integer],
    cofactor: float,
    span: tuple[int, int],
    floor: float,
    n_bootstrap: int,
    random_state: int | np.random.SeedSequence,
) -> tuple[float, float]:
    if n_bootstrap < 1 or counts.sum() == 0:
        return np.inf, -np.inf
    rng = np.random.default_rng(random_state)
    draws = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=n_bootstrap)
    part = slice(span[0], span[1] + 1)
    places = [
        _middle(row, int(row.argmin()), min(row[0], row[-1]), floor, GRID[part])
        for row in smooth(draws, cofactor=cofactor, like=counts, span=part)
    ]
    low, high = np.quantile(places, [0.025, 0.975])
    return float(low), float(high)


def emptiest(counts: NDArray[np.integer], bounds: tuple[float, float], *, cofactor: float = COFACTOR) -> float:
    """Return the place between the bounds where the density is lowest; the middle of the gap where it is empty.

    For a threshold that has to be put somewhere although there is no valley: it never crosses into a peak beyond the
    bounds.

    Examples
    --------
    >>> from cytof.density import histogram
    >>> y = np.random.default_rng(0).normal(4.5, 0.3, 1000)
    >>> 1.0 <= emptiest(histogram(y), (1.0, 3.0)) <= 3.0
    True
    """
    inside = np.flatnonzero((bounds[0] <= GRID) & (bounds[1] >= GRID))
    if not len(inside):
        return float(np.mean(bounds))
    d = smooth(counts, cofactor=cofactor)
    floor = d[inside].min()
    low = inside[d[inside] <= max(floor * 1.02, 1e-3)]
    return round(float((GRID[low[0]] + GRID[low[-1]]) / 2), 4)


def tail(
    counts: NDArray[np.integer], *, cofactor: float = COFACTOR, tolerance: float = 0.01, side: str = "right"
) -> float:
    """Return where the tail of the highest peak ends: the density is down to ``tolerance`` of the peak.

    Parameters
    ----------
    counts
        From :func:`histogram`.
    cofactor
        Of the arcsinh scale.
    tolerance
        Fraction of the peak's height.
    side
        ``"right"`` or ``"left"`` of the peak.

    Examples
    --------
    >>> from cytof.density import histogram
    >>> y = np.random.default_rng(0).normal(3.0, 0.3, 100_000)
    >>> 3.8 < tail(histogram(y)) < 4.1
    True
    """
    d = smooth(counts, cofactor=cofactor)
    peak = int(d.argmax())
    if side == "left":
        past = np.flatnonzero(d[:peak] <= tolerance * d[peak])
        return float(GRID[past[-1]]) if len(past) else float(GRID[0])
    past = peak + np.flatnonzero(d[peak:] <= tolerance * d[peak])
    return float(GRID[past[0]]) if len(past) else float(GRID[-1])
