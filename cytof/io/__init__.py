"""Files <-> memory: FCS, sample sheets, tables and h5ad; everything read, nothing silently wrong, nothing lost."""

from cytof.io._deidentify import allowed_keywords, deidentify, left_over, scan_for
from cytof.io._fcs import read_fcs
from cytof.io._gate_tree import GateTree, ImportedGates
from cytof.io._gatingml import write_gatingml
from cytof.io._gatingml_in import read_gates
from cytof.io._growing import growing_h5ad
from cytof.io._infusions import read_infusions
from cytof.io._instrument import instrument
from cytof.io._scan import FCSHeader, scan_fcs
from cytof.io._sheet import read_sheet
from cytof.io._store import read_h5ad, write_h5ad, write_table
from cytof.io._write import write_fcs

__all__ = [
    "FCSHeader",
    "GateTree",
    "ImportedGates",
    "allowed_keywords",
    "deidentify",
    "growing_h5ad",
    "instrument",
    "left_over",
    "read_fcs",
    "read_gates",
    "read_h5ad",
    "read_infusions",
    "read_sheet",
    "scan_fcs",
    "scan_for",
    "write_fcs",
    "write_gatingml",
    "write_h5ad",
    "write_table",
]
