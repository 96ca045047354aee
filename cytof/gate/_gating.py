"""Gating: one sample's events with the mask, the count and the geometry of every gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import GateError
from cytof.events import Events
from cytof.panel.template import ROOT, resolve
from cytof.region import Region

__all__ = ["Gating"]


@dataclass(frozen=True, eq=False, repr=False)
class Gating:
    """What :func:`cytof.gate.apply` returns. Frozen.

    Attributes
    ----------
    events
        The events, all of them or those of the gate ``kept``.
    masks
        Bool, one row an event, one column a gate (full path); a child's mask lies within its parent's.
    counts
        ``sample_id gate parent n n_parent fraction_of_parent flag``, one row a gate and one for ``root``, of the whole
        file whatever ``kept`` is.
    thresholds
        This sample's rows of the table that :func:`cytof.gate.place` returned.
    blanks
        ``keys.Tables.BLANKS``: cells that cannot be CAR T cells, how many of them lie above the CAR threshold with the
        exact upper 95 % limit of the rate; the row ``all`` says what follows: limit of blank, doublet candidates, false
        and missed CAR T cells, and the band of their number.
    regions
        Gate path -> region, and the regions of cleaning that the gates refer to, by their own names.
    parents
        Gate path (or cleaning region) -> parent's path, ``root`` at the top.
    car_gate
        Path of the gate of the CAR T cells, or None.
    subset_gates
        Path -> ``CD4``, ``CD8``, ``DN`` or ``DP``.
    kept
        Path of the gate whose events these are; ``root``: all.
    aliases
        Second name -> path.
    text
        The gating template that was applied, as YAML.
    """

    events: Events
    masks: pd.DataFrame
    counts: pd.DataFrame
    thresholds: pd.DataFrame
    blanks: pd.DataFrame
    regions: Mapping[str, Region]
    parents: Mapping[str, str]
    car_gate: str | None = None
    subset_gates: Mapping[str, str] = field(default_factory=dict)
    kept: str = ROOT
    aliases: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def __len__(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        where = "" if self.kept == ROOT else f", kept {self.kept.rsplit('/', 1)[-1]}"
        return f"Gating({self.events.sample_id}: {len(self):,} events, {self.masks.shape[1]} gates{where})"

    def path(self, name: str) -> str:
        """Return the full path for a path, an unambiguous end of one (``CAR+/DN``) or an alias; ``root`` is itself.

        Raises
        ------
        GateError
            No gate, or more than one, answers to the name.
        """
        return resolve(name, self.masks.columns, self.aliases, where=self.events.sample_id, error=GateError)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Return the mask of a gate, named as for :meth:`path`."""
        path = self.path(name)
        return np.ones(len(self), bool) if path == ROOT else self.masks[path].to_numpy(bool)

    def keep(self, gate: str) -> Gating:
        """Return the events of a gate alone, with all counts, thresholds and blanks of the whole file.

        Raises
        ------
        GateError
            The gate is not there. An empty gate is no error: it gives a Gating of 0 events.
        """
        path, inside = self.path(gate), self.mask(gate)
        masks = self.masks.loc[inside].reset_index(drop=True)
        return replace(self, events=self.events.take(inside), masks=masks, kept=path)

    def deepest(self) -> NDArray[np.object_]:
        """Return each event's deepest gate (path; ``root`` outside all), shape (n_events,); of siblings the later."""
        label = np.full(len(self), ROOT, object)
        for path in sorted(self.masks.columns, key=lambda p: p.count("/")):
            label[self.masks[path].to_numpy(bool)] = path
        return label
