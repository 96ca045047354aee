"""Calibration of `compare`: rejections under two nulls, power, coverage; the tables are markdown for README.

    python benchmarks/calibration.py [--simulations 2000] [--draws 49] [--part cells|patients|shares|models|all]

Null A, *cells of one tube split at random*: there a test of cells looks perfect. Null B, *tubes that vary*: each tube
has its own shift (0.3 SD of a cell); nothing differs between visits, but a test of cells takes tubes for effects, which
is why its rows carry a caption. n is the number of patients (each with one tube a visit).
"""

from __future__ import annotations

import argparse

import numpy as np

from cytof.compare import delong, moderate, rank_sum, smallest_p, welch
from cytof.compare._bootstrap import count_test
from cytof.compare._mixed import mixed
from cytof.compare._replicates import compare_units, exact

PATIENTS = (4, 8, 20)
CELLS, TUBE = 60, 0.3
WORDS = ("late", "early")


def rate(hits: list) -> str:
    known = [h for h in hits if h is not None]
    return f"{100 * np.mean(known):.1f}" if known else "refused"


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    print(f"\n**{title}**\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def tubes(rng: np.random.Generator, n: int, spread: float, effect: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells (n_patients, CELLS) of two visits; patients differ by 0.5 SD, tubes by `spread`."""
    patient = rng.normal(0, 0.5, (n, 1))
    pair = [rng.normal(0, 1, (n, CELLS)) + patient + rng.normal(0, spread, (n, 1)) for _ in WORDS]
    return pair[0] + effect, pair[1]


def of_cells(simulations: int) -> None:
    """Cells as the unit, of all patients together and of a zero-inflated marker."""
    rows = []
    for n in PATIENTS:
        rng = np.random.default_rng([1, n])
        found: dict[tuple[str, str], list] = {}
        for _ in range(simulations):
            for null, spread, effect in (("A", 0.0, 0.0), ("B", TUBE, 0.0), ("power", 0.0, 0.25)):
                if null == "B":
                    x, y = (np.maximum(v.ravel(), 0) for v in tubes(rng, n, spread, effect))
                else:
                    x, y = (np.maximum(rng.normal(e, 1, n * CELLS), 0) for e in (effect, 0.0))
                _, low, high, _, p = welch(x, y)
                found.setdefault((null, "Welch"), []).append(p < 0.05)
                found.setdefault((null, "rank-sum"), []).append(rank_sum(x, y)[1] < 0.05)
                if null == "A":
                    found.setdefault(("A", "cover Welch"), []).append(low <= 0 <= high)
                    _, low, high = delong(x, y)
                    found.setdefault(("A", "cover rank-sum"), []).append(low <= 0.5 <= high)
        for test in ("Welch", "rank-sum"):
            rows.append([f"{test}, cells of {n} tubes", *(rate(found[k, test]) for k in ("A", "B", "power")),
                         rate(found["A", f"cover {test}"])])  # fmt: skip
    table(
        f"Cells as the unit: % rejected at 0.05, {simulations:,} simulations, {CELLS} cells a tube",
        ["Test", "cells of one tube split at random", "tubes that vary (0.3 SD)", "power, 0.25 SD", "coverage %"], rows,
    )  # fmt: skip


def of_patients(simulations: int) -> None:
    """Patients as the unit: paired means of 20 markers."""
    rows = []
    for n in PATIENTS:
        rng = np.random.default_rng([2, n])
        found: dict[tuple[str, str], list] = {}

        def put(null: str, test: str, p: float, found: dict = found) -> None:
            found.setdefault((null, test), []).append(None if np.isnan(p) else p < 0.05)

        for s in range(simulations):
            for null, spread, effect in (("A", 0.0, 0.0), ("B", TUBE, 0.0), ("power", TUBE, 0.4)):
                marker = [tubes(rng, n, spread, effect) for _ in range(20 if s % 20 == 0 else 1)]
                d = np.array([x.mean(axis=1) - y.mean(axis=1) for x, y in marker])
                if len(d) == 20:
                    moderated = moderate(d.mean(1), d.var(1, ddof=1), np.full(20, 1 / n), np.full(20, n - 1))
                    for p in moderated["p"]:
                        put(null, "moderated t", p)
                    if null == "B":
                        inside = (moderated["ci_low"] <= 0) & (moderated["ci_high"] >= 0)
                        found.setdefault(("cover", "moderated t"), []).extend(inside.tolist())
                values = [dict(enumerate(v.mean(axis=1))) for v in marker[0]]
                row = compare_units(*values, test="t", words=WORDS)
                put(null, "paired t", row["p"])
                if null == "B":
                    found.setdefault(("cover", "paired t"), []).append(row["ci_low"] <= 0 <= row["ci_high"])
                    who = np.tile(np.arange(n), 2)
                    if n >= 6:
                        X = np.column_stack([np.ones(2 * n), np.repeat([1.0, 0.0], n)])
                        fit = mixed(np.concatenate([v.mean(axis=1) for v in marker[0]]), X, who)
                        put(null, "mixed (Satterthwaite)", fit.p[1])
                for name, ranks in (("signed-rank", True), ("permutation of signs", False)):
                    p = exact(d[0], ranks=ranks, seed=s)[1] if smallest_p(n) <= 0.05 and n <= 14 else float("nan")
                    put(null, name, p)
        for test in ("paired t", "moderated t", "mixed (Satterthwaite)", "signed-rank", "permutation of signs"):
            floor = f" (smallest p {smallest_p(n):.2g})" if test in ("signed-rank", "permutation of signs") else ""
            if (n > 14 and floor) or (n < 6 and test.startswith("mixed")):
                continue
            cells = [rate(found[k, test]) if (k, test) in found else "-" for k in ("A", "B", "power", "cover")]
            rows.append([f"{test}, n = {n}{floor}", *cells])
    table(
        f"Patients as the unit (pairs): % rejected at 0.05, {simulations:,} simulations",
        ["Test", "one tube split at random", "tubes that vary (0.3 SD)", "power, 0.4 SD, tubes vary", "coverage %"],
        rows,
    )  # fmt: skip


def of_shares(simulations: int, draws: int, count_models: bool) -> None:
    """Shares: the t test on logits, and models of counts, with and without variation between tubes."""
    rows = []
    for n in PATIENTS:
        rng = np.random.default_rng([3, n])
        who, late = np.tile(np.arange(n), 2), np.repeat([1.0, 0.0], n)
        X, of = np.column_stack([np.ones(2 * n), late]), np.full(2 * n, 1000)
        tests = ("beta-binomial", "binomial-mixed") if count_models else ("t on logit", "mixed on logit")
        found: dict[tuple[str, str], list] = {}
        for s in range(simulations):
            for null, spread, effect in (("A", 0.0, 0.0), ("B", 0.3, 0.0), ("power", 0.3, 0.5)):
                eta = -2.5 + rng.normal(0, 0.4, n)[who] + rng.normal(0, spread, 2 * n) + effect * late
                count = rng.binomial(of, 1 / (1 + np.exp(-eta)))
                y = np.log((count + 0.5) / (of - count + 0.5))
                for test in tests:
                    if n < 6 and test != "t on logit":
                        found.setdefault((null, test), []).append(None)
                        continue
                    if test == "t on logit":
                        row = compare_units(dict(enumerate(y[:n])), dict(enumerate(y[n:])), test="t", words=WORDS)
                    elif test == "mixed on logit":
                        row = {"p": float(mixed(y, X, who).p[1])}
                    else:
                        row = count_test(test, count, of, X, who, draws=draws, seed=s)
                    found.setdefault((null, test), []).append(row["p"] < 0.05)
                    if null == ("A" if test == "binomial-mixed" else "B") and "ci_low" in row:
                        found.setdefault(("cover", test), []).append(row["ci_low"] <= 0 <= row["ci_high"])
        for test in tests:
            cells = [rate(found[k, test]) if (k, test) in found else "-" for k in ("A", "B", "power", "cover")]
            rows.append([f"{test}, n = {n}", *cells])
    how = f", {draws} bootstrap draws" if count_models else ""
    table(
        f"Shares (pairs): % rejected at 0.05, {simulations:,} simulations{how}",
        ["Test", "patients vary, tubes do not", "tubes vary (0.3 logit)", "power, 0.5 logit, tubes vary", "coverage %"],
        rows,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=49)
    parser.add_argument("--part", choices=("cells", "patients", "shares", "models", "all"), default="all")
    asked = parser.parse_args()
    parts = {
        "cells": lambda: of_cells(asked.simulations), "patients": lambda: of_patients(asked.simulations),
        "shares": lambda: of_shares(asked.simulations, 0, False),
        "models": lambda: of_shares(asked.simulations, asked.draws, True),
    }  # fmt: skip
    for name, run in parts.items():
        if asked.part in (name, "all"):
            run()


if __name__ == "__main__":
    main()
