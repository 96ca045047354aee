"""The threshold of the CAR gate, from cells that cannot bear a CAR.

The limit of blank is where the tail of the blanks' body, fitted below its 99 % quantile, is down to the false-positive
rate of the template. From there on the threshold is moved only by cells that the tail does not explain:

* to the valley between the noise and the CAR T cells, where one stands out;
* else to the place between the limit of blank and the limit at a thirtieth of the rate (or the valley that the cohort
  shows) where the cells above, less twice the false ones expected there, are most: one cell the more is taken for
  real where at least half of the cells at that place are.

With many CAR T cells the search begins lower, where the false cells are 2 % of them, so that a dim population is not
cut. Source: CLSI EP17-A2 (limit of blank); Efron 2004, J Am Stat Assoc 99:96 (local false discovery rate).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof import density
from cytof.gate._blank import ENOUGH, Blank
from cytof.gate._placed import BOUNDS, DIFFERS, MIN_EVENTS, Placed, threshold

__all__ = ["Body", "HIGHEST", "Shift", "control_threshold", "limit_of_blank", "shift"]

_FALSE_OF_CAR = 0.02
_STRICTER = 30.0
_FALSE_WEIGHT = 2.0
_SHIFTED = 0.35  # arcsinh units
_MOST_NOISE = 1.5
_RESAMPLES = 50
HIGHEST = 300
"""Values of control samples' cells that go with a threshold, the highest first: enough to count those above it."""


@dataclass(frozen=True)
class Shift:
    """How far the cells' noise lies above the blanks': difference of medians and of 95 % quantiles, arcsinh units."""

    median: float
    q95: float

    @property
    def differs(self) -> bool:
        """Whether the blanks do not stand for the T cells."""
        return max(abs(self.median), abs(self.q95)) > _SHIFTED


def shift(cells: NDArray, blanks: NDArray, limit: float, cofactor: float) -> Shift:
    """Compare the bodies below ``limit`` (counts) of cells and blanks; NaN where one is empty.

    Examples
    --------
    >>> noise = np.random.default_rng(0).exponential(2.0, 4000)
    >>> shift(noise * 1.5, noise, 20.0, 5.0).q95.__round__(1)
    0.3
    """
    both = [np.arcsinh(x[x < limit].astype(np.float64) / cofactor) for x in (cells, blanks)]
    if not all(map(len, both)):
        return Shift(float("nan"), float("nan"))
    return Shift(*(round(float(np.quantile(both[0], q) - np.quantile(both[1], q)), 4) for q in (0.5, 0.95)))


@dataclass(frozen=True)
class Body:
    """The blanks' tail as it holds for the cells, and what it rests on."""

    tail: density.Tail
    shift: Shift


def limit_of_blank(cells: NDArray, blanks: NDArray, rate: float, cofactor: float, *, same_cells: bool) -> Body | None:
    """Fit the blanks' tail; None for fewer than 200 blanks.

    Where blanks are other cells than T cells and the T cells are noisier (95 % quantile of the body, one count added),
    the tail is stretched in proportion, by half at most.

    Examples
    --------
    >>> noise = np.random.default_rng(0).exponential(2.0, 20_000)
    >>> body = limit_of_blank(noise, noise, 1e-3, 5.0, same_cells=False)
    >>> bool(13 < body.tail.limit(1e-3) < 15)  # -2 ln(0.001) is 13.8
    True
    """
    if len(blanks) < ENOUGH:
        return None
    tail = density.body_tail(blanks)
    limit = tail.limit(rate)
    below = [x[x < limit] for x in (cells, blanks)]
    if not same_cells and min(map(len, below)) >= ENOUGH:
        q95 = [float(np.quantile(x, 0.95)) for x in below]
        noisier = min(max((q95[0] + 1) / (q95[1] + 1), 1.0), _MOST_NOISE)
        tail = replace(tail, start=tail.start * noisier, scale=tail.scale * noisier)
    return Body(tail, shift(cells, blanks, tail.limit(rate), cofactor))


def control_threshold(
    cells: NDArray, blank: Blank, histogram: NDArray[np.int64], args: Mapping[str, Any], cofactor: float,
    seed: np.random.SeedSequence, cohort: float | None = None,
) -> Placed | None:  # fmt: skip
    """Return the CAR threshold of one sample or group, or None without enough blanks.

    Parameters
    ----------
    cells
        Counts of the T cells.
    blank
        Blanks, see :func:`cytof.gate._blank.choose_blank`.
    histogram
        Of the same T cells, from :func:`cytof.density.histogram`.
    args
        Of the template: ``bounds``, ``false_positive`` and what a valley takes.
    cofactor
        Of the channel.
    seed
        For the bootstrap.
    cohort
        Valley of all samples together, arcsinh scale.
    """
    rate, same = float(args.get("false_positive", 1e-4)), not blank.kind.startswith("not T")
    body = limit_of_blank(cells, blank.counts, rate, cofactor, same_cells=same)
    if body is None:
        return None
    cells = np.sort(cells.astype(np.float64))
    tail, low = body.tail, _bounds(args, cofactor)[0]
    share = _above(cells, tail.limit(rate)) / max(len(cells), 1)
    loose = max(tail.limit(max(rate, _FALSE_OF_CAR * share)), low)
    least = float(np.arcsinh(loose / cofactor))
    placed = threshold(histogram, "mindensity", {**args, "bounds": (least, max(_high(args), least + 0.1))},
                       cofactor, seed)  # fmt: skip
    if placed is None or placed.flag != "ok":
        placed = _between(cells, tail, loose, args, cofactor, seed, cohort)
    return replace(placed, flag=_flag(placed.flag, len(cells), blank, body, args),
                   blank=_told(blank, body, rate, cofactor))  # fmt: skip


