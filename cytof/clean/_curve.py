"""Running medians of bead signals, the slopes that bring them to a reference, and slopes applied to all masses.

Source: Finck et al. 2013, Cytometry A 83:483 (running medians of 500 beads; slope = least squares through the origin).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Knots", "WINDOW", "apply_slopes", "common_slope", "running_medians", "slopes_by_mass", "smoothed", "window_for",
]  # fmt: skip

WINDOW = 500
"""Most beads a running median is taken over (Finck 2013)."""

_FEWEST = 200
_NOISE = 0.01  # a running median need not be surer than this, relative to its value

_KNOTS = 100  # most places at which a curve is kept; straight lines between them
_BLOCK = 16_384


@dataclass(frozen=True)
class Knots:
    """Running medians of the beads of one segment.

    Attributes
    ----------
    time
        Median time of the beads of each window, shape (n_knots,), rising.
    n
        Beads of each window, shape (n_knots,).
    signal
        Median signal of each window, shape (n_knots, n_bead_channels).
    """

    time: NDArray[np.float64]
    n: NDArray[np.int64]
    signal: NDArray[np.float64]


def running_medians(time: NDArray[np.float64], signal: NDArray, window: int = WINDOW) -> Knots:
    """Return medians over windows of ``window`` beads, at no more than 100 places; one place for no more beads.

    Before the middle of the first window and after that of the last the curve follows the line through the medians of
    the window's two halves, so that it does not lag behind the drift at the ends; it stays within a factor of 1.5.

    Parameters
    ----------
    time
        Rising, shape (n_beads,), at least one.
    signal
        Counts, shape (n_beads, n_bead_channels).
    window
        Beads a window.

    Examples
    --------
    >>> t = np.arange(1000.0)
    >>> knots = running_medians(t, (1000 + t)[:, None], 200)
    >>> bool(np.allclose(knots.signal[:, 0], 1000 + knots.time)), knots.time[[0, -1]].tolist()
    (True, [0.0, 999.0])
    """
    n = len(time)
    if n <= window:
        starts = np.zeros(1, int)
    else:
        count = int(np.clip(np.ceil(8 * (n - window) / window), 2, _KNOTS - 2))
        starts = np.linspace(0, n - window, count).round().astype(int)
    middle = np.array([np.median(time[a : a + window]) for a in starts])
    found = np.array([np.median(signal[a : a + window], axis=0) for a in starts], np.float64)
    sizes = np.full(len(starts), min(n, window), np.int64)
    if n > window:
        first, last = _line(time[:window], signal[:window], 0), _line(time[-window:], signal[-window:], -1)
        middle, found = np.r_[time[0], middle, time[-1]], np.vstack([first, found, last])
        sizes = np.r_[sizes[0], sizes, sizes[-1]]
    middle, first_of = np.unique(middle, return_index=True)  # a curve has one value a time
    return Knots(middle, sizes[first_of], found[first_of])


def _line(time: NDArray[np.float64], signal: NDArray, at: int) -> NDArray[np.float64]:
    """Return the line through the medians of two halves of a window, at its first (0) or last (-1) bead."""
    half = len(time) // 2
    (t0, t1), (y0, y1) = (
        [np.median(values[part], axis=0).astype(np.float64) for part in (slice(half), slice(half, None))]
        for values in (time, signal)
    )
    middle = np.median(signal, axis=0).astype(np.float64)
    if t1 <= t0:
        return middle
    return np.clip(y0 + (y1 - y0) * (time[at] - t0) / (t1 - t0), middle / 1.5, middle * 1.5)


def smoothed(signal: NDArray, window: int = WINDOW) -> NDArray[np.float64]:
    """Return the running median at every row, by straight lines between the knots; shape of ``signal``.

    Examples
    --------
    >>> smoothed(np.r_[np.ones(50), 9, np.ones(50)][:, None], 20)[50].tolist()
    [1.0]
    """
    place = np.arange(len(signal), dtype=np.float64)
    knots = running_medians(place, signal, window)
    return np.stack([np.interp(place, knots.time, column) for column in knots.signal.T], axis=1)


def window_for(signal: NDArray) -> int:
    """Return how many beads a running median needs for a relative error of 1 %, between 200 and 500.

    Parameters
    ----------
    signal
        Counts in order of time, shape (n_beads, n_bead_channels).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> [window_for(rng.lognormal(6, spread, (4000, 5))) for spread in (0.05, 0.5)]
    [200, 500]
    """
    logs = np.log1p(np.maximum(signal, 0))
    away = np.median(np.abs(logs - smoothed(logs)), axis=0) * 1.4826
    return int(np.clip((1.2533 * float(away.max()) / _NOISE) ** 2, _FEWEST, WINDOW))


def common_slope(signal: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slope through the origin that brings smoothed beads to the reference (Finck 2013), shape (n_knots,).

    Examples
    --------
    >>> common_slope(np.array([[50.0, 100.0]]), np.array([100.0, 200.0])).tolist()
    [2.0]
    """
    return signal @ reference / np.einsum("ij,ij->i", signal, signal)


def slopes_by_mass(
    slopes: NDArray[np.float64], bead_mass: NDArray[np.int64], mass: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return slopes of all masses from those of the bead masses: straight lines of log slope over mass, level outside.

    Parameters
    ----------
    slopes
        Shape (n_knots, n_bead_channels).
    bead_mass, mass
        Masses of the bead channels and of the channels wanted.

    Examples
    --------
    >>> slopes_by_mass(np.array([[1.0, 4.0]]), np.array([140, 160]), np.array([100, 150, 175])).round(3).tolist()
    [[1.0, 2.0, 4.0]]
    """
    order = np.argsort(bead_mass, kind="stable")
    logs = np.log(slopes)[:, order]
    return np.exp(np.stack([np.interp(mass, bead_mass[order], row) for row in logs]))


def apply_slopes(
    X: NDArray[np.float32], places: NDArray[np.int64], time: NDArray[np.float64], rows: NDArray, curve: Knots
) -> None:
    """Multiply rows of ``X`` in place by the slopes at their time; level before the first knot and after the last.

    Parameters
    ----------
    X
        Counts, shape (n_events, n_channels); changed.
    places
        Columns to multiply, in the order of ``curve.signal``.
    time
        Shape (n_events,).
    rows
        Bool, shape (n_events,): rows to multiply.
    curve
        Slopes as ``signal``, shape (n_knots, len(places)).

    Examples
    --------
    >>> X = np.ones((3, 2), np.float32)
    >>> line = Knots(np.array([0.0, 2.0]), np.array([1, 1]), np.array([[1.0], [3.0]]))
    >>> apply_slopes(X, np.array([1]), np.array([0.0, 1.0, 9.0]), np.ones(3, bool), line)
    >>> X.tolist()
    [[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]
    """
    steps = np.ones((len(curve.time), X.shape[1]), np.float32)
    steps[:, places] = curve.signal
    rise = np.diff(steps, axis=0, append=steps[-1:])
    width = np.diff(curve.time, append=curve.time[-1] + 1)
    for start in range(0, len(X), _BLOCK):
        block = slice(start, start + _BLOCK)
        t = np.clip(np.nan_to_num(time[block], nan=curve.time[0]), curve.time[0], curve.time[-1])
        left = np.searchsorted(curve.time, t, side="right") - 1
        share = ((t - curve.time[left]) / width[left]).astype(np.float32)
        factor = rise[left]
        factor *= share[:, None]
        factor += steps[left]
        if not rows[block].all():
            factor[~rows[block]] = 1
        X[block] *= factor
