"""Proportions with their intervals: exact (Clopper-Pearson), Wilson, mid-P."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import brentq

from cytof._check import has_columns, in_range, one_of
from cytof.clinical._columns import event_flags, levels_of
from cytof.clinical._result import Rate
from cytof.errors import UsageError

__all__ = ["patient_years", "rate", "rates"]

METHODS = {"exact": "Clopper-Pearson", "wilson": "Wilson", "midp": "mid-P"}


def rate(successes: int, n: int, method: str = "exact", *, level: float = 0.95) -> Rate:
    """Return a proportion with its interval.

    Parameters
    ----------
    successes, n
        Counts, 0 <= successes <= n, n > 0.
    method
        ``exact`` (Clopper-Pearson, as R's ``binom.test``), ``wilson`` (score, without continuity correction), ``midp``.
    level
        Coverage.

    Returns
    -------
    Rate: ``rate ci_low ci_high successes n method``, 0 to 1.

    Raises
    ------
    UsageError
        Counts that cannot be.

    Examples
    --------
    >>> found = rate(65, 74)
    >>> round(found.rate, 3), round(found.ci_low, 3), round(found.ci_high, 3)
    (0.878, 0.782, 0.943)

    Source: Clopper and Pearson 1934, Biometrika 26:404; Wilson 1927; mid-P: Lancaster 1961.
    """
    one_of(method, METHODS, "method", where="clinical.rate")
    in_range(level, 0.5, 0.9999, "level", where="clinical.rate")
    if not (float(successes).is_integer() and float(n).is_integer() and 0 <= successes <= n and n > 0):
        raise UsageError(f"found {successes} of {n}, expected whole numbers with 0 <= successes <= n and n > 0",
                         where="clinical.rate")  # fmt: skip
    k, n = int(successes), int(n)
    low, high = {"exact": _exact, "wilson": _wilson, "midp": _midp}[method](k, n, 1 - level)
    return Rate(k / n, float(low), float(high), k, n, METHODS[method])


def _exact(k: int, n: int, alpha: float) -> tuple[float, float]:
    low = 0.0 if k == 0 else stats.beta.ppf(alpha / 2, k, n - k + 1)
    return low, 1.0 if k == n else stats.beta.ppf(1 - alpha / 2, k + 1, n - k)


def _wilson(k: int, n: int, alpha: float) -> tuple[float, float]:
    z2 = stats.norm.ppf(1 - alpha / 2) ** 2
    middle, half = k + z2 / 2, np.sqrt(z2) * np.sqrt(k * (n - k) / n + z2 / 4)
    return max((middle - half) / (n + z2), 0.0), min((middle + half) / (n + z2), 1.0)


def _midp(k: int, n: int, alpha: float) -> tuple[float, float]:
    def above(p: float) -> float:
        return stats.binom.sf(k, n, p) + stats.binom.pmf(k, n, p) / 2

    def solve(of: Callable[[float], float]) -> float:
        return float(brentq(of, 1e-12, 1 - 1e-12, xtol=1e-14))

    low = 0.0 if k == 0 else solve(lambda p: above(p) - alpha / 2)
    return low, 1.0 if k == n else solve(lambda p: above(p) - 1 + alpha / 2)


def rates(
    table: pd.DataFrame, columns: dict[str, str], by: str | None = None, *, method: str = "exact"
) -> pd.DataFrame:
    """Return rates of several yes/no columns, by group: ``rate_of group successes n rate ci_low ci_high method``.

    Parameters
    ----------
    table
        One row a patient; missing values are not counted in ``n``.
    columns
        Name in the table of results -> yes/no column.
    by
        Column with groups.
    method
        As in :func:`rate`.

    Examples
    --------
    >>> table = pd.DataFrame({"cr": ["Y", "N", "Y", None]})
    >>> rates(table, {"CR": "cr"})[["rate_of", "successes", "n"]].values.tolist()
    [['CR', 2, 3]]
    """
    has_columns(table.columns, [*columns.values(), *([by] if by else [])], where="clinical.rates")
    groups = [("all", table)] + ([(g, table[table[by] == g]) for g in levels_of(table[by])] if by else [])
    rows = []
    for name, column in columns.items():
        for group, part in groups:
            known = part[column].dropna()
            if len(known):
                found = rate(int(event_flags(known, where=f"clinical.rates:{column}")[0].sum()), len(known), method)
                rows.append(
                    (name, group, found.successes, found.n, found.rate, found.ci_low, found.ci_high, found.method)
                )
    return pd.DataFrame(rows, columns=["rate_of", "group", "successes", "n", "rate", "ci_low", "ci_high", "method"])


def patient_years(events: int, years: float, *, per: float = 100.0, level: float = 0.95) -> dict[str, float]:
    """Return events per ``per`` patient-years with the exact Poisson interval.

    Examples
    --------
    >>> {k: round(v, 2) for k, v in patient_years(4, 200).items()}
    {'events': 4, 'years': 200, 'rate': 2.0, 'ci_low': 0.54, 'ci_high': 5.12}

    Source: Garwood 1936, Biometrika 28:437.
    """
    if events < 0 or not years > 0:
        raise UsageError(f"found {events} events in {years:g} years, expected events >= 0 and years > 0",
                         where="clinical.patient_years")  # fmt: skip
    low = stats.chi2.ppf((1 - level) / 2, 2 * events) / 2 if events else 0.0
    high = stats.chi2.ppf(0.5 + level / 2, 2 * events + 2) / 2
    return {"events": events, "years": years, "rate": events / years * per, "ci_low": float(low / years * per),
            "ci_high": float(high / years * per)}  # fmt: skip
