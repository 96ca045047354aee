"""What must hold for any cohort, whatever its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cytof import clinical
from cytof.errors import InputError

ROWS = st.lists(
    st.tuples(st.integers(1, 40), st.booleans(), st.sampled_from("ab"), st.integers(0, 2)), min_size=8, max_size=40
)


def table_of(rows: list) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["t", "e", "g", "cause"]).astype({"t": float})


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_and_scale_of_time(rows: list, random: object) -> None:
    table = table_of(rows)
    shuffled = table.sample(frac=1, random_state=random.randint(0, 99)).reset_index(drop=True)
    one, two = (clinical.kaplan_meier(t, "t", "e", by="g").table.drop(columns="group") for t in (table, shuffled))
    np.testing.assert_allclose(one, two, equal_nan=True)
    longer = table.assign(t=table["t"] * 30.4375)
    p = [clinical.log_rank(t, "t", "e", "g").p for t in (table, shuffled, longer)]
    np.testing.assert_allclose(p, p[0], rtol=1e-7, equal_nan=True)


@given(ROWS, st.sampled_from(["log-log", "log", "plain", "logit", "arcsin"]))
@settings(max_examples=60, deadline=None)
def test_intervals_hold_the_estimate_within_0_and_1(rows: list, conf: str) -> None:
    steps = clinical.kaplan_meier(table_of(rows), "t", "e", conf=conf).table
    known = steps[steps["ci_low"].notna() & steps["ci_high"].notna()]
    assert known["ci_low"].between(0, 1).all()
    assert known["ci_high"].between(0, 1).all()
    assert (known["ci_low"] <= known["survival"] + 1e-12).all()
    assert (known["ci_high"] >= known["survival"] - 1e-12).all()
    assert steps["survival"].is_monotonic_decreasing


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_survival_and_incidences_add_to_one(rows: list) -> None:
    table = table_of(rows)
    if not (table["cause"] > 0).any():
        return
    incidence = clinical.cumulative_incidence(table, "t", "cause").table.pivot(index="time", columns="cause")[
        "incidence"
    ]
    any_cause = clinical.kaplan_meier(table.assign(any=table["cause"] > 0), "t", "any").table.set_index("time")
    np.testing.assert_allclose(incidence.sum(axis=1) + any_cause["survival"], 1, atol=1e-12)


@given(ROWS)
@settings(max_examples=40, deadline=None)
def test_relabelling_groups_turns_the_hazard_ratio_around(rows: list) -> None:
    table = table_of(rows)
    try:
        one = clinical.cox(table, "t", "e", "g").table["hr"].iloc[0]
        two = clinical.cox(table.assign(g=table["g"].map({"a": "b", "b": "a"})), "t", "e", "g").table["hr"].iloc[0]
    except InputError:
        return
    assert one * two == pytest.approx(1, rel=1e-6)


@given(st.lists(st.booleans(), min_size=10, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_log_rank_is_the_score_test_of_cox_without_ties(groups: list[bool], random: object) -> None:
    n = len(groups)
    table = pd.DataFrame({"t": np.arange(1.0, n + 1), "e": [random.random() < 0.7 for _ in range(n)], "g": groups})
    if table["e"].sum() < 3 or table.loc[table["e"], "g"].nunique() < 2 or table["g"].nunique() < 2:
        return
    try:
        score = clinical.cox(table.assign(g=table["g"].astype(int)), "t", "e", "g", ties="breslow").tests.iloc[2]
    except InputError:
        return
    assert score["statistic"] == pytest.approx(clinical.log_rank(table, "t", "e", "g").statistic, rel=1e-8)


@given(st.lists(st.integers(0, 8), min_size=4, max_size=6))
@settings(max_examples=40, deadline=None)
def test_exact_test_against_a_naive_enumeration(cells: list[int]) -> None:
    counts = np.array(cells[:4]).reshape(2, 2)
    if (counts.sum(0) == 0).any() or (counts.sum(1) == 0).any():
        return
    assert clinical.freeman_halton(counts) == pytest.approx(stats.fisher_exact(counts)[1], rel=1e-6)


def test_freeman_halton_against_all_tables_by_brute_force() -> None:
    from itertools import product
    from math import factorial

    counts = np.array([[3, 1, 2], [0, 4, 1], [2, 2, 0]])
    rows, columns = counts.sum(1), counts.sum(0)

    def weight(t: np.ndarray) -> float:
        return 1 / float(np.prod([factorial(int(v)) for v in t.ravel()]))

    total = rare = 0.0
    for a, b, c, d in product(range(7), repeat=4):
        t = np.array([[a, b, rows[0] - a - b], [c, d, rows[1] - c - d], [0, 0, 0]])
        t[2] = columns - t[:2].sum(0)
        if (t >= 0).all():
            total += weight(t)
            rare += weight(t) if weight(t) <= weight(counts) * (1 + 1e-9) else 0
    assert clinical.freeman_halton(counts) == pytest.approx(rare / total, rel=1e-9)


def test_firth_is_the_maximum_of_the_penalised_likelihood() -> None:
    """A naive scan of log L + log|I| / 2 finds the same coefficient; without events in a level it stays finite."""
    from cytof.clinical._cox_core import _evaluate, risk_sets

    rng = np.random.default_rng(3)
    t, e = rng.permutation(30).astype(float), rng.random(30) < 0.6
    x = (rng.random(30) < 0.3).astype(float)
    e[x == 1] = False
    table = pd.DataFrame({"t": t, "e": e, "x": x})
    found = clinical.cox(table, "t", "e", "x", firth=True).table.iloc[0]
    risk, z = risk_sets(t, e, np.full(30, -np.inf), np.zeros(30)), (x - x.mean())[:, None]

    def height(b: float) -> float:
        return _evaluate(z, risk, np.array([b]), exact=False, firth=True)[0]

    grid = np.linspace(-8, 4, 2401)
    heights = [height(b) for b in grid]
    assert found["coef"] == pytest.approx(grid[int(np.argmax(heights))], abs=0.006)
    for end in (found["ci_low"], found["ci_high"]):
        assert 2 * (max(heights) - height(np.log(end))) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=2e-3)


def test_permutation_log_rank_against_all_permutations() -> None:
    """Eight patients: the p of 70 possible splits, and of 20,000 drawn ones within its error."""
    from itertools import combinations

    table = pd.DataFrame({"t": [1, 2, 2, 4, 5, 7, 8, 9], "e": [1, 1, 0, 1, 1, 0, 1, 1], "g": list("aababbab")})
    from cytof.clinical._log_rank import log_rank_scores

    scores = log_rank_scores(table["t"], table["e"])
    own = abs(scores[(table["g"] == "a").to_numpy()].sum())
    splits = [abs(scores[list(c)].sum()) for c in combinations(range(8), 4)]
    exact = np.mean(np.array(splits) >= own - 1e-9)
    found = clinical.log_rank(table, "t", "e", "g", method="permutation", n_permutations=20_000, random_state=5)
    assert found.p == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / 20_000))


def test_rmst_against_a_sum_of_rectangles() -> None:
    table = pd.DataFrame({"t": [1.0, 3, 4, 7, 9], "e": [1, 1, 0, 1, 0]})
    km = clinical.kaplan_meier(table, "t", "e")
    grid = np.arange(0, 8, 1e-3) + 5e-4
    area = km.at(grid)["survival"].sum() * 1e-3
    assert float(km.rmst(8)["rmst"].iloc[0]) == pytest.approx(area, abs=1e-3)
    two = pd.concat([table.assign(g="a"), table.assign(g="b", t=table["t"] + 1)])
    gain = clinical.kaplan_meier(two, "t", "e", by="g").rmst_difference(8).iloc[0]
    assert gain["difference"] > 0
    assert gain["ci_low"] < gain["difference"] < gain["ci_high"]
