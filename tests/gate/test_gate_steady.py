"""What must not move the gates: how counts were dithered, a gain, a loss of events; or the flag says that it did."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clean, gate, io, panel
from cytof.events import Events
from cytof.panel import Template

Real = Callable[[str], Path]


def cleaned(events: Events) -> Events:
    return clean.intact(clean.find_beads(events))


def whole(events: Events) -> Events:
    """Return the events with whole counts, as the instrument writes them without dither."""
    mass = (events.channels.mass > 0).to_numpy()
    return events.replace(X=np.where(mass, np.ceil(np.maximum(events.X, 0)), events.X).astype(np.float32))


def dithered(events: Events, kind: str) -> Events:
    """Return whole counts spread over the interval below each (uniform), or by a normal of 0.3 counts (Gaussian)."""
    rng = np.random.default_rng(0)
    mass = (events.channels.mass > 0).to_numpy()
    spread = -rng.random(events.X.shape) if kind == "uniform" else rng.normal(0, 0.3, events.X.shape)
    return events.replace(X=np.where(mass & (events.X > 0), events.X + spread, events.X).astype(np.float32))


def assert_same_gates(plain: Events, template: Template) -> str:
    """Compare thresholds and calls of whole counts with both dithers, on one clean-up; return the figures."""
    base = gate.place(template, [plain])
    calls = gate.apply(plain, template, base).masks
    said = []
    for kind in ("uniform", "Gaussian"):
        other = dithered(plain, kind)
        table = gate.place(template, [other])
        moved = (table.value - base.value).abs().max()
        differ = (gate.apply(other, template, table).masks != calls).mean().max()
        assert moved <= 0.1, table[(table.value - base.value).abs() > 0.1]
        assert differ <= 0.005
        said.append(f"{kind}: thresholds {moved:.3f}, calls {100 * differ:.3f} %")
    return "; ".join(said)


def test_dither_of_real_cells(real_data: Real, record_property: Callable[[str, object], None]) -> None:
    template = panel.load_gates("maxpar_30")
    parts = [io.read_fcs(f, panel="maxpar_30") for f in sorted(real_data("liu2020_maxpar/populations").glob("*.fcs"))]
    tube = Events(np.concatenate([p.X for p in parts]), parts[0].channels, {}, "tube")
    record_property("figures", f"dither, populations: {assert_same_gates(cleaned(whole(tube)), template)}")
    raw = io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs"), panel="maxpar_30")
    record_property("figures", f"dither, raw file: {assert_same_gates(cleaned(whole(raw)), template)}")


def test_dither_of_synthetic_visits(patient: Path, record_property: Callable[[str, object], None]) -> None:
    template = panel.load_gates("car_t_41")
    for file in sorted((patient.parent / "fcs").glob("*.fcs")):
        events = whole(io.read_fcs(file, panel="car_t_41"))
        record_property("figures", f"dither, {file.stem}: {assert_same_gates(cleaned(events), template)}")


@pytest.fixture(scope="module")
def visits(patient: Path) -> dict[str, Events]:
    files = sorted((patient.parent / "fcs").glob("*.fcs"))
    return {f.stem[10:]: cleaned(io.read_fcs(f, panel="car_t_41", sample_id=f.stem[10:])) for f in files}


def calls_of(visits: dict[str, Events], name: str) -> tuple[gate.Gating, pd.DataFrame]:
    template = panel.load_gates("car_t_41")
    table = gate.place(template, visits.values())
    return gate.apply(visits[name], template, table), table[table.sample_id == name]


@pytest.mark.parametrize("name", ["2mo", "5yr"])
@pytest.mark.parametrize("factor", [1.3, 1 / 1.3])
def test_a_gain_of_one_sample_leaves_its_calls(visits: dict[str, Events], name: str, factor: float) -> None:
    """All antibodies of one visit a third brighter or dimmer: the same cells are called."""
    before, _ = calls_of(visits, name)
    events = visits[name]
    mass = (events.channels.mass > 0).to_numpy()
    moved = events.replace(X=np.where(mass, events.X * np.float32(factor), events.X))
    after, _ = calls_of({**visits, name: moved}, name)
    for population in ("CD45+", "CD3+", "CAR+"):
        a, b = before.mask(population), after.mask(population)
        assert (a != b).sum() <= max(0.01 * a.sum(), 2), population


@pytest.mark.parametrize("name", ["2mo", "5yr"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_loss_of_nine_tenths_keeps_shares_or_raises_the_flag(visits: dict[str, Events], name: str, seed: int) -> None:
    before, _ = calls_of(visits, name)
    kept = np.sort(np.random.default_rng(seed).choice(len(visits[name]), len(visits[name]) // 10, replace=False))
    after, table = calls_of({**visits, name: visits[name].take(kept)}, name)
    flags = table.set_index("gate").flag
    for population in ("CD45+", "CD3+", "CAR+"):
        differ = (after.mask(population) != before.mask(population)[kept]).sum()
        chain = [p for p in flags.index if after.path(population).startswith(p)]
        flagged = flags[chain].isin(["few events", "fallback", "far from the cohort"]).any()
        assert differ <= max(0.02 * before.mask(population)[kept].sum(), 1) or flagged, population


def test_few_events_are_flagged(visits: dict[str, Events]) -> None:
    tiny = visits["5yr"].take(np.arange(0, len(visits["5yr"]), 100))
    _, table = calls_of({**visits, "5yr": tiny}, "5yr")
    assert "few events" in set(table.flag)
