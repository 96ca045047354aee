"""The simulated instrument: from the true antigens of each event to the counts in a Helios-style file.

Steps, in the order in which they happen: staining (``_staining.py``) and background, spill to the neighbouring masses
(M-1, M+1) and to the oxide (M+16), sensitivity of the run and its slow drift, counting (Poisson), and the dithering of
whole counts that the instrument's software does. ``channels.csv`` holds spread, isotope
and oxide fractions and backgrounds of each metal; shapes of Event_length and of the Gaussian parameters follow what
public Helios files show for singlets, doublets, debris and beads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.datasets._phenotypes import Visit, antigens, read_data
from cytof.datasets._plan import BEAD, BEAD_CELL, CELL, DEAD, DEBRIS, DOUBLET, Plan
from cytof.datasets._staining import Stain, normal, stained

__all__ = ["GAUSSIAN", "Instrument", "acquire"]

GAUSSIAN = ("Center", "Offset", "Width", "Residual")
_BLOCK = 16_384
_RATE = 0.4  # events a millisecond


@dataclass(frozen=True)
class Instrument:
    """The channels of the instrument and what crosses between them.

    Attributes
    ----------
    table
        ``channels.csv``, one row a mass channel, in order of mass: ``channel pns antigen spread isotope oxide
        background shape bead``.
    """

    table: pd.DataFrame

    @classmethod
    def load(cls) -> Instrument:
        """Read the shipped instrument.

        Examples
        --------
        >>> Instrument.load().names[:3]
        ['Time', 'Event_length', 'Y89Di']
        """
        return cls(read_data("channels.csv"))

    @property
    def names(self) -> list[str]:
        """``$PnN`` of every channel of a file, in order."""
        return ["Time", "Event_length", *(f"{c}Di" for c in self.table.channel), *GAUSSIAN]

    @property
    def stains(self) -> list[str]:
        """``$PnS`` of every channel of a file, in order."""
        return ["Time", "Event_length", *self.table.pns, *GAUSSIAN]

    @cached_property
    def mass(self) -> NDArray[np.int64]:
        """Mass of each mass channel."""
        return self.table.channel.str.extract(r"(\d+)$")[0].to_numpy(np.int64)

    @cached_property
    def stained(self) -> NDArray[np.int64]:
        """Place of each antigen, in the order of :func:`antigens`, among the mass channels."""
        place = pd.Series(range(len(self.table)), index=self.table.antigen)
        return place[antigens()].to_numpy(np.int64)

    @cached_property
    def crossings(self) -> list[tuple[int, int, float]]:
        """Spill as (from, to, fraction): M-1 and M+1 by isotopic impurity, M+16 by oxide; antibody metals only."""
        place = {int(m): i for i, m in enumerate(self.mass)}
        found = []
        for i, row in enumerate(self.table.to_dict("records")):
            if not row["antigen"]:
                continue
            for step, fraction in ((-1, row["isotope"]), (1, row["isotope"]), (16, row["oxide"])):
                to = place.get(int(self.mass[i]) + step)
                if to is not None and fraction > 0:
                    found.append((i, to, float(fraction)))
        return found

    def at(self, channel: str) -> int:
        """Place of a channel among the mass channels."""
        return int(np.flatnonzero(self.table.channel == channel)[0])


def acquire(
    plan: Plan,
    level: NDArray[np.float32],
    table: pd.DataFrame,
    visit: Visit,
    instrument: Instrument,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Measure every event of a plan.

    Parameters
    ----------
    plan
        The events, in the order in which they arrive.
    level
        Median counts, shape (n_phenotypes, 41).
    table
        The phenotypes: cell type, subset and DNA content.
    visit
        Gives the gain of the run.
    instrument
        Channels, spill and background.
    rng
        Source of randomness.

    Returns
    -------
    float32 array, shape (n_events, n_channels): columns as ``instrument.names``; Time in ms, Event_length in pushes,
    dual counts for the masses.

    Examples
    --------
    >>> from cytof.datasets._phenotypes import VISITS, composition, levels, phenotypes
    >>> from cytof.datasets._plan import arrange
    >>> rng, table = np.random.default_rng(0), phenotypes()
    >>> plan = arrange(composition(VISITS[0], scale=0.01), table, rng)
    >>> X = acquire(plan, levels(VISITS[0]), table, VISITS[0], Instrument.load(), rng)
    >>> X.shape[1], bool((np.diff(X[:, 0]) >= 0).all())
    (62, True)
    """
    n, n_mass = len(plan), len(instrument.table)
    X = np.empty((n, n_mass + 6), np.float32)
    time = np.cumsum(rng.exponential(1 / _RATE, n))
    X[:, 0] = time
    staining = np.exp(0.03 * rng.standard_normal(level.shape[1])).astype(np.float32)
    sensitivity = _sensitivity(time / time[-1], instrument.mass, visit.gain, rng.uniform(0, 2 * np.pi))
    stain = Stain.of(level * staining, table, instrument.table.iloc[instrument.stained])
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(n, start + _BLOCK))
        part = Plan(plan.kind[rows], plan.first[rows], plan.second[rows])
        signal = _signal(part, stain, instrument, rng)
        signal = _spill(signal, instrument)
        signal *= sensitivity(rows)
        counts = rng.poisson(signal)
        dithered = counts - rng.random(counts.shape, np.float32)
        X[rows, 2:-4] = np.where(counts > 0, dithered, 0)
        X[rows, 1], X[rows, -4:] = _pulse(part.kind, rng)
    return X


