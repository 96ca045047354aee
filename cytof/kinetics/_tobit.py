"""A line through logarithms, some of them only known to lie below a limit.

Olsen's parameters (1/sigma and coefficients/sigma) make the log-likelihood concave, so that Newton's steps find its
one maximum. Source: Tobin 1958, Econometrica 26:24; Olsen 1978, Econometrica 46:1211.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST_SIGMA", "fit", "log_likelihood"]

SMALLEST_SIGMA = 1e-3
"""Residual spread is not let below this (0.1 %): three values on one line would make the likelihood endless."""

Vector = NDArray[np.float64]


def log_likelihood(residual: Vector, sigma: float, below: NDArray[np.bool_]) -> float:
    """Return the log-likelihood of residuals, where ``below`` ones count as the chance to lie under them.

    Examples
    --------
    >>> round(log_likelihood(np.array([0.0]), 1.0, np.array([False])), 4)
    -0.9189
    """
    from scipy.special import log_ndtr

    z = residual / sigma
    seen = -0.5 * z[~below] ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    return float(seen.sum() + log_ndtr(z[below]).sum())


def fit(design: Vector, y: Vector, below: NDArray[np.bool_], *, steps: int = 100) -> tuple[Vector, float, float]:
    """Return coefficients, sigma and log-likelihood of the censored normal regression of ``y`` on ``design``.

    Parameters
    ----------
    design
        Shape (n, p).
    y
        Logarithms; the limit's where ``below``. Shape (n,).
    below
        Known only to lie below ``y``.
    steps
        Newton steps at most.

    Examples
    --------
    >>> beta, sigma, _ = fit(np.ones((4, 1)), np.array([1.0, 3.0, 1.0, 3.0]), np.zeros(4, bool))
    >>> beta.round(6).tolist(), round(sigma, 6)
    ([2.0], 1.0)
    """
    seen = ~below
    start: Vector = np.linalg.lstsq(design[seen], y[seen], rcond=None)[0].astype(np.float64)
    sigma = max(float(np.sqrt(np.mean((y[seen] - design[seen] @ start) ** 2))), SMALLEST_SIGMA)
    if not below.any():
        return start, sigma, log_likelihood(y - design @ start, sigma, below)
    theta = np.r_[start / max(sigma, 0.1), 1 / max(sigma, 0.1)]
    value = _olsen(theta, design, y, below)
    for _ in range(steps):
        gradient, hessian = _slopes(theta, design, y, below)
        move = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        shorter = 1.0
        while shorter > 1e-10:
            trial = theta - shorter * move
            new = _olsen(trial, design, y, below) if 0 < trial[-1] < 1 / SMALLEST_SIGMA else -np.inf
            if new >= value:
                break
            shorter /= 2
        else:
            break
        gain, theta, value = new - value, trial, new
        if gain < 1e-11 * (1 + abs(value)):
            break
    sigma = 1 / float(theta[-1])
    return theta[:-1] * sigma, sigma, value


def _olsen(theta: Vector, design: Vector, y: Vector, below: NDArray[np.bool_]) -> float:
    sigma = 1 / theta[-1]
    return log_likelihood(y - design @ (theta[:-1] * sigma), sigma, below)


def _slopes(theta: Vector, design: Vector, y: Vector, below: NDArray[np.bool_]) -> tuple[Vector, Vector]:
    """Return gradient and Hessian in Olsen's parameters: z = gamma y - X delta."""
    from scipy.special import log_ndtr

    rows = np.c_[-design, y]
    z = rows @ theta
    mills = np.exp(-0.5 * z**2 - log_ndtr(z)) / np.sqrt(2 * np.pi)
    first = np.where(below, mills, -z)
    second = np.where(below, -mills * (z + mills), -1.0)
    gradient, hessian = rows.T @ first, (rows * second[:, None]).T @ rows
    n_seen = int((~below).sum())
    gradient[-1] += n_seen / theta[-1]
    hessian[-1, -1] -= n_seen / theta[-1] ** 2
    return gradient, hessian
