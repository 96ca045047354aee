"""The gate on its parent's events: a raster of two channels or the histogram of one, with handles to drag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof.app._desk import Desk
from cytof.app._handles import outline
from cytof.app._raster import blank_rows, frame_of, heights, raster, scaled
from cytof.gate import blank_gates
from cytof.region import Boolean, Region

__all__ = ["GatePicture"]

_NEW, _OLD = "#d55e00", "#6b7280"
_EMPTY: dict[str, list[Any]] = {"xs": [], "ys": []}


class GatePicture:
    """A Bokeh figure that shows one gate and calls back with its handles when they are dragged.

    Parameters
    ----------
    dragged
        Called with the handles, shape (n_handles, 2), on the scale of the gate.
    """

    def __init__(self, dragged: Callable[[NDArray[np.float64]], None]) -> None:
        from bokeh.models import ColumnDataSource, LinearColorMapper, PointDrawTool, Range1d
        from bokeh.plotting import figure

        self.dragged, self.frame, self.quiet, self.chosen = dragged, (0.0, 1.0, 0.0, 1.0), False, 0
        self.figure = figure(
            width=570, height=440, tools="pan,wheel_zoom,box_zoom,reset,save", toolbar_location="above",
            x_range=Range1d(0, 1), y_range=Range1d(0, 1), output_backend="canvas", name="gate",
        )  # fmt: skip
        self.figure.toolbar.logo = None
        self.image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        self.bars, self.blank = (ColumnDataSource({"low": [], "high": [], "top": []}) for _ in range(2))
        self.before, self.after = ColumnDataSource(dict(_EMPTY)), ColumnDataSource(dict(_EMPTY))
        self.points = ColumnDataSource({"x": [], "y": []}, name="handles")
        mapper = LinearColorMapper(palette="Viridis256", nan_color="rgba(0,0,0,0)")
        self.figure.image("image", x="x", y="y", dw="dw", dh="dh", source=self.image, color_mapper=mapper)
        style = {"left": "low", "right": "high", "top": "top", "bottom": 0, "line_color": None}
        self.figure.quad(**style, fill_color="#9ca3af", source=self.bars)
        self.figure.quad(**style, fill_color="#0072b2", fill_alpha=0.55, source=self.blank)
        self.figure.multi_polygons(
            xs="xs", ys="ys", source=self.before, fill_alpha=0, line_color=_OLD, line_dash="dashed", line_width=1.5
        )
        self.figure.multi_polygons(
            xs="xs", ys="ys", source=self.after, fill_color=_NEW, fill_alpha=0.07, line_color=_NEW, line_width=2
        )
        marks = self.figure.scatter(
            "x", "y", source=self.points, size=14, fill_color="white", line_color=_NEW, line_width=3
        )
        tool = PointDrawTool(renderers=[marks], add=False, num_objects=0)
        self.figure.add_tools(tool)
        self.figure.toolbar.active_tap = tool
        self.figure.toolbar.active_drag = tool
        self.points.on_change("data", self._moved)

    def show(self, desk: Desk) -> None:
        """Draw another gate or sample: the parent's events, the blank's, the gate, its handles."""
        region = desk.region()
        gated = desk.opened(desk.sample)
        drawable = not isinstance(region, Boolean) and 1 <= len(region.dims) <= 2
        self.image.data = {"image": [], "x": [], "y": [], "dw": [], "dh": []}
        for source in (self.bars, self.blank):
            source.data = {"low": [], "high": [], "top": []}
        if not drawable:
            self._outline(self.before, [])
            self._outline(self.after, [])
            self._handles(np.empty((0, 2)))
            self.figure.title.text = "a boolean gate: change the gates it is made of"
            return
        assert not isinstance(region, Boolean)
        rows = gated.mask(desk.gate.parent)
        points = [scaled(gated, d, rows) for d in region.dims]
        self.frame = frame_of(points, region)
        if len(points) == 2:
            left, right, low, high = self.frame
            picture = raster(points[0], points[1], self.frame)
            self.image.data = {"image": [picture], "x": [left], "y": [low], "dw": [right - left], "dh": [high - low]}
        else:
            self._histograms(desk, points[0])
        names = [desk.gate.dims[i] if i < len(desk.gate.dims) else d.channel for i, d in enumerate(region.dims)]
        self._axes(names, [d.cofactor for d in region.dims])
        self.figure.title.text = f"{desk.path.rsplit('/', 1)[-1]} on {desk.gate.parent.rsplit('/', 1)[-1]}"
        self.chosen = 0
        self.redraw(desk)

    def redraw(self, desk: Desk) -> None:
        """Draw the outlines and put the handles where the desk has them; the events stay."""
        old = desk.opened(desk.sample).regions
        self._outline(self.before, [old[p] for p in desk.siblings()] if desk.trial is not None else [])
        self._outline(self.after, [desk.region(p) for p in desk.siblings()])
        self._handles(desk.handles())

    def choose(self, by: int) -> None:
        """Take hold of the next handle, for the keyboard."""
        n = len(self.points.data["x"])
        self.chosen = (self.chosen + by) % n if n else 0
        self.points.selected.indices = [self.chosen] if n else []

    def nudge(self, across: int, up: int, by: float) -> None:
        """Move the handle that was chosen, for the keyboard."""
        if not len(self.points.data["x"]):
            return
        points = self._points()
        points[self.chosen] += np.array([across, up]) * by
        self.points.data = {"x": points[:, 0].tolist(), "y": self._ys(points).tolist()}

    def _histograms(self, desk: Desk, values: NDArray) -> None:
        table = heights(values, self.frame)
        sources = [(self.bars, table)]
        if desk.gate.method == "control":
            gated = desk.opened(desk.sample)
            rows = blank_rows(gated, [(g.path, g.parent) for g in blank_gates(desk.template)])
            dims = desk.region().dims  # type: ignore[union-attr]
            sources.append((self.blank, heights(scaled(gated, dims[0], rows), self.frame)))
        for source, rows_of in sources:
            source.data = {c: rows_of[c].to_numpy() for c in ("low", "high", "top")}
        self.frame = (*self.frame[:2], 0.0, float(max(t["top"].max() for _, t in sources) * 1.1 or 1.0))

    def _axes(self, names: list[str], cofactors: list[float | None]) -> None:
        for span, low, high in (
            (self.figure.x_range, *self.frame[:2]), (self.figure.y_range, *self.frame[2:]),
        ):  # fmt: skip
            span.start, span.end = low, high
            span.reset_start, span.reset_end = low, high
        labels = [n if c is None else f"{n}   arcsinh(counts / {c:g})" for n, c in zip(names, cofactors, strict=True)]
        self.figure.xaxis.axis_label = labels[0]
        self.figure.yaxis.axis_label = labels[1] if len(labels) == 2 else "log10(1 + events)"

    def _outline(self, source: Any, regions: list[Region]) -> None:
        lines = [outline(r, self.frame) for r in regions]
        source.data = {"xs": [[[x]] for x, _ in lines], "ys": [[[y]] for _, y in lines]}

    def _handles(self, points: NDArray[np.float64]) -> None:
        self.quiet = True
        self.points.data = {"x": points[:, 0].tolist(), "y": self._ys(points).tolist()}
        self.quiet = False

    def _ys(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Handles of a gate on one channel stand half way up."""
        flat = len(points) and not len(self.image.data["image"])
        return np.full(len(points), (self.frame[2] + self.frame[3]) / 2) if flat else points[:, 1]

    def _points(self) -> NDArray[np.float64]:
        return np.column_stack([np.asarray(self.points.data[c], float) for c in ("x", "y")]).reshape(-1, 2)

    def _moved(self, attr: str, old: Any, new: Any) -> None:
        if not self.quiet and len(self.points.data["x"]):
            self.dragged(self._points())
