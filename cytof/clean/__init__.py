"""Events -> Events with a flag a step: beads, debris, doublets, dead cells. Nothing is dropped; gates drop.

``find_beads``, ``steady`` and ``intact`` add bool columns to ``events.flags`` (True = flagged) and put the geometry of
each flag into ``events.regions``, so that what was flagged can be drawn and exported; ``waterfall`` counts the rest.
``normalize_beads``, ``remove_dither`` and ``add_dither`` change counts. Each step leaves a record in ``events.steps``.
``compensate`` takes spillover out and comes before all of them; ``debarcode`` tells the samples of a pooled run apart.
``limits`` lists what each limit takes out alone, ``against`` holds the clean-up against a chain of manual gates.
"""

from cytof.clean._bead_tables import bead_reference, bead_traces
from cytof.clean._beads import BEADS, bead_kinds, find_beads
from cytof.clean._debarcode import Debarcoding, debarcode
from cytof.clean._debarcode_key import read_key
from cytof.clean._dither import add_dither, dither_kind, remove_dither, tell_dither
from cytof.clean._intact import intact
from cytof.clean._limits import AGREEMENT, LIMITS, against, limits
from cytof.clean._normalize import normalize_beads
from cytof.clean._spill import compensate, neighbours_of, read_spill
from cytof.clean._spill_estimate import estimate_spill
from cytof.clean._steady import steady, time_windows
from cytof.clean._waterfall import waterfall

__all__ = [
    "AGREEMENT",
    "BEADS",
    "Debarcoding",
    "LIMITS",
    "add_dither",
    "against",
    "bead_kinds",
    "bead_reference",
    "bead_traces",
    "compensate",
    "debarcode",
    "dither_kind",
    "estimate_spill",
    "find_beads",
    "intact",
    "limits",
    "neighbours_of",
    "normalize_beads",
    "read_key",
    "read_spill",
    "remove_dither",
    "steady",
    "tell_dither",
    "time_windows",
    "waterfall",
]
