"""``overrides.yaml``: gate changes that a person made, read with all faults told at once, added to at the end.

The file is a list; later entries win over earlier ones, so that it reads as a history::

    - sample: 5yr
      gate: CAR+                      # a path, an unambiguous end of one, or an alias
      threshold: {VHH: 2.4}           # of an interval or a quadrant, arcsinh scale
      author: J. Doe
      date: 2026-11-27
      reason: doublets stand on the shoulder
      before: {n: 812, n_parent: 30211}
      after: {n: 640, n_parent: 30211}

A polygon has ``vertices: [[x, y], ...]`` in place of ``threshold``; an interval with two bounds ``low: {CD4: 1.0}`` and
``high: {CD4: 3.0}``; an ellipse ``mean``, ``covariance`` and ``distance_square``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cytof._check import nearest
from cytof.errors import ConfigError, TemplateError, raise_all
from cytof.gate._overrides import Override, gate_faults
from cytof.panel.template import Template
from cytof.provenance import atomic

__all__ = ["add_override", "overrides_text", "read_overrides"]

_SHAPE = ("threshold", "low", "high", "vertices", "mean", "covariance", "distance_square")
_KEYS = ("sample", "gate", *_SHAPE, "author", "date", "reason", "before", "after")
_SAID = ("author", "date", "reason")
_TALL = 1e7  # beyond anything a scale can hold


def read_overrides(
    path: str | Path, template: Template | None = None, samples: Iterable[str] | None = None
) -> tuple[Override, ...]:
    """Read ``overrides.yaml``; a file that is not there holds no overrides.

    Parameters
    ----------
    path
        The file.
    template
        When given, gates and dimensions are looked up in it.
    samples
        When given, samples are looked up among these.

    Returns
    -------
    Overrides in the order of the file.

    Raises
    ------
    ConfigError
        All faults at once, each ``file:line``: unknown keys, samples, gates or dimensions with the nearest name, no
        author, date or reason, no shape or two, bounds that cross.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "overrides.yaml"
    >>> _ = path.write_text(
    ...     "- {sample: s1, gate: CD3+, threshold: {CD3: 2.5}, author: J, date: 2026-11-27, reason: shoulder}"
    ... )
    >>> read_overrides(path)[0].shape
    {'threshold': {'CD3': 2.5}}
    """
    path = Path(path)
    if not path.exists():
        return ()
    entries = _parsed(path)
    faults: list[ConfigError] = []
    found = []
    for i, entry in enumerate(entries):
        line = entries.lc.data[i][0] + 1 if hasattr(entries, "lc") and i in (entries.lc.data or {}) else 1
        where = f"{path}:{line}"
        wrong = _faults(entry, template, None if samples is None else list(samples))
        faults += [ConfigError(message, where=where, hint=hint) for message, hint in wrong]
        if not wrong:
            found.append(_override(entry, where))
    raise_all(faults)
    return tuple(found)


def add_override(path: str | Path, *overrides: Override) -> None:
    """Add overrides at the end of the file; it is replaced whole or not at all.

    Raises
    ------
    ResourceError
        The file cannot be written.
    """
    path = Path(path)
    text = path.read_text("utf-8-sig") if path.exists() else ""
    text = text if not text or text.endswith("\n") else text + "\n"
    with atomic(path) as part:
        part.write_text(text + overrides_text(overrides), encoding="utf-8")


def overrides_text(overrides: Iterable[Override]) -> str:
    """Return overrides as YAML, one entry after the other."""
    lines = []
    for o in overrides:
        entry = {"sample": o.sample_id, "gate": o.gate, **o.shape, "author": o.author, "date": o.date,
                 "reason": o.reason, "before": dict(o.before), "after": dict(o.after)}  # fmt: skip
        written = [f"{k}: {json.dumps(v, ensure_ascii=False)}" for k, v in entry.items() if v not in ({}, "")]
        lines += [f"- {written[0]}", *(f"  {w}" for w in written[1:])]
    return "\n".join(lines) + "\n" if lines else ""


def _parsed(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        data = YAML(typ="rt").load(path.read_text("utf-8-sig"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError("not readable as YAML", where=where, hint="check quotes and indentation") from None
    if data is None:
        return []
    if not isinstance(data, list):
        raise ConfigError("found no list of overrides", where=str(path), hint="begin each entry with `- sample: ...`")
    return data


def _faults(entry: Any, template: Template | None, samples: list[str] | None) -> list[tuple[str, str]]:
    if not isinstance(entry, dict):
        return [("found no override", "write `sample`, `gate`, `threshold`, `author`, `date` and `reason`")]
    faults = [
        (f"unknown key `{k}`", nearest(str(k), _KEYS) or f"known here: {', '.join(_KEYS)}")
        for k in entry
        if k not in _KEYS
    ]
    blank = [k for k in ("sample", "gate", *_SAID) if not str(entry.get(k) or "").strip()]
    faults += [(f"no `{k}`", "every change says where, who, when and why") for k in blank]
    sample = str(entry.get("sample") or "")
    if samples is not None and sample and sample not in samples:
        faults.append((f"no sample `{sample}`", nearest(sample, samples) or f"samples: {', '.join(samples)}"))
    shape = {k: entry[k] for k in _SHAPE if k in entry}
    faults += _shape_faults(shape)
    if template is not None and entry.get("gate") and not faults:
        try:
            gate = template.gate(str(entry["gate"]))
            faults += gate_faults(gate, shape)
        except TemplateError as error:
            faults.append((error.message, error.hint))
    return faults


def _shape_faults(shape: Mapping[str, Any]) -> list[tuple[str, str]]:
    kinds = [k for k in (("threshold",), ("low", "high"), ("vertices",), ("mean", "covariance", "distance_square"))
             if any(n in shape for n in k)]  # fmt: skip
    if len(kinds) != 1:
        found = "no shape" if not kinds else f"{' and '.join(k[0] for k in kinds)} together"
        return [(found, "write one of threshold, low and high, vertices, or mean, covariance and distance_square")]
    faults = []
    for name in ("threshold", "low", "high"):
        for dim, value in dict(shape.get(name) or {}).items():
            if not _number(value):
                faults.append((f"{name} of {dim} is {value!r}, no number on the arcsinh scale", "3 is 50 counts"))
    vertices = shape.get("vertices")
    if vertices is not None and not (
        isinstance(vertices, list) and len(vertices) >= 3 and all(_pair(v) for v in vertices)
    ):
        faults.append(("`vertices` is no list of three or more [x, y]", "write for instance [[1, 1], [3, 1], [2, 4]]"))
    if "mean" in shape and not (
        _pair(shape["mean"])
        and isinstance(shape.get("covariance"), list)
        and len(shape["covariance"]) == 2
        and all(_pair(r) for r in shape["covariance"])
        and _number(shape.get("distance_square"))
    ):
        faults.append(("no ellipse", "write mean [x, y], covariance [[a, b], [b, c]] and distance_square"))
    return faults


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _TALL


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_number(v) for v in value)


def _override(entry: Mapping[str, Any], where: str) -> Override:
    shape = {k: _plain(entry[k]) for k in _SHAPE if k in entry}
    author, date, reason = (str(entry[k]).strip() for k in _SAID)
    before, after = (dict(_plain(entry.get(k) or {})) for k in ("before", "after"))
    return Override(str(entry["sample"]), str(entry["gate"]), shape, author, date, reason, before, after, where)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return float(value) if isinstance(value, float) else int(value) if isinstance(value, int) else str(value)
