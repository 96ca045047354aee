"""The map of the house: a study on disk goes through every room in order."""

from cytof.pipeline._clean import cleaned
from cytof.pipeline._export import export
from cytof.pipeline._files import read_cells, read_sheet
from cytof.pipeline._import import gate_imported
from cytof.pipeline._names import name_clusters
from cytof.pipeline._share import viewer, workbook
from cytof.pipeline._stages import OVERRIDES, STAGES, cluster, compare, gate, gate_pages, report, run, track

__all__ = [
    "OVERRIDES", "STAGES", "cleaned", "cluster", "compare", "export", "gate", "gate_imported", "gate_pages",
    "name_clusters", "read_cells", "read_sheet", "report", "run", "track", "viewer",
    "workbook",
]  # fmt: skip
