"""Smoothed histograms, valleys, tails and ellipses on arrays, for cleaning and gating alike.

Everything works on a histogram of the arcsinh scale with one fixed grid (:data:`GRID`), so that samples are pooled by
adding integers (the result cannot depend on their order) and a bootstrap is a multinomial draw. Three habits of counts
are built in:

* arcsinh pulls small integers apart (0, 1, 2 counts lie 0.20, 0.19 units from each other at cofactor 5), which shows as
  false valleys at a narrow bandwidth; the bandwidth here is never below the local spacing of the integers;
* zeros are mass, not a mode: they are laid out evenly between 0 and 1 count before smoothing;
* a valley has to stand out from Poisson noise on both sides; a bump of a few events makes none.

Source: Silverman 1986 (section 3.4.1, bandwidth); Finak et al. 2014, openCyto (mindensity, tailgate); Rousseeuw and Van
Driessen 1999 (concentration steps for the ellipse).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cytof.scale import COFACTOR

__all__ = [
    "GRID",
    "STEP",
    "Valley",
    "bandwidth",
    "emptiest",
    "ellipse",
    "histogram",
    "quantile",
    "smooth",
    "tail",
    "valley",
]

STEP = 0.02
"""Width of a bin of :data:`GRID`."""

(
    _LOW,
    _HIGH,
) = -2.0, 12.0
GRID: NDArray[np.float64] = np.round(_LOW + STEP * (np.arange(round((_HIGH - _LOW) / STEP)) + 0.5), 4)
"""Centres of the bins on the arcsinh scale, 0.02 units apart; values beyond are counted in the outermost bins."""

_SIGNIFICANT = 3.0  # standard deviations by which a peak has to stand above the valley beside it
_NARROW, _WIDE = 0.08, 0.25


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


def histogram(y: NDArray) -> NDArray[np.int64]:
    """Count values of the arcsinh scale on :data:`GRID`; values <= 0 are spread by :func:`smooth`, NaN is left out.

    Parameters
    ----------
    y
        Values on the arcsinh scale, shape (n,).

    Returns
    -------
    int64 array, shape (len(GRID) + 1,): the first entry counts the values <= 0, the rest are the bins.

    Examples
    --------
    >>> counts = histogram(np.array([0.0, 0.0, 3.01]))
    >>> int(counts[0]), int(counts[1:].sum()), round(float(GRID[counts[1:].argmax()]), 2)
    (2, 1, 3.01)
    """
    y = np.asarray(y)
    positive = y[y > 0]
    places = np.minimum(((positive - _LOW) / STEP).astype(np.int64), len(GRID) - 1)
    counts = np.bincount(places, minlength=len(GRID)).astype(np.int64)
    return np.concatenate([[np.count_nonzero(y <= 0)], counts])


def bandwidth(counts: NDArray[np.integer], cofactor: float = COFACTOR) -> NDArray[np.float64]:
    """Return the kernel's standard deviation at each place of :data:`GRID`.

    Silverman's rule between 0.08 and 0.25 units, and never below the distance between two integer counts there.

    Examples
    --------
    >>> wide = bandwidth(histogram(np.full(1000, 3.0)))
    >>> bool(wide[np.searchsorted(GRID, 0.2)] > 0.19), float(wide[-1])
    (True, 0.08)
    """
    spacing = 1.0 / (cofactor * np.cosh(np.maximum(GRID, 0.0)))
    return np.maximum(_plain_bandwidth(counts), spacing)


def _plain_bandwidth(counts: NDArray[np.integer]) -> float:
    n = counts.sum()
    if n < 2:
        return _WIDE
    low, high = quantile(counts, 0.25), quantile(counts, 0.75)
    values = np.concatenate([[0.0], GRID])
    mean = counts @ values / n
    spread = float(np.sqrt(max(counts @ (values - mean) ** 2 / n, 0.0)))
    rule = 0.9 * min(spread, (high - low) / 1.34 or spread) * float(n) ** -0.2
    return float(np.round(np.clip(rule, _NARROW, _WIDE), 2))  # two digits: few kernels to keep


@lru_cache(maxsize=32)
def _kernel(plain: float, cofactor: float) -> NDArray[np.float64]:
    """Return the smoothing matrix, shape (len(GRID), len(GRID)): row i spreads one event of bin i."""
    spread = np.maximum(plain, 1.0 / (cofactor * np.cosh(np.maximum(GRID, 0.0))))[:, None]
    rows = np.exp(-0.5 * ((GRID[None, :] - GRID[:, None]) / spread) ** 2)
    rows /= rows.sum(axis=1, keepdims=True) * STEP
    rows.flags.writeable = False
    return rows


def _without_zeros(counts: NDArray, cofactor: float) -> NDArray[np.float64]:
    """Lay the events <= 0 out evenly between 0 and 1 count."""
    spread = (GRID > 0) & (np.sinh(GRID) * cofactor < 1)
    laid = counts[..., 1:].astype(np.float64)
    laid[..., spread] += counts[..., :1] / np.count_nonzero(spread)
    return laid


def smooth(
    counts: NDArray, *, cofactor: float = COFACTOR, like: NDArray[np.integer] | None = None
) -> NDArray[np.float64]:
    """Return the density on :data:`GRID`, in events a unit; the area is the number of events.

    Parameters
    ----------
    counts
        From :func:`histogram`, shape (len(GRID) + 1,), or several, shape (m, len(GRID) + 1).
    cofactor
        Of the arcsinh scale.
    like
        Histogram whose bandwidth is used; ``counts`` itself by default.

    Examples
    --------
    >>> d = smooth(histogram(np.repeat([1.0, 4.0], 500)))
    >>> round(float(d.sum() * 0.02))
    1000
    """
    single = counts if counts.ndim == 1 else counts.sum(axis=0)
    kernel = _kernel(_plain_bandwidth(single if like is None else like), float(cofactor))
    return _without_zeros(counts, cofactor) @ kernel


def valley(
    counts: NDArray[np.integer],
    *,
    cofactor: float = COFACTOR,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    min_counts: float = 2.0,
    min_depth: float = 0.1,
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
    ends = _interval(counts, cofactor, (max(left, inside[0]), min(right, inside[-1])), n_bootstrap, random_state)
    value = _middle(d, place)
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


def _middle(d: NDArray, place: int) -> float:
    """Return the middle of the flat floor around a minimum (an empty gap has no single lowest point)."""
    flat = np.flatnonzero(d > max(d[place] * 1.02, 1e-9 * d.max()))
    left = flat[flat < place]
    right = flat[flat > place]
    first = left[-1] + 1 if len(left) else place
    last = right[0] - 1 if len(right) else place
    return round(float((GRID[first] + GRID[last]) / 2), 4)


def _interval(
    counts: NDArray[np.integer],
    cofactor: float,
    span: tuple[int, int],
    n_bootstrap: int,
    random_state: int | np.random.SeedSequence,
) -> tuple[float, float]:
    if n_bootstrap < 1 or counts.sum() == 0:
        return np.inf, -np.inf
    rng = np.random.default_rng(random_state)
    draws = rng.multinomial(int(counts.sum()), counts / counts.sum(), size=n_bootstrap)
    d = smooth(draws, cofactor=cofactor, like=counts)[:, span[0] : span[1] + 1]
    places = [
        _middle(row, int(row.argmin()))
        for row in np.pad(d, ((0, 0), (span[0], len(GRID) - span[1] - 1)), constant_values=np.inf)
    ]
    low, high = np.quantile(places, [0.025, 0.975])
    return float(low), float(high)


def emptiest(counts: NDArray[np.integer], bounds: tuple[float, float], *, cofactor: float = COFACTOR) -> float:
    """Return the place between the bounds where the density is lowest; the middle of the gap where it is empty.

    For a threshold that has to be put somewhere although there is no valley: it never crosses into a peak beyond the
    bounds.

    Examples
    --------
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


