"""Gating template: a YAML file -> the tree of gate definitions. Data, no events.

One entry a gate (``pop``), in openCyto's words::

    gates:
      - pop: CD3+                 # + keeps what lies above the threshold, - what lies below
        parent: CD45+             # an earlier pop or a path; `root` by default
        dims: CD3                 # antigen, channel or role; two for quadrant, polygon and flowclust
        gating_method: mindensity
        gating_args: {bounds: [1, 4]}
        collapse: pooled          # whose events place the threshold: sample (default), batch, pooled

``quadrant`` makes several pops at once, ``pop: {CD4: "+-", CD8: "-+", DP: "++", DN: "--"}``. Every method and argument that
the parser takes is described in ``panels/README.md``; everything else is refused with ``file:line``.

Source of the vocabulary: Finak et al. 2014, openCyto (PLoS Comput Biol 10:e1003806).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cytof._check import nearest
from cytof.errors import PanelError, TemplateError, UsageError, raise_all
from cytof.panel.channel import parse_metal
from cytof.panel.find import find
from cytof.panel.panel import Panel

__all__ = ["FLAGS", "METHODS", "ROOT", "Gate", "Template", "load_gates", "resolve"]

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

FLAGS = ("bead", "debris", "doublet", "dead")
"""Flags of :mod:`cytof.clean` that a boolean gate may name."""

_GATE_KEYS = ("pop", "alias", "parent", "dims", "gating_method", "gating_args", "collapse", "car", "subset")
_TOP_KEYS = ("name", "panel", "description", "gates")
_COLLAPSE = ("sample", "batch", "pooled")
_SUBSETS = ("CD4", "CD8", "DN", "DP")
_N_DIMS = {"quadrant": (2, 2), "polygon": (2, 2), "flowclust": (2, 2), "boolean": (0, 0)}
_NUMBERS: dict[str, tuple[float, float]] = {
    "fallback": (-5, 15), "min_events": (0, 1e12), "min_counts": (0, 1e9), "min_depth": (0, 1), "tolerance": (1e-6, 0.999),
    "probability": (0, 1), "false_positive": (1e-9, 0.5), "K": (1, 10), "level": (0.01, 0.9999), "low": (-1e12, 1e12),
    "high": (-1e12, 1e12),
}  # fmt: skip


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
    error: type[UsageError] | type[Exception] = TemplateError,
) -> str:
    """Return the path that ``name`` stands for: a path, an unambiguous end of one, or an alias; ``root`` is itself.

    Raises
    ------
    TemplateError
        (or ``error``) No path or more than one answers to the name.

    Examples
    --------
    >>> resolve("CAR+/DN", ["CD3+", "CD3+/CAR+", "CD3+/CAR+/DN", "CD3+/CAR-/DN"])
    'CD3+/CAR+/DN'
    """
    paths, aliases = list(paths), dict(aliases or {})
    if name == ROOT or name in paths:
        return name
    if name in aliases:
        return aliases[name]
    head, _, rest = name.partition("/")
    if head in aliases and f"{aliases[head]}/{rest}" in paths:
        return f"{aliases[head]}/{rest}"
    hits = [p for p in paths if p.endswith(f"/{name}")]
    if len(hits) == 1:
        return hits[0]
    if hits:
        short = ", ".join(f"`{'/'.join(h.split('/')[-name.count('/') - 2 :])}`" for h in hits)
        raise error(f"gate `{name}` stands for {len(hits)} gates", where=where, hint=f"write one of {short}")  # type: ignore[call-arg]
    ends = [p.rsplit("/", 1)[-1] for p in paths]
    hint = nearest(name, [*ends, *aliases, *paths]) or f"gates: {', '.join(dict.fromkeys(ends)) or 'none'}"
    raise error(f"no gate `{name}`", where=where, hint=hint)  # type: ignore[call-arg]


def load_gates(name: str | Path, panel: Panel | None = None) -> Template:
    """Read a gating template by the name of a shipped one (``car_t_41``) or by path.

    Parameters
    ----------
    name
        Name or path.
    panel
        When given, antigens are looked up in it.

    Raises
    ------
    TemplateError
        Every fault of the file at once, each with ``file:line`` and the nearest name.

    Examples
    --------
    >>> load_gates("car_t_41").car_gate.split("/")[-3:]
    ['CD7+', 'CD3+', 'CAR+']
    """
    try:
        path = find(name, ".gates.yaml")
    except PanelError as error:
        raise TemplateError(error.message, where=error.where, hint=error.hint) from None
    text = path.read_text("utf-8-sig")
    data = _parse_yaml(text, path)
    faults: list[TemplateError] = []
    _unknown_keys(data, _TOP_KEYS, path, faults, "the template")
    entries = data.get("gates")
    if not isinstance(entries, list) or not entries:
        raise TemplateError("`gates` is missing or empty", where=str(path), hint="list at least one gate")
    drafts = [d for e in entries for d in _entry(e, path, faults)]
    gates = _tree(drafts, path, faults)
    _references(gates, path, faults)
    if panel is not None:
        _antigens(gates, panel, path, faults)
    raise_all(
        sorted(faults, key=lambda f: int(f.where.rsplit(":", 1)[-1]) if f.where.rsplit(":", 1)[-1].isdigit() else 0)
    )
    return Template(str(data.get("name") or path.name.removesuffix(".gates.yaml")), tuple(gates), text, str(path))


def _parse_yaml(text: str, path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateError(f"not YAML: {error.problem}", where=f"{path}:{line}") from None
    except YAMLError as error:
        raise TemplateError(f"not YAML: {error}", where=str(path)) from None
    if not isinstance(data, dict):
        raise TemplateError("found no mapping, expected `gates:` and a list", where=str(path))
    return data


def _line(node: Any, key: str | int | None = None) -> int:
    """Return the line of a YAML node or of one of its keys, counted from 1."""
    marks = getattr(node, "lc", None)
    if marks is None or marks.line is None:
        return 1
    if key is not None and marks.data and key in marks.data:
        return int(marks.data[key][0]) + 1
    return int(marks.line) + 1


def _unknown_keys(
    node: Mapping[str, Any], allowed: Iterable[str], path: Path, faults: list[TemplateError], what: str
) -> None:
    allowed = list(allowed)
    for key in node:
        if key not in allowed:
            where = f"{path}:{_line(node, key)}"
            hint = nearest(str(key), allowed) or f"expected {', '.join(allowed)}"
            faults.append(TemplateError(f"unknown key `{key}` of {what}", where=where, hint=hint))


def _entry(entry: Any, path: Path, faults: list[TemplateError]) -> list[Gate]:
    """Return the gates of one entry, paths still empty and parents as written."""
    if not isinstance(entry, dict):
        faults.append(
            TemplateError(f"a gate is {entry!r}, expected a mapping with `pop`", where=f"{path}:{_line(entry)}")
        )
        return []
    before, line = len(faults), _line(entry)

    def fault(message: str, key: str = "", hint: str = "") -> None:
        faults.append(TemplateError(message, where=f"{path}:{_line(entry, key)}", hint=hint))

    _unknown_keys(entry, _GATE_KEYS, path, faults, "a gate")
    method = str(entry.get("gating_method", ""))
    if method not in METHODS:
        hint = nearest(method, METHODS) or f"expected one of {', '.join(METHODS)}"
        fault(f"gating_method is `{method}`" if method else "`gating_method` is missing", "gating_method", hint)
    collapse = str(entry.get("collapse", "sample"))
    if collapse not in _COLLAPSE:
        fault(
            f"collapse is `{collapse}`, expected one of {', '.join(_COLLAPSE)}",
            "collapse",
            nearest(collapse, _COLLAPSE),
        )
    dims = entry.get("dims") or []
    dims = tuple(str(d).strip() for d in (dims.split(",") if isinstance(dims, str) else dims))
    low, high = _N_DIMS.get(method, (1, 1))
    if method in METHODS and not low <= len(dims) <= high:
        fault(f"{method} has {len(dims)} dims, expected {low}", "dims" if dims else "pop")
    args = entry.get("gating_args") or {}
    if not isinstance(args, dict):
        fault(f"gating_args is {args!r}, expected a mapping", "gating_args")
    elif method in METHODS:
        _arguments(args, method, dims, path, faults)
    pops = _pops(entry, method, fault)
    if len(faults) > before:
        return []
    shared = {"dims": dims, "method": method, "args": _plain(args), "collapse": collapse, "line": line}
    parent = str(entry.get("parent", ROOT))
    return [
        Gate(pop, "", parent, **shared, signs=signs, alias=str(entry.get("alias", "") or ""), car=entry.get("car") is True,
             subset=str(entry.get("subset", "") or (pop if method == "quadrant" and pop in _SUBSETS else "")))
        for pop, signs in pops
    ]  # fmt: skip


def _pops(entry: Mapping[str, Any], method: str, fault: Any) -> list[tuple[str, str]]:
    pop = entry.get("pop")
    if entry.get("car") not in (None, True, False):
        fault(f"car is {entry['car']!r}, expected true or false", "car")
    if entry.get("subset") not in (None, *_SUBSETS):
        fault(f"subset is `{entry['subset']}`, expected one of {', '.join(_SUBSETS)}", "subset")
    if method == "quadrant":
        if not isinstance(pop, dict) or not pop:
            fault("a quadrant's pop is a mapping of names to signs", "pop", 'for instance {CD4: "+-", CD8: "-+"}')
            return []
        for name, signs in pop.items():
            if str(signs) not in ("++", "+-", "-+", "--"):
                fault(f"signs of `{name}` are `{signs}`, expected ++, +-, -+ or --", "pop")
        if len(set(pop.values())) < len(pop):
            fault("two pops of a quadrant have the same signs", "pop")
        names = [(str(n), str(s)) for n, s in pop.items()]
    elif not isinstance(pop, str) or not pop.strip():
        fault("`pop` is missing", "pop", "name the population")
        return []
    else:
        names = [(pop.strip(), "-" if pop.strip().endswith("-") else "+")]
    for name, _ in names:
        if "/" in name or name in ("", ROOT):
            fault(f"`{name}` cannot be a pop's name", "pop", "`/` parts the levels of a path, and `root` is the root")
    return names


def _arguments(
    args: Mapping[str, Any], method: str, dims: tuple[str, ...], path: Path, faults: list[TemplateError]
) -> None:
    def fault(message: str, key: str, hint: str = "") -> None:
        faults.append(TemplateError(message, where=f"{path}:{_line(args, key)}", hint=hint))

    _unknown_keys(args, METHODS[method], path, faults, f"gating_args of {method}")
    for key, value in args.items():
        if key in _NUMBERS and (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not _NUMBERS[key][0] <= value <= _NUMBERS[key][1]
        ):
            fault(f"{key} is {value!r}, expected a number from {_NUMBERS[key][0]:g} to {_NUMBERS[key][1]:g}", key)
        if key in ("all_of", "any_of", "none_of", "blanks") and not (
            isinstance(value, list) and value and all(isinstance(v, str) for v in value)
        ):
            fault(f"{key} is {value!r}, expected a list of names", key)
        if key in ("bounds",):
            each = value if isinstance(value, dict) else dict.fromkeys(dims, value)
            for dim, pair in each.items():
                if dim not in dims:
                    fault(f"bounds name `{dim}`", key, nearest(dim, dims) or f"dims are {', '.join(dims)}")
                elif not _is_interval(pair):
                    fault(
                        f"bounds are {_plain(pair)!r}, expected [low, high] with low < high",
                        key,
                        "on the arcsinh scale",
                    )
    if "side" in args and args["side"] not in ("left", "right"):
        fault(f"side is {args['side']!r}, expected left or right", "side")
    if method == "range" and not ("low" in args or "high" in args):
        fault("range needs `low`, `high` or both", "low")
    if method == "range" and "low" in args and "high" in args and not args["low"] < args["high"]:
        fault(f"low is {args['low']}, high is {args['high']}, expected low < high", "low")
    if method == "quantile" and "probability" not in args:
        fault("quantile needs `probability`", "probability")
    if method == "boolean" and not args:
        fault("boolean needs `all_of`, `any_of` or `none_of`", "all_of")
    if method == "polygon" and not _is_polygon(args.get("vertices")):
        fault("polygon needs `vertices`: at least three [x, y]", "vertices")
    if "target" in args and not _is_pair(args["target"]):
        fault(f"target is {_plain(args['target'])!r}, expected [x, y]", "target")


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    )


def _is_interval(value: Any) -> bool:
    return _is_pair(value) and value[0] < value[1]


def _is_polygon(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 3 and all(map(_is_pair, value))


def _plain(value: Any) -> Any:
    """Return YAML nodes as plain dicts, lists, numbers and strings."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, bool) or value is None:
        return value
    return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else str(value)


