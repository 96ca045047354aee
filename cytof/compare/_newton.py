"""Maximum of a likelihood by Newton's steps, from its gradient and matrix of second derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["information_error", "maximise"]

_Likelihood = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64], NDArray[np.float64]]]
"""Parameters -> log-likelihood, gradient, second derivatives."""

_LONGEST = 2.0  # longest step of a parameter


@numba.njit(
    "Tuple((float64[::1], float64))(float64[::1], float64[::1], float64[:, ::1], float64[::1], float64[::1])",
    cache=True,
)
def _direction(
    at: NDArray, slope: NDArray, curve: NDArray, low: NDArray, high: NDArray
) -> tuple[NDArray[np.float64], float]:
    """Return the step of the parameters that are not held at a bound, and the gain its slope promises."""
    step, gain = np.zeros(len(at)), 0.0
    free = np.flatnonzero(~(((at <= low) & (slope < 0)) | ((at >= high) & (slope > 0))))
    if not len(free):
        return step, gain
    sizes, axes = np.linalg.eigh(-curve[free][:, free])
    least = 1e-8 * max(np.abs(sizes).max(), 1e-12)
    for j in range(len(free)):
        inside = 0.0
        for i in range(len(free)):
            inside += axes[i, j] * slope[free[i]]
        for i in range(len(free)):
            step[free[i]] += axes[i, j] * inside / max(abs(sizes[j]), least)
    step *= min(1.0, _LONGEST / max(np.abs(step).max(), 1e-300))
    return step, np.sum(step * slope)


def maximise(
    likelihood: _Likelihood, start: NDArray, low: NDArray, high: NDArray, *, most: int = 200
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return the place of the maximum, the log-likelihood and the second derivatives there.

    Newton's direction where the second derivatives point to a maximum, else along their absolute eigenvalues; steps are
    halved until the likelihood rises, and end at the bounds.

    Parameters
    ----------
    likelihood
        Parameters, shape (k,), -> value, gradient (k,), second derivatives (k, k).
    start, low, high
        Shape (k,).
    most
        Steps at most.

    Examples
    --------
    >>> at, value, _ = maximise(lambda b: (-float(b[0] ** 2), -2 * b, np.array([[-2.0]])), np.ones(1),
    ...                         np.array([-9.0]), np.array([9.0]))
    >>> float(at[0]), value
    (0.0, -0.0)

    Source: Nocedal and Wright 2006, Numerical Optimization, 3.4.
    """
    at = np.minimum(np.maximum(np.asarray(start, float), low), high)
    value, slope, curve = likelihood(at)
    for _ in range(most):
        step, gain = _direction(at, slope, curve, low, high)
        if gain < 1e-12 * max(1.0, abs(value)):
            break
        for _ in range(40):
            tried = np.minimum(np.maximum(at + step, low), high)
            found = likelihood(tried)
            if found[0] >= value or gain < 1e-9:
                break
            step, gain = step / 2, gain / 2
        if not found[0] > value:
            break
        at, (value, slope, curve) = tried, found
    return at, value, curve


def information_error(information: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return standard errors from an information matrix, shape (k, k).

    Examples
    --------
    >>> information_error(np.array([[4.0]])).tolist()
    [0.5]
    """
    return np.sqrt(np.maximum(np.diag(np.linalg.pinv(information)), 0.0))
