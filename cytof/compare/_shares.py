"""Shares of populations on the scale of a test, and at equal depth where so few cells are counted that depth shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.compare._replicates import in_both
from cytof.errors import UsageError
from cytof.keys import Obs

__all__ = ["FEW_CELLS", "Shares", "blank", "check_counts", "counting_variance", "share_scale", "shares_of", "thinned"]

FEW_CELLS: Final = 5.0
"""Cells of a population (or of all others) expected in a tube; below them tubes are compared at equal depth."""

NAN = float("nan")


@dataclass(frozen=True)
class Shares:
    """Shares on the scale of the test, one a tube.

    Attributes
    ----------
    value
        Shape (n_tubes,), NaN of a tube without cells.
    counting
        Variance that counting alone gives each value; NaN where cells are many enough not to ask.
    note
        What was done; empty where cells are many.
    none
        Why nothing can be tested: no cell, or every cell, is of the population.
    """

    value: NDArray[np.float64]
    counting: NDArray[np.float64]
    note: str = ""
    none: str = ""


def share_scale(n: NDArray, of: NDArray, transform: str) -> NDArray[np.float64]:
    """Return shares on the scale of the test: ``logit`` of (n + 1/2) / (of + 1), or ``arcsine`` of the square root.

    Examples
    --------
    >>> float(share_scale(np.array([50.0]), np.array([100.0]), "logit")[0])
    0.0
    """
    n, of = np.asarray(n, float), np.asarray(of, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log((n + 0.5) / (of - n + 0.5)) if transform == "logit" else np.arcsin(np.sqrt(n / of))
    return np.where(of > 0, found, NAN)


def _span(low: float, high: float, mean: float, sd: float) -> NDArray[np.float64]:
    """Return the counts from low to high that a distribution reaches: 10 standard deviations and 20 cells."""
    reach = 10 * sd + 20
    return np.arange(max(low, np.floor(mean - reach)), min(high, np.ceil(mean + reach)) + 1)


def thinned(n: float, of: float, depth: float, transform: str) -> float:
    """Return the mean of the transformed share over every way to draw ``depth`` of the ``of`` cells of a tube.

    The number of cells of the population among them is hypergeometric; over tubes of one true share the mean is that of
    tubes with ``depth`` cells, so that the bias which a transform has at few cells is the same on both sides.

    Examples
    --------
    >>> thinned(0, 900, 90, "logit") == float(share_scale(np.array([0]), np.array([90]), "logit")[0])
    True
    >>> round(thinned(1, 900, 90, "logit"), 3)
    -5.088

    Source: Hoffman et al. 2001, Biometrika 88:1121 (the mean over all draws in place of one).
    """
    if depth >= of:
        return float(share_scale(np.array([n]), np.array([of]), transform)[0])
    mean = depth * n / of
    k = _span(max(0, depth - (of - n)), min(n, depth), mean, float(np.sqrt(mean * (1 - n / of))))
    log = _log_ways(n, k) + _log_ways(of - n, depth - k)
    weight = np.exp(log - log.max())
    return float(weight @ share_scale(k, np.full(len(k), depth), transform) / weight.sum())


def _log_ways(total: float, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import gammaln

    return -gammaln(drawn + 1) - gammaln(total - drawn + 1)


def counting_variance(depth: float, share: float, transform: str) -> float:
    """Return the variance of the transformed share of ``depth`` cells by the binomial distribution.

    Examples
    --------
    >>> counting_variance(10_000, 0.5, "arcsine") < 1.01 / 40_000
    True
    """
    k = _span(0, depth, depth * share, float(np.sqrt(depth * share * (1 - share))))
    log = _log_ways(depth, k) + k * np.log(share) + (depth - k) * np.log1p(-share)
    weight, value = np.exp(log - log.max()), share_scale(k, np.full(len(k), depth), transform)
    mean = weight @ value / weight.sum()
    return float(weight @ (value - mean) ** 2 / weight.sum())


def shares_of(part: pd.DataFrame, transform: str, *, late: NDArray | None = None) -> Shares:
    """Return the shares of one population, at equal depth where fewer than 5 cells are expected in a tube.

    Expected are the cells of a tube times the pooled share. Equal depth is that of the smallest tube of a patient, or
    of all where no patient has both levels (``late``); None: patients are seen over visits.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": list("aabb"), "n": [0, 9, 2, 7], "n_denominator": [90, 900, 90, 900]})
    >>> found = shares_of(table, "logit", late=np.array([True, False, True, False]))
    >>> found.value.round(2).tolist(), found.note.split(";")[0]
    ([-5.2, -4.38, -3.57, -4.53], 'few cells (0.82 expected in a tube): tubes compared at equal depth')
    """
    n, of = (part[c].to_numpy(float) for c in ("n", "n_denominator"))
    value, nothing = share_scale(n, of, transform), np.full(len(n), NAN)
    known = np.isfinite(value)
    if not known.any():
        return Shares(value, nothing)
    share = float(n[known].sum() / of[known].sum())
    if share in (0.0, 1.0):
        return Shares(value, nothing, none=f"{'no' if share == 0 else 'every'} cell is of the population")
    fewest = float(of[known].min() * min(share, 1 - share))
    if fewest >= FEW_CELLS:
        return Shares(value, nothing)
    depth = _depths(part, of, known, late)
    value, counting = value.copy(), nothing
    for i in np.flatnonzero(known):
        value[i] = thinned(n[i], of[i], depth[i], transform)
        counting[i] = counting_variance(depth[i], share, transform) * depth[i] / of[i]
    return Shares(value, counting, f"few cells ({fewest:.2g} expected in a tube): tubes compared at equal depth; the "
                  "estimate is drawn towards 0")  # fmt: skip


def _depths(part: pd.DataFrame, of: NDArray, known: NDArray, late: NDArray | None) -> NDArray[np.float64]:
    who = part[Obs.PATIENT].astype(str).to_numpy()
    if late is not None and not in_both(who[known & late].tolist(), who[known & ~late].tolist()):
        return np.full(len(of), of[known].min())
    return pd.Series(np.where(known, of, np.inf)).groupby(who).transform("min").to_numpy()


def check_counts(table: pd.DataFrame, columns: Sequence[str], where: str) -> pd.DataFrame:
    """Refuse a table without rows, counts that cannot be, and blanks in ``columns``.

    Raises
    ------
    UsageError
        With the column and the first rows that are at fault.

    Examples
    --------
    >>> table = pd.DataFrame({"sample_id": ["a"], "patient_id": ["P"], "population": ["DN"], "n": [9],
    ...                       "n_denominator": [5]})
    >>> check_counts(table, [], "compare.abundance")
    Traceback (most recent call last):
    cytof.errors.UsageError: compare.abundance: n is above n_denominator or below 0 in a (DN): 9 of 5
    """
    if not len(table):
        raise UsageError("the table has no rows", where=where)
    n, of = (table[c].to_numpy(float) for c in ("n", "n_denominator"))
    wrong = np.flatnonzero((n > of) | (n < 0))
    if len(wrong):
        row = table.iloc[wrong[0]]
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise UsageError(
            f"n is above n_denominator or below 0 in {row[Obs.SAMPLE]} ({row['population']}): {row['n']:g} of "
            f"{row['n_denominator']:g}{more}", where=where,
        )  # fmt: skip
    for column in columns:
        missing = table.loc[blank(table[column]), Obs.SAMPLE].astype(str).unique().tolist()
        if missing:
            words = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            raise UsageError(
                f"`{column}` is blank for {words}", where=where, hint="fill it in, or leave these samples out"
            )
    return table.reset_index(drop=True)


def blank(column: pd.Series) -> NDArray[np.bool_]:
    """Tell which entries of a column are missing: NaN, nothing but spaces, or the word nan.

    Examples
    --------
    >>> blank(pd.Series(["a", " ", None, "nan"])).tolist()
    [False, True, True, True]
    """
    words = column.astype(object).where(column.notna(), "").astype(str).str.strip().str.lower()
    return words.isin(["", "nan"]).to_numpy()
