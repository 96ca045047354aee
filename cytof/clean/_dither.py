"""Whole counts, or counts that the instrument's software has spread between whole numbers; both ways.

Instrument software stores a count k > 0 as k - u, u uniform on [0, 1) (or the zeros too, over (-1, 0]), or as k with
Gaussian noise. It hides ties in plots, analysis does not need it. Dual counts of Helios software 6.7, as public files
have them, are neither: their density falls smoothly across the whole numbers, and there is nothing to round back to.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from cytof._check import at_least
from cytof.clean._clock import mass_channels
from cytof.errors import Caution
from cytof.events import Events

__all__ = ["add_dither", "dither_kind", "remove_dither", "tell_dither"]

_DRAW = 20_000  # events looked at
_ENOUGH = 500  # values between whole numbers
_LOW = 5.0  # counts looked at: high ones lie evenly between whole numbers whatever was done to them
_WHOLE = 1e-3
_NEAR = 0.65  # of the values lie within a quarter of a whole number: Gaussian (uniform: a half)
_UNEVEN = 0.07  # distance of the fractions from uniform (Kolmogorov)
_LOOSE = 0.003  # effect size (chi-squared / n) of "the fractions look different from one whole number to the next"
_FLAT, _SMOOTH = 0.3, 0.7  # share of the density's fall between whole numbers: none for k - u, all for a smooth one
_BLOCK = 16_384


def dither_kind(events: Events) -> str:
    """Tell how the counts of the mass channels were stored.

    Returns
    -------
    ``"integer"``
        Whole numbers.
    ``"uniform"``
        k - u with u about uniform on [0, 1), from the same whole numbers everywhere.
    ``"gaussian"``
        Whole numbers with Gaussian noise, of both signs or only downwards.
    ``"continuous"``
        Neither: counts that were multiplied (normalised), compensated or averaged, and those of Helios software 6.7,
        whose density shows no whole numbers at all.
    ``"unknown"``
        Too few low counts to tell.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(3, (5000, 1)).astype(np.float32)
    >>> e = Events(counts, pd.DataFrame({"role": "none"}, index=["Nd142"]), {}, "s1")
    >>> dither_kind(e), dither_kind(add_dither(e)), dither_kind(e.replace(X=counts * np.float32(1.13)))
    ('integer', 'uniform', 'continuous')
    """
    return _kind(_values(events))


def tell_dither(events: Events) -> Events:
    """Return the same events with a step ``dither`` that says how the counts were stored.

    Examples
    --------
    >>> import pandas as pd
    >>> e = Events(np.ones((9, 1), np.float32), pd.DataFrame({"role": "none"}, index=["Nd142"]), {}, "s1")
    >>> tell_dither(e).steps[-1]["params"]
    {'kind': 'integer'}
    """
    return events.replace(steps=(*events.steps, {"step": "dither", "params": {"kind": dither_kind(events)}}))


def remove_dither(events: Events) -> Events:
    """Bring dithered counts back to whole numbers.

    Uniform dither is taken off by rounding up, so are Gaussian tails downwards; Gaussian noise of both signs by
    rounding. Other counts are left as they are, with a caution.

    Returns
    -------
    Events with new ``X`` and a step ``remove_dither`` (kind, values changed).

    Examples
    --------
    >>> import pandas as pd
    >>> counts = np.random.default_rng(0).poisson(3, (5000, 1)).astype(np.float32)
    >>> e = Events(counts, pd.DataFrame({"role": "none"}, index=["Nd142"]), {}, "s1")
    >>> bool((remove_dither(add_dither(e)).X == counts).all())
    True
    """
    values = _values(events)
    kind = _kind(values)
    if kind not in ("integer", "uniform", "gaussian"):
        what = "the counts are not whole numbers with dither" if kind == "continuous" else "too few counts to tell"
        caution = Caution(f"{events.sample_id}:remove_dither", what, "left them as they are")
        return events.replace(warnings=(*events.warnings, caution))
    up = kind == "uniform" or (kind == "gaussian" and not _both_signs(values))
    X, changed = events.X.copy(), 0
    places = _places(events)
    for start in range(0, len(X), _BLOCK):
        block = X[start : start + _BLOCK, places]
        slack = 1e-5 * np.maximum(np.abs(block), 1) if events.transformed else np.float32(0)  # of sinh in float32
        whole = (np.ceil(block - slack) if up else np.rint(block)) + np.float32(0)  # + 0: no -0
        changed += int(np.count_nonzero((whole != block) & np.isfinite(block)))
        X[start : start + _BLOCK, places] = whole
    step = {"step": "remove_dither", "params": {"kind": kind, "rounded": "up" if up else "to the nearest"},
            "counts": {"values_changed": changed}}  # fmt: skip
    return events.replace(X=X, steps=(*events.steps, step))


def add_dither(events: Events, *, random_state: int = 0) -> Events:
    """Store each whole count k > 0 as k - u, u uniform on [0, 1), as the instrument's software does; 0 stays 0.

    Parameters
    ----------
    events
        Whole counts; others are left as they are, with a caution.
    random_state
        Seed, 0 or more; the draw also depends on ``sample_id`` and follows the order of the file.

    Returns
    -------
    Events with new ``X`` and a step ``add_dither`` (seed).

    Examples
    --------
    >>> import pandas as pd
    >>> e = Events(np.full((4, 1), 7, np.float32), pd.DataFrame({"role": "none"}, index=["Nd142"]), {}, "s1")
    >>> X = add_dither(e, random_state=1).X
    >>> bool(((X > 6) & (X <= 7)).all()), len(np.unique(X))
    (True, 4)
    """
    at_least(random_state, 0, "random_state")
    kind = dither_kind(events)
    if kind != "integer":
        caution = Caution(f"{events.sample_id}:add_dither", f"the counts are {kind}, not integer", "added no dither")
        return events.replace(warnings=(*events.warnings, caution))
    rng = np.random.default_rng(np.random.SeedSequence([random_state, zlib.crc32(events.sample_id.encode())]))
    X, places = events.X.copy(), _places(events)
    order = np.argsort(events.rows, kind="stable")
    for start in range(0, len(X), _BLOCK):
        rows = np.ix_(order[start : start + _BLOCK], places)
        k = X[rows]
        least = np.nextafter(k - 1, k)  # so that rounding to float32 never reaches the next lower count
        X[rows] = np.where(k > 0, np.maximum(k - rng.random(k.shape, np.float32), least), k)
    step = {"step": "add_dither", "params": {"kind": "uniform", "random_state": int(random_state)}}
    return events.replace(X=X, steps=(*events.steps, step))


def _places(events: Events) -> NDArray[np.intp]:
    return np.array([events.channels.index.get_loc(c) for c in mass_channels(events)], np.intp)


def _values(events: Events) -> NDArray[np.float32]:
    """Return the finite counts of every n-th event of the file."""
    rows = np.flatnonzero(events.rows % max(1, len(events) // _DRAW) == 0)
    values = events.X[np.ix_(rows, _places(events))].ravel()
    return values[np.isfinite(values)]


def _kind(values: NDArray[np.float32]) -> str:
    nonzero = values[values != 0]
    if not len(nonzero):
        return "unknown"
    if np.mean(np.abs(nonzero - np.rint(nonzero)) <= _WHOLE * np.maximum(1, np.abs(nonzero) / 100)) > 0.99:
        return "integer"
    if nonzero.min() < -1.5:
        if _near(nonzero[np.abs(nonzero) < 10 * _LOW]) > _NEAR:
            return "gaussian"
        return "continuous"
    low = nonzero[(nonzero > 0) & (nonzero < _LOW)].astype(np.float64)
    if len(low) < _ENOUGH:
        return "unknown"
    if _near(low) > _NEAR:
        return "gaussian"
    fraction = np.ceil(low) - low
    bins = np.histogram(fraction, 10, (0, 1))[0]
    uneven = np.abs(np.cumsum(bins) / len(low) - np.arange(1, 11) / 10).max()
    if uneven > _UNEVEN or _loose(low, fraction):
        return "continuous"
    share, error = _smoothness(low)
    return "continuous" if share - 2 * error > _FLAT else "uniform" if share + 2 * error < _SMOOTH else "unknown"


def _near(values: NDArray) -> float:
    return float(np.mean(np.abs(values - np.rint(values)) < 0.25)) if len(values) else 0.0


def _both_signs(values: NDArray) -> bool:
    away = values - np.rint(values)
    away = away[(away != 0) & (np.abs(away) < 0.25)]
    return bool(len(away)) and float(np.mean(away > 0)) > 0.25


def _loose(low: NDArray[np.float64], fraction: NDArray[np.float64]) -> bool:
    """Tell whether the fractions are spread differently below 1, 2, 3, ... counts: so they are after multiplying."""
    table = np.histogram2d(np.ceil(low), fraction, bins=[np.arange(0.5, 6), np.linspace(0, 1, 11)])[0]
    table = table[table.sum(axis=1) >= 100]
    n = table.sum()
    if len(table) < 2:
        return False
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    chi2 = float((((table - expected) ** 2) / np.maximum(expected, 1e-9)).sum())
    freedom = (len(table) - 1) * 9
    return (chi2 - freedom) / n > _LOOSE and chi2 > freedom + 4 * np.sqrt(2 * freedom)


def _smoothness(low: NDArray[np.float64]) -> tuple[float, float]:
    """Return how much of the fall of the density happens between whole numbers, and its standard error.

    0: all of it in steps at the whole numbers (k - u); about 1: none of it (a smooth density). From the halves of the
    intervals below 2, 3 and 4 counts, against the slope from the intervals beside them.
    """
    halves = np.histogram(low, np.arange(0, 5.5, 0.5))[0].reshape(5, 2).astype(float)
    whole = halves.sum(axis=1)
    fall = (whole[:-2] - whole[2:]).sum() / 8  # a straight slope parts an interval's halves by a quarter of its fall
    found = (halves[1:4, 0] - halves[1:4, 1]).sum()
    if fall <= 0:
        return 0.5, np.inf
    return float(found / fall), float(np.sqrt(whole[1:4].sum()) / fall)
