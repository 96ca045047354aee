"""Shares between visits: against scipy, planted changes, refusals in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytof import compare
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
    assert found.loc[("DN", "spline over days"), "p"] < 1e-6
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
    assert found.loc["spline over days", "p"] < 1e-4


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
