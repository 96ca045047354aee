"""The explore page: map, lasso, what it holds, the view back on two markers, the heatmap with names of clusters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import io
from cytof.app._atlas import Atlas
from cytof.app._raster import raster
from cytof.app._shell import monospaced
from cytof.errors import CytofError
from cytof.keys import Obs
from cytof.plot import SINGLE, colors, map, style
from cytof.report import save

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["counts_text", "draw", "fill_explore"]

_CHOSEN, _REST = "#d55e00", "#9ca3af"


def fill_explore(doc: Document, atlas: Atlas, author: str = "") -> None:
    """Fill a Bokeh document with the map of a study and what is asked of it.

    Parameters
    ----------
    doc
        New document.
    atlas
        Cells on the map.
    author
        Who names clusters.
    """
    page = _Page(atlas, author)
    doc.title = "cytof explore"
    doc.add_root(page.layout)


class _Page:
    """Widgets of the page; all numbers come from the atlas."""

    def __init__(self, atlas: Atlas, author: str) -> None:
        from bokeh.layouts import column, row
        from bokeh.models import Button, Paragraph, PreText, Select, Slider, TextInput

        self.atlas, self.chosen = atlas, np.zeros(atlas.cells.n_obs, bool)
        self.colour = Select(title="Colour", options=[*atlas.keys, *atlas.markers], value=atlas.keys[0], width=150)
        self.visits = atlas.visits()
        self.visit = Slider(title="Visit", start=0, end=max(len(self.visits), 1), value=0, step=1, width=180)
        self.shown = Paragraph(text="all visits", width=200)
        first: list[str] = [m for m in ("CD4", "CD8") if m in atlas.markers]
        first += [m for m in atlas.markers if m not in first][: 2 - len(first)]
        self.x, self.y = (
            Select(title=f"Back view, {a}", options=atlas.markers, value=m, width=150)
            for a, m in zip(("across", "up"), (first * 2)[:2], strict=True)
        )
        self.counts = PreText(text="", width=330, height=110, styles=monospaced())
        self.message = Paragraph(text="lasso cells on the map", width=420, height=18, styles={"color": "#b45309"})
        self.key = Select(title="Clusters", options=self._cluster_keys(), width=120)
        self.cluster = Select(title="Cluster", options=[], width=90)
        self.name = TextInput(title="Its name; one name merges", width=180)
        self.author = TextInput(title="Who names", value=author, width=120)
        name, write = Button(label="Save name", width=100), Button(label="Write view: PDF, PNG, CSV", width=200)
        self.map, self.back, self.bars, self.heat = self._figures()
        self.key.value = self.key.options[0] if self.key.options else ""
        self.colour.on_change("value", lambda attr, old, new: self._safe(self._draw_map))
        self.visit.on_change("value_throttled", lambda attr, old, new: self._safe(self._draw_map))
        for select in (self.x, self.y):
            select.on_change("value", lambda attr, old, new: self._safe(self._draw_back))
        self.key.on_change("value", lambda attr, old, new: self._safe(self._draw_heat))
        name.on_click(lambda *_: self._safe(self._rename))
        write.on_click(lambda *_: self._safe(self._write))
        self.points.selected.on_change("indices", lambda attr, old, new: self._safe(lambda: self._lasso(new)))
        left = column(row(self.colour, self.visit, self.shown), self.message, self.map)
        right = column(row(self.x, self.y), self.back, self.counts)
        named = row(self.key, self.cluster, self.name, self.author, column(name, margin=(18, 0, 0, 0)),
                    column(write, margin=(18, 0, 0, 0)))  # fmt: skip
        self.layout = column(row(left, right, self.bars), row(self.heat), named)
        for draw in (self._draw_map, self._draw_back, self._draw_heat, self._draw_profile):
            self._safe(draw)

    def _cluster_keys(self) -> list[str]:
        return [k for k in self.atlas.keys if k not in (Obs.SUBSET, Obs.TIMEPOINT, Obs.SAMPLE)]

    def _figures(self) -> tuple[Any, Any, Any, Any]:
        from bokeh.models import ColumnDataSource, LassoSelectTool, LinearColorMapper
        from bokeh.plotting import figure

        self.points = ColumnDataSource({"x": [], "y": [], "c": [], "row": []}, name="points")
        fig = figure(width=520, height=390, tools="pan,wheel_zoom,reset", toolbar_location="above", name="map")
        fig.scatter("x", "y", source=self.points, size=3, fill_color="c", line_color=None, fill_alpha=0.8,
                    nonselection_fill_alpha=0.15)  # fmt: skip
        lasso = LassoSelectTool(continuous=False)
        fig.add_tools(lasso)
        fig.toolbar.active_drag = lasso
        fig.toolbar.logo = None
        fig.axis.axis_label = self.atlas.map.removeprefix("X_").replace("tsne", "t-SNE")
        self.pictures = [ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []}) for _ in range(2)]
        back = figure(width=330, height=270, tools="", toolbar_location=None)
        for source, colours in zip(self.pictures, (("#c4c8ce", "#374151"), ("#f7b283", _CHOSEN)), strict=True):
            mapper = LinearColorMapper(palette=list(colours), nan_color="rgba(0,0,0,0)")
            back.image("image", x="x", y="y", dw="dw", dh="dh", source=source, color_mapper=mapper)
        self.means = ColumnDataSource({"marker": [], "chosen": [], "others": []})
        bars = figure(width=380, height=455, y_range=self.atlas.markers[::-1], tools="", toolbar_location=None,
                      title="mean of chosen cells and of all others")  # fmt: skip
        bars.hbar(y="marker", right="others", height=0.8, source=self.means, fill_color="#e5e7eb", line_color=None)
        bars.scatter("chosen", "marker", source=self.means, size=6, fill_color=_CHOSEN, line_color=None)
        bars.xaxis.axis_label = "arcsinh scale"
        bars.yaxis.major_label_text_font_size = "9px"
        self.tiles = ColumnDataSource({"cluster": [], "marker": [], "level": []})
        heat = figure(width=1240, height=160, x_range=self.atlas.markers, y_range=[""], tools="", toolbar_location=None)
        mapper = LinearColorMapper(palette="Viridis256", low=0, high=1)
        heat.rect("marker", "cluster", 1, 1, source=self.tiles, line_color=None,
                  fill_color={"field": "level", "transform": mapper})  # fmt: skip
        heat.xaxis.major_label_orientation = 0.9
        heat.axis.major_label_text_font_size = "9px"
        return fig, back, bars, heat

    def _safe(self, do: Callable[[], None]) -> None:
        try:
            do()
        except CytofError as error:
            self.message.text = str(error).replace("\n", "; ")

    def _visit(self) -> str | None:
        at = int(self.visit.value)
        return self.visits[at - 1] if 0 < at <= len(self.visits) else None

    def _draw_map(self) -> None:
        visit = self._visit()
        self.shown.text = f"visit {visit}" if visit else "all visits"
        rows = np.flatnonzero(self.atlas.of_visit(visit))
        places = self.atlas.places[rows]
        colours = self._colours()[rows]
        self.points.selected.indices = []
        self.points.data = {"x": places[:, 0], "y": places[:, 1], "c": colours.tolist(), "row": rows}

    def _colours(self) -> NDArray[Any]:
        if self.colour.value in self.atlas.keys:
            labels = self.atlas.labels(self.colour.value)
            kind = {Obs.SUBSET: "subsets", Obs.TIMEPOINT: "visits"}.get(self.colour.value, "clusters")
            known = self.visits if kind == "visits" else [c for c in dict.fromkeys(sorted(labels)) if c]
            table = colors(known, kind)
            return np.array([table.get(c, "#d1d5db") for c in labels], object)
        from bokeh.palettes import Viridis256

        values = self.atlas.values(self.colour.value)
        low, high = np.quantile(values, [0.01, 0.99])
        at = np.clip((values - low) / max(float(high - low), 1e-6) * 255, 0, 255).astype(int)
        return np.array(Viridis256, object)[at]

    def _lasso(self, indices: list[int]) -> None:
        self.chosen = np.zeros(self.atlas.cells.n_obs, bool)
        self.chosen[np.asarray(self.points.data["row"])[list(indices)].astype(int)] = True
        self.counts.text = counts_text(self.atlas.counts(self.chosen))
        self.message.text = f"{int(self.chosen.sum()):,} cells chosen"
        self._draw_back()
        self._draw_profile()

    def _draw_back(self) -> None:
        x, y = self.atlas.values(self.x.value), self.atlas.values(self.y.value)
        frame = (float(x.min()), float(x.max()) + 1e-3, float(y.min()), float(y.max()) + 1e-3)
        for source, rows in zip(self.pictures, (np.ones(len(x), bool), self.chosen), strict=True):
            picture = raster(x[rows], y[rows], frame, bins=90)
            source.data = {"image": [picture], "x": [frame[0]], "y": [frame[2]], "dw": [frame[1] - frame[0]],
                           "dh": [frame[3] - frame[2]]}  # fmt: skip
        self.back.xaxis.axis_label, self.back.yaxis.axis_label = self.x.value, self.y.value

    def _draw_profile(self) -> None:
        table = self.atlas.profile(self.chosen)
        self.means.data = {c: table[c].to_numpy() for c in ("marker", "chosen", "others")}

    def _draw_heat(self) -> None:
        if not self.key.value:
            return
        table, names = self.atlas.heat(self.key.value), self.atlas.names(self.key.value)
        shown = dict(zip(names["old"], names["new"], strict=True))
        said = {c: c if shown[c] == c else f"{c}: {shown[c]}" for c in shown}
        self.heat.y_range.factors = [said[c] for c in dict.fromkeys(table["cluster"])][::-1]
        self.tiles.data = {"cluster": table["cluster"].map(said).to_numpy(), "marker": table["marker"].to_numpy(),
                           "level": table["level"].to_numpy()}  # fmt: skip
        self.cluster.options = list(names["old"])
        if self.cluster.value not in self.cluster.options:
            self.cluster.value = self.cluster.options[0]

    def _rename(self) -> None:
        path = self.atlas.rename(self.key.value, self.cluster.value, self.name.value, self.author.value)
        self.name.value = ""
        self._draw_heat()
        self.message.text = f"saved in {path.name}; `cytof cluster STUDY --names {path.name}` applies it"

    def _write(self) -> None:
        """Write the map as it is shown, and what was chosen with its numbers, to the figures of the study."""
        folder = self.atlas.study.out / "figures"
        by = self.colour.value
        table = pd.DataFrame(self.atlas.places, columns=["x", "y"]).assign(sample_id=self.atlas.labels(Obs.SAMPLE))
        table[by] = self.atlas.labels(by).to_numpy() if by in self.atlas.keys else self.atlas.values(by)
        table = table.assign(chosen=self.chosen)[self.atlas.of_visit(self._visit())]
        io.write_table(folder / "explore_map.csv", table)
        io.write_table(folder / "explore_counts.csv", self.atlas.counts(self.chosen))
        io.write_table(folder / "explore_profile.csv", self.atlas.profile(self.chosen))
        written = draw(table, by, folder)
        self.message.text = f"wrote {', '.join(written)} and their CSV to {folder.name}"


def draw(table: pd.DataFrame, by: str, folder: Path) -> list[str]:
    """Write the map as PDF and PNG to the figures of the study; returns the files' names."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(SINGLE / 25.4, SINGLE / 25.4), dpi=300, layout="constrained")
        map(table, color=by, ax=figure.subplots())
    return [path.name for path in save(figure, folder / "explore_map")]


def counts_text(table: pd.DataFrame) -> str:
    """Return the cells of a lasso in each sample as lines of text.

    Examples
    --------
    >>> print(counts_text(pd.DataFrame({"sample_id": ["s1"], "n": [20], "n_all": [80], "share": [0.25]})))
    sample             chosen       of    share
    s1                     20       80  25.00 %
    """
    lines = [f"{'sample':<16}{'chosen':>9}{'of':>9}{'share':>9}"]
    lines += [f"{str(r.sample_id)[:15]:<16}{r.n:>9,}{r.n_all:>9,}{100 * r.share:>7.2f} %" for r in table.itertuples()]
    return "\n".join(lines)