def _sensitivity(t: NDArray, mass: NDArray, gain: float, phase: float) -> Callable[[slice], NDArray[np.float32]]:
    """Gain of the run: falls by about a tenth with a slow wave, heavy masses a little faster."""
    common = gain * (1 - 0.10 * t + 0.03 * np.sin(7.0 * t + phase))
    slope = ((mass - 150) / 50 * 0.02).astype(np.float32)

    def of(rows: slice) -> NDArray[np.float32]:
        return (common[rows, None] * (1 - slope * (t[rows, None] - 0.5))).astype(np.float32)

    return of


def _signal(plan: Plan, stain: Stain, instrument: Instrument, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mean counts of each event on each mass channel before spill."""
    n, table = len(plan), instrument.table
    antigen, dna = stained(plan, stain, rng)
    signal = np.zeros((n, len(table)), np.float32)
    shape, mean = table["shape"].to_numpy(float), table.background.to_numpy(float)
    for j in np.flatnonzero(mean > 0):
        signal[:, j] = rng.standard_gamma(shape[j], n, np.float32) * np.float32(mean[j] / shape[j])
    signal[:, instrument.stained] = antigen
    signal[:, instrument.at("Ir193")] = 2800 * dna
    signal[:, instrument.at("Ir191")] = 1540 * dna * np.exp(0.03 * normal(rng, n))
    signal[:, instrument.at("Pt195")] = _cisplatin(plan.kind, rng)
    bead = np.flatnonzero((plan.kind == BEAD) | (plan.kind == BEAD_CELL))
    bright = table.bead.to_numpy(np.float32)
    on = np.flatnonzero(bright > 0)
    amount = np.exp(0.09 * normal(rng, len(bead), 1) + 0.05 * normal(rng, len(bead), len(on)))
    signal[np.ix_(bead, on)] += bright[on] * amount
    return signal


def _cisplatin(kind: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.float32]:
    median = np.array([5.0, 260.0, 10.0, 12.0, 0.5, 5.0], np.float32)[kind]
    width = np.array([0.5, 0.45, 0.5, 1.0, 0.5, 0.5], np.float32)[kind]
    return median * np.exp(width * normal(rng, len(kind)))


def _spill(signal: NDArray[np.float32], instrument: Instrument) -> NDArray[np.float32]:
    """Add to each channel what its neighbours and the metal 16 lower send, from the signals before any spill."""
    seen = signal.copy()
    for source, target, fraction in instrument.crossings:
        seen[:, target] += np.float32(fraction) * signal[:, source]
    return seen


_LENGTH = {  # median and log-normal spread of Event_length
    CELL: (30, 0.20),
    DEAD: (26, 0.24),
    DOUBLET: (55, 0.20),
    DEBRIS: (13, 0.22),
    BEAD: (22, 0.12),
    BEAD_CELL: (42, 0.2),
}
_PULSE = {  # medians of Center, Offset, Width, Residual and their log-normal spreads
    CELL: ((1350, 100, 87, 100), (0.22, 0.17, 0.24, 0.27)),
    DEAD: ((1150, 96, 76, 105), (0.25, 0.2, 0.27, 0.32)),
    DOUBLET: ((2300, 92, 150, 290), (0.28, 0.28, 0.26, 0.4)),
    DEBRIS: ((480, 60, 28, 130), (0.6, 0.7, 0.7, 0.7)),
    BEAD: ((950, 86, 58, 68), (0.12, 0.1, 0.12, 0.15)),
    BEAD_CELL: ((1900, 95, 120, 230), (0.28, 0.28, 0.26, 0.4)),
}


def _pulse(kind: NDArray[np.int8], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Event_length and the four Gaussian parameters; long events are wide, the fit of debris often fails (all zero)."""
    length = np.array([_LENGTH[k] for k in range(6)], np.float32)[kind]
    median = np.array([_PULSE[k][0] for k in range(6)], np.float32)[kind]
    width = np.array([_PULSE[k][1] for k in range(6)], np.float32)[kind]
    common = normal(rng, len(kind), 1)
    own = normal(rng, len(kind), 4)
    shared = np.array([0.75, 0.1, 0.75, 0.6], np.float32)
    gaussian = median * np.exp(width * (shared * common + np.sqrt(1 - shared**2) * own))
    gaussian[(kind == DEBRIS) & (rng.random(len(kind)) < 0.4)] = 0
    return np.maximum(10, np.rint(length[:, 0] * np.exp(length[:, 1] * common[:, 0]))), gaussian
