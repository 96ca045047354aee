"""Violins of one marker: over the visits of one subset, or CAR T against host T, with n, p and effect size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cytof._check import has_columns, nearest
from cytof.errors import UsageError
from cytof.plot._bodies import body, half
from cytof.plot._composition import _as_given, _short
from cytof.plot._map import key
from cytof.plot._style import DOUBLE, TEXT, _axes, _group_ticks, _plain, brief, colors, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["split_violins", "violins"]

_DOTS = 10  # a group of fewer cells is drawn as its cells: a smooth body would claim more than is known


def violins(
    distributions: pd.DataFrame, tests: pd.DataFrame | None = None, *, marker: str | None = None,
    subset: str | None = None, x: str = "group", palette: Mapping[str, str] | None = None,
    order: Sequence[str] | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    r"""Draw the distribution of one marker in each group as violins with medians, n beneath, p above.

    Parameters
    ----------
    distributions
        Columns ``marker``, ``x``, ``value`` and ``n``: evenly spaced quantiles of each group (a million cells cost no
        more than a thousand), ``n`` the cells they come from; optional ``subset``
        (:func:`cytof.track.distributions`).
    tests
        Optional rows of :func:`cytof.compare.markers` of this marker and subset: p and Cliff's delta
        (``cliffs_delta``), or the difference of the means (``estimate``) without it. A contrast ``B vs A`` of two drawn
        groups is a bracket over them; a row without one is written above the violins.
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
    has_columns(distributions.columns, ["marker", x, "value", "n"], where="plot.violins")
    every = _only(
        distributions, "marker", marker, "plot.violins"
    )  # the y axis fits all subsets, so that they can stand side by side
    table = _only(every, "subset", subset, "plot.violins")
    marker, subset = str(table["marker"].iloc[0]), (str(table["subset"].iloc[0]) if "subset" in table else None)
    groups = list(order) if order is not None else _as_given(distributions[x])
    palette = palette or colors(groups, "visits")
    table = table.assign(**{x: table[x].astype(str)})
    known = table[table["value"].notna()]
    with style():
        ax = _axes(ax)
        for place, group in enumerate(groups):
            part = known[known[x] == group]
            each = part["value"].to_numpy(float)
            if not len(each):
                continue
            if part["n"].iloc[0] < _DOTS:
                _dots(ax, each, place)
            else:
                body(ax, each, place, palette[group])
            _median(ax, float(np.median(each)), place)
        _plain(ax)
        n = table.drop_duplicates(x).set_index(x)["n"]
        _group_ticks(ax, [f"{brief(g)}\nn={_short(int(n.get(g, 0)))}" for g in groups])
        ax.set_xlim(-0.6, len(groups) - 0.4)
        ax.set_ylim(*_limits(every["value"].dropna()))
        ax.set_xlabel("")
        ax.set_ylabel(brief(marker), fontsize=TEXT + 1)
        rows = _rows(tests, marker, subset)
        joined = _brackets(ax, rows, groups, every["value"].max())
        words = _verdict(next(rows.itertuples())) if len(rows) == 1 and not joined else ""
        if words:
            ax.set_title(words, fontsize=TEXT)
    return ax


def _only(table: pd.DataFrame, column: str, name: str | None, where: str) -> pd.DataFrame:
    if column not in table:
        return table
    known = [str(k) for k in table[column].drop_duplicates()]
    if name is None and len(known) == 1:
        return table
    if name is None:
        raise UsageError(f"several in `{column}`: {', '.join(known)}", where=where, hint=f"name one: {column}=...")
    if name not in known:
        raise UsageError(f"no {column} {name!r}, found {', '.join(known)}", where=where, hint=nearest(name, known))
    return table[table[column].astype(str) == name]


def _limits(values: pd.Series) -> tuple[float, float]:
    """Return limits that hold every value, 0 among them, with a little air."""
    if not len(values):
        return 0.0, 1.0
    low, high = min(0.0, float(values.min())), float(values.max())
    air = 0.03 * max(high - low, 0.5)
    return low - air, high + air


def _dots(ax: Axes, values: NDArray[np.float64], place: float) -> None:
    ax.plot(np.full(len(values), place), values, "o", color="0.25", markersize=2.2, markeredgewidth=0)


def _median(ax: Axes, middle: float, place: int) -> None:
    """Mark the median of a group's quantiles; they are evenly spaced, so it is the median of the cells."""
    ends = [place - 0.17, place + 0.17]
    ax.plot(ends, [middle] * 2, color="black", linewidth=1.2, zorder=5, solid_capstyle="butt")


def _rows(tests: pd.DataFrame | None, marker: str, subset: str | None) -> pd.DataFrame:
    """Return the tests of this marker and subset."""
    import pandas as pd

    if tests is None or not len(tests):
        return pd.DataFrame()
    rows = tests[tests["marker"].astype(str) == marker]
    return rows[rows["subset"].astype(str) == subset] if subset is not None and "subset" in rows else rows


