"""The map of the house: a study on disk goes through every room in order, and goes on where it was stopped."""

from cytof.pipeline._check import check
from cytof.pipeline._clean import cleaned
from cytof.pipeline._dask import dask_workers
from cytof.pipeline._doctor import doctor
from cytof.pipeline._export import export
from cytof.pipeline._files import read_cells, read_sheet
from cytof.pipeline._gate import gate, gate_pages
from cytof.pipeline._import import gate_imported
from cytof.pipeline._names import name_clusters
from cytof.pipeline._plan import plan
from cytof.pipeline._ready import Needs, needs
from cytof.pipeline._run import STAGES, cluster, compare, report, run, track
from cytof.pipeline._share import viewer, workbook
from cytof.pipeline._story import OVERRIDES
from cytof.pipeline._verify import Verified, verify
from cytof.pipeline._work import HERE, Workers

__all__ = [
    "HERE", "Needs", "OVERRIDES", "STAGES", "Verified", "Workers", "check", "cleaned", "cluster", "compare",
    "dask_workers", "doctor", "export", "gate", "gate_imported", "gate_pages", "name_clusters", "needs", "plan",
    "read_cells", "read_sheet", "report", "run", "track", "verify", "viewer", "workbook",
]  # fmt: skip
