"""Pages of a gate: where the threshold lies on the histogram, where the region lies on the density, per sample."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cytof._check import has_columns
from cytof.plot._style import TEXT, _axes, _plain, brief, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["biaxial", "histogram", "thresholds"]

_IN, _OUT, _LINE = "#2d5ad2", "#c9c9c9", "#d55e00"


def histogram(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the histogram of a gate's parent on the gate's channel, coloured inside the gate, with its threshold.

    Parameters
    ----------
    table
        One sample and gate: columns ``x_low x_high n`` (a bin each, arcsinh scale); optional, constant over the rows:
        ``x_name value low high`` (threshold and its interval), ``side`` (``above`` or ``below``: which is inside),
        ``fraction`` (of parent), ``title``.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; ``ax.patches`` are the bins, the threshold is a vertical line, its interval a band.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"x_low": [0.0, 1.0], "x_high": [1.0, 2.0], "n": [90, 10], "value": 1.0, "fraction": 0.1})
    >>> ax = histogram(table)
    >>> float(ax.lines[0].get_xdata()[0]), ax.texts[0].get_text()
    (1.0, '10.0 %')
    """
    import numpy as np

    has_columns(table.columns, ["x_low", "x_high", "n"], where="plot.histogram")
    said = _constants(table)
    with style():
        ax = _axes(ax, height=40.0)
        middle = (table["x_low"] + table["x_high"]).to_numpy(float) / 2
        value = float(said.get("value", np.nan))
        inside = middle < value if said.get("side", "above") == "below" else middle >= value
        height = np.log10(1 + table["n"].to_numpy(float))  # a rare population must be seen beside a common one
        width = (table["x_high"] - table["x_low"]).to_numpy(float)
        ax.bar(middle, height, width, color=np.where(inside, _IN, _OUT), linewidth=0)
        low, high = float(said.get("low", np.nan)), float(said.get("high", np.nan))
        if np.isfinite(low) and np.isfinite(high) and high > low:
            ax.axvspan(low, high, color=_LINE, alpha=0.25, linewidth=0)
        if np.isfinite(value):
            ax.axvline(value, color=_LINE, linewidth=1.0)
        _say(ax, said)
        _plain(ax)
        ax.set_yticks([])
        ax.set_ylim(0, max(float(height.max(initial=0)), 1.0) * 1.22)
        ax.set_ylabel("log events", fontsize=TEXT)
    return ax


def biaxial(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the density of a gate's parent on two channels, with the gate's outline and its percent of the parent.

    Parameters
    ----------
    table
        One sample and gate: columns ``x_low x_high y_low y_high n``, a row each bin that holds events (bins of equal
        size); optional, constant over the rows: ``x_name y_name region`` (JSON of a rectangle, polygon or ellipse on
        the same scale, or a list of them; ``label`` in it is written into its corner), ``low high`` (interval of the
        threshold of a gate on one channel), ``fraction``, ``n_parent``, ``title``.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; ``ax.images[0]`` is the raster of log10 counts, ``ax.lines`` the outline.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"x_low": [0.0, 1.0], "x_high": [1.0, 2.0], "y_low": [0.0, 0.0], "y_high": [1.0, 1.0],
    ...                       "n": [5, 50], "fraction": 0.9})
    >>> biaxial(table).images[0].get_array().shape
    (1, 2)
    """
    import numpy as np

    has_columns(table.columns, ["x_low", "x_high", "y_low", "y_high", "n"], where="plot.biaxial")
    said = _constants(table)
    with style():
        ax = _axes(ax, height=80.0)
        x, y, x0, y0, grid = _raster(table)
        image = np.ma.masked_equal(grid, 0)
        extent = (x0, x0 + x * grid.shape[1], y0, y0 + y * grid.shape[0])
        ax.imshow(np.ma.log10(image), origin="lower", extent=extent, aspect="auto", cmap="viridis")
        low, high = float(said.get("low", np.nan)), float(said.get("high", np.nan))
        if np.isfinite(low) and np.isfinite(high) and high > low:
            ax.axvspan(low, high, color=_LINE, alpha=0.25, linewidth=0)
        for line in _outlines(str(said.get("region", "") or ""), extent):
            ax.plot(*line, color=_LINE, linewidth=0.8)
        _labels(ax, str(said.get("region", "") or ""), extent)
        ax.set_xlim(extent[:2])
        ax.set_ylim(extent[2:])
        _say(ax, said)
        _plain(ax)
        ax.set_ylabel(str(said.get("y_name", "")), fontsize=TEXT)
    return ax


def _raster(table: pd.DataFrame) -> tuple[float, float, float, float, Any]:
    """Return bin width and height, lower left corner and the grid of counts."""
    import numpy as np

    x = float((table["x_high"] - table["x_low"]).median())
    y = float((table["y_high"] - table["y_low"]).median())
    x0, y0 = float(table["x_low"].min()), float(table["y_low"].min())
    column = np.rint((table["x_low"].to_numpy(float) - x0) / x).astype(int)
    row = np.rint((table["y_low"].to_numpy(float) - y0) / y).astype(int)
    grid = np.zeros((int(row.max()) + 1, int(column.max()) + 1))
    np.add.at(grid, (row, column), table["n"].to_numpy(float))
    return x, y, x0, y0, grid


def _outlines(region: str, extent: tuple[float, float, float, float]) -> list[tuple[Any, Any]]:
    """Return the closed lines of a region given as JSON; open sides lie far beyond the edge of the plot."""
    data = json.loads(region) if region else []
    data = [data] if isinstance(data, dict) else data
    return [line for one in data if (line := _outline(one, extent)) is not None]


def _outline(data: dict[str, Any], extent: tuple[float, float, float, float]) -> tuple[Any, Any] | None:
    import numpy as np

    if data.get("kind") == "polygon":
        corners = np.asarray([*data["vertices"], data["vertices"][0]], float)
        return corners[:, 0], corners[:, 1]
    if data.get("kind") == "ellipse" and len(data["mean"]) == 2:
        turn = np.linspace(0, 2 * np.pi, 121)
        root = np.linalg.cholesky(np.asarray(data["covariance"], float)) * np.sqrt(data["distance_square"])
        ring = np.asarray(data["mean"]) + np.stack([np.cos(turn), np.sin(turn)], axis=1) @ root.T
        return ring[:, 0], ring[:, 1]
    if data.get("kind") == "rectangle" and len(data["low"]) == 2:
        far = 10 * max(extent[1] - extent[0], extent[3] - extent[2])
        low = np.maximum(np.asarray(data["low"], float), [extent[0] - far, extent[2] - far])
        high = np.minimum(np.asarray(data["high"], float), [extent[1] + far, extent[3] + far])
        return np.take([low[0], high[0]], [0, 1, 1, 0, 0]), np.take([low[1], high[1]], [0, 0, 1, 1, 0])
    return None


def _labels(ax: Axes, region: str, extent: tuple[float, float, float, float]) -> None:
    """Write the label of each region into the corner of the plot that it reaches furthest into."""
    data = json.loads(region) if region else []
    for one in [data] if isinstance(data, dict) else data:
        line = _outline(one, extent)
        if "label" not in one or line is None:
            continue
        right = (max(line[0]) + min(line[0])) / 2 > (extent[0] + extent[1]) / 2
        top = (max(line[1]) + min(line[1])) / 2 > (extent[2] + extent[3]) / 2
        ax.text(0.98 if right else 0.02, 0.98 if top else 0.02, one["label"], transform=ax.transAxes, fontsize=TEXT,
                ha="right" if right else "left", va="top" if top else "bottom", path_effects=_halo())  # fmt: skip


def _halo() -> list[Any]:
    """Return a white edge around letters, so that they are read on the density and cover little of it."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=1.6, foreground="white")]


