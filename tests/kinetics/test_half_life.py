"""Half-life: planted declines come back, limits cover, what cannot be estimated says why."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import linregress, norm, t

from cytof.kinetics import half_life
from cytof.kinetics._tobit import fit


def course(n: int, half: float = 60.0, sigma: float = 0.0, seed: int = 0, step: float = 20.0):
    rng = np.random.default_rng(seed)
    day = np.r_[14.0, 14 + step * np.arange(1, n + 1)]
    return day, np.exp(np.log(1000) - np.log(2) / half * (day - 14) + np.r_[3.0, rng.normal(0, sigma, n)])


def test_limits_without_censoring_are_those_of_the_regression_of_logarithms() -> None:
    """scipy.stats.linregress gives slope and standard error; limits are slope -+ t(n - 2) x error."""
    day, value = course(8, sigma=0.4)
    found = half_life(day, value, np.zeros(9, bool), np.full(9, 1e-6))
    line = linregress(day[1:], np.log(value[1:]))
    wide = t.ppf(0.975, 6) * line.stderr
    assert found.days == pytest.approx(np.log(2) / -line.slope, rel=1e-9)
    assert (found.low, found.high) == pytest.approx(
        (np.log(2) / (-line.slope + wide), np.log(2) / (-line.slope - wide)), rel=1e-9
    )
    assert (found.model, found.n, found.n_quantified) == ("mono-exponential", 8, 8)


def test_censored_fit_is_the_maximum_that_a_general_optimiser_finds() -> None:
    rng = np.random.default_rng(3)
    x = np.arange(12.0)
    y = 4 - 0.3 * x + rng.normal(0, 0.5, 12)
    below = y < 2
    y = np.where(below, 2.0, y)

    def loss(p: np.ndarray) -> float:
        z, sigma = y - p[0] - p[1] * x, np.exp(p[2])
        return -float(np.sum(np.where(below, norm.logcdf(z / sigma), norm.logpdf(z, scale=sigma))))

    other = minimize(loss, [4, -0.3, -0.7], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    beta, sigma, top = fit(np.c_[np.ones(12), x], y, below)
    assert beta == pytest.approx(other.x[:2], abs=1e-5)
    assert sigma == pytest.approx(np.exp(other.x[2]), abs=1e-5)
    assert top == pytest.approx(-other.fun, abs=1e-8)


def test_values_below_the_limit_pull_the_half_life_down_from_where_leaving_them_out_puts_it() -> None:
    day, value = course(10, half=40, sigma=0.3, seed=5)
    below = value < 150
    with_them = half_life(day, np.where(below, np.nan, value), below, np.full(11, 150.0))
    seen = linregress(day[1:][~below[1:]], np.log(value[1:][~below[1:]]))
    assert below.sum() >= 5
    assert with_them.days < np.log(2) / -seen.slope
    assert with_them.low < 40 < with_them.high
    assert with_them.method == "profile likelihood, below the limit as censored"


@pytest.mark.parametrize(("n", "censored", "least", "most"), [(6, False, 0.925, 0.975), (8, True, 0.9, 1.0)])
def test_limits_cover(n: int, censored: bool, least: float, most: float) -> None:
    """benchmarks/calibration_kinetics.py does the same with 2,000 courses a row."""
    hits, runs = 0, 0
    for seed in range(120 if censored else 600):
        day, value = course(n, sigma=0.5, seed=seed)
        limit = np.full(n + 1, 1000 * 0.5 ** ((day[n // 2] + day[n // 2 + 1] - 28) / 120) if censored else 1e-9)
        found = half_life(day, value, value < limit, limit, model="mono")
        if found.n_quantified < 3:
            continue
        runs, hits = runs + 1, hits + (found.low <= 60 <= found.high)
    assert least <= hits / runs <= most


def test_two_exponentials_only_from_seven_points_and_only_where_they_fit_better() -> None:
    rng = np.random.default_rng(1)
    day = np.r_[10.0, 10 + np.array([3, 6, 10, 15, 22, 30, 60, 90, 150, 240.0])]
    t0 = day - 10
    value = 1000 * np.exp(-np.log(2) / 5 * t0) + 20 * np.exp(-np.log(2) / 120 * t0)
    value = value * np.exp(np.r_[0, rng.normal(0, 0.1, 10)])
    found = half_life(day, value, np.zeros(11, bool), np.full(11, 1e-6))
    assert found.model == "bi-exponential"
    assert found.low < 120 < found.high
    assert found.days == pytest.approx(120, rel=0.35)
    assert half_life(day[:7], value[:7], np.zeros(7, bool), np.full(7, 1e-6)).model == "mono-exponential"
    day, value = course(9, sigma=0.3, seed=2)
    assert half_life(day, value, np.zeros(10, bool), np.full(10, 1e-6)).model == "mono-exponential"


@pytest.mark.parametrize(
    ("day", "value", "below", "reason"),
    [
        ([], [], [], "no quantified point"),
        ([7, 14], [np.nan, np.nan], [True, True], "no quantified point"),
        ([7], [3.0], [False], "0 quantified points after the peak (day 7), 3 needed"),
        ([7, 14, 28, 60], [9, 5, 4, np.nan], [False] * 3 + [True],
         "2 quantified points after the peak (day 7), 3 needed"),
        ([7, 14, 28, 60, 90], [9, 1, 2, 3, 4], [False] * 5, "no decline after the peak"),
    ],
)  # fmt: skip
def test_what_cannot_be_estimated_says_why(day, value, below, reason) -> None:
    found = half_life(day, value, below, [0.5] * len(day))
    assert (found.model, found.reason) == ("not estimable", reason)
    assert np.isnan(found.days)


def test_without_a_decline_the_lower_limit_stands() -> None:
    found = half_life([7, 14, 28, 60, 90], [9, 1, 2, 3, 4], [False] * 5, [0.5] * 5)
    assert found.high == np.inf
    assert found.low > 0


@pytest.mark.parametrize("days", [(60, 180, 365, 730, 1825), (14, 28, 60, 91, 182, 365, 547, 730, 1095)])
def test_a_level_course_does_not_decline_by_float_noise(days) -> None:
    for value in (2000.0, 0.1, 1234.567):
        found = half_life(days, [value] * len(days), [False] * len(days), [np.nan] * len(days))
        assert (found.model, found.reason) == ("not estimable", "no decline after the peak")
        assert (np.isnan(found.days), found.high) == (True, np.inf)


def test_below_the_limit_without_a_limit_is_a_reason() -> None:
    found = half_life([7, 14, 28, 60, 90], [9, 5, 3, 2, np.nan], [False] * 4 + [True], [np.nan] * 5)
    assert found.reason == "a value below the limit without the limit"
