"""Counts of patients seen more than once: the binomial model with a random intercept a patient."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cytof.compare._beta_binomial import Fit, binomial_start
from cytof.compare._newton import information_error, maximise

__all__ = ["draw_random_intercept", "random_intercept"]

_NODES, _WEIGHTS = np.polynomial.hermite.hermgauss(25)
_LOG_WEIGHTS = np.log(_WEIGHTS)


@numba.njit("float64(float64[::1], float64[::1], float64[::1], float64)", cache=True)
def _mode(eta: NDArray, n: NDArray, of: NDArray, sigma: float) -> float:
    """Return the mode of one patient's standardised intercept, by Newton's steps."""
    u = 0.0
    for _ in range(100):
        slope, curve = -u, 1.0
        for i in range(len(eta)):
            p = 1.0 / (1.0 + np.exp(-(eta[i] + sigma * u)))
            slope += sigma * (n[i] - of[i] * p)
            curve += sigma * sigma * of[i] * p * (1.0 - p)
        step = slope / curve
        step = min(max(step, -2.0), 2.0)
        u += step
        if abs(step) < 1e-10:
            break
    return u


@numba.njit(
    "Tuple((float64, float64[::1], float64[:, ::1]))(float64[::1], float64[:, ::1], float64[::1], float64[::1], "
    "int64[::1], float64[::1], float64[::1])",
    cache=True,
)
def _likelihood(
    at: NDArray, X: NDArray, n: NDArray, of: NDArray, starts: NDArray, nodes: NDArray, weights: NDArray
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the log-likelihood, its gradient and second derivatives (Louis' identity over the nodes).

    Rows are sorted by patient; the last column of ``X`` is filled with the intercept at a node, the last parameter is
    sigma.
    """
    k = len(at) - 1
    sigma: float = at[k]
    total, slope, curve = 0.0, np.zeros(k + 1), np.zeros((k + 1, k + 1))
    eta = np.zeros(len(n))
    for i in range(len(n)):
        for j in range(k):
            eta[i] += X[i, j] * at[j]
    log_part = np.empty(len(nodes))
    part, bend = np.empty((len(nodes), k + 1)), np.empty((len(nodes), k + 1, k + 1))
    for g in range(len(starts) - 1):
        low, high = starts[g], starts[g + 1]
        u0 = _mode(eta[low:high], n[low:high], of[low:high], sigma)
        peak = 1.0
        for i in range(low, high):
            p = 1.0 / (1.0 + np.exp(-(eta[i] + sigma * u0)))
            peak += sigma * sigma * of[i] * p * (1.0 - p)
        scale = 1.0 / np.sqrt(peak)
        part[:] = 0.0
        bend[:] = 0.0
        for q in range(len(nodes)):
            u = u0 + np.sqrt(2.0) * scale * nodes[q]
            value = weights[q] + nodes[q] * nodes[q] - 0.5 * u * u
            for i in range(low, high):
                X[i, k] = u
                e = eta[i] + sigma * u
                tail = np.exp(-abs(e))
                value += n[i] * e - of[i] * (max(e, 0.0) + np.log1p(tail))
                p = 1.0 / (1.0 + tail) if e >= 0.0 else tail / (1.0 + tail)
                rest, spread = n[i] - of[i] * p, of[i] * p * (1.0 - p)
                for j in range(k + 1):
                    part[q, j] += rest * X[i, j]
                    for m in range(j + 1):
                        bend[q, j, m] -= spread * X[i, j] * X[i, m]
            log_part[q] = value
        top = log_part.max()
        mass = 0.0
        for q in range(len(nodes)):
            log_part[q] = np.exp(log_part[q] - top)
            mass += log_part[q]
        total += top + np.log(mass) + np.log(scale) - 0.5 * np.log(np.pi)
        mean = np.zeros(k + 1)
        for q in range(len(nodes)):
            w = log_part[q] / mass
            for j in range(k + 1):
                mean[j] += w * part[q, j]
                for m in range(j + 1):
                    curve[j, m] += w * (bend[q, j, m] + part[q, j] * part[q, m])
        for j in range(k + 1):
            slope[j] += mean[j]
            for m in range(j + 1):
                curve[j, m] -= mean[j] * mean[m]
    for j in range(k + 1):
        for m in range(j):
            curve[m, j] = curve[j, m]
    return total, slope, curve


def random_intercept(
    n: NDArray, of: NDArray, X: NDArray, patient: NDArray, *, start: NDArray | None = None, errors: bool = True
) -> Fit:
    """Fit ``n ~ Binomial(of, expit(X b + u_patient))``, ``u ~ N(0, sd^2)``, by adaptive Gauss-Hermite, 25 nodes.

    Parameters
    ----------
    n, of
        Cells of the population and of its denominator, shape (n_tubes,).
    X
        Columns of the model, shape (n_tubes, n_columns).
    patient
        Code of the patient of each tube, shape (n_tubes,).
    start, errors
        Coefficients and standard deviation to start from; False leaves the standard errors NaN.

    Returns
    -------
    Fit; ``spread`` is the standard deviation of the patients. Standard errors from the observed information, as lme4's.

    Examples
    --------
    >>> fit = random_intercept(np.array([10, 30, 22, 9]), np.full(4, 100), np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> round(fit.spread, 3)
    0.0

    Source: Pinheiro and Chao 2006, J Comput Graph Stat 15:58 (lme4's ``glmer(nAGQ = 25)``); Louis 1982, J R Stat Soc B
    44:226 (second derivatives).
    """
    order = np.argsort(patient, kind="stable")
    n, of = (np.ascontiguousarray(np.asarray(v, float)[order]) for v in (n, of))
    X = np.asarray(X, float)[order]
    k = X.shape[1]
    starts = np.append(np.flatnonzero(np.diff(np.asarray(patient)[order], prepend=-1)), len(n)).astype(np.int64)
    wide = np.column_stack([X, np.zeros(len(n))])
    begin = np.append(binomial_start(n, of, X), 0.4) if start is None else np.asarray(start, float)
    low, high = np.append(np.full(k, -30.0), 0.0), np.append(np.full(k, 30.0), 10.0)
    at, value, curve = maximise(lambda b: _likelihood(b, wide, n, of, starts, _NODES, _LOG_WEIGHTS), begin, low, high)
    if at[-1] < 1e-4:  # patients do not vary: the plain binomial model
        curve = curve[:-1, :-1]
    error = information_error(-curve)[:k] if errors else np.full(k, np.nan)
    return Fit(at[:-1], error, float(at[-1]), value)


def draw_random_intercept(
    fit: Fit, X: NDArray, of: NDArray, patient: NDArray, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw counts from a fitted model, shape (n_tubes,).

    Examples
    --------
    >>> fit = Fit(np.zeros(1), np.zeros(1), 0.5, 0.0)
    >>> draw_random_intercept(fit, np.ones((2, 1)), np.array([9, 9]), np.array([0, 1]), np.random.default_rng(0)).shape
    (2,)
    """
    u = rng.normal(0, fit.spread, int(np.max(patient)) + 1)
    return rng.binomial(np.asarray(of, np.int64), 1 / (1 + np.exp(-(X @ fit.estimate + u[patient]))))
