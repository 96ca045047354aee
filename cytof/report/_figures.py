"""The figure set on disk: Figure 4 A-E, the combined page, the supplement, each as PDF and PNG with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cytof import plot
from cytof.io import write_table
from cytof.provenance import atomic
from cytof.report import _panels
from cytof.report._effects import EFFECTS, effect_tables
from cytof.report._gates import by_unusual, gate_multiples, gate_page, multiples_height, page_height
from cytof.report._legends import legend
from cytof.report._sheet import save, sheet
from cytof.report._supplement import PLANS, Plan, supplement_tables
from cytof.report._tables import Settings, StudyTables, line_thresholds, study_tables

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.figure import FigureBase

__all__ = ["Drawn", "figures", "gate_pages"]


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
_PAGES = 12  # gate pages of at most so many samples
_MULTIPLES, _MOST = 6, 40  # pages of one gate, and samples on one
_NEEDS = {
    "A": ("profile",),
    "B": ("map", "profile"),
    "C": ("subsets", "make_up", "clusters"),
    "D": ("violins",),
    "E": ("arms",),
}
_CSV = {
    "A": {"": "profile", "_trees": "trees"},
    "B": {"": "map"},
    "C": {"_subsets": "subsets", "_subset_clusters": "make_up", "_sample_clusters": "clusters"},
    "D": {"": "violins", "_tests": "violins_tests"},
    "E": {"": "arms", "_tests": "arms_tests"},
}


def figures(
    adata: AnnData, out: str | Path, *, settings: Settings | None = None, made: StudyTables | None = None,
    waterfall: pd.DataFrame | None = None, views: pd.DataFrame | None = None,
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
    views
        Binned events of every gate (:func:`cytof.report.gate_views` of each sample), for a page a sample.

    Returns
    -------
    List of :class:`Drawn`, in order; a figure that cannot be drawn is listed with the reason.

    Writes
    ------
    ``figure4a..e.{pdf,svg,png,csv}`` (A: a second CSV with the trees; C: three; D, E: one with the tests),
    ``figure4.png``, the supplement (``supplement4`` to ``6``, ``cluster_flow`` ...), ``persistence``, ``waterfall``,
    ``thresholds`` likewise, and ``legends.md``. Same cells, same bytes.

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
    >>> [d.name for d in drawn if not d.skipped and d.name.startswith("figure")]
    ['figure4a', 'figure4c', 'figure4']
    """
    out, settings = Path(out), settings or Settings()
    made = made or study_tables(adata, settings)
    drawn = [_letter(letter, adata, made, settings, out) for letter in _panels.PANELS]
    drawn.append(_combined(drawn, out))
    drawn += _supplement(adata, made, settings, out)
    drawn += _others(adata, made, settings, out, waterfall)
    if views is not None and len(views):
        drawn += gate_pages(views, out, made.scope.samples)
    with atomic(out / "legends.md") as part:
        part.write_text(_legends_text(drawn), encoding="utf-8")
    return drawn


def _height(letter: str, made: StudyTables, settings: Settings) -> float:
    """Return the height of a panel in mm."""
    tables, names = made.tables, [*made.scope.visits, *made.scope.samples]
    turned = 22.0 if max(map(len, names), default=0) * len(made.scope.samples) > 40 else 0.0  # labels stand upright
    if letter == "A":
        longest = max(len(str(m)) for m in tables["profile"]["marker"])
        return 30.0 + 5.0 * tables["profile"]["cluster"].nunique() + min(longest, 18) * 1.2
    if letter == "B":
        return _panels.maps_height(made)
    if letter == "D":
        rows = tables["violins"]["marker"].nunique()
        rows *= len(settings.drawn_subsets) if len(made.scope.visits) > _panels.MANY else 1
        return 18.0 + 23.0 * rows + turned
    return {"C": (62.0 + turned) * (3 if len(made.scope.samples) > _panels.MANY else 1), "E": 48.0}[letter]


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
    height = _height(letter, made, settings) + 4.0

    def fill(figure: FigureBase) -> None:
        _panels.PANELS[letter](figure, made, settings)
        figure.suptitle(letter, x=0.004, ha="left", fontsize=plot.TEXT + 2, fontweight="bold")

    files = save(sheet(plot.DOUBLE, height, fill), out / name)
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


def _supplement(adata: AnnData, made: StudyTables, settings: Settings, out: Path) -> list[Drawn]:
    """Draw the supplement; its tables are made here where :func:`study_tables` was not asked for them."""
    supplement_tables(adata, made, settings)
    effect_tables(adata, made)
    drawn = []
    for plan in (*PLANS, *EFFECTS):
        title = plan.title.format(name=made.scope.name)
        if plan.needs not in made.tables:
            drawn.append(Drawn(plan.name, title, skipped=made.missing.get(plan.needs, "there is no table for it")))
            continue
        fill = partial(_fill, plan, made, settings)
        files = save(sheet(plan.width, plan.height(made), fill, layout=plan.layout), out / plan.name)
        for suffix, table in plan.tables.items():
            if table in made.tables:
                files.append(out / f"{plan.name}{suffix}.csv")
                write_table(files[-1], made.tables[table])
        drawn.append(Drawn(plan.name, title, plan.words(adata, made, settings), tuple(files)))
    return drawn


