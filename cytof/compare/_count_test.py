"""Tests in models of counts: t of the coefficient over its error from leaving out one patient at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof.compare._beta_binomial import Fit, beta_binomial
from cytof.compare._random_intercept import random_intercept

__all__ = ["COUNT_MODELS", "count_test", "patient_df", "patient_weights"]

COUNT_MODELS = ("beta-binomial", "binomial-mixed")
NAN = float("nan")
_FEWEST = 3  # patients of a group


def _fit(model: str, n: NDArray, of: NDArray, X: NDArray, patient: NDArray, start: NDArray | None = None) -> Fit:
    if model == "beta-binomial":
        return beta_binomial(n, of, X, start=start, errors=start is None)
    return random_intercept(n, of, X, patient, start=start, errors=start is None)


def patient_df(X: NDArray, patient: NDArray, weight: NDArray) -> float:
    """Return the degrees of freedom that patients give to the last column of ``X``.

    Where every patient has both levels, patients count by how evenly they weigh, ``(sum w)^2 / sum w^2`` of them, less
    the columns that differ within patients (even pairs: n - 1). Where each has one level, patients differ by more than
    by counting and count alike: Welch and Satterthwaite's of the two groups (equal groups: n - 2) less further columns.
    Else they count by how evenly they weigh, less all columns.

    Parameters
    ----------
    X, patient
        Columns of the model and codes of the patients, one row a tube.
    weight
        Share of each patient in the variance of the coefficient, from :func:`patient_weights`.

    Examples
    --------
    >>> late = np.repeat([0.0, 1.0], 6)
    >>> X = np.column_stack([np.ones(12), late])
    >>> patient_df(X, np.tile(np.arange(6), 2), np.ones(6)), round(patient_df(X, np.arange(12), np.ones(12)), 9)
    (5.0, 10.0)
    >>> round(patient_df(X, np.tile(np.arange(6), 2), np.array([9.0, 1, 1, 1, 1, 1])), 2)
    1.28

    Source: Satterthwaite 1946; Bell and McCaffrey 2002, Surv Methodol 28:169 (few clusters that weigh unevenly).
    """
    tubes = np.bincount(patient)
    late = np.bincount(patient, X[:, -1] != X[0, -1])
    rank = int(np.linalg.matrix_rank(X))
    if ((late > 0) & (late < tubes)).all():
        means = np.stack([np.bincount(patient, column) / tubes for column in X.T], axis=1)
        return _even(weight) - int(np.linalg.matrix_rank(X - means[patient]))
    if ((late > 0) & (late < tubes)).any():
        return _even(weight) - rank
    sizes = np.array([np.sum(late > 0), np.sum(late == 0)])
    return float(np.sum(1 / sizes) ** 2 / np.sum(1 / (sizes**2 * np.maximum(sizes - 1, 1e-9)))) - (rank - 2)


def _even(weight: NDArray) -> float:
    """Return how many patients of equal weight these are worth."""
    return float(weight.sum() ** 2 / np.sum(weight**2))


def patient_weights(model: str, fit: Fit, of: NDArray, X: NDArray, patient: NDArray) -> NDArray[np.float64]:
    """Return the share of each patient in the variance of the last coefficient of a fitted model; shape (n_patients,).

    Of the information ``I = sum X_i' V_i^-1 X_i`` it is ``a' (X_i' V_i^-1 X_i) a`` with a the last column of ``I^-1``:
    V_i is what binomial counts with the fitted intercept of patients, or beta-binomial counts, vary by.

    Examples
    --------
    >>> X = np.column_stack([np.ones(4), [0.0, 1, 0, 1]])
    >>> fit = Fit(np.array([-2.0, 0]), np.zeros(2), 0.5, 0.0)
    >>> of, patient = np.array([100, 100, 900, 900]), np.array([0, 0, 1, 1])
    >>> patient_weights("binomial-mixed", fit, of, X, patient).round(2).tolist()
    [0.1, 0.9]
    """
    mu = 1 / (1 + np.exp(-X @ fit.estimate))
    information = of * mu * (1 - mu)
    shared = fit.spread**2
    if model == "beta-binomial":
        information, shared = information / (1 + (of - 1) * fit.spread), 0.0
    parts = []
    for one in range(int(patient.max()) + 1):
        own, w = X[patient == one], information[patient == one]
        moved = own.T @ w
        parts.append((own.T * w) @ own - shared / (1 + shared * w.sum()) * np.outer(moved, moved))
    last = np.linalg.pinv(np.sum(parts, axis=0))[:, -1]
    weight = np.array([last @ part @ last for part in parts])
    return weight / weight.sum()


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
    out in turn, on the degrees of freedom of :func:`patient_df`: where a few patients have most of the cells, a few
    patients are all there is. Wald's z and the chi-squared likelihood ratio of these models reject too often with few
    patients, and half of true nulls where tubes vary in a way the model lacks; the jackknife does not rely on the
    model's variance (``benchmarks/calibration.py``).

    Parameters
    ----------
    model
        ``beta-binomial`` or ``binomial-mixed``.
    n, of, X, patient
        See :func:`beta_binomial` and :func:`random_intercept`; patients are coded 0, 1, ...

    Returns
    -------
    ``estimate ci_low ci_high`` (log odds ratio), ``statistic p df`` and ``spread`` of the model; ``reason`` where a
    level, also without one patient, has no cell of the population or no other, so that the ratio cannot be told, a
    group has fewer than 3 patients, or next to all cells are those of one patient.

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

    out: dict[str, Any] = dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p", "spread", "df"), NAN)
    if not _both(n, of, X[:, -1]):
        return out | {"reason": "no cell, or every cell, of a level is of the population: take `t`"}
    fit = _fit(model, n, of, X, patient)
    estimate = float(fit.estimate[-1])
    out |= {"estimate": estimate, "spread": fit.spread}
    without = np.array(_without(model, n, of, X, patient, fit))
    if np.isnan(without).any():
        return out | {"reason": "without one of the patients the change cannot be told: take `t`"}
    small = _small(X, patient)
    if small:
        return out | {"reason": small}
    weight = patient_weights(model, fit, of, X, patient)
    m, df = len(without), patient_df(X, patient, weight)
    error = float(np.sqrt((m - 1) / m * np.sum((without - without.mean()) ** 2)))
    if not error > 1e-5 * max(1.0, abs(estimate)):
        return out | {"reason": "patients do not differ at all"}
    if df < 1:
        return out | {"reason": f"cells are spread so unevenly that patients are worth {_even(weight):.1f} alike: take "
                      f"`{'t' if model == 'beta-binomial' else 'beta-binomial'}`"}  # fmt: skip
    t, half = estimate / error, float(stdtrit(df, 0.975)) * error
    return out | {"ci_low": estimate - half, "ci_high": estimate + half, "statistic": t, "df": df,
                  "p": float(2 * stdtr(df, -abs(t))), "reason": ""}  # fmt: skip


def _small(X: NDArray, patient: NDArray) -> str:
    """Say that a group of patients with one level each is too small; empty where patients have both or are enough."""
    groups = [set(patient[X[:, -1] == v].tolist()) for v in np.unique(X[:, -1])]
    if len(groups) < 2 or groups[0] & groups[1] or min(map(len, groups)) >= _FEWEST:
        return ""
    few = min(map(len, groups))
    return f"{few} patient{'s' if few > 1 else ''} in a group, models of counts need {_FEWEST}: take `moderated-t`"