def quantile(counts: NDArray[np.integer], q: float) -> float:
    """Return a quantile of a histogram, to the width of a bin; NaN of an empty one.

    Examples
    --------
    >>> quantile(histogram(np.linspace(1, 3, 1001)), 0.5).__round__(1)
    2.0
    """
    total = counts.sum()
    if not total:
        return float("nan")
    reached = np.cumsum(counts) / total
    place = int(np.searchsorted(reached, q - 1e-12))
    return 0.0 if place == 0 else float(GRID[min(place, len(GRID)) - 1])


def ellipse(points: NDArray, *, keep: float = 0.75, steps: int = 30) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return robust mean and covariance of the main cloud (concentration steps from the coordinate-wise median).

    Parameters
    ----------
    points
        Shape (n, d), at least d + 1 rows.
    keep
        Fraction of points the ellipse is fitted to.
    steps
        Most concentration steps; it ends earlier when the same points are kept.

    Returns
    -------
    Mean, shape (d,), and covariance, shape (d, d), scaled so that it is the normal distribution's.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cloud = np.r_[rng.normal(0, 1, (900, 2)), rng.normal(9, 1, (100, 2))]
    >>> bool(np.abs(ellipse(cloud)[0]).max() < 0.2)
    True
    """
    points = np.asarray(points, np.float64)
    mean = np.median(points, axis=0)
    width = np.subtract(*np.percentile(points, [75, 25], axis=0)) / 1.349
    covariance = np.diag(np.maximum(width, 1e-6) ** 2)
    from scipy.stats import chi2

    m = max(int(keep * len(points)), points.shape[1] + 1)
    dims = points.shape[1]
    shrink = keep / chi2.cdf(chi2.ppf(keep, dims), dims + 2)
    chosen: NDArray | None = None
    for _ in range(steps):
        away = points - mean
        distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
        nearest = np.sort(np.argsort(distance, kind="stable")[:m])
        if chosen is not None and np.array_equal(nearest, chosen):
            break
        chosen = nearest
        mean = points[chosen].mean(axis=0)
        covariance = np.cov(points[chosen].T) * shrink + np.eye(dims) * 1e-9
    return mean, covariance
