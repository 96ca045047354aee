"""Cells that cannot bear a CAR: which of a tube's cells are, which control samples are, and which to go by.

Rank of blanks: T cells before the infusion or of healthy donors, then of a tube stained without the CAR reagent (FMO),
then the tube's own cells that are no T cells (B cells, monocytes, granulocytes). The first two are named in the column
``control`` of the sample sheet.

In-sample blanks hold doublets with CAR T cells: with 3 % CAR T cells and 2 % doublets, 6e-4 of the blanks are bright.
A blank event that bears the T cell marker too (CD3) is such a candidate; candidates are counted, and left out of the
material that the threshold rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cytof.errors import TemplateError
from cytof.gate._sample import Sample
from cytof.panel.template import ROOT, Gate, Template
from cytof.region import Region, mask

__all__ = ["Blank", "blank_gates", "blank_kinds", "choose_blank", "stuck_to_t"]

RANK = (("pre-infusion", "healthy"), ("FMO",))
ENOUGH = 200
_MARKER = 0.3  # a marker on more of the blanks than this tells no doublet

Masks = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Blank:
    """Blanks for one threshold: what they are, whose, and their counts on the CAR channel."""

    kind: str
    samples: tuple[str, ...]
    counts: NDArray[np.float32]


def blank_gates(template: Template) -> tuple[Gate, ...]:
    """Return the gates that the in-sample blanks are read from.

    ``blanks`` of the CAR gate where it names some; else the gates above it named ``-`` (what CD19- leaves out is no T
    cell); else the deepest gate above it on one marker (what CD3+ leaves out).

    Raises
    ------
    TemplateError
        A gate above the CAR gate that is named in ``blanks`` combines flags or gates, which says nothing of lineage.
    """
    if template.car_gate is None:
        return ()
    car = template.gate(template.car_gate)
    lines = [g for g in template.gates if car.path.startswith(f"{g.path}/")]
    named = car.args.get("blanks")
    if named is None:
        single = [g for g in lines if len(g.dims) == 1]
        return tuple(g for g in single if g.signs == "-") or tuple(single[-1:])
    gates = tuple(template.gate(n) for n in named)
    wrong = [g.pop for g in gates if not g.dims and g in lines]
    if wrong:
        raise TemplateError(
            f"blanks name {', '.join(wrong)}", where=template.where, hint="name gates on a lineage marker"
        )
    return gates


def blank_kinds(template: Template, masks: Masks, n_events: int) -> dict[str, NDArray[np.bool_]]:
    """Return kind -> the cells of a tube that are blanks: ``CD19+``, ``CD14+`` ...; empty without a CAR gate.

    Of a gate above the CAR gate they are what it leaves out of its parent, of any other gate the cells in it.
    """
    kinds: dict[str, NDArray[np.bool_]] = {}
    for gate in blank_gates(template):
        if str(template.car_gate).startswith(f"{gate.path}/"):
            parent = np.ones(n_events, bool) if gate.parent == ROOT else masks[gate.parent]
            kinds[f"{gate.dims[0]}{'+' if gate.signs == '-' else '-'}"] = parent & ~masks[gate.path]
        else:
            kinds[gate.pop] = masks[gate.path]
    return kinds


def stuck_to_t(
    template: Template, blanks: NDArray[np.bool_], regions: Mapping[str, Region], column: Callable[[str], NDArray]
) -> NDArray[np.bool_] | None:
    """Return which blanks bear the T cell marker too: doublets with a T cell; None where no marker tells them.

    The marker is that of the deepest gate above the CAR gate on one channel (CD3+), if it is not what makes the blanks.
    """
    car = str(template.car_gate)
    own = {g.path for g in blank_gates(template)}
    lines = [g for g in template.gates if car.startswith(f"{g.path}/") and len(g.dims) == 1 and g.signs == "+"]
    if not lines or lines[-1].path in own:
        return None
    bears = blanks & mask(regions[lines[-1].path], column)
    return bears if bears.sum() <= _MARKER * max(blanks.sum(), 1) else None


def choose_blank(members: list[Sample], samples: list[Sample], template: Template, dim: str, source: str) -> Blank:
    """Return the blanks for a threshold of ``members``: the best rank that holds 200 cells, else what there is.

    Control samples of the members' batch come before those of other batches; the tube's own before other tubes'.
    """
    batches = {s.batch for s in members}
    for kinds in RANK:
        controls = [s for s in samples if s.control in kinds]
        near = [s for s in controls if s.batch in batches]
        for found in (near, controls):
            counts = _joined([s.counts(dim, s.mask(source)) for s in found])
            if len(counts) >= ENOUGH:
                kind = " and ".join(k for k in kinds if any(s.control == k for s in found))
                return Blank(kind, tuple(s.name for s in found), counts)
    own = _in_sample(members, template, dim)
    if len(own) >= ENOUGH or len(members) == len(samples):
        return Blank("not T", tuple(s.name for s in members), own)
    return Blank("not T, all samples", tuple(s.name for s in samples), _in_sample(samples, template, dim))


def _in_sample(samples: list[Sample], template: Template, dim: str) -> NDArray[np.float32]:
    parts = []
    for sample in samples:
        inside = np.zeros(sample.n, bool)
        for hit in blank_kinds(template, sample.masks, sample.n).values():
            inside |= hit
        stuck = stuck_to_t(template, inside, sample.regions, sample.column)
        parts.append(sample.counts(dim, inside if stuck is None else inside & ~stuck))
    return _joined(parts)


def _joined(parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.empty(0, np.float32)