def _tree(drafts: list[Gate], path: Path, faults: list[TemplateError]) -> list[Gate]:
    """Give every draft its path; parents may be written in any order."""
    done: list[Gate] = []
    pending = list(drafts)
    while pending:
        paths = [g.path for g in done]
        aliases = {g.alias: g.path for g in done if g.alias}
        ready = []
        for gate in pending:
            try:
                parent = resolve(gate.parent, paths, aliases, where=f"{path}:{gate.line}")
            except TemplateError:
                continue
            full = gate.pop if parent == ROOT else f"{parent}/{gate.pop}"
            ready.append((gate, replace(gate, parent=parent, path=full)))
        if not ready:
            break
        for draft, gate in ready:
            pending.remove(draft)
            twin = next((g for g in done if g.path == gate.path), None)
            if twin is None:
                done.append(gate)
            else:
                where, under = f"{path}:{gate.line}", gate.parent
                faults.append(TemplateError(f"pop `{gate.pop}` stands under {under} already (line {twin.line})", where=where, hint="give one another name"))  # fmt: skip
    names = {g.pop for g in pending} | {g.alias for g in pending if g.alias}
    for gate in pending:
        where = f"{path}:{gate.line}"
        try:
            resolve(gate.parent, [g.path for g in done], {g.alias: g.path for g in done if g.alias}, where=where)
        except TemplateError as error:
            if gate.parent.rsplit("/", 1)[-1] in names:
                faults.append(TemplateError(f"gate `{gate.pop}` is its own ancestor through `{gate.parent}`", where=where, hint="parents must not go in a circle"))  # fmt: skip
            else:
                faults.append(TemplateError(f"parent of `{gate.pop}`: {error.message}", where=where, hint=error.hint))
    return _settled(done, drafts, path, faults)


