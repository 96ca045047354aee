"""FlowSOM's minimum spanning tree: nodes by their cells and metaclusters, a star chart on each where arms are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cytof._check import has_columns
from cytof.plot._composition import _short
from cytof.plot._map import key
from cytof.plot._style import DOUBLE, _axes, brief, colors, in_order, style

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["tree"]

# Okabe and Ito's colours
_ARMS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999")


def tree(
    nodes: pd.DataFrame, edges: pd.DataFrame | None = None, *, palette: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw a FlowSOM tree; with columns ``marker value`` each node bears a star chart.

    Parameters
    ----------
    nodes
        Columns ``node x y n cluster``, a row a node (:func:`cytof.cluster.tree`); with ``marker value`` a row a node
        and arm, ``value`` 0-1 the length of the arm (:func:`cytof.track.stars`).
    edges
        Columns ``x0 y0 x1 y1``; None for those of the column ``parent`` of the nodes.
    palette
        Metacluster -> colour of the ground; :func:`colors` when None.
    ax
        Axes to draw in; a new figure of 183 mm when None.

    Returns
    -------
    Axes; edges are ``ax.collections[0]``, grounds ``ax.collections[1]``, arms one collection a marker after it. The
    ground's area grows with the number of cells; the smallest are drawn large enough to be seen; nodes without cells
    are left as joints. The legend's title tells the cells of all nodes.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> nodes = pd.DataFrame({"node": [0, 1], "parent": [-1, 0], "x": [0.0, 1.0], "y": [0.0, 0.0], "n": [9, 3],
    ...                       "cluster": ["1", "2"]})
    >>> len(tree(nodes).collections), len(tree(nodes.assign(marker="CD4", value=[1.0, 0.2])).collections)
    (2, 3)
    """
    import numpy as np
    from matplotlib.collections import EllipseCollection, LineCollection

    has_columns(nodes.columns, ["node", "x", "y", "n", "cluster"], where="plot.tree")
    every = nodes.drop_duplicates("node")
    lines = _edges(every, edges)
    each = every[every["n"] > 0]
    clusters = in_order(each["cluster"].astype(str))
    palette = palette or colors(clusters)
    long = np.hypot(*(lines[:, 1] - lines[:, 0]).T)
    widest = 0.62 * float(np.median(long)) if len(long) else 1.0
    radius = widest * np.sqrt(np.clip(each["n"] / max(each["n"].max(), 1), 0.06, 1)).to_numpy(float)
    with style():
        ax = _axes(ax, DOUBLE, 120.0)
        ax.add_collection(LineCollection(list(lines), colors="0.6", linewidths=0.5, zorder=1))
        arms = {"marker", "value"} <= set(nodes.columns)
        ax.add_collection(EllipseCollection(
            2 * radius, 2 * radius, np.zeros(len(each)), units="xy", offsets=each[["x", "y"]].to_numpy(float),
            offset_transform=ax.transData, zorder=2, edgecolors=[palette[str(c)] for c in each["cluster"]],
            facecolors=[palette[str(c)] + "40" * arms for c in each["cluster"]], linewidths=1.0,
        ))  # fmt: skip
        ax.set_aspect("equal")
        air = 1.05 * float(radius.max()) if len(radius) else 1.0
        ax.set_xlim(float(nodes["x"].min()) - air, float(nodes["x"].max()) + air)
        ax.set_ylim(float(nodes["y"].min()) - air, float(nodes["y"].max()) + air)
        ax.set_axis_off()
        title = f"metacluster\n(n = {_short(int(each['n'].sum()))} cells)"
        first = key(ax, {c: palette[c] for c in clusters}, title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if arms:
            ax.add_artist(first)
            first.set_clip_on(False)  # else the layout leaves no room for it
            _stars(ax, nodes, dict(zip(each["node"], radius, strict=True)))
    return ax


def _edges(nodes: pd.DataFrame, edges: pd.DataFrame | None) -> np.ndarray:
    """Return the ends of the edges, shape (n_edges, 2, 2)."""
    import numpy as np

    if edges is not None:
        has_columns(edges.columns, ["x0", "y0", "x1", "y1"], where="plot.tree")
        return edges[["x0", "y0", "x1", "y1"]].to_numpy(float).reshape(-1, 2, 2)
    has_columns(nodes.columns, ["parent"], where="plot.tree", hint="or give `edges`")
    at, hanging = nodes.set_index("node")[["x", "y"]].astype(float), nodes[nodes["parent"] >= 0]
    ends = [at.loc[hanging[end]].to_numpy() for end in ("node", "parent")]
    return np.stack(ends, axis=1)


def _stars(ax: Axes, nodes: pd.DataFrame, size: Mapping[Any, float]) -> None:
    """Draw one wedge a marker on each node that has cells, and their legend."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Wedge

    markers = [str(m) for m in nodes["marker"].drop_duplicates()]
    arms = {m: _ARMS[i % len(_ARMS)] for i, m in enumerate(markers)}
    step = 360 / max(len(markers), 1)
    for m, marker in enumerate(markers):
        rows = nodes[(nodes["marker"].astype(str) == marker) & nodes["node"].isin(size)]
        wedges = [Wedge((r.x, r.y), max(size[r.node] * float(r.value), 1e-9), m * step, (m + 1) * step)
                  for r in rows.itertuples()]  # fmt: skip
        ax.add_collection(PatchCollection(wedges, facecolors=arms[marker], linewidths=0, zorder=3))
    key(ax, {brief(m): arms[m] for m in markers}, title="arms", loc="lower left", bbox_to_anchor=(1.0, 0.0))
