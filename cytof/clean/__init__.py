"""Events -> Events with a flag a step: beads, debris, doublets, dead cells. Nothing is dropped; gates drop.

``find_beads`` and ``intact`` add bool columns to ``events.flags`` (True = flagged) and put the geometry of each flag
into ``events.regions``, so that what was flagged can be drawn and exported. ``waterfall`` counts what is left.
"""

from cytof.clean._beads import BEADS, find_beads
from cytof.clean._intact import intact
from cytof.clean._waterfall import waterfall

__all__ = ["BEADS", "find_beads", "intact", "waterfall"]
