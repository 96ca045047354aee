"""Composers of the figure set: each fills a figure, or one part of the combined figure, from the study's tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cytof import plot
from cytof.keys import Obs

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from cytof.report._tables import Settings, StudyTables

__all__ = [
    "MANY",
    "PANELS",
    "cluster_colors",
    "columns",
    "heatmap",
    "host",
    "low_label",
    "make_up",
    "maps_height",
    "marker_maps",
    "marker_maps_height",
    "other_assays",
    "over_time",
    "persistence",
    "visit_maps",
    "visits_in_order",
]


MANY = 12
"""Samples or visits that still stand side by side in a column of three panels."""
_LOW = 11  # letters beside a panel of 21 mm


def heatmap(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """A: clusters x markers with frequency bars."""
    ax = figure.subplots()
    table = made.tables["profile"]
    label = f"{table['statistic'].iloc[0]} expression (0-1)"
    drawn = plot.heatmap(table, label=label, palette=cluster_colors(made), trees=made.tables.get("trees"), ax=ax)
    engine: Any = figure.get_layout_engine() if hasattr(figure, "get_layout_engine") else None
    for _ in range(2 if engine is not None else 0):  # what hangs on the heatmap shrinks with it: until it has settled
        engine.execute(figure)
    return [drawn]


def cluster_colors(made: StudyTables) -> dict[str, str]:
    """Return the colours of all clusters of the study, the same for every figure.

    Examples
    --------
    >>> import pandas as pd
    >>> from cytof.report._tables import StudyTables
    >>> cluster_colors(StudyTables(None, {"profile": pd.DataFrame({"cluster": ["2", "1"]})}))
    {'1': '#2d5ad2', '2': '#f0b42d'}
    """
    return plot.colors(plot.in_order(made.tables["profile"]["cluster"]), "clusters")


def visit_maps(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """B: one map a visit, coloured by cluster."""
    table = visits_in_order(made.tables["map"], made)
    return list(plot.maps(
        table, figure, by=made.scope.visit, color=settings.groupby, palette=cluster_colors(made), columns=columns(made),
    ))  # fmt: skip


def columns(made: StudyTables) -> int:
    """Return how many maps stand side by side: small ones where there are many visits."""
    n = len(made.scope.visits)
    return min(n, 4) if n <= 12 else 8


def maps_height(made: StudyTables) -> float:
    """Return the height in mm of one map a visit."""
    table, across = made.tables["map"], columns(made)
    wide, tall = (max(float(table[c].max() - table[c].min()), 1e-6) for c in ("x", "y"))
    each = min(160.0 / across, 80.0) * min(max(tall / wide, 0.5), 1.5)
    return 4.0 + -(-len(made.scope.visits) // across) * (7.0 + each)


def visits_in_order(table: pd.DataFrame, made: StudyTables) -> pd.DataFrame:
    """Return the table with the visits as categories in order."""
    import pandas as pd

    visit = made.scope.visit
    return table.assign(**{visit: pd.Categorical(table[visit].astype(str), made.scope.visits)})


def make_up(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """C: subsets per visit, clusters of each subset, clusters of each sample; what is missing leaves no gap."""
    drawn: list[tuple[str, Callable[[Axes], Axes]]] = []
    tables, palette = made.tables, cluster_colors(made) if "profile" in made.tables else None
    bars = "sample_id" if len(made.scope.samples) != len(made.scope.visits) else made.scope.visit
    if "subsets" in tables:
        drawn.append(("subsets per visit", lambda ax: plot.composition(
            tables["subsets"], x=bars, kind="subsets", total="n_denominator", ax=ax)))  # fmt: skip
    if "make_up" in tables:
        drawn.append(("clusters of each subset", lambda ax: plot.composition(
            tables["make_up"], x="subset", fill="cluster", palette=palette, total="n_subset", ax=ax)))  # fmt: skip
    if "clusters" in tables:
        samples, order = tables["clusters"].rename(columns={"subset": "sample"}), made.scope.samples
        drawn.append(("clusters of each sample", lambda ax: plot.composition(
            samples, x="sample", fill="cluster", palette=palette, order=order, total="n_subset", ax=ax)))  # fmt: skip
    many = len(made.scope.samples) > MANY
    axes = figure.subplots(*((len(drawn), 1) if many else (1, len(drawn))), squeeze=False).ravel()
    for ax, (title, draw) in zip(axes, drawn, strict=True):
        draw(ax).set_title(title, fontsize=plot.TEXT + 1)
    for ax in axes[:-1] if not many else ():
        if drawn[-1][0].startswith("clusters") and ax.get_title().startswith("clusters"):
            ax.get_legend().remove()  # the last one has the same clusters
    return list(axes)


def over_time(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """D: markers x subsets over the visits; p and effect size of the last visit against the first."""
    table, tests = made.tables["violins"], made.tables.get("violins_tests")
    if tests is not None:
        tests = tests[tests["contrast"] == tests["contrast"].iloc[-1]]
    markers = list(table["marker"].drop_duplicates())
    present = set(table["subset"])
    subsets = [s for s in settings.drawn_subsets if s in present]
    if len(made.scope.visits) > MANY:
        return _stacked(figure, made, [(m, s) for m in markers for s in subsets], tests)
    grid = figure.subplots(len(markers), len(subsets), sharex="col", sharey="row", squeeze=False)
    for r, marker in enumerate(markers):
        for c, subset in enumerate(subsets):
            ax = plot.violins(table, tests, marker=marker, subset=subset, order=made.scope.visits, ax=grid[r, c])
            _in_grid(ax, first_column=c == 0, last_row=r == len(markers) - 1)
            _heading(ax, subset if r == 0 else "")
    for row in grid:  # one scale a row, with room for the brackets of each of its panels
        row[0].set_ylim(top=max(ax.get_ylim()[1] for ax in row))
    return list(grid.ravel())


def _stacked(
    figure: FigureBase, made: StudyTables, pairs: list[tuple[str, str]], tests: pd.DataFrame | None
) -> list[Axes]:
    """Draw marker and subset in a row of its own each, the width of the page for many visits."""
    grid = figure.subplots(len(pairs), 1, sharex=True, squeeze=False)[:, 0]
    for place, (ax, (marker, subset)) in enumerate(zip(grid, pairs, strict=True)):
        plot.violins(made.tables["violins"], tests, marker=marker, subset=subset, order=made.scope.visits, ax=ax)
        _in_grid(ax, first_column=True, last_row=place == len(pairs) - 1)
        ax.set_ylabel(f"{plot.brief(marker, _LOW)}\n{subset}", fontsize=plot.TEXT + 1)
    return list(grid)


def low_label(ax: Axes) -> None:
    """Cut the marker's name beside a low panel of a grid to what it has room for."""
    ax.set_ylabel(plot.brief(ax.get_ylabel(), _LOW))


