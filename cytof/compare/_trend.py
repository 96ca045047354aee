"""Shares over many visits: a slope a patient, and a spline where there are more than three visits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns, one_of
from cytof.compare._abundance import share_scale
from cytof.compare._adjust import adjust
from cytof.compare._replicates import compare_units
from cytof.keys import Obs, Tables

__all__ = ["spline_columns", "trend"]

NAN = float("nan")
_YEAR = 365.25


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
        three visits also an F test of a natural cubic spline over days beside an intercept a patient. ``auto``: both
        where there are more than three visits.

    Returns
    -------
    DataFrame, ``keys.Tables.TEST`` and ``note``: ``contrast`` is ``per year`` (estimate: change of the transformed
    share a year, with its interval) or ``spline over days`` (statistic F, no estimate).

    Examples
    --------
    >>> rows = [(f"{p}{d}", p, d, "DN", 40 + d // 10, 1000) for p in "abc" for d in (0, 300 + ord(p), 700)]
    >>> columns = ["sample_id", "patient_id", "day", "population", "n", "n_denominator"]
    >>> found = trend(pd.DataFrame(rows, columns=columns), shape="line")
    >>> found[["contrast", "unit", "n_units"]].values.tolist(), found["estimate"].round(2).tolist()
    ([['per year', 'patient', 3]], [0.57])

    Source: Matthews et al. 1990, BMJ 300:230 (one summary a patient).
    """
    one_of(transform, ("logit", "arcsine"), "transform")
    one_of(shape, ("auto", "line", "spline"), "shape")
    needed = [Obs.SAMPLE, Obs.PATIENT, Obs.DAY, "population", "n", "n_denominator"]
    has_columns(table.columns, needed, where="compare.trend")
    table = table.reset_index(drop=True)
    frame = table.assign(_value=share_scale(table["n"], table["n_denominator"], transform))
    rows: list[dict[str, Any]] = []
    for population, whole in frame.groupby("population", observed=True, sort=False):
        part = whole[np.isfinite(whole["_value"]) & np.isfinite(whole[Obs.DAY].astype(float))]
        head = {"subset": str(population), "marker": "share"}
        if shape != "spline":
            rows.append(head | _line(part))
        if shape == "spline" or (shape == "auto" and part[Obs.DAY].nunique() > 3):
            rows.append(head | _spline(part))
    out = pd.DataFrame(rows, columns=[*Tables.TEST, "note"])
    out["q"] = adjust(out["p"].to_numpy(float))
    return out


def _slope(part: pd.DataFrame) -> float:
    day = part[Obs.DAY].to_numpy(float)
    if len(np.unique(day)) < 2:
        return NAN
    return float(np.polyfit(day / _YEAR, part["_value"].to_numpy(float), 1)[0])


def _line(part: pd.DataFrame) -> dict[str, Any]:
    """Return the slope a year: over patients from three on, else of the visits of one."""
    slopes = {i: _slope(own) for i, (_, own) in enumerate(part.groupby(part[Obs.PATIENT].astype(str)))}
    known = {i: s for i, s in slopes.items() if not np.isnan(s)}
    empty = {"contrast": "per year", "unit": "patient", "n_units": len(known), "test": "t of slopes"}
    empty |= dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p"), NAN)
    if len(known) >= 3:
        row = compare_units(known, dict.fromkeys(known, 0.0), test="t", words=("", ""))
        return empty | {k: v for k, v in row.items() if not k.startswith("_") and k != "test"}
    if len(slopes) == 1 and part[Obs.DAY].nunique() >= 3:
        from scipy.stats import linregress, t

        found = linregress(part[Obs.DAY].to_numpy(float) / _YEAR, part["_value"].to_numpy(float))
        half = float(t.ppf(0.975, len(part) - 2)) * found.stderr
        return empty | {
            "unit": "visit", "n_units": len(part), "test": "t of one regression", "estimate": float(found.slope),
            "ci_low": found.slope - half, "ci_high": found.slope + half,
            "statistic": float(found.slope / found.stderr) if found.stderr > 0 else NAN, "p": float(found.pvalue),
            "note": "visits of one patient: nothing is said of other patients",
        }  # fmt: skip
    estimate = float(np.mean(list(known.values()))) if known else NAN
    reason = "fewer than 3 patients with two visits" if len(slopes) > 1 else "fewer than 3 visits of one patient"
    return empty | {"estimate": estimate, "note": reason}


def _spline(part: pd.DataFrame) -> dict[str, Any]:
    """Return the F test of a spline over days beside an intercept a patient."""
    from scipy.stats import f

    codes, who = pd.factorize(part[Obs.PATIENT].astype(str), sort=True)
    row = {"contrast": "spline over days", "unit": "patient", "n_units": len(who), "test": "F of spline"}
    row |= dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p"), NAN)
    days = part[Obs.DAY].nunique()
    if days <= 3:
        return row | {"note": f"a spline needs more than 3 visits, found {days}"}
    y, small = part["_value"].to_numpy(float), np.eye(len(who))[codes]
    bent = spline_columns(part[Obs.DAY].to_numpy(float))
    large = np.column_stack([small, bent])
    rest = [y - X @ np.linalg.lstsq(X, y, rcond=None)[0] for X in (small, large)]
    rank = int(np.linalg.matrix_rank(large))
    more, free = rank - len(who), len(y) - rank
    if free < 1 or more < 1 or not rest[1] @ rest[1] > 0:
        return row | {"note": f"{len(y)} samples are too few for {rank} coefficients"}
    ratio = float((rest[0] @ rest[0] - rest[1] @ rest[1]) / more / (rest[1] @ rest[1] / free))
    note = "" if len(who) >= 3 else "visits are the unit: nothing is said of other patients"
    return row | {"statistic": ratio, "p": float(f.sf(ratio, more, free)), "note": note}
