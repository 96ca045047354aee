"""The CAR gate from blanks: a planted VHH series on real cells, control samples by rank, doublets, blanks that differ.

Real T and non-T cells (Liu et al. 2020, Cytobank-exported populations: 35,643 T cells, 9,721 others) with a VHH signal
planted on an unused channel, over that channel's own noise. Doublets are sums of two random events of the tube, CAR T
cells stuck to other cells included; nothing but the gates removes them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cytof import gate, io, panel, track
from cytof._assemble import assemble
from cytof.density import body_tail
from cytof.events import Events
from cytof.gate._control import shift
from cytof.gate._excess import excess, garwood, missed_share
from cytof.gate._sample import control_kind
from cytof.panel import Gate, Template

Real = Callable[[str], Path]
Cells = tuple[np.ndarray, np.ndarray, pd.DataFrame]
T_CELLS = ("_32_", "_33_", "_35_", "_36_", "_40_", "_44_")
LEVELS = {"bright": 150.0, "medium": 40.0, "dim": 20.0}  # median counts; the noise reaches 5 (99 %), 12 (1 in 10,000)
GATES = """
gates:
  - {pop: CD45+, dims: CD45, gating_method: mindensity, gating_args: {bounds: [0.8, 2.2]}}
  - {pop: CD19-, parent: CD45+, dims: CD19, gating_method: mindensity, gating_args: {bounds: [1.0, 4.5]}}
  - {pop: CD123-, parent: CD19-, dims: CD123, gating_method: mindensity, gating_args: {bounds: [1.5, 4.5]}}
  - {pop: CD11c-, parent: CD123-, dims: CD11c, gating_method: mindensity, gating_args: {bounds: [1.5, 4.5]}}
  - {pop: CD3+, parent: CD11c-, dims: CD3, gating_method: mindensity, gating_args: {bounds: [1.0, 4.0]}}
  - {pop: CAR+, parent: CD3+, dims: VHH, gating_method: control, gating_args: {bounds: [1.0, 4.5]}, car: true}
