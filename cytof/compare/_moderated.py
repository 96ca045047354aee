"""limma's moderated t: the variance of each marker is drawn towards what the markers share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Prior", "moderate", "squeeze"]


@dataclass(frozen=True)
class Prior:
    """What the variances share: ``s2`` on ``df`` degrees of freedom (inf where they are all alike).

    Examples
    --------
    >>> Prior(0.1, 4.0).df
    4.0
    """

    s2: float
    df: float


def _trigamma_inverse(x: float) -> float:
    """Solve ``trigamma(y) = x`` by Newton's steps on ``1 / trigamma``."""
    from scipy.special import polygamma

    if x > 1e7:
        return float(1 / np.sqrt(x))
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        value = float(polygamma(1, y))
        step = value * (1 - value / x) / float(polygamma(2, y))
        y += step
        if -step / y < 1e-8:
            break
    return y


def squeeze(s2: ArrayLike, df: ArrayLike) -> Prior:
    """Estimate the prior variance and its degrees of freedom from the variances of all markers.

    Parameters
    ----------
    s2, df
        Variance and degrees of freedom of each marker, shape (n_markers,); rows with NaN or without degrees of freedom
        are left out. Below two markers there is nothing to share: ``df`` 0.

    Examples
    --------
    >>> squeeze([1.0, 1.1, 0.9, 1.0], [4, 4, 4, 4]).df
    inf

    Source: Smyth 2004, Stat Appl Genet Mol Biol 3:3, section 6.2 (limma's ``fitFDist``).
    """
    variance, free = np.asarray(s2, float), np.asarray(df, float)
    return _prior(*(v[np.isfinite(variance) & (variance >= 0) & (free > 0)] for v in (variance, free)))


def _prior(s2: NDArray[np.float64], df: NDArray[np.float64]) -> Prior:
    from scipy.special import digamma, polygamma

    if len(s2) < 2 or not np.median(s2) > 0:
        return Prior(float("nan"), 0.0)
    s2 = np.maximum(s2, 1e-5 * np.median(s2))
    e = np.log(s2) - digamma(df / 2) + np.log(df / 2)
    spread = float(e.var(ddof=1) - polygamma(1, df / 2).mean())
    if spread <= 0:
        return Prior(float(s2.mean()), float("inf"))
    prior = 2 * _trigamma_inverse(spread)
    return Prior(float(np.exp(e.mean() + digamma(prior / 2) - np.log(prior / 2))), prior)


def moderate(
    estimate: ArrayLike, s2: ArrayLike, unscaled: ArrayLike, df: ArrayLike, *, level: float = 0.95
) -> dict[str, NDArray[np.float64]]:
    """Return ``statistic p ci_low ci_high df`` of the moderated t test of each estimate, as limma's ``eBayes``.

    Parameters
    ----------
    estimate, s2, unscaled, df
        Shape (n_markers,): the estimates, residual variances, ``variance of the estimate / s2``, residual degrees of
        freedom.

    Examples
    --------
    >>> found = moderate([1.0, 0.2], [0.5, 0.1], [0.25, 0.25], [3, 3])
    >>> found["statistic"].round(2).tolist()
    [3.4, 0.85]

    Source: Smyth 2004, equation 3 and section 4; degrees of freedom at most the sum of all, as in limma.
    """
    from scipy.special import stdtr, stdtrit

    effect, variance, times, free = (np.asarray(v, float) for v in (estimate, s2, unscaled, df))
    prior = squeeze(variance, free)
    if prior.df == 0:
        post, total = variance, free
    elif np.isinf(prior.df):
        post, total = np.full(variance.shape, prior.s2), np.full(variance.shape, np.inf)
    else:
        post, total = (prior.df * prior.s2 + free * variance) / (prior.df + free), prior.df + free
    known = np.isfinite(variance) & (free > 0)
    total = np.minimum(total, free[known].sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(known & (post > 0), np.sqrt(post * times), np.nan)
        t = effect / error
        half = stdtrit(total, (1 + level) / 2) * error
    return {
        "statistic": t, "p": 2 * stdtr(total, -np.abs(t)), "ci_low": effect - half, "ci_high": effect + half,
        "df": np.where(known, total, np.nan),
    }  # fmt: skip
