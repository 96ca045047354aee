"""Rejection rates at 5 % where nothing is to be found: 5,000 cohorts of 74 patients, groups 37:37 and 12:62.

    python benchmarks/calibration_clinical.py [--cohorts 5000] [--permutations 499]

Times are exponential with a median of 18 months, censored evenly over 5 to 80 months, in whole days (ties); a third of
the events are of the competing kind; groups and covariates are dealt at random.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from scipy import stats

from cytof import clinical
from cytof.clinical._cox_core import hazard_terms, risk_sets
from cytof.clinical._cutpoint import _statistics, best_cut, lausen_92, lausen_94, rank_scores
from cytof.clinical._gray import gray
from cytof.clinical._log_rank import log_rank_scores, observed_expected


def cohort(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return time (months of whole days), event, and cause 0 censored, 1, 2."""
    event_at, censored_at = rng.exponential(18 / np.log(2), n), rng.uniform(5, 80, n)
    time_ = np.ceil(np.minimum(event_at, censored_at) * 30.4375) / 30.4375
    event = event_at <= censored_at
    return time_, event, np.where(event, 1 + (rng.random(n) < 1 / 3), 0)


def p_values(rng: np.random.Generator, sizes: tuple[int, int], permutations: int) -> dict[str, float]:
    n = sum(sizes)
    t, d, cause = cohort(rng, n)
    group = np.repeat([0, 1], sizes)
    o, e, v = observed_expected(t, d, group, 2)
    found = {"log-rank, chi-squared": stats.chi2.sf((o[0] - e[0]) ** 2 / v[0, 0], 1)}
    scores = log_rank_scores(t, d)
    deals = rng.permuted(np.tile(group == 0, (permutations, 1)), axis=1)
    own, others = abs(scores[group == 0].sum()), np.abs(deals @ scores)
    found["log-rank, permutation"] = ((others >= own - 1e-9).sum() + 1) / (permutations + 1)
    x, risk = group[:, None].astype(float), risk_sets(t, d, np.full(n, -np.inf), np.zeros(n))
    _, residual, info, _ = hazard_terms(x, risk, np.zeros(1))
    found["Cox, score"] = stats.chi2.sf(residual.sum() ** 2 / info.sum(), 1)
    found["Gray"] = stats.chi2.sf(gray(t, cause, group, 1, 2)[0], 1)
    value = rng.normal(size=n)
    found["rank-sum"] = clinical.rank_sum(value[group == 0], value[group == 1]).p
    level = rng.integers(0, 3, n)
    counts = np.stack([np.bincount(level[group == g], minlength=3) for g in (0, 1)], axis=1)
    found["Fisher-Freeman-Halton"] = clinical.categorical_test(counts, "fisher").p
    cut_scores = rank_scores(t, d)
    _, m, cut_sizes = best_cut(value, cut_scores, (0.1, 0.9))
    found["cutpoint, naive"] = stats.chi2.sf(m**2, 1)
    found["cutpoint, Lausen 1992"] = lausen_92(m, 0.1, 0.9)
    found["cutpoint, Lausen 1994"] = min(lausen_94(m, n, cut_sizes), 1)
    dealt = rng.permuted(np.tile(cut_scores, (permutations // 2, 1)), axis=1)
    hits = (_statistics(dealt, cut_sizes).max(1) >= m * (1 - 1e-12)).sum()
    found["cutpoint, permutation"] = (hits + 1) / (permutations // 2 + 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=5000)
    parser.add_argument("--permutations", type=int, default=499)
    parser.add_argument("--groups", default="37:37,12:62")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    columns = {}
    for split in options.groups.split(","):
        sizes = tuple(int(v) for v in split.split(":"))
        start, rng = time.process_time(), np.random.default_rng([options.seed, *sizes])
        p = pd.DataFrame([p_values(rng, sizes, options.permutations) for _ in range(options.cohorts)])
        columns[split] = (p <= 0.05 + 1e-12).mean() * 100
        print(f"{split}: {options.cohorts} cohorts, {time.process_time() - start:.0f} s of CPU", flush=True)
    table = pd.DataFrame(columns)
    error = 100 * 1.96 * np.sqrt(0.05 * 0.95 / options.cohorts)
    print(f"\nrejected at 5 %, per cent (chance: +-{error:.2f})\n{table.round(2).to_string()}")


if __name__ == "__main__":
    main()
