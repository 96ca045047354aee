"""FlowSOM's minimum spanning tree: a star chart a node, its size by cells, its ground coloured by metacluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._map import key
from cytof.plot._style import DOUBLE, _axes, brief, colors, in_order, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["stars"]

# Okabe and Ito's colours
_ARMS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")


def stars(
    nodes: pd.DataFrame, edges: pd.DataFrame, *, palette: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a FlowSOM tree with a star chart on each node.

    Parameters
    ----------
    nodes
        Columns ``node x y n cluster marker value``: a row a node and arm, ``value`` 0-1 the length of the arm
        (:func:`cytof.track.stars`).
    edges
        Columns ``x0 y0 x1 y1``.
    palette
        Metacluster -> colour of the ground; :func:`colors` when None.
    ax
        Axes to draw in; a new figure of 183 mm when None.

    Returns
    -------
    Axes; grounds are ``ax.collections[1]``, arms one collection a marker after it. The ground's area grows with the
    number of cells; the smallest are drawn large enough to be seen; nodes without cells are left as joints.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> nodes = pd.DataFrame({"node": [0, 1], "x": [0.0, 1.0], "y": [0.0, 0.0], "n": [9, 3], "cluster": ["1", "2"],
    ...                       "marker": "CD4", "value": [1.0, 0.2]})
    >>> ax = stars(nodes, pd.DataFrame({"x0": [0.0], "y0": [0.0], "x1": [1.0], "y1": [0.0]}))
    >>> len(ax.collections)
    3
    """
    import numpy as np
    from matplotlib.collections import EllipseCollection, LineCollection, PatchCollection
    from matplotlib.patches import Wedge

    has_columns(nodes.columns, ["node", "x", "y", "n", "cluster", "marker", "value"], where="plot.stars")
    has_columns(edges.columns, ["x0", "y0", "x1", "y1"], where="plot.stars")
    each = nodes.drop_duplicates("node")
    each = each[each["n"] > 0]
    clusters, markers = in_order(each["cluster"]), [str(m) for m in nodes["marker"].drop_duplicates()]
    palette = palette or colors(clusters)
    arms = {m: _ARMS[i % len(_ARMS)] for i, m in enumerate(markers)}
    long = np.hypot(edges["x1"] - edges["x0"], edges["y1"] - edges["y0"])
    widest = 0.62 * float(np.median(long)) if len(long) else 1.0
    radius = widest * np.sqrt(np.clip(each["n"] / each["n"].max(), 0.06, 1))
    size = dict(zip(each["node"], radius, strict=True))
    with style():
        ax = _axes(ax, DOUBLE, 120.0)
        lines = edges[["x0", "y0", "x1", "y1"]].to_numpy(float).reshape(-1, 2, 2)
        ax.add_collection(LineCollection(list(lines), colors="0.6", linewidths=0.5, zorder=1))
        ground = EllipseCollection(
            2 * radius, 2 * radius, np.zeros(len(each)), units="xy", offsets=each[["x", "y"]].to_numpy(float),
            offset_transform=ax.transData, zorder=2, edgecolors=[palette[str(c)] for c in each["cluster"]],
            facecolors=[palette[str(c)] + "40" for c in each["cluster"]], linewidths=1.0,
        )  # fmt: skip
        ax.add_collection(ground)
        step = 360 / max(len(markers), 1)
        for m, marker in enumerate(markers):
            rows = nodes[(nodes["marker"].astype(str) == marker) & nodes["node"].isin(size)]
            wedges = [Wedge((r.x, r.y), max(size[r.node] * float(r.value), 1e-9), m * step, (m + 1) * step)
                      for r in rows.itertuples()]  # fmt: skip
            ax.add_collection(PatchCollection(wedges, facecolors=arms[marker], linewidths=0, zorder=3))
        ax.set_aspect("equal")
        air = 1.05 * float(radius.max()) if len(radius) else 1.0
        ax.set_xlim(float(nodes["x"].min()) - air, float(nodes["x"].max()) + air)
        ax.set_ylim(float(nodes["y"].min()) - air, float(nodes["y"].max()) + air)
        ax.set_axis_off()
        first = key(ax, {c: palette[c] for c in clusters}, title="metacluster", loc="upper left",
                    bbox_to_anchor=(1.0, 1.0))  # fmt: skip
        ax.add_artist(first)
        first.set_clip_on(False)  # else the layout leaves no room for it
        key(ax, {brief(m): arms[m] for m in markers}, title="arms", loc="lower left",
            bbox_to_anchor=(1.0, 0.0))  # fmt: skip
    return ax