def _brackets(ax: Axes, rows: pd.DataFrame, groups: Sequence[str], top: float) -> int:
    """Draw a bracket over the two groups of each contrast, one above the other; returns how many were drawn."""
    pairs = []
    for row in rows.itertuples() if "contrast" in rows else ():
        ends = [str(w) for w in str(row.contrast).split(" vs ")]
        if len(ends) == 2 and set(ends) <= set(groups):
            pairs.append((sorted(groups.index(e) for e in ends), _verdict(row)))
    low, high = ax.get_ylim()
    step = 0.16 * (high - low)
    for k, ((left, right), words) in enumerate(sorted(pairs)):
        foot = top + (0.25 + k) * step
        ax.plot([left, left, right, right], [foot, foot + 0.2 * step, foot + 0.2 * step, foot], color="0.2",
                linewidth=0.5, gid="bracket")  # fmt: skip
        ax.text((left + right) / 2, foot + 0.25 * step, words, ha="center", va="bottom", fontsize=TEXT)
    ax.set_ylim(low, high + (len(pairs) + 0.15 * bool(pairs)) * step)
    return len(pairs)


def _verdict(row: Any) -> str:
    """Return ``p < 0.001, δ = -0.42`` for one test."""
    p = float(row.p)
    if p != p:
        return "not tested"
    delta = getattr(row, "cliffs_delta", None)
    sign, effect = ("δ", float(delta)) if delta is not None else ("Δ", float(row.estimate))
    size = f"{effect:+.2f}" if abs(effect) >= 0.005 else "0.00"
    return f"{'p < 0.001' if p < 0.001 else f'p = {p:.2g}'}, {sign} = {size}"


def split_violins(
    distributions: pd.DataFrame, tests: pd.DataFrame | None = None, *, subset: str | None = None,
    markers: Sequence[str] | None = None, x: str = "group", palette: Mapping[str, str] | None = None,
    order: Sequence[str] | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    r"""Draw two groups as the two halves of a violin, one violin a marker, p and effect size above each.

    Parameters
    ----------
    distributions, tests
        As for :func:`violins`, of two groups in ``x`` and any number of markers.
    subset
        Which to draw, where the table holds several.
    markers
        Markers in order; as they come when None.
    x
        Column with the two groups.
    palette
        Group -> colour; :func:`colors` of kind ``arms`` when None.
    order
        Left group, right group.
    ax
        Axes to draw in; a new figure of 183 mm when None.

    Returns
    -------
    Axes; two halves a marker (``ax.collections``), quartiles as lines within (fewer than 10 cells: dots), tick labels
    ``<marker>`` and ``n=<left> | <right>``.

    Raises
    ------
    UsageError
        A column is missing, or there are not two groups.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"marker": "Ki67", "group": ["CAR T"] * 3 + ["Host T"] * 3,
    ...                       "value": [0.0, 1.0, 2.0, 1.0, 2.0, 3.0], "n": [300] * 3 + [74] * 3})
    >>> [t.get_text() for t in split_violins(table).get_xticklabels()]
    ['Ki67\nn=300 | 74']
    """
    has_columns(distributions.columns, ["marker", x, "value", "n"], where="plot.split_violins")
    table = _only(distributions, "subset", subset, "plot.split_violins")
    groups = list(order) if order is not None else _as_given(table[x])
    if len(groups) != 2:
        raise UsageError(f"{len(groups)} groups in `{x}`, two halves need 2", where="plot.split_violins", hint="order=")
    named = table.astype({"marker": str, x: str})
    names = [str(m) for m in (markers if markers is not None else named["marker"].drop_duplicates())]
    palette = palette or colors(groups, "arms")
    here = named[named["marker"].isin(names) & named[x].isin(groups)]
    n = here.drop_duplicates(["marker", x]).set_index(["marker", x])["n"]
    subset = str(table["subset"].iloc[0]) if "subset" in table else None
    with style():
        ax = _axes(ax, DOUBLE)
        for (marker, group), part in here[here["value"].notna()].groupby(["marker", x], observed=True):
            each, place, side = part["value"].to_numpy(float), names.index(marker), (-1, 1)[groups.index(group)]
            if part["n"].iloc[0] < _DOTS:
                _dots(ax, each, place + 0.2 * side)
            else:
                half(ax, each, place, palette[group], side)
        key(ax, {g: palette[g] for g in groups}, loc="center left", bbox_to_anchor=(1.0, 0.5))
        _plain(ax)
        counts = [[_short(int(n.get((m, g), 0))) for g in groups] for m in names]
        words = [f"{brief(m)}\nn={left} | {right}" for m, (left, right) in zip(names, counts, strict=True)]
        ax.set_xticks(range(len(names)), words, fontsize=TEXT, rotation=90 if len(names) > 9 else 0)
        low, high = _limits(here["value"].dropna())
        for place, marker in enumerate(names):
            rows = _rows(tests, marker, subset)
            if len(rows) == 1:
                said = _verdict(next(rows.itertuples())).replace(", ", "\n")
                ax.text(place, high, said, ha="center", va="bottom", fontsize=TEXT, linespacing=1.1)
        ax.set_ylim(low, high + (0.22 * (high - low) if tests is not None else 0.0))
        ax.set_xlabel("")
        ax.set_ylabel("arcsinh(counts/5)", fontsize=TEXT + 1)
    return ax
