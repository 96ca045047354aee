"""A gating template file: YAML -> Template, with every fault of the file told at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cytof.errors import PanelError, TemplateError, raise_all
from cytof.panel.channel import parse_metal
from cytof.panel.find import find
from cytof.panel.panel import Panel
from cytof.panel.template import FLAGS, ROOT, Gate, Template, resolve
from cytof.panel.template_entry import Faults, gates_of

__all__ = ["load_gates"]

_KEYS = ("name", "panel", "description", "gates")


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
        Every fault of the file at once, each with ``file:line`` and the nearest name: unknown keys, methods, arguments,
        parents, gates and antigens, bounds that are none, pops that stand twice, parents in a circle.

    Examples
    --------
    >>> load_gates("car_t_41").car_gate.split("/")[-3:]
    ['CD7+', 'CD3+', 'CAR+']
    """
    try:
        path = find(name, ".gates.yaml")
    except PanelError as error:
        raise TemplateError(error.message, where=error.where, hint=error.hint) from None
    text, data = _parsed(path)
    faults = Faults(path)
    faults.unknown_keys(data, _KEYS, "the template")
    entries = data.get("gates")
    if not isinstance(entries, list) or not entries:
        raise TemplateError("`gates` is missing or empty", where=str(path), hint="list at least one gate")
    drafts = [gate for i, e in enumerate(entries) for gate in gates_of(e, faults, entries.lc.data[i][0] + 1)]  # type: ignore[attr-defined]
    gates = _depth_first(_tree(drafts, faults, _refused(entries, drafts)), drafts)
    if not faults.found:  # what refers to a gate that was refused cannot be judged
        gates = _references(gates, faults)
    if panel is not None:
        _antigens(gates, panel, faults)
    raise_all(faults.in_order())
    return Template(str(data.get("name") or path.name.removesuffix(".gates.yaml")), tuple(gates), text, str(path))


def _parsed(path: Path) -> tuple[str, Mapping[str, Any]]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text("utf-8-sig")
        data = YAML(typ="rt").load(text)
    except UnicodeDecodeError:
        raise TemplateError("not UTF-8 text", where=str(path), hint="save it as UTF-8") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateError(f"not YAML: {error.problem}", where=f"{path}:{line}") from None
    except YAMLError as error:
        raise TemplateError(f"not YAML: {str(error).splitlines()[0]}", where=str(path)) from None
    if not isinstance(data, dict):
        raise TemplateError("found no mapping, expected `gates:` and a list", where=str(path))
    return text, data


def _refused(entries: list[Any], drafts: list[Gate]) -> set[str]:
    """Return the pops of entries that have faults of their own: gates that hang on them are not to blame."""
    pops = [e.get("pop") for e in entries if isinstance(e, dict)]
    written = {str(p) for pop in pops for p in (pop if isinstance(pop, dict) else [pop])}
    return written - {g.pop for g in drafts}


def _tree(drafts: list[Gate], faults: Faults, refused: set[str]) -> list[Gate]:
    """Give every draft its path; parents may be written in any order."""
    done: list[Gate] = []
    pending = list(drafts)
    while pending:
        paths, aliases = [g.path for g in done], _aliases(done)
        ready = []
        for draft in pending:
            try:
                parent = resolve(draft.parent, paths, aliases)
            except TemplateError:
                continue
            ready.append(
                (draft, replace(draft, parent=parent, path=draft.pop if parent == ROOT else f"{parent}/{draft.pop}"))
            )
        if not ready:
            break
        for draft, gate in ready:
            pending = [p for p in pending if p is not draft]
            twin = next((g for g in done if g.path == gate.path), None)
            if twin is None:
                done.append(gate)
            else:
                what = f"pop `{gate.pop}` stands under {gate.parent} already (line {twin.line})"
                faults.add(what, hint="give one another name", line=gate.line)
    _lost(pending, done, faults, refused)
    for gate in done:
        written = next(d.parent for d in drafts if (d.pop, d.line) == (gate.pop, gate.line))
        try:
            resolve(written, [g.path for g in done], _aliases(done))
        except TemplateError as error:
            faults.add(f"parent of `{gate.pop}`: {error.message}", hint=error.hint, line=gate.line)
    return done