def _constants(table: pd.DataFrame) -> dict[str, Any]:
    """Return what holds for the whole table: the first row."""
    return dict(table.iloc[0]) if len(table) else {}


def _say(ax: Axes, said: dict[str, Any]) -> None:
    fraction = said.get("fraction")
    if isinstance(fraction, float) and fraction == fraction:
        share, n_parent = f"{fraction * 100:.{1 if fraction >= 0.01 else 2}f} %", float(said.get("n_parent", "nan"))
        told = f"{round(fraction * n_parent):,} ({share})" if n_parent == n_parent else share
        right = said.get("side", "above") != "below"  # on the gate's side
        ax.text(1.0 if right else 0.0, 1.02, told, ha="right" if right else "left", va="bottom",
                transform=ax.transAxes, fontsize=TEXT)  # fmt: skip
        ax.set_title(str(said.get("title", "")), fontsize=TEXT, pad=TEXT + 4.5)
    else:
        ax.set_title(str(said.get("title", "")), fontsize=TEXT)
    ax.set_xlabel(str(said.get("x_name", "")), fontsize=TEXT)


def thresholds(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the thresholds of one-channel gates, a row each gate, a mark each sample, with their intervals.

    Parameters
    ----------
    table
        Columns ``sample_id gate channel value low high flag`` (``keys.Tables.THRESHOLDS``), arcsinh scale; rows without
        a value (regions, booleans) are passed over.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a row (tick) a gate, named by the last part of its path; flagged thresholds are open marks.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sample_id": ["a", "b"], "gate": "cells/CD3+", "channel": "Er170", "value": [2.0, 2.1],
    ...                       "low": [1.8, 1.9], "high": [2.3, 2.2], "flag": ["", "shallow"]})
    >>> [t.get_text() for t in thresholds(table).get_yticklabels()]
    ['CD3+']
    """
    has_columns(table.columns, ["sample_id", "gate", "value", "low", "high", "flag"], where="plot.thresholds")
    table = table[table["value"].notna()]
    gates = [str(g) for g in table["gate"].drop_duplicates()]
    samples = [str(s) for s in table["sample_id"].drop_duplicates()]
    with style():
        ax = _axes(ax, height=14.0 + 5.0 * len(gates))
        for row, gate in enumerate(gates):
            here = table[table["gate"].astype(str) == gate].reset_index(drop=True)
            few = len(here) <= 16
            for i, line in here.iterrows():
                y = row - 0.36 + 0.72 * (i + 0.5) / len(here)
                ax.plot([line["low"], line["high"]], [y, y], color="#8c8c8c", linewidth=0.7 if few else 0.25)
                flagged = bool(str(line["flag"] or "").strip()) and line["flag"] == line["flag"]
                ax.plot(line["value"], y, "o", markersize=3.2 if few else 1.6, color=_LINE if flagged else _IN,
                        markerfacecolor="white" if flagged else _IN)  # fmt: skip
        _plain(ax)
        ax.set_yticks(range(len(gates)), [brief(g.rsplit("/", 1)[-1]) for g in gates], fontsize=TEXT)
        ax.set_ylim(len(gates) - 0.5, -0.5)
        ax.set_xlabel(
            f"threshold, arcsinh scale ({len(samples)} samples from the top down; open: flagged)", fontsize=TEXT
        )
    return ax
