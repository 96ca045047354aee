"""Hodges-Lehmann and medians: against R, against all pairs, and against the naive bootstrap."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cytof.compare._exact import exact, smallest_p
from cytof.compare._location import hodges_lehmann, median_interval, walsh

R = json.loads(Path(__file__).with_name("expected.json").read_text("utf-8"))
MAY = [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37]
AUGUST = [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85]


def _sorted(values) -> np.ndarray:
    return np.sort(np.asarray(values, np.float32))


def test_shift_and_interval_against_r() -> None:
    """R solves for the level on a step function, so that its limits lie at most one order statistic from ours.

    > wilcox.test(may + (1:26) / 100, august + sqrt(1:26) / 37, exact = FALSE, correct = FALSE, conf.int = TRUE)
    """
    i = np.arange(1, 27)
    x, y = np.array(MAY) + i / 100, np.array(AUGUST) + np.sqrt(i) / 37
    shift, low, high = hodges_lehmann(_sorted(x), _sorted(y))
    assert shift == pytest.approx(R["wilcox_interval"]["estimate"], abs=1e-2)
    pairs = np.sort((x[:, None] - y).ravel())
    for own, judge in zip((low, high), R["wilcox_interval"]["ci"], strict=True):
        assert abs(np.searchsorted(pairs, own - 1e-4) - np.searchsorted(pairs, judge - 1e-4)) <= 1


def test_many_pairs_are_rounded_to_the_grid() -> None:
    rng = np.random.default_rng(9)
    x, y = _sorted(np.maximum(rng.normal(1, 1, 4000), 0)), _sorted(np.maximum(rng.normal(0.7, 1, 3000), 0))
    pairs = np.sort((x[:, None].astype(float) - y).ravel())
    k = int(np.floor(len(pairs) / 2 - stats.norm.ppf(0.975) * np.sqrt(len(pairs) / 12 * 7001)))
    found = hodges_lehmann(x, y)
    assert found == pytest.approx((np.median(pairs), pairs[k - 1], pairs[len(pairs) - k]), abs=1 / 4096)
    zeros = _sorted(np.maximum(rng.normal(-2, 1, 5000), 0))
    assert hodges_lehmann(zeros, zeros) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(8))
def test_shift_is_the_median_of_all_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = _sorted(np.maximum(rng.normal(0.4 * (seed % 3), 1, 31 + 50 * seed), 0 if seed % 2 else -9))
    y = _sorted(np.maximum(rng.normal(0, 1, 60), 0 if seed % 2 else -9))
    pairs = np.sort((x[:, None].astype(float) - y).ravel())
    shift, low, high = hodges_lehmann(x, y)
    assert shift == pytest.approx(np.median(pairs), abs=1e-12)
    half = stats.norm.ppf(0.975) * np.sqrt(len(pairs) / 12 * (len(x) + len(y) + 1))
    k = int(np.floor(len(pairs) / 2 - half))
    assert (low, high) == (pairs[k - 1], pairs[len(pairs) - k])


def test_intervals_agree_with_the_naive_bootstrap() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.5, 1, 150), rng.normal(0, 1, 180)
    shifts, medians = [], []
    for _ in range(2000):
        a, b = rng.choice(x, len(x)), rng.choice(y, len(y))
        shifts.append(hodges_lehmann(_sorted(a), _sorted(b))[0])
        medians.append(np.median(a))
    _, low, high = hodges_lehmann(_sorted(x), _sorted(y))
    assert np.quantile(shifts, [0.025, 0.975]) == pytest.approx([low, high], abs=0.1 * (high - low))
    low, high = median_interval(_sorted(x))
    assert np.quantile(medians, [0.025, 0.975]) == pytest.approx([low, high], abs=0.15 * (high - low))


def test_median_interval_covers() -> None:
    rng = np.random.default_rng(5)
    for n in (9, 60, 6000):
        hits = [low <= 0 <= high for low, high in (median_interval(np.sort(rng.normal(0, 1, n))) for _ in range(1500))]
        assert 0.94 <= np.mean(hits) <= 0.985, "discrete: at least 95 %"
    assert np.isnan(median_interval(np.arange(5.0))).all()
    assert median_interval(np.arange(6.0)) == (0, 5)


def test_small_groups() -> None:
    one, none = np.array([1.0], np.float32), np.array([], np.float32)
    assert np.isnan(hodges_lehmann(one, none)).all()
    assert hodges_lehmann(one, one)[0] == 0
    assert hodges_lehmann(_sorted([2, 2]), _sorted([2, 2, 2])) == (0, 0, 0)
    assert np.isnan(walsh(np.arange(5.0))[1])


def test_exact_tests_equal_scipy_and_r() -> None:
    """> wilcox.test(c(1.2, 0.4, -0.3, 2.2, 1.7, 0.9, 1.1))$p.value is 0.03125."""
    d = np.array([1.2, 0.4, -0.3, 2.2, 1.7, 0.9, 1.1])
    assert exact(d, ranks=True)[1] == R["signed_rank"] == 0.03125
    assert exact(d, ranks=False)[1] == stats.permutation_test((d,), np.mean, permutation_type="samples").pvalue
    rng = np.random.default_rng(1)
    x, y = rng.normal(1, 1, 6), rng.normal(0, 1, 7)
    judge = stats.mannwhitneyu(x, y, method="exact")
    assert exact(x, y, ranks=True) == pytest.approx((judge.statistic, judge.pvalue))
    judge = stats.permutation_test((x, y), lambda a, b: a.mean() - b.mean())
    assert exact(x, y, ranks=False)[1] == pytest.approx(judge.pvalue, abs=2.5e-3), "scipy doubles one side"
    assert exact(np.full(6, 1.0), ranks=False)[1] == smallest_p(6)


def test_ranks_of_many_patients_are_counted_not_drawn() -> None:
    """> wilcox.test(sin(1:20) + 0.4, exact = TRUE); of 10 and 9 patients wilcox.test(x, y, exact = TRUE)."""
    assert exact(np.sin(np.arange(1, 21)) + 0.4, ranks=True)[1] == pytest.approx(R["signed_rank_20"], rel=1e-9)
    x = np.array([2.1, 3.4, 2.8, 4.4, 3.0, 2.2, 3.9, 4.1, 2.4, 3.5])
    y = np.array([1.2, 2.3, 2.0, 3.1, 1.7, 2.6, 2.5, 1.9, 3.3])
    assert exact(x, y, ranks=True)[1] == pytest.approx(R["rank_sum"], rel=1e-9)
    for k in (15, 20, 40):
        assert exact(np.arange(1.0, k + 1), ranks=True)[1] == pytest.approx(smallest_p(k), rel=1e-9)
    assert exact(np.arange(20.0, 40), np.arange(20.0), ranks=True)[1] == pytest.approx(smallest_p(20, 20), rel=1e-9)
    tied = np.repeat([1.0, 2.0, -1.0, 3.0], [6, 3, 2, 5])  # ties: against all 2^16 signs
    size = stats.rankdata(np.abs(tied))
    sums = ((np.arange(2**16)[:, None] >> np.arange(16)) & 1) @ size
    far = np.abs(sums - size.sum() / 2) >= abs(size[tied > 0].sum() - size.sum() / 2)
    assert exact(tied, ranks=True)[1] == pytest.approx(far.mean(), rel=1e-9)


def test_drawn_permutations_say_the_p_they_can_reach() -> None:
    assert smallest_p(20, ranks=False) == smallest_p(10, 10, ranks=False) == 1e-4
    assert smallest_p(8, 8, ranks=False) == 2 / 12870
    assert exact(np.full(20, 1.0) + np.arange(20) / 99, ranks=False)[1] == 1e-4
    rng = np.random.default_rng(2)
    for x, y in ((rng.normal(0.5, 1, 20), None), (rng.normal(0.7, 1, 15), rng.normal(0, 1, 15))):
        judge = stats.ttest_1samp(x, 0) if y is None else stats.ttest_ind(x, y)
        assert exact(x, y, ranks=False, seed=3)[1] == pytest.approx(judge.pvalue, abs=0.02)


def test_order_does_not_matter() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.normal(0.4, 1, 31), rng.normal(0, 1, 24)
    assert hodges_lehmann(x, y) == hodges_lehmann(_sorted(x), _sorted(y))
    assert median_interval(x) == median_interval(np.sort(x))
