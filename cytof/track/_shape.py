"""What trees, ridges, density maps and star charts draw: shapes made here, so that plots compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import has_columns, one_of
from cytof.errors import InputError
from cytof.keys import UNS, Obs
from cytof.track._cells import codes, columns_of, default_markers, label, levels, values

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["dendrogram", "densities", "map_density", "stars"]


def dendrogram(profile: pd.DataFrame, axis: str = "cluster") -> pd.DataFrame:
    """Return the tree behind ``cluster_order`` or ``marker_order`` of a profile, as points of lines.

    Parameters
    ----------
    profile
        Table of :func:`cytof.track.profile`.
    axis
        ``cluster`` or ``marker``.

    Returns
    -------
    DataFrame ``axis line place height``: four rows a merge; ``place`` counts rows (or columns) of the heatmap from 0,
    ``height`` is the distance of the merge, 1 for the highest. Empty for fewer than three leaves.

    Raises
    ------
    UsageError
        Another axis, or a column is missing.

    Examples
    --------
    >>> table = pd.DataFrame({"cluster": list("abc"), "marker": "CD4", "value": [0.0, 0.1, 1.0]})
    >>> dendrogram(table)[["line", "place", "height"]].tail(2).round(2).values.tolist()
    [[1.0, 1.5, 1.0], [1.0, 1.5, 0.11]]
    """
    from scipy.cluster.hierarchy import dendrogram as lines
    from scipy.cluster.hierarchy import linkage

    one_of(axis, ("cluster", "marker"), "axis", where="track.dendrogram")
    has_columns(profile.columns, ["cluster", "marker", "value"], where="track.dendrogram")
    other = "marker" if axis == "cluster" else "cluster"
    named = profile.astype({axis: str, other: str})
    grid = named.pivot(index=axis, columns=other, values="value")
    grid = grid.reindex(index=named[axis].drop_duplicates(), columns=named[other].drop_duplicates())
    if len(grid) < 3:
        return pd.DataFrame(columns=["axis", "line", "place", "height"])
    tree = lines(linkage(np.nan_to_num(grid.to_numpy(float)), "average", optimal_ordering=True), no_plot=True)
    height = np.asarray(tree["dcoord"]).ravel()
    return pd.DataFrame(
        {
            "axis": axis,
            "line": np.repeat(np.arange(len(tree["icoord"])), 4),
            "place": (np.asarray(tree["icoord"]).ravel() - 5) / 10,
            "height": height / (height.max() or 1.0),
        }
    )


def densities(
    adata: AnnData, *, by: str = Obs.FLOWSOM, markers: Sequence[str] | None = None, n_points: int = 128
) -> pd.DataFrame:
    """Return the smoothed density of each marker in each group, for ridges.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X.
    by
        Column of ``obs`` with the groups; cells without one are left out.
    markers
        Markers; None for those of :func:`cytof.track.profile`.
    n_points
        Points of a curve, from the lowest to the highest value of the marker in all groups.

    Returns
    -------
    DataFrame ``group marker n x density``; the area of a curve over x is 1; bandwidth by Silverman's rule.

    Raises
    ------
    PanelError, UsageError
        No such marker or column.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"flowsom": ["1", "1", "2"]}, index=list("abc"))
    >>> cells = anndata.AnnData(np.float32([[0], [2], [4]]), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> table = densities(cells, n_points=64)
    >>> table.groupby("group")["n"].first().to_dict(), round(float(table.groupby("group")["x"].max()["1"]), 1)
    ({'1': 2, '2': 1}, 4.0)

    Source: Silverman 1986, Density Estimation, equation 3.31.
    """
    names, groups = default_markers(adata, markers), levels(adata, by)
    group = codes(adata, by, groups)
    rows = np.flatnonzero(group >= 0)
    parts = []
    for marker, column in zip(names, columns_of(adata, names), strict=True):
        x = values(adata, rows, np.array([column]))[0].astype(np.float64)
        known = x[~np.isnan(x)]
        low = float(known.min()) if len(known) else 0.0
        at = np.linspace(low, max(float(known.max()), low + 1e-6) if len(known) else 1.0, n_points)
        for g, name in enumerate(groups):
            here = x[group[rows] == g]
            here = here[~np.isnan(here)]
            parts.append(pd.DataFrame({
                "group": label(by, name), "marker": marker, "n": len(here), "x": at, "density": _density(here, at),
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _density(x: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian kernel density of values at evenly spaced points, from counts in the bins around them."""
    from scipy.ndimage import gaussian_filter1d

    if not len(x):
        return np.zeros(len(at))
    step = at[1] - at[0]
    counts = np.histogram(x, np.append(at - step / 2, at[-1] + step / 2))[0].astype(float)
    quarter = np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.34
    spread = min(s for s in (x.std(), quarter, np.inf) if s > 0) if x.std() > 0 else step
    smooth = gaussian_filter1d(counts, max(0.9 * spread * len(x) ** -0.2 / step, 0.5), mode="reflect")
    return smooth / (smooth.sum() * step)


def map_density(table: pd.DataFrame, *, by: str | None = None, n_bins: int = 96) -> pd.DataFrame:
    """Return a map's table with a column ``density``: how crowded the place of each cell is, from 0 to 1.

    Parameters
    ----------
    table
        Columns ``x y`` (:func:`cytof.track.map`).
    by
        Column; crowding is counted within each level (a visit), each scaled to its own highest place.
    n_bins
        Bins of the longer side of the map.

    Examples
    --------
    >>> table = pd.DataFrame({"x": [0.0, 0.0, 9.0], "y": [0.0, 0.0, 9.0]})
    >>> map_density(table)["density"].round(2).tolist()
    [1.0, 1.0, 0.5]
    """
    from scipy.ndimage import gaussian_filter

    has_columns(table.columns, ["x", "y", *([by] if by else [])], where="track.map_density")
    places = table[["x", "y"]].to_numpy(float)
    low, span = places.min(axis=0), max(float(np.ptp(places, axis=0).max()), 1e-9)
    bins = np.clip(((places - low) / span * (n_bins - 1)).astype(int), 0, n_bins - 1)
    crowded = np.zeros(len(table))
    every = table[by].astype(str).to_numpy() if by else np.full(len(table), "")
    for level in dict.fromkeys(every):
        here = every == level
        counts = np.zeros((n_bins, n_bins))
        np.add.at(counts, tuple(bins[here].T), 1.0)
        smooth = gaussian_filter(counts, 1.5, mode="constant")[tuple(bins[here].T)]
        crowded[here] = smooth / smooth.max()
    return table.assign(density=crowded.round(4))


def _scaled_apart(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return places in the plane by classical scaling of distances, for a layout to start from."""
    square = apart**2
    centred = -0.5 * (square - square.mean(0) - square.mean(1)[:, None] + square.mean())
    level, axes = np.linalg.eigh(centred)
    axes = axes[:, [-1, -2]] if len(apart) > 1 else np.zeros((1, 2))
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]] + 1e-300)
    return axes * np.sqrt(np.maximum(level[[-1, -2]] if len(apart) > 1 else 0.0, 1e-12))


def stars(
    adata: AnnData, *, key: str = Obs.FLOWSOM, markers: Sequence[str] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the nodes of a FlowSOM map laid out by their spanning tree, and its edges.

    Parameters
    ----------
    adata
        Cells clustered by :func:`cytof.cluster.flowsom`.
    key
        ``key_added`` of the clustering.
    markers
        Arms of the stars; the first eight features of the map when None.

    Returns
    -------
    Nodes: DataFrame ``node x y n cluster marker value``, a row a node and arm, ``value`` from 0 to 1 over all nodes;
    edges: DataFrame ``source target x0 y0 x1 y1``. The layout is Kamada and Kawai's, started from a scaling of
    the path lengths, so it is the same each time.

    Raises
    ------
    InputError
        The cells bear no such map.

    Examples
    --------
    ``nodes, edges = stars(adata); cytof.plot.tree(nodes, edges)``

    Source: Van Gassen et al. 2015, Cytometry A 87:636 (star charts); Kamada, Kawai 1989, Inf Process Lett 31:7.
    """
    import igraph

    tail = "" if key == Obs.FLOWSOM else f":{key}"
    home = adata.uns.get(UNS, {})
    if f"som_tree{tail}" not in home:
        raise InputError("no FlowSOM tree", where=f"adata.uns['{UNS}']", hint="run `cytof.cluster.flowsom` first")
    som, edges = home[f"som{tail}"], home[f"som_tree{tail}"]
    codes_, features = np.asarray(som["codes"], float), [str(f) for f in som["features"]]
    graph = igraph.Graph(len(codes_), edges[["source", "target"]].to_numpy(int).tolist())
    start = _scaled_apart(np.asarray(graph.distances(), float))
    places = np.asarray(graph.layout_kamada_kawai(seed=start.tolist()).coords)
    places = (places - places.min(axis=0)) / max(float(np.ptp(places, axis=0).max()), 1e-9)
    chosen = [m for m in (markers if markers is not None else features[:8]) if m in features]
    value = codes_[:, [features.index(m) for m in chosen]]
    span = np.ptp(value, axis=0)
    value = (value - value.min(axis=0)) / np.where(span > 0, span, 1.0)
    numbers = home[f"metaclusters{tail}"][f"meta{som['k']}"].astype(str).to_numpy() if som["k"] > 1 else "1"
    n = len(codes_)
    each = pd.DataFrame({"node": np.arange(n), "x": places[:, 0], "y": places[:, 1], "n": som["counts"],
                         "cluster": numbers})  # fmt: skip
    nodes = each.loc[np.repeat(np.arange(n), len(chosen))].reset_index(drop=True)
    nodes["marker"], nodes["value"] = np.tile(chosen, n), value.ravel()
    a, b = edges["source"].to_numpy(int), edges["target"].to_numpy(int)
    lines = pd.DataFrame({"source": a, "target": b, "x0": places[a, 0], "y0": places[a, 1], "x1": places[b, 0],
                          "y1": places[b, 1]})  # fmt: skip
    return nodes, lines
