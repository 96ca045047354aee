"""A gate as points to drag: what can be taken hold of, and the region that the dragged points make.

Interval gates have a handle at each bound, quadrants one at the crossing, rectangles one at each of two corners,
polygons one a vertex, ellipses the centre and the ends of both axes. Array in, region out; no drawing here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytof.errors import UsageError
from cytof.region import Ellipse, Polygon, Rectangle, Region

__all__ = ["handles", "moved", "outline", "same_place"]

Points = NDArray[np.float64]
Frame = tuple[float, float, float, float]
_DIGITS = 4  # of the arcsinh scale: less than half a count anywhere a gate can lie


def handles(region: Region) -> Points:
    """Return the points that can be dragged, shape (n_handles, 2), on the scale of the gate.

    A gate on one channel has its handles at height 0. Boolean gates have none.

    Examples
    --------
    >>> from cytof.region import Dimension
    >>> handles(Rectangle((Dimension("Er170", 5.0),), (2.0,), (math.inf,))).tolist()
    [[2.0, 0.0]]
    """
    if isinstance(region, Rectangle) and len(region.dims) == 1:
        return np.array([[b, 0.0] for b in (region.low[0], region.high[0]) if math.isfinite(b)]).reshape(-1, 2)
    if isinstance(region, Rectangle) and len(region.dims) == 2:
        if all(math.isfinite(b) for b in (*region.low, *region.high)):
            return np.array([region.low, region.high], float)
        crossing = _crossing(region)  # of a quadrant: one bound of each channel
        return np.array([crossing]) if all(map(math.isfinite, crossing)) else np.empty((0, 2))
    if isinstance(region, Polygon):
        return np.array(region.vertices, float)
    if isinstance(region, Ellipse) and len(region.dims) == 2:
        return _ellipse_handles(region)
    return np.empty((0, 2))


def moved(region: Region, points: Points) -> Region:
    """Return the region whose handles are these points.

    Raises
    ------
    UsageError
        The number of points is not that of the handles, a point is no number, or bounds cross.

    Examples
    --------
    >>> from cytof.region import Dimension
    >>> moved(Rectangle((Dimension("Er170", 5.0),), (2.0,), (math.inf,)), np.array([[2.5, 0.3]])).low
    (2.5,)
    """
    before = handles(region)
    points = np.round(np.asarray(points, float).reshape(-1, 2), _DIGITS)
    if points.shape != before.shape:
        raise UsageError(f"{len(points)} handles, expected {len(before)}", where="gate")
    if not np.isfinite(points).all():
        raise UsageError("a handle has no place", where="gate", hint="drag it into the plot")
    if isinstance(region, Rectangle):
        return _moved_rectangle(region, points)
    if isinstance(region, Polygon):
        return Polygon(region.dims, tuple((float(x), float(y)) for x, y in points))
    if isinstance(region, Ellipse):
        return _moved_ellipse(region, before, points)
    raise UsageError("a boolean gate has nothing to drag", where="gate", hint="change the gates it is made of")


def outline(region: Region, frame: Frame) -> tuple[list[float], list[float]]:
    """Return the outline to draw within a frame ``(x_low, x_high, y_low, y_high)``; open sides end at the frame.

    Examples
    --------
    >>> from cytof.region import Dimension
    >>> outline(Rectangle((Dimension("Er170", 5.0),), (2.0,), (math.inf,)), (0, 7, 0, 1))
    ([2.0, 7.0, 7.0, 2.0], [0.0, 0.0, 1.0, 1.0])
    """
    if isinstance(region, Rectangle):
        edges = [*zip(region.low, region.high, strict=True), (-math.inf, math.inf)][:2]
        (x0, x1), (y0, y1) = edges
        x0, x1, y0, y1 = max(x0, frame[0]), min(x1, frame[1]), max(y0, frame[2]), min(y1, frame[3])
        return [float(v) for v in (x0, x1, x1, x0)], [float(v) for v in (y0, y0, y1, y1)]
    if isinstance(region, Polygon):
        xs, ys = zip(*region.vertices, strict=True)
        return [float(x) for x in xs], [float(y) for y in ys]
    if isinstance(region, Ellipse) and len(region.dims) == 2:
        turn = np.linspace(0, 2 * math.pi, 73)[:-1]
        axes = _axes_of(region)
        points = np.asarray(region.mean) + np.cos(turn)[:, None] * axes[0] + np.sin(turn)[:, None] * axes[1]
        return points[:, 0].tolist(), points[:, 1].tolist()
    return [], []


def _crossing(region: Rectangle) -> list[float]:
    return [low if math.isfinite(low) else high for low, high in zip(region.low, region.high, strict=True)]


def _moved_rectangle(region: Rectangle, points: Points) -> Rectangle:
    low, high = list(region.low), list(region.high)
    if len(region.dims) == 1:
        at = iter(points[:, 0])
        low, high = ([float(next(at)) if math.isfinite(b) else b for b in bounds] for bounds in (low, high))
    elif len(points) == 2:
        low, high = points[0].tolist(), points[1].tolist()
    else:
        for i, value in enumerate(points[0].tolist()):
            if math.isfinite(region.low[i]):
                low[i] = value
            elif math.isfinite(region.high[i]):
                high[i] = value
    crossed = [d.channel for d, a, b in zip(region.dims, low, high, strict=True) if a >= b]
    if crossed:
        raise UsageError(f"the bounds on {crossed[0]} cross", where="gate", hint="keep the lower bound below the upper")
    return Rectangle(region.dims, tuple(low), tuple(high))


def _axes_of(region: Ellipse) -> Points:
    """Return the two half axes as vectors, the longer first, each pointing to larger x."""
    values, vectors = np.linalg.eigh(np.asarray(region.covariance, float))
    axes = (vectors * np.sqrt(np.maximum(values, 0) * region.distance_square)).T[::-1]
    return np.array([a if (a[0], a[1]) >= (0.0, 0.0) else -a for a in axes])


def _ellipse_handles(region: Ellipse) -> Points:
    centre = np.asarray(region.mean, float)
    return np.vstack([centre, *(centre + _axes_of(region))])


def _moved_ellipse(region: Ellipse, before: Points, points: Points) -> Ellipse:
    """The centre carries the axes with it; the end of an axis turns both and changes its own length."""
    centre, axes = points[0], before[1:] - before[0]
    changed = [i for i in (0, 1) if not np.allclose(points[i + 1], np.round(before[i + 1], _DIGITS))]
    for i in changed:
        own = points[i + 1] - centre
        if not np.hypot(*own) > 0:
            raise UsageError("an axis of the ellipse has no length", where="gate", hint="drag its end off the centre")
        across = np.array([-own[1], own[0]]) / np.hypot(*own) * np.hypot(*axes[1 - i])
        axes[i], axes[1 - i] = own, across
    root = axes.T / math.sqrt(region.distance_square)
    covariance = root @ root.T
    return Ellipse(
        region.dims, tuple(map(float, centre)), tuple(tuple(map(float, row)) for row in covariance),
        region.distance_square,
    )  # fmt: skip


def same_place(regions: Sequence[Region]) -> bool:
    """Tell whether the regions share one crossing, as the quadrants of a parent do; one region alone does not."""
    points = [handles(r) for r in regions]
    return len(points) > 1 and all(p.shape == (1, 2) and np.allclose(p, points[0]) for p in points)
