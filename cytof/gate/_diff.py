"""What changed between two templates, or between two gatings of the same samples."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cytof.errors import UsageError
from cytof.panel.template import Gate, Template
from cytof.provenance import canonical_json

__all__ = ["DIFF_COUNTS", "DIFF_TEMPLATE", "diff"]

DIFF_TEMPLATE = ("gate", "change", "what", "before", "after")
"""Columns of :func:`diff` of two templates."""

DIFF_COUNTS = (
    "sample_id", "gate", "n_before", "n_after", "n_change", "fraction_before", "fraction_after", "ratio",
)  # fmt: skip
"""Columns of :func:`diff` of two results."""

_PARTS = ("parent", "dims", "method", "args", "signs", "collapse", "alias", "car", "subset")


def diff(before: Any, after: Any) -> pd.DataFrame:
    """Return what changed between two templates, or between two results.

    Parameters
    ----------
    before, after
        Two :class:`cytof.panel.Template`; or two results, each a Gating or a counts table (``sample_id gate n
        n_parent``, as ``tables/counts.csv`` and ``uns["cytof"]["counts"]`` hold it).

    Returns
    -------
    DataFrame
        Of templates the columns of :data:`DIFF_TEMPLATE`: one row a gate added or removed, and one a part of a gate
        that changed. Of results the columns of :data:`DIFF_COUNTS`, one row a sample and gate whose count or parent's
        count changed, or that is on one side only (NaN on the other); ``ratio`` is that of the fractions of the parent.
        Equal things give no rows.

    Raises
    ------
    UsageError
        The two are not of one kind.

    Examples
    --------
    >>> rows = {"sample_id": ["s1"], "gate": ["CD3+"], "n": [50], "n_parent": [100]}
    >>> later = pd.DataFrame(rows | {"n": [60]})
    >>> diff(pd.DataFrame(rows), later)[["n_change", "ratio"]].values.tolist()
    [[10.0, 1.2]]
    """
    if isinstance(before, Template) and isinstance(after, Template):
        return _templates(before, after)
    tables = [getattr(side, "counts", side) for side in (before, after)]
    needed = {"sample_id", "gate", "n", "n_parent"}
    for side, table in zip((before, after), tables, strict=True):
        if not isinstance(table, pd.DataFrame) or not needed <= set(table.columns):
            raise UsageError(
                f"found a {type(side).__name__}, expected two templates, two gatings or two counts tables",
                where="gate.diff",
            )
    return _counts(*tables)


def _templates(before: Template, after: Template) -> pd.DataFrame:
    old, new = ({g.path: g for g in t.gates} for t in (before, after))
    rows = [(p, "removed", "", g.method, "") for p, g in old.items() if p not in new]
    for path, gate in new.items():
        if path not in old:
            rows.append((path, "added", "", "", gate.method))
        else:
            rows += [(path, "changed", part, a, b) for part, a, b in _parts(old[path], gate) if a != b]
    return pd.DataFrame(rows, columns=list(DIFF_TEMPLATE))


def _parts(before: Gate, after: Gate) -> list[tuple[str, str, str]]:
    found = []
    for part in _PARTS:
        a, b = getattr(before, part), getattr(after, part)
        if part == "args":
            names = sorted({*a, *b})
            found += [(f"args.{n}", _said(a.get(n)), _said(b.get(n))) for n in names]
        else:
            found.append((part, _said(a), _said(b)))
    return found


def _said(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else canonical_json(value)


def _counts(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    keys = ["sample_id", "gate"]
    sides = [t.astype(dict.fromkeys(keys, str))[[*keys, "n", "n_parent"]] for t in (before, after)]
    both = sides[0].merge(sides[1], on=keys, how="outer", suffixes=("_before", "_after"), sort=False)
    counts = both[["n_before", "n_after", "n_parent_before", "n_parent_after"]].astype(float)
    changed = (counts["n_before"] != counts["n_after"]) | (counts["n_parent_before"] != counts["n_parent_after"])
    counts = counts[changed]
    table = both.loc[changed, keys].assign(n_before=counts["n_before"], n_after=counts["n_after"])
    table["n_change"] = table["n_after"] - table["n_before"]
    for side in ("before", "after"):
        parent = counts[f"n_parent_{side}"].where(counts[f"n_parent_{side}"] > 0)
        table[f"fraction_{side}"] = counts[f"n_{side}"] / parent
    table["ratio"] = table["fraction_after"] / table["fraction_before"].where(table["fraction_before"] > 0)
    order = {(s, g): i for i, (s, g) in enumerate(zip(sides[0]["sample_id"], sides[0]["gate"], strict=True))}
    place = [order.get((s, g), len(order)) for s, g in zip(table["sample_id"], table["gate"], strict=True)]
    return table.iloc[pd.Series(place, dtype=int).argsort(kind="stable")].reset_index(drop=True)[list(DIFF_COUNTS)]
