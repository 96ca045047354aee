"""One assay over the days: values on a log axis, open and with an arrow where they are below their limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _plain, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["assay"]


def assay(
    courses: pd.DataFrame, *, color: str = "patient_id", palette: Mapping[str, str] | None = None, name: str = "",
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw one assay of :func:`cytof.track.courses` over the days, one line a patient.

    Parameters
    ----------
    courses
        ``day value limit below_limit unit assay`` and ``color``; optional ``after_reinfusion``, drawn grey.
    color
        Column with a line each.
    palette
        Colours of the lines; the usual ones when None.
    name
        Of the vertical axis; the assay and its unit when empty.
    ax
        Axes to draw in; a new figure of 89 mm when None. Panels of several assays share their axis of days by
        ``plt.subplots(n, 1, sharex=True)``.

    Returns
    -------
    Axes, logarithmic where all values are above 0. A value below its limit stands open at the limit, with an arrow.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"patient_id": "P1", "day": [60.0, 1825.0], "assay": "transgene", "value": [9000.0, 20.0],
    ...                       "unit": "copies/ug DNA", "limit": 50.0, "below_limit": [False, True]})
    >>> ax = assay(table)
    >>> ax.get_yscale(), ax.get_ylabel()
    ('log', 'transgene, copies/ug DNA')
    """
    import numpy as np

    has_columns(courses.columns, ["day", "value", "limit", "below_limit", "unit", "assay", color], where="plot.assay")
    lines = in_order(courses[color])
    palette = palette or (colors(lines) if len(lines) > 1 else dict.fromkeys(lines, "#0072b2"))
    below = courses["below_limit"].to_numpy(bool)
    place = courses["value"].where(~below | courses["limit"].isna(), courses["limit"]).fillna(0.0)
    late = courses["after_reinfusion"].to_numpy(bool) if "after_reinfusion" in courses else np.zeros(len(below), bool)
    with style():
        ax = _axes(ax)
        if len(place) and (place > 0).all():
            ax.set_yscale("log")
        for line in lines:
            own = (courses[color].astype(str) == line).to_numpy()
            x, y = courses.loc[own, "day"].to_numpy(float), place[own].to_numpy(float)
            order = np.argsort(x, kind="stable")
            ax.plot(x[order], y[order], color=palette[line], linewidth=1.0)
            for mask, face in ((~below[own], palette[line]), (below[own], "white")):
                ax.plot(x[mask], y[mask], "o", color=palette[line], markerfacecolor=face, markersize=4)
        for x, y in zip(courses["day"][below], place[below], strict=True):
            ax.annotate("", (x, y), (0, -9), textcoords="offset points",
                        arrowprops={"arrowstyle": "<-", "linewidth": 0.7, "color": "#555555"})  # fmt: skip
        if late.any():
            ax.axvspan(float(courses["day"][late].min()), ax.get_xlim()[1], color="#d9d9d9", linewidth=0, zorder=0)
        if ax.get_yscale() == "linear":
            ax.set_ylim(bottom=0)
        _plain(ax)
        ax.margins(x=0.08, y=0.18)
        _decades(ax)
        first = courses.iloc[0] if len(courses) else {"assay": "", "unit": ""}
        ax.set_ylabel(name or f"{first['assay']}, {first['unit']}", fontsize=TEXT + 1)
        ax.set_xlabel("day", fontsize=TEXT + 1)
        if len(lines) > 1:
            key(ax, dict(palette), loc="upper right")
    return ax


def _decades(ax: Axes) -> None:
    """Write numbers, not powers, on a log axis: one to three a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    if ax.get_yscale() != "log":
        return
    low, high = ax.get_ylim()
    decades = LogLocator(10, subs=(1.0,) if high / low > 100 else (1.0, 2.0, 5.0))
    ax.yaxis.set_major_locator(decades if high / low > 4 else MaxNLocator(4))
    if high / low <= 4:
        ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