def _in_grid(ax: Axes, *, first_column: bool, last_row: bool) -> None:
    ax.tick_params(labelbottom=last_row, labelleft=first_column)
    low_label(ax)
    if not first_column:
        ax.set_ylabel("")
    if not last_row:
        ax.tick_params(axis="x", length=0)


def _heading(ax: Axes, heading: str) -> None:
    """Put a column's name above what the test says."""
    if heading:
        ax.set_title(f"{heading}\n{ax.get_title()}".rstrip(), fontsize=plot.TEXT + 0.5)


def host(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """E: CAR T against host T cells at the last visit."""
    table, tests = made.tables["arms"], made.tables.get("arms_tests")
    markers = list(table["marker"].drop_duplicates())
    palette = plot.colors(["CAR T", "Host T"], "arms")
    axes = figure.subplots(1, len(markers), squeeze=False)[0]
    for ax, marker in zip(axes, markers, strict=True):
        plot.violins(table, tests, marker=marker, palette=palette, order=["CAR T", "Host T"], ax=ax)
    return list(axes)


_ROW, _HEAD = 30.0, 5.0  # mm of a row of marker maps, and of its title


def marker_maps_height(n: int) -> float:
    """Return the height in mm of maps of n markers.

    Examples
    --------
    >>> marker_maps_height(7)
    60.0
    """
    return _ROW * -(-n // 6)


def marker_maps(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """Supplement: the map once for each marker; lays itself out, as all panels are alike."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    table = made.tables["markers_map"]
    markers = [c for c in table.columns if c not in ("cell", "x", "y")]
    rows, columns = -(-len(markers) // 6), 6
    tall = marker_maps_height(len(markers))
    gap = _HEAD / (_ROW - _HEAD)
    room = {
        "left": 0.005,
        "right": 0.93,
        "bottom": 1.0 / tall,
        "top": 1.0 - _HEAD / tall,
        "wspace": 0.06,
        "hspace": gap,
    }
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False, gridspec_kw=room).ravel()
    for ax, marker in zip(grid, markers, strict=False):
        part = table[["x", "y", marker]].copy()
        part.attrs["range"] = (0.0, 1.0)
        plot.map(part, color=marker, size=0.9, legend=False, ax=ax)
        ax.set_title(plot.brief(marker), fontsize=plot.TEXT)
        ax.set_xlabel("")
        ax.set_ylabel("")
    for ax in grid[len(markers) :]:
        ax.set_visible(False)
    scale = ScalarMappable(Normalize(0, 1), "viridis")
    side = figure.add_axes((0.94, 0.5 - min(12.0 / tall, 0.4), 0.01, min(24.0 / tall, 0.8)))
    bar = figure.colorbar(scale, cax=side, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=plot.TEXT)
    bar.outline.set_linewidth(0.5)
    return list(grid[: len(markers)])


def persistence(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    """Share of the population over the days; beneath it, on the same days, what else was measured."""
    others = other_assays(made)
    heights = [1.7, *[1.0] * len(others)]
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    plot.persistence(made.tables["persistence"], color=Obs.PATIENT, ax=axes[0])
    names = plot.in_order(made.tables["persistence"][Obs.PATIENT])
    palette = plot.colors(names) if len(names) > 1 else dict.fromkeys(names, "#0072b2")
    ticks = axes[0].get_xticks(), [t.get_text() for t in axes[0].get_xticklabels()]
    for ax, (word, table) in zip(axes[1:], others.items(), strict=True):
        plot.assay(table, palette=palette, name=f"{word},\n{table['unit'].iloc[0]}", ax=ax)
        if ax.get_legend():
            ax.get_legend().remove()
        if any(ticks[1]):
            ax.set_xticks(*ticks)
    if others:
        axes[-1].set_xlabel(axes[0].get_xlabel())
        figure.align_ylabels(axes)
        for ax in axes[:-1]:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    return list(axes)


def other_assays(made: StudyTables) -> dict[str, pd.DataFrame]:
    """Return the courses of what was measured besides the share: cells per microlitre, transgene copies, blood counts.

    Examples
    --------
    >>> from cytof.report._tables import StudyTables
    >>> other_assays(StudyTables(None))
    {}
    """
    table = made.tables.get("measured")
    if table is None or made.tables["persistence"]["day"].isna().any():
        return {}
    words = table["assay"].astype(str)
    kept = table[~words.str.startswith("CyTOF, share")]
    return {_assay_word(str(name)): own for name, own in kept.groupby("assay", sort=False)}


def _assay_word(name: str) -> str:
    return name.split(", ")[-1].split(" of ")[0].rsplit("/", 1)[-1] if name.startswith("CyTOF") else name


PANELS: dict[str, Callable[[FigureBase, StudyTables, Settings], list[Axes]]] = {
    "A": heatmap, "B": visit_maps, "C": make_up, "D": over_time, "E": host,
}  # fmt: skip
"""The panels of Figure 4, by letter."""
