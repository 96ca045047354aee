"""Groups defined after time 0: landmark analysis, time-dependent covariates, and the guard against immortal time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cytof._check import at_least, has_columns
from cytof.clinical._columns import event_flags
from cytof.clinical._cox import Cox, cox
from cytof.clinical._result import p_text
from cytof.errors import InputError, UsageError

__all__ = ["Landmark", "immortal_caption", "landmark", "split_at", "time_dependent"]


@dataclass(frozen=True)
class Landmark:
    """Patients still at risk at the landmark, time counted from there.

    ``table`` has all columns, ``time`` reduced by ``at``, and ``state`` (``yes``/``no``: reached by the landmark).
    """

    table: pd.DataFrame
    at: float
    n: int
    n_excluded: int
    n_events_excluded: int
    state: str

    @property
    def caption(self) -> str:
        """What a figure or table of it must say."""
        return (
            f"Landmark at {self.at:g}: {self.n} patients at risk then, grouped by what had happened by then; "
            f"{self.n_excluded} without follow-up beyond it left out ({self.n_events_excluded} with the event)."
        )


def landmark(
    table: pd.DataFrame, time: str, event: str, at: float, reached: str | None = None, *, state: str = "state",
    by_then: bool = True,
) -> Landmark:  # fmt: skip
    """Keep the patients at risk at a landmark and group them by what was reached by then.

    Parameters
    ----------
    table, time, event
        As in :func:`kaplan_meier`.
    at
        The landmark, in the unit of ``time``; patients with ``time > at`` stay.
    reached
        Column with the time at which the state began (missing: never); None: no grouping.
    state
        Name of the new column, ``yes`` or ``no``.
    by_then
        The landmark itself counts as reached (``<=``); False: only before it (``<``).

    Raises
    ------
    InputError
        Nobody is followed beyond the landmark.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [2.0, 8.0, 9.0], "e": [1, 1, 0], "cr": [1.0, 3.0, 7.0]})
    >>> found = landmark(table, "t", "e", 6, "cr")
    >>> found.n, found.n_excluded, found.table["state"].tolist(), found.table["t"].tolist()
    (2, 1, ['yes', 'no'], [2.0, 3.0])

    Source: Anderson, Cain and Gelber 1983, J Clin Oncol 1:710.
    """
    has_columns(table.columns, [time, event, *([reached] if reached else [])], where="clinical.landmark")
    at_least(at, 0, "at", where="clinical.landmark")
    keep = table[time] > at
    if not keep.any():
        raise InputError(f"nobody is followed beyond {at:g}; the last `{time}` is {table[time].max():g}",
                         where="clinical.landmark", hint="choose an earlier landmark")  # fmt: skip
    part = table[keep].assign(**{time: table.loc[keep, time] - at})
    if reached:
        there = part[reached] <= at if by_then else part[reached] < at
        part[state] = pd.Categorical(np.where(part[reached].notna() & there, "yes", "no"), ["no", "yes"])
    gone = event_flags(table.loc[~keep & table[time].notna(), event], where=f"clinical.landmark:{event}")[0]
    return Landmark(part.reset_index(drop=True), float(at), int(keep.sum()), int((~keep & table[time].notna()).sum()),
                    int(gone.sum()), state)  # fmt: skip


def split_at(table: pd.DataFrame, time: str, event: str, change: str, *, state: str = "state") -> pd.DataFrame:
    """Split each patient's follow-up where the state begins: rows ``entry``, ``time``, ``event``, ``state`` 0 then 1.

    Parameters
    ----------
    table, time, event
        As in :func:`kaplan_meier`.
    change
        Column with the time at which the state begins; missing or not before ``time``: never; 0 or less: from the
        start.
    state
        Name of the new column.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [5.0, 4.0], "e": [1, 0], "cr": [2.0, None]})
    >>> split_at(table, "t", "e", "cr")[["entry", "t", "e", "state"]].values.tolist()
    [[0.0, 2.0, 0.0, 0.0], [2.0, 5.0, 1.0, 1.0], [0.0, 4.0, 0.0, 0.0]]

    Source: Therneau and Grambsch 2000, Modeling Survival Data, section 3.7 (R's ``tmerge``).
    """
    has_columns(table.columns, [time, event, change], where="clinical.split_at")
    table = table[table[time].notna()]
    flags = event_flags(table[event], where=f"clinical.split_at:{event}")[0].astype(int)
    if "entry" in table:
        raise UsageError("the table already has a column `entry`", where="clinical.split_at", hint="rename it")
    begins, end = table[change].to_numpy(float), table[time].to_numpy(float)
    with np.errstate(invalid="ignore"):
        changes, from_start = (begins > 0) & (begins < end), begins <= 0
    order = np.arange(len(table))
    before = table.assign(entry=0.0, **{time: np.where(changes, begins, end), event: np.where(changes, 0, flags),
                                        state: from_start.astype(int)})  # fmt: skip
    after = table.assign(entry=begins, **{event: flags, state: 1})[changes]
    both = pd.concat([before, after]).iloc[np.argsort(np.r_[order, order[changes]], kind="stable")]
    return both.reset_index(drop=True)


def time_dependent(table: pd.DataFrame, time: str, event: str, change: str, **options: object) -> Cox:
    """Fit Cox's model with a state that begins during follow-up: its hazard ratio without immortal time.

    ``options`` go to :func:`cox`.
    """
    rows = split_at(table, time, event, change)
    return cox(rows, time, event, ["state"], entry="entry", **options)  # type: ignore[arg-type]


def immortal_caption(group: str, p: float | None = None) -> str:
    """Return the caption without which a naive curve of a group defined after time 0 is not drawn.

    Examples
    --------
    >>> immortal_caption("CR")
    'Groups by CR are known only after time 0: who is in the better group had to live to get there (immortal time).'
    """
    text = (
        f"Groups by {group} are known only after time 0: who is in the better group had to live to get there "
        "(immortal time)."
    )
    return text if p is None else f"{text} The naive p {p_text(p, sign=True)} overstates the difference."
