"""AnnData -> tidy tables over the visits: shares, subsets, marker levels, and what heatmaps, violins and maps draw."""

from cytof.track._abundance import abundance
from cytof.track._cells import default_markers, levels
from cytof.track._concordance import concordance
from cytof.track._courses import courses, persistence
from cytof.track._detection import detection_power, limit_of_blank, limit_of_detection, limit_of_quantification
from cytof.track._disagreement import disagreement
from cytof.track._distributions import distributions
from cytof.track._flow import flow
from cytof.track._interval import clopper_pearson
from cytof.track._likeness import non_redundancy, sample_distances
from cytof.track._map import map
from cytof.track._planning import events_needed
from cytof.track._profile import profile
from cytof.track._safety import safety
from cytof.track._sensitivity import gate_sensitivity
from cytof.track._shape import dendrogram, densities, map_density, stars
from cytof.track._state import state
from cytof.track._subsets import composition, subsets

__all__ = [
    "abundance",
    "clopper_pearson",
    "composition",
    "concordance",
    "courses",
    "default_markers",
    "dendrogram",
    "densities",
    "detection_power",
    "disagreement",
    "distributions",
    "events_needed",
    "flow",
    "gate_sensitivity",
    "levels",
    "limit_of_blank",
    "limit_of_detection",
    "limit_of_quantification",
    "map",
    "map_density",
    "non_redundancy",
    "persistence",
    "profile",
    "safety",
    "sample_distances",
    "stars",
    "state",
    "subsets",
]
