"""Estimates with their intervals, a row each: changes of markers, trends of shares, ratios of assays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _plain, brief, colors, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["intervals"]

_NOTHING = 1e-9  # width of an axis below which nothing differs


def intervals(
    table: pd.DataFrame, *, value: str = "estimate", label: str = "marker", color: str | None = None,
    line: float | None = 0.0, hollow: str | None = None, reason: str | None = None, name: str = "",
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a dot with its interval for each row; rows of one label stand beneath each other.

    Parameters
    ----------
    table
        ``value label ci_low ci_high``, and the columns named by ``color`` and ``hollow``.
    value, label
        Estimate, and the word of the row.
    color
        Column with a colour each (visits, samples; dark to light in order of the table); None for one colour.
    line
        Drawn where nothing differs; None for none, and a logarithmic axis, as shares and ratios of assays have it.
    hollow
        Column of True and False: dots drawn open, for what is not to be relied on.
    reason
        Column with words for rows without an estimate.
    name
        Of the axis.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"marker": ["Ki67", "CD38"], "estimate": [0.4, -0.2], "ci_low": [0.1, -0.5],
    ...                       "ci_high": [0.7, 0.1]})
    >>> [t.get_text() for t in intervals(table).get_yticklabels()]
    ['Ki67', 'CD38']
    """
    import numpy as np

    log = line is None
    wanted = [value, label, "ci_low", "ci_high", *(c for c in (color, hollow, reason) if c)]
    has_columns(table.columns, wanted, where="plot.intervals")
    labels = list(dict.fromkeys(table[label].astype(str)))
    groups = list(dict.fromkeys(table[color].astype(str))) if color else [""]
    palette = colors(groups, "visits") if len(groups) > 1 else dict.fromkeys(groups, "#0072b2")
    with style():
        ax = _axes(ax, height=16 + 4.5 * len(labels) * max(1, len(groups) / 2))
        if log:
            _ratio_scale(ax, table[table[value] > 0])
        if line is not None:
            ax.axvline(line, color="#7f7f7f", linestyle=":", linewidth=0.7, zorder=0)
        for g, group in enumerate(groups):
            own = table[table[color].astype(str) == group] if color else table
            own = own[own[value].notna() & ((own[value] > 0) if log else True)]
            y = np.array([labels.index(str(v)) for v in own[label]], float)
            y += ((g + 0.5) / len(groups) - 0.5) * 0.72
            ink = palette[group]
            ax.hlines(y, own["ci_low"], own["ci_high"], color=ink, linewidth=0.9)
            open_ = own[hollow].to_numpy(bool) if hollow else np.zeros(len(own), bool)
            for mask, face in ((~open_, ink), (open_, "white")):
                ax.plot(own[value].to_numpy(float)[mask], y[mask], "o", color=ink, markerfacecolor=face, markersize=3.2)
        for word, row in table[table[value].isna()].groupby(label, sort=False) if reason else ():
            ax.text(0.02, labels.index(str(word)), str(row[reason].iloc[0]), transform=ax.get_yaxis_transform(),
                    fontsize=TEXT, color="#555555", va="center")  # fmt: skip
        ax.set_yticks(range(len(labels)), [brief(v, 30) for v in labels], fontsize=TEXT)
        ax.set_ylim(len(labels) - 0.4, -0.6)
        if line is not None and np.ptp(ax.get_xlim()) < _NOTHING:  # equal but for rounding
            ax.set_xlim(line - 1, line + 1)
        _plain(ax)
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(name or value, fontsize=TEXT + 1)
        if len(groups) > 1:
            key(ax, palette, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _ratio_scale(ax: Axes, known: pd.DataFrame) -> None:
    """Make the axis logarithmic, with numbers instead of powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.set_xscale("log")
    low, high = (float(known["ci_low"].min()), float(known["ci_high"].max())) if len(known) else (1.0, 1.0)
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if low <= 0 or high / low > 200 else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:.10g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
