"""Results -> Axes: every figure is a function of a tidy table; it computes no statistic, shows and saves nothing.

``ax`` goes in and Axes come out, so that a figure of a paper is put together with matplotlib's own means. Colours are
fixed per category (:func:`colors`) and told apart by colour-blind eyes; :func:`style` holds sizes and fonts for a block
and changes nothing outside it.
"""

from cytof.plot._composition import composition
from cytof.plot._gates import biaxial, histogram, thresholds
from cytof.plot._heatmap import heatmap
from cytof.plot._map import key, map, maps
from cytof.plot._persistence import persistence
from cytof.plot._style import DOUBLE, SINGLE, TEXT, brief, colors, in_order, millimetres, style
from cytof.plot._violins import violins
from cytof.plot._waterfall import waterfall

__all__ = [
    "DOUBLE",
    "SINGLE",
    "TEXT",
    "biaxial",
    "brief",
    "colors",
    "composition",
    "heatmap",
    "histogram",
    "in_order",
    "key",
    "map",
    "maps",
    "millimetres",
    "persistence",
    "style",
    "thresholds",
    "violins",
    "waterfall",
]
