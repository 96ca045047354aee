"""``study.yaml`` -> Study; every fault with ``file:line``, the key and the nearest name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cytof._check import nearest
from cytof.errors import ConfigError, raise_all
from cytof.study._settings import Study

__all__ = ["load"]


def load(path: str | Path) -> Study:
    r"""Read a study.

    Parameters
    ----------
    path
        ``study.yaml``, or the folder that holds it.

    Raises
    ------
    ConfigError
        The file is missing, is not YAML, or holds unknown keys or values out of bounds; all faults at once.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "study.yaml"
    >>> _ = file.write_text("name: demo\ncluster:\n  n_clusters: 7\n")
    >>> load(file).cluster.n_clusters
    7
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    path = Path(path)
    file = path / "study.yaml" if path.is_dir() else path
    if not file.is_file():
        others = [p.name for p in file.parent.glob("*.y*ml")] if file.parent.is_dir() else []
        hint = nearest(file.name, others) or "make one with `cytof new DIR FILE.fcs ...`"
        raise ConfigError("no study file here", where=str(file), hint=hint)
    try:
        data = YAML(typ="rt").load(file.read_text("utf-8-sig"))
    except (MarkedYAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        problem = getattr(error, "problem", None) or "not UTF-8 text"
        raise ConfigError(
            f"not readable as YAML: {problem}", where=where, hint="check quotes and indentation"
        ) from None
    if not isinstance(data, dict):
        raise ConfigError("no settings in this file", where=str(file), hint="write for instance `samples: samples.csv`")
    if "folder" in data:
        raise ConfigError("`folder` cannot be set", where=f"{file}:{_line(data, ('folder',))}", hint="use `data_dir`")
    try:
        return Study(**{**_plain(data), "folder": file.parent.resolve()})
    except ValidationError as error:
        raise_all([_fault(file, data, e) for e in error.errors()])
        raise


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(k): _plain(v) for k, v in data.items()}
    return tuple(map(_plain, data)) if isinstance(data, list) else data


def _line(data: Any, place: tuple[Any, ...]) -> int:
    """Return the line (from 1) of the innermost key of ``place`` that the file holds."""
    line = 1
    for key in place:
        try:
            marks: Any = getattr(data, "lc")  # noqa: B009 - ruamel's map of lines
            line = (marks.key(key) if isinstance(data, dict) else marks.item(key))[0] + 1
            data = data[key]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _fault(file: Path, data: Any, error: Any) -> ConfigError:
    place = tuple(p for p in error["loc"] if not (isinstance(p, str) and p.startswith("function-")))
    key = ".".join(map(str, place))
    where = f"{file}:{_line(data, place)}"
    if error["type"] == "extra_forbidden":
        known = _keys(place[:-1])
        hint = nearest(str(place[-1]), known) or f"known here: {', '.join(known)}"
        return ConfigError(f"unknown setting `{key}`", where=where, hint=hint)
    return ConfigError(f"`{key}` is {error['input']!r}: {error['msg'][:1].lower()}{error['msg'][1:]}", where=where)


def _keys(place: tuple[Any, ...]) -> list[str]:
    """Return the settings known at this place of the file."""
    model: type[BaseModel] = Study
    for key in place:
        inner = model.model_fields[str(key)].annotation if str(key) in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return [k for k in model.model_fields if k != "folder"]
