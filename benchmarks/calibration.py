"""Calibration of `compare`: rejections under two nulls, power, coverage; the tables are markdown for README.

    python benchmarks/calibration.py [--simulations 2000] [--patients 4 8 20]
                                     [--part cells|pairs|groups|shares|models|trend|did|all]

Null A, *one tube split at random*: both sides are drawn from the same tube; there a test of cells looks perfect. Null
B, *tubes that vary*: each tube has its own shift (markers 0.3 SD of a cell, shares 0.3 on the logit scale); nothing
differs between visits, but a test of cells takes tubes for effects, which is why its rows carry a caption. Power: tubes
vary and an effect is planted. Every number comes from the public functions `compare.markers`, `compare.abundance`,
`compare.trend` and `compare.difference_of_differences`; a marker or a population is a simulation.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator

import anndata
import numpy as np
import pandas as pd

from cytof import compare
from cytof.compare._beta_binomial import beta_binomial
from cytof.compare._random_intercept import random_intercept

CELLS, TUBE, BATCH = 60, 0.3, 20  # cells a tube; shift of a tube; markers or populations of one call
NULLS = ("A", "B", "power")
Tests = dict[str, Callable[[object], pd.DataFrame]]


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    print(f"\n**{title}**\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def shifts(
    rng: np.random.Generator, n: int, k: int, null: str, patient: float, effect: float, paired: bool
) -> Iterator:
    """Yield (visit, patient, shift of each of k markers) of every tube: early, then late."""
    own = rng.normal(0, patient, (2, n, k)) if null != "A" or paired else np.zeros((2, n, k))
    for late, visit in enumerate(("early", "late")):
        for p in range(n):
            tube = rng.normal(0, TUBE, k) if null != "A" else 0.0
            name = f"{p}" if paired else f"{visit}{p}"
            yield visit, name, own[0 if paired else late, p] + tube + effect * late * (null == "power")


def cells(rng: np.random.Generator, n: int, null: str, patient: float, effect: float, paired: bool, floor: bool):
    """Cells of n patients seen twice, or of n and n patients; `floor` sets negative values to 0, as dim markers are."""
    parts, rows = [], []
    for visit, name, shift in shifts(rng, n, BATCH, null, patient, effect, paired):
        x = rng.normal(0, 1, (CELLS, BATCH)) + shift
        parts.append(np.maximum(x, 0) if floor else x)
        rows += [(f"{visit}-{name}", name, visit)] * CELLS
    obs = pd.DataFrame(rows, columns=["sample_id", "patient_id", "timepoint"])
    obs.index = obs.index.astype(str)
    obs["day"] = (obs["timepoint"] == "late") * 100.0
    var = pd.DataFrame(index=[f"m{i}" for i in range(BATCH)])
    return anndata.AnnData(np.concatenate(parts).astype(np.float32), obs=obs, var=var)


def shares(rng: np.random.Generator, n: int, null: str, patient: float, effect: float, paired: bool) -> pd.DataFrame:
    """Counts of populations (about 8 % of 300 to 3,000 cells) of n patients seen twice, or of n and n patients."""
    rows = []
    for visit, name, shift in shifts(rng, n, BATCH, null, patient, effect, paired):
        of = int(np.exp(rng.uniform(np.log(300), np.log(3000))))
        count = rng.binomial(of, 1 / (1 + np.exp(2.5 - shift)))
        rows += [(f"{visit}-{name}", name, visit, f"p{i}", count[i], of) for i in range(BATCH)]
    columns = ["sample_id", "patient_id", "timepoint", "population", "n", "n_denominator"]
    return pd.DataFrame(rows, columns=columns).assign(day=lambda t: (t["timepoint"] == "late") * 100.0)


def courses(rng: np.random.Generator, n: int, null: str, effect: float) -> pd.DataFrame:
    """Counts of populations of n patients at five visits of their own days; `effect` a year on the logit scale.

    Where tubes vary, and there is more than one patient, the patients' own slopes vary too, by 0.3 a year about 0.
    """
    rows, own = [], rng.normal(0, 0.4, (n, BATCH))
    slope = rng.normal(0, 0.3, (n, BATCH)) if null != "A" and n > 1 else np.zeros((n, BATCH))
    for p in range(n):
        days = np.array([0, 90, 180, 365, 700]) + rng.integers(0, 25, 5)
        for d in days.tolist():
            tube = rng.normal(0, TUBE, BATCH) if null != "A" else 0.0
            moved = (slope[p] + effect * (null == "power")) * d / 365.25
            count = rng.binomial(1000, 1 / (1 + np.exp(2.5 - own[p] - tube - moved)))
            rows += [(f"{p}-{d}", f"{p}", float(d), f"p{i}", count[i], 1000) for i in range(BATCH)]
    columns = ["sample_id", "patient_id", "day", "population", "n", "n_denominator"]
    return pd.DataFrame(rows, columns=columns)


def count_arms(rng: np.random.Generator, n: int, null: str, effect: float):
    """Counts of bright CAR T and host T cells of n patients at two visits; a marker's tube shift is common to both."""
    parts, rows = [], []
    for visit, name, shift in shifts(rng, n, BATCH, "B", 0.3, 0.0, True):
        for car in (True, False):
            own = rng.normal(0, TUBE, BATCH) if null != "A" else 0.0  # what varies and is not common to both arms
            add = shift + own + effect * (car and visit == "late" and null == "power")
            parts.append(rng.poisson(np.exp(4.0 + 0.5 * (rng.normal(0, 1, (CELLS, BATCH)) + add))))
            rows += [(f"{visit}-{name}", name, visit, car, "CD8")] * CELLS
    obs = pd.DataFrame(rows, columns=["sample_id", "patient_id", "timepoint", "car", "subset"])
    obs.index = obs.index.astype(str)
    obs["day"] = (obs["timepoint"] == "late") * 100.0
    counts = np.concatenate(parts).astype(np.float32)
    var = pd.DataFrame(index=[f"m{i}" for i in range(BATCH)])
    return anndata.AnnData(np.arcsinh(counts / 5), obs=obs, var=var, layers={"counts": counts})


