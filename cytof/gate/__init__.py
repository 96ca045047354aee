"""Events + template -> Gating in two passes: ``place`` thresholds over draws of all samples, ``apply`` them to each.

What a person changed afterwards (``overrides.yaml``) is laid over the thresholds by ``overridden``; ``change`` makes
one gate and what follows from it again; ``diff`` lists what two templates or two results differ in.
"""

from cytof.gate._apply import apply
from cytof.gate._blank import blank_gates
from cytof.gate._change import change, depends_on
from cytof.gate._diff import diff
from cytof.gate._gating import Gating
from cytof.gate._imported import apply_imported
from cytof.gate._override_file import add_override, read_overrides
from cytof.gate._overrides import Override, overridden, override_of
from cytof.gate._place import place
from cytof.gate._sample import other_controls
from cytof.gate._unusual import unusual

__all__ = [
    "Gating",
    "Override",
    "add_override",
    "apply",
    "apply_imported",
    "blank_gates",
    "change",
    "depends_on",
    "diff",
    "other_controls",
    "overridden",
    "override_of",
    "place",
    "read_overrides",
    "unusual",
]
