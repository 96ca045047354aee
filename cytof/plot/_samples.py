"""Samples and markers at a glance: likeness of samples (MDS), non-redundancy of markers, cluster frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.errors import UsageError
from cytof.plot._composition import _as_given, _with_n
from cytof.plot._map import key
from cytof.plot._style import DOUBLE, TEXT, _axes, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["delta_area", "frequencies", "mds", "nrs"]


def mds(
    table: pd.DataFrame, *, color: str = "timepoint", kind: str = "visits",
    palette: Mapping[str, str] | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw the samples such that alike ones stand close.

    Parameters
    ----------
    table
        Columns ``sample_id x y explained_x explained_y`` and ``color`` (:func:`cytof.track.sample_distances`).
    color, kind, palette
        Column to colour by, the kind of its colours (:func:`colors`), or the colours.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes, with equal scales; samples are named where there are at most 24.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sample_id": ["a", "b"], "x": [0.0, 1], "y": [0.0, 1], "explained_x": 0.8,
    ...                       "explained_y": 0.1, "timepoint": ["2mo", "5yr"]})
    >>> mds(table).get_xlabel()
    'MDS 1 (80 %)'
    """
    has_columns(table.columns, ["sample_id", "x", "y", "explained_x", "explained_y", color], where="plot.mds")
    names = _as_given(table[color])
    palette = palette or colors(names, kind)
    with style():
        ax = _axes(ax, height=70.0)
        for name in names:
            here = table[table[color].astype(str) == name]
            ax.plot(here["x"], here["y"], "o", color=palette[name], markersize=4.5, markeredgewidth=0)
        if len(table) <= 24:
            _names_beside(ax, table)
        _plain(ax)
        for axis, column in ((ax.set_xlabel, "explained_x"), (ax.set_ylabel, "explained_y")):
            axis(f"MDS {1 if column[-1] == 'x' else 2} ({float(table[column].iloc[0]):.0%})".replace("%", " %"),
                 fontsize=TEXT + 1)  # fmt: skip
        ax.set_aspect("equal", adjustable="datalim")
        ax.margins(0.18)
        key(ax, {n: palette[n] for n in names}, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def _names_beside(ax: Axes, table: pd.DataFrame) -> None:
    """Write each sample's name above its mark, below it where another sample stands close above."""
    tall = max(float(table["y"].max() - table["y"].min()), 1e-9)
    wide = max(float(table["x"].max() - table["x"].min()), 1e-9)
    for row in table.itertuples():
        away = table[(table["x"] - row.x).abs() < 0.2 * wide]
        above = ((away["y"] > row.y) & (away["y"] - row.y < 0.12 * tall)).any()
        ax.annotate(brief(row.sample_id, 12), (row.x, row.y), (0, -4 if above else 4), textcoords="offset points",
                    ha="center", va="top" if above else "bottom", fontsize=TEXT)  # fmt: skip


def nrs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the non-redundancy score: markers from the one that tells most to the one that tells least.

    Parameters
    ----------
    table
        Columns ``sample_id marker score mean rank`` (:func:`cytof.track.non_redundancy`).
    ax
        Axes to draw in; a new figure of 183 mm when None.

    Returns
    -------
    Axes; a grey dot a sample, a blue line the mean.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sample_id": "a", "marker": ["CD4", "CD8"], "score": [1.0, 3.0], "mean": [1.0, 3.0],
    ...                       "rank": [2, 1]})
    >>> [t.get_text() for t in nrs(table).get_xticklabels()]
    ['CD8', 'CD4']
    """
    has_columns(table.columns, ["sample_id", "marker", "score", "mean", "rank"], where="plot.nrs")
    each = table.drop_duplicates("marker").sort_values("rank", kind="stable").astype({"marker": str})
    places = {m: i for i, m in enumerate(each["marker"])}
    with style():
        ax = _axes(ax, DOUBLE, 55.0)
        ax.plot(table["marker"].astype(str).map(places), table["score"], "o", color="0.6", markersize=2.4,
                markeredgewidth=0)  # fmt: skip
        ax.hlines(each["mean"], [i - 0.35 for i in range(len(each))], [i + 0.35 for i in range(len(each))],
                  color="#2d5ad2", linewidth=1.6)  # fmt: skip
        _plain(ax)
        ax.set_xticks(range(len(each)), [brief(m) for m in each["marker"]], rotation=90, fontsize=TEXT)
        ax.set_xlim(-0.7, len(each) - 0.3)
        ax.set_ylim(bottom=0)
        ax.set_ylabel("non-redundancy score", fontsize=TEXT + 1)
    return ax


def delta_area(table: pd.DataFrame, *, chosen: int | None = None, ax: Axes | None = None) -> Axes:
    """Draw what each further metacluster adds to the consensus (delta area).

    Parameters
    ----------
    table
        Columns ``k delta`` (``uns["cytof"]["consensus"]``).
    chosen
        The k that was taken; marked.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> ax = delta_area(pd.DataFrame({"k": [2, 3], "delta": [0.5, 0.1]}), chosen=3)
    >>> ax.lines[0].get_ydata().tolist(), ax.texts[0].get_text()
    ([0.5, 0.1], 'k = 3')
    """
    has_columns(table.columns, ["k", "delta"], where="plot.delta_area")
    with style():
        ax = _axes(ax, height=50.0)
        ax.plot(table["k"], table["delta"], "-o", color="0.35", markersize=3)
        here = table[table["k"] == chosen]
        if len(here):
            ax.plot(here["k"], here["delta"], "o", color="#d55e00", markersize=5)
            ax.annotate(f"k = {chosen}", (chosen, float(here["delta"].iloc[0])), (0, 5), textcoords="offset points",
                        ha="center", fontsize=TEXT)  # fmt: skip
        _plain(ax)
        ax.margins(y=0.12)
        ax.set_xticks(table["k"] if len(table) <= 20 else table["k"][::2])
        ax.set_xlabel("metaclusters", fontsize=TEXT + 1)
        ax.set_ylabel("gain of consensus area", fontsize=TEXT + 1)
    return ax


def frequencies(
    table: pd.DataFrame, *, x: str = "sample_id", fill: str = "cluster", order: Sequence[str] | None = None,
    total: str | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw the share of each cluster in each sample as a heatmap; shares are written where there is room.

    Parameters
    ----------
    table
        Columns ``x fill fraction`` (:func:`cytof.track.composition` within the sample).
    x, fill, order
        Column with the samples, column with the clusters, order of the samples.
    total
        Column with the number of cells of a sample, shown as ``n`` beneath it.
    ax
        Axes to draw in; a new figure of 183 mm when None.

    Returns
    -------
    Axes with the heatmap as ``ax.images[0]``, in percent on a square-root scale of colour: small shares stay visible.

    Raises
    ------
    UsageError
        A column is missing, or one cluster stands twice in one sample.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sample_id": ["a", "a"], "cluster": ["1", "2"], "fraction": [0.25, 0.75]})
    >>> frequencies(table).images[0].get_array().tolist()
    [[25.0], [75.0]]
    """
    from matplotlib.colors import PowerNorm

    has_columns(table.columns, [x, fill, "fraction", *([total] if total else [])], where="plot.frequencies")
    if table.duplicated([x, fill]).any():
        raise UsageError(f"`{fill}` stands twice in one `{x}`", where="plot.frequencies", hint="draw one patient")
    names = table.assign(**{x: table[x].astype(str), fill: table[fill].astype(str)})
    columns, rows = list(order) if order is not None else _as_given(table[x]), in_order(table[fill])
    grid = names.pivot(index=fill, columns=x, values="fraction").reindex(index=rows, columns=columns) * 100
    with style():
        ax = _axes(ax, DOUBLE, 22.0 + 5.0 * len(rows))
        top = max(float(grid.max().max()), 1e-9)
        image = ax.imshow(grid.to_numpy(float), aspect="auto", cmap="viridis", norm=PowerNorm(0.5, 0, top))
        if len(columns) <= 16:
            for r, c in ((r, c) for r in range(len(rows)) for c in range(len(columns))):
                share = float(grid.iat[r, c])
                if share == share:
                    ink = "black" if share > 0.45 * top else "white"
                    ax.text(c, r, f"{share:.1f}", ha="center", va="center", fontsize=TEXT, color=ink)
        _plain(ax, ticks=False)
        ax.spines[:].set_visible(False)
        words = _with_n(names, x, columns, total)
        upright = len(columns) > 8 or max(map(len, columns), default=0) * len(columns) > 90
        words = [w.replace("\n", ", ") if upright else w for w in words]
        ax.set_xticks(range(len(columns)), words, fontsize=TEXT, rotation=90 * upright)
        ax.set_yticks(range(len(rows)), [brief(r, 24) for r in rows], fontsize=TEXT)
        ax.set_ylabel("cluster", fontsize=TEXT + 1)
        bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=25, shrink=0.8)
        bar.outline.set_linewidth(0.5)
        bar.ax.tick_params(labelsize=TEXT, width=0.5, length=2)
        bar.set_label("% of cells", size=TEXT)
    return ax
