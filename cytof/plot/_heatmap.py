"""Heatmap of clusters x markers with the clusters' relative frequencies as bars, aligned, at the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.errors import UsageError
from cytof.plot._style import DOUBLE, TEXT, _axes, _plain, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["heatmap"]


def heatmap(
    profile: pd.DataFrame, *, value: str = "value", label: str = "expression (0-1)",
    limits: tuple[float, float] | None = (0.0, 1.0), palette: Mapping[str, str] | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a profile: one row a cluster, one column a marker, bars of relative frequency at the right.

    Parameters
    ----------
    profile
        Columns ``cluster marker`` and ``value``; optional ``cluster_order marker_order`` (place of each row and column,
        e.g. from hierarchical clustering; natural order without them) and ``frequency`` (share of each cluster; no bars
        without it). One row a cluster x marker (:func:`cytof.track.profile`).
    value
        Column that is drawn as it stands: scaling is made by the table.
    label
        Name of the colour bar.
    limits
        Lowest and highest value of the colour scale; those of the table when None.
    palette
        Cluster -> colour of its bar; :func:`colors` when None.
    ax
        Axes of the heatmap; bars and colour bar are inset beside it. A new figure of 183 mm when None.

    Returns
    -------
    Axes with the heatmap as ``ax.images[0]``; ``ax.child_axes`` are the bars (if any) and the colour bar.

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
        _bars(ax, names, clusters, palette)
        scale = ax.inset_axes((1.19, 0.02, 0.014, 0.46) if "frequency" in names else (1.03, 0.02, 0.014, 0.46))
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
    side.set_xlabel("% of cells", fontsize=TEXT)
