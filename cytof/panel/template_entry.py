"""One entry of a gating template file -> gates, or faults with the line they stand on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cytof._check import nearest
from cytof.errors import TemplateError
from cytof.panel.template import METHODS, ROOT, Gate

__all__ = ["Faults", "gates_of"]

_KEYS = ("pop", "alias", "parent", "dims", "gating_method", "gating_args", "collapse", "car", "subset")
_COLLAPSE = ("sample", "batch", "pooled")
_SUBSETS = ("CD4", "CD8", "DN", "DP")
_SIGNS = ("++", "+-", "-+", "--")
_N_DIMS = {"quadrant": 2, "polygon": 2, "flowclust": 2, "boolean": 0}
_NUMBERS: dict[str, tuple[float, float]] = {
    "fallback": (-5, 15), "min_events": (0, 1e12), "min_counts": (0, 1e9), "min_depth": (0, 1), "low": (-1e12, 1e12),
    "tolerance": (1e-6, 0.999), "probability": (0, 1), "false_positive": (1e-9, 0.5), "K": (1, 10),
    "level": (0.01, 0.9999), "high": (-1e12, 1e12),
}  # fmt: skip


@dataclass
class Faults:
    """Faults of one file, gathered so that all of them are told at once."""

    path: Path
    found: list[TemplateError] = field(default_factory=list)
    line: int = field(default=1, init=False)

    @contextmanager
    def at(self, line: int) -> Iterator[None]:
        """Take this line for nodes that know none: what is missing stands nowhere."""
        before, self.line = self.line, line
        yield
        self.line = before

    def add(self, message: str, node: Any = None, key: Any = None, *, hint: str = "", line: int = 0) -> None:
        """Note a fault of a YAML node, of one of its keys, or of a line."""
        where = f"{self.path}:{line or _line(node, key) or self.line}"
        self.found.append(TemplateError(message, where=where, hint=hint))

    def unknown_keys(self, node: Mapping[str, Any], allowed: Iterable[str], what: str) -> None:
        """Note every key of a mapping that is not allowed, with the nearest that is."""
        allowed = list(allowed)
        for key in node:
            if key not in allowed:
                hint = nearest(str(key), allowed) or f"expected {', '.join(allowed)}"
                self.add(f"unknown key `{key}` of {what}", node, key, hint=hint)

    def in_order(self) -> list[TemplateError]:
        """Return the faults by line."""
        return sorted(self.found, key=lambda f: int(f.where.rsplit(":", 1)[-1]))


def _line(node: Any, key: Any = None) -> int:
    """Return the line of a YAML node or of one of its keys, counted from 1; 0 where it knows none."""
    marks = getattr(node, "lc", None)
    if marks is None or marks.line is None:
        return 0
    if key is not None and marks.data and key in marks.data:
        return int(marks.data[key][0]) + 1
    return int(marks.line) + 1


def gates_of(entry: Any, faults: Faults, line: int = 1) -> list[Gate]:
    """Return the gates of one entry, with empty paths and the parent as written; none where the entry has faults."""
    if not isinstance(entry, dict):
        faults.add(f"a gate is {entry!r}, expected a mapping with `pop`", line=line)
        return []
    before = len(faults.found)
    faults.unknown_keys(entry, _KEYS, "a gate")
    method = _method(entry, faults)
    dims = _dims(entry, method, faults)
    args = entry.get("gating_args") or {}
    if not isinstance(args, dict):
        faults.add(f"gating_args is {_plain(args)!r}, expected a mapping", entry, "gating_args")
    elif method in METHODS and ("gating_args" in entry or len(faults.found) == before):
        with faults.at(_line(entry)):
            _arguments(args, method, dims, faults)
    pops = _pops(entry, method, faults)
    if len(faults.found) > before:
        return []
    shared: dict[str, Any] = {
        "dims": dims, "method": method, "args": _plain(args), "collapse": str(entry.get("collapse", "sample")),
        "line": _line(entry), "alias": str(entry.get("alias") or ""), "car": entry.get("car") is True,
    }  # fmt: skip
    parent = str(entry.get("parent", ROOT))
    named = str(entry.get("subset") or "")
    of_quadrant = _SUBSETS if method == "quadrant" else ()
    return [
        Gate(pop, "", parent, **shared, signs=signs, subset=named or (pop if pop in of_quadrant else ""))
        for pop, signs in pops
    ]


def _method(entry: Mapping[str, Any], faults: Faults) -> str:
    method = str(entry.get("gating_method", ""))
    if method not in METHODS:
        hint = nearest(method, METHODS) or f"expected one of {', '.join(METHODS)}"
        what = f"gating_method is `{method}`" if method else "`gating_method` is missing"
        faults.add(what, entry, "gating_method", hint=hint)
    for key, allowed in (("collapse", _COLLAPSE), ("subset", _SUBSETS)):
        value = entry.get(key)
        if value is not None and value not in allowed:
            faults.add(
                f"{key} is `{value}`, expected one of {', '.join(allowed)}",
                entry,
                key,
                hint=nearest(str(value), allowed),
            )
    if entry.get("car") not in (None, True, False):
        faults.add(f"car is {entry['car']!r}, expected true or false", entry, "car")
    return method


def _dims(entry: Mapping[str, Any], method: str, faults: Faults) -> tuple[str, ...]:
    dims = entry.get("dims") or []
    named = tuple(str(d).strip() for d in (dims.split(",") if isinstance(dims, str) else dims))
    expected = _N_DIMS.get(method, 1)
    if method in METHODS and len(named) != expected:
        faults.add(f"{method} has {len(named)} dims, expected {expected}", entry, "dims" if named else "gating_method")
    return named


def _pops(entry: Mapping[str, Any], method: str, faults: Faults) -> list[tuple[str, str]]:
    """Return (name, signs) of each pop."""
    pop = entry.get("pop")
    if method == "quadrant":
        if not isinstance(pop, dict) or not pop:
            faults.add("a quadrant's pop is a mapping of names to signs", entry, "pop", hint='for instance {CD4: "+-"}')
            return []
        for name, signs in pop.items():
            if signs not in _SIGNS:
                faults.add(f"signs of `{name}` are `{signs}`, expected {', '.join(_SIGNS)}", entry, "pop")
        if len(set(pop.values())) < len(pop):
            faults.add("two pops of a quadrant have the same signs", entry, "pop")
        named = [(str(n), str(s)) for n, s in pop.items()]
    elif not isinstance(pop, str) or not pop.strip():
        faults.add("`pop` is missing", entry, "pop", hint="name the population")
        return []
    else:
        named = [(pop.strip(), "-" if pop.strip().endswith("-") else "+")]
    for name, _ in named:
        if "/" in name or name in ("", ROOT):
            faults.add(
                f"`{name}` cannot be a pop's name",
                entry,
                "pop",
                hint="`/` parts the levels of a path, `root` is the root",
            )
    return named


def _arguments(args: Mapping[str, Any], method: str, dims: tuple[str, ...], faults: Faults) -> None:
    faults.unknown_keys(args, METHODS[method], f"gating_args of {method}")
    for key, value in args.items():
        if key in _NUMBERS and not (_is_number(value) and _NUMBERS[key][0] <= value <= _NUMBERS[key][1]):
            least, most = _NUMBERS[key]
            faults.add(f"{key} is {value!r}, expected a number from {least:g} to {most:g}", args, key)
        if key in ("all_of", "any_of", "none_of", "blanks") and not _is_names(value):
            faults.add(f"{key} is {_plain(value)!r}, expected a list of names", args, key)
        if key == "bounds":
            _bounds(args, dims, faults)
        if key == "side" and value not in ("left", "right"):
            faults.add(f"side is {value!r}, expected left or right", args, key)
        if key == "target" and not _is_pair(value):
            faults.add(f"target is {_plain(value)!r}, expected [x, y]", args, key)
    low, high = args.get("low"), args.get("high")
    if method == "range" and low is None and high is None:
        faults.add("range needs `low`, `high` or both", args)
    elif _is_number(low) and _is_number(high) and not _is_interval([low, high]):
        faults.add(f"low is {low}, high is {high}, expected low < high", args, "low")
    if method == "quantile" and "probability" not in args:
        faults.add("quantile needs `probability`", args)
    if method == "boolean" and not args:
        faults.add("boolean needs `all_of`, `any_of` or `none_of`", args)
    if "any_of" in args and len(args) > 1:
        faults.add("any_of stands with other arguments", args, "any_of", hint="make two gates of it")
    if method == "polygon" and not _is_polygon(args.get("vertices")):
        faults.add("polygon needs `vertices`: at least three [x, y]", args, "vertices")


def _bounds(args: Mapping[str, Any], dims: tuple[str, ...], faults: Faults) -> None:
    value = args["bounds"]
    each = value if isinstance(value, dict) else dict.fromkeys(dims, value)
    for dim, pair in each.items():
        if dim not in dims:
            faults.add(f"bounds name `{dim}`", args, "bounds", hint=nearest(dim, dims) or f"dims are {', '.join(dims)}")
        elif not _is_interval(pair):
            what = f"bounds are {_plain(pair)!r}, expected [low, high] with low < high"
            faults.add(what, args, "bounds", hint="on the scale arcsinh(counts / cofactor)")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) for v in value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


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
