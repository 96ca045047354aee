"""FlowJo 10 workspaces (.wsp): the gate tree of each sample, with the counts FlowJo stored.

FlowJo keeps rectangles and polygons in raw units and draws polygons on each channel's display scale, so vertices are
brought to that scale; ellipses are kept in display units of 0 to 256. FlowJo's biex has no published formula:
FlowKit's table is taken. Every sample carries its whole tree, changes for one sample included.

Source: facts about the format from FlowKit's documentation and the workspaces themselves.
"""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import numpy as np

from cytof.errors import Caution
from cytof.io._gate_tree import ROOT, GateTree, ImportedGates, Source, Spillover, TreeBuilder
from cytof.io._gatingml_parts import Axis, arcsinh_axis, checked_scale, ellipse_on
from cytof.io._xml import attribute, child, children, kind, number
from cytof.region import Boolean, Dimension, Polygon, Rectangle, Region
from cytof.scale import Scale

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_flowjo"]

_OPERATORS = {"AndNode": "and", "OrNode": "or", "NotNode": "not"}


def read_flowjo(root: _Element, where: str) -> ImportedGates:
    """Return the gates of every sample of a workspace.

    Parameters
    ----------
    root
        Root element of the workspace.
    where
        Name of the file, for messages.

    Examples
    --------
    ``cytof.io.read_gates("gating.wsp").tree("68983.fcs").stored``
    """
    refused: list[Caution] = []
    samples: dict[str, GateTree] = {}
    spillover: dict[str, Spillover] = {}
    found = child(root, "SampleList")
    for element in children(found, "Sample") if found is not None else ():
        node = child(element, "SampleNode")
        if node is None:
            continue
        name = attribute(node, "name") or _file_name(element)
        if name in samples:
            refused.append(Caution(f"{where}[{name}]", "a second sample of this name", "left out"))
            continue
        reader = _Sample(element, name, f"{where}[{name}]", refused)
        samples[name] = reader.tree(node)
        if reader.spillover is not None:
            spillover[reader.matrix] = reader.spillover
    return ImportedGates(where, "FlowJo", None, samples, spillover, tuple(refused))


def _file_name(sample: _Element) -> str:
    data = child(sample, "DataSet")
    return PurePosixPath(unquote(urlparse(attribute(data, "uri")).path)).name if data is not None else "unnamed"


