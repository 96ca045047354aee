"""AnnData -> test tables: which markers and shares differ, by how much, with intervals, and the unit of the test."""

from cytof.compare._abundance import abundance
from cytof.compare._adjust import adjust
from cytof.compare._did import DID_EXTRAS, difference_of_differences
from cytof.compare._estimable import confounded, estimable
from cytof.compare._exact import smallest_p
from cytof.compare._location import hodges_lehmann, median_interval
from cytof.compare._markers import EXTRAS, markers
from cytof.compare._moderated import moderate
from cytof.compare._pairs import delong, permutation, rank_sum, welch
from cytof.compare._technical import against_technical, technical_shifts
from cytof.compare._trend import trend

__all__ = [
    "DID_EXTRAS",
    "EXTRAS",
    "abundance",
    "adjust",
    "against_technical",
    "confounded",
    "delong",
    "difference_of_differences",
    "estimable",
    "hodges_lehmann",
    "markers",
    "median_interval",
    "moderate",
    "permutation",
    "rank_sum",
    "smallest_p",
    "technical_shifts",
    "trend",
    "welch",
]
