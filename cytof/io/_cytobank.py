"""Cytobank's flavour of Gating-ML 2.0: gates by number, tailored to files by name, and populations as sets of gates.

A population (``GateSet``) is the ``and`` of all gates on its way down, so the tree is found again by inclusion: the
parent of a population is the one with the most gates among those whose gates it all has. Tailored gates stand in the
file once more, with the name of the FCS file they are for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cytof.errors import Caution
from cytof.io._gate_tree import GateTree, ImportedGates, TreeBuilder
from cytof.io._gatingml_parts import Parts
from cytof.io._xml import attribute, custom, kind
from cytof.region import Boolean, Region

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_cytobank"]

_Signed = tuple[str, bool]


def read_cytobank(root: _Element, where: str) -> ImportedGates:
    """Return the populations of an experiment, with the gates of each file that has gates of its own.

    Parameters
    ----------
    root
        Root element of the document.
    where
        Name of the file, for messages.

    Examples
    --------
    ``cytof.io.read_gates("CytExp_265881_Gates_v1.xml").tree("HuImmProfiling_S1_PBMC_1.fcs")``
    """
    experiment = _Experiment(root)
    refused: dict[tuple[str, str], Caution] = {}  # told once, for the default gates where they are concerned too
    samples: dict[str, GateTree] = {}
    default = experiment.tree("", where, refused)
    for file in experiment.files:
        samples[file] = experiment.tree(file, f"{where}[{file}]", refused)
    return ImportedGates(where, "Cytobank", default, samples, experiment.parts.spillover, tuple(refused.values()))


class _Experiment:
    def __init__(self, root: _Element) -> None:
        self.parts = Parts(root)
        self.variants: dict[str, dict[str, Region]] = {}  # gate number -> file name -> region
        self.names: dict[str, str] = {}
        self.faults: dict[str, str] = {}
        self.numbers: dict[str, str] = {}  # element id -> gate number
        self.sets: dict[str, tuple[str, frozenset[_Signed]]] = {}
        self.bad_sets: dict[str, tuple[str, str]] = {}
        sets = []
        for element in root:
            if custom(element, "cytobank", "gate_set_id"):
                sets.append(element)
            elif kind(element).endswith("Gate"):
                self._gate(element)
        for element in sets:
            self._set(element)
        self.parents = {key: self._parent(key) for key in self.sets}
        self.files = sorted({f for v in self.variants.values() for f in v if f})

    def _gate(self, element: _Element) -> None:
        key = attribute(element, "id")
        number = custom(element, "cytobank", "gate_id") or key
        name = custom(element, "cytobank", "name") or key
        file = custom(element, "cytobank", "fcs_file_filename")
        regions: dict[str, Region] = {}
        fault = ""
        if custom(element, "cytobank", "tailored_per_population_gateset_id"):
            fault = "is tailored to single populations, which is not supported"
        try:
            if kind(element) == "QuadrantGate":
                regions = dict(self.parts.quadrants(element))
            elif kind(element) == "BooleanGate":
                raise ValueError("BooleanGate outside of a population")
            else:
                regions = {key: self.parts.region(element)}
        except ValueError as error:
            fault = fault or str(error)
        for i, one in enumerate(regions or {key: None}, start=1):
            said = f"{number} quarter {i}" if kind(element) == "QuadrantGate" and regions else number
            self.numbers[one] = said
            self.names.setdefault(said, name if said == number else f"{name} quarter {i}")
            if fault:
                self.faults[said] = fault
            else:
                self.variants.setdefault(said, {})[file] = regions[one]

    def _set(self, element: _Element) -> None:
        key, name = attribute(element, "id"), custom(element, "cytobank", "name")
        try:
            region = self.parts.region(element)
            if not isinstance(region, Boolean) or region.operator != "and":
                raise ValueError("a population that is not `and` of gates")
            missing = [n for n in region.names if n not in self.numbers]
            if missing:
                raise ValueError(f"refers to gate `{missing[0]}`, which is not there")
            flips = region.complement or (False,) * len(region.names)
            gates = frozenset((self.numbers[n], f) for n, f in zip(region.names, flips, strict=True))
            self.sets[key] = (name or key, gates)
        except ValueError as error:
            self.bad_sets[key] = (name or key, str(error))

    def _parent(self, key: str) -> str | None:
        """Return the set with the most gates among those that are a true part of this one."""
        gates = self.sets[key][1]
        inside = [k for k, (_, other) in self.sets.items() if other < gates]
        return max(inside, key=lambda k: len(self.sets[k][1]), default=None)

    def tree(self, file: str, where: str, refused: dict[tuple[str, str], Caution]) -> GateTree:
        """Return the gates for a file; the tailored ones where there are any, else the default ones."""
        told: list[Caution] = []
        builder = TreeBuilder(where, told)
        builder.sources = self.parts.sources
        chosen = {n: v[file] if file in v else v[""] for n, v in self.variants.items() if file in v or "" in v}
        chosen = {n: r for n, r in chosen.items() if n not in self.faults}
        for key, (name, reason) in self.bad_sets.items():
            builder.refuse(key, name, reason)
        for key, (name, gates) in self.sets.items():
            self._population(builder, key, name, gates, chosen)
            if any(file and file in self.variants.get(n, {}) for n, _ in gates):
                builder.own.add(key)
        used = {n for _, gates in self.sets.values() for n, _ in gates}
        for number, region in chosen.items():
            if number not in used:  # a gate of no population is one by itself
                builder.add(f"gate {number}", self.names[number], None, region)
        for number in self.faults:
            if number not in used:
                builder.refuse(f"gate {number}", self.names[number], self.faults[number])
        tree = builder.tree()
        for caution in told:
            refused.setdefault((caution.where.removeprefix(where), caution.found), caution)
        return tree

    def _population(
        self, builder: TreeBuilder, key: str, name: str, gates: frozenset[_Signed], chosen: Mapping[str, Region]
    ) -> None:
        parent = self.parents[key]
        added = sorted(gates - (self.sets[parent][1] if parent else frozenset()), key=lambda g: (len(g[0]), g))
        for number, _ in added:
            if number not in chosen:
                reason = self.faults.get(number, "has no default, only gates for single files")
                builder.refuse(key, name, f"gate `{self.names[number]}` {reason}")
                return
        if len(added) == 1 and not added[0][1]:
            builder.add(key, name, parent, chosen[added[0][0]])
            return
        for number, _ in added:
            if not builder.has(f"gate {number}"):
                builder.add(f"gate {number}", f"gate {number} {self.names[number]}", None, chosen[number], block=True)
        names, flips = tuple(f"gate {n}" for n, _ in added), tuple(f for _, f in added)
        builder.add(key, name, parent, Boolean("and", names, flips if any(flips) else ()))
