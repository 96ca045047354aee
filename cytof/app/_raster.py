"""Events as pictures small enough to send at every move: a raster of two channels, a histogram of one."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.app._handles import Frame, handles
from cytof.gate import Gating
from cytof.region import Dimension, Region

__all__ = ["blank_rows", "frame_of", "heights", "raster", "scaled"]

_BINS = 200


def scaled(gating: Gating, dim: Dimension, rows: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return one channel of the events in ``rows`` on the scale of the gate."""
    values = gating.events.column(dim.channel)[rows]
    if dim.scale is not None:
        return dim.scale.forward(values.astype(np.float64)).astype(np.float32)
    return values if dim.cofactor is None else np.arcsinh(values / np.float32(dim.cofactor))


def frame_of(points: list[NDArray], region: Region) -> Frame:
    """Return the corner of the picture: what the events and the handles span, a little more at each side.

    Examples
    --------
    >>> from cytof.region import Rectangle
    >>> x = np.linspace(0, 6, 1001, dtype=np.float32)
    >>> frame_of([x], Rectangle((Dimension("Er170", 5.0),), (2.0,), (np.inf,)))
    (-0.5, 6.5, 0.0, 1.0)
    """
    hold = handles(region)
    bounds: list[float] = []
    for axis, values in enumerate(points):
        finite = values[np.isfinite(values)]
        low, high = np.quantile(finite, [0.0005, 0.9995]) if len(finite) else (0.0, 5.0)
        if len(hold):
            low, high = min(low, hold[:, axis].min()), max(high, hold[:, axis].max())
        bounds += [float(np.floor(2 * low - 0.5) / 2), float(np.ceil(2 * high + 1) / 2)]
    return (bounds[0], bounds[1], *(bounds[2:] or [0.0, 1.0]))  # type: ignore[return-value]


def raster(x: NDArray, y: NDArray, frame: Frame, *, bins: int = _BINS) -> NDArray[np.float32]:
    """Return log10(1 + events) a bin, shape (bins, bins), NaN for none; what lies outside counts at the edge.

    Examples
    --------
    >>> picture = raster(np.float32([0.0, 0.1]), np.float32([0.0, 0.1]), (0, 4, 0, 4))
    >>> float(np.nansum(10**picture - 1))
    2.0
    """
    sides = ((x, frame[0], frame[1]), (y, frame[2], frame[3]))
    at = [np.clip(((v - low) * (bins / (high - low))), 0, bins - 1).astype(np.int32) for v, low, high in sides]
    counts = np.bincount(at[1] * bins + at[0], minlength=bins * bins).reshape(bins, bins)
    picture = np.log10(1 + counts).astype(np.float32)
    picture[counts == 0] = np.nan
    return picture


def heights(values: NDArray, frame: Frame) -> pd.DataFrame:
    """Return the histogram of one channel within a frame: ``low high top``, where ``top`` is log10(1 + events).

    Examples
    --------
    >>> table = heights(np.float32([2.0] * 9), (0, 5, 0, 1))
    >>> float(table["top"].max())
    1.0
    """
    counts, edges = np.histogram(np.clip(values, frame[0], frame[1]), bins=_BINS, range=frame[:2])
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "top": np.log10(1 + counts)})


def blank_rows(gating: Gating, gates: Iterable[tuple[str, str]]) -> NDArray[np.bool_]:
    """Return the events that cannot be CAR T cells: outside a gate and inside its parent, for (gate, parent) pairs."""
    rows = np.zeros(len(gating.events), bool)
    for own, parent in gates:
        rows |= gating.mask(parent) & ~gating.mask(own)
    return rows
