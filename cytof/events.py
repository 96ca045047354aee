"""One FCS file in memory: events x channels as float32 counts, what each channel means, keywords and cautions."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import nearest
from cytof.errors import Caution, PanelError
from cytof.region import Region

__all__ = ["Events"]


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """One FCS file (or a part of it) in memory.

    Frozen: every step returns a new one that shares what it did not change.

    Attributes
    ----------
    X
        Dual counts as in the file, float32, shape (n_events, n_channels).
    channels
        One row a channel, indexed by channel (``Nd142`` where there is an element and a mass, else ``$PnN``), columns
        ``pnn pns metal mass antigen marker_class role cofactor``.
    keywords
        TEXT keywords of the file, upper case.
    sample_id
        Name of the sample.
    warnings
        What was mended or passed over while reading and cleaning.
    flags
        One bool column a cleaning step, True where the event is flagged (``bead unsteady debris doublet dead``).
    regions
        Geometry behind each flag, for export.
    steps
        What each cleaning step did: ``{"step": ..., "params": ..., "counts": ...}``.
    rows
        Row of each event in the file it came from, int64: draws and gates stay traceable.
    transformed
        True when the file was already on the arcsinh scale; ``X`` then holds the counts brought back by ``sinh``.

    Examples
    --------
    >>> channels = pd.DataFrame({"antigen": ["CD3"], "role": ["lineage"]}, index=["Er170"])
    >>> events = Events(np.ones((3, 1), np.float32), channels, {}, "s1")
    >>> events.column("CD3").tolist()
    [1.0, 1.0, 1.0]
    """

    X: NDArray[np.float32]
    channels: pd.DataFrame
    keywords: Mapping[str, str]
    sample_id: str
    warnings: tuple[Caution, ...] = ()
    flags: pd.DataFrame = field(default_factory=pd.DataFrame)
    regions: Mapping[str, Region] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    transformed: bool = False

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.X):
            object.__setattr__(self, "rows", np.arange(len(self.X), dtype=np.int64))
        if len(self.flags) != len(self.X):
            object.__setattr__(self, "flags", pd.DataFrame(index=pd.RangeIndex(len(self.X))))

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        n, m = self.X.shape
        flagged = ", ".join(f"{name} {int(count):,}" for name, count in self.flags.sum().items())
        return f"Events({self.sample_id}: {n:,} events x {m} channels" + (f"; {flagged})" if flagged else ")")

    def channel(self, name: str) -> str:
        """Return the channel that bears this channel name, antigen, ``$PnN`` or, where it is the only one, role.

        Raises
        ------
        PanelError
            No channel or more than one answers to the name; the nearest one is named.
        """
        table = self.channels
        if name in table.index:
            return name
        for column in ("antigen", "pnn", "role"):
            if column in table:
                hits = table.index[table[column].astype(str).str.casefold() == name.casefold()]
                if len(hits) == 1:
                    return str(hits[0])
                if len(hits) > 1:
                    raise PanelError(
                        f"`{name}` is the {column} of {len(hits)} channels: {', '.join(hits)}",
                        where=self.sample_id,
                        hint="name the channel",
                    )
        known = [*table.index, *table.get("antigen", pd.Series(dtype=str)).astype(str)]
        raise PanelError(
            f"no channel for `{name}`, found {', '.join(k for k in known if k)}",
            where=self.sample_id,
            hint=nearest(name, known),
        )

    def has(self, name: str) -> bool:
        """Tell whether exactly one channel answers to the name."""
        try:
            self.channel(name)
        except PanelError:
            return False
        return True

    def with_role(self, role: str) -> list[str]:
        """Return the channels of a role, in the file's order."""
        return [str(c) for c in self.channels.index[self.channels["role"] == role]]

    def column(self, name: str) -> NDArray[np.float32]:
        """Return one channel's counts, shape (n_events,), a view; ``name`` as for :meth:`channel`."""
        return self.X[:, self.channels.index.get_loc(self.channel(name))]

    def columns(self, names: Sequence[str]) -> NDArray[np.float32]:
        """Return several channels' counts, shape (n_events, len(names)), a copy."""
        return self.X[:, [self.channels.index.get_loc(self.channel(n)) for n in names]]

    def replace(self, **changes: Any) -> Events:
        """Return a copy with these attributes changed."""
        return replace(self, **changes)

    def take(self, rows: NDArray) -> Events:
        """Return the events at these places (bool mask or integers), with flags and file rows kept."""
        places = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(
            self, X=self.X[places], rows=self.rows[places], flags=self.flags.iloc[places].reset_index(drop=True)
        )

    def draw(self, n: int, random_state: int = 0) -> Events:
        """Return ``n`` events drawn without replacement, in file order; all of them when there are no more than ``n``.

        The draw depends on ``random_state`` and ``sample_id`` alone, not on which other samples are drawn.
        """
        if n >= len(self):
            return self
        seed = np.random.SeedSequence([random_state, zlib.crc32(self.sample_id.encode())])
        chosen = np.random.default_rng(seed).choice(len(self), n, replace=False, shuffle=False)
        return self.take(np.sort(chosen))
