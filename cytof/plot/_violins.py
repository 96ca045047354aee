"""Violins of one marker: over the visits of one subset, or CAR T against host T, with n, p and effect size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns, nearest
from cytof.errors import UsageError
from cytof.plot._composition import _as_given, _short
from cytof.plot._style import TEXT, _axes, _group_ticks, _plain, brief, colors, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["violins"]

_DOTS = 10  # a group of fewer cells is drawn as its cells: a smooth body would claim more than is known


def violins(
    distributions: pd.DataFrame, tests: pd.DataFrame | None = None, *, marker: str | None = None,
    subset: str | None = None, x: str = "group", palette: Mapping[str, str] | None = None,
    order: Sequence[str] | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    r"""Draw the distribution of one marker in each group as violins (seaborn) with medians, n beneath, p above.

    Parameters
    ----------
    distributions
        Columns ``marker``, ``x``, ``value`` and ``n``: evenly spaced quantiles of each group (a million cells cost no
        more than a thousand), ``n`` the cells they come from; optional ``subset``
        (:func:`cytof.track.distributions`).
    tests
        Optional rows of :func:`cytof.compare.markers`; the row of this marker and subset is written above the violins:
        p and Cliff's delta (``cliffs_delta``), or the difference of the means (``estimate``) without it.
    marker, subset
        Which to draw, where the table holds several.
    x
        Column with the groups.
    palette
        Group -> colour; visits dark to light when None.
    order
        Order of the groups; the categorical's or that of the rows when None.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a filled body a group (equal values: a line; fewer than 10 cells: dots), tick labels ``<group>`` and
    ``n=...``.

    Raises
    ------
    UsageError
        A column is missing, the marker or subset is not there, or the table holds several and none was named.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"marker": "Ki67", "group": ["2mo"] * 3 + ["5yr"] * 3,
    ...                       "value": [0.0, 1.0, 2.0, 1.0, 2.0, 3.0], "n": [300] * 3 + [74] * 3})
    >>> [t.get_text() for t in violins(table).get_xticklabels()]
    ['2mo\nn=300', '5yr\nn=74']
    """
    import seaborn

    has_columns(distributions.columns, ["marker", x, "value", "n"], where="plot.violins")
    every = _only(distributions, "marker", marker)  # the y axis fits all subsets, so that they can stand side by side
    table = _only(every, "subset", subset)
    marker, subset = str(table["marker"].iloc[0]), (str(table["subset"].iloc[0]) if "subset" in table else None)
    groups = list(order) if order is not None else _as_given(distributions[x])
    palette = palette or colors(groups, "visits")
    table = table.assign(**{x: table[x].astype(str)})
    known = table[table["value"].notna()]
    with style():
        ax = _axes(ax)
        spread = known.groupby(x)["value"].transform(lambda v: v.max() - v.min())
        dots = known["n"] < _DOTS
        bodies = known[(spread > 1e-6) & ~dots]
        if len(bodies):
            seaborn.violinplot(
                bodies, x=x, y="value", order=groups, hue=x, hue_order=groups, palette=dict(palette), inner=None,
                cut=0, density_norm="width", linewidth=0.4, linecolor="0.25", saturation=1, width=0.86, gridsize=80,
                legend=False, ax=ax,
            )  # fmt: skip
        few = known[dots]
        place = few[x].map({g: i for i, g in enumerate(groups)})
        ax.plot(place, few["value"], "o", color="0.25", markersize=2.2, markeredgewidth=0)
        _medians(ax, known, x, groups)
        _plain(ax)
        n = table.drop_duplicates(x).set_index(x)["n"]
        _group_ticks(ax, [f"{brief(g)}\nn={_short(int(n.get(g, 0)))}" for g in groups])
        ax.set_xlim(-0.6, len(groups) - 0.4)
        ax.set_ylim(*_limits(every["value"].dropna()))
        ax.set_xlabel("")
        ax.set_ylabel(brief(marker), fontsize=TEXT + 1)
        words = _verdict(tests, marker, subset)
        if words:
            ax.set_title(words, fontsize=TEXT)
    return ax


def _only(table: pd.DataFrame, column: str, name: str | None) -> pd.DataFrame:
    if column not in table:
        return table
    known = [str(k) for k in table[column].drop_duplicates()]
    if name is None and len(known) == 1:
        return table
    if name is None:
        raise UsageError(
            f"several in `{column}`: {', '.join(known)}", where="plot.violins", hint=f"name one: {column}=..."
        )
    if name not in known:
        raise UsageError(
            f"no {column} {name!r}, found {', '.join(known)}", where="plot.violins", hint=nearest(name, known)
        )
    return table[table[column].astype(str) == name]


def _limits(values: pd.Series) -> tuple[float, float]:
    """Return limits that hold every value, 0 among them, with a little air."""
    if not len(values):
        return 0.0, 1.0
    low, high = min(0.0, float(values.min())), float(values.max())
    air = 0.03 * max(high - low, 0.5)
    return low - air, high + air


def _medians(ax: Axes, table: pd.DataFrame, x: str, groups: Sequence[str]) -> None:
    """Mark the median of each group's quantiles; they are evenly spaced, so it is the median of the cells."""
    middle = table.groupby(x, observed=True)["value"].median()
    for place, group in enumerate(groups):
        if group in middle.index:
            ax.plot([place - 0.17, place + 0.17], [middle[group]] * 2, color="black", linewidth=1.2, zorder=5,
                    solid_capstyle="butt")  # fmt: skip


def _verdict(tests: pd.DataFrame | None, marker: str, subset: str | None) -> str:
    """Return ``p < 0.001, δ = -0.42`` for the test of this marker and subset; empty where none was made."""
    if tests is None or not len(tests):
        return ""
    rows = tests[tests["marker"].astype(str) == marker]
    if subset is not None and "subset" in rows:
        rows = rows[rows["subset"].astype(str) == subset]
    if len(rows) != 1:
        return ""
    row = rows.iloc[0]
    p = float(row["p"])
    if p != p:
        return "not tested"
    sign, effect = ("δ", row["cliffs_delta"]) if "cliffs_delta" in rows else ("Δ", row["estimate"])
    size = f"{effect:+.2f}" if abs(effect) >= 0.005 else "0.00"
    return f"{'p < 0.001' if p < 0.001 else f'p = {p:.2g}'}, {sign} = {size}"
