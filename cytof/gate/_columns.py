"""The columns that imported gates stand on: the file's own, scaled by gain or time step, compensated, or ratios.

Source: Gating-ML 2.0, sections 2 (channel to scale values), 4 (compensation), 6.6 (fratio); FCS 3.1 (``$PnG``,
``$TIMESTEP``, ``$SPILLOVER``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cytof.errors import GateError, PanelError
from cytof.events import Events
from cytof.io._gate_tree import Source, Spillover
from cytof.panel.channel import parse_metal

__all__ = ["Columns"]


class Columns:
    """Values for the dimensions of imported gates, each made once.

    Parameters
    ----------
    events
        The file.
    sources
        Dimension's channel -> where its values come from.
    spillover
        Matrices of the document by id.

    Examples
    --------
    >>> import pandas as pd
    >>> channels = pd.DataFrame({"pnn": ["FL1-H"]}, index=["FL1-H"])
    >>> events = Events(np.ones((2, 1), np.float32), channels, {"$P1N": "FL1-H", "$P1G": "4"}, "s1")
    >>> columns = Columns(events, {"FL1-H": Source(("FL1-H",))}, {})
    >>> columns.name("FL1-H"), columns["FL1-H scaled"].tolist()
    ('FL1-H scaled', [0.25, 0.25])
    """

    def __init__(self, events: Events, sources: Mapping[str, Source], spillover: Mapping[str, Spillover]) -> None:
        self.events, self.sources = events, sources
        self.spillover = {**spillover, **_own_matrix(events)}
        self.made: dict[str, NDArray[np.float64]] = {}
        self._unmixed: dict[str, dict[str, NDArray[np.float64]]] = {}
        self._number = {v.strip(): k[2:-1] for k, v in events.keywords.items() if k[:2] == "$P" and k[-1:] == "N"}

    def __getitem__(self, name: str) -> NDArray:
        return self.made[name] if name in self.made else self.events.column(name)

    def name(self, key: str) -> str:
        """Return the name under which a dimension's values are found here: a channel of the file, or one made.

        Raises
        ------
        GateError
            The file has no such channel, or its values are still coded.
        """
        source = self.sources[key]
        if source.ratio is None:
            return self._single(source.names[0], source.compensation, key)
        x, y = (np.asarray(self[self._single(n, source.compensation, f"{n} of {key}")], float) for n in source.names)
        a, b, c = source.ratio
        with np.errstate(divide="ignore", invalid="ignore"):
            self.made[key] = a * (x - b) / (y - c)
        return key

    def _single(self, name: str, matrix: str, key: str) -> str:
        found = self.spillover.get(matrix)
        if found is not None and name in found.fluorochromes:
            if matrix not in self._unmixed:
                self._unmixed[matrix] = self._unmix(found)
            self.made[key] = self._unmixed[matrix][name]
            return key
        return self._plain(name)

    def _plain(self, name: str) -> str:
        channel = self._channel(name)
        pnn = str(self.events.channels.at[channel, "pnn"]).strip()
        n, words = self._number.get(pnn, ""), self.events.keywords
        self._refuse_coded(channel, words.get(f"$P{n}E", "0,0"))
        time = self.events.channels["role"].get(channel) == "time" if "role" in self.events.channels else False
        time = time or pnn.casefold() == "time"
        factor = _positive(words.get("$TIMESTEP", "")) if time else 1 / _positive(words.get(f"$P{n}G", ""))
        if factor == 1:
            return channel
        made = f"{channel} scaled"
        if made not in self.made:
            values = self.events.column(channel).astype(np.float64)
            self.made[made] = values * factor if time else values / _positive(words.get(f"$P{n}G", ""))
        return made

    def _channel(self, name: str) -> str:
        table = self.events.channels
        for spelling in (str.strip, lambda text: text.strip().casefold()):
            hits = [c for c, pnn in table["pnn"].astype(str).items() if spelling(pnn) == spelling(name)]
            if len(hits) == 1:
                return str(hits[0])
        metal = parse_metal(name)
        try:
            return self.events.channel(f"{metal[0]}{metal[1]}" if metal else name)
        except PanelError:
            raise GateError(f"no channel `{name}` in this file", where=self.events.sample_id) from None

    def _refuse_coded(self, channel: str, text: str) -> None:
        """Refuse an integer channel with a logarithmic amplifier whose values are still steps of the amplifier."""
        decades = text.split(",")[0].strip()
        if self.events.keywords.get("$DATATYPE", "") != "I" or _positive(decades, 0.0) <= 0:
            return
        values = self.events.column(channel)
        if len(values) and bool((values == np.rint(values)).all()):
            raise GateError(
                f"channel {channel} holds steps of a logarithmic amplifier ($PnE {text})",
                where=self.events.sample_id,
                hint="read the file with linearize=True",
            )

    def _unmix(self, found: Spillover) -> dict[str, NDArray[np.float64]]:
        matrix = found.matrix
        if not found.inverted and np.linalg.matrix_rank(matrix) < min(matrix.shape):
            raise GateError("its compensation matrix has no inverse", where=self.events.sample_id)
        seen = np.stack([np.asarray(self[self._plain(d)], np.float64) for d in found.detectors], axis=1)
        dyes: NDArray
        if found.inverted:
            dyes = seen @ matrix
        elif matrix.shape[0] == matrix.shape[1]:
            dyes = np.linalg.solve(matrix.T, seen.T).T
        else:
            dyes = seen @ np.linalg.pinv(matrix)
        return {name: np.ascontiguousarray(dyes[:, i]) for i, name in enumerate(found.fluorochromes)}


def _own_matrix(events: Events) -> dict[str, Spillover]:
    """Return the file's own ``$SPILLOVER`` under the name ``FCS``; none when it has none."""
    for word in ("$SPILLOVER", "SPILLOVER", "$SPILL", "SPILL", "$COMP", "COMP"):
        parts = [p.strip() for p in events.keywords.get(word, "").split(",")]
        if len(parts) < 2 or not parts[0].isdigit():
            continue
        n = int(parts[0])
        names = tuple(parts[1 : n + 1])
        try:
            matrix = np.array(parts[n + 1 :], float).reshape(n, n)
        except ValueError:
            continue
        if n and np.isfinite(matrix).all() and not np.array_equal(matrix, np.eye(n)):
            return {"FCS": Spillover(names, names, matrix)}
    return {}


def _positive(text: str, default: float = 1.0) -> float:
    try:
        value = float(text)
    except ValueError:
        return default
    return value if value > 0 and np.isfinite(value) else default
