"""The parts of a Gating-ML 2.0 document: scales, matrices, ratios, and the regions that stand on them.

Source: Spidlen et al. 2015, ISAC Gating-ML 2.0 specification (sections 4 compensation, 5 gates, 6 transformations).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cytof.io._gate_tree import Source, Spillover
from cytof.io._xml import attribute, child, children, kind, number
from cytof.region import Boolean, Dimension, Ellipse, Polygon, Rectangle, Region
from cytof.scale import Scale

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["Axis", "Parts", "arcsinh_axis", "checked_scale", "ellipse_on", "tidy"]

_LN10 = math.log(10)
_MOST_DECADES = 50  # beyond it doubles overflow, and no instrument counts that far


def tidy(value: float, digits: int = 12) -> float:
    """Return the number without the last digits of a computation: 4.999999999999999 is 5."""
    return float(f"{value:.{digits}g}")


@dataclass(frozen=True)
class Axis:
    """A scale of the document as ours: ``ours = slope * theirs + offset``, with a cofactor, a scale or neither."""

    cofactor: float | None = None
    scale: Scale | None = None
    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, value: float) -> float:
        """Return a value of the document's scale on ours."""
        return self.slope * value + self.offset if math.isfinite(value) else value


def arcsinh_axis(t: float, m: float, a: float) -> Axis:
    """Return ``fasinh`` with T, M, A as arcsinh(x / cofactor), cofactor T / sinh(M ln 10).

    Examples
    --------
    >>> arcsinh_axis(5.8760059682190064, 0.43429448190325176, 0.0).cofactor
    5.0
    """
    if t <= 0 or not 0 < m <= _MOST_DECADES or not 0 < m + a <= _MOST_DECADES:
        raise ValueError(f"fasinh has T={t:g} M={m:g} A={a:g}, which is no scale")
    return Axis(tidy(t / math.sinh(m * _LN10)), slope=tidy((m + a) * _LN10, 15), offset=-a * _LN10)


def checked_scale(name: str, t: float, w: float, m: float, a: float) -> Scale:
    """Return a logicle, hyperlog or log scale whose letters are possible."""
    least = 1e-9 if name == "hyperlog" else 0.0
    if t <= 0 or not 0 < m <= _MOST_DECADES or not least <= w <= m / 2 or not -w <= a <= m - 2 * w:
        raise ValueError(f"{name} has T={t:g} W={w:g} M={m:g} A={a:g}, which is no scale")
    return Scale(name, T=t, W=w, M=m, A=a)


def ellipse_on(
    dims: tuple[Dimension, ...], axes: list[Axis], mean: list[float], covariance: np.ndarray, square: float
) -> Ellipse:
    """Return an ellipse of the document's scale on ours."""
    slope = np.array([a.slope for a in axes])
    covariance = covariance * slope[:, None] * slope[None, :]
    if covariance.shape != (len(dims), len(dims)) or len(mean) != len(dims):
        raise ValueError(f"ellipse has {len(dims)} dimensions and a covariance of {covariance.shape}")
    if square < 0 or np.linalg.matrix_rank(covariance) < len(dims):  # the ISAC suite's own is not positive definite
        raise ValueError("ellipse has no area: its covariance has no inverse")
    centre = tuple(a(v) for a, v in zip(axes, mean, strict=True))
    return Ellipse(dims, centre, tuple(tuple(map(float, row)) for row in covariance), square)


