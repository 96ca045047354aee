"""Turnbull's estimate: equal to R, to Kaplan-Meier where times are exact, and to a plain maximum of the likelihood."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from cytof import clinical
from cytof.clinical._turnbull import self_consistent
from cytof.errors import InputError

R = json.loads((Path(__file__).parent / "expected" / "turnbull.json").read_text("utf-8"))


@pytest.mark.parametrize("i", range(4))
def test_survfit_and_beyond(i: int) -> None:
    """R stops its steps early (0.6022 where the maximum is 0.6): near its curve, at a likelihood not below it."""
    low, high = np.array(R[i]["low"], float), pd.to_numeric(pd.Series(R[i]["high"]), errors="coerce").to_numpy()
    found = clinical.interval_censored(pd.DataFrame({"low": low, "high": high}), "low", "high", n_boot=0).table
    times, surv = np.array(R[i]["time"], float), np.array(R[i]["surv"], float)
    theirs = np.array([surv[times <= end].min() for end in found["high"].where(np.isfinite(found["high"]), 1e9)])
    theirs = np.where(np.isinf(found["high"]), 0, theirs)
    np.testing.assert_allclose(found["survival"], theirs, atol=0.006)
    start, end = found["low"].to_numpy(), found["high"].to_numpy()
    upper = np.where(np.isnan(high), np.inf, high)
    inside = (start >= low[:, None]) & (end <= upper[:, None]) & ~((start == end) & (start <= low[:, None]))
    inside |= (low == upper)[:, None] & (start == low[:, None]) & (end == upper[:, None])
    own, of_r = (np.log(inside @ mass).sum() for mass in (found["mass"].to_numpy(), -np.diff(theirs, prepend=1.0)))
    assert own >= of_r - 1e-9


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=3, max_size=25))
@settings(max_examples=50, deadline=None)
def test_exact_times_give_kaplan_meier(rows: list) -> None:
    t, event = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    if not event.any():
        return
    table = pd.DataFrame({"t": t, "e": event, "high": np.where(event, t, np.inf)})
    found = clinical.interval_censored(table, "t", "high", n_boot=0)
    km = clinical.kaplan_meier(table, "t", "e").at(sorted(set(t[event])))
    at = found.at(km["time"])
    np.testing.assert_allclose(at["survival_high"], km["survival"], atol=1e-6)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 5), st.booleans()), min_size=3, max_size=12))
@settings(max_examples=25, deadline=None)
def test_no_masses_have_a_higher_likelihood(rows: list) -> None:
    low = np.array([r[0] for r in rows], float)
    high = np.array([np.inf if r[2] else r[0] + r[1] for r in rows])
    start, end, mass = self_consistent(low, high)
    inside = (start >= low[:, None]) & (end <= high[:, None])

    def loss(logits: np.ndarray) -> float:
        p = np.exp(logits - logits.max())
        return -float(np.log(inside @ (p / p.sum()) + 1e-300).sum())

    own = -float(np.log(inside @ mass).sum())
    for seed in range(2):
        other = minimize(loss, np.random.default_rng(seed).normal(size=len(mass)), method="BFGS")
        assert own <= other.fun + 1e-6
    assert mass.sum() == pytest.approx(1)


def test_medians_groups_and_limits() -> None:
    rng = np.random.default_rng(5)
    t = np.r_[rng.exponential(30, 150), rng.exponential(90, 150)]
    low = np.floor(t / 10) * 10
    table = pd.DataFrame({"low": low, "high": np.where(t > 200, np.nan, low + 10), "arm": np.repeat(["a", "b"], 150)})
    found = clinical.interval_censored(table, "low", "high", "arm", random_state=1)
    of = found.median().set_index("group")
    for arm, truth in (("a", 30 * np.log(2)), ("b", 90 * np.log(2))):
        assert of.loc[arm, "ci_low"] <= truth <= of.loc[arm, "ci_high"]
        assert of.loc[arm, "low"] < of.loc[arm, "high"] == of.loc[arm, "low"] + 10
    assert of.loc["b", "n_open"] == int((t[150:] > 200).sum())
    again = clinical.interval_censored(table.sample(frac=1, random_state=3), "low", "high", "arm", n_boot=0).table
    np.testing.assert_allclose(again["mass"], found.table["mass"], atol=1e-6)
    assert "Turnbull" in found.cite()


def test_median_beyond_the_last_visit_and_rows_left_out() -> None:
    table = pd.DataFrame({"low": [5.0, 9, 9, np.nan], "high": [8.0, np.nan, np.nan, 3]})
    found = clinical.interval_censored(table, "low", "high", n_boot=0)
    assert found.median().loc[0, ["low", "high"]].tolist() == [9, np.inf]
    assert found.warnings == ("1 of 4 rows left out: low missing",)


def test_intervals_that_cannot_be() -> None:
    with pytest.raises(InputError, match="row 1: `low` is 9 and `high` is 5, expected 0 <= low <= high"):
        clinical.interval_censored(pd.DataFrame({"low": [1.0, 9], "high": [2.0, 5]}), "low", "high")
    with pytest.raises(InputError, match="no row has `low`"):
        clinical.interval_censored(pd.DataFrame({"low": [np.nan], "high": [2.0]}), "low", "high")
