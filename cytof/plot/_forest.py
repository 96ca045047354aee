"""Hazard ratios or rates with their intervals, a row each; boxes of laboratory values at a visit; median courses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cytof._check import has_columns
from cytof.plot._km import groups_palette
from cytof.plot._style import DOUBLE, SINGLE, TEXT, _axes, _group_ticks, _plain, brief, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["boxes", "course", "forest"]


def forest(
    table: pd.DataFrame, *, value: str = "hr", label: str = "covariate", name: str = "Hazard ratio (log scale)",
    line: float = 1.0, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a forest plot: estimate and interval a row, the numbers to the right.

    Parameters
    ----------
    table
        ``label value ci_low ci_high`` and optional ``n events p`` (text or number).
    value, label
        Names of those columns.
    name
        Of the axis; logarithmic when ``line`` is 1.
    line
        No effect.
    ax
        Axes to draw in; a new figure of 183 mm when None.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"covariate": ["EMD"], "hr": [3.1], "ci_low": [1.8], "ci_high": [5.4], "p": [0.0001]})
    >>> forest(table).get_xscale()
    'log'
    """
    has_columns(table.columns, [label, value, "ci_low", "ci_high"], where="plot.forest")
    rows = table.reset_index(drop=True)
    with style():
        ax = _axes(ax, DOUBLE * 0.8, 20 + 6.5 * len(rows))
        if line == 1.0:
            ax.set_xscale("log")
        known = rows[rows[value].notna()]
        for r in known.itertuples():
            at, low, high, y = getattr(r, value), r.ci_low, r.ci_high, r.Index
            ax.plot([low, high], [y, y], color="#0072b2", linewidth=0.9)
            ax.plot(at, y, "s", color="#0072b2", markersize=4)
        ax.axvline(line, color="#7f7f7f", linestyle=":", linewidth=0.6)
        ax.set_yticks(range(len(rows)), [brief(str(v), 34) for v in rows[label]], fontsize=TEXT)
        ax.set_ylim(len(rows) - 0.4, -0.9)
        _plain(ax)
        ax.tick_params(axis="y", length=0)
        _ratio_axis(ax, known, value, line)
        ax.set_xlabel(name, fontsize=TEXT + 1)
        heads = {"n": "n", "events": "events"}
        columns = [(c, h) for c, h in heads.items() if c in rows]
        x = 8.0
        for column, head in columns:
            _column(ax, x, head, [f"{v:g}" for v in rows[column]])
            x += 28.0
        said = [f"{getattr(r, value):.2f} ({r.ci_low:.2f}-{r.ci_high:.2f})" if getattr(r, value) == getattr(r, value)
                else "not estimable" for r in rows.itertuples()]  # fmt: skip
        _column(ax, x, "estimate (95 % CI)", said)
        if "p" in rows:
            _column(ax, x + 84.0, "p", [v if isinstance(v, str) else f"{v:.4f}" for v in rows["p"]])
    return ax


def _ratio_axis(ax: Axes, known: pd.DataFrame, value: str, line: float) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    if line != 1.0 or not len(known):
        return
    low, high = float(known["ci_low"].min()) * 0.85, float(known["ci_high"].max()) * 1.15
    ax.set_xlim(min(low, 0.8), max(high, 1.25))
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
    ticks = [t for t in steps if ax.get_xlim()[0] <= t <= ax.get_xlim()[1]]
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticklabels([f"{t:g}" for t in ticks])


def _column(ax: Axes, x: float, head: str, values: list[str]) -> None:
    """Write a column of text ``x`` points to the right of the axes: the layout keeps room for it."""
    from matplotlib.transforms import blended_transform_factory, offset_copy

    figure: Any = ax.get_figure()
    place = offset_copy(blended_transform_factory(ax.transAxes, ax.transData), fig=figure, x=x, units="points")
    ax.text(1, -0.7, head, transform=place, fontsize=TEXT, fontweight="bold", va="bottom")
    for i, text in enumerate(values):
        ax.text(1, i, text, transform=place, fontsize=TEXT, va="center")


