"""Gate changes that a person made, laid over placed thresholds: the override of one gate in one sample, as data."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from cytof._check import nearest
from cytof.errors import ConfigError, CytofError
from cytof.panel.template import Gate, Template
from cytof.provenance import canonical_json
from cytof.region import Boolean, Ellipse, Polygon, Rectangle, Region, from_json, to_json

__all__ = ["Override", "gate_faults", "overridden", "override_of"]


@dataclass(frozen=True)
class Override:
    """One change of one gate in one sample.

    Attributes
    ----------
    sample_id, gate
        Where; ``gate`` as written.
    shape
        ``threshold``, ``low``, ``high`` (bounds by dimension), ``vertices``, or ``mean covariance distance_square``.
    author, date, reason
        Who, when (YYYY-MM-DD), why.
    before, after
        Counts before and after the change.
    where
        ``file:line``.
    """

    sample_id: str
    gate: str
    shape: Mapping[str, Any]
    author: str
    date: str
    reason: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    where: str = field(default="", compare=False)

    def digest(self) -> str:
        """Return what of it changes a result, as text for a stage key."""
        return canonical_json([self.sample_id, self.gate, self.shape])


def overridden(thresholds: pd.DataFrame, overrides: Sequence[Override], template: Template) -> pd.DataFrame:
    """Return the thresholds with the changes laid over them; the rows of other samples and gates stay as they are.

    Parameters
    ----------
    thresholds
        Of :func:`cytof.gate.place`.
    overrides
        Of :func:`read_overrides`.
    template
        The template the thresholds were placed for. A change of one quadrant changes its siblings.

    Returns
    -------
    DataFrame with the same columns; changed rows have the method ``override``, the interval shrunk to the value, the
    flag ``ok`` (a person looked at it) and the new region.

    Raises
    ------
    ConfigError
        An override names a gate that cannot be changed so, or a sample without thresholds is named.
    """
    table = thresholds.copy()
    for override in overrides:
        for gate in _siblings(template, override):
            rows = (table["sample_id"].astype(str) == override.sample_id) & (table["gate"] == gate.path)
            if not rows.any():
                continue
            region = _changed(from_json(table.loc[rows, "region"].iloc[0]), gate, override)
            table.loc[rows, "region"] = to_json(region)
            table.loc[rows, ["method", "flag"]] = ["override", "ok"]
            for at in table.index[rows]:
                value = _value(region, str(table.at[at, "channel"]))
                table.loc[at, ["value", "low", "high"]] = value
                table.loc[at, "depth"] = float("nan")
    return table


def override_of(
    sample_id: str, gate: Gate, region: Region, *, author: str, reason: str, date: str = "",
    before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None,
) -> Override:  # fmt: skip
    """Return the override that gives a gate this region.

    Raises
    ------
    ConfigError
        The gate is a boolean, or author or reason are blank.

    Examples
    --------
    >>> from cytof.region import Dimension
    >>> gate = Gate("CD3+", "CD3+", "root", ("CD3",), "mindensity", signs="+")
    >>> box = Rectangle((Dimension("Er170", 5.0),), (2.5,), (math.inf,))
    >>> override_of("s1", gate, box, author="J", reason="shoulder", date="2026-11-27").shape
    {'threshold': {'CD3': 2.5}}
    """
    blank = [name for name, value in (("author", author), ("reason", reason)) if not value.strip()]
    if blank:
        raise ConfigError(f"no {' and no '.join(blank)}", where=f"{sample_id}:{gate.pop}", hint="say who and why")
    shape = _shape_of(region, gate)
    when = date or dt.date.today().isoformat()
    return Override(sample_id, gate.path, shape, author.strip(), when, reason.strip(), before or {}, after or {})


def gate_faults(gate: Gate, shape: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what keeps a gate from taking this shape, each with the remedy."""
    if gate.method == "boolean":
        return [(f"`{gate.pop}` is a boolean gate", "change the gates it is made of")]
    wrong = [d for k in ("threshold", "low", "high") for d in dict(shape.get(k) or {}) if d not in gate.dims]
    return [
        (f"`{gate.pop}` does not read `{d}`", nearest(d, gate.dims) or f"it reads {', '.join(gate.dims)}")
        for d in wrong
    ]