class Parts:
    """Scales, matrices and ratios of a document by id, and the parser of its gates.

    A part that cannot be read is kept in ``faults``: the gates that use it are refused, not the document.
    """

    def __init__(self, root: _Element) -> None:
        self.axes: dict[str, Axis] = {}
        self.ratios: dict[str, tuple[tuple[str, str], tuple[float, float, float]]] = {}
        self.spillover: dict[str, Spillover] = {}
        self.sources: dict[str, Source] = {}
        self.faults: dict[str, str] = {}
        for element in root:
            name = attribute(element, "id")
            try:
                if kind(element) == "transformation":
                    self._transformation(name, element)
                elif kind(element) == "spectrumMatrix":
                    self.spillover[name] = _matrix(element)
            except ValueError as error:
                self.faults[name] = str(error)

    def _transformation(self, name: str, element: _Element) -> None:
        body = next((e for e in element if kind(e) != "custom_info"), None)
        what = kind(body) if body is not None else "nothing"
        if body is None or what not in {"fasinh", "flin", "flog", "logicle", "hyperlog", "fratio"}:
            raise ValueError(f"transformation `{name}` is {what}, which is not Gating-ML 2.0")
        if attribute(element, "boundMin") or attribute(element, "boundMax"):
            raise ValueError(f"transformation `{name}` is cut off by boundMin or boundMax")
        if what == "fratio":
            found = [_channel(e) for e in children(body, "fcs-dimension")]
            if len(found) != 2:
                raise ValueError(f"ratio `{name}` has {len(found)} channels, expected 2")
            self.ratios[name] = ((found[0], found[1]), (number(body, "A"), number(body, "B"), number(body, "C")))
        elif what == "flin":
            t, a = number(body, "T"), number(body, "A")
            if t + a == 0:
                raise ValueError(f"flin `{name}` has T + A = 0")
            self.axes[name] = Axis(slope=t + a, offset=-a)
        elif what == "fasinh":
            self.axes[name] = arcsinh_axis(number(body, "T"), number(body, "M"), number(body, "A"))
        elif what == "flog":
            self.axes[name] = Axis(scale=checked_scale("log", number(body, "T"), 0.0, number(body, "M"), 0.0))
        else:
            letters = (number(body, letter) for letter in "TWMA")
            self.axes[name] = Axis(scale=checked_scale(what, *letters))

    def region(self, element: _Element) -> Region:
        """Return the region of a gate element; operands of a boolean are ids.

        Raises
        ------
        ValueError
            It cannot be imported; the text says why.
        """
        what = kind(element)
        if what == "BooleanGate":
            return _boolean(element)
        if what not in {"RectangleGate", "PolygonGate", "EllipsoidGate"}:
            raise ValueError(f"{what} is no gate of Gating-ML 2.0")
        found = list(children(element, "dimension"))
        pairs = [self.dimension(e) for e in found]
        dims, axes = tuple(d for d, _ in pairs), [a for _, a in pairs]
        if not dims:
            raise ValueError("has no dimension")
        if what == "RectangleGate":
            low = tuple(a(number(e, "min", -math.inf)) for e, a in zip(found, axes, strict=True))
            high = tuple(a(number(e, "max", math.inf)) for e, a in zip(found, axes, strict=True))
            return Rectangle(dims, low, high)
        if what == "PolygonGate":
            return self._polygon(element, dims, axes)
        rows = [list(children(row, "entry")) for row in children(_one(element, "covarianceMatrix"), "row")]
        if len({len(r) for r in rows}) != 1:
            raise ValueError("its covariance is no matrix")
        covariance = np.array([[number(e, "value") for e in row] for row in rows])
        mean = _coordinates(_one(element, "mean"))
        return ellipse_on(dims, axes, mean, covariance, number(_one(element, "distanceSquare"), "value"))

    def _polygon(self, element: _Element, dims: tuple[Dimension, ...], axes: list[Axis]) -> Polygon:
        corners = [_coordinates(v) for v in children(element, "vertex")]
        if len(dims) != 2 or len(corners) < 3 or any(len(c) != 2 for c in corners):
            raise ValueError(f"polygon has {len(dims)} dimensions and {len(corners)} vertices")
        return Polygon((dims[0], dims[1]), tuple((axes[0](x), axes[1](y)) for x, y in corners))

    def quadrants(self, element: _Element) -> dict[str, Rectangle]:
        """Return the rectangles of a QuadrantGate by their ids."""
        dividers: dict[str, tuple[Dimension, list[float]]] = {}
        for divider in children(element, "divider"):
            dim, axis = self.dimension(divider)
            values = sorted(axis(float(v.text or "nan")) for v in children(divider, "value"))
            if not values or not all(map(math.isfinite, values)):
                raise ValueError(f"divider `{attribute(divider, 'id')}` has no values")
            dividers[attribute(divider, "id")] = (dim, [-math.inf, *values, math.inf])
            if axis.slope < 0:
                raise ValueError("a divider's scale falls")
        found = {}
        for quadrant in children(element, "Quadrant"):
            dims, low, high = [], [], []
            for position in children(quadrant, "position"):
                name = attribute(position, "divider_ref")
                if name not in dividers:
                    raise ValueError(f"refers to divider `{name}`, which is not there")
                dim, edges = dividers[name]
                axis = self.dimension(next(d for d in children(element, "divider") if attribute(d, "id") == name))[1]
                at = axis(number(position, "location"))
                place = next(i for i in range(len(edges) - 1) if edges[i] <= at < edges[i + 1])
                dims.append(dim)
                low.append(edges[place])
                high.append(edges[place + 1])
            if not dims:
                raise ValueError(f"quadrant `{attribute(quadrant, 'id')}` has no position")
            found[attribute(quadrant, "id")] = Rectangle(tuple(dims), tuple(low), tuple(high))
        return found

    def dimension(self, element: _Element) -> tuple[Dimension, Axis]:
        """Return one dimension of a gate and the way from the document's numbers to ours."""
        matrix = attribute(element, "compensation-ref", "uncompensated")
        matrix = "" if matrix == "uncompensated" else matrix
        if matrix in self.faults:
            raise ValueError(self.faults[matrix])
        if matrix and matrix != "FCS" and matrix not in self.spillover:
            raise ValueError(f"refers to matrix `{matrix}`, which is not there")
        plain, new = child(element, "fcs-dimension"), child(element, "new-dimension")
        if plain is not None:
            source, name = Source((_channel(plain),), matrix), _channel(plain)
        elif new is not None:
            name = attribute(new, "transformation-ref")
            if name not in self.ratios:
                raise ValueError(self.faults.get(name, f"refers to ratio `{name}`, which is not there"))
            source = Source(self.ratios[name][0], matrix, self.ratios[name][1])
        else:
            raise ValueError("a dimension names no channel")
        ref = attribute(element, "transformation-ref")
        if ref and ref not in self.axes:
            raise ValueError(self.faults.get(ref, f"refers to transformation `{ref}`, which is not there"))
        axis = self.axes[ref] if ref else Axis()
        key = f"{matrix}:{name}" if matrix else name
        self.sources[key] = source
        return Dimension(key, axis.cofactor, axis.scale), axis