class _Sample:
    """One sample's scales, matrix and gates."""

    def __init__(self, element: _Element, name: str, where: str, refused: list[Caution]) -> None:
        self.builder = TreeBuilder(where, refused)
        self.display: dict[str, _Display] = {}
        self.faults: dict[str, str] = {}
        self.prefix = self.suffix = ""
        self.matrix, self.matrix_fault = name, ""
        self.spillover: Spillover | None = None
        scales = child(element, "Transformations")
        for scale in scales if scales is not None else ():
            parameter = child(scale, "parameter")
            channel = attribute(parameter, "name") if parameter is not None else ""
            try:
                self.display[channel] = _display(scale)
            except ValueError as error:
                self.faults[channel] = str(error)
        matrices = list(children(element, "spilloverMatrix"))
        if matrices:
            self.prefix, self.suffix = attribute(matrices[0], "prefix"), attribute(matrices[0], "suffix")
            try:
                if len(matrices) > 1:
                    raise ValueError("the sample has more than one compensation matrix")
                self.spillover = _matrix(matrices[0])
            except ValueError as error:
                self.matrix_fault = str(error)

    def tree(self, node: _Element) -> GateTree:
        if attribute(node, "count").isdecimal():
            self.builder.stored[ROOT] = int(attribute(node, "count"))
        self._below(node, "")
        return self.builder.tree()

    def _below(self, node: _Element, parent: str) -> None:
        box = child(node, "Subpopulations")
        for element in box if box is not None else ():
            what, name = kind(element), attribute(element, "name")
            if what not in {"Population", *_OPERATORS}:
                continue  # statistics and the like
            key = f"{parent}/{name}" if parent else name
            try:
                region, outside = self._region(element)
                if outside:
                    self.builder.add(f"{key} [drawn]", f"{key} [drawn]", None, region, block=True)
                    region = Boolean("not", (f"{key} [drawn]",))
                self.builder.add(key, name, parent or None, region)
                if attribute(element, "count").isdecimal():
                    self.builder.stored[key] = int(attribute(element, "count"))
                if not attribute(element, "owningGroup"):
                    self.builder.own.add(key)
            except ValueError as error:
                self.builder.refuse(key, key, str(error))
            self._below(element, key)

    def _region(self, element: _Element) -> tuple[Region, bool]:
        """Return a population's region and whether the events outside of it are meant."""
        if kind(element) in _OPERATORS:
            box = child(element, "Dependents")
            names = tuple(attribute(d, "name") for d in children(box, "Dependent")) if box is not None else ()
            operator = _OPERATORS[kind(element)]
            if not names or (operator == "not" and len(names) != 1):
                raise ValueError(f"`{operator}` of {len(names)} gates")
            return Boolean(operator, names), False
        box = child(element, "Gate")
        drawn = next(iter(box), None) if box is not None else None
        if drawn is None:
            raise ValueError("a population without a gate")
        what = kind(drawn)
        if what not in {"RectangleGate", "PolygonGate", "EllipsoidGate"}:
            raise ValueError(f"{what} of FlowJo is not supported")
        parts = list(children(drawn, "dimension"))
        if not parts:
            raise ValueError("has no dimension")
        outside = attribute(drawn, "eventsInside", "1") == "0"
        if what == "RectangleGate":
            return self._rectangle(parts), outside
        shown = [self._shown(p) for p in parts]
        dims = tuple(d for d, _ in shown)
        if what == "EllipsoidGate":
            return _ellipse(drawn, dims, [s.unit for _, s in shown]), outside
        corners = [_coordinates(v) for v in children(drawn, "vertex")]
        if len(dims) != 2 or len(corners) < 3 or any(len(c) != 2 for c in corners):
            raise ValueError(f"polygon has {len(dims)} dimensions and {len(corners)} vertices")
        on_scale = tuple((shown[0][1].place(x), shown[1][1].place(y)) for x, y in corners)
        return Polygon((dims[0], dims[1]), on_scale), outside

    def _rectangle(self, parts: list[_Element]) -> Rectangle:
        """Bounds are raw; on arcsinh channels they are brought to that scale, elsewhere no scale is needed."""
        dims, low, high = [], [], []
        for part in parts:
            dim = Dimension(self._channel(part))
            display = self.display.get(dim.channel)
            bounds = number(part, "min", -math.inf), number(part, "max", math.inf)
            if display is not None and display.unit.cofactor is not None:
                dim = Dimension(dim.channel, display.unit.cofactor)
                bounds = display.place(bounds[0]), display.place(bounds[1])
            dims.append(dim)
            low.append(bounds[0])
            high.append(bounds[1])
        return Rectangle(tuple(dims), tuple(low), tuple(high))

    def _shown(self, part: _Element) -> tuple[Dimension, _Display]:
        channel = self._channel(part)
        if channel not in self.display:
            raise ValueError(self.faults.get(channel, f"channel `{channel}` has no scale in the workspace"))
        display = self.display[channel]
        return Dimension(channel, display.unit.cofactor, display.unit.scale), display

    def _channel(self, part: _Element) -> str:
        """Return the dimension's name and note where its values come from."""
        found = child(part, "fcs-dimension")
        name = attribute(found, "name") if found is not None else ""
        if not name:
            raise ValueError("a dimension names no channel")
        base = name.removeprefix(self.prefix).removesuffix(self.suffix)
        source = Source((name,))
        if base != name:
            if self.matrix_fault:
                raise ValueError(self.matrix_fault)
            if self.spillover is not None and base in self.spillover.detectors:
                source = Source((base,), self.matrix)
        self.builder.sources[name] = source
        return name