def _siblings(template: Template, override: Override) -> list[Gate]:
    """Return the gate an override changes; of a quadrant, all quadrants on the same channels of the same parent."""
    try:
        gate = template.gate(override.gate)
    except CytofError as error:
        raise ConfigError(error.message, where=override.where, hint=error.hint) from None
    if faults := gate_faults(gate, override.shape):
        raise ConfigError(faults[0][0], where=override.where, hint=faults[0][1])
    if gate.method != "quadrant":
        return [gate]
    return [g for g in template.gates if (g.parent, g.dims, g.method) == (gate.parent, gate.dims, gate.method)]


def _changed(region: Region, gate: Gate, override: Override) -> Region:
    shape = override.shape
    if "vertices" in shape and not isinstance(region, Boolean) and len(region.dims) == 2:
        return Polygon((region.dims[0], region.dims[1]), tuple((float(x), float(y)) for x, y in shape["vertices"]))
    if "mean" in shape and isinstance(region, Ellipse):
        covariance = tuple(tuple(map(float, row)) for row in shape["covariance"])
        return replace(region, mean=tuple(map(float, shape["mean"])), covariance=covariance,
                       distance_square=float(shape["distance_square"]))  # fmt: skip
    if not isinstance(region, Rectangle) or not {"threshold", "low", "high"} & set(shape):
        kind = "a polygon or an ellipse" if isinstance(region, Polygon | Ellipse) else "an interval"
        raise ConfigError(f"`{gate.pop}` is {kind}, which this shape does not fit", where=override.where)
    low, high = list(region.low), list(region.high)
    for i, dim in enumerate(gate.dims):
        if dim in shape.get("threshold", {}):
            side = low if math.isfinite(low[i]) or not math.isfinite(high[i]) else high
            side[i] = float(shape["threshold"][dim])
        low[i] = float(shape.get("low", {}).get(dim, low[i]))
        high[i] = float(shape.get("high", {}).get(dim, high[i]))
        if low[i] >= high[i]:
            hint = "keep the lower bound below the upper"
            raise ConfigError(f"`{gate.pop}`: the bounds on {dim} cross", where=override.where, hint=hint)
    return Rectangle(region.dims, tuple(low), tuple(high))


def _value(region: Region, channel: str) -> float:
    if isinstance(region, Rectangle):
        for dim, low, high in zip(region.dims, region.low, region.high, strict=True):
            if dim.channel == channel:
                return low if math.isfinite(low) else high if math.isfinite(high) else float("nan")
    return float("nan")


def _shape_of(region: Region, gate: Gate) -> dict[str, Any]:
    if isinstance(region, Polygon):
        return {"vertices": [list(v) for v in region.vertices]}
    if isinstance(region, Ellipse):
        covariance = [list(row) for row in region.covariance]
        return {"mean": list(region.mean), "covariance": covariance, "distance_square": region.distance_square}
    if isinstance(region, Boolean):
        raise ConfigError(f"`{gate.pop}` is a boolean gate", where=gate.path, hint="change the gates it is made of")
    bounds = list(zip(gate.dims, region.low, region.high, strict=True))
    if all(math.isfinite(low) != math.isfinite(high) for _, low, high in bounds):
        return {"threshold": {d: low if math.isfinite(low) else high for d, low, high in bounds}}
    shape = {"low": {d: low for d, low, _ in bounds if math.isfinite(low)},
             "high": {d: high for d, _, high in bounds if math.isfinite(high)}}  # fmt: skip
    return {k: v for k, v in shape.items() if v}
