"""Tests whose unit is the patient: one number a patient and level; t, moderated t, rank and permutation tests."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cytof.compare._exact import attainable, exact
from cytof.compare._moderated import moderate
from cytof.compare._pairs import welch

__all__ = ["PATIENT_TESTS", "compare_units", "finish", "in_both", "one_sample"]

PATIENT_TESTS: Final = ("t", "moderated-t", "rank-sum", "permutation")

FLAT: Final = 1e-10
"""Standard errors below this share of the largest value are rounding, not spread."""

NAN = float("nan")
_FEWEST: Final = 3  # patients of a group, for Welch's t
Row = dict[str, Any]


def in_both(x: Collection[Any], y: Collection[Any]) -> list[Any]:
    """Return the patients that make pairs; none where more patients stand in each group alone than have both levels.

    Examples
    --------
    >>> in_both([1, 2, 3], [1, 2, 4]), in_both([1, 2, 3, 4], [4, 5, 6, 7])
    ([1, 2], [])
    """
    both = set(x) & set(y)
    alone = min(len(set(x) - both), len(set(y) - both))
    return [] if alone >= _FEWEST and alone > len(both) else sorted(both)


def compare_units(
    x: Mapping[Any, float], y: Mapping[Any, float], *, test: str, words: tuple[str, str], seed: int = 0
) -> Row:
    """Compare one number a patient at a level with one at the reference: paired where patients have both.

    Parameters
    ----------
    x, y
        The number of each patient; NaN and missing patients are left out. Two groups where no patient has both levels,
        or more stand in each group alone; then patients with both are left out.
    test
        One of ``PATIENT_TESTS``: ``t`` (paired, else Welch's, from 3 patients a group on), ``moderated-t`` (see
        :func:`finish`), ``rank-sum`` (paired: Wilcoxon's signed ranks) and ``permutation`` (paired: of signs), both
        exact, and refused where the smallest p these data can give is above 0.05 (below 6 pairs that differ).
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
    both = in_both(x, y)
    shared = set(x) & set(y)
    if both:
        alone = len(set(x) ^ set(y))
        left = f"{alone} patient{'s' if alone > 1 else ''} without both left out" if alone else ""
        pairs = np.array([[x[p], y[p]] for p in both])
        return _row((pairs[:, 0] - pairs[:, 1],), float(np.abs(pairs).max()), left, test, words, seed)
    left = f"{len(shared)} patient{'s' if len(shared) > 1 else ''} with both left out" if shared else ""
    groups = tuple(np.array([own[p] for p in sorted(own) if p not in shared]) for own in (x, y))
    size = float(np.abs(np.concatenate(groups)).max(initial=0))
    return _row(groups, size, left, test, words, seed)


def one_sample(values: Mapping[Any, float], *, test: str = "t", short: str = "fewer than 2 patients") -> Row:
    """Test one number a patient against 0; NaN is left out.

    Parameters
    ----------
    values
        The number of each patient.
    test
        ``t``, or ``moderated-t`` (see :func:`finish`).
    short
        The reason where there are not two.

    Examples
    --------
    >>> round(one_sample({1: 1.0, 2: 1.2, 3: 0.9})["p"], 4)
    0.0072
    """
    own = np.array([v for _, v in sorted(values.items()) if not np.isnan(v)])
    return _row((own,), float(np.abs(own).max(initial=0)), "", test, (short, ""), 0)


def _row(values: tuple[NDArray, ...], size: float, left: str, test: str, words: tuple[str, str], seed: int) -> Row:
    row = _paired(values[0], size, words) if len(values) == 1 else _apart(values[0], values[1], size, words, test)
    row["note"] += [left] if left else []
    if test in ("rank-sum", "permutation") and not np.isnan(row["ci_low"]):
        row |= _exact_row(values, ranks=test == "rank-sum", seed=seed, notes=row["note"])
    row["note"] = "; ".join(row["note"])
    return row


def _paired(d: NDArray, size: float, words: tuple[str, str]) -> Row:
    from scipy.special import stdtr, stdtrit

    k = len(d)
    s2 = float(d.var(ddof=1)) if k > 1 else NAN
    row: Row = {"n_units": k, "estimate": float(d.mean()) if k else NAN, "test": "paired t", "_s2": s2,
                "_unscaled": 1 / max(k, 1), "_df": k - 1, "note": []}  # fmt: skip
    if not s2 > k * (FLAT * size) ** 2:
        short = "fewer than 2 patients with both" if words[1] else words[0]
        row["note"].append(short if k < 2 else "all differences are equal")
        return row | dict.fromkeys(("ci_low", "ci_high", "statistic", "p", "_s2"), NAN)
    error = float(np.sqrt(s2 / k))
    t, half = row["estimate"] / error, float(stdtrit(k - 1, 0.975)) * error
    return row | {"ci_low": row["estimate"] - half, "ci_high": row["estimate"] + half, "statistic": t,
                  "p": float(2 * stdtr(k - 1, -abs(t)))}  # fmt: skip


def _apart(x: NDArray, y: NDArray, size: float, words: tuple[str, str], test: str) -> Row:
    estimate, low, high, t, p = welch(x, y)
    notes, pooled = [], test == "moderated-t"
    sizes = {words[0]: len(x), words[1]: len(y)}
    few = [word for word, n in sizes.items() if n < 2]
    small = [word for word, n in sizes.items() if n < _FEWEST]
    if any(w.startswith("no other ") for w in few):
        notes.append(f"there is {words[0]}")
    elif few:
        notes.append(f"fewer than 2 patients in {' and '.join(few)}")
    elif np.isnan(p):
        flat = np.ptp(np.concatenate([x, y])) <= FLAT * size
        notes.append("all values are equal" if flat else "values do not vary within either group")
    elif test == "t" and small:
        notes.append(f"fewer than {_FEWEST} patients in {' and '.join(small)}: Welch's t would reject too often")
        low = high = t = p = NAN
    m, n = len(x), len(y)
    free = m + n - 2
    s2 = (((m - 1) * x.var(ddof=1) + (n - 1) * y.var(ddof=1)) / free) if min(m, n) > 1 and not np.isnan(low) else NAN
    return {"n_units": m + n, "estimate": estimate, "ci_low": low, "ci_high": high, "statistic": t, "p": p,
            "test": "two-sample t" if pooled else "welch t", "note": notes, "_s2": s2,
            "_unscaled": 1 / max(m, 1) + 1 / max(n, 1), "_df": free}  # fmt: skip


def _exact_row(values: Sequence[NDArray], *, ranks: bool, seed: int, notes: list[str]) -> Row:
    """Return statistic, p and the word of the exact test; refused where its floor is above 0.05."""
    floor = attainable(*values, ranks=ranks, seed=seed)
    name = ("signed-rank" if len(values) == 1 else "rank-sum") if ranks else "permutation"
    if floor > 0.05:
        notes.insert(0, f"refused: of {_units(values)} the smallest attainable p is {floor:.3g}")
        return {"statistic": NAN, "p": NAN, "test": name}
    statistic, p = exact(*values, ranks=ranks, seed=seed)
    notes.append(f"smallest attainable p {floor:.3g}")
    return {"statistic": statistic, "p": p, "test": name}


def _units(values: Sequence[NDArray]) -> str:
    """Say how many patients inform an exact test: pairs that differ; groups, and whether ties narrow what they can."""
    if len(values) == 1:
        differ = int((values[0] != 0).sum())
        return f"{len(values[0])} pairs" + (f", {differ} of them different," if differ < len(values[0]) else "")
    both = np.concatenate(values)
    ties = ", with ties," if len(np.unique(both)) < len(both) else ""
    return f"{len(values[0])} v {len(values[1])} patients{ties}"


def finish(rows: list[Row], test: str) -> list[Row]:
    """Moderate the t tests of one contrast over its rows where asked for, and drop what only that needed.

    Where ``_counting`` is there, the error that counting of cells alone gives the estimate, p is at least, and the
    interval at least as wide as, that of a normal estimate with this error: of patients with next to no cells the
    differences are too few and too skewed for their own spread to be all there is.
    """
    if test == "moderated-t" and rows:
        columns = [np.array([r[name] for r in rows], float) for name in ("estimate", "_s2", "_unscaled", "_df")]
        found = moderate(*columns)
        for i, row in enumerate(rows):
            if not np.isnan(row["_s2"]):
                row |= {name: float(found[name][i]) for name in ("statistic", "p", "ci_low", "ci_high")}
                row["test"] = f"moderated {row['test']}"
    for row in rows:
        row |= _counted(row)
    return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]


def _counted(row: Row) -> Row:
    from scipy.special import ndtr

    error, at = row.get("_counting", NAN), row["estimate"]
    if not error > 0 or np.isnan(row["p"]):
        return {}
    return {"p": max(row["p"], float(2 * ndtr(-abs(at) / error))), "ci_low": min(row["ci_low"], at - 1.959964 * error),
            "ci_high": max(row["ci_high"], at + 1.959964 * error)}  # fmt: skip
