"""Placing: thresholds where planted, the cohort's where a sample has too little, never another peak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cytof import gate, panel
from cytof.errors import GateError, PanelError
from cytof.events import Events
from cytof.panel import Gate, Template
from cytof.region import from_json

CHANNELS = {"CD3": "Er170", "CD4": "Nd145", "CD8": "Nd146", "VHH": "Tm169", "CD19": "Nd144"}


def events(name: str, columns: Mapping[str, np.ndarray]) -> Events:
    table = pd.DataFrame(
        {"antigen": list(columns), "cofactor": 5.0, "role": "none"}, index=[CHANNELS[c] for c in columns]
    )
    return Events(np.stack(list(columns.values()), axis=1).astype(np.float32), table, {}, name)


def stained(
    rng: np.random.Generator, n_negative: int, n_positive: int, level: float = 150, factor: float = 1
) -> np.ndarray:
    """Negatives mostly zero with a tail to 12 counts, positives around `level`."""
    low = rng.exponential(1.6, n_negative) * (rng.random(n_negative) < 0.6)
    return np.rint(factor * np.r_[low, rng.lognormal(np.log(level), 0.35, n_positive)])


def one(pop: str = "CD3+", method: str = "mindensity", **kwargs: Any) -> Template:
    args = kwargs.pop("args", {})
    return Template("t", (Gate(pop, pop, "root", ("CD3",), method, args, signs=pop[-1], **kwargs),))


def test_threshold_parts_what_was_planted_and_its_region_says_the_same() -> None:
    x = stained(np.random.default_rng(0), 4_000, 1_000)
    table = gate.place(one(), [events("s1", {"CD3": x})])
    row = table.iloc[0]
    assert (row.sample_id, row.gate, row.channel, row.method, row.flag) == ("s1", "CD3+", "Er170", "mindensity", "ok")
    assert row.low <= row.value <= row.high
    assert row.n == 5_000
    region = from_json(row.region)
    assert region.low == (row.value,)
    above = np.arcsinh(x / 5) >= row.value
    assert above[4_000:].mean() > 0.99
    assert above[:4_000].mean() < 0.001


def test_minus_keeps_what_lies_below() -> None:
    x = events("s1", {"CD3": stained(np.random.default_rng(0), 900, 100)})
    t = one("CD3-")
    assert gate.apply(x, t, gate.place(t, [x])).mask("CD3-").sum() == 900


def test_each_sample_its_own_threshold_pooled_one_for_all() -> None:
    rng = np.random.default_rng(1)
    draws = [events(f"s{k}", {"CD3": stained(rng, 3_000, 1_000, factor=f)}) for k, f in enumerate((0.6, 1, 1.7))]
    own = gate.place(one(), draws)
    assert own.value.is_monotonic_increasing
    assert own.value.nunique() == 3
    pooled = gate.place(one(collapse="pooled"), draws)
    assert pooled.value.nunique() == 1
    assert (pooled.n == 12_000).all()


def test_batches_share_a_threshold() -> None:
    rng = np.random.default_rng(2)
    draws = [events(f"s{k}", {"CD3": stained(rng, 3_000, 1_000, factor=f)}) for k, f in enumerate((0.6, 0.6, 1.7))]
    sheet = pd.DataFrame({"sample_id": ["s0", "s1", "s2"], "batch_id": ["a", "a", "b"]})
    table = gate.place(one(collapse="batch"), draws, sheet).set_index("sample_id")
    assert table.value["s0"] == table.value["s1"] < table.value["s2"]


def test_order_and_names_of_samples_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    columns = [{"CD3": stained(rng, n, m)} for n, m in ((3_000, 900), (50, 10), (4_000, 1), (10, 2_000))]
    plain = gate.place(one(), [events(f"s{k}", c) for k, c in enumerate(columns)])
    order = [2, 0, 3, 1]
    renamed = gate.place(one(), [events(f"z{9 - k}", {"CD3": rng.permutation(columns[k]["CD3"])}) for k in order])
    wanted = ["value", "low", "high", "depth", "n", "flag"]
    pd.testing.assert_frame_equal(plain.loc[order, wanted].reset_index(drop=True), renamed[wanted])


def test_few_or_one_sided_samples_take_the_cohorts_threshold_and_say_so() -> None:
    """A sample of 60 events, one without positives, one without negatives: no peak of their own is parted."""
    rng = np.random.default_rng(4)
    draws = [
        events("good", {"CD3": stained(rng, 5_000, 1_000)}),
        events("few", {"CD3": stained(rng, 50, 10)}),
        events("negative", {"CD3": stained(rng, 5_000, 0)}),
        events("positive", {"CD3": stained(rng, 0, 5_000)}),
    ]
    table = gate.place(one(args={"bounds": [1.0, 4.0]}), draws).set_index("sample_id")
    assert table.flag.to_dict() == {"good": "ok", "few": "few events", "negative": "fallback", "positive": "fallback"}
    assert table.value["few"] == table.value["negative"] == table.value["positive"]
    assert abs(table.value["few"] - table.value["good"]) < 0.4
    calls = {d.sample_id: gate.apply(d, one(), table.reset_index()).counts.fraction_of_parent.iloc[1] for d in draws}
    assert calls["negative"] < 0.001
    assert calls["positive"] > 0.99


def test_nothing_to_part_anywhere_falls_back_between_the_bounds() -> None:
    rng = np.random.default_rng(5)
    draws = [events("a", {"CD3": stained(rng, 0, 3_000)}), events("b", {"CD3": stained(rng, 0, 3_000, 170)})]
    table = gate.place(one(args={"bounds": [1.0, 3.0]}), draws)
    assert set(table.flag) == {"fallback"}
    assert table.value.between(1.0, 3.0).all()
    assert gate.place(one(args={"bounds": [1.0, 3.0], "fallback": 1.3}), draws).value.tolist() == [1.3, 1.3]


def test_a_shallow_valley_is_flagged_and_its_interval_is_wide() -> None:
    rng = np.random.default_rng(15)
    y = np.r_[rng.normal(2.0, 0.42, 6_000), rng.normal(3.2, 0.42, 5_000)]
    deep = np.r_[rng.normal(2.0, 0.25, 6_000), rng.normal(3.6, 0.25, 5_000)]
    table = gate.place(one(), [events(n, {"CD3": 5 * np.sinh(v)}) for n, v in (("shallow", y), ("deep", deep))])
    shallow, clear = table.iloc[0], table.iloc[1]
    assert (shallow.flag, clear.flag) == ("shallow valley", "ok")
    assert 0.1 <= shallow.depth < 0.3 < clear.depth
    assert shallow.high - shallow.low > 0
    assert shallow.value == pytest.approx(2.6, abs=0.2)


def test_a_sample_far_from_the_cohort_is_told() -> None:
    rng = np.random.default_rng(6)
    draws = [events(f"s{k}", {"CD3": stained(rng, 3_000, 1_000, factor=f)}) for k, f in enumerate((1, 1, 1, 1, 8))]
    assert gate.place(one(), draws).flag.tolist() == ["ok"] * 4 + ["far from the cohort"]


def test_signal_moved_by_a_third_moves_the_calls_with_the_truth() -> None:
    rng = np.random.default_rng(7)
    draws = [events(f"s{k}", {"CD3": stained(rng, 3_000, 900, factor=f)}) for k, f in enumerate((1, 1, 1.3))]
    table = gate.place(one(), draws)
    assert gate.apply(draws[2], one(), table).mask("CD3+").sum() == pytest.approx(900, rel=0.01)


def test_quadrant_places_both_and_parts_four() -> None:
    rng = np.random.default_rng(8)
    cd4 = np.r_[stained(rng, 0, 4_000), stained(rng, 3_000, 0), stained(rng, 0, 100), stained(rng, 500, 0)]
    cd8 = np.r_[stained(rng, 4_000, 0), stained(rng, 0, 3_000), stained(rng, 0, 100), stained(rng, 500, 0)]
    pops = {"CD4": "+-", "CD8": "-+", "DP": "++", "DN": "--"}
    t = Template(
        "t", tuple(Gate(p, p, "root", ("CD4", "CD8"), "quadrant", {}, signs=s, subset=p) for p, s in pops.items())
    )
    x = events("s1", {"CD4": cd4, "CD8": cd8})
    table = gate.place(t, [x])
    assert table.groupby("gate").channel.agg(list).to_dict() == dict.fromkeys(sorted(pops), ["Nd145", "Nd146"])
    counts = gate.apply(x, t, table).counts.set_index("gate").n
    assert counts[["CD4", "CD8", "DP", "DN"]].tolist() == pytest.approx([4_000, 3_000, 100, 500], rel=0.02)
    assert counts[["CD4", "CD8", "DP", "DN"]].sum() == len(x)


def control(args: Mapping[str, Any] | None = None) -> Template:
    return Template(
        "t",
        (
            Gate("CD19-", "CD19-", "root", ("CD19",), "mindensity", signs="-"),
            Gate("CAR+", "CD19-/CAR+", "CD19-", ("VHH",), "control", args or {}, signs="+", car=True),
        ),
    )


def tube(
    seed: int, n_car: int, *, n_t: int = 20_000, n_b: int = 10_000, doublets: int = 0, level: float = 120
) -> Events:
    """T cells with some CAR T cells (last), B cells as blanks, some of them stuck to a CAR T cell."""
    rng = np.random.default_rng(seed)
    cd19 = np.r_[stained(rng, 0, n_b), stained(rng, n_t + n_car, 0)]
    vhh = np.r_[stained(rng, n_b, 0), stained(rng, n_t, 0), stained(rng, 0, n_car, level)]
    vhh[:doublets] += stained(rng, 0, doublets, level)
    return events(f"s{seed}", {"CD19": cd19, "VHH": vhh})


@pytest.mark.parametrize("n_car", [800, 200, 60])
@pytest.mark.parametrize("doublets", [0, 60])
def test_control_finds_rare_car_t_cells_with_and_without_doublets_in_the_blanks(n_car: int, doublets: int) -> None:
    x = tube(0, n_car, doublets=doublets)
    g = gate.apply(x, control(), gate.place(control(), [x]))
    called = g.mask("CAR+")
    assert called[-n_car:].mean() > 0.98
    assert called[:-n_car].sum() <= 3
    blanks = g.blanks.set_index("blank")
    assert blanks.n_above["CD19+"] == pytest.approx(doublets, abs=1)
    assert blanks.n["CD19+"] == 10_000


def test_control_without_car_t_cells_calls_what_the_false_positive_rate_allows() -> None:
    x = tube(1, 0)
    table = gate.place(control({"false_positive": 1e-4}), [x])
    assert (table.flag.iloc[-1], np.isnan(table.depth.iloc[-1])) == ("ok", True)
    assert gate.apply(x, control(), table).mask("CAR+").sum() <= 8  # 2 expected of 20,000
    lax = gate.place(control({"false_positive": 1e-2}), [x])
    assert lax.value.iloc[-1] < table.value.iloc[-1]


def test_doublets_among_blanks_do_not_lift_the_threshold() -> None:
    """The raw 1 - 1e-4 quantile of poisoned blanks is CAR T cells; the tail of the blanks' body is not."""
    x = tube(2, 15, doublets=20)
    value = gate.place(control(), [x]).value.iloc[-1]
    raw = np.quantile(np.arcsinh(x.column("VHH")[:10_000] / 5), 1 - 1e-4)
    assert raw > 3.5
    assert value < 2.6
    assert gate.apply(x, control(), gate.place(control(), [x])).mask("CAR+")[-15:].all()


