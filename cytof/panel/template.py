"""Gating template: a YAML file -> the tree of gate definitions. Data, no events.

One entry a gate (``pop``), in openCyto's words::

    gates:
      - pop: CD3+                 # + keeps what lies above the threshold, - what lies below
        parent: CD45+             # an earlier pop or a path; `root` by default
        dims: CD3                 # antigen, channel or role; two for quadrant, polygon and flowclust
        gating_method: mindensity
        gating_args: {bounds: [1, 4]}
        collapse: pooled          # whose events place the threshold: sample (default), batch, pooled

``quadrant`` makes several pops at once, ``pop: {CD4: "+-", CD8: "-+", DP: "++", DN: "--"}``. Every method and argument
is described in ``panels/README.md``; :func:`cytof.panel.load_gates` reads the file and refuses all else.

Source of the vocabulary: Finak et al. 2014, openCyto (PLoS Comput Biol 10:e1003806).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cytof._check import nearest
from cytof.errors import CytofError, TemplateError

__all__ = ["FLAGS", "Gate", "METHODS", "ROOT", "Template", "resolve"]

ROOT = "root"
"""Name of the tree's root: every event of the file."""

_PLACED = ("bounds", "place_on", "fallback", "min_events")
METHODS: dict[str, tuple[str, ...]] = {
    "mindensity": (*_PLACED, "min_counts", "min_depth"),
    "tailgate": (*_PLACED, "tolerance", "side"),
    "quantile": (*_PLACED, "probability"),
    "control": (*_PLACED, "min_counts", "min_depth", "false_positive", "blanks"),
    "quadrant": (*_PLACED, "min_counts", "min_depth"),
    "flowclust": ("K", "target", "level", "place_on", "min_events"),
    "range": ("low", "high"),
    "polygon": ("vertices",),
    "boolean": ("all_of", "any_of", "none_of"),
}
"""Gating methods and the arguments each takes."""

FLAGS = ("bead", "unsteady", "debris", "doublet", "dead")
"""Flags of :mod:`cytof.clean` that a boolean gate may name."""


@dataclass(frozen=True)
class Gate:
    """One gate of a template.

    Attributes
    ----------
    pop, path, parent
        Name, full path (``cells/singlets/live/CD45+``) and the parent's path (``root`` at the top).
    dims
        Antigens, channels or roles, as written.
    method, args
        Gating method and its arguments.
    signs
        One ``+`` or ``-`` a dimension: which side of the threshold is kept.
    collapse
        Whose events place the threshold: ``sample``, ``batch`` or ``pooled``.
    alias, car, subset
        Second name; whether this is the gate of the CAR T cells; which T cell subset it is.
    line
        Line of the file.
    """

    pop: str
    path: str
    parent: str
    dims: tuple[str, ...]
    method: str
    args: Mapping[str, Any] = field(default_factory=dict)
    signs: str = ""
    collapse: str = "sample"
    alias: str = ""
    car: bool = False
    subset: str = ""
    line: int = 0


@dataclass(frozen=True)
class Template:
    """A gating template: gates in an order in which every parent stands before its children.

    Attributes
    ----------
    name
        Name of the template.
    gates
        The gates, see :class:`Gate`.
    text
        The YAML text it was read from.
    where
        The file.
    """

    name: str
    gates: tuple[Gate, ...]
    text: str = field(default="", repr=False)
    where: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """Full paths of all gates."""
        return tuple(g.path for g in self.gates)

    @property
    def antigens(self) -> tuple[str, ...]:
        """Every dimension the gates read, once, in order."""
        return tuple(dict.fromkeys(d for g in self.gates for d in g.dims))

    @property
    def car_gate(self) -> str | None:
        """Path of the gate of the CAR T cells, or None."""
        return next((g.path for g in self.gates if g.car), None)

    @property
    def subset_gates(self) -> dict[str, str]:
        """Path -> subset (CD4, CD8, DN, DP)."""
        return {g.path: g.subset for g in self.gates if g.subset}

    @property
    def aliases(self) -> dict[str, str]:
        """Alias -> path."""
        return {g.alias: g.path for g in self.gates if g.alias}

    def gate(self, name: str) -> Gate:
        """Return a gate by path, unambiguous end of a path, or alias.

        Raises
        ------
        TemplateError
            No gate, or more than one, answers to the name.
        """
        path = self.path(name)
        return next(g for g in self.gates if g.path == path)

    def path(self, name: str) -> str:
        """Return the full path for a path, an unambiguous end of a path, or an alias."""
        return resolve(name, self.paths, self.aliases, where=self.where or self.name, error=TemplateError)


def resolve(
    name: str,
    paths: Iterable[str],
    aliases: Mapping[str, str] | None = None,
    *,
    where: str = "",
    error: type[CytofError] = TemplateError,
) -> str:
    """Return the path that ``name`` stands for: a path, an unambiguous end of one, or an alias; ``root`` is itself.

    An end may leave levels out where no other gate is meant: ``CD45+/CAR+``.

    Raises
    ------
    TemplateError
        (or ``error``) No path or more than one answers to the name.

    Examples
    --------
    >>> paths = ["CD3+", "CD3+/CD7+/CAR+", "CD3+/CD7+/CAR+/DN", "CD3+/CD7+/CAR-/DN"]
    >>> resolve("CAR+/DN", paths), resolve("CD3+/CAR+", paths)
    ('CD3+/CD7+/CAR+/DN', 'CD3+/CD7+/CAR+')
    """
    paths, aliases = list(paths), dict(aliases or {})
    if name == ROOT or name in paths:
        return name
    if name in aliases:
        return aliases[name]
    head, _, rest = name.partition("/")
    if head in aliases and f"{aliases[head]}/{rest}" in paths:
        return f"{aliases[head]}/{rest}"
    hits = [p for p in paths if p.endswith(f"/{name}")] or _with_gaps(name, paths, aliases)
    if len(hits) == 1:
        return hits[0]
    if hits:
        short = ", ".join(f"`{'/'.join(h.split('/')[-name.count('/') - 2 :])}`" for h in hits)
        raise error(f"gate `{name}` stands for {len(hits)} gates", where=where, hint=f"write one of {short}")
    ends = [p.rsplit("/", 1)[-1] for p in paths]
    hint = nearest(name, [*ends, *aliases, *paths]) or f"gates: {', '.join(dict.fromkeys(ends)) or 'none'}"
    raise error(f"no gate `{name}`", where=where, hint=hint)


def _with_gaps(name: str, paths: Iterable[str], aliases: Mapping[str, str]) -> list[str]:
    """Return the paths that end in the last level of ``name`` and bear its others above, in order."""
    first, *rest = name.split("/")
    parts = [*aliases.get(first, first).split("/"), *rest]
    found = []
    for path in paths:
        levels = iter(path.split("/"))
        if len(parts) > 1 and path.endswith(f"/{parts[-1]}") and all(part in levels for part in parts):
            found.append(path)
    return found
