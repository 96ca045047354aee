"""Results -> Axes: every figure is a function of a tidy table; it computes no statistic, shows and saves nothing.

``ax`` goes in and Axes come out, so that a figure of a paper is put together with matplotlib's own means. Colours are
fixed per category (:func:`colors`) and told apart by colour-blind eyes; :func:`style` holds sizes and fonts for a block
and changes nothing outside it.
"""

from cytof.plot._alluvial import alluvial, stream
from cytof.plot._assay import assay
from cytof.plot._composition import composition
from cytof.plot._forest import boxes, course, forest
from cytof.plot._gates import biaxial, histogram, thresholds
from cytof.plot._heatmap import heatmap
from cytof.plot._intervals import intervals
from cytof.plot._km import groups_palette, incidence, km
from cytof.plot._map import key, map, maps
from cytof.plot._patients import flow, states, swimmer
from cytof.plot._persistence import persistence
from cytof.plot._ridges import ridges
from cytof.plot._samples import delta_area, frequencies, mds, nrs
from cytof.plot._style import DOUBLE, SINGLE, TEXT, brief, colors, in_order, millimetres, style
from cytof.plot._tree import tree
from cytof.plot._violins import split_violins, violins
from cytof.plot._waterfall import waterfall

__all__ = [
    "DOUBLE",
    "SINGLE",
    "TEXT",
    "alluvial",
    "assay",
    "biaxial",
    "boxes",
    "brief",
    "colors",
    "composition",
    "course",
    "delta_area",
    "flow",
    "forest",
    "frequencies",
    "groups_palette",
    "heatmap",
    "histogram",
    "in_order",
    "incidence",
    "intervals",
    "key",
    "km",
    "map",
    "maps",
    "mds",
    "millimetres",
    "nrs",
    "persistence",
    "ridges",
    "split_violins",
    "states",
    "stream",
    "style",
    "swimmer",
    "thresholds",
    "tree",
    "violins",
    "waterfall",
]