def _channel(element: _Element) -> str:
    name = attribute(element, "name")
    if not name:
        raise ValueError("a channel has no name")
    return name


def _one(element: _Element, name: str) -> _Element:
    found = child(element, name)
    if found is None:
        raise ValueError(f"{kind(element)} has no {name}")
    return found


def _coordinates(element: _Element) -> list[float]:
    return [number(e, "value") for e in children(element, "coordinate")]


def _boolean(element: _Element) -> Boolean:
    for operator in ("and", "or", "not"):
        body = child(element, operator)
        if body is not None:
            refs = list(children(body, "gateReference"))
            names = tuple(attribute(r, "ref") for r in refs)
            flips = tuple(attribute(r, "use-as-complement") in {"true", "1"} for r in refs)
            if not names or not all(names) or (operator == "not" and len(names) != 1):
                raise ValueError(f"`{operator}` of {len(names)} gates")
            return Boolean(operator, names, flips if any(flips) else ())
    raise ValueError("boolean gate without and, or, not")


def _matrix(element: _Element) -> Spillover:
    dyes = tuple(_channel(e) for e in children(_one(element, "fluorochromes"), "fcs-dimension"))
    detectors = tuple(_channel(e) for e in children(_one(element, "detectors"), "fcs-dimension"))
    rows = [[number(c, "value") for c in children(s, "coefficient")] for s in children(element, "spectrum")]
    inverted = attribute(element, "matrix-inverted-already") in {"true", "1"}
    shape = (len(detectors), len(dyes)) if inverted else (len(dyes), len(detectors))
    if [len(r) for r in rows] != [shape[1]] * shape[0] or len(detectors) < len(dyes) or not dyes:
        raise ValueError(f"matrix `{attribute(element, 'id')}` is not {shape[0]} x {shape[1]}")
    return Spillover(dyes, detectors, np.array(rows), inverted)
