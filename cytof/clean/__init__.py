"""Events -> Events with a flag a step: beads, debris, doublets, dead cells. Nothing is dropped; gates drop.

``find_beads`` and ``intact`` add bool columns to ``events.flags`` (True = flagged) and put the geometry of each flag
into ``events.regions``, so that what was flagged can be drawn and exported. ``waterfall`` counts what is left.
"""

from cytof.clean._beads import BEADS, find_beads
from cytof.clean._debarcode import Debarcoding, debarcode
from cytof.clean._debarcode_key import read_key
from cytof.clean._intact import intact
from cytof.clean._spill import compensate, neighbours_of, read_spill
from cytof.clean._spill_estimate import estimate_spill
from cytof.clean._waterfall import waterfall

__all__ = [
    "BEADS",
    "Debarcoding",
    "compensate",
    "debarcode",
    "estimate_spill",
    "find_beads",
    "intact",
    "neighbours_of",
    "read_key",
    "read_spill",
    "waterfall",
]