def _bounds(args: Mapping[str, Any], cofactor: float) -> tuple[float, float]:
    """Return the template's bounds in counts."""
    low, high = args.get("bounds", BOUNDS)
    return float(np.sinh(low) * cofactor), float(np.sinh(high) * cofactor)


def _high(args: Mapping[str, Any]) -> float:
    return float(args.get("bounds", BOUNDS)[1])


def _above(ordered: NDArray[np.float64], x: float) -> int:
    return len(ordered) - int(np.searchsorted(ordered, x, "left"))


def _between(
    cells: NDArray[np.float64], tail: density.Tail, loose: float, args: Mapping[str, Any], cofactor: float,
    seed: np.random.SeedSequence, cohort: float | None,
) -> Placed:  # fmt: skip
    """Place the threshold where the cells above exceed twice the false ones by most; bootstrapped cells and tail."""
    rate, most = float(args.get("false_positive", 1e-4)), _bounds(args, cofactor)[1]
    strict = max(tail.limit(rate / _STRICTER), float(np.sinh(cohort) * cofactor) if cohort else 0.0)
    loose = min(loose, most - 1e-6)
    high = max(min(strict, most), loose)
    n = len(cells)
    bright = cells[np.searchsorted(cells, loose, "left") :]
    value = _best(bright, np.ones(len(bright)), n, tail, (loose, high))
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_RESAMPLES):
        weights = rng.poisson(1.0, len(bright)).astype(np.float64)
        drawn = replace(tail, scale=tail.scale * rng.gamma(max(tail.n_tail, 4)) / max(tail.n_tail, 4))
        start = max(min(drawn.limit(tail.rate(loose)), high), 0.0)
        kept = bright >= start
        found.append(_best(bright[kept], weights[kept], n, drawn, (start, high)))
    ends = np.arcsinh(np.quantile([*found, value], [0.025, 0.975]) / cofactor)
    place = round(float(np.arcsinh(value / cofactor)), 4)
    low, top = min(round(float(ends[0]), 4), place), max(round(float(ends[1]), 4), place)
    return Placed(place, low, top, float("nan"), n, "ok")


def _best(
    bright: NDArray[np.float64], weights: NDArray[np.float64], n: int, tail: density.Tail, ends: tuple[float, float]
) -> float:
    """Return the place between ``ends`` where cells above - 2 n rate is largest: the middle of the gap below a cell.

    ``bright`` are the ordered cells above the lower end.
    """
    low, high = ends
    places = np.append(bright[bright < high], high)  # just below each cell, and at the upper end
    before = np.append(low, places[:-1])
    above = weights.sum() - np.append(0.0, np.cumsum(weights[: len(places) - 1]))
    false = tail.share * np.exp(-np.maximum(places - tail.start, 0.0) / tail.scale)
    best = int(np.argmax(above - _FALSE_WEIGHT * n * false))
    return float((before[best] + places[best]) / 2)


def _flag(flag: str, n: int, blank: Blank, body: Body, args: Mapping[str, Any]) -> str:
    if n < args.get("min_events", MIN_EVENTS) or blank.kind.endswith("all samples"):
        return "few events"
    return DIFFERS if flag == "ok" and blank.kind.startswith("not T") and body.shift.differs else flag


def _told(blank: Blank, body: Body, rate: float, cofactor: float) -> str:
    """Return as JSON what the threshold rests on; :func:`cytof.gate.apply` makes the table ``blanks`` of it."""
    limit = round(float(np.arcsinh(body.tail.limit(rate) / cofactor)), 4)
    own = blank.kind.startswith("not T")
    top = blank.counts[:0] if own else np.sort(blank.counts.astype(np.float64))[::-1][:HIGHEST]
    highest = np.arcsinh(top / cofactor).round(4).tolist()
    return json.dumps({
        "kind": blank.kind, "samples": list(blank.samples), "n": len(blank.counts), "highest": highest,
        "limit": limit, "shift_median": body.shift.median, "shift_q95": body.shift.q95,
    })  # fmt: skip
