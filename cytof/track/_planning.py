"""How many events to acquire."""

from __future__ import annotations

from cytof._check import in_range
from cytof.errors import UsageError

__all__ = ["events_needed"]


def events_needed(fraction: float, cv: float | None = None, *, n_cells: int | None = None) -> int:
    """Return the events to acquire so that a population of this share is counted well enough.

    Parameters
    ----------
    fraction
        Share of the population among the events counted as its denominator, above 0 and below 1.
    cv
        Coefficient of variation of the count: ``(1 - fraction) / (fraction cv^2)`` events (binomial). 0.2 by default.
    n_cells
        Instead of ``cv``: this many cells of the population, expected.

    Returns
    -------
    Events, rounded up.

    Raises
    ------
    UsageError
        Both ``cv`` and ``n_cells``, or a number out of range.

    Examples
    --------
    The rule of 30 cells in at least 1.5 million for a residual disease of 2 in 100,000:

    >>> events_needed(2e-5, n_cells=30)
    1500000
    >>> events_needed(0.0024, 0.1)
    41567

    Source: Keeney et al. 1998, Cytometry 34:280 (r = (100 / CV)^2 events of interest).
    """
    import math

    in_range(fraction, 1e-12, 1 - 1e-12, "fraction", where="events_needed")
    if cv is not None and n_cells is not None:
        raise UsageError("both `cv` and `n_cells` are given", where="events_needed", hint="give one of them")
    if n_cells is not None:
        in_range(n_cells, 1, 1e9, "n_cells", where="events_needed")
        return math.ceil(round(n_cells / fraction, 6))
    cv = 0.2 if cv is None else in_range(cv, 1e-4, 10, "cv", where="events_needed")
    return math.ceil(round((1 - fraction) / (fraction * cv**2), 6))
