"""Models against R: lme4 (nAGQ = 25), VGAM, limma, lmerTest; the script is expected.R, its numbers expected.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cytof.compare._beta_binomial import beta_binomial, draw_beta_binomial
from cytof.compare._mixed import mixed
from cytof.compare._moderated import moderate, squeeze
from cytof.compare._random_intercept import draw_random_intercept, random_intercept

R = json.loads(Path(__file__).with_name("expected.json").read_text("utf-8"))
N = np.array([31, 120, 14, 77, 205, 9, 52, 60, 18, 140, 22, 61, 15, 30, 99, 8, 20, 41, 4, 71])
OF = np.array([1000, 2100, 800, 1500, 3000, 700, 900, 1300, 1100, 2500,
               1200, 1900, 950, 1400, 2800, 650, 1000, 1250, 990, 2300])  # fmt: skip
PATIENT = np.tile(np.arange(10), 2)
X = np.stack([np.ones(20), np.repeat([0.0, 1.0], 10)], axis=1)


def test_random_intercept_equals_lme4() -> None:
    """> glmer(cbind(n, of - n) ~ late + (1 | patient), family = binomial, nAGQ = 25)"""
    fit, null = random_intercept(N, OF, X, PATIENT), random_intercept(N, OF, X[:, :1], PATIENT)
    assert fit.estimate == pytest.approx(R["glmer"]["estimate"], abs=1e-3)
    assert fit.error == pytest.approx(R["glmer"]["se"], abs=1e-3)
    assert fit.spread == pytest.approx(R["glmer"]["sd"], abs=1e-3)
    assert 2 * (fit.log_likelihood - null.log_likelihood) == pytest.approx(R["glmer"]["lrt"], abs=1e-3)


def test_beta_binomial_equals_vgam() -> None:
    """> vglm(cbind(n, of - n) ~ late, betabinomial(lrho = "logitlink"))"""
    fit, null = beta_binomial(N, OF, X), beta_binomial(N, OF, X[:, :1])
    assert fit.estimate == pytest.approx(R["vglm"]["estimate"], abs=1e-3)
    assert np.log(fit.spread / (1 - fit.spread)) == pytest.approx(R["vglm"]["logit_rho"], abs=1e-3)
    assert 2 * (fit.log_likelihood - null.log_likelihood) == pytest.approx(R["vglm"]["lrt"], abs=1e-3)
    assert fit.error == pytest.approx(R["vglm"]["se"], abs=1e-3)


def table_of_r() -> np.ndarray:
    i, j = np.arange(1, 13)[:, None], np.arange(1, 9)[None, :]
    return np.sin(3.1 * i * j) * (0.4 + 0.15 * i) + 0.12 * i * (j > 4)


def test_moderated_t_equals_limma() -> None:
    """> eBayes(lmFit(y, model.matrix(~ group))) and of the four differences: eBayes(lmFit(pairs))"""
    y = table_of_r()
    a, b = y[:, 4:], y[:, :4]
    s2 = (a.var(axis=1, ddof=1) + b.var(axis=1, ddof=1)) / 2
    found = moderate(a.mean(axis=1) - b.mean(axis=1), s2, np.full(12, 0.5), np.full(12, 6))
    assert found["statistic"] == pytest.approx(R["limma_two"]["t"], abs=1e-6)
    assert found["p"] == pytest.approx(R["limma_two"]["p"], abs=1e-6)
    prior = squeeze(s2, np.full(12, 6))
    assert (prior.df, prior.s2) == pytest.approx((R["limma_two"]["df_prior"], R["limma_two"]["s2_prior"]), rel=1e-6)
    d = a - b
    found = moderate(d.mean(axis=1), d.var(axis=1, ddof=1), np.full(12, 0.25), np.full(12, 3))
    assert found["statistic"] == pytest.approx(R["limma_paired"]["t"], abs=1e-6)
    assert found["p"] == pytest.approx(R["limma_paired"]["p"], abs=1e-6)


def test_mixed_equals_lmertest() -> None:
    """> summary(lmerTest::lmer(value ~ visit + (1 | who))); two patients miss the third visit."""
    y = [2.1, 3.3, 1.2, 2.8, 4.0, 2.2, 3.1, 1.9, 2.6, 3.2, 1.9, 3.3, 4.4, 2.1, 3.9, 2.0, 2.9, 3.9, 1.8, 3.0, 5.1, 2.9]
    who = np.concatenate([np.arange(8), np.arange(8), np.arange(6)])
    visit = np.repeat([0, 1, 2], [8, 8, 6])
    fit = mixed(np.array(y), np.stack([np.ones(22), visit == 1, visit == 2], axis=1).astype(float), who)
    assert fit.estimate == pytest.approx(R["lmer"]["estimate"], abs=1e-3)
    assert fit.error == pytest.approx(R["lmer"]["se"], abs=1e-3)
    assert fit.df == pytest.approx(R["lmer"]["df"], abs=1e-3)
    assert fit.p == pytest.approx(R["lmer"]["p"], abs=1e-3)


@pytest.mark.parametrize("key", ["lmer_two", "lmer_singular"])
def test_mixed_equals_lmertest_with_missing_visits_and_without_variation(key: str) -> None:
    """> summary(lmerTest::lmer(tube ~ late + (1 | who))); patient 1 twice early, 7 not late; then a singular fit."""
    two = [1.31, 1.52, 0.88, 2.05, 1.12, 1.64, 0.71, 1.93, 1.95, 1.21, 2.31, 1.90, 1.83, 1.16]
    flat = [1.0, 1.4, 0.7, 1.2, 0.9, 1.1, 1.6, 1.1, 1.9, 1.3, 1.5, 1.2]
    y, who, late = {
        "lmer_two": (two, [1, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6], [0.0] * 8 + [1.0] * 6),
        "lmer_singular": (flat, [1, 2, 3, 4, 5, 6] * 2, [0.0] * 6 + [1.0] * 6),
    }[key]
    fit = mixed(np.array(y), np.stack([np.ones(len(y)), late], axis=1), np.array(who))
    for name, found in (("estimate", fit.estimate), ("se", fit.error), ("t", fit.statistic), ("p", fit.p)):
        assert found == pytest.approx(R[key][name], abs=1e-3), name
    assert fit.df == pytest.approx(R[key]["df"], rel=1e-3)


def test_beta_binomial_equals_vgam_where_tubes_vary_much() -> None:
    """> vglm(cbind(n2, of2 - n2) ~ late2 + age2, betabinomial(lrho = "logitlink"))"""
    n = np.array([3, 14, 0, 9, 22, 5, 17, 1, 12, 25, 8, 19])
    of = np.array([40, 55, 12, 31, 60, 44, 38, 21, 30, 52, 18, 47])
    age = np.tile([-1.5, -0.4, 0.2, 0.7, 1.1, 1.6], 2)
    fit = beta_binomial(n, of, np.stack([np.ones(12), np.repeat([0.0, 1.0], 6), age], axis=1))
    assert fit.estimate == pytest.approx(R["vglm_wide"]["estimate"], abs=1e-3)
    assert fit.error == pytest.approx(R["vglm_wide"]["se"], abs=1e-3)
    assert np.log(fit.spread / (1 - fit.spread)) == pytest.approx(R["vglm_wide"]["logit_rho"], abs=1e-3)


@pytest.mark.parametrize("fit", [beta_binomial, random_intercept])
def test_fits_are_where_a_plain_search_finds_the_maximum(fit) -> None:
    """Against a search without derivatives of the same likelihood, written out in scipy."""
    from scipy.optimize import minimize
    from scipy.special import expit
    from scipy.stats import betabinom, norm

    rng = np.random.default_rng(11)
    who = np.repeat(np.arange(12), 2)
    of = rng.integers(60, 900, 24)
    design = np.stack([np.ones(24), np.tile([0.0, 1.0], 12)], axis=1)
    n = rng.binomial(of, expit(design @ [-2.0, 0.4] + rng.normal(0, 0.5, 12)[who]))
    u = np.linspace(-8, 8, 2001)
    w = norm.pdf(u)

    def naive(at: np.ndarray) -> float:
        eta = design @ at[:2]
        if fit is beta_binomial:
            size = np.exp(-at[2])
            return -betabinom.logpmf(n, of, expit(eta) * size, expit(-eta) * size).sum()
        p = expit(eta[:, None] + at[2] * u)
        each = n[:, None] * np.log(p) + (of - n)[:, None] * np.log1p(-p)
        return -np.log(np.exp(np.add.reduceat(each, np.arange(0, 24, 2)) + 5e2) @ (w / w.sum())).sum()

    found = fit(n, of, design) if fit is beta_binomial else fit(n, of, design, who)
    start = [-2.0, 0.4, -3.0 if fit is beta_binomial else 0.5]
    judge = minimize(naive, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000})
    spread = np.log(found.spread / (1 - found.spread)) if fit is beta_binomial else found.spread
    assert np.append(found.estimate, spread) == pytest.approx(judge.x, abs=2e-5)


def test_digamma_and_trigamma_are_scipys() -> None:
    from scipy import special

    from cytof.compare._polygamma import digamma, trigamma

    x = np.geomspace(1e-6, 1e8, 400)
    assert [digamma(v) for v in x] == pytest.approx(special.digamma(x), rel=1e-12, abs=1e-12)
    assert [trigamma(v) for v in x] == pytest.approx(special.polygamma(1, x), rel=1e-12)


def test_planted_spread_is_found_again() -> None:
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(150), 2)
    design = np.stack([np.ones(300), np.tile([0.0, 1.0], 150)], axis=1)
    of = np.full(300, 800)
    truth = random_intercept(N, OF, X, PATIENT)
    fit = random_intercept(draw_random_intercept(truth, design, of, who, rng), of, design, who)
    assert fit.spread == pytest.approx(truth.spread, abs=0.1)
    assert np.abs((fit.estimate - truth.estimate)[1] / fit.error[1]) < 3
    truth = beta_binomial(N, OF, X)
    fit = beta_binomial(draw_beta_binomial(truth, design, of, rng), of, design)
    assert fit.spread == pytest.approx(truth.spread, rel=0.3)
    assert np.abs((fit.estimate - truth.estimate) / fit.error).max() < 3


def test_no_variation_between_tubes_is_the_binomial_model() -> None:
    n, of = np.array([10, 20, 30, 40]), np.array([100, 200, 300, 400])
    for fit in (beta_binomial(n, of, np.ones((4, 1))), random_intercept(n, of, np.ones((4, 1)), np.arange(4))):
        assert fit.estimate[0] == pytest.approx(np.log(1 / 9), abs=1e-4)
        assert fit.error[0] == pytest.approx(1 / np.sqrt(1000 * 0.09), rel=1e-3)
        assert fit.spread < 1e-3
