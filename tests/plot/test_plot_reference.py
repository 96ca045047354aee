"""Eight figures beside their reference pictures (``python tests/plot/drawn.py`` draws those anew), and their texts."""

from __future__ import annotations

import importlib.util
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from cytof import plot

_SPEC = importlib.util.spec_from_file_location("drawn", Path(__file__).with_name("drawn.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
drawn = importlib.util.module_from_spec(_SPEC)
sys.modules["drawn"] = drawn
_SPEC.loader.exec_module(drawn)

NAMES = sorted(drawn.FIGURES)


def apart(one: np.ndarray, two: np.ndarray) -> float:
    """Return the mean difference (0-255) of two pictures in blocks of 6 pixels: the edge of a letter does not count."""
    assert one.shape == two.shape
    tall, wide = (s // 6 * 6 for s in one.shape[:2])
    blocks = [
        p[:tall, :wide].astype(float).reshape(tall // 6, 6, wide // 6, 6, 3).mean(axis=(1, 3)) for p in (one, two)
    ]
    return float(np.abs(blocks[0] - blocks[1]).mean())


@pytest.mark.parametrize("name", NAMES)
def test_figure_is_that_of_the_reference(name) -> None:
    file = drawn.FOLDER / f"{name}.png"
    assert file.stat().st_size < 60_000
    with Image.open(file) as image:
        assert apart(drawn.picture(name), np.asarray(image.convert("RGB"))) < 1.5


def test_another_figure_is_told_apart() -> None:
    """The comparison can fail: other shares, another palette, another order are each seen."""
    with Image.open(drawn.FOLDER / "alluvial.png") as image:
        there = np.asarray(image.convert("RGB"))
    for other in ("stream", "violins"):
        assert apart(drawn.picture(other), there) > 5
    swapped = drawn.shares().assign(cluster=list("213") * 3)
    drawn.FIGURES["swapped"] = lambda ax: plot.alluvial(swapped, ax=ax)
    try:
        assert apart(drawn.picture("swapped"), there) > 5
    finally:
        del drawn.FIGURES["swapped"]


@pytest.mark.parametrize("name", NAMES)
def test_texts_do_not_overlap(name) -> None:
    with plot.style():
        figure = Figure(figsize=plot.millimetres(plot.DOUBLE, 80), dpi=150, layout="constrained")
        drawn.FIGURES[name](figure.subplots())
        for _ in range(3):
            figure.get_layout_engine().execute(figure)
        figure.draw_without_rendering()
    beyond = {
        id(tick.label1)
        for ax in figure.findobj(Axes)
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
        for tick in (*axis.majorTicks, *axis.minorTicks)
        if not min(limits) <= tick.get_loc() <= max(limits)
    }  # made by matplotlib, but not drawn
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in beyond]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
    width, height = figure.canvas.get_width_height()
    inside = [(n, b) for n, b in boxes if 0 < b.x0 < width and 0 < b.y0 < height]
    assert len(inside) >= 5
    for text, box in inside:
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    for (one, a), (two, b) in combinations(inside, 2):
        across, along = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or along < 1, f"{one!r} and {two!r} overlap"