def test_dim_car_t_cells_are_not_cut_and_doublets_cost_little() -> None:
    """CAR T cells at 30 counts over noise to 14, 1 % of the T cells; 0.6 % of the blanks stuck to one."""
    found = {}
    for doublets in (0, 60):
        called = []
        for seed in range(4):
            x = tube(seed, 200, doublets=doublets, level=30)
            g = gate.apply(x, control(), gate.place(control(), [x]))
            called.append(g.mask("CAR+")[-200:].mean())
            assert g.mask("CAR+")[:-200].sum() <= 6
        found[doublets] = np.mean(called)
    assert found[0] >= 0.95
    assert found[0] - found[60] <= 0.03


def test_rate_of_blanks_has_an_exact_limit() -> None:
    """0 of 9,700 is still up to 3.1e-4 (R: binom.test(0, 9700, alternative = "less"))."""
    x = tube(3, 300, n_b=9_700)
    row = gate.apply(x, control(), gate.place(control(), [x])).blanks.set_index("blank").loc["CD19+"]
    assert (row.n, row.n_above) == (9_700, 0)
    assert row.rate_high == pytest.approx(1 - 0.05 ** (1 / 9_700))


def test_tailgate_quantile_range_and_polygon() -> None:
    x = events(
        "s1",
        {"CD3": stained(np.random.default_rng(9), 5_000, 50), "CD4": stained(np.random.default_rng(10), 5_000, 50)},
    )
    y = np.arcsinh(x.column("CD3") / 5)
    t = one(method="quantile", args={"probability": 0.9})
    got = gate.apply(x, t, gate.place(t, [x])).mask("CD3+")
    assert got.mean() <= 0.1 <= (y >= np.quantile(y, 0.9)).mean()  # counts come in steps
    t = one(method="range", args={"low": 1.5})
    assert np.array_equal(gate.apply(x, t, gate.place(t, [x])).mask("CD3+"), y >= 1.5)
    t = one(method="tailgate", args={"tolerance": 0.01})
    assert 0.8 < gate.place(t, [x]).value[0] < 2.2
    square = ((3.0, 3.0), (6.0, 3.0), (6.0, 6.0), (3.0, 6.0))
    t = Template("t", (Gate("P", "P", "root", ("CD3", "CD4"), "polygon", {"vertices": square}, signs="+"),))
    table = gate.place(t, [x])
    assert (table.channel[0], np.isnan(table.value[0])) == ("Er170 x Nd145", True)
    z = np.arcsinh(x.column("CD4") / 5)
    inside = (y >= 3) & (y <= 6) & (z >= 3) & (z <= 6)
    assert np.array_equal(gate.apply(x, t, table).mask("P"), inside)


