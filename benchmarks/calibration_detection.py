"""Does a call keep its promise? 2,000 simulated samples at 0, half, one, two and five times the limit of detection.

Blanks and cells at risk are Poisson counts of one false rate, drawn anew for each sample. At 0 at most 7 % may be
called; at the limit at least 93 % must be; elsewhere the share must equal the computed power within 4 points.

Run: python benchmarks/calibration_detection.py [--n 2000]
"""

from __future__ import annotations

import argparse

import numpy as np

from cytof import track
from cytof.track._detection import call, limits

DESIGNS = ((0.0, 10_000, 30_000), (2e-4, 10_000, 30_000), (1e-3, 5_000, 20_000), (5e-3, 20_000, 90_000),
           (3e-4, 700, 50_000))  # fmt: skip
"""False rate, blank cells, cells at risk; the last with few blanks, most often none of them above."""


def called(times: float, design: tuple[float, int, int], runs: int, seed: int = 0) -> tuple[float, float, float]:
    """Return the share of samples called there (detected or below LOQ), the computed power, and the limit in cells."""
    rate, blank, risk = design
    rng = np.random.default_rng([seed, round(10 * times), blank, risk])
    limit = track.limit_of_detection(round(rate * blank), blank, risk)
    n, b = rng.poisson(times * limit + rate * risk, runs), rng.poisson(rate * blank, runs)
    words = [call(k, risk * a / blank, risk, limits(int(a), blank, risk)) for k, a in zip(n, b, strict=True)]
    seen = np.mean([w in ("detected", "below LOQ") for w in words])
    return float(seen), track.detection_power(times * limit, rate, blank, risk), limit


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=2000)
    runs = parser.parse_args().n
    print(
        "| false rate | blanks | cells at risk | LOD, cells | x LOD | called | power |\n|---|---|---|---|---|---|---|"
    )
    for design in DESIGNS:
        for times in (0, 0.5, 1, 2, 5):
            seen, power, limit = called(times, design, runs)
            rate, blank, risk = design
            print(f"| {rate:g} | {blank:,} | {risk:,} | {limit:.1f} | {times} | {seen:.1%} | {power:.1%} |")


if __name__ == "__main__":
    main()
