"""The figure set on disk: Figure 4 A-E, the combined page, the supplement, each as PDF and PNG with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cytof import plot
from cytof.io import write_table
from cytof.provenance import atomic
from cytof.report import _panels
from cytof.report._legends import legend
from cytof.report._tables import Settings, StudyTables, study_tables

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.figure import Figure, FigureBase

__all__ = ["Drawn", "figures", "save"]


@dataclass(frozen=True)
class Drawn:
    """One figure of the set: its files, its legend, or why it was not drawn."""

    name: str
    title: str
    legend: str = ""
    files: tuple[Path, ...] = ()
    skipped: str = ""

    @property
    def png(self) -> Path | None:
        """The picture, None for a figure that was not drawn."""
        return next((f for f in self.files if f.suffix == ".png"), None)


_TITLES = {
    "A": "Clusters of {name}",
    "B": "Map of {name} at each visit",
    "C": "Subsets and clusters of {name}",
    "D": "Markers of {name} over the visits",
    "E": "CAR T against host T cells at the last visit",
}
_NEEDS = {
    "A": ("profile",),
    "B": ("map", "profile"),
    "C": ("subsets", "make_up", "clusters"),
    "D": ("violins",),
    "E": ("arms",),
}
_CSV = {
    "A": {"": "profile"},
    "B": {"": "map"},
    "C": {"_subsets": "subsets", "_subset_clusters": "make_up", "_sample_clusters": "clusters"},
    "D": {"": "violins", "_tests": "violins_tests"},
    "E": {"": "arms", "_tests": "arms_tests"},
}


def figures(
    adata: AnnData, out: str | Path, *, settings: Settings | None = None, made: StudyTables | None = None,
    waterfall: pd.DataFrame | None = None,
) -> list[Drawn]:  # fmt: skip
    """Draw and write the whole set into a folder.

    Parameters
    ----------
    adata
        Cells of a study as the pipeline leaves them: clusters in ``obs``, a map in ``obsm``, gate counts in ``uns``.
    out
        Folder.
    settings
        Which clustering, markers and subsets; :class:`Settings` for the defaults.
    made
        Tables, where they are made already (:func:`cytof.report.study_tables`).
    waterfall
        Events left after each cleaning step of each sample (:func:`cytof.clean.waterfall`), for its figure.

    Returns
    -------
    List of :class:`Drawn`, in order; a figure that cannot be drawn is listed with the reason.

    Writes
    ------
    ``figure4a..e.{pdf,png,csv}`` (C: three CSVs; D, E: a second one with the tests), ``figure4.png``, ``persistence``,
    ``map_markers``, ``waterfall``, ``thresholds`` likewise, and ``legends.md``. Same cells, same bytes.

    Raises
    ------
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile, anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"sample_id": ["a", "a"], "flowsom": ["1", "2"]}, index=["1", "2"])
    >>> cells = anndata.AnnData(np.eye(2, dtype=np.float32), obs=obs, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> drawn = figures(cells, tempfile.mkdtemp())
    >>> [d.name for d in drawn if not d.skipped]
    ['figure4a', 'figure4c', 'figure4']
    """
    out, settings = Path(out), settings or Settings()
    made = made or study_tables(adata, settings)
    drawn = [_letter(letter, adata, made, settings, out) for letter in _panels.PANELS]
    drawn.append(_combined(drawn, out))
    drawn += _others(adata, made, settings, out, waterfall)
    with atomic(out / "legends.md") as part:
        part.write_text(_legends_text(drawn), encoding="utf-8")
    return drawn


def _height(letter: str, made: StudyTables) -> float:
    """Return the height of a panel in mm."""
    tables = made.tables
    if letter == "A":
        longest = max(len(str(m)) for m in tables["profile"]["marker"])
        return 20.0 + 5.0 * tables["profile"]["cluster"].nunique() + min(longest, 24) * 1.2
    if letter == "B":
        n = len(made.scope.visits)
        return 8.0 + 44.0 * -(-n // min(n, 4))
    if letter == "D":
        return 18.0 + 21.0 * tables["violins"]["marker"].nunique()
    return {"C": 62.0, "E": 48.0}[letter]


def _reason(letter: str, made: StudyTables) -> str:
    """Return why a panel cannot be drawn; C is drawn from whatever part there is."""
    gone = [n for n in _NEEDS[letter] if n not in made.tables]
    if letter == "C":
        return "; ".join(made.missing.get(n, n) for n in gone) if len(gone) == len(_NEEDS["C"]) else ""
    return made.missing.get(gone[0], f"there is no table `{gone[0]}`") if gone else ""


def _letter(letter: str, adata: AnnData, made: StudyTables, settings: Settings, out: Path) -> Drawn:
    name, title = f"figure4{letter.lower()}", _TITLES[letter].format(name=made.scope.name)
    reason = _reason(letter, made)
    if reason:
        return Drawn(name, title, skipped=reason)
    height = _height(letter, made) + 4.0

    def fill(figure: FigureBase) -> None:
        _panels.PANELS[letter](figure, made, settings)
        figure.suptitle(letter, x=0.004, ha="left", fontsize=plot.TEXT + 2, fontweight="bold")

    files = save(_sheet(plot.DOUBLE, height, fill), out / name)
    for suffix, table in _CSV[letter].items():
        if table in made.tables:
            files.append(out / f"{name}{suffix}.csv")
            write_table(files[-1], made.tables[table])
    return Drawn(name, title, legend(letter, adata, made, settings), tuple(files))


def _combined(drawn: Sequence[Drawn], out: Path) -> Drawn:
    """Put the pictures of all panels on one page, one under the other; they bear their letters."""
    from PIL import Image

    there = [d for d in drawn if d.png]
    if not there:
        return Drawn("figure4", "Figure 4", skipped="none of its panels can be drawn")
    pictures = [Image.open(d.png).convert("RGB") for d in there if d.png]
    gap = 30
    width, height = max(p.width for p in pictures), sum(p.height + gap for p in pictures)
    page, top = Image.new("RGB", (width, height), "white"), 0
    for picture in pictures:
        page.paste(picture, (0, top))
        top += picture.height + gap
    path = out / "figure4.png"
    with atomic(path) as part:
        page.save(part, format="PNG", dpi=(300, 300))
    said = " ".join(f"({d.name[-1].upper()}) {d.title}." for d in there)
    return Drawn("figure4", "Figure 4", said, (path,))


def _others(
    adata: AnnData, made: StudyTables, settings: Settings, out: Path, waterfall: pd.DataFrame | None
) -> list[Drawn]:
    tables = dict(made.tables)
    if waterfall is not None and len(waterfall):
        tables["waterfall"] = waterfall
    thresholds = _line_thresholds(adata)
    if thresholds is not None:
        tables["thresholds"] = thresholds
    n_markers = tables["markers_map"].shape[1] - 3 if "markers_map" in tables else 0
    plans: list[tuple[str, str, str, tuple[float, float], Callable[[FigureBase], object]]] = [
        ("persistence", "persistence", f"Share of {made.scope.name} over time", (plot.SINGLE, 62.0),
         lambda f: _panels.persistence(f, made, settings)),
        ("map_markers", "markers_map", f"Map of {made.scope.name} coloured by marker",
         (plot.DOUBLE, 6.0 + 30.0 * -(-n_markers // 6)), lambda f: _panels.marker_maps(f, made, settings)),
        ("waterfall", "waterfall", "Events left after each cleaning step",
         (plot.DOUBLE, _tall(tables, "waterfall", "step")),
         lambda f: plot.waterfall(tables["waterfall"], ax=f.subplots())),
        ("thresholds", "thresholds", "Thresholds of the gates", (plot.DOUBLE, _tall(tables, "thresholds", "gate")),
         lambda f: plot.thresholds(tables["thresholds"], ax=f.subplots())),
    ]  # fmt: skip
    drawn = []
    for name, table, title, size, fill in plans:
        if table not in tables:
            drawn.append(Drawn(name, title, skipped=made.missing.get(table, "there is no table for it")))
            continue
        files = save(_sheet(*size, fill), out / name)
        files.append(out / f"{name}.csv")
        write_table(files[-1], tables[table])
        drawn.append(Drawn(name, title, legend(table, adata, made, settings), tuple(files)))
    return drawn


def _tall(tables: dict[str, pd.DataFrame], name: str, rows: str) -> float:
    """Return the height in mm of a figure with a row a step or gate, and a line a sample within."""
    if name not in tables:
        return 10.0
    table = tables[name]
    samples = table["sample_id"].nunique() if "sample_id" in table else 1
    return 14.0 + table[rows].nunique() * min(2.5 + 1.8 * samples, 16.0)


def _line_thresholds(adata: AnnData) -> pd.DataFrame | None:
    """Return the thresholds that are one number on one channel."""
    from cytof.keys import UNS

    table = adata.uns.get(UNS, {}).get("thresholds")
    if table is None or not len(table) or "value" not in table:
        return None
    table = table[table["value"].astype(float).notna()]
    return table if len(table) else None


def _sheet(width: float, height: float, fill: Callable[[FigureBase], object]) -> Figure:
    """Return a figure of this size in mm, filled."""
    from matplotlib.figure import Figure

    with plot.style():
        figure = Figure(figsize=plot.millimetres(width, height), dpi=300, layout="constrained")
        fill(figure)
    return figure


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write a figure as ``<stem>.pdf`` (fonts embedded, Type 42) and ``<stem>.png`` (300 dpi), without dates.

    Parameters
    ----------
    figure
        Figure, of the resolution its picture shall have; its layout is held from here on.
    stem
        Path without the ending.

    Returns
    -------
    The two paths.

    Raises
    ------
    ResourceError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile; from matplotlib.figure import Figure
    >>> [p.name for p in save(Figure(), Path(tempfile.mkdtemp()) / "empty")]
    ['empty.pdf', 'empty.png']
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    stem = Path(stem)
    picture, document = (stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf"))
    # one drawing a file: the canvases are called without Figure.savefig, which draws twice when there is a layout
    with plot.style():
        with atomic(picture) as part:
            FigureCanvasAgg(figure).print_png(part, metadata={"Software": None})
        figure.set_layout_engine("none")
        with atomic(document) as part:
            FigureCanvasPdf(figure).print_pdf(part, metadata=dict.fromkeys(("CreationDate", "Creator", "Producer")))
    return [document, picture]


def _legends_text(drawn: Sequence[Drawn]) -> str:
    lines = ["# Legends", ""]
    for figure in drawn:
        said = figure.legend or f"Not drawn: {figure.skipped}."
        lines += [f"**{figure.name}. {figure.title}.** {said}", ""]
    return "\n".join(lines)
