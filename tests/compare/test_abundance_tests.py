"""Shares between visits: against scipy, planted changes, refusals in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytof import compare
from cytof.compare._replicates import PATIENT_TESTS
from cytof.errors import UsageError


def shares(patients: int, effect: float, *, seed: int, spread: float = 0.4, tube: float = 0.2, visits=("2mo", "5yr")):
    """Return an abundance table: populations DN (with the effect, log odds) and CD8 (without)."""
    rng = np.random.default_rng(seed)
    rows = []
    for p in range(patients):
        own = rng.normal(0, spread, 2)
        for v, visit in enumerate(visits):
            for k, (name, base) in enumerate((("DN", -2.0), ("CD8", -1.0))):
                eta = base + own[k] + rng.normal(0, tube) + (effect * v if name == "DN" else 0)
                n = rng.binomial(2000, 1 / (1 + np.exp(-eta)))
                rows.append((f"{p}-{visit}", f"P{p}", visit, 60.0 + 700 * v, f"run{v}", name, n, 2000))
    columns = ["sample_id", "patient_id", "timepoint", "day", "batch_id", "population", "n", "n_denominator"]
    return pd.DataFrame(rows, columns=columns)


def logit(table: pd.DataFrame, visit: str) -> np.ndarray:
    own = table[table["timepoint"] == visit].sort_values("patient_id")
    return np.log((own["n"] + 0.5) / (own["n_denominator"] - own["n"] + 0.5)).to_numpy()


def test_t_is_what_scipy_says() -> None:
    table = shares(5, 0.8, seed=1)
    found = compare.abundance(table).set_index("subset")
    dn = table[table["population"] == "DN"]
    judge = stats.ttest_rel(logit(dn, "5yr"), logit(dn, "2mo"))
    row = found.loc["DN"]
    assert (row["statistic"], row["p"]) == pytest.approx((judge.statistic, judge.pvalue))
    assert (row["test"], row["unit"], row["n_units"]) == ("paired t", "patient", 5)
    assert row["n"] == dn.loc[dn["timepoint"] == "5yr", "n"].sum()
    assert row["ci_low"] < 0.8 < row["ci_high"]
    moderated = compare.abundance(table, test="moderated-t").set_index("subset")
    assert moderated.loc["DN", "test"] == "moderated paired t"
    assert moderated.loc["DN", "estimate"] == row["estimate"]


@pytest.mark.parametrize("test", ["mixed", "beta-binomial", "binomial-mixed", "rank-sum", "permutation"])
def test_every_test_finds_a_planted_change_and_leaves_the_other(test: str) -> None:
    found = compare.abundance(shares(10, 0.9, seed=2, tube=0.02), test=test).set_index("subset")
    assert found.loc["DN", "p"] < 0.01
    assert found.loc["CD8", "p"] > 0.05
    if test not in ("rank-sum", "permutation"):
        assert found.loc["DN", "ci_low"] < 0.9 < found.loc["DN", "ci_high"]
    again = compare.abundance(shares(10, 0.9, seed=2, tube=0.02), test=test).set_index("subset")
    pd.testing.assert_frame_equal(found, again, check_exact=True)


def test_small_cohorts_are_refused_in_words() -> None:
    table = shares(5, 0.9, seed=3)
    for test in ("mixed", "beta-binomial", "binomial-mixed"):
        found = compare.abundance(table, test=test)
        assert found["p"].isna().all()
        assert found["note"].unique().tolist() == [f"refused: {test} models need 6 patients, found 5"]
    for test in ("rank-sum", "permutation"):
        found = compare.abundance(table, test=test)
        assert found["p"].isna().all()
        assert found["note"].unique().tolist() == ["refused: of 5 pairs the smallest attainable p is 0.0625"]
        assert found["estimate"].notna().all()
    six = compare.abundance(shares(6, 3.0, seed=3), test="rank-sum").set_index("subset")
    assert six.loc["DN", "p"] == 0.03125
    assert six.loc["DN", "note"] == "smallest attainable p 0.0312"


def test_one_patient_is_counted_and_captioned() -> None:
    table = shares(1, 0.9, seed=4)
    found = compare.abundance(table).set_index("subset")
    n = table[table["population"] == "DN"].set_index("timepoint")["n"]
    judge = stats.fisher_exact([[n["5yr"], 2000 - n["5yr"]], [n["2mo"], 2000 - n["2mo"]]])
    assert found.loc["DN", "p"] == pytest.approx(judge.pvalue)
    assert found.loc["DN", "unit"] == "cell"
    assert "cells of one patient are not replicates" in found.loc["DN", "note"]
    table.loc[table["timepoint"] == "5yr", ["n", "n_denominator"]] = 0
    found = compare.abundance(table)
    assert found["note"].str.startswith("no cells in 5yr").all()
    one_visit = compare.abundance(table[table["timepoint"] == "2mo"])
    assert one_visit["contrast"].unique().tolist() == ["no other timepoint vs 2mo"]
    assert one_visit["p"].isna().all()


def test_confounded_columns_are_named() -> None:
    table = shares(8, 0.5, seed=5)
    with pytest.raises(UsageError, match="5yr vs 2mo cannot be told from `batch_id`: in this design they coincide"):
        compare.abundance(table, test="beta-binomial", adjust_for=["batch_id"])
    table["batch_id"] = np.where(table["patient_id"] < "P4", "run0", "run1")
    found = compare.abundance(table, test="beta-binomial", adjust_for=["batch_id"])
    assert found["p"].notna().all()
    with pytest.raises(UsageError, match=r"reference '2m' is no level of `timepoint`.*did you mean `2mo`"):
        compare.abundance(table, reference="2m")
    with pytest.raises(UsageError, match="column `condition` missing"):
        compare.abundance(table, by="condition")
    two = pd.DataFrame({"a": list("xxyy"), "b": list("uvuv"), "c": list("pqrs")})
    assert compare.confounded(two, np.array([0.0, 1, 1, 0]), ["a", "b"]) == []
    assert compare.confounded(two, np.array([0.0, 1, 1, 0]), ["a", "c"]) == ["c"]


def test_trend_and_spline() -> None:
    visits = ("a", "b", "c", "d", "e")
    table = shares(6, 0.5, seed=6, tube=0.1, visits=visits)
    found = compare.trend(table).set_index(["subset", "contrast"])
    slope = 0.5 / 700 * 365.25
    row = found.loc[("DN", "per year")]
    assert row["ci_low"] < slope < row["ci_high"]
    assert row["p"] < 1e-3
    assert found.loc[("DN", "spline over days"), "p"] < 1e-3
    assert found.loc[("CD8", "spline over days"), "p"] > 0.01
    one = compare.trend(table[table["patient_id"] == "P1"], shape="line").set_index("subset")
    own = table[(table["patient_id"] == "P1") & (table["population"] == "DN")]
    y = np.log((own["n"] + 0.5) / (own["n_denominator"] - own["n"] + 0.5))
    judge = stats.linregress(own["day"] / 365.25, y)
    assert (one.loc["DN", "estimate"], one.loc["DN", "p"]) == pytest.approx((judge.slope, judge.pvalue))
    assert one.loc["DN", "unit"] == "visit"
    two = compare.trend(table[(table["patient_id"] < "P2") & (table["timepoint"] < "c")])
    assert two["p"].isna().all()
    assert two["note"].unique().tolist() == ["fewer than 3 patients with two visits"]


def test_a_share_that_falls_and_comes_back_is_seen_by_the_spline_alone() -> None:
    rng = np.random.default_rng(7)
    rows = [
        (f"{p}{d}", f"P{p}", d, "DN", int(200 + 90 * (d == 300) + 90 * (d == 400) + rng.integers(-9, 9)), 1000)
        for p in range(5) for d in (0, 100, 300, 400, 600, 700)
    ]  # fmt: skip
    columns = ["sample_id", "patient_id", "day", "population", "n", "n_denominator"]
    found = compare.trend(pd.DataFrame(rows, columns=columns)).set_index("contrast")
    assert found.loc["per year", "p"] > 0.05
    assert found.loc["spline over days", "p"] < 1e-3


@pytest.mark.parametrize("test", ["beta-binomial", "binomial-mixed"])
def test_models_of_counts_do_not_take_tubes_for_effects(test: str) -> None:
    """400 populations of 8 pairs: patients vary, tubes do not, and both; a likelihood ratio rejects half of these."""
    for tube in (0.0, 0.4):
        parts = [shares(8, 0.0, seed=s, tube=tube).assign(population=lambda t, s=s: t["population"] + str(s))
                 for s in range(200)]  # fmt: skip
        found = compare.abundance(pd.concat(parts), test=test)
        assert 0.025 <= (found["p"] < 0.05).mean() <= 0.075
        assert 0.925 <= ((found["ci_low"] <= 0) & (found["ci_high"] >= 0)).mean() <= 0.975


@pytest.mark.parametrize("test", ["beta-binomial", "binomial-mixed"])
def test_what_a_model_of_counts_cannot_tell(test: str) -> None:
    table = shares(8, 0.5, seed=9)
    early = (table["timepoint"] == "2mo") & (table["population"] == "DN")
    table.loc[early, "n"] = 0
    found = compare.abundance(table, test=test).set_index("subset")
    assert np.isnan(found.loc["DN", "p"])
    assert found.loc["DN", "note"] == "no cell, or every cell, of a level is of the population: take `t`"
    assert found.loc["CD8", "p"] > 0
    table.loc[early & (table["patient_id"] == "P3"), "n"] = 4
    found = compare.abundance(table, test=test).set_index("subset")
    assert found.loc["DN", "note"] == "without one of the patients the change cannot be told: take `t`"


def tubes(rows: list[tuple[str, str, int, int]], population: str = "DP") -> pd.DataFrame:
    """Return a table of (patient, visit, n, n_denominator)."""
    table = pd.DataFrame(rows, columns=["patient_id", "timepoint", "n", "n_denominator"])
    return table.assign(population=population, sample_id=table["patient_id"] + table["timepoint"])


def falling(share: float, populations: int, *, paired: bool, seed: int) -> pd.DataFrame:
    """Seven patients with 500-900 events, then 60-130, and one true share; or seven and seven."""
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(populations):
        of = np.append(rng.integers(500, 900, 7), rng.integers(60, 130, 7))
        own = np.tile(rng.normal(0, 0.5, 7), 2) if paired else rng.normal(0, 0.5, 14)
        eta = np.log(share / (1 - share)) + own + rng.normal(0, 0.3, 14)
        n = rng.binomial(of, 1 / (1 + np.exp(-eta)))
        who = [f"P{p}" for p in (np.tile(np.arange(7), 2) if paired else np.arange(14))]
        parts.append(tubes(list(zip(who, ["2mo"] * 7 + ["5yr"] * 7, n, of, strict=True)), f"p{i}"))
    return pd.concat(parts)


@pytest.mark.parametrize("test", [*PATIENT_TESTS, "mixed", "beta-binomial", "binomial-mixed"])
def test_no_cell_in_any_tube_is_no_effect(test: str) -> None:
    of = [700, 900, 510, 650, 880, 720, 600, 60, 130, 95, 70, 120, 100, 64]
    rows = [(f"P{i % 7}", "2mo" if i < 7 else "5yr", 0, v) for i, v in enumerate(of)]
    row = compare.abundance(tubes(rows), test=test).iloc[0]
    assert np.isnan(row["p"])
    assert np.isnan(row["estimate"])
    assert row["note"] == "no cell is of the population"
    every = tubes([(p, v, n_of, n_of) for p, v, _, n_of in rows])
    assert compare.abundance(every, test=test)["note"].tolist() == ["every cell is of the population"]


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("share", [0.002, 0.01, 0.05])
def test_fewer_events_later_are_no_change_of_a_share(share: float, paired: bool) -> None:
    """The +1/2 of a logit draws small tubes upward: 75 % of true nulls were rejected at 0.2 %, 10 % at 1 %."""
    table = falling(share, 300, paired=paired, seed=int(1000 * share))
    for test, transform in (("t", "logit"), ("t", "arcsine"), ("permutation", "logit")):
        found = compare.abundance(table, test=test, transform=transform)
        assert (found["p"] < 0.05).mean() <= 0.08, (test, transform)
        assert abs(found["estimate"].mean()) < 0.06
    few = found["note"].str.startswith("few cells (")
    assert few.all() if share < 0.05 else 0 < few.mean() < 1
    assert found.loc[few, "note"].str.contains("tubes compared at equal depth; the estimate is drawn towards 0").all()
    hundred = table[table["population"].str.len() < 4]
    assert (compare.abundance(hundred, test="beta-binomial")["p"] < 0.05).mean() <= 0.08


def test_equal_depth_is_the_mean_over_all_draws_and_many_cells_are_left_alone() -> None:
    from itertools import combinations

    from cytof.compare._shares import share_scale, shares_of, thinned

    tube = np.array([1, 1, 0, 0, 0, 0, 1])
    naive = [share_scale(np.array([tube[list(c)].sum()]), np.array([3]), "logit")[0] for c in combinations(range(7), 3)]
    assert thinned(3, 7, 3, "logit") == pytest.approx(np.mean(naive))
    table = shares(5, 0.8, seed=1)
    dn = table[table["population"] == "DN"]
    found = shares_of(dn, "logit", late=(dn["timepoint"] == "5yr").to_numpy())
    assert found.note == ""
    assert (found.value == share_scale(dn["n"], dn["n_denominator"], "logit")).all()


def test_counts_that_cannot_be_and_blanks_are_refused_by_name() -> None:
    table = shares(8, 0.5, seed=5).assign(age=50.0, sex="f")
    with pytest.raises(UsageError, match=r"n is above n_denominator or below 0 in 0-2mo \(DN\): 2001 of 2000"):
        compare.abundance(table.assign(n=[2001, *table["n"][1:]]))
    with pytest.raises(UsageError, match="the table has no rows"):
        compare.abundance(table[:0])
    for column, value in (("age", np.nan), ("sex", " ")):
        gap = table.copy()
        gap.loc[gap["sample_id"] == "3-2mo", column] = value
        with pytest.raises(UsageError, match=f"`{column}` is blank for 3-2mo; fill it in, or leave these samples out"):
            compare.abundance(gap, test="mixed", adjust_for=[column])
    nameless = table.copy()
    nameless.loc[nameless["patient_id"] == "P7", "patient_id"] = None
    found = compare.abundance(nameless)
    assert found["n_units"].unique().tolist() == [7]
    assert found["note"].unique().tolist() == ["2 samples without a patient_id left out"]


def test_a_test_that_cannot_be_adjusted_is_refused_and_confounding_is_named_for_every_test() -> None:
    table = shares(8, 0.5, seed=5)
    for test in ("auto", "moderated-t", "rank-sum", "mixed"):
        with pytest.raises(UsageError, match="5yr vs 2mo cannot be told from `batch_id`: in this design they coincide"):
            compare.abundance(table, test=test, adjust_for=["batch_id"])
    table["batch_id"] = np.where(table["patient_id"] < "P4", "run0", "run1")
    said = "test `t` cannot be adjusted for `batch_id`, those that can are mixed, beta-binomial, binomial-mixed"
    with pytest.raises(UsageError, match=said):
        compare.abundance(table, adjust_for=["batch_id"])


def test_patients_whose_own_courses_differ_are_no_evidence_for_the_spline() -> None:
    """Slopes of patients vary by 0.3 a year about 0: samples as the unit rejected 18 % of true nulls."""
    rng = np.random.default_rng(11)
    for patients in (5, 8):
        parts, who = [], np.repeat(np.arange(patients), 5)
        for i in range(300):
            day = np.tile([60.0, 180, 365, 1095, 1825], patients) + rng.integers(-15, 15, 5 * patients)
            eta = -2 + rng.normal(0, 0.3, patients)[who] * day / 365.25 + rng.normal(0, 0.2, len(day))
            table = {"sample_id": np.arange(len(day)).astype(str), "patient_id": who.astype(str), "day": day}
            n = rng.binomial(2000, 1 / (1 + np.exp(-eta)))
            parts.append(pd.DataFrame(table | {"population": f"p{i}", "n": n, "n_denominator": 2000}))
        found = compare.trend(pd.concat(parts), shape="spline")
        assert found["n_units"].eq(patients).all()
        assert 0.02 <= (found["p"] < 0.05).mean() <= 0.08


def test_a_trend_that_cannot_be_tested_says_why() -> None:
    table = shares(3, 0.5, seed=6, visits=("a", "b", "c", "d", "e"))
    found = compare.trend(table, shape="spline")
    assert found["p"].notna().all()
    assert found["n_units"].unique().tolist() == [3]
    few = table[(table["patient_id"] != "P2") | (table["timepoint"] < "c")]
    found = compare.trend(few, shape="spline")
    assert found["note"].str.startswith("a spline needs 3 patients with 3 visits, found 2").all()
    assert found["note"].str.endswith("1 patient with fewer than 3 visits left out").all()
    flat = table[table["patient_id"] == "P1"].assign(n=500)
    found = compare.trend(flat, shape="line")
    assert found["note"].str.startswith("the visits lie on a line").all()
    assert found["estimate"].abs().max() < 1e-9
    assert compare.trend(table.assign(n=500), shape="line")["note"].unique().tolist() == [
        "the slopes of all patients are equal"
    ]


def test_few_large_tubes_are_few_patients() -> None:
    """Six pairs of 20 to 20,000 events, tubes vary by 0.5: 13 % of true nulls were rejected on n - 1."""
    rng = np.random.default_rng(31)
    parts = []
    for i in range(400):
        of = np.rint(np.exp(rng.uniform(np.log(20), np.log(20000), 12))).astype(int)
        eta = -2.5 + np.tile(rng.normal(0, 0.6, 6), 2) + rng.normal(0, 0.5, 12)
        n = rng.binomial(of, 1 / (1 + np.exp(-eta)))
        who = [f"P{p}" for p in np.tile(np.arange(6), 2)]
        parts.append(tubes(list(zip(who, ["2mo"] * 6 + ["5yr"] * 6, n, of, strict=True)), f"p{i}"))
    found = compare.abundance(pd.concat(parts), test="binomial-mixed")
    tested = found["p"].notna()
    assert tested.mean() > 0.6
    assert (found.loc[tested, "p"] < 0.05).mean() <= 0.065
    assert found.loc[~tested, "note"].str.contains("so unevenly that patients are worth|take `t`").all()
    assert found["note"].str.endswith("alike: take `beta-binomial`").any()
    assert found.loc[tested, "note"].str.contains("; degrees of freedom").all()


def test_values_that_do_not_vary_give_no_p() -> None:
    rows = [(f"P{p}", v, 10 if v == "2mo" else 20, 500) for v in ("2mo", "5yr") for p in range(7)]
    for test, note in (
        ("t", "all differences are equal"), ("mixed", "values do not vary about the model"),
        ("beta-binomial", "patients do not differ at all"), ("binomial-mixed", "patients do not differ at all"),
    ):  # fmt: skip
        row = compare.abundance(tubes(rows), test=test).iloc[0]
        assert np.isnan(row["p"])
        assert row["note"] == note
        assert row["estimate"] == pytest.approx(0.71, abs=0.03)
    three = [("a", "2mo", 60, 100), ("a", "5yr", 30, 100), ("b", "2mo", 70, 100), ("b", "5yr", 40, 100),
             ("c", "2mo", 0, 0), ("c", "5yr", 5, 100)]  # fmt: skip
    row = compare.abundance(tubes(three)).iloc[0]
    assert np.isnan(row["p"]), "the two differences are equal but for rounding"
    assert row["note"] == "all differences are equal; 1 patient without both left out"


def test_exact_tests_are_refused_where_too_few_pairs_inform() -> None:
    late = [30, 40, 0, 0, 0, 0, 0]
    rows = [(f"P{p}", v, late[p] if v == "5yr" else 0, 1000) for v in ("2mo", "5yr") for p in range(7)]
    for test in ("rank-sum", "permutation"):
        row = compare.abundance(tubes(rows), test=test, transform="arcsine").iloc[0]
        assert np.isnan(row["p"])
        assert "refused: of 7 pairs, 2 of them different, the smallest attainable p is 0.5" in row["note"]


@pytest.mark.parametrize("test", ["t", "beta-binomial", "binomial-mixed"])
def test_groups_of_two_patients_get_no_p(test: str) -> None:
    """2 v 5 patients: Welch's t rejected 6.7 to 9.2 % of true nulls, models of counts 8 to 9 %."""
    rng = np.random.default_rng(2)
    rows = [(f"P{p}", "R" if p < 2 else "N", int(rng.integers(80, 160)), 1000) for p in range(8)]
    row = compare.abundance(tubes(rows), test=test).iloc[0]
    assert np.isnan(row["p"])
    assert np.isfinite(row["estimate"])
    assert row["note"].startswith("fewer than 3 patients in R" if test == "t" else "2 patients in a group")
    assert compare.abundance(tubes(rows), test="moderated-t")["p"].notna().all()
    more = [*rows, ("P9", "R", 120, 1000), ("P0", "N", 100, 1000)]
    row = compare.abundance(tubes(more)).iloc[0]
    assert np.isnan(row["p"])
    more = [*more, ("P10", "R", 90, 1000), ("P11", "R", 90, 1000)]
    row = compare.abundance(tubes(more)).iloc[0]
    assert (row["test"], row["n_units"]) == ("welch t", 10)
    assert row["note"] == "1 patient with both left out"
