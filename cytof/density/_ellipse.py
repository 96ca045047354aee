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
        Most concentration steps; it ends earlier when the same points are kept.

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
    points = np.asarray(points, np.float64)
    mean = np.median(points, axis=0)
    width = np.subtract(*np.percentile(points, [75, 25], axis=0)) / 1.349
    covariance = np.diag(np.maximum(width, 1e-6) ** 2)
    from scipy.special import gammainc, gammaincinv

    m = max(int(keep * len(points)), points.shape[1] + 1)
    dims = points.shape[1]
    shrink = keep / gammainc(dims / 2 + 1, gammaincinv(dims / 2, keep))  # chi-squared, dims and dims + 2
    chosen: NDArray | None = None
    for _ in range(steps):
        away = points - mean
        distance = np.einsum("ij,jk,ik->i", away, np.linalg.inv(covariance), away)
        nearest = np.sort(np.argsort(distance, kind="stable")[:m])
        if chosen is not None and np.array_equal(nearest, chosen):
            break
        chosen = nearest
        mean = points[chosen].mean(axis=0)
        covariance = np.cov(points[chosen].T) * shrink + np.eye(dims) * 1e-9
    return mean, covariance
