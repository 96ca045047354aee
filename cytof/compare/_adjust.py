"""Benjamini-Hochberg adjusted p values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cytof.errors import UsageError

__all__ = ["adjust"]


def adjust(p: ArrayLike) -> NDArray[np.float64]:
    """Return Benjamini-Hochberg adjusted p values (q), as R's ``p.adjust(p, "BH")``.

    ``q_(i) = min over j >= i of min(1, m p_(j) / j)``, with m the number of p values that are not NaN.

    Parameters
    ----------
    p
        The p values of one family, any shape; NaN stays NaN and does not count.

    Returns
    -------
    float64, the shape of ``p``.

    Raises
    ------
    UsageError
        A value below 0 or above 1.

    Examples
    --------
    >>> adjust([0.01, 0.04, np.nan, 0.03]).round(3).tolist()
    [0.03, 0.04, nan, 0.04]

    Source: Benjamini and Hochberg 1995, J R Stat Soc B 57:289.
    """
    p = np.asarray(p, float)
    known = ~np.isnan(p)
    own = p[known]
    if ((own < 0) | (own > 1)).any():
        raise UsageError(f"p is {own[(own < 0) | (own > 1)][0]:g}, expected 0 to 1", where="adjust")
    falling = np.argsort(-own, kind="stable")
    rank = np.arange(len(own), 0, -1)
    q = np.empty(len(own))
    q[falling] = np.minimum.accumulate(np.minimum(1, own[falling] * len(own) / rank))
    out = np.full(p.shape, np.nan)
    out[known] = q
    return out