class _Display:
    """How FlowJo shows a channel: ``place`` raw -> our scale, ``unit`` its display units of 0 to 256 -> our scale."""

    def __init__(self, unit: Axis) -> None:
        self.unit = unit

    def place(self, raw: float) -> float:
        if not math.isfinite(raw):
            return raw
        if self.unit.scale is not None:
            return float(self.unit.scale.forward(np.array([raw]))[0])
        return raw if self.unit.cofactor is None else math.asinh(raw / self.unit.cofactor)


def _display(element: _Element) -> _Display:
    what = kind(element)
    if what == "linear":
        low, high = number(element, "minRange"), number(element, "maxRange")
        return _Display(Axis(slope=(high - low) / 256, offset=low))
    if what == "fasinh":
        axis = arcsinh_axis(number(element, "T"), number(element, "M"), number(element, "A", 0.0))
        return _Display(Axis(axis.cofactor, slope=axis.slope / 256, offset=axis.offset))
    if what == "log":
        offset, decades = number(element, "offset"), number(element, "decades")
        if offset <= 0 or not 0 < decades <= 50:
            raise ValueError(f"log has offset {offset:g} and {decades:g} decades")
        return _Display(Axis(scale=Scale("fj-log", T=offset * 10**decades, M=decades), slope=1 / 256))
    if what == "logicle":
        scale = checked_scale("logicle", *(number(element, letter, 0.0) for letter in "TWMA"))
        return _Display(Axis(scale=scale, slope=1 / 256))
    if what == "biex" and attribute(element, "length", "256") == "256":
        top, width = number(element, "maxRange"), number(element, "width")
        if top <= 0 or width >= 0:
            raise ValueError(f"biex has top {top:g} and width {width:g}")
        positive, negative = number(element, "pos"), number(element, "neg")
        if not 0 < positive <= 50 or not 0 <= negative <= 50 or math.log10(-width) / 2 >= positive:
            raise ValueError(f"biex has {positive:g} positive and {negative:g} negative decades, width {width:g}")
        return _Display(Axis(scale=Scale("fj-biex", T=top, W=width, M=positive, A=negative), slope=4096 / 256))
    raise ValueError(f"FlowJo's scale `{what}` is not supported; save the channel as linear, log, biex or arcsinh")


def _coordinates(element: _Element) -> list[float]:
    return [number(e, "value") for e in children(element, "coordinate")]


def _ellipse(drawn: _Element, dims: tuple[Dimension, ...], units: list[Axis]) -> Region:
    """Return the ellipse with these foci and the longer axis of the edge points, all in display units."""
    found = {}
    for name in ("foci", "edge"):
        box = child(drawn, name)
        found[name] = np.array([_coordinates(v) for v in children(box, "vertex")] if box is not None else [])
    foci, edge = found["foci"], found["edge"]
    if len(dims) != 2 or foci.shape != (2, 2) or edge.shape != (4, 2):
        raise ValueError("ellipse without two foci and four points of its edge")
    centre = foci.mean(axis=0)
    long = float(np.linalg.norm(edge - centre, axis=1).max())
    focal = float(np.linalg.norm(foci[1] - foci[0])) / 2
    if not focal < long:
        raise ValueError("ellipse has no area")
    along = (foci[1] - foci[0]) / (2 * focal) if focal else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    covariance = long**2 * np.outer(along, along) + (long**2 - focal**2) * np.outer(across, across)
    return ellipse_on(dims, units, centre.tolist(), covariance, 1.0)


def _matrix(element: _Element) -> Spillover:
    if attribute(element, "spectral") == "1":
        raise ValueError("spectral unmixing is not supported")
    box = child(element, "parameters")
    detectors = tuple(attribute(p, "name") for p in children(box, "parameter")) if box is not None else ()
    rows = {}
    for row in children(element, "spillover"):
        cells = {attribute(c, "parameter"): number(c, "value") for c in children(row, "coefficient")}
        rows[attribute(row, "parameter")] = [cells.get(d, 0.0) for d in detectors]
    if not detectors or set(rows) != set(detectors):
        raise ValueError("the compensation matrix is not square")
    return Spillover(detectors, detectors, np.array([rows[d] for d in detectors]))
