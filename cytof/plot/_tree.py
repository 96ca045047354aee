"""The spanning tree of a FlowSOM map: nodes as large as they hold cells, in the colours of their clusters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._map import key
from cytof.plot._style import _axes, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["tree"]

_LARGEST = 100.0  # points squared, of the node with most cells
_SMALLEST = 2.0


def tree(table: pd.DataFrame, *, palette: Mapping[str, str] | None = None, ax: Axes | None = None) -> Axes:
    """Draw the spanning tree of a map.

    Parameters
    ----------
    table
        Columns ``node parent x y n cluster``: :func:`cytof.cluster.tree`.
    palette
        Cluster -> colour; ``colors(clusters)`` when None.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; ``collections[0]`` the edges, then one collection a cluster. The area of a node is in proportion to its cells;
    one without cells is a dot.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"node": [0, 1], "parent": [-1, 0], "x": [0, 1], "y": [0, 0], "n": [9, 1],
    ...                       "cluster": ["1", "2"]})
    >>> ax = tree(table)
    >>> [t.get_text() for t in ax.get_legend().get_texts()]
    ['1', '2']
    """
    has_columns(table.columns, ["node", "parent", "x", "y", "n", "cluster"], where="plot.tree")
    from matplotlib.collections import LineCollection

    clusters = in_order(table["cluster"].astype(str))
    palette = palette or colors(clusters)
    at = table.set_index("node")[["x", "y"]]
    hanging = table[table["parent"] >= 0]
    lines = [[at.loc[a].tolist(), at.loc[b].tolist()] for a, b in zip(hanging["node"], hanging["parent"], strict=True)]
    most = max(float(table["n"].max()), 1.0)
    with style():
        ax = _axes(ax, height=70.0)
        ax.add_collection(LineCollection(lines, colors="0.75", linewidths=0.8, zorder=1))
        for cluster in clusters:
            part = table[table["cluster"].astype(str) == cluster]
            size = (part["n"] / most * _LARGEST).clip(lower=_SMALLEST)
            ax.scatter(part["x"], part["y"], size, palette[cluster], label=brief(cluster), edgecolors="white",
                       linewidths=0.4, zorder=2)  # fmt: skip
        ax.set_aspect("equal", adjustable="datalim")
        ax.margins(0.06)
        ax.set_axis_off()
        key(ax, {c: palette[c] for c in clusters}, title="cluster", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
