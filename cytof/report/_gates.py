"""Gate pages: for every gate of a sample, what its parent looks like on the gate's channels, and where the gate lies.

The events are in memory only while a file is gated; :func:`gate_views` keeps a binned picture of them, small enough for
a CSV, from which the pages are drawn later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cytof import plot
from cytof.gate import unusual
from cytof.region import Rectangle, to_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from numpy.typing import NDArray

    from cytof.gate import Gating

__all__ = ["VIEWS", "by_unusual", "gate_multiples", "gate_page", "gate_views", "multiples_height", "page_height"]

VIEWS = (
    "sample_id", "gate", "parent", "x_name", "y_name", "x_low", "x_high", "y_low", "y_high", "n", "n_parent", "value",
    "low", "high", "side", "fraction", "region", "flag",
)  # fmt: skip
"""Columns of :func:`gate_views`; a row a bin that holds events. From ``n_parent`` on, the first row counts."""

_COLUMNS, _ROW = 5, 38.0  # panels in a row, mm of a row


def gate_views(gating: Gating, *, bins: int = 80, bins_2d: int = 48) -> pd.DataFrame:
    """Return binned events of the parent of every gate that lies on channels, for :func:`write` to draw.

    Parameters
    ----------
    gating
        One sample with all its events (before ``keep``).
    bins
        Bins of a gate on one channel, where there is no second to set it against.
    bins_2d
        Bins of each of two channels.

    Returns
    -------
    DataFrame with columns :data:`VIEWS`, bounds on the scale of the gate (arcsinh for masses). A gate on one channel
    is set against the channel of the next gate below it, of the last above it otherwise. Gates on the same two
    channels of one parent (quadrants) share a view. Boolean gates, and imported gates on
    logicle and the like, have none.

    Examples
    --------
    >>> from cytof import gate, panel
    >>> from cytof.events import Events
    >>> channels = pd.DataFrame({"antigen": ["CD3"], "role": ["lineage"], "cofactor": [5.0]}, index=["Er170"])
    >>> counts = np.float32([[0.0]] * 70 + [[90.0]] * 30)
    >>> events = Events(counts, channels, {}, "s1")
    >>> from types import SimpleNamespace
    >>> from cytof.region import Dimension
    >>> box = Rectangle((Dimension("Er170", 5.0),), (2.0,), (np.inf,))
    >>> gating = SimpleNamespace(events=events, regions={"CD3+": box}, parents={"CD3+": "root"},
    ...     masks=pd.DataFrame({"CD3+": counts[:, 0] > 20}), thresholds=pd.DataFrame())
    >>> view = gate_views(gating, bins=4)
    >>> view[["gate", "x_name", "n", "fraction"]].values.tolist()[-1], int(view["n"].sum())
    (['CD3+', 'CD3', 30, nan], 100)
    """
    tables = []
    for parent, paths in _panels(gating).items():
        inside = np.ones(len(gating.events), bool) if parent[0] == "root" else gating.masks[parent[0]].to_numpy(bool)
        tables.append(_view(gating, parent[0], paths, inside, (bins, bins_2d)))
    if not tables:
        return pd.DataFrame(columns=list(VIEWS))
    return pd.concat(tables, ignore_index=True)[list(VIEWS)]


def _panels(gating: Gating) -> dict[tuple[str, ...], list[tuple[str, Any]]]:
    """Return (parent, channels, own name for one channel) -> gates that are drawn together."""
    found: dict[tuple[str, ...], list[tuple[str, Any]]] = {}
    for path in gating.masks.columns:
        region = gating.regions.get(path)
        dims = getattr(region, "dims", ())
        if len(dims) in (1, 2) and all(d.scale is None for d in dims):
            alone = (path,) if len(dims) == 1 else ()
            found.setdefault((gating.parents[path], *(d.channel for d in dims), *alone), []).append((path, region))
    return found


def _partner(gating: Gating, path: str, channel: str) -> list[Any]:
    """Return the dimension that a gate on one channel is set against: of a gate below it, else of one above it."""
    below = [p for p in gating.masks.columns if p.startswith(f"{path}/")]
    above, here = [], gating.parents.get(path, "root")
    while here in gating.parents:
        above.append(here)
        here = gating.parents[here]
    for other in (*below, *above):
        for dim in getattr(gating.regions.get(other), "dims", ()):
            if dim.channel != channel and dim.scale is None:
                return [dim]
    return []


def _view(
    gating: Gating, parent: str, paths: Sequence[tuple[str, Any]], inside: NDArray[np.bool_], bins: tuple[int, int]
) -> pd.DataFrame:
    path, region = paths[0]
    n_parent, single = int(inside.sum()), len(region.dims) == 1
    dims = [*region.dims, *(_partner(gating, path, region.dims[0].channel) if single else ())]
    scaled = [_scaled(gating, d, inside) for d in dims]
    bounds = [_bounds(paths, i) if i < len(region.dims) else [] for i in range(len(dims))]
    edges = [_edges(x, bins[len(dims) - 1], b) for x, b in zip(scaled, bounds, strict=True)]
    clipped = [np.clip(x, e[0], e[-1]) for x, e in zip(scaled, edges, strict=True)]
    table = _histogram(clipped, edges)
    names = [_antigen(gating, d.channel) for d in dims]
    inside_gate = {p: int((gating.masks[p].to_numpy(bool) & inside).sum()) for p, _ in paths}
    table = table.assign(sample_id=gating.events.sample_id, gate=path, parent=parent, x_name=names[0])
    table["y_name"] = names[1] if len(names) == 2 else ""
    said: dict[str, Any] = {"n_parent": n_parent, "flag": _flag(gating, path)}
    if single:
        said |= _threshold(gating, path, region) | {"fraction": inside_gate[path] / max(n_parent, 1)}
        if len(dims) == 2 and isinstance(region, Rectangle):
            box = Rectangle((dims[0], dims[1]), (region.low[0], -np.inf), (region.high[0], np.inf))
            said["region"] = to_json(box)
    else:
        table["gate"] = " ".join([path, *(p.rsplit("/", 1)[-1] for p, _ in paths[1:])])
        drawn = [json.loads(to_json(r)) | {"label": _label(p, inside_gate[p], n_parent)} for p, r in paths]
        said["region"] = json.dumps(drawn, sort_keys=True)
    for name in ("n_parent", "value", "low", "high", "fraction"):
        table[name] = np.nan
        table.loc[0, name] = float(said.get(name, np.nan))
    for name in ("side", "region", "flag"):
        table[name] = ""
        table.loc[0, name] = str(said.get(name, ""))
    return table


def _label(path: str, n: int, n_parent: int) -> str:
    return f"{path.rsplit('/', 1)[-1]} {n:,}\n{100 * n / max(n_parent, 1):.3g} %"


def _flag(gating: Gating, path: str) -> str:
    rows = gating.thresholds
    found = rows.loc[rows["gate"].astype(str) == path, "flag"] if {"gate", "flag"} <= set(rows.columns) else []
    return str(next(iter(found), ""))


def _antigen(gating: Gating, channel: str) -> str:
    channels = gating.events.channels
    name = str(channels.at[channel, "antigen"]) if "antigen" in channels and channel in channels.index else ""
    return name or channel


def _scaled(gating: Gating, dimension: Any, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    values = np.asarray(gating.events.column(dimension.channel), np.float64)[inside]
    values = values[np.isfinite(values)] if len(values) else values
    return values if dimension.cofactor is None else np.arcsinh(values / dimension.cofactor)


def _bounds(paths: Sequence[tuple[str, Any]], axis: int) -> list[float]:
    """Return the finite bounds of the gates on one axis, so that the picture holds them."""
    bounds = []
    for _, region in paths:
        if isinstance(region, Rectangle):
            bounds += [b for b in (region.low[axis], region.high[axis]) if np.isfinite(b)]
        elif hasattr(region, "vertices"):
            bounds += [v[axis] for v in region.vertices]
        elif hasattr(region, "mean"):
            reach = np.sqrt(region.covariance[axis][axis] * region.distance_square)
            bounds += [region.mean[axis] - reach, region.mean[axis] + reach]
    return bounds


def _edges(x: NDArray[np.float64], bins: int, bounds: Sequence[float]) -> NDArray[np.float64]:
    low, high = np.quantile(x, [0.0005, 0.9995]) if len(x) else (0.0, 1.0)
    low, high = min([low, *bounds]), max([high, *bounds])
    air = 0.03 * max(high - low, 0.1)
    return np.linspace(low - air, high + air, bins + 1)


def _histogram(values: Sequence[NDArray], edges: Sequence[NDArray]) -> pd.DataFrame:
    """Return the bins that hold events; at least one row."""
    counts = np.histogramdd(np.stack(values, axis=1), bins=list(edges))[0].astype(int)
    index = np.argwhere(counts > 0)
    if not len(index):
        index = np.zeros((1, len(edges)), int)
    table = pd.DataFrame({"n": counts[tuple(index.T)]})
    for name, i, e in zip("xy", index.T, edges, strict=False):
        table[f"{name}_low"], table[f"{name}_high"] = e[i].round(5), e[i + 1].round(5)
    for name in ("y_low", "y_high"):
        table[name] = table.get(name, np.nan)
    return table


def _threshold(gating: Gating, path: str, region: Any) -> dict[str, Any]:
    """Return value, interval and side of a gate on one channel."""
    if not isinstance(region, Rectangle):
        return {}
    low, high = region.low[0], region.high[0]
    side = "above" if np.isfinite(low) else "below"  # words: a lone sign would be neutralised on its way through CSV
    said = {"value": low if side == "above" else high, "side": side}
    placed = gating.thresholds
    if len(placed):
        rows = placed[(placed["gate"].astype(str) == path) & placed["value"].notna()]
        if len(rows) == 1:
            said |= {"low": float(rows["low"].iloc[0]), "high": float(rows["high"].iloc[0])}
    return said


def page_height(views: pd.DataFrame) -> float:
    """Return the height in mm of the gate page of one sample.

    Examples
    --------
    >>> page_height(pd.DataFrame({"gate": list("abcdef")}))
    76.0
    """
    return _ROW * -(-views["gate"].nunique() // _COLUMNS)


def gate_page(figure: FigureBase, views: pd.DataFrame) -> list[Axes]:
    """Fill a figure with the gates of one sample, in the order of the template.

    Parameters
    ----------
    figure
        Figure to fill.
    views
        Rows of one sample of :func:`gate_views`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> view = pd.DataFrame({"gate": "live/CD3+", "parent": "live", "x_name": "CD3", "x_low": [0.0, 1.0],
    ...     "x_high": [1.0, 2.0], "y_low": np.nan, "n": [5, 3], "value": [1.0, np.nan]})
    >>> gate_page(Figure(), view)[0].get_title()
    'CD3+ of live'
    """
    panels = []
    for gate in views["gate"].drop_duplicates():
        view = views[views["gate"] == gate].reset_index(drop=True)
        parent, own = str(view["parent"].iloc[0]).rsplit("/", 1)[-1], gate.rsplit("/", 1)[-1]
        panels.append((view, f"{own} of {parent}" if view["value"].notna().any() else f"{parent}: {own}"))
    return _filled(figure, panels)


def multiples_height(views: pd.DataFrame) -> float:
    """Return the height in mm of the page of one gate over all samples."""
    return _ROW * -(-views["sample_id"].nunique() // _COLUMNS)


def gate_multiples(figure: FigureBase, views: pd.DataFrame) -> list[Axes]:
    """Fill a figure with one gate of all samples on common axes, the sample in which it is most unusual first.

    Parameters
    ----------
    figure
        Figure to fill.
    views
        Rows of one gate of :func:`gate_views`, all samples.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> view = pd.DataFrame({"gate": "CD3+", "x_low": [0.0, 1.0], "x_high": [1.0, 2.0], "y_low": np.nan, "n": 9,
    ...     "value": [1.0, np.nan], "fraction": [0.5, np.nan], "n_parent": [18, np.nan], "x_name": "CD3"})
    >>> both = pd.concat([view.assign(sample_id="a", flag="ok"), view.assign(sample_id="b", flag="fallback")])
    >>> [ax.get_title() for ax in gate_multiples(Figure(), both)]
    ['b (fallback)', 'a']
    """
    order = by_unusual(views)
    panels = []
    for sample, why in zip(order["sample_id"], order["why"], strict=True):
        view = views[views["sample_id"].astype(str) == sample].reset_index(drop=True)
        panels.append((view, f"{sample} ({why.split(';')[0]})" if why else sample))
    axes = _filled(figure, panels)
    two = views["y_low"].notna().any()
    for ax in axes:
        ax.set_xlim(views["x_low"].min(), views["x_high"].max())
        if two:
            ax.set_ylim(views["y_low"].min(), views["y_high"].max())
    return axes


def by_unusual(views: pd.DataFrame) -> pd.DataFrame:
    """Return ``sample_id gate score why`` of the views of one gate, the most unusual sample first."""
    first = views.drop_duplicates("sample_id").astype({"sample_id": str, "gate": str})
    flag = first["flag"].fillna("").replace("", "ok")
    total = first["n_parent"].fillna(0.0)
    counts = first[["sample_id", "gate"]].assign(n=total * first["fraction"].fillna(0.5), n_parent=total)
    gate = str(first["gate"].iloc[0])
    return unusual(first[["sample_id", "gate", "value"]].assign(flag=flag), counts, [gate], first["sample_id"])


def _filled(figure: FigureBase, panels: Sequence[tuple[pd.DataFrame, str]]) -> list[Axes]:
    rows = -(-len(panels) // _COLUMNS)
    tall = _ROW * rows
    room = {
        "left": 0.035,
        "right": 0.995,
        "bottom": 8.0 / tall,
        "top": 1.0 - 7.5 / tall,
        "wspace": 0.24,
        "hspace": 0.66,
    }
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, gridspec_kw=room).ravel()
    for ax, (view, title) in zip(grid, panels, strict=False):
        view["title"] = plot.brief(title, 30)
        (plot.biaxial if view["y_low"].notna().any() else plot.histogram)(view, ax=ax)
    for ax in grid[len(panels) :]:
        ax.set_visible(False)
    return list(grid[: len(panels)])
