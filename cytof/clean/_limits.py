"""What each limit of the clean-up takes out, and where a manual chain and ours part.

An automatic clean-up and an expert's gates never keep the same events: gates drawn for one file cut another's cloud.
These tables say by how much, and at which gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cytof.clean._beads import find_beads
from cytof.clean._intact import intact
from cytof.errors import UsageError
from cytof.events import Events

__all__ = ["AGREEMENT", "LIMITS", "against", "limits"]

LIMITS = ("sample_id", "step", "channel", "low", "high", "n", "n_outside", "fraction_outside")
"""Columns of :func:`limits`."""

AGREEMENT = (
    "sample_id", "gate", "n_manual", "n_automatic", "n_both", "only_manual", "only_automatic", "lost_here",
)  # fmt: skip
"""Columns of :func:`against`."""


def limits(sample_id: str, steps: Mapping[str, Mapping[str, Any]], n_events: int) -> pd.DataFrame:
    """List the limits of debris, doublets and dead cells, and what each takes out alone.

    Parameters
    ----------
    sample_id
        Name of the sample.
    steps
        Step -> record, of ``events.steps`` (or of ``uns["cytof"]["steps"]``).
    n_events
        Events of the file.

    Returns
    -------
    DataFrame with the columns of :data:`LIMITS`, one row a step and channel. ``low`` and ``high`` bound what the step
    keeps (``dead``: what it flags), on arcsinh(counts / 5) for metals and on the file's own scale for event length and
    the Gaussian parameters; ``n_outside`` events are taken out by this limit alone, whatever the others do.

    Examples
    --------
    >>> record = {"params": {"limits": {"Ir191": [5.2, np.inf]}}, "by_channel": {"Ir191": 40}}
    >>> limits("s1", {"debris": record}, 400).fraction_outside.tolist()
    [0.1]
    """
    rows = [
        (sample_id, step, channel, low, high, n_events, steps[step]["by_channel"][channel])
        for step in ("debris", "doublet", "dead")
        if step in steps
        for channel, (low, high) in steps[step]["params"]["limits"].items()
    ]
    table = pd.DataFrame(rows, columns=list(LIMITS[:-1]))
    return table.assign(fraction_outside=table["n_outside"] / max(n_events, 1))


def against(events: Events, chain: pd.DataFrame) -> pd.DataFrame:
    """Hold the automatic clean-up against a chain of manual gates, gate by gate.

    Parameters
    ----------
    events
        Counts of one file. Beads and what is not intact are looked for where that has not been done.
    chain
        Bool, one row an event, one column a gate: what each gate keeps of the events before it, first gate first.

    Returns
    -------
    DataFrame with the columns of :data:`AGREEMENT`, one row a gate: events that the chain keeps up to here, that the
    automatic clean-up keeps in all, that both keep, that only one of them keeps; and ``lost_here``, events that the
    automatic clean-up and every gate before keep and this gate does not: where it is large, this gate cuts deeper.

    Raises
    ------
    UsageError
        ``chain`` has another number of events.

    Examples
    --------
    >>> events = Events(np.zeros((4, 1), np.float32), pd.DataFrame({"role": ["none"]}, index=["Nd142"]), {}, "s1")
    >>> chain = pd.DataFrame({"singlets": [True, True, True, False], "live": [True, True, False, False]})
    >>> against(events, chain)[["gate", "n_manual", "n_automatic", "lost_here"]].values.tolist()
    [['singlets', 3, 4, 1], ['live', 2, 4, 1]]
    """
    if len(chain) != len(events):
        raise UsageError(f"{len(chain):,} rows for {len(events):,} events", where=events.sample_id)
    events = events if "bead" in events.flags else find_beads(events)
    events = events if {"debris", "doublet", "dead"} & set(events.flags) else intact(events)
    ours = ~events.flags.to_numpy(bool).any(axis=1)
    manual, rows = np.ones(len(events), bool), []
    for gate in chain.columns:
        before, manual = manual, manual & chain[gate].to_numpy(bool)
        both = int((manual & ours).sum())
        n_manual, n_ours = int(manual.sum()), int(ours.sum())
        lost = int((before & ours & ~manual).sum())
        rows.append((events.sample_id, str(gate), n_manual, n_ours, both, n_manual - both, n_ours - both, lost))
    return pd.DataFrame(rows, columns=list(AGREEMENT))
