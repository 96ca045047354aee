"""Counts of patients seen more than once: the binomial model with a random intercept a patient."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from cytof.compare._beta_binomial import Fit

__all__ = ["draw_random_intercept", "random_intercept"]

NODES = 25


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
    "Tuple((float64, float64[::1]))(float64[::1], float64[:, ::1], float64[::1], float64[::1], int64[::1], "
    "float64[::1], float64[::1])",
    cache=True,
)
def _negative(
    at: NDArray, X: NDArray, n: NDArray, of: NDArray, starts: NDArray, nodes: NDArray, weights: NDArray
) -> tuple[float, NDArray]:
    """Return the negative log-likelihood and gradient; rows are sorted by patient, the last parameter is sigma."""
    k = X.shape[1]
    sigma: float = at[k]  # type: ignore[assignment]
    total, slope = 0.0, np.zeros(k + 1)
    eta = np.empty(len(n))
    for i in range(len(n)):
        eta[i] = 0.0
        for j in range(k):
            eta[i] += X[i, j] * at[j]
    log_part, part = np.empty(len(nodes)), np.empty((len(nodes), k + 1))
    for g in range(len(starts) - 1):
        low, high = starts[g], starts[g + 1]
        u0 = _mode(eta[low:high].copy(), n[low:high].copy(), of[low:high].copy(), sigma)
        curve = 1.0
        for i in range(low, high):
            p = 1.0 / (1.0 + np.exp(-(eta[i] + sigma * u0)))
            curve += sigma * sigma * of[i] * p * (1.0 - p)
        scale = 1.0 / np.sqrt(curve)
        for q in range(len(nodes)):
            u = u0 + np.sqrt(2.0) * scale * nodes[q]
            value = weights[q] + nodes[q] * nodes[q] - 0.5 * u * u
            part[q, :] = 0.0
            for i in range(low, high):
                e = eta[i] + sigma * u
                value += n[i] * e - of[i] * (max(e, 0.0) + np.log1p(np.exp(-abs(e))))
                rest = n[i] - of[i] / (1.0 + np.exp(-e))
                for j in range(k):
                    part[q, j] += rest * X[i, j]
                part[q, k] += rest * u
            log_part[q] = value
        top = log_part.max()
        mass = 0.0
        for q in range(len(nodes)):
            log_part[q] = np.exp(log_part[q] - top)
            mass += log_part[q]
        total += top + np.log(mass) + np.log(scale) - 0.5 * np.log(np.pi)
        for q in range(len(nodes)):
            for j in range(k + 1):
                slope[j] += log_part[q] / mass * part[q, j]
    return -total, -slope


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
    Fit; ``spread`` is the standard deviation of the patients. Standard errors from the observed information.

    Examples
    --------
    >>> fit = random_intercept(np.array([10, 30, 22, 9]), np.full(4, 100), np.ones((4, 1)), np.array([0, 0, 1, 1]))
    >>> round(fit.spread, 3)
    0.0

    Source: Pinheiro and Chao 2006, J Comput Graph Stat 15:58 (lme4's ``glmer(nAGQ = 25)``).
    """
    from scipy.optimize import minimize

    order = np.argsort(patient, kind="stable")
    n, of = (np.ascontiguousarray(np.asarray(v, float)[order]) for v in (n, of))
    X = np.ascontiguousarray(np.asarray(X, float)[order])
    starts = np.append(np.flatnonzero(np.diff(np.asarray(patient)[order], prepend=-1)), len(n)).astype(np.int64)
    nodes, weights = np.polynomial.hermite.hermgauss(NODES)
    rest = (X, n, of, starts, nodes, np.log(weights))
    if start is None:
        start = np.append(np.linalg.lstsq(X, np.log((n + 0.5) / (of - n + 0.5)), rcond=None)[0], 0.4)
    bounds = [(-30.0, 30.0)] * X.shape[1] + [(0.0, 10.0)]
    found = minimize(
        _negative, start, args=rest, jac=True, method="L-BFGS-B", bounds=bounds,
        options={"ftol": 1e-12, "gtol": 1e-6, "maxiter": 500},
    )  # fmt: skip
    error = _errors(found.x, rest) if errors else np.full(X.shape[1], np.nan)
    return Fit(found.x[:-1], error, float(found.x[-1]), -float(found.fun))


def _errors(at: NDArray, rest: tuple) -> NDArray[np.float64]:
    """Return standard errors of the coefficients; at sigma 0 those of the plain binomial model."""
    k = len(at)
    hessian, step = np.empty((k, k)), 1e-4
    for i in range(k):
        move = np.eye(k)[i] * step
        hessian[i] = (_negative(at + move, *rest)[1] - _negative(at - move, *rest)[1]) / (2 * step)
    hessian = (hessian + hessian.T) / 2
    if at[-1] < step or not np.linalg.eigvalsh(hessian)[0] > 0:
        hessian = hessian[:-1, :-1]
    return np.sqrt(np.diag(np.linalg.pinv(hessian)))[: k - 1]


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
