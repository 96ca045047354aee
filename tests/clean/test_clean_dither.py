"""Dither of counts: recognised, taken off exactly, added again with a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, io
from cytof.errors import UsageError
from cytof.events import Events

Real = Callable[[str], Path]


def counts(n: int = 3_000, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    X = rng.poisson(rng.lognormal([0, 1, 3, 6], 1, (n, 4))).astype(np.float32)
    time = np.arange(n, dtype=np.float32)[:, None] + 0.5
    channels = pd.DataFrame({"role": ["time", *["none"] * 4]}, index=["Time", "Y89", "Nd142", "Er170", "Ir191"])
    return Events(np.c_[time, X].astype(np.float32), channels, {}, "s1")


def stored(how: str) -> Events:
    events = counts()
    rng = np.random.default_rng(1)
    X = events.X[:, 1:]
    u = rng.random(X.shape)
    made = {
        "integer": X,
        "uniform": np.where(X > 0, X - u, 0),
        "uniform, zeros too": X - u,
        "gaussian down": X - np.minimum(np.abs(rng.normal(0, 0.2, X.shape)), 0.99),
        "gaussian": X + rng.normal(0, 0.12, X.shape),
        "multiplied": np.where(X > 0, X - u, 0) * 1.2,
        "multiplied over time": X * np.linspace(0.8, 1.3, len(X))[:, None],
    }[how]
    return events.replace(X=np.c_[events.X[:, :1], made].astype(np.float32))


@pytest.mark.parametrize(
    ("how", "kind"),
    [("integer", "integer"), ("uniform", "uniform"), ("uniform, zeros too", "uniform"), ("gaussian down", "gaussian"),
     ("gaussian", "gaussian"), ("multiplied", "continuous"), ("multiplied over time", "continuous")],
)  # fmt: skip
def test_kinds_are_told_apart(how: str, kind: str) -> None:
    assert clean.dither_kind(stored(how)) == kind


@pytest.mark.parametrize("how", ["integer", "uniform", "uniform, zeros too", "gaussian down", "gaussian"])
def test_dither_is_taken_off_exactly(how: str) -> None:
    events = clean.remove_dither(stored(how))
    wrong = (events.X != counts().X).mean()
    assert wrong == 0 if how != "gaussian" else wrong < 1e-4
    assert not np.signbit(events.X).any(), "no minus zero"
    assert events.steps[-1]["params"]["kind"] == how.split(",")[0].split()[0]


def test_multiplied_counts_are_left_alone() -> None:
    events = stored("multiplied")
    same = clean.remove_dither(events)
    assert np.array_equal(same.X, events.X)
    assert same.warnings[-1].done == "left them as they are"


def test_added_dither_goes_back_to_the_counts_and_hangs_on_seed_and_sample() -> None:
    events = counts()
    dithered = clean.add_dither(events, random_state=3)
    X = dithered.X[:, 1:]
    assert ((X <= events.X[:, 1:]) & ((X > events.X[:, 1:] - 1) | (X == 0))).all()
    assert np.array_equal(dithered.column("Time"), events.column("Time"))
    assert np.array_equal(clean.remove_dither(dithered).X, events.X)
    assert np.array_equal(clean.add_dither(events, random_state=3).X, dithered.X)
    assert not np.array_equal(clean.add_dither(events, random_state=4).X, dithered.X)
    assert not np.array_equal(clean.add_dither(events.replace(sample_id="s2"), random_state=3).X, dithered.X)
    order = np.random.default_rng(2).permutation(len(events))
    assert np.array_equal(clean.add_dither(events.take(order), random_state=3).X, dithered.X[order])


def test_high_counts_survive_float32() -> None:
    """Near 10 million a float32 has steps of 1: k - u must not become k - 1."""
    X = np.linspace(1, 1.6e7, 4000).round().astype(np.float32)[:, None]
    events = Events(X, pd.DataFrame({"role": "none"}, index=["Ir191"]), {}, "s1")
    assert np.array_equal(np.ceil(clean.add_dither(events).X), X)


def test_dithered_counts_get_no_second_dither() -> None:
    events = stored("uniform")
    same = clean.add_dither(events)
    assert np.array_equal(same.X, events.X)
    assert "the counts are uniform, not integer" in same.warnings[-1].found
    with pytest.raises(UsageError, match="random_state is -1"):
        clean.add_dither(counts(), random_state=-1)


def test_few_values_are_not_judged() -> None:
    assert clean.dither_kind(stored("uniform").take(np.arange(20))) == "unknown"
    assert clean.dither_kind(counts().take(np.arange(0))) == "unknown"


def test_published_files(real_data: Real) -> None:
    """Older raw files are k - u; what the Finck normaliser wrote is multiplied; Helios 6.7 writes a smooth density.

    A stranger can look at the last: values in (0, 1] and (1, 2] of `raw_cytof.fcs` fall by a third within the interval,
    as much as from one interval to the next, where k - u would be level within.
    """
    folder = "nolan_bead_normalization/20120301_cells_found"
    kinds = {
        "cytofqc_raw/raw_cytof.fcs": "continuous",
        "catalyst_raw/raw_data_1.fcs": "uniform",
        "nolan_debarcoder/sample_barcoded_file.fcs": "uniform",
        "liu2020_maxpar/downsample.fcs": "continuous",
        "cytofkit/130515_C2_stim_CD19-.fcs": "uniform",
        f"{folder}_beads.fcs": "unknown",
        f"{folder}_normalized_removedEvents.fcs": "continuous",
    }
    for name, kind in kinds.items():
        assert clean.tell_dither(io.read_fcs(real_data(name))).steps[-1]["params"]["kind"] == kind, name
