"""The tail of a sample's body, carried beyond where the sample itself reaches.

Source: Balkema and de Haan 1974, Pickands 1975 (excesses over a high place are close to exponential for tails of this
kind); the maximum likelihood of an exponential censored from above is the sum of all excesses over the number of
those that are not censored (Epstein and Sobel 1953).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tail", "body_tail"]

_FROM, _TO = 0.90, 0.99


@dataclass(frozen=True)
class Tail:
    """An exponential tail: the share of events above ``x`` is ``share * exp(-(x - start) / scale)`` for x >= start.

    Attributes
    ----------
    start, scale
        In counts.
    share
        Of all events, those above ``start``.
    n, n_tail
        Events in all, and those that the scale was fitted to.
    """

    start: float
    scale: float
    share: float
    n: int
    n_tail: int

    def rate(self, x: float) -> float:
        """Return the share of events expected above ``x`` counts; ``share`` below the start."""
        return self.share * math.exp(-max(x - self.start, 0.0) / self.scale)

    def limit(self, rate: float) -> float:
        """Return the counts above which a share ``rate`` of events is expected; the start for rates it exceeds."""
        return self.start + self.scale * math.log(max(self.share / rate, 1.0))

    def interval(self, rate: float) -> tuple[float, float]:
        """Return the 95 % interval of :meth:`limit` from the number of events that the scale was fitted to."""
        reach, error = self.limit(rate) - self.start, 1.96 / math.sqrt(max(self.n_tail, 4))
        return self.start + reach * (1 - error), self.start + reach * (1 + error)


def body_tail(counts: NDArray) -> Tail:
    """Fit an exponential to the upper tenth of the counts, without looking beyond their 99 % quantile.

    What lies beyond is counted but not measured, so that a few foreign events (doublets with bright cells) move the fit
    little: 0.2 % of them by less than 0.1 arcsinh units at a rate of 1e-4. Whole counts are laid out evenly over the
    interval below each (as dither does), so that they and dithered counts give the same tail.

    Parameters
    ----------
    counts
        Dual counts, shape (n,), n >= 1; order does not matter.

    Examples
    --------
    >>> noise = np.random.default_rng(0).exponential(2.0, 20_000)
    >>> dirty = np.r_[noise, np.full(100, 500.0)]  # 0.5 % of events that are something else
    >>> round(body_tail(noise).limit(1e-4)), round(body_tail(dirty).limit(1e-4))
    (18, 21)
    """
    x = _laid_out(np.sort(np.asarray(counts, np.float64)))
    start, end = float(np.quantile(x, _FROM)), float(np.quantile(x, _TO))
    if start <= 0 and (x > 0).any():  # nearly all are zero: the upper half of the rest
        start = float(np.median(x[(x > 0) & (x <= end)])) if end > 0 else float(np.median(x[x > 0]))
        end = end if end > start else 4 * start
    start = max(start, 0.0)
    above = x[x > start]
    n_tail = int((above <= end).sum())
    excess = float((np.minimum(above, end) - start).sum())
    scale = max(excess / n_tail, 0.2) if n_tail else 1.0
    return Tail(start, scale, len(above) / len(x), len(x), n_tail)


def _laid_out(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sorted whole counts laid out over (k - 1, k], zeros and anything else as they are."""
    if not len(x) or not np.array_equal(x, np.rint(x)):
        return x
    value, first, size = np.unique(x, return_index=True, return_counts=True)
    rank = np.arange(len(x)) - np.repeat(first, size)
    spread = (rank + 0.5) / np.repeat(size, size) - 1.0
    return np.where(x > 0, x + spread, x)
