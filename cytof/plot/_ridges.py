"""Ridges: the density of a marker in each group, one above the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._composition import _as_given, _short
from cytof.plot._style import TEXT, _axes, _plain, brief, colors, style
from cytof.plot._violins import _only

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["ridges"]


def ridges(
    table: pd.DataFrame, *, marker: str | None = None, palette: Mapping[str, str] | None = None,
    overlap: float = 1.6, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw the density of one marker in each group as ridges, the first group on top.

    Parameters
    ----------
    table
        Columns ``group marker n x density`` (:func:`cytof.track.densities`).
    marker
        Which to draw, where the table holds several.
    palette
        Group -> colour; :func:`colors` when None.
    overlap
        Height of each ridge, in rows. Each is drawn to its own height: shapes are compared, numbers stand beside.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a body a group (``ax.collections``), tick labels ``<group> (n)``.

    Raises
    ------
    UsageError
        A column is missing, or the table holds several markers and none was named.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": ["1"] * 3, "marker": "Ki67", "n": 812, "x": [0, 1, 2.0], "density": [0, 1, 0.0]})
    >>> [t.get_text() for t in ridges(table).get_yticklabels()]
    ['1 (812)']
    """
    has_columns(table.columns, ["group", "marker", "n", "x", "density"], where="plot.ridges")
    here = _only(table, "marker", marker, "plot.ridges")
    groups = _as_given(here["group"])
    palette = palette or colors(groups)
    with style():
        ax = _axes(ax, height=12.0 + 6.0 * len(groups))
        n = here.astype({"group": str}).drop_duplicates("group").set_index("group")["n"]
        for place, group in enumerate(groups):
            part = here[here["group"].astype(str) == group]
            foot, high = -float(place), max(float(part["density"].max()), 1e-12)
            ax.fill_between(part["x"], foot, foot + part["density"] / high * overlap, facecolor=palette[group],
                            edgecolor="white", linewidth=0.5, zorder=place + 1)  # fmt: skip
        _plain(ax)
        ax.set_yticks([-p for p in range(len(groups))], [f"{brief(g)} ({_short(int(n[g]))})" for g in groups],
                      fontsize=TEXT)  # fmt: skip
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_ylim(-len(groups) + 0.9, overlap + 0.1)
        ax.set_xlabel(f"{brief(str(here['marker'].iloc[0]))}, arcsinh", fontsize=TEXT + 1)
    return ax
