"""Do the limits of a half-life cover it? 2,000 planted courses a row, mono-exponential with log-normal error.

Without censoring at n = 6 and 10 points after the peak: 93-97 % of the intervals must hold the planted half-life. With
the limit of quantification set so that about half of the values lie below it, n >= 8: at least 90 %. Courses with
fewer than three quantified points are `not estimable` and are counted apart.

Run: python benchmarks/calibration_kinetics.py [--n 2000]
"""

from __future__ import annotations

import argparse

import numpy as np

from cytof.kinetics import half_life

HALF_LIFE = 60.0
DESIGNS = ((6, False), (10, False), (8, True), (10, True), (20, True))


def coverage(n: int, censored: bool, sigma: float, runs: int, seed: int = 0) -> tuple[float, float, float]:
    """Return the share of intervals that cover, of courses not estimable, and of values below the limit."""
    rng = np.random.default_rng([seed, n, censored, round(100 * sigma)])
    day = 14 + 20.0 * np.arange(n + 1)
    line = np.log(1000) - np.log(2) / HALF_LIFE * (day - 14)
    limit = np.full(n + 1, np.exp((line[n // 2] + line[n // 2 + 1]) / 2) if censored else 1e-12)
    hits, done, none, hidden = 0, 0, 0, 0.0
    for _ in range(runs):
        value = np.exp(line + np.r_[3.0, rng.normal(0, sigma, n)])
        found = half_life(day, value, value < limit, limit, model="mono")
        hidden += 1 - found.n_quantified / n
        if found.n_quantified < 3:
            none += 1
            continue
        done, hits = done + 1, hits + (found.low <= HALF_LIFE <= found.high)
    return hits / done, none / runs, hidden / runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    runs = parser.parse_args().n
    print("| points after the peak | error (log) | below the limit | coverage | not estimable |\n|---|---|---|---|---|")
    for n, censored in DESIGNS:
        for sigma in (0.2, 0.5):
            covered, none, hidden = coverage(n, censored, sigma, runs)
            print(f"| {n} | {sigma} | {100 * hidden:.0f} % | {100 * covered:.1f} % | {100 * none:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
