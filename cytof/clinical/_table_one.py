"""Table 1: patients by group, each row with its denominator, its test by name and the standardised difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cytof._check import has_columns, one_of
from cytof.clinical._categorical import UNKNOWN, categorical_test
from cytof.clinical._columns import levels_of
from cytof.clinical._format import count_text, mean_text, median_text, range_text
from cytof.clinical._rank_sum import rank_sum
from cytof.errors import InputError

__all__ = ["lesion_hits", "same_partition", "standardised_difference", "table_one"]

CONTINUOUS = ("rank", "t", "welch")
_NO_TEST: dict[str, Any] = {"p": np.nan, "test": "", "smd": np.nan}


def table_one(
    table: pd.DataFrame, by: str, variables: Sequence[str] | Mapping[str, str] | None = None, *, continuous: str =
    "rank", categorical: Sequence[str] = (), each_level: Sequence[str] = (), own_denominator: Sequence[str] = (),
    digits: int = 1,
) -> pd.DataFrame:  # fmt: skip
    """Describe patients by group.

    Parameters
    ----------
    table
        One row a patient.
    by
        Column with the groups; patients without one are left out.
    variables
        Columns, or column -> label; all but ``by``, ids and dates when None.
    continuous
        Test of numbers: ``rank`` (rank-sum; Kruskal-Wallis of more than two groups), ``t`` (pooled; analysis of
        variance) or ``welch``.
    categorical
        Numeric columns to be counted by level (ECOG, lines).
    each_level
        Columns whose levels are tested one by one against the rest (IgG against not IgG ...).
    own_denominator
        Columns of which only those examined count (cytogenetics, n = 42): no Unknown row, the label says n.
    digits
        Decimals of percentages, means and medians.

    Returns
    -------
    A row a line of the printed table: ``variable level overall <groups...> p test smd n``. Lines of a category are
    ``n (%)`` of its known patients and an ``Unknown`` line where values are missing (printed, not tested); of a number
    ``mean (SD)``, ``median (range)``, ``median [IQR]``.

    Raises
    ------
    UsageError, InputError
        A column is missing; fewer than two groups.

    Examples
    --------
    >>> table = pd.DataFrame({"out": list("aabb"), "ecog": ["0", "1", "1", "1"], "age": [50, 60, 70, 81]})
    >>> found = table_one(table, "out")
    >>> found.loc[found["variable"] == "ecog", ["level", "overall", "a", "b"]].values.tolist()
    [['0', '1 (25.0)', '1 (50.0)', '0 (0.0)'], ['1', '3 (75.0)', '1 (50.0)', '2 (100.0)']]

    Source: tests by the rule of :func:`categorical_test`; standardised difference: Yang and Dalton 2012, SAS Global
    Forum.
    """
    one_of(continuous, CONTINUOUS, "continuous", where="clinical.table_one")
    labels = dict(variables) if isinstance(variables, Mapping) else {v: v for v in variables or _describable(table, by)}
    has_columns(table.columns, [by, *labels], where="clinical.table_one")
    table = table[table[by].notna()]
    groups = levels_of(table[by])
    if len(groups) < 2:
        raise InputError(f"`{by}` has only the group {groups}, expected two or more", where="clinical.table_one")
    rows: list[dict[str, Any]] = []
    for column, label in labels.items():
        values = table[column]
        if pd.api.types.is_numeric_dtype(values) and values.dtype != bool and column not in categorical:
            rows += _number(values, table[by], groups, label, continuous, digits)
        else:
            rows += _category(values, table[by], groups, label, column in each_level, column in own_denominator, digits)
    return pd.DataFrame(rows, columns=["variable", "level", "overall", *map(str, groups), "p", "test", "smd", "n"])


def _describable(table: pd.DataFrame, by: str) -> list[str]:
    def fits(column: str) -> bool:
        of = table[column]
        if column in (by, "patient_id") or pd.api.types.is_datetime64_any_dtype(of):
            return False
        return pd.api.types.is_numeric_dtype(of) or of.nunique() <= max(12, len(of) // 5)

    return [c for c in table.columns if fits(c)]


def _number(
    values: pd.Series, by: pd.Series, groups: list, label: str, continuous: str, digits: int
) -> list[dict[str, Any]]:
    parts = [values[by == g].dropna() for g in groups]
    p, test = _compare(parts, continuous)
    smd = standardised_difference([p_.to_numpy(float)[:, None] for p_ in parts])
    lines = [("mean (SD)", mean_text), ("median (range)", range_text), ("median [IQR]", median_text)]
    n, rows = int(values.notna().sum()), []
    for i, (name, text) in enumerate(lines):
        cells = {str(g): text(part, digits) for g, part in zip(groups, parts, strict=True)}
        told = {"p": p, "test": test, "smd": smd} if i == 0 else _NO_TEST
        rows.append({"variable": label, "level": name, "overall": text(values, digits), **cells, **told, "n": n})
    if values.isna().any():
        missing = {str(g): str(int(values[by == g].isna().sum())) for g in groups}
        rows.append({"variable": label, "level": "Unknown", "overall": str(int(values.isna().sum())), **missing,
                     **_NO_TEST, "n": len(values)})  # fmt: skip
    return rows


def _compare(parts: list[pd.Series], continuous: str) -> tuple[float, str]:
    if any(len(p) < 2 for p in parts):
        return float("nan"), "not estimable: a group of fewer than 2"
    if continuous == "rank":
        if len(parts) == 2:
            found = rank_sum(parts[0], parts[1])
            return found.p, found.method
        return float(stats.kruskal(*parts).pvalue), "Kruskal-Wallis test"
    if len(parts) == 2:
        pooled = continuous == "t"
        p = stats.ttest_ind(parts[0], parts[1], equal_var=pooled).pvalue
        return float(p), "t test, pooled variance" if pooled else "Welch t test"
    return float(stats.f_oneway(*parts).pvalue), "analysis of variance"


def _category(
    values: pd.Series, by: pd.Series, groups: list, label: str, each: bool, own: bool, digits: int
) -> list[dict[str, Any]]:
    unknown = values.isna() | values.astype(str).str.strip().str.lower().isin(UNKNOWN)
    known, n = values[~unknown], int((~unknown).sum())
    levels = levels_of(known)
    counts = pd.DataFrame({g: [int(((values == v) & (by == g)).sum()) for v in levels] for g in groups}, index=levels)
    total = {g: int(((by == g) & ~unknown).sum()) for g in groups} if own else {g: int((by == g).sum()) for g in groups}
    found = categorical_test(counts) if len(levels) else None
    indicators = [np.stack([(values[(by == g) & ~unknown] == v).to_numpy(float) for v in levels], 1) for g in groups]
    smd = standardised_difference(indicators) if len(levels) > 1 else float("nan")
    name = f"{label} (n = {n})" if own else label
    rows = []
    for i, level in enumerate(levels):
        cells = {str(g): count_text(int(counts.loc[level, g]), total[g], digits) for g in groups}
        overall = count_text(int(counts.loc[level].sum()), sum(total.values()), digits)
        test = found if i == 0 and not each else None
        if each:
            test = categorical_test(np.stack([counts.loc[level], [total[g] for g in groups] - counts.loc[level]]))
        rows.append({"variable": name, "level": str(level), "overall": overall, **cells, "p": test.p if test else
        np.nan,
                     "test": test.test if test else "", "smd": smd if i == 0 else np.nan, "n": n})  # fmt: skip
    if unknown.any() and not own:
        cells = {str(g): count_text(int((unknown & (by == g)).sum()), total[g], digits) for g in groups}
        overall = count_text(int(unknown.sum()), len(values), digits)
        rows.append({"variable": name, "level": "Unknown", "overall": overall, **cells, "p": np.nan, "test": "",
                     "smd": np.nan, "n": len(values)})  # fmt: skip
    return rows


def standardised_difference(groups: Sequence[NDArray]) -> float:
    """Return the standardised mean difference of two groups; of more, the mean over all pairs.

    Parameters
    ----------
    groups
        Per group (patients, columns): one column of numbers, or an indicator for each level.

    Examples
    --------
    >>> round(standardised_difference([np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [3.0], [4.0]])]), 6)
    1.0
    """
    found = [_pair(a, b) for a, b in combinations(groups, 2)]
    return float(np.mean(found)) if found else float("nan")


def _pair(a: NDArray, b: NDArray) -> float:
    if not len(a) or not len(b):
        return float("nan")
    if a.shape[1] == 1:
        spread = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2) if min(len(a), len(b)) > 1 else np.nan
        return float(abs(a.mean() - b.mean()) / spread) if spread and spread > 0 else float("nan")
    one, two = a.mean(0)[1:], b.mean(0)[1:]

    def covariance(p: NDArray) -> NDArray:
        return np.diag(p) - np.outer(p, p)

    gap, pooled = one - two, (covariance(one) + covariance(two)) / 2
    return float(np.sqrt(max(gap @ np.linalg.pinv(pooled, hermitian=True) @ gap, 0)))


def lesion_hits(table: pd.DataFrame, lesions: Sequence[str]) -> pd.DataFrame:
    """Return ``any_lesion double_hit triple_hit`` (Y, N, missing where nothing was examined) of high-risk lesions.

    Examples
    --------
    >>> table = pd.DataFrame({"del17p": ["Y", "N", None], "gain1q": ["Y", "Y", None]})
    >>> lesion_hits(table, ["del17p", "gain1q"])["double_hit"].tolist()
    ['Y', 'N', None]
    """
    has_columns(table.columns, lesions, where="clinical.lesion_hits")
    flags = table[list(lesions)].apply(lambda c: c.astype("string").str.upper().isin(["Y", "YES", "1", "TRUE"]))
    examined, n = table[list(lesions)].notna().any(axis=1), flags.sum(axis=1)
    return pd.DataFrame({
        name: [("Y" if k >= least else "N") if seen else None for k, seen in zip(n, examined, strict=True)]
        for name, least in (("any_lesion", 1), ("double_hit", 2), ("triple_hit", 3))
    }, index=table.index)  # fmt: skip


def same_partition(table: pd.DataFrame, columns: Sequence[str], *, least: float = 0.9) -> list[tuple[str, str, float]]:
    """Return pairs of categories of which the first (nearly) fixes the second: their effects cannot be told apart.

    The share is how often the commonest value of the second within each level of the first is right; pairs from
    ``least`` are returned unless one value would be right as often anyway.

    Examples
    --------
    >>> table = pd.DataFrame({"site": list("aabbcc"), "drug": list("xxxxyy")})
    >>> same_partition(table, ["site", "drug"])
    [('site', 'drug', 1.0)]
    """
    found = []
    for one, other in combinations(columns, 2):
        for a, b in ((one, other), (other, one)):
            part = table[[a, b]].dropna()
            if part[a].nunique() < 2 or part[b].nunique() < 2:
                continue
            counts = pd.crosstab(part[a], part[b])
            share, alone = counts.max(axis=1).sum() / len(part), counts.sum().max() / len(part)
            if share >= least and (share - alone) >= 0.5 * (1 - alone):
                found.append((a, b, float(share)))
    return found
