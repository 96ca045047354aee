"""Heatmap of clusters x markers with the clusters' relative frequencies as bars, aligned, and trees beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.errors import UsageError
from cytof.plot._composition import _short
from cytof.plot._map import key
from cytof.plot._style import DOUBLE, TEXT, _axes, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["heatmap"]


def heatmap(
    profile: pd.DataFrame, *, value: str = "value", label: str = "expression (0-1)",
    limits: tuple[float, float] | None = (0.0, 1.0), palette: Mapping[str, str] | None = None,
    trees: pd.DataFrame | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a profile: one row a cluster, one column a marker, bars of relative frequency at the right.

    Parameters
    ----------
    profile
        Columns ``cluster marker`` and ``value``; optional ``cluster_order marker_order`` (place of each row and column,
        e.g. from hierarchical clustering; natural order without them), ``frequency`` (share of each cluster; no bars
        without it), ``name`` (of each cluster, written beside it) and ``class`` (of each marker, a strip of colour
        above it). One row a cluster x marker (:func:`cytof.track.profile`).
    value
        Column that is drawn as it stands: scaling is made by the table.
    label
        Name of the colour bar.
    limits
        Lowest and highest value of the colour scale; those of the table when None.
    palette
        Cluster -> colour of its bar; :func:`colors` when None.
    trees
        Columns ``axis line place height`` (:func:`cytof.track.dendrogram`, of either axis or both), drawn above and at
        the right.
    ax
        Axes of the heatmap; bars and colour bar are inset beside it. A new figure of 183 mm when None.

    Returns
    -------
    Axes with the heatmap as ``ax.images[0]``; ``ax.child_axes`` are the bars (if any), the strip, the trees and the
    colour bar, in this order.

    Raises
    ------
    UsageError
        A column is missing, or a cluster has two values for one marker.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"cluster": ["1", "1", "2", "2"], "marker": ["CD4", "CD8", "CD4", "CD8"],
    ...                       "value": [1.0, 0.0, 0.0, 1.0], "frequency": [0.7, 0.7, 0.3, 0.3]})
    >>> ax = heatmap(table)
    >>> [t.get_text() for t in ax.get_yticklabels()], ax.images[0].get_array().tolist()
    (['1', '2'], [[1.0, 0.0], [0.0, 1.0]])
    """
    has_columns(profile.columns, ["cluster", "marker", value], where="plot.heatmap")
    clusters, markers = _ordered(profile, "cluster"), _ordered(profile, "marker")
    if profile.duplicated(["cluster", "marker"]).any():
        raise UsageError(
            "two values for one cluster and marker", where="plot.heatmap", hint="draw one profile at a time"
        )
    names = profile.assign(cluster=profile["cluster"].astype(str), marker=profile["marker"].astype(str))
    grid = names.pivot(index="cluster", columns="marker", values=value).reindex(index=clusters, columns=markers)
    with style():
        ax = _axes(ax, DOUBLE, 22.0 + 5.0 * len(clusters))
        low, high = limits or (None, None)
        image = ax.imshow(grid.to_numpy(float), aspect="auto", cmap="viridis", vmin=low, vmax=high, rasterized=False)
        _label_grid(ax, clusters, markers)
        _name_rows(ax, names, clusters)
        _bars(ax, names, clusters, palette)
        above = 1.0 + _strip(ax, names, markers)
        right = 1.16 if "frequency" in names else 1.015
        right += _trees(ax, trees, right, above)
        scale = ax.inset_axes((right + 0.02, 0.02, 0.014, 0.46))
        bar = ax.figure.colorbar(image, cax=scale)
        bar.outline.set_linewidth(0.5)
        scale.tick_params(labelsize=TEXT, width=0.5, length=2)
        scale.set_ylabel(label, fontsize=TEXT)
    return ax


def _ordered(table: pd.DataFrame, column: str) -> list[str]:
    """Return the names of rows or columns by ``<column>_order`` where the table has it."""
    if f"{column}_order" not in table:
        return in_order(table[column])
    first = table.drop_duplicates(column).sort_values(f"{column}_order", kind="stable")
    return [str(c) for c in first[column]]


