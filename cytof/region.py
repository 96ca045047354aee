"""Where a gate lies, as data, and its mask on arrays: rectangle (intervals), polygon, ellipse, boolean.

Cleaning draws regions, gating draws regions, and the Gating-ML writer writes them; so they stand below all three.
A dimension is a channel with a scale: ``cofactor=None`` is linear, a number is ``arcsinh(x / cofactor)``; gates of
other software may stand on a :class:`cytof.scale.Scale` (log, logicle, hyperlog, FlowJo's) instead. Rectangle bounds
follow Gating-ML 2.0: ``low <= x < high``. Bounds of scaled dimensions are kept on that scale and compared in counts
(``x >= sinh(low) * cofactor``), so that a mask needs no transformed copy and agrees with double precision.

Source: Spidlen et al. 2015, Gating-ML 2.0 (sections 5.1 rectangle, 5.2 polygon, 5.3 ellipsoid, 5.5 boolean).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof.scale import Scale, to_counts

__all__ = ["Boolean", "Dimension", "Ellipse", "Polygon", "Rectangle", "Region", "from_json", "mask", "to_json"]


@dataclass(frozen=True)
class Dimension:
    """One axis of a region: a channel (`Nd142`) and its scale (``None`` linear, else the arcsinh cofactor).

    ``scale`` is for gates of other software, on neither of the two; it excludes a cofactor.
    """

    channel: str
    cofactor: float | None = None
    scale: Scale | None = None


@dataclass(frozen=True)
class Rectangle:
    """Intervals on one or more dimensions, all of which must hold: ``low[i] <= x_i < high[i]``.

    Examples
    --------
    >>> above = Rectangle((Dimension("Er170", 5.0),), (1.2,), (math.inf,))
    >>> mask(above, {"Er170": np.float32([0, 7, 8])}.__getitem__).tolist()
    [False, False, True]
    """

    dims: tuple[Dimension, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Polygon:
    """A closed polygon on two dimensions, vertices in order, on the dimensions' scales; edges count as inside."""

    dims: tuple[Dimension, Dimension]
    vertices: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Ellipse:
    """``(x - mean)' covariance^-1 (x - mean) <= distance_square`` on the dimensions' scales."""

    dims: tuple[Dimension, ...]
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    distance_square: float


@dataclass(frozen=True)
class Boolean:
    """``and`` / ``or`` / ``not`` over other masks by name; ``complement`` inverts single names first."""

    operator: str
    names: tuple[str, ...]
    complement: tuple[bool, ...] = ()


Region = Rectangle | Polygon | Ellipse | Boolean
_KINDS: dict[str, type] = {"rectangle": Rectangle, "polygon": Polygon, "ellipse": Ellipse, "boolean": Boolean}


def mask(
    region: Region, column: Callable[[str], NDArray], masks: Mapping[str, NDArray[np.bool_]] | None = None
) -> NDArray[np.bool_]:
    """Return which events lie inside; an event with NaN on a dimension lies outside.

    Parameters
    ----------
    region
        The region.
    column
        Channel name -> raw values, shape (n_events,).
    masks
        Masks by name, for :class:`Boolean` only.
    """
    if isinstance(region, Boolean):
        return _boolean(region, masks or {})
    if isinstance(region, Rectangle):
        return _rectangle(region, column)
    points = np.stack([_scaled(column(d.channel), d) for d in region.dims], axis=1)
    if isinstance(region, Ellipse):
        away = points - np.asarray(region.mean)
        inverse = np.linalg.inv(np.asarray(region.covariance, float))
        return np.einsum("ij,jk,ik->i", away, inverse, away) <= region.distance_square
    return _polygon(points, np.asarray(region.vertices, float))


def _scaled(values: NDArray, dim: Dimension) -> NDArray[np.float64]:
    values = np.asarray(values, np.float64)
    if dim.scale is not None:
        return dim.scale.forward(values)
    return values if dim.cofactor is None else np.arcsinh(values / dim.cofactor)


def _in_counts(bound: float, dim: Dimension) -> float:
    """Return a bound of the dimension's scale in counts; every scale rises, so comparisons stay as they are."""
    if not math.isfinite(bound):
        return bound
    if dim.scale is not None:
        return float(dim.scale.inverse(np.array([bound]))[0])
    return bound if dim.cofactor is None else to_counts(bound, dim.cofactor)


def _float32_at_least(bound: float) -> np.float32:
    """Return the smallest float32 that is not below ``bound``: float32 data then compare as in double precision."""
    near = np.float32(bound)
    return near if float(near) >= bound else np.nextafter(near, np.float32(np.inf))


def _rectangle(region: Rectangle, column: Callable[[str], NDArray]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] | None = None
    for dim, low, high in zip(region.dims, region.low, region.high, strict=True):
        values = column(dim.channel)
        low, high = _in_counts(low, dim), _in_counts(high, dim)
        if values.dtype == np.float32:
            low, high = _float32_at_least(low), _float32_at_least(high)  # type: ignore[assignment]
        hit: NDArray[np.bool_] | None = None
        if low > -np.inf:
            hit = values >= low
        if high < np.inf:
            hit = values < high if hit is None else hit & (values < high)
        if hit is None:
            hit = ~np.isnan(values)
        inside = hit if inside is None else inside & hit
    if inside is None:
        raise ValueError("a rectangle needs at least one dimension")
    return inside


def _polygon(points: NDArray[np.float64], vertices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Even-odd rule; points on an edge or a vertex are inside."""
    x, y = points[:, 0], points[:, 1]
    inside = np.zeros(len(points), bool)
    edge = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        cross = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        in_box = (np.minimum(x0, x1) <= x) & (x <= np.maximum(x0, x1))
        in_box &= (np.minimum(y0, y1) <= y) & (y <= np.maximum(y0, y1))
        edge |= (cross == 0) & in_box
        spans = (y0 > y) != (y1 > y)
        if y0 != y1:
            inside ^= spans & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside | edge


def _boolean(region: Boolean, masks: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    flips = region.complement or (False,) * len(region.names)
    parts = [~masks[n] if flip else masks[n] for n, flip in zip(region.names, flips, strict=True)]
    if region.operator == "not":
        return ~parts[0]
    return np.logical_and.reduce(parts) if region.operator == "and" else np.logical_or.reduce(parts)


def to_json(region: Region) -> str:
    """Return the region as one line of JSON with sorted keys, exact to the last bit."""
    kind = next(k for k, c in _KINDS.items() if isinstance(region, c))
    data = asdict(region)
    for dim in data.get("dims", ()):
        if dim["scale"] is None:
            del dim["scale"]
    return json.dumps({"kind": kind, **data}, sort_keys=True)


def from_json(text: str) -> Region:
    """Return the region that :func:`to_json` wrote.

    Examples
    --------
    >>> box = Rectangle((Dimension("Time"),), (0.0,), (math.inf,))
    >>> from_json(to_json(box)) == box
    True
    """
    data: dict[str, Any] = json.loads(text)
    kind = _KINDS[data.pop("kind")]
    if "dims" in data:
        data["dims"] = tuple(_dimension(d) for d in data["dims"])
    return kind(**{k: _tuples(v) for k, v in data.items()})


def _dimension(data: dict[str, Any]) -> Dimension:
    scale = data.pop("scale", None)
    return Dimension(**data, scale=Scale(**scale) if scale else None)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
