"""How many events are left after each cleaning step."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cytof.events import Events

__all__ = ["waterfall"]


def waterfall(events: Events) -> pd.DataFrame:
    """Count the events left after each flag, in the order the flags were set.

    Returns
    -------
    DataFrame with the columns ``sample_id step n_left fraction_left``; the first row is ``all events``.

    Examples
    --------
    >>> flags = pd.DataFrame({"bead": [True, False, False, False], "dead": [True, True, False, False]})
    >>> e = Events(np.zeros((4, 1), np.float32), pd.DataFrame(index=["Ir191"]), {}, "s1", flags=flags)
    >>> waterfall(e).n_left.tolist()
    [4, 3, 2]
    """
    left = np.ones(len(events), bool)
    rows = [("all events", len(events))]
    for name in events.flags.columns:
        left &= ~events.flags[name].to_numpy(bool)
        rows.append((f"no {name}", int(left.sum())))
    table = pd.DataFrame(rows, columns=["step", "n_left"])
    table.insert(0, "sample_id", events.sample_id)
    return table.assign(fraction_left=table.n_left / max(len(events), 1))
