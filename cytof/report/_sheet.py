"""A figure of a given size in mm, and its files: PDF with embedded fonts, SVG and PNG of 300 dpi, without dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cytof import plot
from cytof.provenance import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

__all__ = ["save", "sheet"]


def sheet(width: float, height: float, fill: Callable[[FigureBase], object], *, layout: Any = "constrained") -> Figure:
    """Return a figure of this size in mm, filled; grids of many alike panels lay themselves out (``layout=None``).

    Examples
    --------
    >>> sheet(25.4, 50.8, lambda figure: figure.subplots()).get_size_inches().tolist()
    [1.0, 2.0]
    """
    from matplotlib.figure import Figure

    with plot.style():
        figure = Figure(figsize=plot.millimetres(width, height), dpi=300, layout=layout)
        fill(figure)
    return figure


def save(figure: Figure, stem: str | Path, *, formats: Sequence[str] = ("pdf", "png", "svg")) -> list[Path]:
    """Write a figure as ``<stem>.pdf`` (fonts embedded, Type 42), ``.svg`` (text as text) and ``.png`` (300 dpi).

    No date is written into any of them: the same figure gives the same bytes.

    Parameters
    ----------
    figure
        Figure, of the resolution its picture shall have; its layout is held from here on.
    stem
        Path without the ending.
    formats
        Of ``pdf png svg``.

    Returns
    -------
    The paths, in order of ``formats``.

    Raises
    ------
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile; from matplotlib.figure import Figure
    >>> [p.name for p in save(Figure(), Path(tempfile.mkdtemp()) / "empty")]
    ['empty.pdf', 'empty.png', 'empty.svg']
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # one drawing a file: the canvases are called without Figure.savefig, which draws twice when there is a layout
    def picture(part: Path) -> None:
        FigureCanvasAgg(figure).print_png(part, metadata={"Software": None})
        figure.set_layout_engine("none")

    def document(part: Path) -> None:
        with _glyphs_only():
            FigureCanvasPdf(figure).print_pdf(part, metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))

    def drawing(part: Path) -> None:
        FigureCanvasSVG(figure).print_svg(part, metadata={"Date": None, "Creator": None})

    stem = Path(stem)
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in formats}
    with plot.style():
        for kind, write in (("png", picture), ("pdf", document), ("svg", drawing)):
            if kind in paths:
                with atomic(paths[kind]) as part:
                    write(part)
    return list(paths.values())


@contextmanager
def _glyphs_only() -> Iterator[None]:
    """Leave kerning and ligature tables out of embedded fonts: no PDF reader uses them, and they halve the speed."""
    from fontTools.subset import Options

    before = getattr(Options, "_drop_tables_default", None)
    if before is None:  # a fontTools that keeps its list elsewhere embeds them
        yield
        return
    Options._drop_tables_default = [*before, "GSUB", "GPOS", "GDEF"]
    try:
        yield
    finally:
        Options._drop_tables_default = before