def test_flowclust_draws_the_ellipse_of_the_cloud_that_was_asked_for() -> None:
    rng = np.random.default_rng(11)
    clouds = np.r_[
        rng.multivariate_normal([2, 2], [[0.1, 0], [0, 0.1]], 6_000),
        rng.multivariate_normal([4.5, 5], [[0.1, 0.05], [0.05, 0.1]], 1_000),
    ]
    x = np.sinh(clouds) * 5
    e = events("s1", {"CD4": x[:, 0], "CD8": x[:, 1]})
    t = Template(
        "t", (Gate("P", "P", "root", ("CD4", "CD8"), "flowclust", {"K": 2, "target": [4.5, 5.0], "level": 0.95}),)
    )
    table = gate.place(t, [e])
    region = from_json(table.region[0])
    assert region.mean == pytest.approx((4.5, 5), abs=0.05)
    assert np.array(region.covariance) == pytest.approx(np.array([[0.1, 0.05], [0.05, 0.1]]), abs=0.02)
    got = gate.apply(e, t, table).mask("P")
    assert got[6_000:].mean() == pytest.approx(0.95, abs=0.02)
    assert got[:6_000].mean() < 0.001
    few = e.take(np.arange(6_950, 7_000)).replace(sample_id="few")
    both = gate.place(t, [e, few])
    assert both.flag.tolist() == ["ok", "few events"]
    assert from_json(both.region[1]).mean == pytest.approx((4.5, 5), abs=0.05), "that of all samples together"
    with pytest.raises(GateError, match=r"flowclust has 100 events in root of all samples, needs 200; place it on"):
        gate.place(t, [e.take(np.arange(100))])


