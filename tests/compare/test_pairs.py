"""Two groups of values: against R's printed output, scipy, naive loops and the naive bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cytof import compare
from cytof.errors import UsageError

MAY = [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37]
AUGUST = [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85]
SLEEP_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_rank_sum_against_r_output() -> None:
    """Ties in both groups.

    > wilcox.test(Ozone ~ Month, data = airquality, subset = Month %in% c(5, 8), exact = FALSE)
            Wilcoxon rank sum test with continuity correction
    W = 127.5, p-value = 0.0001208
    """
    w, p = compare.rank_sum(np.array(MAY, float), np.array(AUGUST, float))
    assert w == 127.5
    assert f"{p:.4g}" == "0.0001208"


def test_welch_against_r_output() -> None:
    """The student's sleep data.

    > t.test(extra ~ group, data = sleep)
    t = -1.8608, df = 17.776, p-value = 0.07939
    95 percent confidence interval: -3.3654832  0.2054832
    """
    estimate, low, high, t, p = compare.welch(np.array(SLEEP_1), np.array(SLEEP_2))
    assert (round(t, 4), round(p, 5)) == (-1.8608, 0.07939)
    assert (low, high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)
    assert estimate == pytest.approx(-1.58)


@pytest.mark.parametrize("seed", range(6))
def test_rank_sum_equals_scipy_on_zero_inflated_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.normal(0.2, 1, 40 + 60 * seed), 0).astype(np.float32)
    y = np.maximum(rng.normal(-0.1, 1, 90), 0).astype(np.float32)
    judge = stats.mannwhitneyu(x.astype(float), y.astype(float), method="asymptotic", use_continuity=True)
    assert compare.rank_sum(x, y) == pytest.approx((judge.statistic, judge.pvalue), rel=1e-10)
    judge = stats.ttest_ind(x.astype(float), y.astype(float), equal_var=False)
    assert compare.welch(x, y)[3:] == pytest.approx((judge.statistic, judge.pvalue), rel=1e-10)


def test_rank_sum_of_whole_numbers_with_a_negative_zero_and_a_tie_at_the_middle() -> None:
    x, y = np.array([-0.0, 1, 2]), np.array([0.0, 1, 2])
    assert compare.rank_sum(x, y) == (4.5, 1.0)


def test_delong_equals_the_naive_placements() -> None:
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(0.5, 1, 37), 1)
    y = np.round(rng.normal(0, 1, 52), 1)
    psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    variance = psi.mean(axis=1).var(ddof=1) / len(x) + psi.mean(axis=0).var(ddof=1) / len(y)
    half = stats.norm.ppf(0.975) * np.sqrt(variance)
    found = compare.delong(x, y)
    assert found == pytest.approx((psi.mean(), psi.mean() - half, psi.mean() + half), rel=1e-9)


def test_intervals_agree_with_the_naive_bootstrap() -> None:
    """4,000 resamples of each group: limits within a tenth of the interval's width."""
    rng = np.random.default_rng(11)
    x, y = np.maximum(rng.normal(0.6, 1, 150), 0), np.maximum(rng.normal(0, 1, 200), 0)
    means, areas = [], []
    for _ in range(4000):
        a, b = rng.choice(x, len(x)), rng.choice(y, len(y))
        means.append(a.mean() - b.mean())
        areas.append(compare.rank_sum(a, b)[0] / (len(a) * len(b)))
    for draws, (low, high) in ((means, compare.welch(x, y)[1:3]), (areas, compare.delong(x, y)[1:])):
        assert np.quantile(draws, [0.025, 0.975]) == pytest.approx([low, high], abs=0.1 * (high - low))


def test_permutation_agrees_with_scipy_and_ignores_order() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(0.5, 1, 12), rng.normal(0, 1, 15)
    difference, p = compare.permutation(x, y, n=4999, random_state=7)
    judge = stats.permutation_test(
        (x, y), lambda a, b: a.mean() - b.mean(), n_resamples=4999, rng=np.random.default_rng(0)
    )
    assert difference == pytest.approx(judge.statistic)
    assert p == pytest.approx(judge.pvalue, abs=0.02)
    assert compare.permutation(rng.permutation(x), y[::-1], n=99) == compare.permutation(x, y, n=99)
    assert compare.permutation(x + 100, y, n=99)[1] == 0.01


def test_what_cannot_be_tested_is_nan() -> None:
    one, same, none = np.array([1.0]), np.array([2.0, 2.0]), np.array([])
    assert np.isnan(compare.rank_sum(same, same)[1])
    assert np.isnan(compare.rank_sum(none, same)).all()
    assert np.isnan(compare.welch(same, same)[1:]).all()
    assert compare.welch(one, same)[0] == -1
    assert np.isnan(compare.welch(one, same)[1:]).all()
    assert compare.delong(one, same)[0] == 0
    assert np.isnan(compare.delong(none, same)).all()
    assert np.isnan(compare.permutation(same, same)[1])


def test_adjust_equals_scipy_and_the_definition() -> None:
    """> p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "BH") is 0.05 five times."""
    assert compare.adjust([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05] * 5)
    p = np.random.default_rng(1).beta(0.4, 1, 60).round(2)
    q = compare.adjust(p)
    assert q == pytest.approx(stats.false_discovery_control(p, method="bh"))
    naive = [min(min(1, len(p) * b / np.sum(p <= b)) for b in p if b >= a) for a in p]
    assert q == pytest.approx(naive)
    assert np.isnan(compare.adjust([np.nan, 0.2])[0])
    assert compare.adjust([np.nan, 0.2])[1] == 0.2
    assert compare.adjust([]).shape == (0,)
    with pytest.raises(UsageError, match=r"p is 1\.2, expected 0 to 1"):
        compare.adjust([0.1, 1.2])
