"""All faults of a study in one list: those of its files and settings, and those of the gate changes beside it."""

from __future__ import annotations

from functools import partial

from cytof import gate, study
from cytof.errors import CytofError
from cytof.keys import Obs
from cytof.pipeline._files import read_sheet
from cytof.pipeline._story import OVERRIDES
from cytof.study import CheckResult, Study

__all__ = ["check"]


def check(loaded: Study) -> CheckResult:
    """Check a study (:func:`cytof.study.check`), its ``overrides.yaml`` and the controls of its sheet.

    Parameters
    ----------
    loaded
        From :func:`cytof.study.load`.
    """
    found = study.check(loaded)
    try:
        sheet, template = read_sheet(loaded), loaded.read_gates(loaded.read_panel())
    except CytofError:  # told already; nothing can be held against it
        return found
    found.cautions += gate.other_controls(sheet, str(loaded.path(loaded.samples)))
    found.attempt(partial(gate.read_overrides, loaded.path(OVERRIDES), template, sheet[Obs.SAMPLE]))
    return found