def measure(name: str, n: int, simulations: int, data: Callable[..., object], tests: Tests) -> list[list[str]]:
    """Return a row a test: % rejected under both nulls and with the effect, % of intervals that hold 0 under both."""
    found: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for null in NULLS:
        rng = np.random.default_rng([zlib.crc32(name.encode()), n, NULLS.index(null)])
        for _ in range(-(-simulations // BATCH)):
            made = data(rng, n, null)
            for test, run in tests.items():
                found.setdefault((test, null), []).append(run(made))
    rows = []
    for test in tests:
        whole = {null: pd.concat(found[test, null]).head(simulations) for null in NULLS}
        rejected = [_rejected(t) for t in whole.values()]
        cover = [_coverage(whole[null]) for null in ("A", "B")]
        rows.append([test, *rejected, " / ".join(cover) if "-" not in cover else "-"])
    return rows


def _rejected(table: pd.DataFrame) -> str:
    none = int(table["p"].isna().sum())
    if none == len(table):
        return "refused"
    return f"{100 * (table['p'] < 0.05).mean():.1f}" + (f" ({none} not tested)" if none else "")


def _coverage(table: pd.DataFrame) -> str:
    known = table.dropna(subset=["ci_low", "ci_high"])
    inside = (known["ci_low"] <= 0) & (known["ci_high"] >= 0)
    return f"{100 * inside.mean():.1f}" if len(known) and table["p"].notna().any() else "-"


COLUMNS = ["test", "one tube split at random", "tubes that vary", "power", "coverage %, first / second null"]


def markers_by(unit: str, tests: dict[str, str], **more: object) -> Tests:
    return {
        word: lambda adata, test=test: compare.markers(adata, within=None, unit=unit, test=test, **more)
        for test, word in tests.items()
    }


def hodges(run: Callable[[object], pd.DataFrame]) -> Callable[[object], pd.DataFrame]:
    """Take the interval of Hodges and Lehmann, which belongs to rank tests, for that of the means."""
    columns = {"hodges_lehmann_low": "ci_low", "hodges_lehmann_high": "ci_high"}
    return lambda made: run(made).drop(columns=["ci_low", "ci_high"]).rename(columns=columns)


def of_cells(n: int, simulations: int) -> list[list[str]]:
    tests = markers_by("cell", {k: f"{k}, cells of {n} + {n} tubes" for k in ("welch", "rank-sum", "permutation")})
    return measure("cells", n, simulations, lambda r, n, null: cells(r, n, null, 0.0, 0.25, False, True), tests)


def of_patients(n: int, simulations: int, *, paired: bool) -> list[list[str]]:
    size = f"{n} pairs" if paired else f"{n} + {n} patients"
    floors = {ranks: compare.smallest_p(n, None if paired else n, ranks=ranks) for ranks in (True, False)}
    words = {
        "t": f"{'paired' if paired else 'Welch'} t, {size}", "moderated-t": f"moderated t, {size}",
        "mixed": f"mixed (Satterthwaite), {size}",
        "rank-sum": f"{'signed-rank' if paired else 'rank-sum'}, {size} (smallest p {floors[True]:.2g})",
        "permutation": f"permutation, {size} (smallest p {floors[False]:.2g})",
    }  # fmt: skip
    tests = markers_by("patient", words)
    tests[words["rank-sum"]] = hodges(tests[words["rank-sum"]])
    name, effect = ("pairs", 0.4) if paired else ("groups", 0.7)
    return measure(name, n, simulations, lambda r, n, null: cells(r, n, null, 0.5, effect, paired, False), tests)


def share_tests(words: dict[str, str], **more: object) -> Tests:
    return {word: lambda table, test=test: compare.abundance(table, test=test, **more) for test, word in words.items()}


def of_shares(n: int, simulations: int) -> list[list[str]]:
    rows = []
    for paired, size in ((True, f"{n} pairs"), (False, f"{n} + {n} patients")):
        words = {"t": "t on logit", "moderated-t": "moderated t on logit", "mixed": "mixed on logit"}
        tests = share_tests({k: f"{w}, {size}" for k, w in words.items()})
        tests |= share_tests({"t": f"t on arcsine, {size}"}, transform="arcsine")
        rows += measure("shares", n, simulations, lambda r, n, null, p=paired: shares(r, n, null, 0.4, 0.5, p), tests)
    if n == 4:  # of one patient: counting of cells only
        tests = share_tests({"fisher": "Fisher, one patient, a tube a visit"})
        rows += measure("fisher", 1, simulations, lambda r, n, null: shares(r, 1, null, 0.4, 0.5, True), tests)
    return rows


def of_models(n: int, simulations: int) -> list[list[str]]:
    """Models of counts; of pairs the likelihood ratio too, as R's packages have it, to show why it is not used."""
    rows = []
    for paired, size in ((True, f"{n} pairs"), (False, f"{n // 2} + {n // 2} patients")):
        each = n if paired else n // 2
        tests = share_tests({k: f"{k}, {size}" for k in ("beta-binomial", "binomial-mixed")})
        if n >= 6:
            tests |= {f"({k}: likelihood ratio, {size}: not used)": lambda t, k=k: ratio(t, k)
                      for k in ("beta-binomial", "binomial-mixed")}  # fmt: skip
        rows += measure(
            "models", each, simulations, lambda r, e, null, p=paired: shares(r, e, null, 0.4, 0.5, p), tests
        )
    return rows


def ratio(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """The likelihood ratio against chi-squared, and Wald's interval."""
    from scipy.special import chdtrc

    rows = []
    for _, part in table.groupby("population", sort=False):
        X = np.column_stack([np.ones(len(part)), part["timepoint"] == "late"]).astype(float)
        n, of = (part[c].to_numpy(float) for c in ("n", "n_denominator"))
        who = (pd.factorize(part["patient_id"])[0],) if model == "binomial-mixed" else ()
        fit = random_intercept if who else beta_binomial
        large, small = fit(n, of, X, *who), fit(n, of, X[:, :1], *who, errors=False)
        low, high = (large.estimate[1] + z * large.error[1] for z in (-1.96, 1.96))
        rows.append((float(chdtrc(1, max(2 * (large.log_likelihood - small.log_likelihood), 0))), low, high))
    return pd.DataFrame(rows, columns=["p", "ci_low", "ci_high"])


def of_trends(n: int, simulations: int) -> list[list[str]]:
    tests: Tests = {f"t of slopes, {n} patients": lambda t: compare.trend(t, shape="line"),
                    f"F of spline, {n} patients": lambda t: compare.trend(t, shape="spline")}  # fmt: skip
    rows = measure("trend", n, simulations, lambda r, n, null: courses(r, n, null, 0.5), tests)
    if n == 4:
        one: Tests = {"t of one regression, one patient": lambda t: compare.trend(t, shape="line")}
        rows += measure("trend", 1, simulations, lambda r, n, null: courses(r, 1, null, 0.5), one)
    return rows


def of_did(n: int, simulations: int) -> list[list[str]]:
    def run(unit: str, test: str) -> Callable[[object], pd.DataFrame]:
        return lambda a: compare.difference_of_differences(a, within="subset", rescale="none", unit=unit, test=test)

    tests: Tests = {
        f"t, {n} patients": run("patient", "t"),
        f"moderated t, {n} patients": run("patient", "moderated-t"),
    }
    if n == 4:
        tests["welch, cells of 4 patients"] = run("cell", "auto")
    return measure("did", n, simulations, lambda r, n, null: count_arms(r, n, null, 0.5), tests)


PARTS: dict[str, tuple[str, Callable[[int, int], list[list[str]]]]] = {
    "cells": (f"Cells as the unit, {CELLS} cells a tube; effect 0.25 SD", of_cells),
    "pairs": ("Patients as the unit, seen twice; effect 0.4 SD", lambda n, s: of_patients(n, s, paired=True)),
    "groups": ("Patients as the unit, two groups; effect 0.7 SD", lambda n, s: of_patients(n, s, paired=False)),
    "shares": ("Shares; effect 0.5 logit", of_shares),
    "models": ("Models of counts; effect 0.5 logit", of_models),
    "trend": ("Shares over five visits, slopes of patients vary with tubes; effect 0.5 logit a year", of_trends),
    "did": ("Difference of differences, CAR T against host T; effect 0.5 SD", of_did),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--patients", type=int, nargs="+", default=[4, 8, 20])
    parser.add_argument("--part", choices=(*PARTS, "all"), default="all")
    asked = parser.parse_args()
    for name, (title, run) in PARTS.items():
        if asked.part in (name, "all"):
            rows = [row for n in asked.patients for row in run(n, asked.simulations)]
            print_table(f"{title}: % rejected at 0.05, {asked.simulations:,} simulations a cell", COLUMNS, rows)


if __name__ == "__main__":
    main()
