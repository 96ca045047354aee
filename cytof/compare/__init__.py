"""AnnData -> test tables: which markers differ, by how much, with intervals, and what the unit of the test was."""

from cytof.compare._adjust import adjust
from cytof.compare._markers import EXTRAS, markers
from cytof.compare._pairs import delong, permutation, rank_sum, welch

__all__ = ["EXTRAS", "adjust", "delong", "markers", "permutation", "rank_sum", "welch"]
