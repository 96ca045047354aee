"""What is written on a figure, where, and whether any of it is cut or lies on another: for tests of whole sets."""

from __future__ import annotations

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

__all__ = ["faults", "shown"]


def _hidden(figure: Figure) -> set[int]:
    """Return the texts that are made but not drawn: ticks outside the limits, axes that are switched off."""
    hidden = set()
    for ax in figure.findobj(Axes):
        if not ax.get_visible():
            hidden |= {id(t) for t in ax.findobj(Text)}
        if not ax.axison:
            hidden |= {id(t) for axis in (ax.xaxis, ax.yaxis) for t in axis.findobj(Text)}
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            for tick in (*axis.majorTicks, *axis.minorTicks):
                if not min(limits) - 1e-9 <= tick.get_loc() <= max(limits) + 1e-9:
                    hidden |= {id(tick.label1), id(tick.label2)}
    return hidden


def shown(figure: Figure) -> list[Text]:
    """Return the texts that a reader sees."""
    hidden = _hidden(figure)
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in hidden]


def faults(figure: Figure) -> list[str]:
    """Return one line for each text that is cut by the edge of the figure, and for each pair that overlaps."""
    width, height = figure.canvas.get_width_height()
    boxes = [(t.get_text(), t.get_window_extent()) for t in shown(figure)]
    found = [
        f"{name!r} is cut: {box}, figure {width} x {height}"
        for name, box in boxes
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    for (one, a), (two, b) in combinations(boxes, 2):
        across, along = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        if across >= 1 and along >= 1:
            found.append(f"{one!r} and {two!r} overlap by {across:.0f} x {along:.0f} pixels")
    return found