def _fill(plan: Plan, made: StudyTables, settings: Settings, figure: FigureBase) -> None:
    plan.fill(figure, made, settings)


def _others(
    adata: AnnData, made: StudyTables, settings: Settings, out: Path, waterfall: pd.DataFrame | None
) -> list[Drawn]:
    tables = dict(made.tables)
    if waterfall is not None and len(waterfall):
        tables["waterfall"] = waterfall
    thresholds = line_thresholds(adata)
    if len(thresholds):
        tables["thresholds"] = thresholds
    plans: list[tuple[str, str, str, tuple[float, float], Callable[[FigureBase], object]]] = [
        ("persistence", "persistence", f"Share of {made.scope.name} over time",
         (plot.SINGLE if len(made.scope.patients) <= 8 else plot.DOUBLE,
          62.0 + 34.0 * len(_panels.other_assays(made))),
         lambda f: _panels.persistence(f, made, settings)),
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
        files = save(sheet(*size, fill), out / name)
        files.append(out / f"{name}.csv")
        write_table(files[-1], tables[table])
        if name == "persistence" and _panels.other_assays(made):
            files.append(out / f"{name}_courses.csv")
            write_table(files[-1], tables["measured"])
        drawn.append(Drawn(name, title, legend(table, adata, made, settings), tuple(files)))
    return drawn


def gate_pages(views: pd.DataFrame, out: str | Path, samples: Sequence[str] | None = None) -> list[Drawn]:
    """Draw the gates of each sample on a page; of many samples, the first twelve.

    Parameters
    ----------
    views
        Rows of :func:`cytof.report.gate_views`, of one or more samples.
    out
        Folder of ``gates_<sample>.png`` and the ``.csv`` with its numbers.
    samples
        Samples in order; as they come in ``views`` when None.

    Examples
    --------
    ``gate_pages(report.gate_views(gating), "results/figures")``
    """
    present = list(dict.fromkeys(views["sample_id"].astype(str)))
    drawn = []
    for sample in [s for s in (samples or present) if s in present][:_PAGES]:
        here = views[views["sample_id"].astype(str) == sample]
        name, fill = f"gates_{sample}", partial(gate_page, views=here)
        files = save(sheet(plot.DOUBLE, page_height(here), fill, layout=None), Path(out) / name, formats=("png",))
        files.append(Path(out) / f"{name}.csv")
        write_table(files[-1], here)
        said = (
            "Parent population of each gate, log density on two channels (arcsinh scale): the gate's, and of a gate on "
            "one channel that of the next gate; outline, the gate; band, interval of its threshold; events inside and "
            "percent of the parent."
        )
        drawn.append(Drawn(name, f"Gates of {sample}", said, tuple(files)))
    return drawn + _multiples(views, Path(out))


def _multiples(views: pd.DataFrame, out: Path) -> list[Drawn]:
    """Draw one gate of all samples on a page: the last gate on one channel, and every gate with a flag."""
    if views["sample_id"].nunique() < 2:
        return []
    first = views.drop_duplicates(["sample_id", "gate"])
    single = first[first["value"].notna()]
    flagged = single.loc[~single["flag"].fillna("").isin(["", "ok"]), "gate"]
    chosen = dict.fromkeys([*single["gate"].tail(1), *flagged.drop_duplicates()])
    drawn: list[Drawn] = []
    for gate in list(chosen)[:_MULTIPLES]:
        here = views[views["gate"] == gate]
        keep = by_unusual(here)["sample_id"].head(_MOST)
        here = here[here["sample_id"].astype(str).isin(keep)]
        own = str(gate).rsplit("/", 1)[-1]
        name = "gate_" + own.replace("+", "pos").replace("-", "neg").replace(" ", "_")
        name += f"_{sum(d.name.startswith(name) for d in drawn) + 1}" if any(d.name == name for d in drawn) else ""
        fill = partial(gate_multiples, views=here)
        files = save(sheet(plot.DOUBLE, multiples_height(here), fill, layout=None), out / name, formats=("png",))
        said = f"{own} in {here['sample_id'].nunique()} samples on the same axes, the most unusual first."
        drawn.append(Drawn(name, f"{own} in all samples", said, tuple(files)))
    return drawn


def _tall(tables: dict[str, pd.DataFrame], name: str, rows: str) -> float:
    """Return the height in mm of a figure with a row a step or gate, and a line a sample within."""
    if name not in tables:
        return 10.0
    table = tables[name]
    samples = table["sample_id"].nunique() if "sample_id" in table else 1
    if name == "waterfall" and samples > _panels.MANY:
        return min(20.0 + 2.9 * samples, 240.0)
    return 14.0 + table[rows].nunique() * min(2.5 + 1.8 * samples, 16.0)


def _legends_text(drawn: Sequence[Drawn]) -> str:
    lines = ["# Legends", ""]
    for figure in drawn:
        said = figure.legend or f"Not drawn: {figure.skipped}."
        lines += [f"**{figure.name}. {figure.title}.** {said}", ""]
    return "\n".join(lines)
