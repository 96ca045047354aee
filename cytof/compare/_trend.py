"""Shares over many visits: a slope a patient, and a spline where there are more than three visits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns, one_of
from cytof.compare._adjust import adjust
from cytof.compare._replicates import FLAT, finish, one_sample
from cytof.compare._shares import check_counts, shares_of
from cytof.keys import Obs, Tables

__all__ = ["spline_columns", "trend"]

NAN = float("nan")
_YEAR = 365.25
_BENDS_FROM = 8  # patients, for a spline of three columns; two below


def spline_columns(day: NDArray, *, df: int = 3) -> NDArray[np.float64]:
    """Return a natural cubic spline of days: ``df`` columns, straight beyond the outer knots; shape (n, df).

    Knots at the ends and at even quantiles of the distinct days.

    Examples
    --------
    >>> spline_columns(np.array([0.0, 1, 2, 3, 4]), df=2).shape
    (5, 2)

    Source: Hastie, Tibshirani and Friedman 2009, equation 5.4.
    """
    days = np.unique(day).astype(float)
    knots = np.quantile(days, np.linspace(0, 1, df + 1))
    z, knots = (day - days[0]) / (days[-1] - days[0]), (knots - days[0]) / (days[-1] - days[0])

    def bend(k: int) -> NDArray:
        return (np.maximum(z - knots[k], 0) ** 3 - np.maximum(z - knots[-1], 0) ** 3) / (knots[-1] - knots[k])

    return np.column_stack([z, *(bend(k) - bend(df - 1) for k in range(df - 1))])


def trend(table: pd.DataFrame, *, transform: str = "logit", shape: str = "auto") -> pd.DataFrame:
    """Test whether the share of each population changes over the days.

    Parameters
    ----------
    table
        As for :func:`abundance`, with ``day``.
    transform
        ``logit`` or ``arcsine``.
    shape
        ``line``: a slope a patient (from 2 visits), a t test of the slopes over patients, from 3 patients on; of one
        patient (from 3 visits) the t test of its own regression, visits being the unit. ``spline``: with more than
        three visits also a natural cubic spline over days, fitted patient by patient (2 columns, from 8 patients on 3)
        and its coefficients tested over patients by Hotelling's T2, so that patients whose own courses differ but have
        no direction in common are no evidence. It needs more patients than columns, and leaves out those with fewer
        visits than coefficients. ``auto``: both where there are more than three visits.

    Returns
    -------
    DataFrame, ``keys.Tables.TEST`` and ``note``: ``contrast`` is ``per year`` (estimate: change of the transformed
    share a year, with its interval) or ``spline over days`` (statistic F, no estimate). Where few cells are counted
    the visits of a patient are compared at equal depth, as in :func:`abundance`.

    Examples
    --------
    >>> rows = [(f"{p}{d}", p, d, "DN", 40 + d // 10, 1000) for p in "abc" for d in (0, 300 + ord(p), 700)]
    >>> columns = ["sample_id", "patient_id", "day", "population", "n", "n_denominator"]
    >>> found = trend(pd.DataFrame(rows, columns=columns), shape="line")
    >>> found[["contrast", "unit", "n_units"]].values.tolist(), found["estimate"].round(2).tolist()
    ([['per year', 'patient', 3]], [0.57])

    Source: Matthews et al. 1990, BMJ 300:230 (one summary a patient); Hotelling 1931, Ann Math Stat 2:360.
    """
    one_of(transform, ("logit", "arcsine"), "transform")
    one_of(shape, ("auto", "line", "spline"), "shape")
    needed = [Obs.SAMPLE, Obs.PATIENT, Obs.DAY, "population", "n", "n_denominator"]
    has_columns(table.columns, needed, where="compare.trend")
    table = check_counts(table, [Obs.PATIENT], "compare.trend")
    rows: list[dict[str, Any]] = []
    for population, whole in table.groupby("population", observed=True, sort=False):
        part = whole[(whole["n_denominator"] > 0) & np.isfinite(whole[Obs.DAY].astype(float))]
        head = {"subset": str(population), "marker": "share"}
        found = shares_of(part, transform)
        part = part.assign(_value=found.value, _counting=found.counting)
        made = []
        if shape != "spline":
            made.append(_line(part))
        if shape == "spline" or (shape == "auto" and part[Obs.DAY].nunique() > 3):
            made.append(_spline(part))
        rows.extend(head | _told(row, found.none, found.note) for row in made)
    out = pd.DataFrame(rows, columns=[*Tables.TEST, "note"])
    out["q"] = adjust(out["p"].to_numpy(float))
    return out


_NUMBERS = ("estimate", "ci_low", "ci_high", "statistic", "p")


def _told(row: dict[str, Any], none: str, note: str) -> dict[str, Any]:
    """Add what the shares have to say to a row; nothing is tested without cells."""
    if none:
        return row | dict.fromkeys(_NUMBERS, NAN) | {"note": none}
    return row | {"note": "; ".join(filter(None, (note, row["note"])))}


def _patients(part: pd.DataFrame) -> list[tuple[NDArray, NDArray, NDArray]]:
    """Return days, values and counting variances of each patient."""
    columns = (Obs.DAY, "_value", "_counting")
    return [tuple(own[c].to_numpy(float) for c in columns) for _, own in part.groupby(part[Obs.PATIENT].astype(str))]


def _fitted(X: NDArray, y: NDArray, counting: NDArray) -> tuple[NDArray, NDArray]:
    """Return the coefficients beside the intercept, and what counting of cells alone makes them vary by."""
    inverse = np.linalg.pinv(np.column_stack([np.ones(len(y)), X]))[1:]
    return inverse @ y, (inverse * counting) @ inverse.T


def _line(part: pd.DataFrame) -> dict[str, Any]:
    """Return the slope a year: over patients from three on, else of the visits of one."""
    each = _patients(part)
    slopes = [_fitted(day[:, None] / _YEAR, y, v) for day, y, v in each if len(np.unique(day)) > 1]
    row: dict[str, Any] = {"contrast": "per year", "unit": "patient", "n_units": len(slopes), "test": "t of slopes"}
    row |= dict.fromkeys(_NUMBERS, NAN) | {"note": ""}
    if len(slopes) >= 3:
        found = one_sample({i: float(slope[0]) for i, (slope, _) in enumerate(slopes)})
        if found["note"]:
            found["note"] = "the slopes of all patients are equal"
        counting = float(np.sqrt(sum(v[0, 0] for _, v in slopes))) / len(slopes)
        return row | finish([found | {"_counting": counting}], "t")[0] | {"test": "t of slopes"}
    if len(each) == 1 and len(np.unique(each[0][0])) >= 3:
        return row | _one_patient(*each[0])
    estimate = float(np.mean([slope[0] for slope, _ in slopes])) if slopes else NAN
    reason = "fewer than 3 patients with two visits" if len(each) > 1 else "fewer than 3 visits of one patient"
    return row | {"estimate": estimate, "note": reason}


def _one_patient(day: NDArray, y: NDArray, counting: NDArray) -> dict[str, Any]:
    """Return the t test of the regression of one patient's visits."""
    from scipy.stats import linregress, t

    found = linregress(day / _YEAR, y)
    row = {"unit": "visit", "n_units": len(y), "test": "t of one regression", "estimate": float(found.slope),
           "note": "visits of one patient: nothing is said of other patients"}  # fmt: skip
    rest = y - found.intercept - found.slope * day / _YEAR
    if np.abs(rest).max() <= FLAT * np.abs(y).max():
        return row | {"note": f"the visits lie on a line: no spread to test against; {row['note']}"}
    half = float(t.ppf(0.975, len(y) - 2)) * found.stderr
    row |= {"ci_low": found.slope - half, "ci_high": found.slope + half, "p": float(found.pvalue),
            "statistic": float(found.slope / found.stderr)}  # fmt: skip
    own = float(np.sqrt(_fitted(day[:, None] / _YEAR, y, counting)[1][0, 0]))
    return finish([row | {"_counting": own}], "t")[0]


def _spline(part: pd.DataFrame) -> dict[str, Any]:
    """Return Hotelling's T2 of the coefficients of a spline over days that is fitted patient by patient."""
    from scipy.stats import chi2, f

    each = _patients(part)
    row = {"contrast": "spline over days", "unit": "patient", "test": "F of spline", "n_units": len(each), "note": ""}
    row |= dict.fromkeys(_NUMBERS, NAN)
    days = part[Obs.DAY].nunique()
    if days <= 3:
        return row | {"note": f"a spline needs more than 3 visits, found {days}"}
    q = 3 if len(each) >= _BENDS_FROM else 2
    bent = spline_columns(part[Obs.DAY].to_numpy(float), df=q)
    codes = pd.factorize(part[Obs.PATIENT].astype(str), sort=True)[0]
    own = [bent[codes == i] for i in range(len(each))]
    enough = [i for i, X in enumerate(own) if np.linalg.matrix_rank(X - X.mean(axis=0)) == q]
    n, lost = len(enough), len(each) - len(enough)
    left = f"{lost} patient{'s' if lost > 1 else ''} with fewer than {q + 1} visits left out" if lost else ""
    row |= {"n_units": n, "note": left}
    if n <= q:
        short = f"a spline needs {q + 1} patients with {q + 1} visits, found {n}: of fewer nothing is said of others"
        return row | {"note": "; ".join(filter(None, (short, left)))}
    fits = [_fitted(own[i], *each[i][1:]) for i in enough]
    at = np.stack([coefficient for coefficient, _ in fits])
    mean, spread = at.mean(axis=0), np.atleast_2d(np.cov(at, rowvar=False))
    if np.linalg.matrix_rank(spread, hermitian=True) < q:
        return row | {"note": "; ".join(filter(None, ("the courses of patients do not differ", left)))}
    ratio = float(mean @ np.linalg.solve(spread, mean)) * n * (n - q) / (q * (n - 1))
    p = float(f.sf(ratio, q, n - q))
    counting = np.sum([v for _, v in fits], axis=0) / n**2
    if np.isfinite(counting).all():  # few cells: no smaller than counting allows
        p = max(p, float(chi2.sf(mean @ np.linalg.pinv(counting) @ mean, q)))
    return row | {"statistic": ratio, "p": p}
