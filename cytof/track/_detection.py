"""Is a population there at all? The limit of blank of a gate, from cells that cannot belong to it.

The blanks of the CAR gate are populations that bear no CAR (B cells, monocytes): of ``m`` such cells ``b`` lie above
the threshold. Of ``N`` cells at risk (the gate's parent) ``n`` lie above it. Without a single CAR T cell both counts
come from one rate, so that given ``n + b`` the count ``n`` is binomial with share ``N / (N + m)`` (Currie's paired
counts, exact):

    LoB  = the largest x with  P(X >= x | x + b) = I_{N/(N+m)}(x, b + 1)  > alpha            (I: incomplete beta)
    LoD  = the smallest number of true cells that exceeds LoB in 95 of 100 such samples:
           gamma quantile(0.95; LoB + 1) - N b / m                                           (Poisson counts)

``detected`` when n > LoB. ``not detected`` when n <= LoB and LoD is at most 1 % of the cells at risk.
``not evaluable`` when neither: no cells at risk, no blank cells, or too few of either to have seen 1 %.

Source: Currie 1968, Anal Chem 40:586 (critical level of paired counts); Przyborowski and Wilenski 1940, Biometrika
31:313 (the exact conditional test); CLSI EP17-A2 (limit of blank, limit of detection).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["ALPHA", "SHARE_TO_SEE", "call", "limit_of_blank", "limit_of_detection", "pooled_blanks"]

ALPHA = 0.05
"""Share of blank samples above the limit of blank, and of samples at the limit of detection that are missed."""

SHARE_TO_SEE = 0.01
"""``not detected`` is said only where a population of this share of the cells at risk would have been detected."""


def limit_of_blank(n_above: int, n_blank: int, n_at_risk: int, *, alpha: float = ALPHA) -> float:
    """Return the largest count among ``n_at_risk`` cells that blanks alone explain.

    Parameters
    ----------
    n_above
        Blank cells above the threshold.
    n_blank
        Blank cells in all.
    n_at_risk
        Cells of the gate's parent.
    alpha
        Chance of exceeding the limit with no true cell.

    Returns
    -------
    Count; NaN without blank cells or cells at risk.

    Examples
    --------
    >>> limit_of_blank(0, 1000, 1000)
    4.0
    """
    from scipy.special import betainc

    if not (n_blank > 0 and n_at_risk > 0):
        return float("nan")
    share = n_at_risk / (n_at_risk + n_blank)
    low, high = 0, 1  # the chance falls with x: double, then halve
    while betainc(high, n_above + 1, share) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if betainc(middle, n_above + 1, share) > alpha else (low, middle)
    return float(low)


def limit_of_detection(n_above: int, n_blank: int, n_at_risk: int, *, alpha: float = ALPHA) -> float:
    """Return the number of true cells among ``n_at_risk`` that exceeds the limit of blank with chance ``1 - alpha``.

    Examples
    --------
    >>> round(limit_of_detection(0, 1000, 1000), 2)
    9.15
    """
    from scipy.special import gammaincinv

    limit = limit_of_blank(n_above, n_blank, n_at_risk, alpha=alpha)
    if np.isnan(limit):
        return limit
    return max(float(gammaincinv(limit + 1, 1 - alpha)) - n_at_risk * n_above / n_blank, 0.0)


def call(n: float, n_above: int, n_blank: int, n_at_risk: float) -> str:
    """Return ``detected``, ``not detected`` or ``not evaluable`` for ``n`` cells in the gate (rule above)."""
    if not (n_blank > 0 and n_at_risk > 0 and n >= 0):
        return "not evaluable"
    if n > limit_of_blank(n_above, n_blank, int(n_at_risk)):
        return "detected"
    seen = limit_of_detection(n_above, n_blank, int(n_at_risk)) <= SHARE_TO_SEE * n_at_risk
    return "not detected" if seen else "not evaluable"


def pooled_blanks(blanks: pd.DataFrame, sample_ids: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cells above the threshold and cells in all of the blanks of each sample; shape (n_samples,) both.

    The row ``all`` (every blank cell once) where there is one, else the sum over the kinds of blank.
    """
    if (blanks["blank"] == "all").any():
        blanks = blanks[blanks["blank"] == "all"]
    rows = (
        blanks.astype({"sample_id": str}).groupby("sample_id")[["n_above", "n"]].sum().reindex(sample_ids, fill_value=0)
    )
    return rows["n_above"].to_numpy(np.int64), rows["n"].to_numpy(np.int64)
