"""Shares that vary from tube to tube more than counting does: the beta-binomial model."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, lgamma

import numba
import numpy as np
from numpy.typing import NDArray

from cytof.compare._newton import information_error, maximise
from cytof.compare._polygamma import digamma, trigamma

__all__ = ["Fit", "beta_binomial", "binomial_start", "draw_beta_binomial"]

_NONE = -15.0  # logit of rho below which tubes vary by counting alone


@dataclass(frozen=True)
class Fit:
    """A fitted model of counts.

    Attributes
    ----------
    estimate, error
        Coefficients on the logit scale and their standard errors, shape (n_columns,).
    spread
        Intra-class correlation (beta-binomial) or standard deviation of the patients (random intercept).
    log_likelihood
        Without the constant of the binomial coefficients.

    Examples
    --------
    >>> Fit(np.zeros(1), np.ones(1), 0.1, -3.0).spread
    0.1
    """

    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    spread: float
    log_likelihood: float


@numba.njit(
    "Tuple((float64, float64[::1], float64[:, ::1]))(float64[::1], float64[:, ::1], float64[::1], float64[::1])",
    cache=True,
)
def _likelihood(
    at: NDArray, X: NDArray, n: NDArray, of: NDArray
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the log-likelihood, its gradient and second derivatives; the last parameter is the logit of rho."""
    k = X.shape[1]
    size = exp(-at[k])
    total, slope, curve = 0.0, np.zeros(k + 1), np.zeros((k + 1, k + 1))
    for i in range(len(n)):
        eta = 0.0
        for j in range(k):
            eta += X[i, j] * at[j]
        mu = min(max(1.0 / (1.0 + exp(-eta)), 1e-12), 1.0 - 1e-12)
        v, a, b, rest = mu * (1.0 - mu), mu * size, (1.0 - mu) * size, of[i] - n[i]
        total += lgamma(n[i] + a) - lgamma(a) + lgamma(rest + b) - lgamma(b) + lgamma(size) - lgamma(of[i] + size)
        to_a, to_b = digamma(n[i] + a) - digamma(a), digamma(rest + b) - digamma(b)
        to_size = mu * to_a + (1.0 - mu) * to_b + digamma(size) - digamma(of[i] + size)
        a2, b2 = trigamma(n[i] + a) - trigamma(a), trigamma(rest + b) - trigamma(b)
        s2 = trigamma(size) - trigamma(of[i] + size)
        to_eta = size * v * (to_a - to_b)
        eta2 = size * v * (1.0 - 2.0 * mu) * (to_a - to_b) + (size * v) ** 2 * (a2 + b2)
        cross = v * (to_a - to_b) + size * v * (mu * a2 - (1.0 - mu) * b2)
        for j in range(k):
            slope[j] += to_eta * X[i, j]
            curve[j, k] -= size * cross * X[i, j]
            for m in range(j + 1):
                curve[j, m] += eta2 * X[i, j] * X[i, m]
        slope[k] -= size * to_size
        curve[k, k] += size * to_size + size * size * (mu * mu * a2 + (1.0 - mu) ** 2 * b2 + s2)
    for j in range(k):
        curve[k, j] = curve[j, k]
        for m in range(j):
            curve[m, j] = curve[j, m]
    return total, slope, curve


@numba.njit("UniTuple(float64, 2)(float64, float64, float64)", cache=True)
def _expected_trigamma(of: float, a: float, b: float) -> tuple[float, float]:
    """Return the means of ``trigamma(n + a)`` and ``trigamma(of - n + b)`` over beta-binomial counts 0 to ``of``.

    Sums over the support from the mean outward, by recurrences of the weight and of trigamma, as far as weights count.
    """
    middle = np.floor(of * a / (a + b))
    mass, sum_a, sum_b = 0.0, 0.0, 0.0
    for way in (1, -1):
        y, weight = middle, 1.0
        own_a, own_b = trigamma(y + a), trigamma(of - y + b)
        while True:
            if way == 1 or y != middle:
                mass += weight
                sum_a += weight * own_a
                sum_b += weight * own_b
            if way == 1:
                if y >= of:
                    break
                weight *= (of - y) / (y + 1.0) * (y + a) / (of - y - 1.0 + b)
                own_a -= 1.0 / (y + a) ** 2
                own_b += 1.0 / (of - y - 1.0 + b) ** 2
                y += 1.0
            else:
                if y <= 0.0:
                    break
                weight *= y / (of - y + 1.0) * (of - y + b) / (y - 1.0 + a)
                own_a += 1.0 / (y - 1.0 + a) ** 2
                own_b -= 1.0 / (of - y + b) ** 2
                y -= 1.0
            if weight < 1e-18 * mass:
                break
    return sum_a / mass, sum_b / mass