def test_faults_are_told() -> None:
    x = events("s1", {"CD3": stained(np.random.default_rng(0), 300, 100)})
    with pytest.raises(GateError, match="no samples to place gates on"):
        gate.place(one(), [])
    with pytest.raises(GateError, match="two samples are named `s1`; give each its own sample_id"):
        gate.place(one(), [x, x])
    with pytest.raises(
        PanelError, match=r"s1: gate `CD3\+` reads `CD3`, which no channel of this file carries; did you"
    ):
        gate.place(one(), [events("s1", {"CD4": np.ones(10)})])
    linear = x.replace(channels=x.channels.assign(cofactor=float("nan")))
    with pytest.raises(GateError, match="gate `CD3\\+`: mindensity needs an arcsinh scale, `CD3` has no cofactor"):
        gate.place(one(), [linear])


def test_draws_may_be_a_generator_and_samples_may_be_empty() -> None:
    rng = np.random.default_rng(12)
    names = [("a", 3_000, 800), ("b", 0, 0)]
    table = gate.place(one(), (events(n, {"CD3": stained(rng, k, m)}) for n, k, m in names))
    assert table.flag.tolist() == ["ok", "few events"]


def test_same_seed_same_table() -> None:
    x = tube(4, 100)
    pd.testing.assert_frame_equal(gate.place(control(), [x]), gate.place(control(), [x]))


def test_shipped_templates_place_with_their_panels_antigens() -> None:
    """Every antigen the shipped gates read is in the shipped panel of the same name."""
    for name in ("car_t_41", "maxpar_30"):
        template, antigens = panel.load_gates(name), set(panel.load(name).antigens)
        assert set(template.antigens) <= antigens
