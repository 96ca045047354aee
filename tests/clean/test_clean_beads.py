"""Beads: the planted ones found, those of a published normaliser found among cells, and none invented."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, io
from cytof.errors import UsageError
from cytof.events import Events
from cytof.region import mask

Real = Callable[[str], Path]


def made(n_cells: int, n_beads: int, level: float, *, seed: int = 0, beads: str = "dvs") -> Events:
    """Cells with at most two of the bead elements (as markers), beads with all; the last 10 beads stick to cells."""
    rng = np.random.default_rng(seed)
    m = len(clean.BEADS[beads])
    X = rng.poisson(0.7, (n_cells + n_beads, m + 2)).astype(np.float32)
    X[: n_cells // 3, 1] += rng.lognormal(5, 0.5, n_cells // 3)
    X[: n_cells // 5, 2] += rng.lognormal(4, 0.5, n_cells // 5)
    X[:n_cells, m:] = rng.lognormal(7, 0.2, (n_cells, 1)) * [1, 1.7]
    X[n_cells:, :m] = rng.lognormal(np.log(level), 0.15, (n_beads, m))
    X[n_cells:, m:] = rng.poisson(2, (n_beads, 2))
    X[n_cells + n_beads - 10 :, m:] = rng.lognormal(7, 0.2, (10, 1))
    names = [*clean.BEADS[beads], "Ir191", "Ir193"]
    return Events(X, pd.DataFrame({"role": ["bead"] * m + ["dna"] * 2, "cofactor": 5.0}, index=names), {}, "made")


@pytest.mark.parametrize("beads", ["dvs", "dvs2010", "eq6"])
@pytest.mark.parametrize(("n_beads", "level"), [(2_000, 800), (60, 800), (300, 40)])
def test_planted_beads_are_found_and_no_cells(beads: str, n_beads: int, level: float) -> None:
    found = clean.find_beads(made(10_000, n_beads, level, beads=beads))
    flag = found.flags["bead"].to_numpy()
    assert flag[10_000:].mean() >= 0.99
    assert flag[:10_000].sum() == 0
    step = found.steps[-1]
    assert step["params"]["beads"] == beads
    assert step["counts"] == {"bead": int(flag.sum()), "bead_bead": 0, "bead_cell": 10}


def test_flag_is_the_mask_of_its_region() -> None:
    found = clean.find_beads(made(3_000, 100, 800))
    assert np.array_equal(found.flags["bead"], mask(found.regions["bead"], found.column))


def test_no_beads_no_flags() -> None:
    assert clean.find_beads(made(10_000, 10, 0.5)).flags["bead"].sum() == 0


def test_a_file_of_beads_alone_is_flagged() -> None:
    assert clean.find_beads(made(0, 1_000, 60)).flags["bead"].mean() >= 0.98


def test_order_of_events_does_not_matter() -> None:
    events = made(2_000, 200, 300)
    order = np.random.default_rng(1).permutation(len(events))
    plain, shuffled = clean.find_beads(events), clean.find_beads(events.take(order))
    assert np.array_equal(plain.flags["bead"].to_numpy()[order], shuffled.flags["bead"])


def test_missing_channels_leave_a_caution_that_lists_them() -> None:
    events = made(100, 10, 800)
    short = events.replace(X=events.X[:, 2:], channels=events.channels.iloc[2:])
    found = clean.find_beads(short)
    assert "bead" not in found.flags
    assert "Ce140, Eu151" in found.warnings[-1].found
    assert found.warnings[-1].done == "beads were not looked for"


def test_unknown_set_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"beads is 'dsv', expected one of .*, dvs2010, eq6; did you mean `dvs`\?"):
        clean.find_beads(made(100, 10, 800), beads="dsv")


def test_found_beads_of_the_published_normaliser_among_real_cells(real_data: Real) -> None:
    """Nolan's `*_found_beads.fcs`: every event is a bead. Mixed into cells that carry none of the five elements."""
    for name in ("20120301", "20120222"):
        beads = io.read_fcs(real_data(f"nolan_bead_normalization/{name}_cells_found_beads.fcs"))
        channels = list(clean.BEADS["dvs2010"])
        X = beads.columns(channels)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        cells = rng.negative_binomial(0.6, 0.3, (20_000, 5)).astype(np.float32)
        mixed = Events(np.r_[cells, X], pd.DataFrame({"role": "bead"}, index=channels), {}, name)
        flag = clean.find_beads(mixed).flags["bead"].to_numpy()
        assert flag[20_000:].mean() >= 0.98, name
        assert flag[:20_000].mean() <= 0.001, name


def test_liu_populations_hold_no_beads(real_data: Real) -> None:
    for path in sorted(real_data("liu2020_maxpar/populations").glob("*.fcs")):
        assert clean.find_beads(io.read_fcs(path, panel="maxpar_30")).flags["bead"].mean() <= 0.001, path.name


def test_raw_helios_file_has_its_beads(real_data: Real) -> None:
    """150 events of `raw_cytof.fcs` exceed 200 counts in all five bead channels; nothing else comes near."""
    events = io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs"), panel="maxpar_30")
    bright = np.min([events.column(c) for c in clean.BEADS["dvs"]], axis=0) > 200
    flag = clean.find_beads(events).flags["bead"].to_numpy()
    assert bright.sum() == 150
    assert flag[bright].all()
    assert flag.sum() <= 160
