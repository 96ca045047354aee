"""Make-up over time: streams whose width is a share, and clusters that flow from visit to visit (alluvial)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.errors import UsageError
from cytof.plot._composition import _as_given, _with_n
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _group_ticks, _ink, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["alluvial", "stream"]

_POINTS = 24  # points of a curve between two visits


def stream(
    table: pd.DataFrame, *, x: str = "timepoint", fill: str = "population", kind: str = "subsets",
    palette: Mapping[str, str] | None = None, order: Sequence[str] | None = None, total: str | None = None,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw how a whole changes over the visits as a stream: widths are the shares, eased from visit to visit.

    Parameters
    ----------
    table
        Columns ``x fill fraction``, as for :func:`composition`. Between visits nothing was measured: dotted lines stand
        where something was.
    x, fill, kind, palette, order, total
        As for :func:`composition`.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a filled body a part (``ax.collections``), in order.

    Raises
    ------
    UsageError
        A column is missing, or one part stands twice at one visit.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"timepoint": ["2mo", "5yr"] * 2, "population": ["CD8"] * 2 + ["DN"] * 2,
    ...                       "fraction": [0.9, 0.1, 0.1, 0.9]})
    >>> len(stream(table).collections)
    2
    """
    import numpy as np

    visits, parts, grid, names = _grid(table, x, fill, order, "plot.stream", total)
    palette = palette or colors(parts, kind)
    with style():
        ax = _axes(ax)
        at, eased = _eased(grid)
        edges = np.vstack([np.zeros(len(at)), np.cumsum(eased, axis=0)])
        for place, part in enumerate(parts):
            ax.fill_between(at, edges[place], edges[place + 1], color=palette[part], linewidth=0, label=part)
        for place in range(len(visits)):
            ax.axvline(place, color="white", linewidth=0.6, linestyle=":")
        _plain(ax)
        _group_ticks(ax, _with_n(names, x, visits, total))
        ax.set_xlim(0, max(len(visits) - 1, 1e-9))
        ax.set_ylim(0, 100)
        ax.set_ylabel("% of cells", fontsize=TEXT + 1)
        key(ax, {p: palette[p] for p in reversed(parts)}, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def alluvial(
    table: pd.DataFrame, *, x: str = "timepoint", fill: str = "cluster", kind: str = "clusters",
    palette: Mapping[str, str] | None = None, order: Sequence[str] | None = None, total: str | None = None,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw clusters as bars at each visit, joined by bands (alluvial): how the share of each swells and shrinks.

    Bands join the same cluster at two visits; they do not say that a cell became another: no cell is followed.

    Parameters
    ----------
    table
        Columns ``x fill fraction``, as for :func:`composition`.
    x, fill, kind, palette, order, total
        As for :func:`composition`.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a container of bars a part (``ax.containers``), a band a part and pair of visits (``ax.collections``).

    Raises
    ------
    UsageError
        A column is missing, or one part stands twice at one visit.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"timepoint": ["2mo", "5yr"] * 2, "cluster": ["1"] * 2 + ["2"] * 2,
    ...                       "fraction": [0.9, 0.1, 0.1, 0.9]})
    >>> ax = alluvial(table)
    >>> len(ax.containers), len(ax.collections)
    (2, 2)
    """
    import numpy as np

    visits, parts, grid, names = _grid(table, x, fill, order, "plot.alluvial", total)
    palette = palette or colors(parts, kind)
    wide = 0.34
    with style():
        ax = _axes(ax)
        tops = np.cumsum(grid, axis=0)
        at = np.linspace(0, 1, _POINTS)
        ease = at * at * (3 - 2 * at)
        for row, part in enumerate(parts):
            low = tops[row] - grid[row]
            ax.bar(range(len(visits)), grid[row], wide, low, color=palette[part], label=part, linewidth=0)
            for v in range(len(visits) - 1):
                ends = [side[v] + (side[v + 1] - side[v]) * ease for side in (low, tops[row])]
                ax.fill_between(v + wide / 2 + at * (1 - wide), *ends, color=palette[part], alpha=0.45, linewidth=0)
            for v, share in enumerate(grid[row]):
                if share >= 7.0:
                    ax.text(v, low[v] + share / 2, brief(part, 8), ha="center", va="center", fontsize=TEXT,
                            color=_ink(palette[part]))  # fmt: skip
        _plain(ax)
        _group_ticks(ax, _with_n(names, x, visits, total))
        ax.set_xlim(-wide, len(visits) - 1 + wide)
        ax.set_ylim(0, 100)
        ax.set_ylabel("% of cells", fontsize=TEXT + 1)
        key(ax, {p: palette[p] for p in reversed(parts)}, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _grid(
    table: pd.DataFrame, x: str, fill: str, order: Sequence[str] | None, where: str, total: str | None = None
) -> tuple[list[str], list[str], NDArray, pd.DataFrame]:
    """Return visits, parts and the shares in percent, shape (parts, visits)."""
    has_columns(table.columns, [x, fill, "fraction", *([total] if total else [])], where=where)
    if table.duplicated([x, fill]).any():
        raise UsageError(f"`{fill}` stands twice in one `{x}`", where=where, hint="draw one patient at a time")
    names = table.assign(**{x: table[x].astype(str), fill: table[fill].astype(str)})
    visits = list(order) if order is not None else _as_given(table[x])
    parts = in_order(table[fill])
    grid = names.pivot(index=fill, columns=x, values="fraction").reindex(index=parts, columns=visits).fillna(0.0)
    return visits, parts, grid.to_numpy(float) * 100, names


def _eased(grid: NDArray) -> tuple[NDArray, NDArray]:
    """Return places and heights between the visits on a smooth step: exact at the visits, sums kept in between."""
    import numpy as np

    n = grid.shape[1]
    if n < 2:
        return np.array([0.0, 1.0]), np.repeat(grid, 2, axis=1)
    at = np.linspace(0, n - 1, (n - 1) * _POINTS + 1)
    left = np.minimum(at.astype(int), n - 2)
    t = at - left
    t = t * t * (3 - 2 * t)
    return at, grid[:, left] * (1 - t) + grid[:, left + 1] * t
