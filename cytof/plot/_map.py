"""Maps (t-SNE, UMAP): one point a cell, coloured by category or by marker; one panel a visit with shared axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cytof._check import has_columns
from cytof.plot._style import TEXT, _axes, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

__all__ = ["key", "map", "maps"]

_BACKGROUND = "#e3e3e3"


def map(
    table: pd.DataFrame, *, color: str = "flowsom", palette: Mapping[str, str] | None = None, size: float = 1.2,
    legend: bool = True, name: str = "t-SNE", ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw cells on a map, coloured by a category or, for a column of numbers, by a marker.

    Parameters
    ----------
    table
        Columns ``x y`` and ``color``, one row a cell in the order in which they are drawn (:func:`cytof.track.map`).
    color
        Column to colour by. Text or categorical: fixed colours per category. Float (a marker, or the ``density`` of
        :func:`cytof.track.map_density`): viridis over ``table.attrs["range"]``, or from lowest to highest.
    palette
        Category -> colour; :func:`colors` of the categories when None.
    size
        Diameter of a point, in points.
    legend
        Draw the legend (or colour bar).
    name
        Name of the map, for the axes.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes. Points are one rasterised collection; text stays text.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> ax = map(pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "flowsom": ["1", "2"]}))
    >>> len(ax.collections[0].get_offsets())
    2
    """
    has_columns(table.columns, ["x", "y", color], where="plot.map")
    with style():
        ax = _axes(ax, height=75.0)
        if _is_number(table[color]):
            low, high = table.attrs.get("range", (table[color].min(), table[color].max()))
            points = _points(ax, table, table[color].to_numpy(float), size, vmin=low, vmax=high, cmap="viridis")
            if legend:
                _scale(ax.figure, points, ax, color)
        else:
            names = in_order(table[color])
            palette = palette or colors(names)
            _points(ax, table, table[color].astype(str).map(palette).fillna(_BACKGROUND).to_numpy(), size)
            if legend:
                key(ax, {n: palette[n] for n in names}, title=color, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _frame(ax, name)
    return ax


def maps(
    table: pd.DataFrame, figure: FigureBase, *, by: str = "timepoint", color: str = "flowsom",
    palette: Mapping[str, str] | None = None, columns: int | None = None, size: float = 1.2, name: str = "t-SNE",
) -> np.ndarray:  # fmt: skip
    """Fill a figure with one map per level of ``by``, on shared axes, all cells in grey behind each.

    Parameters
    ----------
    table
        As for :func:`map`, with the column ``by``.
    figure
        Figure or subfigure to fill.
    by
        Column that splits the panels; their order is the categorical's, else natural.
    color, palette, size
        As for :func:`map`.
    columns
        Panels in a row; all in one row up to four when None.
    name
        Name of the map, for the axes.

    Returns
    -------
    Array of Axes, one a level, in order.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> t = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "flowsom": ["1", "2"], "timepoint": ["2mo", "1yr"]})
    >>> [ax.get_title() for ax in maps(t, Figure(), columns=2)]
    ['1yr (n = 1)', '2mo (n = 1)']
    """
    import numpy as np

    has_columns(table.columns, ["x", "y", color, by], where="plot.maps")
    with style():
        levels, number = in_order(table[by]), _is_number(table[color])
        names = [] if number else in_order(table[color])
        palette = palette or colors(names)
        span = table.attrs.get("range", (table[color].min(), table[color].max())) if number else None
        columns = columns or min(len(levels), 4) or 1
        rows = -(-len(levels) // columns) or 1
        grid = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)).ravel()
        for ax, level in zip(grid, levels, strict=False):
            here = table[table[by].astype(str) == level]
            here.attrs["range"] = span
            _points(ax, table, _BACKGROUND, size * 0.7)
            map(here, color=color, palette=palette, size=size, legend=False, name=name, ax=ax)
            ax.set_title(f"{brief(level)} (n = {len(here):,})", fontsize=TEXT + 1)
        for place, ax in enumerate(grid):
            ax.set_visible(place < len(levels))
            ax.set_xlabel(ax.get_xlabel() if place >= len(levels) - columns else "")
            ax.set_ylabel(ax.get_ylabel() if place % columns == 0 else "")
        if number:
            _scale(figure, grid[0].collections[-1], list(grid), color)
        else:
            key(figure, {n: palette[n] for n in names}, title=None, loc="outside right center")
    return grid[: len(levels)]


def key(home: Any, palette: Mapping[str, str], *, title: str | None = None, **place: Any) -> Any:
    """Draw a legend of round marks, one a category, on Axes or on a figure; returns the legend.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> legend = key(Figure().subplots(), {"1": "#2d5ad2"})
    >>> legend.get_texts()[0].get_text()
    '1'
    """
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], linestyle="", marker="o", markersize=4, markeredgewidth=0, color=c, label=brief(n, 24))
        for n, c in palette.items()
    ]
    rows = {"ncols": -(-len(marks) // 16)} if "ncols" not in place else {}
    return home.legend(
        handles=marks, title=title, fontsize=TEXT, title_fontsize=TEXT, frameon=False, handletextpad=0.1,
        labelspacing=0.35, borderaxespad=0.3, columnspacing=0.8, **(rows | place),
    )  # fmt: skip


def _scale(figure: Any, points: Any, ax: Any, color: str) -> None:
    bar = figure.colorbar(points, ax=ax, shrink=0.6, aspect=18, pad=0.02)
    bar.ax.tick_params(labelsize=TEXT, width=0.5, length=2)
    bar.outline.set_linewidth(0.5)
    bar.set_label("density (0-1)" if color == "density" else "arcsinh(counts/5)", size=TEXT)


def _is_number(values: pd.Series) -> bool:
    return values.dtype.kind == "f"


def _points(ax: Axes, table: pd.DataFrame, color: Any, size: float, **scale: Any) -> Any:
    return ax.scatter(table["x"], table["y"], c=color, s=size**2, linewidths=0, rasterized=True, **scale)


def _frame(ax: Axes, name: str) -> None:
    _plain(ax, ticks=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(f"{name} 1", fontsize=TEXT)
    ax.set_ylabel(f"{name} 2", fontsize=TEXT)
    ax.set_aspect("equal", adjustable="box")
