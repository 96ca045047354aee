"""Is it the cells that vanish, or a gate that loses them? Each step of the gate chain left out in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.errors import UsageError
from cytof.region import Boolean, Rectangle, mask
from cytof.track._gates import ROOT
from cytof.track._interval import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cytof.gate import Gating

__all__ = ["SENSITIVITY", "gate_sensitivity"]

SENSITIVITY = (
    "sample_id", "left_out", "n", "n_denominator", "fraction", "ci_low", "ci_high", "ratio", "n_dn", "dn_fraction",
    "dn_ci_low", "dn_ci_high", "car_median", "note",
)  # fmt: skip
"""Columns of :func:`gate_sensitivity`."""

_MOVES = 1.25
"""A step that changes the share by more than a quarter is told."""


def gate_sensitivity(gating: Gating, *, of: str = "CD45+") -> pd.DataFrame:
    """Return the share of CAR T cells, and of double negative ones among them, without each step of the gate chain.

    Loss of CD7, gain of CD11b or CD11c, and internalisation of the receptor all look like vanishing CAR T cells. If a
    step loses them, the share rises when it is left out; if CAR T cells dim, ``car_median`` falls from visit to visit.

    Parameters
    ----------
    gating
        A gated file with all its events (before ``keep``), with a CAR gate.
    of
        Denominator; it and the steps above it stay. All events where there is no such gate.

    Returns
    -------
    DataFrame, columns :data:`SENSITIVITY`: the row ``none`` first (the whole chain), then one row a step between
    denominator and CAR gate. ``ratio``: share by that of the row ``none``; infinite where the whole chain leaves no CAR
    T cell and the chain without this step does. ``car_median``: median of the CAR marker on the CAR T cells, arcsinh.
    ``note``: steps whose loss changes the share by more than a quarter; a step that loses every CAR T cell, with the
    least ratio that the 95 % intervals of both shares allow.

    Raises
    ------
    UsageError
        No CAR gate, or the events are those of a gate alone.

    Examples
    --------
    ``cytof.track.gate_sensitivity(cytof.gate.apply(events, template, thresholds))``
    """
    if gating.car_gate is None or gating.kept != ROOT:
        found = "no CAR gate" if gating.car_gate is None else f"only the events of `{gating.kept}`"
        raise UsageError(
            f"{found}", where=f"{gating.events.sample_id}: gate_sensitivity", hint="give a whole gated file"
        )
    car, chain = gating.car_gate, _chain(gating, of)
    base = gating.mask(chain[0])
    own = {path: _own(gating, path) for path in [*chain[1:], car]}
    dn = next((p for p, s in gating.subset_gates.items() if s == "DN" and p.startswith(f"{car}/")), None)
    dn_own = _own(gating, dn) if dn else np.zeros(len(gating), bool)
    bright = _car_values(gating, car)
    rows = []
    for left_out in (None, *chain[1:]):
        kept = base.copy()
        for path, inside in own.items():
            if path != left_out:
                kept &= inside
        n, n_dn = int(kept.sum()), int((kept & dn_own).sum())
        rows.append({
            "sample_id": gating.events.sample_id, "left_out": "none" if left_out is None else left_out.split("/")[-1],
            "n": n, "n_denominator": int(base.sum()), "n_dn": n_dn if dn else np.nan,
            "car_median": float(np.median(bright[kept])) if n and bright is not None else np.nan,
        })  # fmt: skip
    return _shares(pd.DataFrame(rows))


def _chain(gating: Gating, of: str) -> list[str]:
    """Return the denominator and the gates between it and the CAR gate, from above."""
    chain: list[str] = []
    path = gating.parents[str(gating.car_gate)]
    while path != ROOT:
        chain.insert(0, path)
        path = gating.parents[path]
    at = next((i for i, p in enumerate(chain) if p == of or p.endswith(f"/{of}")), None)
    return [ROOT, *chain] if at is None else chain[at:]


def _own(gating: Gating, path: str) -> NDArray[np.bool_]:
    """Return the events inside a gate's own region, whatever its parent, as far as that is known."""
    region = gating.regions[path]
    if isinstance(region, Boolean):
        parent = gating.parents[path]
        return gating.mask(path) | ~(gating.mask(parent) if parent != ROOT else np.ones(len(gating), bool))
    return mask(region, gating.events.column)


def _car_values(gating: Gating, car: str) -> NDArray[np.float64] | None:
    region = gating.regions[car]
    if not isinstance(region, Rectangle):
        return None
    dim = region.dims[0]
    return np.arcsinh(np.asarray(gating.events.column(dim.channel), np.float64) / (dim.cofactor or 1.0))


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    table["fraction"] = table["n"] / table["n_denominator"].where(table["n_denominator"] > 0)
    table["ci_low"], table["ci_high"] = clopper_pearson(table["n"], table["n_denominator"])
    table["dn_fraction"] = table["n_dn"] / table["n"].where(table["n"] > 0)
    table["dn_ci_low"], table["dn_ci_high"] = clopper_pearson(table["n_dn"], table["n"])
    first = table["fraction"].iloc[0]
    if first > 0 or not len(table):
        table["ratio"] = table["fraction"] / first
        moved = table["ratio"] > _MOVES
        times = table["ratio"].map("{:.2f}".format)
        table["note"] = np.where(moved, "without it the share is " + times + " times as large", "")
    else:
        table["ratio"] = np.where(table["n"] > 0, np.inf, np.nan)
        table["note"] = _lost(table)
    return table[list(SENSITIVITY)]


def _lost(table: pd.DataFrame) -> list[str]:
    """Return the notes where the whole chain leaves no CAR T cell: which steps lose them."""
    if not table["n_denominator"].iloc[0] > 0:
        return ["no cells in the denominator"] * len(table)
    none = "the whole chain leaves no CAR T cell"
    if not (table["n"] > 0).any():
        return [f"{none}, nor does it without any one step", *[""] * (len(table) - 1)]
    notes = [none]
    for n, times in zip(table["n"].iloc[1:], (table["ci_low"] / table["ci_high"].iloc[0]).iloc[1:], strict=True):
        cells = f"{n:,} CAR T {'cell' if n == 1 else 'cells'} without it, none with it"
        lost = f"loses every CAR T cell: {cells}, the share at least {times:.3g} times as large"
        notes.append("" if not n else lost if times > _MOVES else f"{cells}: too few to tell")
    return notes
