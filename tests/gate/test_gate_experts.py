"""Automatic gates against the experts: F1 on the labelled file and on the exported populations in one tube.

Liu et al. 2020: 20,000 cells with manual labels (those without a label are left out, as the authors do), and eleven
populations exported from the manual hierarchy. Gates of the shipped template, every threshold placed by the data.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, gate, io, panel
from cytof.events import Events

Real = Callable[[str], Path]
LEAST = {"CD3+": 0.97, "CD3+/CD4": 0.95, "CD3+/CD8": 0.95, "B cells": 0.93, "NK cells": 0.93, "Monocytes": 0.93}
LABELS = {"CD3+": range(11, 21), "CD3+/CD4": range(15, 19), "CD3+/CD8": range(11, 15), "B cells": (1, 2),
          "NK cells": (7, 8), "Monocytes": (3, 4, 5)}  # fmt: skip
FILES = {"CD3+": ("_32_", "_33_", "_35_", "_36_", "_40_", "_44_"), "CD3+/CD4": ("_40_", "_44_"),
         "CD3+/CD8": ("_32_", "_33_", "_35_", "_36_"), "B cells": ("_08_",), "NK cells": ("_20_",)}  # fmt: skip


def gated(tube: Events) -> gate.Gating:
    template = panel.load_gates("maxpar_30")
    cleaned = clean.intact(clean.find_beads(tube))
    return gate.apply(cleaned, template, gate.place(template, [cleaned.draw(50_000)]))


def f1(called: np.ndarray, true: np.ndarray) -> float:
    return float(2 * (called & true).sum() / (called.sum() + true.sum()))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labelled_file(real_data: Real, seed: int, record_property: Callable[[str, object], None]) -> None:
    """Seed 0: all 20,000 cells; the others: half of them, drawn at random."""
    tube = io.read_fcs(real_data("liu2020_maxpar/downsample.fcs"), panel="maxpar_30")
    label = pd.read_csv(real_data("liu2020_maxpar/downsample_labels.csv")).label.to_numpy()
    if seed:
        half = np.sort(np.random.default_rng(seed).choice(len(tube), len(tube) // 2, replace=False))
        tube, label = tube.take(half), label[half]
    g, known = gated(tube), label > 0
    found = {name: f1(g.mask(name)[known], np.isin(label[known], ids)) for name, ids in LABELS.items()}
    record_property("figures", f"F1 on the labelled file, seed {seed}: {pd.Series(found).round(3).to_dict()}")
    assert {n: v for n, v in found.items() if v < LEAST[n]} == {}


@pytest.mark.parametrize("seed", [0, 1])
def test_exported_populations_in_one_tube(
    real_data: Real, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Seed 0: all events; seed 1: from a fifth to all of each population."""
    files = sorted(real_data("liu2020_maxpar/populations").glob("*.fcs"))
    rng = np.random.default_rng(seed)
    parts = [io.read_fcs(f, panel="maxpar_30") for f in files]
    keep = [rng.permutation(len(p))[: int(len(p) * (1 if seed == 0 else rng.uniform(0.2, 1)))] for p in parts]
    name = np.repeat([f.name for f in files], [len(k) for k in keep])
    X = np.concatenate([p.X[k] for p, k in zip(parts, keep, strict=True)])
    g = gated(Events(X, parts[0].channels, {}, "tube"))
    found = {}
    for population, keys in FILES.items():
        found[population] = f1(g.mask(population), np.array([any(k in n for k in keys) for n in name]))
    record_property("figures", f"F1 on the populations, seed {seed}: {pd.Series(found).round(3).to_dict()}")
    assert {n: v for n, v in found.items() if v < LEAST[n]} == {}
