"""Checks at the doors: one sentence that names what was found, what was expected and the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from typing import Any

from cytof.errors import CytofError, UsageError

__all__ = ["at_least", "has_columns", "in_range", "nearest", "one_of"]


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """Say which known name is closest, as a clause for a hint; empty when none is nearer than ``cutoff`` (0 to 1).

    Examples
    --------
    >>> nearest("sample", ["sample_id", "day"])
    'did you mean `sample_id`?'
    """
    table = {str(k).casefold(): str(k) for k in known}
    hits = difflib.get_close_matches(str(name).casefold(), list(table), n=1, cutoff=cutoff)
    return f"did you mean `{table[hits[0]]}`?" if hits else ""


def one_of(
    value: Any, allowed: Collection[str], name: str, *, where: str = "", error: type[CytofError] = UsageError
) -> str:
    """Return ``value`` if it is one of ``allowed``; raise ``error`` with the nearest name otherwise."""
    if value in allowed:
        return str(value)
    hint = nearest(str(value), allowed)
    raise error(f"{name} is {value!r}, expected one of {', '.join(map(str, allowed))}", where=where, hint=hint)


def has_columns(
    columns: Iterable[str],
    required: Iterable[str],
    *,
    where: str,
    hint: str = "",
    error: type[CytofError] = UsageError,
) -> None:
    """Raise ``error`` that lists every required column that is missing, with the nearest name present."""
    present = [str(c) for c in columns]
    missing = [c for c in required if c not in present]
    if missing:
        near = " ".join(filter(None, (nearest(c, present) for c in missing)))
        raise error(
            f"column{'s' if len(missing) > 1 else ''} {', '.join(f'`{c}`' for c in missing)} missing, "
            f"found {', '.join(present) or 'none'}",
            where=where,
            hint=" ".join(filter(None, (near, hint))),
        )


def in_range(
    value: float, low: float, high: float, name: str, *, where: str = "", error: type[CytofError] = UsageError
) -> float:
    """Return ``value`` if ``low <= value <= high``; NaN is refused."""
    if not low <= value <= high:
        raise error(f"{name} is {value:g}, expected {low:g} to {high:g}", where=where)
    return value


def at_least(value: float, low: float, name: str, *, where: str = "", error: type[CytofError] = UsageError) -> float:
    """Return ``value`` if ``value >= low``; NaN is refused."""
    return in_range(value, low, float("inf"), name, where=where, error=error)