def _settled(done: list[Gate], drafts: list[Gate], path: Path, faults: list[TemplateError]) -> list[Gate]:
    """Put the gates depth first, siblings as in the file, and refuse parents that stand for more than one gate."""
    written = {(d.pop, d.line): d.parent for d in drafts}
    paths, aliases = [g.path for g in done], {g.alias: g.path for g in done if g.alias}
    for gate in done:
        try:
            resolve(written[gate.pop, gate.line], paths, aliases, where=f"{path}:{gate.line}")
        except TemplateError as error:
            faults.append(error)
    position = {(d.pop, d.line): i for i, d in enumerate(drafts)}
    children: dict[str, list[Gate]] = {}
    for gate in sorted(done, key=lambda g: position[g.pop, g.line]):
        children.setdefault(gate.parent, []).append(gate)
    ordered: list[Gate] = []
    open_gates = list(reversed(children.get(ROOT, [])))
    while open_gates:
        gate = open_gates.pop()
        ordered.append(gate)
        open_gates.extend(reversed(children.get(gate.path, [])))
    return ordered


def _references(gates: list[Gate], path: Path, faults: list[TemplateError]) -> None:
    """Check `place_on`, `blanks` and the names of booleans; write paths in their place where they mean gates."""
    aliases = {g.alias: g.path for g in gates if g.alias}
    doubles = [g for i, g in enumerate(gates) if g.alias and g.alias in [h.alias for h in gates[:i]]]
    faults.extend(TemplateError(f"alias `{g.alias}` is given twice", where=f"{path}:{g.line}") for g in doubles)
    cars = [g for g in gates if g.car]
    if len(cars) > 1:
        faults.append(TemplateError("`car: true` stands on two gates", where=f"{path}:{cars[1].line}", hint="keep one"))
    for i, gate in enumerate(gates):
        earlier, where = [g.path for g in gates[:i]], f"{path}:{gate.line}"
        args = dict(gate.args)
        try:
            if "place_on" in args:
                args["place_on"] = resolve(args["place_on"], earlier, aliases, where=where)
            if "blanks" in args:
                args["blanks"] = [resolve(b, earlier, aliases, where=where) for b in args["blanks"]]
            for key in ("all_of", "any_of", "none_of"):
                if key in args:
                    args[key] = [n if n in FLAGS else resolve(n, earlier, aliases, where=where) for n in args[key]]
        except TemplateError as error:
            hint = error.hint or "name a gate that stands earlier"
            if gate.method == "boolean":
                hint += f" or a flag of clean ({', '.join(FLAGS)})"
            faults.append(TemplateError(f"`{gate.pop}`: {error.message}", where=where, hint=hint))
        gates[i] = replace(gate, args=args)


def _antigens(gates: list[Gate], panel: Panel, path: Path, faults: list[TemplateError]) -> None:
    known = {*panel.table.role, "Time", "Event_length", "Center", "Offset", "Width", "Residual"}
    for gate in gates:
        for dim in gate.dims:
            if dim in known or parse_metal(dim):
                continue
            try:
                panel.antigen(dim)
            except PanelError as error:
                faults.append(TemplateError(f"`{gate.pop}`: {error.message} in panel {panel.name}", where=f"{path}:{gate.line}", hint=error.hint))  # fmt: skip
