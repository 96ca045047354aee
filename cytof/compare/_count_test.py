"""Tests in models of counts: t of the coefficient over its error from leaving out one patient at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof.compare._beta_binomial import Fit, beta_binomial
from cytof.compare._random_intercept import random_intercept

__all__ = ["COUNT_MODELS", "count_test", "patient_df"]

COUNT_MODELS = ("beta-binomial", "binomial-mixed")
NAN = float("nan")


def _fit(model: str, n: NDArray, of: NDArray, X: NDArray, patient: NDArray, start: NDArray | None = None) -> Fit:
    if model == "beta-binomial":
        return beta_binomial(n, of, X, start=start, errors=start is None)
    return random_intercept(n, of, X, patient, start=start, errors=start is None)


def patient_df(X: NDArray, patient: NDArray) -> int:
    """Return the degrees of freedom that patients give to the last column of ``X``.

    Patients less the columns that differ within them where every patient has both levels (pairs: n - 1), else patients
    less all columns (two groups: n - 2).

    Examples
    --------
    >>> late = np.repeat([0.0, 1.0], 6)
    >>> X = np.column_stack([np.ones(12), late])
    >>> patient_df(X, np.tile(np.arange(6), 2)), patient_df(X, np.arange(12))
    (5, 10)
    """
    tubes = np.bincount(patient)
    late = np.bincount(patient, X[:, -1] != X[0, -1])
    if not ((late > 0) & (late < tubes)).all():
        return len(tubes) - int(np.linalg.matrix_rank(X))
    means = np.stack([np.bincount(patient, column) / tubes for column in X.T], axis=1)
    return len(tubes) - int(np.linalg.matrix_rank(X - means[patient]))


def _without(model: str, n: NDArray, of: NDArray, X: NDArray, patient: NDArray, fit: Fit) -> list[float]:
    """Return the last coefficient without each patient in turn; NaN where it cannot be told any more."""
    last = np.log(max(fit.spread, 1e-6) / max(1 - fit.spread, 1e-6)) if model == "beta-binomial" else fit.spread
    start = np.append(fit.estimate, last if model == "beta-binomial" else max(last, 0.05))
    found = []
    for one in range(int(patient.max()) + 1):
        keep = patient != one
        few = X[keep]
        own = _both(n[keep], of[keep], few[:, -1])
        if own and X.shape[1] > 2:  # beside other columns
            own = np.linalg.matrix_rank(few) > np.linalg.matrix_rank(few[:, :-1])
        found.append(float(_fit(model, n[keep], of[keep], few, patient[keep], start).estimate[-1]) if own else NAN)
    return found


def _both(n: NDArray, of: NDArray, late: NDArray) -> bool:
    """Tell whether there are cells of the population, and others, at both levels."""
    side = late == late[0]
    return all(0 < n[s].sum() < of[s].sum() for s in (side, ~side))


def count_test(model: str, n: NDArray, of: NDArray, X: NDArray, patient: NDArray) -> dict[str, Any]:
    """Test the last column of ``X`` (0 or 1) in a model of counts.

    t is the coefficient over its jackknife error, ``sqrt((m - 1) / m sum (b_(-i) - mean)^2)`` over the m patients left
    out in turn, on the degrees of freedom of :func:`patient_df`. Wald's z and the chi-squared likelihood ratio of these
    models reject too often with few patients, and half of true nulls where tubes vary in a way the model lacks; the
    jackknife does not rely on the model's variance (``benchmarks/calibration.py``).

    Parameters
    ----------
    model
        ``beta-binomial`` or ``binomial-mixed``.
    n, of, X, patient
        See :func:`beta_binomial` and :func:`random_intercept`; patients are coded 0, 1, ...

    Returns
    -------
    ``estimate ci_low ci_high`` (log odds ratio), ``statistic p`` and ``spread`` of the model; ``reason`` where a level,
    also without one patient, has no cell of the population or no other, so that the ratio cannot be told.

    Examples
    --------
    >>> n, of = np.array([10, 12, 9, 11, 13, 8, 20, 25, 19, 22, 26, 18]), np.full(12, 100)
    >>> X = np.stack([np.ones(12), np.repeat([0.0, 1.0], 6)], axis=1)
    >>> found = count_test("beta-binomial", n, of, X, np.tile(np.arange(6), 2))
    >>> round(found["estimate"], 2), found["p"] < 0.001
    (0.86, True)

    Source: Mancl and DeRouen 2001, Biometrics 57:126 (few clusters); Efron and Tibshirani 1993, 11.5 (jackknife).
    """
    from scipy.special import stdtr, stdtrit

    out: dict[str, Any] = dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p", "spread"), NAN)
    if not _both(n, of, X[:, -1]):
        return out | {"reason": "no cell, or every cell, of a level is of the population"}
    fit = _fit(model, n, of, X, patient)
    estimate = float(fit.estimate[-1])
    out |= {"estimate": estimate, "spread": fit.spread}
    without = np.array(_without(model, n, of, X, patient, fit))
    if np.isnan(without).any():
        return out | {"reason": "without one of the patients the change cannot be told"}
    m, df = len(without), patient_df(X, patient)
    error = float(np.sqrt((m - 1) / m * np.sum((without - without.mean()) ** 2)))
    if df < 1 or not error > 0:
        return out | {"reason": "too few patients for these columns" if df < 1 else "patients do not differ at all"}
    t, half = estimate / error, float(stdtrit(df, 0.975)) * error
    return out | {"ci_low": estimate - half, "ci_high": estimate + half, "statistic": t,
                  "p": float(2 * stdtr(df, -abs(t))), "reason": ""}  # fmt: skip