def boxes(
    table: pd.DataFrame, *, x: str = "group", value: str = "value", name: str = "", limits: tuple | None = None,
    note: str = "", ax: Axes | None = None,
) -> Axes:  # fmt: skip
    r"""Draw boxes with every patient as a dot, n beneath (Figure 3A-E), the normal range behind.

    Parameters
    ----------
    table
        ``x value``, a row a patient.
    x, value
        Names of those columns.
    name
        Of the value, with its unit.
    limits
        Lower and upper limit of normal, drawn as a band; None for none.
    note
        Text on top: p and its test.
    ax
        Axes to draw in; a new figure of 45 mm when None.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": ["a", "a", "b"], "value": [1.0, 2.0, 3.0]})
    >>> [t.get_text() for t in boxes(table).get_xticklabels()]
    ['a\nn=2', 'b\nn=1']
    """
    import numpy as np

    has_columns(table.columns, [x, value], where="plot.boxes")
    table = table[table[value].notna() & table[x].notna()]
    groups = in_order(table[x])
    palette = groups_palette(groups)
    with style():
        ax = _axes(ax, SINGLE / 2, 52)
        if limits is not None:
            ax.axhspan(limits[0], limits[1], color="#e8f4e8", zorder=0, linewidth=0)
        for i, group in enumerate(groups):
            y = table.loc[table[x].astype(str) == group, value].to_numpy(float)
            ax.boxplot(y, positions=[i], widths=0.5, showfliers=False, medianprops={"color": "black", "linewidth": 1.0},
                       boxprops={"linewidth": 0.6}, whiskerprops={"linewidth": 0.6},
                       capprops={"linewidth": 0.6})  # fmt: skip
            spread = np.random.default_rng(i).uniform(-0.16, 0.16, len(y))
            ax.plot(i + spread, y, "o", color=palette[group], markersize=2, alpha=0.65, markeredgewidth=0)
        sizes = table[x].astype(str).value_counts()
        _group_ticks(ax, [f"{brief(g, 12)}\nn={sizes[g]}" for g in groups])
        ax.set_xlim(-0.6, len(groups) - 0.4)
        ax.set_ylabel(name, fontsize=TEXT + 1)
        ax.set_title(note, fontsize=TEXT)
        _plain(ax)
    return ax


def course(table: pd.DataFrame, *, x: str = "day", by: str = "group", name: str = "", ax: Axes | None = None) -> Axes:
    """Draw the median course of each group with its band (Figure 3F).

    Parameters
    ----------
    table
        ``by x median low high n``.
    x, by
        Names of the time and group columns.
    name
        Of the value, with its unit.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": "a", "day": [1, 8], "median": [1.0, 2.0], "low": [0.5, 1.0], "high": [2.0, 3.0],
    ...     "n": [9, 8]})
    >>> course(table).get_xlabel()
    'day'
    """
    has_columns(table.columns, [by, x, "median", "low", "high", "n"], where="plot.course")
    groups = in_order(table[by])
    palette = groups_palette(groups)
    with style():
        ax = _axes(ax, SINGLE, 58)
        for group in groups:
            of = table[table[by].astype(str) == group].sort_values(x)
            ax.fill_between(of[x], of["low"], of["high"], color=palette[group], alpha=0.15, linewidth=0)
            label = f"{group} (n={int(of['n'].max())})"
            ax.plot(of[x], of["median"], "-o", color=palette[group], markersize=2.5, linewidth=1.0, label=label)
        ax.set_xlabel(x, fontsize=TEXT + 1)
        ax.set_ylabel(name, fontsize=TEXT + 1)
        ax.set_ylim(bottom=0)
        _plain(ax)
        ax.legend(loc="upper right")
    return ax
