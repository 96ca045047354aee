"""Gates as other software wrote them: the tree for one file, and all trees of one document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import nearest
from cytof.errors import Caution, InputError
from cytof.region import Boolean, Region

__all__ = ["GateTree", "ImportedGates", "ROOT", "Source", "Spillover", "TreeBuilder", "clean_name"]

ROOT = "root"


@dataclass(frozen=True)
class Source:
    """Where the values of a gate's dimension come from.

    Attributes
    ----------
    names
        ``$PnN`` of the channel, or the fluorochrome of a matrix; two for a ratio.
    compensation
        ``""`` none, ``"FCS"`` the file's own ``$SPILLOVER``, else the id of a matrix of the document.
    ratio
        A, B, C of ``A (x - B) / (y - C)``, or None.
    """

    names: tuple[str, ...]
    compensation: str = ""
    ratio: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class Spillover:
    """A matrix, shape (fluorochromes, detectors): how much of each dye is seen by each detector."""

    fluorochromes: tuple[str, ...]
    detectors: tuple[str, ...]
    matrix: NDArray[np.float64]
    inverted: bool = False


@dataclass(frozen=True, eq=False)
class GateTree:
    """The gates for one file.

    Attributes
    ----------
    regions
        Gate path -> region, a parent and what a boolean names before the gate itself. ``channel`` of a dimension is a
        key of ``sources``.
    parents
        Gate path -> parent's path, ``root`` at the top.
    blocks
        Names among ``regions`` that are no populations, only parts of others.
    sources
        Dimension's channel -> where its values come from.
    aliases
        Second names (ids, names with a slash) -> path.
    stored
        Gate path -> number of events the other software stored (``root``: of the file); empty when it stores none.
    own
        Gates that were changed for this file alone.
    """

    regions: Mapping[str, Region]
    parents: Mapping[str, str]
    blocks: frozenset[str] = frozenset()
    sources: Mapping[str, Source] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, int] = field(default_factory=dict)
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False, repr=False)
class ImportedGates:
    """What :func:`cytof.io.read_gates` returns.

    Attributes
    ----------
    source, flavour
        File name, and ``Gating-ML``, ``Cytobank`` or ``FlowJo``.
    default
        The gates for files without gates of their own; None in a FlowJo workspace.
    samples
        FCS file name -> the gates for it.
    spillover
        Matrices of the document by id.
    refused
        What was not imported, by branch and name.
    """

    source: str
    flavour: str
    default: GateTree | None
    samples: Mapping[str, GateTree] = field(default_factory=dict)
    spillover: Mapping[str, Spillover] = field(default_factory=dict)
    refused: tuple[Caution, ...] = ()

    def __repr__(self) -> str:
        n = len(self.table["gate"].unique())
        files = f", {len(self.samples)} files with gates of their own" if self.samples else ""
        no = f", {len(self.refused)} refused" if self.refused else ""
        return f"ImportedGates({self.source}: {self.flavour}, {n} populations{files}{no})"

    def tree(self, sample: str | None = None) -> GateTree:
        """Return the gates for an FCS file name; None: the default ones, or those of the only sample.

        Raises
        ------
        InputError
            The file is not in the document; the nearest name is given.
        """
        if sample is not None and sample in self.samples:
            return self.samples[sample]
        if sample is None and self.default is not None:
            return self.default
        if sample is None and len(self.samples) == 1:
            return next(iter(self.samples.values()))
        known = ", ".join(list(self.samples)[:8]) or "none"
        asked = f"no gates for `{sample}`" if sample is not None else "holds gates of several files; name one"
        raise InputError(f"{asked}, found {known}", where=self.source, hint=nearest(sample or "", list(self.samples)))

    @property
    def table(self) -> pd.DataFrame:
        """One row a file and population: ``file gate parent kind dimensions own stored`` (file "" : the default)."""
        trees = {"": self.default, **self.samples} if self.default is not None else dict(self.samples)
        rows = [
            {
                "file": file,
                "gate": path,
                "parent": tree.parents[path],
                "kind": type(region).__name__.lower(),
                "dimensions": " x ".join(d.channel for d in getattr(region, "dims", ())),
                "own": path in tree.own,
                "stored": tree.stored.get(path),
            }
            for file, tree in trees.items()
            if tree is not None
            for path, region in tree.regions.items()
            if path not in tree.blocks
        ]
        columns = ["file", "gate", "parent", "kind", "dimensions", "own", "stored"]
        return pd.DataFrame(rows, columns=columns).astype({"stored": "Int64"})


def clean_name(name: str) -> str:
    """Return a gate's name without slashes, which divide the gates of a path (``CD14+/-`` -> ``CD14+_-``)."""
    return " ".join(name.replace("/", "_").split()) or "unnamed"