@numba.njit("float64[:, ::1](float64[::1], float64[:, ::1], float64[::1])", cache=True)
def _expected(at: NDArray, X: NDArray, of: NDArray) -> NDArray[np.float64]:
    """Return the expected information of the coefficients and of the logit of rho, shape (k + 1, k + 1)."""
    k = X.shape[1]
    size = exp(-at[k])
    out = np.zeros((k + 1, k + 1))
    for i in range(len(of)):
        eta = 0.0
        for j in range(k):
            eta += X[i, j] * at[j]
        mu = min(max(1.0 / (1.0 + exp(-eta)), 1e-12), 1.0 - 1e-12)
        v, a, b = mu * (1.0 - mu), mu * size, (1.0 - mu) * size
        mean_a, mean_b = _expected_trigamma(of[i], a, b)
        a2, b2 = mean_a - trigamma(a), mean_b - trigamma(b)
        s2 = trigamma(size) - trigamma(of[i] + size)
        for j in range(k):
            out[j, k] += size * size * v * (mu * a2 - (1.0 - mu) * b2) * X[i, j]
            out[k, j] = out[j, k]
            for m in range(k):
                out[j, m] -= (size * v) ** 2 * (a2 + b2) * X[i, j] * X[i, m]
        out[k, k] -= size * size * (mu * mu * a2 + (1.0 - mu) ** 2 * b2 + s2)
    return out


def binomial_start(n: NDArray, of: NDArray, X: NDArray) -> NDArray[np.float64]:
    """Return coefficients to start from: least squares on empirical logits, shape (n_columns,).

    Examples
    --------
    >>> binomial_start(np.array([50.0]), np.array([100.0]), np.ones((1, 1))).tolist()
    [0.0]
    """
    return np.linalg.lstsq(X, np.log((n + 0.5) / (of - n + 0.5)), rcond=None)[0]


def beta_binomial(n: NDArray, of: NDArray, X: NDArray, *, start: NDArray | None = None, errors: bool = True) -> Fit:
    """Fit ``n ~ BetaBinomial(of, expit(X b), rho)`` by maximum likelihood.

    Parameters
    ----------
    n, of
        Cells of the population and of its denominator, shape (n_tubes,).
    X
        Columns of the model, shape (n_tubes, n_columns).
    start, errors
        Coefficients and logit of rho to start from; False leaves the standard errors NaN.

    Returns
    -------
    Fit; ``spread`` is rho, ``1 / (a + b + 1)``. Standard errors from the expected information, a sum over all counts a
    tube could have, as VGAM's; where tubes vary by counting alone, those of the binomial model.

    Examples
    --------
    >>> fit = beta_binomial(np.array([10, 30, 22, 9]), np.full(4, 100), np.ones((4, 1)))
    >>> round(float(1 / (1 + np.exp(-fit.estimate[0]))), 3)
    0.177

    Source: Yee 2015, Vector Generalized Linear and Additive Models, 11.4 (VGAM's ``betabinomial``).
    """
    n, of, X = (np.ascontiguousarray(v, float) for v in (n, of, X))
    k = X.shape[1]
    begin = np.append(binomial_start(n, of, X), -4.0) if start is None else np.asarray(start, float)
    low, high = np.append(np.full(k, -30.0), -16.0), np.append(np.full(k, 30.0), 8.0)
    at, value, _ = maximise(lambda b: _likelihood(b, X, n, of), begin, low, high)
    rho = 1 / (1 + np.exp(-at[-1]))
    error = np.full(k, np.nan)
    if errors and at[-1] < _NONE:
        mu = 1 / (1 + np.exp(-X @ at[:-1]))
        error = information_error((X.T * (of * mu * (1 - mu))) @ X)
    elif errors:
        error = information_error(_expected(at, X, of))[:-1]
    return Fit(at[:-1], error, float(rho), value)


def draw_beta_binomial(fit: Fit, X: NDArray, of: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw counts from a fitted model, shape (n_tubes,).

    Examples
    --------
    >>> fit = Fit(np.zeros(1), np.zeros(1), 0.01, 0.0)
    >>> draw_beta_binomial(fit, np.ones((2, 1)), np.array([100, 100]), np.random.default_rng(0)).shape
    (2,)
    """
    mu = 1 / (1 + np.exp(-X @ fit.estimate))
    size = (1 - fit.spread) / max(fit.spread, 1e-12)
    share = rng.beta(np.maximum(mu * size, 1e-9), np.maximum((1 - mu) * size, 1e-9)) if fit.spread > 1e-7 else mu
    return rng.binomial(np.asarray(of, np.int64), share)
