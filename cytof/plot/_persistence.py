"""Share of a population over the days, on a log axis, with exact intervals; filled where it was called detected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cytof._check import has_columns
from cytof.plot._composition import _short
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["persistence"]

_NAMED = 32  # lines that a legend still names
_LETTER = 1.2  # mm of a letter of 6 points


def persistence(abundance: pd.DataFrame, *, color: str = "patient_id", ax: Axes | None = None) -> Axes:
    """Draw a population's share of its denominator over time, one line a patient (or population).

    Parameters
    ----------
    abundance
        Table of :func:`cytof.track.abundance`: ``day timepoint fraction ci_low ci_high population denominator`` and
        ``color``; optional ``band_low band_high`` (share with the threshold at the ends of its interval, drawn as a
        band) and ``call`` (half filled where `below LOQ`, open where not detected).
    color
        Column with a line each.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes with a log axis in percent; a legend names up to 32 lines, and of one line the cells counted (column ``n``)
    stand under the visits. A share of 0 stands on the floor of the axis as an open triangle. Visits without a
    day stand at their place in the table, 0, 1, 2, ...; where a visit has other days in other patients, the axis tells
    the day.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"patient_id": "P1", "timepoint": ["2mo", "5yr"], "day": [60.0, 1825.0],
    ...     "population": "CAR+", "denominator": "CD45+", "fraction": [0.03, 0.0024], "ci_low": [0.029, 0.0022],
    ...     "ci_high": [0.031, 0.0026]})
    >>> ax = persistence(table)
    >>> ax.get_yscale(), ax.get_ylabel()
    ('log', 'CAR+, % of CD45+')
    """
    needed = ["timepoint", "day", "fraction", "ci_low", "ci_high", "population", "denominator", color]
    has_columns(abundance.columns, needed, where="plot.persistence")
    lines = in_order(abundance[color])
    palette = colors(lines) if len(lines) > 1 else dict.fromkeys(lines, "#d55e00")
    with style():
        ax = _axes(ax)
        ax.set_yscale("log")
        by_day = bool(abundance["day"].notna().all())
        floor = _floor(abundance)
        for name in lines:
            here = abundance[abundance[color].astype(str) == name]
            x = here["day"].astype(float) if by_day else here["day"].reset_index(drop=True).index.to_series()
            _line(ax, here, x.to_numpy(float), floor, palette[name])
        _x_axis(ax, abundance, by_day, len(lines))
        _y_axis(ax, abundance, floor)
        if 1 < len(lines) <= _NAMED:
            key(ax, palette, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _floor(table: pd.DataFrame) -> float:
    """Return the lowest percent shown: a third of the smallest share or bound that is not 0."""
    columns = [c for c in ("fraction", "ci_low", "band_low") if c in table]
    seen = table[columns].to_numpy(float).ravel()
    seen = seen[seen > 0]
    return float(seen.min()) * 100 / 2.5 if len(seen) else 1e-3


def _line(ax: Axes, table: pd.DataFrame, x: Any, floor: float, color: str) -> None:
    share = table["fraction"].to_numpy(float) * 100
    low, high = (np.maximum(table[c].to_numpy(float) * 100, floor) for c in ("ci_low", "ci_high"))
    place = np.where(share > 0, share, floor)
    if {"band_low", "band_high"} <= set(table) and table["band_low"].notna().any():
        bottom, top = (np.maximum(table[c].to_numpy(float) * 100, floor) for c in ("band_low", "band_high"))
        ax.fill_between(x, bottom, top, color=color, alpha=0.18, linewidth=0)
    if len(np.unique(x)) == len(x):  # several samples of one day are no course: their marks are not joined
        ax.plot(x, place, color=color, linewidth=1.0)
    ax.errorbar(x, place, [place - np.minimum(low, place), np.maximum(high, place) - place], fmt="none", ecolor=color,
                elinewidth=0.8, capsize=2, capthick=0.8)  # fmt: skip
    seen = ~table["call"].isin(["not detected", "not evaluable"]).to_numpy() if "call" in table else share > 0
    vague = table["call"].eq("below LOQ").to_numpy() if "call" in table else np.zeros(len(table), bool)
    kinds = ((seen & ~vague, color, "full"), (seen & vague, color, "bottom"), (~seen, "white", "full"))
    for mask, face, filled in kinds:
        rows = mask & (share > 0)
        ax.plot(np.asarray(x)[rows], place[rows], "o", color=color, markerfacecolor=face, fillstyle=filled,
                markerfacecoloralt="white", markersize=4)  # fmt: skip
    none = ~(share > 0)
    ax.plot(np.asarray(x)[none], place[none], "v", color=color, markerfacecolor="white", markersize=4)


def _x_axis(ax: Axes, table: pd.DataFrame, by_day: bool, lines: int) -> None:
    """Name the visits at their days where that is one day each; n under each where there is one line."""
    visits = table.drop_duplicates("timepoint")
    x = visits["day"].to_numpy(float) if by_day else np.arange(len(visits), dtype=float)
    shared = not by_day or table.groupby("timepoint", observed=True)["day"].nunique().max() == 1
    named = len(visits) <= 8 and shared and visits["timepoint"].astype(str).ne("").all()
    if named:
        n = [f"\nn={_short(int(v))}" for v in visits["n"]] if lines == 1 and "n" in visits else [""] * len(visits)
        _place_words(ax, x, [brief(t, 12) + k for t, k in zip(visits["timepoint"], n, strict=True)])
    said = ["visit" if named or not by_day else "day", *(["at its day"] if named and by_day else [])]
    said += [f"{lines} lines"] if lines > _NAMED else []
    ax.set_xlabel(", ".join(said), fontsize=TEXT + 1)
    ax.margins(x=0.08)


def _place_words(ax: Axes, x: NDArray[np.float64], words: Sequence[str]) -> None:
    """Write words under places on the axis; words that would touch are turned, turned words that touch are left out."""
    order = np.argsort(x, kind="stable")
    figure: Any = ax.get_figure(root=True)
    wide = figure.get_figwidth() * 25.4 * 0.8 / (1.16 * max(float(np.ptp(x)), 1e-9))  # mm a unit
    long = [max(map(len, w.split("\n"))) * _LETTER for w in words]
    gaps = np.diff(x[order]) * wide
    turned = any(g < (long[i] + long[j]) / 2 + 1 for g, i, j in zip(gaps, order[:-1], order[1:], strict=True))
    last = -np.inf
    shown = list(words)
    for i in order:
        needs = 3.0 * (1 + words[i].count("\n")) if turned else 0.0
        shown[i] = words[i] if (x[i] - last) * wide >= needs else ""
        last = x[i] if shown[i] else last
    ax.set_xticks(x, shown, rotation=90 if turned else 0)


def _y_axis(ax: Axes, table: pd.DataFrame, floor: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    top = float(table[["fraction", "ci_high"]].max().max()) * 100
    ax.set_ylim(floor * 0.9, max(top, floor) * 2.0)
    ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    _plain(ax)
    first = table.iloc[0]
    ax.set_ylabel(f"{first['population']}, % of {first['denominator']}", fontsize=TEXT + 1)
