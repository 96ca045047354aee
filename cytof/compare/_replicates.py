"""Tests whose unit is the patient: one number a patient and level; t, moderated t, rank and permutation tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cytof.compare._exact import exact, smallest_p
from cytof.compare._moderated import moderate
from cytof.compare._pairs import welch

__all__ = ["PATIENT_TESTS", "compare_units", "finish"]

PATIENT_TESTS: Final = ("t", "moderated-t", "rank-sum", "permutation")

NAN = float("nan")
Row = dict[str, Any]


def compare_units(
    x: Mapping[int, float], y: Mapping[int, float], *, test: str, words: tuple[str, str], seed: int = 0
) -> Row:
    """Compare one number a patient at a level with one at the reference: paired where patients have both.

    Parameters
    ----------
    x, y
        The number of each patient; NaN and missing patients are left out.
    test
        One of ``PATIENT_TESTS``: ``t`` (paired, else Welch's), ``moderated-t`` (see :func:`finish`), ``rank-sum``
        (paired: Wilcoxon's signed ranks) and ``permutation`` (paired: of signs), both exact, and refused where the
        smallest p they can give is above 0.05 (below 6 pairs).
    words
        Words of the level and of the reference.
    seed
        For more arrangements than can be listed.

    Returns
    -------
    ``n_units estimate ci_low ci_high statistic p note test`` and, for :func:`finish`, ``_s2 _unscaled _df``.

    Examples
    --------
    >>> row = compare_units({1: 2.0, 2: 3.0, 3: 2.5}, {1: 1.0, 2: 1.8, 3: 1.6}, test="t", words=("b", "a"))
    >>> row["test"], row["n_units"], round(row["p"], 4)
    ('paired t', 3, 0.0072)
    """
    x, y = ({p: v for p, v in own.items() if not np.isnan(v)} for own in (x, y))
    both = sorted(set(x) & set(y))
    if both:
        row = _paired(np.array([x[p] for p in both]), np.array([y[p] for p in both]))
        alone = len(set(x) ^ set(y))
        if alone:
            row["note"].append(f"{alone} patient{'s' if alone > 1 else ''} without both left out")
        values: tuple[NDArray, ...] = (np.array([x[p] - y[p] for p in both]),)
    else:
        values = tuple(np.array([own[p] for p in sorted(own)]) for own in (x, y))
        row = _apart(values[0], values[1], words, pooled=test == "moderated-t")
    if test in ("rank-sum", "permutation") and not np.isnan(row["ci_low"]):
        row |= _exact_row(values, ranks=test == "rank-sum", seed=seed, notes=row["note"])
    row["note"] = "; ".join(row["note"])
    return row


def _paired(x: NDArray, y: NDArray) -> Row:
    from scipy.special import stdtr, stdtrit

    d = x - y
    k = len(d)
    s2 = float(d.var(ddof=1)) if k > 1 else NAN
    row: Row = {"n_units": k, "estimate": float(d.mean()), "test": "paired t", "_s2": s2, "_unscaled": 1 / k,
                "_df": k - 1, "note": []}  # fmt: skip
    if not s2 > 0:
        row["note"].append("fewer than 2 patients with both" if k < 2 else "all differences are equal")
        return row | dict.fromkeys(("ci_low", "ci_high", "statistic", "p"), NAN)
    error = float(np.sqrt(s2 / k))
    t, half = row["estimate"] / error, float(stdtrit(k - 1, 0.975)) * error
    return row | {"ci_low": row["estimate"] - half, "ci_high": row["estimate"] + half, "statistic": t,
                  "p": float(2 * stdtr(k - 1, -abs(t)))}  # fmt: skip


def _apart(x: NDArray, y: NDArray, words: tuple[str, str], *, pooled: bool) -> Row:
    estimate, low, high, t, p = welch(x, y)
    few = [word for own, word in ((x, words[0]), (y, words[1])) if len(own) < 2]
    notes = [f"fewer than 2 patients in {' and '.join(few)}"] if few else ["all values are equal"] * bool(np.isnan(p))
    m, n = len(x), len(y)
    free = m + n - 2
    s2 = (((m - 1) * x.var(ddof=1) + (n - 1) * y.var(ddof=1)) / free) if min(m, n) > 1 else NAN
    return {"n_units": m + n, "estimate": estimate, "ci_low": low, "ci_high": high, "statistic": t, "p": p,
            "test": "two-sample t" if pooled else "welch t", "note": notes, "_s2": s2,
            "_unscaled": 1 / max(m, 1) + 1 / max(n, 1), "_df": free}  # fmt: skip


def _exact_row(values: Sequence[NDArray], *, ranks: bool, seed: int, notes: list[str]) -> Row:
    """Return statistic, p and the word of the exact test; refused where its floor is above 0.05."""
    floor = smallest_p(*(len(v) for v in values), ranks=ranks)
    name = ("signed-rank" if len(values) == 1 else "rank-sum") if ranks else "permutation"
    units = f"{len(values[0])} pairs" if len(values) == 1 else f"{len(values[0])} v {len(values[1])} patients"
    if floor > 0.05:
        notes.insert(0, f"refused: of {units} the smallest attainable p is {floor:.3g}")
        return {"statistic": NAN, "p": NAN, "test": name}
    statistic, p = exact(*values, ranks=ranks, seed=seed)
    notes.append(f"smallest attainable p {floor:.3g}")
    return {"statistic": statistic, "p": p, "test": name}


def finish(rows: list[Row], test: str) -> list[Row]:
    """Moderate the t tests of one contrast over its rows where asked for, and drop what only that needed."""
    if test == "moderated-t" and rows:
        columns = [np.array([r[name] for r in rows], float) for name in ("estimate", "_s2", "_unscaled", "_df")]
        found = moderate(*columns)
        for i, row in enumerate(rows):
            if not np.isnan(row["_s2"]):
                row |= {name: float(found[name][i]) for name in ("statistic", "p", "ci_low", "ci_high")}
                row["test"] = f"moderated {row['test']}"
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]