def _label_grid(ax: Axes, clusters: Sequence[str], markers: Sequence[str]) -> None:
    _plain(ax, ticks=False)
    ax.set_xticks(range(len(markers)), [brief(m) for m in markers], rotation=90, fontsize=TEXT)
    ax.set_yticks(range(len(clusters)), [brief(c, 24) for c in clusters], fontsize=TEXT)
    ax.set_ylabel("cluster", fontsize=TEXT + 1)
    ax.spines[:].set_visible(False)
    for place in range(1, len(clusters)):
        ax.axhline(place - 0.5, color="white", linewidth=0.5)
    for place in range(1, len(markers)):
        ax.axvline(place - 0.5, color="white", linewidth=0.25)


def _bars(ax: Axes, table: pd.DataFrame, clusters: Sequence[str], palette: Mapping[str, str] | None) -> None:
    """Draw the share of each cluster as a bar in the line of its row."""
    if "frequency" not in table:
        return
    share = table.drop_duplicates("cluster").set_index("cluster")["frequency"].reindex(list(clusters)).fillna(0.0)
    palette = palette or colors(in_order(clusters))
    side = ax.inset_axes((1.015, 0.0, 0.13, 1.0), sharey=ax)
    side.barh(range(len(clusters)), share * 100, height=0.72, color=[palette[c] for c in clusters])
    for place, part in enumerate(share * 100):
        side.text(part + share.max() * 4, place, f"{part:.1f}", va="center", ha="left", fontsize=TEXT)
    side.set_xlim(0, max(share.max(), 1e-9) * 145)
    _plain(side)
    side.tick_params(axis="y", length=0, labelleft=False)
    side.spines["left"].set_visible(False)
    n = table.drop_duplicates("cluster")["n"].sum() if "n" in table else 0
    side.set_xlabel(f"% of cells\n(n={_short(int(n))})" if n else "% of cells", fontsize=TEXT)


def _name_rows(ax: Axes, table: pd.DataFrame, clusters: Sequence[str]) -> None:
    """Write the name of each cluster after its number."""
    if "name" not in table:
        return
    name = table.drop_duplicates("cluster").set_index("cluster")["name"].fillna("").astype(str)
    words = [f"{brief(c, 10)}  {brief(name[c], 30)}".rstrip() if name[c] != c else brief(c, 30) for c in clusters]
    ax.set_yticks(range(len(clusters)), words, fontsize=TEXT)


def _strip(ax: Axes, table: pd.DataFrame, markers: Sequence[str]) -> float:
    """Draw the class of each marker above its column; returns the height taken, in parts of the heatmap."""
    if "class" not in table:
        return 0.0
    row = 1.0 / max(len(ax.get_yticks()), 1)
    kind = table.drop_duplicates("marker").set_index("marker")["class"].astype(str).reindex(list(markers))
    kinds = in_order(kind)
    palette = dict(zip(kinds, ("#56b4e9", "#e69f00", "#999999", "#cc79a7", "#009e73") * len(kinds), strict=False))
    strip = ax.inset_axes((0.0, 1.0 + 0.15 * row, 1.0, 0.4 * row), sharex=ax)
    strip.bar(range(len(markers)), 1.0, width=1.0, color=[palette[k] for k in kind], linewidth=0)
    strip.set_ylim(0, 1)
    strip.set_axis_off()
    key(strip, palette, loc="center left", bbox_to_anchor=(1.0, 0.5), ncols=len(kinds))
    return 0.65 * row


def _trees(ax: Axes, trees: pd.DataFrame | None, right: float, above: float) -> float:
    """Draw the trees of columns and rows; returns the width taken at the right, in parts of the heatmap."""
    if trees is None or not len(trees):
        return 0.0
    has_columns(trees.columns, ["axis", "line", "place", "height"], where="plot.heatmap, trees")
    row, taken = 1.0 / max(len(ax.get_yticks()), 1), 0.0
    for axis, lines in trees.groupby("axis", sort=False):
        upright = axis == "marker"
        box = (0.0, above, 1.0, 1.6 * row) if upright else (right, 0.0, 0.06, 1.0)
        side = ax.inset_axes(box, sharex=ax) if upright else ax.inset_axes(box, sharey=ax)
        for _, line in lines.groupby("line", sort=False):
            x, y = line["place"], line["height"]
            side.plot(*((x, y) if upright else (y, x)), color="0.35", linewidth=0.6, solid_joinstyle="miter")
        (side.set_ylim if upright else side.set_xlim)(0, 1.05)
        side.set_axis_off()
        taken += 0.0 if upright else 0.065
    return taken
