"""Densities of counts: planted valleys found again, false ones refused, scipy and numpy asked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde, norm

from cytof import density
from cytof.density import GRID


def arcsinh(counts: np.ndarray) -> np.ndarray:
    return np.arcsinh(counts / 5.0)


def negative(rng: np.random.Generator, n: int) -> np.ndarray:
    """Integer counts of an unstained population: two thirds zeros, a tail to 15 counts."""
    return rng.negative_binomial(0.6, 0.25, n).astype(float)


def positive(rng: np.random.Generator, n: int, counts: float = 150, cv: float = 0.4) -> np.ndarray:
    return np.rint(rng.lognormal(np.log(counts), cv, n))


def test_integers_near_zero_show_false_valleys_only_at_a_narrow_bandwidth() -> None:
    y = arcsinh(negative(np.random.default_rng(0), 20_000))
    naive = gaussian_kde(y, bw_method=0.03 / y.std())(GRID[(GRID > 0) & (GRID < 2)])
    minima = (naive[1:-1] < naive[:-2]) & (naive[1:-1] < naive[2:])
    assert minima.sum() >= 4, "the naive density has to show the artefact this test is about"
    ours = density.smooth(density.histogram(y))[(GRID > 0.2) & (GRID < 2)]
    assert ((ours[1:-1] < ours[:-2]) & (ours[1:-1] < ours[2:])).sum() == 0
    assert density.valley(density.histogram(y), min_counts=0) is None


def test_bandwidth_is_never_below_the_spacing_of_integers() -> None:
    counts = density.histogram(arcsinh(positive(np.random.default_rng(0), 50_000)))
    wide = density.bandwidth(counts)
    for k in range(20):
        middle = arcsinh(np.array([k + 0.5]))[0]
        spacing = arcsinh(np.array([k + 1.0]))[0] - arcsinh(np.array([float(k)]))[0]
        assert wide[np.searchsorted(GRID, middle)] >= 0.97 * spacing


def test_area_is_the_number_of_events_and_zeros_count() -> None:
    y = arcsinh(negative(np.random.default_rng(1), 4_000))
    counts = density.histogram(y)
    assert counts[0] == (y <= 0).sum() > 1_000
    assert density.smooth(counts).sum() * density.STEP == pytest.approx(4_000)


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.003])
def test_valley_parts_two_populations_and_agrees_with_scipy(share: float) -> None:
    rng = np.random.default_rng(2)
    n = int(share * 40_000)
    y = np.r_[arcsinh(negative(rng, 40_000 - n)), arcsinh(positive(rng, n))]
    found = density.valley(density.histogram(y))
    assert found is not None
    assert found.depth > 0.9
    assert found.low <= found.value <= found.high
    assert (y[-n:] > found.value).mean() > 0.97
    assert (y[:-n] > found.value).mean() < 1e-3
    if share >= 0.1:  # the stranger needs one bandwidth for all: fair where the positives are many
        grid = np.linspace(1, 4.5, 300)
        theirs = grid[gaussian_kde(y, bw_method=0.2 / y.std())(grid).argmin()]
        assert found.low - 0.35 < theirs < found.high + 0.35


def test_zeros_are_mass_left_of_a_valley() -> None:
    """A channel with nothing but zeros and positives has no negative mode to see, and still parts."""
    y = np.r_[np.zeros(9_000), arcsinh(positive(np.random.default_rng(3), 1_000))]
    found = density.valley(density.histogram(y))
    assert found is not None
    assert 0.4 < found.value < 3.4


def test_a_dim_hump_over_zeros_is_no_population() -> None:
    rng = np.random.default_rng(4)
    y = arcsinh(np.r_[np.zeros(5_000), rng.poisson(3, 5_000)])
    assert density.valley(density.histogram(y), min_counts=2) is None


def test_few_bright_events_make_no_valley() -> None:
    rng = np.random.default_rng(5)
    y = np.r_[arcsinh(negative(rng, 30_000)), arcsinh(np.array([90.0, 100.0, 300.0, 310.0]))]
    assert density.valley(density.histogram(y)) is None


def test_bounds_hold() -> None:
    rng = np.random.default_rng(6)
    y = np.r_[rng.normal(1, 0.3, 5_000), rng.normal(3, 0.3, 5_000), rng.normal(6, 0.3, 5_000)]
    counts = density.histogram(y)
    low = density.valley(counts, bounds=(0.5, 3))
    high = density.valley(counts, bounds=(3, 8))
    assert low is not None
    assert high is not None
    assert 1.6 < low.value < 2.4
    assert 4.0 < high.value < 5.0
    assert density.valley(counts, bounds=(2.9, 3.1)) is None


def test_interval_narrows_with_more_events_and_holds_the_place() -> None:
    """Two normals of equal weight and width: the true valley is half way, at 2.75."""
    widths = []
    for n in (400, 40_000):
        hits = 0
        for seed in range(10):
            rng = np.random.default_rng(seed)
            y = np.r_[rng.normal(1.5, 0.5, n), rng.normal(4.0, 0.5, n)]
            found = density.valley(density.histogram(y), random_state=seed)
            assert found is not None
            hits += found.low - 0.02 <= 2.75 <= found.high + 0.02
            widths.append((n, found.high - found.low))
        assert hits >= 8
    mean = {n: np.mean([w for m, w in widths if m == n]) for n in (400, 40_000)}
    assert mean[40_000] < 0.5 * mean[400]


def test_same_seed_same_valley_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(7)
    y = arcsinh(np.r_[negative(rng, 3_000), positive(rng, 500)])
    assert density.valley(density.histogram(y)) == density.valley(density.histogram(rng.permutation(y)))
    parts = [density.histogram(p) for p in np.array_split(y, 7)]
    assert np.array_equal(np.sum(parts, axis=0), density.histogram(y))


def test_dither_moves_the_threshold_by_less_than_a_tenth() -> None:
    rng = np.random.default_rng(8)
    counts = np.r_[negative(rng, 30_000), positive(rng, 3_000)]
    forms = {
        "integer": counts,
        "uniform": np.where(counts > 0, counts - rng.random(len(counts)), 0),
        "gaussian": counts + rng.normal(0, 0.3, len(counts)),
    }
    places = {}
    for name, form in forms.items():
        found = density.valley(density.histogram(arcsinh(form)))
        assert found is not None
        places[name] = found.value
    assert max(places.values()) - min(places.values()) <= 0.1, places


def test_emptiest_place_stays_between_the_bounds() -> None:
    only_positive = density.histogram(np.random.default_rng(9).normal(4.5, 0.3, 2_000))
    assert 1 <= density.emptiest(only_positive, (1, 3)) < 2.6
    assert density.emptiest(density.histogram(np.empty(0)), (1, 3)) == pytest.approx(2, abs=0.02)


@pytest.mark.parametrize("side", ["left", "right"])
def test_tail_ends_where_the_normal_density_is_one_per_cent(side: str) -> None:
    y = np.random.default_rng(10).normal(5, 0.5, 200_000)
    away = np.sqrt(-2 * np.log(0.01)) * 0.5
    expected = 5 + away if side == "right" else 5 - away
    assert density.tail(density.histogram(y), side=side) == pytest.approx(expected, abs=0.15)


def test_quantiles_are_numpys_to_a_bin() -> None:
    y = arcsinh(np.random.default_rng(11).lognormal(3, 1, 10_000))
    counts = density.histogram(y)
    for q in (0.01, 0.25, 0.5, 0.9, 0.999):
        assert density.quantile(counts, q) == pytest.approx(np.quantile(y, q), abs=0.021)
    assert np.isnan(density.quantile(density.histogram(np.empty(0)), 0.5))


def test_spread_of_mode_ignores_what_lies_beside_the_peak() -> None:
    rng = np.random.default_rng(12)
    y = np.r_[rng.normal(7, 0.2, 50_000), rng.normal(7.7, 0.2, 5_000), rng.normal(3, 1, 20_000)]
    d = density.smooth(density.histogram(y))
    peak = int(np.where(GRID > 6, d, 0).argmax())
    # the kernel widens the peak: sd^2 = 0.2^2 + bandwidth^2
    expected = np.hypot(0.2, density.bandwidth(density.histogram(y))[peak])
    assert density.spread_of_mode(d, peak, -1) == pytest.approx(expected, abs=0.03)


def test_ellipse_is_that_of_the_main_cloud() -> None:
    rng = np.random.default_rng(13)
    truth = np.array([[1.0, 0.6], [0.6, 0.8]])
    cloud = rng.multivariate_normal([3, 4], truth, 8_000)
    mean, covariance = density.ellipse(np.r_[cloud, rng.normal([12, -5], 0.5, (1_000, 2))])
    assert mean == pytest.approx([3, 4], abs=0.1)
    assert covariance == pytest.approx(truth, rel=0.12)
    plain = np.cov(np.r_[cloud, rng.normal([12, -5], 0.5, (1_000, 2))].T)
    assert abs(plain[0, 1] - 0.6) > 1, "the plain covariance must be spoilt, or this tests nothing"


def test_score_prefers_the_valley_between_large_populations() -> None:
    """A clean notch beside 60 bright events loses to the shallower valley between two halves."""
    rng = np.random.default_rng(14)
    y = np.r_[rng.normal(1.2, 0.45, 6_000), rng.normal(3.2, 0.45, 6_000), norm.rvs(7, 0.1, 60, random_state=1)]
    found = density.valley(density.histogram(y), bounds=(0.5, 8))
    assert found is not None
    assert 1.8 < found.value < 2.6
