"""Robust ellipse of the main cloud.

Source: Rousseeuw and Van Driessen 1999 (concentration steps of the minimum covariance determinant).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ellipse"]


def ellipse(points: NDArray, *, keep: float = 0.75, steps: int = 30) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return robust mean and covariance of the main cloud (concentration steps from the coordinate-wise median).

    Parameters
    ----------
    points
        Shape (n, d), at least d + 1 rows.
    keep
        Fraction of points the ellipse is fitted to.
    steps
        Most concentration steps; it ends earlier when the same points are kept. One reweighting at 97.5 % follows.

    Returns
    -------
    Mean, shape (d,), and covariance, shape (d, d), scaled so that it is the normal distribution's.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> cloud = np.r_[rng.normal(0, 1, (900, 2)), rng.normal(9, 1, (100, 2))]
    >>> bool(np.abs(ellipse(cloud)[0]).max() < 0.2)
    True
    """
    from scipy.special import gammainc, gammaincinv

    points = np.asarray(points, np.float64)
    dims = points.shape[1]

    def fitted(chosen: NDArray, fraction: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # a normal cut at the chi-squared quantile of `fraction` is narrower by this factor (dims and dims + 2)
        shrunk = gammainc(dims / 2 + 1, gammaincinv(dims / 2, fraction)) / fraction
        return points[chosen].mean(axis=0), np.cov(points[chosen].T) / shrunk + np.eye(dims) * 1e-9

    def distance(mean: NDArray, covariance: NDArray) -> NDArray[np.float64]:
        away = points - mean
        return np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)

    width = np.subtract(*np.percentile(points, [75, 25], axis=0)) / 1.349
    mean, covariance = np.median(points, axis=0), np.diag(np.maximum(width, 1e-6) ** 2)
    m = max(int(keep * len(points)), dims + 1)
    chosen = np.empty(0, np.int64)
    for _ in range(steps):
        nearest = np.sort(np.argsort(distance(mean, covariance), kind="stable")[:m])
        if np.array_equal(nearest, chosen):
            break
        chosen = nearest
        mean, covariance = fitted(chosen, keep)
    inside = np.flatnonzero(distance(mean, covariance) <= 2 * gammaincinv(dims / 2, 0.975))
    return fitted(inside, 0.975) if len(inside) > dims else (mean, covariance)
