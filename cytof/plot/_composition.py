"""Stacked bars that add up to 100 %: subsets over the visits, the clusters of each subset, clusters of each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.errors import UsageError
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _group_ticks, _ink, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["composition"]

_NUMBERED = 40  # bars that are wide enough for a number


def composition(
    table: pd.DataFrame, *, x: str = "timepoint", fill: str = "population", kind: str = "subsets",
    palette: Mapping[str, str] | None = None, order: Sequence[str] | None = None, total: str | None = None,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw how a whole is made up, one bar a visit, subset or sample.

    Parameters
    ----------
    table
        Columns ``x fill fraction`` (0-1), one row a bar and part: :func:`cytof.track.subsets`,
        :func:`cytof.track.composition`, or :func:`cytof.track.abundance` with ``groupby``.
    x
        Column with a bar each; as ordered by the categorical, else in the order of rows.
    fill
        Column with the parts, drawn from the bottom in order.
    kind
        Kind of the parts' colours (:func:`colors`).
    palette
        Part -> colour; ``colors(parts, kind)`` when None.
    order
        Order of the bars.
    total
        Column with the number of cells of a bar, shown as ``n`` beneath it (``n_denominator`` or ``n_subset``).
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a container a part (``ax.containers``), heights in percent. Parts of at least 7 % carry their number
    where there are at most 40 bars.

    Raises
    ------
    UsageError
        A column is missing, or one part stands twice in one bar.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"timepoint": ["5yr", "5yr"], "population": ["CD8", "DN"], "fraction": [0.1, 0.9]})
    >>> ax = composition(table)
    >>> [c.get_label() for c in ax.containers], float(ax.containers[1][0].get_y())
    (['CD8', 'DN'], 10.0)
    """
    has_columns(table.columns, [x, fill, "fraction", *([total] if total else [])], where="plot.composition")
    if table.duplicated([x, fill]).any():
        raise UsageError(
            f"`{fill}` stands twice in one `{x}`", where="plot.composition", hint="draw one patient at a time"
        )
    names = table.assign(**{x: table[x].astype(str), fill: table[fill].astype(str)})
    bars = list(order) if order is not None else _as_given(table[x])
    parts = in_order(table[fill])
    grid = names.pivot(index=x, columns=fill, values="fraction").reindex(index=bars, columns=parts).fillna(0.0) * 100
    palette = palette or colors(parts, kind)
    with style():
        ax = _axes(ax)
        bottom = grid[parts[0]].to_numpy(float) * 0.0
        for part in parts:
            height = grid[part].to_numpy(float)
            drawn = ax.bar(range(len(bars)), height, 0.76, bottom, color=palette[part], label=part, linewidth=0)
            for bar, value in zip(drawn, height, strict=True):
                if value >= 7.0 and len(bars) <= _NUMBERED:
                    middle = bar.get_y() + value / 2
                    ax.text(bar.get_x() + 0.38, middle, f"{value:.0f}", ha="center", va="center", fontsize=TEXT,
                            color=_ink(palette[part]))  # fmt: skip
            bottom = bottom + height
        _plain(ax)
        _group_ticks(ax, _with_n(names, x, bars, total))
        ax.set_xlim(-0.55, len(bars) - 0.45)
        ax.set_ylim(0, 100)
        ax.set_ylabel("% of cells", fontsize=TEXT + 1)
        key(ax, {p: palette[p] for p in reversed(parts)}, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _as_given(values: pd.Series) -> list[str]:
    """Return the categorical's order, else the order of first appearance: tables come sorted by day."""
    return in_order(values) if hasattr(values, "cat") else [str(v) for v in values.drop_duplicates()]


def _with_n(table: pd.DataFrame, x: str, bars: Sequence[str], total: str | None) -> list[str]:
    if total is None:
        return [brief(b) for b in bars]
    n = table.drop_duplicates(x).set_index(x)[total]
    return [f"{brief(b)}\nn={_short(int(n.get(b, 0)))}" for b in bars]


def _short(n: int) -> str:
    """Return a count that fits under a bar: 812, 4,210, 25.1k, 1.2M."""
    if n < 10_000:
        return f"{n:,}"
    return f"{n / 1e3:.3g}k" if n < 999_500 else f"{n / 1e6:.3g}M"
