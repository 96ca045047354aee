"""One gate over all samples as small pictures, the most unusual first, from the binned views of the gate stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from cytof.app._desk import Desk
from cytof.app._handles import Frame, outline
from cytof.region import Boolean

__all__ = ["Multiples"]

_MOST = 8
_GATE, _HERE = "#d55e00", "#0072b2"


class Multiples:
    """A row of small figures, one a sample; a tap on one turns to its sample.

    Parameters
    ----------
    n_samples
        Samples of the study; at most eight are shown, the most unusual of the gate that is looked at.
    turn
        Called with the sample's name.
    """

    def __init__(self, n_samples: int, turn: Callable[[str], None]) -> None:
        from bokeh.layouts import row
        from bokeh.models import ColumnDataSource

        self.names = [""] * min(n_samples, _MOST)
        self.events = [ColumnDataSource(_no_boxes()) for _ in self.names]
        self.gates = [ColumnDataSource({"xs": [], "ys": []}) for _ in self.names]
        self.figures = [self._figure(i, turn) for i in range(len(self.names))]
        self.layout = row(*self.figures)

    def _figure(self, i: int, turn: Callable[[str], None]) -> Any:
        from bokeh.events import Tap
        from bokeh.models import Range1d
        from bokeh.plotting import figure

        width = min(156, 1240 // max(len(self.names), 1))
        fig = figure(width=width, height=150, tools="tap", toolbar_location=None, x_range=Range1d(0, 1),
                     y_range=Range1d(0, 1))  # fmt: skip
        fig.axis.visible, fig.grid.visible = False, False
        fig.title.text_font_size = "11px"
        fig.quad(left="left", right="right", bottom="bottom", top="top", fill_color="#6b7280", fill_alpha="alpha",
                 line_color=None, source=self.events[i])  # fmt: skip
        fig.multi_polygons(xs="xs", ys="ys", source=self.gates[i], fill_color=_GATE, fill_alpha=0.08, line_color=_GATE)
        fig.on_event(Tap, lambda _: turn(self.names[i]) if self.names[i] else None)
        return fig

    def show(self, desk: Desk) -> None:
        """Draw the gate that is looked at in the samples where it is most unusual, and in the one that is open."""
        names = desk.most_unusual_at(desk.path)[: len(self.names)]
        if desk.sample not in names:
            names[-1] = desk.sample
        for i, name in enumerate(names):
            self._draw(i, name, desk)

    def _draw(self, i: int, name: str, desk: Desk) -> None:
        fig = self.figures[i]
        self.names[i] = name
        fig.title.text = name
        fig.outline_line_color, fig.outline_line_width = (_HERE, 3) if name == desk.sample else ("#d1d5db", 1)
        view = desk.view(name)
        regions = [] if view is None else [r for r in desk.regions_of(name) if not isinstance(r, Boolean)]
        boxes, frame = _boxes(view)
        self.events[i].data = boxes
        lines = [outline(r, frame) for r in regions]
        self.gates[i].data = {"xs": [[[x]] for x, _ in lines], "ys": [[[y]] for _, y in lines]}
        fig.x_range.start, fig.x_range.end, fig.y_range.start, fig.y_range.end = frame


def _no_boxes() -> dict[str, Any]:
    return {c: np.empty(0) for c in ("left", "right", "bottom", "top", "alpha")}


def _boxes(view: pd.DataFrame | None) -> tuple[dict[str, Any], Frame]:
    """Return the bins of a view as boxes and the frame that holds them; of one channel, bars of log counts."""
    if view is None or not len(view):
        return _no_boxes(), (0.0, 1.0, 0.0, 1.0)
    n = np.log10(1 + view["n"].to_numpy(float))
    left, right = view["x_low"].to_numpy(float), view["x_high"].to_numpy(float)
    if view["y_low"].notna().any():
        bottom, top = view["y_low"].to_numpy(float), view["y_high"].to_numpy(float)
        frame = (left.min(), right.max(), bottom.min(), top.max())
        alpha = 0.15 + 0.85 * n / max(n.max(), 1e-9)
    else:
        bottom, top, alpha = np.zeros(len(n)), n, np.full(len(n), 0.9)
        frame = (left.min(), right.max(), 0.0, float(n.max() * 1.1) or 1.0)
    boxes = {"left": left, "right": right, "bottom": bottom, "top": top, "alpha": alpha}
    return boxes, tuple(float(v) for v in frame)  # type: ignore[return-value]
