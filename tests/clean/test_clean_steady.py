"""Steadiness over Time: planted clogs, bursts and jumps are found, steady runs and slow drift are left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, io
from cytof.errors import UsageError
from cytof.events import Events
from cytof.gate import apply, place
from cytof.panel import Gate, Template
from cytof.region import mask

Real = Callable[[str], Path]
END = 1_000_000.0


def made(time: np.ndarray, gain: np.ndarray | float = 1.0, *, seed: int = 0, sample: str = "s1") -> Events:
    """Cells with four bright markers, in the order given."""
    rng = np.random.default_rng(seed)
    n = len(time)
    signal = rng.lognormal([4, 5, 4.5, 6], 0.6, (n, 4)) * np.broadcast_to(np.asarray(gain), n)[:, None]
    X = np.c_[time, rng.poisson(signal), rng.poisson(0.5, n)].astype(np.float32)
    names = ["Time", "Y89", "Nd142", "Er170", "Ir191", "Pr141"]
    channels = pd.DataFrame({"role": ["time", *["none"] * 3, "dna", "none"], "mass": [0, 89, 142, 170, 191, 141],
                             "antigen": names, "cofactor": 5.0}, index=names)  # fmt: skip
    return Events(X, channels, {}, sample)


def run(seed: int = 0, n: int = 60_000) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).uniform(0, END, n))


def reasons(events: Events) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for window in clean.steady(events).steps[-1]["params"]["flagged"]:
        found.setdefault(window["reason"], []).append((window["start"], window["end"]))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_steady_run_is_not_flagged(seed: int) -> None:
    steady = clean.steady(made(run(seed), seed=seed))
    assert not steady.flags["unsteady"].any()
    assert not mask(steady.regions["unsteady"], steady.column).any()


def test_slow_drift_is_told_and_not_flagged() -> None:
    time = run()
    steady = clean.steady(made(time, np.exp(-0.6 * time / END)))
    assert not steady.flags["unsteady"].any()
    assert "the signal changes 0.5" in steady.warnings[-1].found


@pytest.mark.parametrize(
    ("reason", "change"), [("clog", "rate"), ("burst", "rate"), ("signal low", "gain"), ("signal high", "gain")]
)
def test_planted_faults_are_found_where_they_are(reason: str, change: str) -> None:
    rng = np.random.default_rng(1)
    time = run(1)
    inside = (time > 4e5) & (time < 4.6e5)
    factor = {"clog": 0.3, "burst": 3.0, "signal low": 0.6, "signal high": 1.6}[reason]
    gain = np.where(inside, factor, 1.0) if change == "gain" else np.ones(len(time))
    if reason == "clog":
        time = time[~inside | (rng.random(len(time)) < factor)]
    elif reason == "burst":
        time = np.sort(np.r_[time, rng.uniform(4e5, 4.6e5, 2 * inside.sum())])
    events = made(time, gain if change == "gain" else 1.0)
    found = reasons(events)
    assert list(found) == [reason]
    start, end = min(s for s, _ in found[reason]), max(e for _, e in found[reason])
    width = END / 120
    assert abs(start - 4e5) <= width
    assert abs(end - 4.6e5) <= width
    table = clean.time_windows(events)
    assert table["flag"].sum() == len(found[reason])
    if change == "gain":
        assert table.loc[table["flag"], "drift"].median() == pytest.approx(factor, rel=0.05)
    else:
        middle = table.loc[table["flag"], "rate"].median() / table.loc[~table["flag"], "rate"].median()
        assert middle == pytest.approx(factor, rel=0.1)


def test_a_pause_flags_nothing() -> None:
    time = run()
    found = clean.time_windows(made(time[(time < 3e5) | (time > 5e5)]))
    assert not found["flag"][found["reason"] == "gap"].any()
    assert (found["reason"] == "gap").sum() > 10


def two_faults() -> Events:
    time = run(2)
    gain = np.where(((time > 2e5) & (time < 2.5e5)) | ((time > 7e5) & (time < 7.2e5)), 0.5, 1.0)
    return made(time, gain)


def test_flag_is_the_mask_of_its_intervals() -> None:
    steady = clean.steady(two_faults())
    masks: dict[str, np.ndarray] = {}
    for name, region in steady.regions.items():
        masks[name] = mask(region, steady.column, masks)
    assert set(masks) == {"unsteady_1", "unsteady_2", "unsteady"}
    assert np.array_equal(steady.flags["unsteady"], masks["unsteady"])
    assert 3000 < masks["unsteady"].sum() < 6000


def test_a_template_may_name_the_flag_and_gating_ml_has_the_intervals(tmp_path: Path) -> None:
    steady = clean.steady(two_faults())
    template = Template("t", (Gate("cells", "cells", "root", (), "boolean", args={"none_of": ["bead", "unsteady"]}),))
    gated = apply(steady, template, place(template, [steady]))
    assert gated.masks["cells"].sum() == (~steady.flags["unsteady"]).sum()
    io.write_gatingml(tmp_path / "g.xml", gated.regions, gated.parents)
    text = (tmp_path / "g.xml").read_text()
    assert text.count("RectangleGate gating:id") == 2
    assert 'gating:id="unsteady"' in text


def test_joined_files_are_judged_each_on_its_own() -> None:
    """The second file runs at a third of the rate and half the signal: that is no fault of either."""
    first, second = run(3, 40_000), run(4, 13_000)
    one, two = made(first, seed=3), made(second, 0.5, seed=4)
    joined = one.replace(X=np.r_[one.X, two.X], rows=np.arange(53_000), flags=pd.DataFrame(index=range(53_000)))
    steady = clean.steady(joined)
    assert not steady.flags["unsteady"].any()
    assert steady.steps[-1]["params"]["segments"] == 2
    assert "Time starts again after event 40,000" in steady.warnings[0].found
    X = joined.X.copy()
    bad = np.arange(40_000, 53_000)[(second > 5e5) & (second < 6e5)]
    X[bad, 1:] *= 0.5
    steady = clean.steady(joined.replace(X=X))
    assert not steady.flags["unsteady"][:40_000].any()
    assert steady.flags["unsteady"][bad].mean() > 0.9
    assert "more than one of the joined files" in steady.warnings[-1].found


def test_order_of_events_does_not_matter() -> None:
    events = two_faults()
    order = np.random.default_rng(5).permutation(len(events))
    plain, shuffled = clean.steady(events), clean.steady(events.take(order))
    assert plain.steps == shuffled.steps
    assert np.array_equal(plain.flags["unsteady"].to_numpy()[order], shuffled.flags["unsteady"])


def test_beads_do_not_count_as_signal(planted) -> None:
    """Twice the beads in the middle change the mean of the bead channels and of the others; nothing is flagged."""
    drifted, _, bead = planted(drift=0.0)
    time = drifted.column("Time")
    keep = ~bead | ((time > 4e5) & (time < 6e5))
    found = clean.steady(clean.find_beads(drifted.take(keep)))
    assert not found.flags["unsteady"].any()


def test_factors_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match=r"drift is 1, expected 1.05 to 100"):
        clean.steady(made(run(n=2000)), drift=1.0)


def test_waterfall_and_limits_take_the_flag_in() -> None:
    cleaned = clean.intact(clean.steady(two_faults()))
    assert clean.waterfall(cleaned)["step"].tolist()[:2] == ["all events", "no unsteady"]


def test_published_files_are_mostly_steady(real_data: Real) -> None:
    """Raw files, one of them shuffled, and gated exports: at most one window in ten flagged."""
    names = ["cytofqc_raw/raw_cytof.fcs", "catalyst_raw/raw_data_1.fcs", "catalyst_raw/raw_data_2.fcs"]
    paths = [*map(real_data, names), *sorted(real_data("liu2020_maxpar/populations").glob("*.fcs"))]
    for path in paths:
        steady = clean.steady(clean.find_beads(io.read_fcs(path)))
        assert steady.flags["unsteady"].mean() <= 0.1, path.name