class TreeBuilder:
    """Collects the gates of one file in any order and puts them into order.

    Nodes have keys (ids); :meth:`tree` gives them paths, sorts parents and operands first, and refuses, by name,
    every gate that stands on one that is missing, refused or circular.
    """

    def __init__(self, where: str, refused: list[Caution]) -> None:
        self.where, self.refused = where, refused
        self.sources: dict[str, Source] = {}
        self.stored: dict[str, int] = {}
        self.own: set[str] = set()
        self._nodes: dict[str, tuple[str, str | None, Region]] = {}
        self._paths: dict[str, str] = {}
        self._blocks: set[str] = set()
        self._bad: dict[str, str] = {}

    def has(self, key: str) -> bool:
        """Tell whether a gate of this key was added."""
        return key in self._nodes

    def add(
        self, key: str, name: str, parent: str | None, region: Region, *, path: str = "", block: bool = False
    ) -> None:
        """Add a gate; names of a boolean and ``parent`` are keys. ``path``: its full path, where the file states it."""
        if key in self._nodes or key in self._bad:
            self.refuse(f"{key} (again)", name, "its id is taken", branch=False)
            return
        self._nodes[key] = (name, parent, region)
        if path:
            self._paths[key] = path
        if block:
            self._blocks.add(key)

    def refuse(self, key: str, name: str, reason: str, *, branch: bool = True) -> None:
        """Note that a gate cannot be imported, and that what stands on it cannot either."""
        if branch:
            self._bad[key] = name
        self.refused.append(Caution(f"{self.where}:{name}", reason, "left out"))

    def tree(self) -> GateTree:
        """Return the gates in order."""
        order = self._order()
        paths = self._named(order)
        regions: dict[str, Region] = {}
        parents: dict[str, str] = {}
        aliases: dict[str, str] = {}
        for key in order:
            name, parent, region = self._nodes[key]
            path = paths[key]
            regions[path] = (
                Boolean(region.operator, tuple(paths[n] for n in region.names), region.complement)
                if isinstance(region, Boolean)
                else region
            )
            parents[path] = ROOT if parent is None else paths[parent]
            for second in (key, name):
                if second and second != path and key not in self._blocks:
                    aliases[second] = "" if aliases.get(second, path) != path else path
        used = {d.channel for r in regions.values() for d in getattr(r, "dims", ())}
        return GateTree(
            regions,
            parents,
            frozenset(paths[k] for k in order if k in self._blocks),
            {k: v for k, v in self.sources.items() if k in used},
            {k: v for k, v in aliases.items() if v and k not in regions},
            {ROOT if k == ROOT else paths[k]: n for k, n in self.stored.items() if k == ROOT or k in paths},
            frozenset(paths[k] for k in self.own if k in paths),
        )

    def _order(self) -> list[str]:
        """Return the keys with everything a gate stands on before it; refuse what stands on nothing or on itself."""
        done: dict[str, bool] = {}
        order: list[str] = []
        for first in self._nodes:
            stack = [(first, iter(self._needs(first)))] if first not in done else []
            open_keys = {first}
            while stack:
                key, needs = stack[-1]
                need = next(needs, None)
                if need is None or key in done:
                    stack.pop()
                    open_keys.discard(key)
                    if key not in done:
                        done[key] = True
                        order.append(key)
                    continue
                if need in open_keys:
                    self._left_out(key, done, f"stands on itself through `{self._name(need)}`")
                elif need not in self._nodes or done.get(need) is False:
                    self._left_out(key, done, f"stands on `{self._name(need)}`, which is not imported")
                elif need not in done:
                    stack.append((need, iter(self._needs(need))))
                    open_keys.add(need)
                    stack[-2] = (key, iter(self._needs(key)))
        return [k for k in order if done[k]]

    def _left_out(self, key: str, done: dict[str, bool], reason: str) -> None:
        done[key] = False
        self.refuse(key, self._name(key), reason)

    def _needs(self, key: str) -> Iterable[str]:
        _, parent, region = self._nodes[key]
        return [*([] if parent is None else [parent]), *(region.names if isinstance(region, Boolean) else ())]

    def _name(self, key: str) -> str:
        return self._nodes[key][0] if key in self._nodes else self._bad.get(key, key)

    def _named(self, order: list[str]) -> dict[str, str]:
        """Return key -> unique path."""
        paths: dict[str, str] = {}
        taken: dict[str, int] = {ROOT: 1}
        for key in order:
            name, parent, _ = self._nodes[key]
            path = self._paths.get(key) or clean_name(name)
            if key not in self._paths and parent is not None and key not in self._blocks:
                path = f"{paths[parent]}/{path}"
            unique = path
            while unique in taken:
                taken[path] += 1
                unique = f"{path} ({taken[path]})"
            taken[unique] = 1
            paths[key] = unique
        return paths
