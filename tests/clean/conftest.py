"""A run with planted drift, for all tests of cleaning."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cytof import clean
from cytof.events import Events

Planted = Callable[..., tuple[Events, Events, np.ndarray]]


@pytest.fixture
def planted() -> Planted:
    """Return a maker of (drifted run, the same run without drift, which events are beads).

    The sensitivity falls by ``drift`` with a wave of 3 %, heavy masses by 2 % more than light ones.
    """

    def make(
        n: int = 40_000, share: float = 0.05, *, drift: float = 0.3, seed: int = 0, gain: float = 1.0
    ) -> tuple[Events, Events, np.ndarray]:
        rng = np.random.default_rng(seed)
        masses = {"Time": 0, "Y89": 89, "Nd142": 142, "Ce140": 140, "Eu151": 151, "Eu153": 153, "Ho165": 165,
                  "Lu175": 175, "Er170": 170, "Ir191": 191, "Ir193": 193}  # fmt: skip
        names = list(masses)
        bead = rng.random(n) < share
        X = np.zeros((n, len(names)))
        for c in ("Y89", "Nd142", "Er170"):
            X[:, names.index(c)] = np.where(bead, 0, rng.lognormal(5, 0.5, n))
        X[:, 9] = np.where(bead, 0, rng.lognormal(7, 0.15, n))
        X[:, 10] = 1.7 * X[:, 9]
        X[np.ix_(bead, range(3, 8))] = (
            700 * rng.lognormal(0, 0.07, (bead.sum(), 5)) * rng.lognormal(0, 0.07, (bead.sum(), 1))
        )
        time = np.sort(rng.uniform(0, 1e6, n))
        u = (time / 1e6)[:, None]
        sensitivity = (1 - drift * u + 0.03 * np.sin(7 * u)) * (1 - (np.array(list(masses.values())) - 150) / 2500 * u)
        channels = pd.DataFrame(
            {"role": ["time", *["none"] * 2, *["bead"] * 5, "none", "dna", "dna"], "mass": list(masses.values()),
             "cofactor": 5.0}, index=names)  # fmt: skip
        runs = []
        for signal in (X * sensitivity * gain, X):
            counts = rng.poisson(signal).astype(np.float32)
            counts[:, 0] = time
            runs.append(Events(counts, channels, {}, f"planted{seed}"))
        assert set(clean.BEADS["dvs"]) < set(names)
        return runs[0], runs[1], bead

    return make
