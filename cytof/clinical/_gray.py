"""Gray's test: do groups have the same cumulative incidence of one cause while others compete."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gray"]


def gray(time: NDArray, code: NDArray, group: NDArray, cause: int, n_groups: int) -> tuple[float, int]:
    """Return Gray's statistic (rho = 0) and its degrees of freedom; NaN and 0 where the cause never occurred.

    Parameters
    ----------
    time, code, group
        (n,): follow-up, 0 censored or the cause from 1, group 0 .. ``n_groups`` - 1.
    cause
        Code that is tested.
    n_groups
        Number of groups.

    Examples
    --------
    >>> t, c, g = np.array([1.0, 2, 3, 4, 5, 6]), np.array([1, 1, 2, 0, 1, 2]), np.array([0, 0, 0, 1, 1, 1])
    >>> statistic, df = gray(t, c, g, 1, 2)
    >>> round(statistic, 3), df
    (2.438, 1)

    Source: Gray 1988, Ann Stat 16:1141, section 2 (score, eq. 2.7; variance, eq. 2.9 and the appendix).
    """
    k, free = n_groups, n_groups - 1
    s, var = np.zeros(free), np.zeros((free, free))
    left, incidence_left = np.ones(k), np.zeros(k)  # survival and incidence just before the time, by group
    c, v2, v3, pooled = np.zeros((k, k)), np.zeros((free, k)), np.zeros(k), 0.0
    for at in np.unique(time[code > 0]):
        risk = np.bincount(group[time >= at], minlength=k).astype(float)
        here = time == at
        own = np.bincount(group[here & (code == cause)], minlength=k).astype(float)
        other = np.bincount(group[here & (code > 0) & (code != cause)], minlength=k).astype(float)
        n_own, on = own.sum(), risk > 0
        safe = np.where(on, risk, 1.0)
        right = np.where(on, left * (safe - own - other) / safe, left)
        incidence_right = np.where(on, incidence_left + left * own / safe, incidence_left)
        weight = np.where(on & (left > 0), risk / np.where(left > 0, left, 1.0), 0.0)
        total, total_free = weight.sum(), (weight * (1 - incidence_left)).sum()
        after = pooled + n_own / total
        a = np.where(np.outer(on, on), np.diag(weight) - np.outer(weight, weight) / total, 0.0)
        c = c + a * n_own / (total * (1 - pooled))
        s += np.where(on, own - n_own * weight * (1 - incidence_left) / total_free, 0.0)[:free]
        if n_own > 0:
            t1 = np.where(right > 0, 1 - (1 - after) / np.where(right > 0, right, 1.0), 1.0)
            t2 = 1 - (n_own - 1) / (total * left - 1) if n_own > 1 else np.ones(k)
            t5 = np.where(on, t2 * left * n_own / (total * safe), 0.0)
            t3 = (a - t1 * c)[:free]
            v2 += np.where(on, t1 * t3 * t5, 0.0)
            v3 += t1**2 * t5
            var += (t3 * t5) @ t3.T
        hit = on & (other > 0) & (right > 0)
        if hit.any():
            t1 = np.where(hit, (1 - after) / np.where(hit, right, 1.0), 0.0)
            t2 = 1 - np.maximum(other - 1, 0) / np.maximum(risk - 1, 1)
            t5 = np.where(hit, left**2 * t2 * other / safe**2, 0.0)
            t3 = (t1 * c)[:free]
            v2 -= t1 * t3 * t5
            v3 += t1**2 * t5
            var += (t3 * t5) @ t3.T
        left, incidence_left, pooled = right, incidence_right, after
    part = c[:free]
    var += (part * v3) @ part.T + part @ v2.T + v2 @ part.T
    if not var.any():
        return float("nan"), 0
    return float(s @ np.linalg.pinv(var) @ s), free