"""


@pytest.fixture(scope="module")
def cells(real_data: Real) -> Cells:
    """Return counts, which are T cells, and the channels, with VHH on xenon 131."""
    files = sorted(real_data("liu2020_maxpar/populations").glob("*.fcs"))
    read = [io.read_fcs(f, panel="maxpar_30") for f in files]
    is_t = np.repeat([any(k in f.name for k in T_CELLS) for f in files], [len(e) for e in read])
    channels = read[0].channels.copy()
    channels.loc["Xe131", ["antigen", "role"]] = ["VHH", "car"]
    return np.concatenate([e.X for e in read]), is_t, channels


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    file = tmp_path_factory.mktemp("gates") / "series.gates.yaml"
    file.write_text(GATES)
    return panel.load_gates(file)


def planted(cells: Cells, seed: int, share: float, level: float, doublets: float) -> tuple[Events, np.ndarray, float]:
    """Return the tube, which single events are CAR T cells, and the share of CAR T cells among its T cells."""
    rng = np.random.default_rng([seed, round(share * 1e6), round(level), round(doublets * 1e3)])
    X, is_t = cells[0].copy(), cells[1]
    t_cells = np.flatnonzero(is_t)
    car = np.zeros(len(X), bool)
    car[rng.choice(t_cells, round(share * len(t_cells)), replace=False)] = True
    vhh = cells[2].index.get_loc("Xe131")
    X[car, vhh] += rng.lognormal(np.log(level), 0.45, int(car.sum()))
    n = int(doublets * len(X))
    pair = rng.permutation(len(X))[: 2 * n]
    X[pair[:n]] += X[pair[n:]]
    single = np.ones(len(X), bool)
    single[pair[:n]] = False
    order = rng.permutation(np.setdiff1d(np.arange(len(X)), pair[n:]))
    return Events(X[order], cells[2], {}, "tube"), (car & single)[order], float(car.sum() / is_t.sum())


def followed(tube: Events, template: Template) -> tuple[gate.Gating, pd.Series]:
    gated = gate.apply(tube, template, gate.place(template, [tube]))
    adata = assemble([gated.keep("CAR+")])
    return gated, track.abundance(adata, population="CAR+", of="CD3+").iloc[0]


def series(
    cells: Cells,
    template: Template,
    seeds: range,
    level: str,
    shares: list[float],
) -> pd.DataFrame:
    rows = []
    for share in shares:
        for doublets in (0.0, 0.01, 0.02):
            for seed in seeds:
                tube, car, truth = planted(cells, seed, share, LEVELS[level], doublets)
                gated, row = followed(tube, template)
                called = gated.mask("CAR+")
                rows.append({
                    "share": share, "doublets": doublets, "sensitivity": called[car].mean() if car.any() else np.nan,
                    "covered": row.band_low <= truth <= row.band_high, "call": row.call, "n": row.n,
                    "width": row.band_high - row.band_low,
                })  # fmt: skip
    return pd.DataFrame(rows)


def assert_recovered(found: pd.DataFrame, covered: float, silent: float, lost: float) -> None:
    """Check coverage for shares from 0.05 %, silence at 0, no bare number at 0.01 %, and what doublets cost."""
    for key, rows in found.groupby(["share", "doublets"]):
        if key[0] >= 0.0005:
            assert rows.covered.mean() >= covered, (key, rows)
        if key[0] == 0:
            assert (rows.call == "not detected").mean() >= silent, (key, rows.call.value_counts())
        if key[0] == 0.0001:
            assert rows.call.isin(["not detected", "below LOQ"]).all(), (key, rows.call.value_counts())
    sensitivity = found[found.share >= 0.0005].groupby(["share", "doublets"]).sensitivity.mean().unstack()
    assert (sensitivity[0.0] - sensitivity[0.02]).max() <= lost, sensitivity


def test_planted_series_small(cells: Any, template: Template) -> None:
    found = series(cells, template, range(4), "medium", [0.03, 0.0024, 0.0001, 0.0])
    assert_recovered(found, covered=0.75, silent=1.0, lost=0.04)
    assert found[found.share >= 0.0024].sensitivity.mean() >= 0.95
    assert (found[found.share >= 0.0024].call == "detected").all()


@pytest.mark.slow
@pytest.mark.parametrize("level", ["bright", "medium", "dim"])
def test_planted_series_at_a_hundred_seeds(
    cells: Any, template: Template, level: str, record_property: Callable[[str, object], None]
) -> None:
    shares = [0.03, 0.01, 0.005, 0.0024, 0.0005, 0.0001, 0.0]
    found = series(cells, template, range(100), level, shares)
    said = found.assign(silent=found.call == "not detected").groupby(["share", "doublets"])
    table = said[["covered", "sensitivity", "silent", "width", "n"]].mean()
    record_property("figures", f"VHH {level}, 100 seeds:\n{table.round(4).to_string()}")
    assert_recovered(found, covered=0.90, silent=0.92, lost=0.03)


def test_a_tube_of_doublets_counts_candidates_and_keeps_them_out_of_the_blanks(cells: Any, template: Template) -> None:
    """With 3 % CAR T cells and 2 % doublets the raw 1 - 1e-4 quantile of the blanks loses most CAR T cells."""
    tube, car, _ = planted(cells, 0, 0.03, LEVELS["medium"], 0.02)
    gated, _ = followed(tube, template)
    every = gated.blanks.set_index("blank").loc["all"]
    assert every.doublets > 300
    assert 2 <= every.doublets_above <= 3 * every.doublets_expected
    assert every.n_above <= 4
    blank = gated.mask("CD45+") & ~gated.mask("CD11c-")
    raw = np.quantile(tube.column("VHH")[blank], 1 - 1e-4)
    assert (tube.column("VHH")[car] >= raw).mean() < 0.5
    assert gated.mask("CAR+")[car].mean() > 0.96


def test_flags_of_the_car_threshold_and_its_blanks(cells: Any, template: Template) -> None:
    tube, _, _ = planted(cells, 0, 0.0, 40.0, 0.0)
    row = gate.place(template, [tube]).iloc[-1]
    assert (row.gate.split("/")[-1], row.flag) == ("CAR+", "ok")
    assert row.low <= row.value <= row.high
    X = tube.X.copy()
    t_cell = gate.apply(tube, template, gate.place(template, [tube])).mask("CD3+")
    X[t_cell, tube.channels.index.get_loc("Xe131")] *= 2.5
    noisy = tube.replace(X=X)
    table = gate.place(template, [noisy])
    assert table.flag.iloc[-1] == "blank differs from T"
    gated = gate.apply(noisy, template, table)
    assert any("blank differs from T" in c.found for c in gated.events.warnings)
    every = gated.blanks.set_index("blank").loc["all"]
    assert every.shift_q95 > 0.35
    assert table.value.iloc[-1] > row.value


def small_tube(seed: int, name: str, n_t: int = 4_000, n_b: int = 2_000, n_car: int = 0, noise: float = 2.0) -> Events:
    rng = np.random.default_rng(seed)
    n = n_t + n_b + n_car
    table = pd.DataFrame({"antigen": ["CD19", "VHH"], "cofactor": 5.0, "role": "none"}, index=["Nd144", "Tm169"])
    cd19 = np.r_[rng.exponential(1.5, n_t), rng.lognormal(5, 0.3, n_b), rng.exponential(1.5, n_car)]
    vhh = rng.exponential(noise, n)
    vhh[n_t + n_b :] = rng.lognormal(4, 0.3, n_car)
    return Events(np.stack([cd19, vhh], axis=1).astype(np.float32), table, {}, name)


CONTROL = Template(
    "t",
    (
        Gate("CD19-", "CD19-", "root", ("CD19",), "mindensity", signs="-"),
        Gate("CAR+", "CD19-/CAR+", "CD19-", ("VHH",), "control", {}, signs="+", car=True),
    ),
)


def placed_with(controls: dict[str, str], batches: dict[str, str] | None = None) -> pd.Series:
    """Return the CAR row of sample `p` beside the named controls, each with its own noise."""
    tubes = [small_tube(0, "p", n_car=60)]
    tubes += [small_tube(i, name, noise=2.0 + i) for i, name in enumerate(controls, start=1)]
    sheet = pd.DataFrame({"sample_id": [t.sample_id for t in tubes]})
    sheet["control"] = sheet.sample_id.map(controls).fillna("")
    sheet["batch_id"] = sheet.sample_id.map(batches or {}).fillna("b1")
    table = gate.place(CONTROL, tubes, sheet)
    return table[(table.sample_id == "p") & table.gate.str.endswith("CAR+")].iloc[0]


def test_blanks_are_ranked_by_the_sheet() -> None:
    import json

    kinds = lambda row: (json.loads(row.blank)["kind"], json.loads(row.blank)["samples"])  # noqa: E731
    assert kinds(placed_with({})) == ("not T", ["p"])
    assert kinds(placed_with({"f": "FMO"})) == ("FMO", ["f"])
    assert kinds(placed_with({"f": "FMO", "h": "healthy donor"})) == ("healthy", ["h"])
    assert kinds(placed_with({"f": "FMO", "a": "Pre-infusion"})) == ("pre-infusion", ["a"])
    assert kinds(placed_with({"x": "anchor"})) == ("not T", ["p"])
    both = {"h1": "healthy", "h2": "healthy"}
    assert kinds(placed_with(both)) == ("healthy", ["h1", "h2"])
    assert kinds(placed_with(both, {"h2": "b2"})) == ("healthy", ["h1"]), "those of the same batch come first"


def test_rows_of_a_control_sample_stand_in_the_table_of_blanks() -> None:
    tubes = [small_tube(0, "p", n_car=60), small_tube(1, "a")]
    sheet = pd.DataFrame({"sample_id": ["p", "a"], "control": ["", "pre-infusion"], "batch_id": "b"})
    table = gate.place(CONTROL, tubes, sheet)
    blanks = gate.apply(tubes[0], CONTROL, table).blanks.set_index("blank")
    assert list(blanks.index) == ["CD19+", "pre-infusion", "all"]
    assert blanks.n["all"] == blanks.n["pre-infusion"] == pytest.approx(4_000, abs=5)
    assert blanks.n_above["all"] <= 3
    assert blanks.false_low["all"] <= blanks.false_expected["all"] <= blanks.false_high["all"]
    assert blanks.band_low["all"] <= 60 <= blanks.band_high["all"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("pre", "pre-infusion"), ("Apheresis", "pre-infusion"), ("HD 2", "healthy"), ("fmo-vhh", "FMO"), ("anchor", ""),
     ("", "")],
)  # fmt: skip
def test_words_of_the_sheet(text: str, kind: str) -> None:
    assert control_kind(text) == kind


def test_few_blanks_of_its_own_take_those_of_all_samples() -> None:
    tubes = [small_tube(0, "few", n_b=50), small_tube(1, "many")]
    table = gate.place(CONTROL, tubes)
    rows = table[table.gate.str.endswith("CAR+")].set_index("sample_id")
    assert rows.flag.to_dict() == {"few": "few events", "many": "ok"}


def test_tail_of_the_body_is_blind_beyond_its_99_per_cent() -> None:
    """Share above the limit equals the rate (exponential noise); 0.2 % bright events move it by less than a tenth."""
    noise = np.random.default_rng(3).exponential(2.0, 200_000)
    limit = body_tail(noise[:20_000]).limit(1e-3)
    assert (noise > limit).mean() == pytest.approx(1e-3, rel=0.25)
    clean, dirty = body_tail(noise), body_tail(np.r_[noise, np.full(400, 900.0)])
    assert np.arcsinh(dirty.limit(1e-4) / 5) - np.arcsinh(clean.limit(1e-4) / 5) < 0.1


@pytest.mark.parametrize(("s", "false", "ratio"), [(0, 3, 0.25), (20, 1, 0.25), (20, 10, 0.5), (300, 20, 1.0)])
def test_interval_of_true_cells_covers(s: float, false: float, ratio: float) -> None:
    """2,000 draws of n ~ Poisson(s + false), b ~ Poisson(ratio false): s lies in its 95 % interval in 93 to 100 %."""
    rng = np.random.default_rng(5)
    n, b = rng.poisson(s + false, 2_000), rng.poisson(ratio * false, 2_000)
    ends = np.array([excess(int(k), 10_000, int(m), int(ratio * 10_000)) for k, m in zip(n, b, strict=True)])
    assert ((ends[:, 0] <= s) & (s <= ends[:, 1])).mean() >= 0.93


def test_limits_of_a_poisson_mean_are_garwoods() -> None:
    """R: poisson.test(7)$conf.int is 2.814363 14.422675."""
    assert garwood(7) == pytest.approx((2.814363, 14.422675), abs=1e-5)


def test_missed_cells_of_a_truncated_normal() -> None:
    y = np.random.default_rng(0).normal(3.0, 0.5, 100_000)
    for cut in (2.0, 2.5, 2.8):
        below = (y < cut).mean()
        assert missed_share(y[y >= cut], cut) == pytest.approx(below / (1 - below), rel=0.15)
    assert missed_share(y[:5], 2.0) == 0.0


def test_shift_of_bodies() -> None:
    x = np.random.default_rng(0).exponential(2.0, 5_000)
    assert not shift(x, x[::2], 20.0, 5.0).differs
    assert shift(2.5 * x, x, 50.0, 5.0).differs
    assert np.isnan(shift(x, x[:0], 20.0, 5.0).q95)
