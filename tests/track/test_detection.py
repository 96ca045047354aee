"""The limit of blank against its definition and against simulated blanks, and the call."""

from __future__ import annotations

from collections.abc import Callable

import anndata
import numpy as np
import pytest
from scipy import stats

from cytof import track
from cytof.errors import UsageError


@pytest.mark.parametrize(
    ("above", "blank", "risk"), [(0, 1000, 1000), (3, 5000, 800), (40, 20_000, 90_000), (5, 10, 20)]
)
def test_limit_of_blank_is_the_exact_conditional_test(above: int, blank: int, risk: int) -> None:
    """Naive: the largest x whose one-sided binomial test of x in x + b at N / (N + m) is above 5 %."""
    share = risk / (risk + blank)
    naive = next(x for x in range(10_000) if stats.binom.sf(x, x + 1 + above, share) <= 0.05)
    assert track.limit_of_blank(above, blank, risk) == naive


@pytest.mark.parametrize(("above", "blank", "risk"), [(0, 1000, 1000), (3, 5000, 800), (40, 20_000, 90_000),
                                                      (60, 20_000, 30_000), (0, 700, 50_000)])  # fmt: skip
def test_limit_of_detection_is_seen_at_the_rates_that_the_blanks_leave_likely(
    above: int, blank: int, risk: int
) -> None:
    """Naive: 8,000 rates of Gamma(b + 1, m), blanks and cells anew: 95 % (+- 3 SE and half a point) exceed the LoB."""
    limit = track.limit_of_detection(above, blank, risk)
    rng = np.random.default_rng(7)
    rates = rng.gamma(above + 1, 1 / blank, 8000)
    n, b = rng.poisson(limit + rates * risk), rng.poisson(rates * blank)
    lob = {k: track.limit_of_blank(int(k), blank, risk) for k in np.unique(b)}
    seen = np.mean(n > np.array([lob[k] for k in b]))
    assert seen == pytest.approx(0.95, abs=0.005 + 3 * np.sqrt(0.05 * 0.95 / 8000))


def test_power_is_the_sum_over_all_blanks() -> None:
    """Naive: every blank count with its chance, and the Poisson tail beyond its limit of blank."""
    rate, blank, risk, true = 3e-4, 20_000, 9_000, 12.0
    naive = sum(
        stats.poisson.pmf(b, rate * blank) * stats.poisson.sf(track.limit_of_blank(b, blank, risk), true + rate * risk)
        for b in range(60)
    )
    assert track.detection_power(true, rate, blank, risk) == pytest.approx(naive, abs=1e-9)
    many = track.detection_power(200, 0.02, 20_000, 30_000)
    rng = np.random.default_rng(1)
    n, b = rng.poisson(200 + 0.02 * 30_000, 4000), rng.poisson(400, 4000)
    seen = np.mean([x > track.limit_of_blank(int(k), 20_000, 30_000) for x, k in zip(n, b, strict=True)])
    assert many == pytest.approx(seen, abs=0.03)


def test_limit_of_quantification_is_where_the_estimate_varies_by_a_fifth() -> None:
    """Simulated: the estimate n - N b / m of that many true cells has a coefficient of variation of 20 %."""
    rng = np.random.default_rng(2)
    for rate, blank, risk in ((0.0, 1000, 1000), (2e-3, 5000, 20_000)):
        x = track.limit_of_quantification(round(rate * blank), blank, risk)
        found = rng.poisson(x + rate * risk, 20_000) - risk * rng.poisson(rate * blank, 20_000) / blank
        assert found.std() / x == pytest.approx(0.2, rel=0.03)


def test_events_needed() -> None:
    """30 cells in 1.5 million for 2 in 100,000, in 300,000 for 1 in 10,000; r = (100 / CV)^2 cells of interest."""
    assert track.events_needed(2e-5, n_cells=30) == 1_500_000
    assert track.events_needed(1e-4, n_cells=30) == 300_000
    assert track.events_needed(0.01, 0.1) == 9900
    with pytest.raises(UsageError, match="events_needed: both `cv` and `n_cells` are given"):
        track.events_needed(0.01, 0.1, n_cells=30)
    with pytest.raises(UsageError, match="fraction is 0, expected"):
        track.events_needed(0.0)


def test_false_detections_stay_below_five_percent() -> None:
    """4,000 tubes without a CAR T cell, one false rate in blanks and cells at risk: at most 5 % (+ 3 SE) are called."""
    rng = np.random.default_rng(5)
    for rate, blank, risk in ((2e-4, 10_000, 30_000), (5e-3, 2_000, 5_000)):
        b, n = rng.poisson(rate * blank, 4000), rng.poisson(rate * risk, 4000)
        limits = {k: track.limit_of_blank(int(k), blank, risk) for k in np.unique(b)}
        false = np.mean(n > np.array([limits[k] for k in b]))
        assert false <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


@pytest.mark.parametrize(("rate", "blank", "risk"), [(2e-4, 10_000, 10_000), (3e-4, 700, 50_000), (1e-3, 300, 20_000)])
def test_population_at_the_limit_of_detection_is_seen(rate: float, blank: int, risk: int) -> None:
    """At the limit that the likeliest blanks give, 93 % or more are detected; with few blanks too."""
    rng = np.random.default_rng(6)
    limit = track.limit_of_detection(int(rate * blank), blank, risk)
    n, b = rng.poisson(limit + rate * risk, 4000), rng.poisson(rate * blank, 4000)
    seen = [x > track.limit_of_blank(int(k), blank, risk) for x, k in zip(n, b, strict=True)]
    assert np.mean(seen) >= 0.93


def test_calls(small_study: Callable[..., anndata.AnnData]) -> None:
    """CAR+ of 1,000 CD3+ cells, 2 of 10,000 blanks above: 0.2 false cells are expected."""
    study = small_study()
    table = track.abundance(study)
    assert table["false_expected"].tolist() == pytest.approx([0.2] * 4)
    assert set(table["call"]) == {"detected"}
    assert set(track.abundance(study, population="CAR+/DN", of="CAR+")["call"]) == {""}
    counts = study.uns["cytof"]["counts"]
    car = counts["gate"].str.endswith("CAR+")
    counts.loc[car, "n"] = [1, 0, 2, 60]
    table = track.abundance(study)
    assert table["call"].tolist() == ["not detected"] * 2 + ["below LOQ", "detected"]
    assert table["lob"].tolist() == [1.0] * 4
    assert table["loq"].tolist() == pytest.approx([25.2] * 4, abs=0.05)
    assert (table["lod"] < table["loq"]).all()
    counts.loc[counts["gate"].str.endswith("CD3+"), "n"] = [1000, 100, 0, 1000]
    calls = track.abundance(study)["call"].tolist()
    assert calls == ["not detected", "not evaluable", "not evaluable", "detected"]
    study.uns["cytof"]["blanks"] = study.uns["cytof"]["blanks"].query("sample_id != '5yr'")
    assert track.abundance(study)["call"].tolist()[3] == "not evaluable"


def test_dirty_blanks_raise_the_limit(small_study: Callable[..., anndata.AnnData]) -> None:
    """5,000 of 10,000 blanks above the threshold: 400 of 1,000 cells say nothing, nor could 1 % more."""
    table = track.abundance(small_study(blank_above=5000))
    assert set(table["call"]) == {"not evaluable"}
