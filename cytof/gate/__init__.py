"""Events + template -> Gating in two passes: ``place`` thresholds over draws of all samples, ``apply`` them to each."""

from cytof.gate._apply import apply
from cytof.gate._gating import Gating
from cytof.gate._imported import apply_imported
from cytof.gate._place import place

__all__ = ["Gating", "apply", "apply_imported", "place"]
