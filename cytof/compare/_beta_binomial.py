"""Shares that vary from tube to tube more than counting does: the beta-binomial model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "beta_binomial", "draw_beta_binomial"]


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


def _negative(beta: NDArray, X: NDArray, n: NDArray, of: NDArray) -> tuple[float, NDArray]:
    """Return the negative log-likelihood and its gradient; the last parameter is the logit of the correlation."""
    from scipy.special import digamma, expit, gammaln

    rho = float(np.clip(expit(beta[-1]), 1e-9, 1 - 1e-9))
    mu = np.clip(expit(X @ beta[:-1]), 1e-12, 1 - 1e-12)
    size = (1 - rho) / rho
    a, b = mu * size, (1 - mu) * size
    value = gammaln(n + a) - gammaln(a) + gammaln(of - n + b) - gammaln(b) + gammaln(size) - gammaln(of + size)
    to_a = digamma(n + a) - digamma(a)
    to_b = digamma(of - n + b) - digamma(b)
    to_size = digamma(size) - digamma(of + size) + mu * to_a + (1 - mu) * to_b
    slope = X.T @ ((to_a - to_b) * size * mu * (1 - mu))
    return -float(value.sum()), -np.append(slope, to_size.sum() * -size)  # d size / d logit(rho) = -size


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
    Fit; ``spread`` is rho, ``1 / (a + b + 1)``. Standard errors from the observed information.

    Examples
    --------
    >>> fit = beta_binomial(np.array([10, 30, 22, 9]), np.full(4, 100), np.ones((4, 1)))
    >>> round(float(1 / (1 + np.exp(-fit.estimate[0]))), 3)
    0.177

    Source: Yee 2015, Vector Generalized Linear and Additive Models, 11.4 (VGAM's ``betabinomial``).
    """
    from scipy.optimize import minimize

    n, of, X = np.asarray(n, float), np.asarray(of, float), np.asarray(X, float)
    if start is None:
        share = np.log((n + 0.5) / (of - n + 0.5))
        start = np.append(np.linalg.lstsq(X, share, rcond=None)[0], -4.0)
    bounds = [(-30.0, 30.0)] * X.shape[1] + [(-16.0, 8.0)]
    found = minimize(
        _negative, start, args=(X, n, of), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"ftol": 1e-12, "gtol": 1e-6, "maxiter": 500},
    )  # fmt: skip
    from scipy.special import expit

    error = _errors(found.x, X, n, of) if errors else np.full(X.shape[1], np.nan)
    return Fit(found.x[:-1], error, float(expit(found.x[-1])), -float(found.fun))


def _errors(at: NDArray, X: NDArray, n: NDArray, of: NDArray) -> NDArray[np.float64]:
    """Return standard errors of the coefficients: central differences of the gradient, inverted."""
    k = len(at)
    step = 1e-4
    hessian = np.empty((k, k))
    for i in range(k):
        move = np.eye(k)[i] * step
        hessian[i] = (_negative(at + move, X, n, of)[1] - _negative(at - move, X, n, of)[1]) / (2 * step)
    hessian = (hessian + hessian.T) / 2
    if at[-1] < -15 or not np.linalg.eigvalsh(hessian)[0] > 0:  # no variation between tubes: the binomial model
        hessian = hessian[:-1, :-1]
    return np.sqrt(np.diag(np.linalg.pinv(hessian)))[: k - 1]


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