def _lost(pending: list[Gate], done: list[Gate], faults: Faults, refused: set[str]) -> None:
    """Say why gates hang in no tree: one fault for each unknown parent and for each circle, none for what follows."""
    by_name = {name: gate for gate in pending for name in (gate.pop, gate.alias) if name}
    for gate in pending:
        parent = gate.parent.rsplit("/", 1)[-1]
        if parent in refused:
            continue
        if parent not in by_name:
            try:
                resolve(gate.parent, [g.path for g in done], _aliases(done))
            except TemplateError as error:
                faults.add(f"parent of `{gate.pop}`: {error.message}", hint=error.hint, line=gate.line)
        elif _in_circle(gate, by_name):
            message = f"gate `{gate.pop}` hangs on `{gate.parent}`, which hangs on no gate that leads to the root"
            faults.add(message, hint="parents must not go in a circle", line=gate.line)


def _in_circle(gate: Gate, by_name: Mapping[str, Gate]) -> bool:
    """Tell whether the way up from a gate comes back to it."""
    here = gate
    for _ in range(len(by_name)):
        above = by_name.get(here.parent.rsplit("/", 1)[-1])
        if above is None:
            return False
        if above is gate:
            return True
        here = above
    return False


def _depth_first(gates: list[Gate], drafts: list[Gate]) -> list[Gate]:
    """Put the gates depth first, siblings as in the file."""
    position = {(d.pop, d.line): i for i, d in enumerate(drafts)}
    children: dict[str, list[Gate]] = {}
    for gate in sorted(gates, key=lambda g: position[g.pop, g.line]):
        children.setdefault(gate.parent, []).append(gate)
    ordered: list[Gate] = []
    waiting = list(reversed(children.get(ROOT, [])))
    while waiting:
        ordered.append(waiting.pop())
        waiting.extend(reversed(children.get(ordered[-1].path, [])))
    return ordered


def _references(gates: list[Gate], faults: Faults) -> list[Gate]:
    """Check aliases, `car`, `place_on`, `blanks` and the names in booleans; put paths where gates are meant."""
    aliases = _aliases(gates)
    for i, gate in enumerate(gates):
        if gate.alias and any(g.alias == gate.alias and g.line != gate.line for g in gates[:i]):
            faults.add(f"alias `{gate.alias}` is given twice", hint="keep one", line=gate.line)
    cars = [g for g in gates if g.car]
    if len(cars) > 1:
        faults.add("`car: true` stands on two gates", hint="keep one", line=cars[1].line)
    resolved = []
    for i, gate in enumerate(gates):
        earlier = [g.path for g in gates[:i]]
        args = dict(gate.args)
        try:
            if "place_on" in args:
                args["place_on"] = resolve(args["place_on"], earlier, aliases)
            if "blanks" in args:
                args["blanks"] = [resolve(b, earlier, aliases) for b in args["blanks"]]
            for key in ("all_of", "any_of", "none_of"):
                if key in args:
                    args[key] = [n if n in FLAGS else resolve(n, earlier, aliases) for n in args[key]]
        except TemplateError as error:
            hint = error.hint + (f"; flags of clean: {', '.join(FLAGS)}" if gate.method == "boolean" else "")
            faults.add(f"`{gate.pop}`: {error.message} before it", hint=hint, line=gate.line)
        resolved.append(replace(gate, args=args))
    return resolved


def _aliases(gates: list[Gate]) -> dict[str, str]:
    return {g.alias: g.path for g in gates if g.alias}


def _antigens(gates: list[Gate], panel: Panel, faults: Faults) -> None:
    known = {*panel.table.role, *panel.table.index}
    for gate in gates:
        for dim in gate.dims:
            if dim in known or parse_metal(dim):
                continue
            try:
                panel.antigen(dim)
            except PanelError as error:
                faults.add(f"`{gate.pop}`: {error.message} in panel {panel.name}", hint=error.hint, line=gate.line)
