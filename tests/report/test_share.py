"""What leaves a study: a workbook whose text is text, and an h5ad that scanpy draws and viewers open."""

from __future__ import annotations

from types import SimpleNamespace

import anndata
import numpy as np
import pandas as pd
import pytest
from openpyxl import load_workbook

from cytof import pipeline, plot
from cytof.errors import InputError
from cytof.pipeline import _share


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    monkeypatch.setattr(_share, "read_cells", lambda _: study.copy())
    return SimpleNamespace(out=tmp_path, name="Fake")


def test_workbook_has_a_sheet_a_table_and_no_formula(here) -> None:
    (here.out / "tables").mkdir()
    table = pd.DataFrame({"marker": ["CD3", "=1+1", "'-x"], "p": [0.5, 1e-12, np.nan]})
    table.to_csv(here.out / "tables" / "tests.csv", index=False)
    book = load_workbook(pipeline.workbook(here))
    assert book.sheetnames == ["contents", "tests"]
    assert [[c.value for c in row] for row in book["contents"].iter_rows()][1] == ["tests", 3, "marker, p", None]
    rows = list(book["tests"].iter_rows())
    assert [[c.value for c in row] for row in rows] == [["marker", "p"], ["CD3", 0.5], ["=1+1", 1e-12], ["'-x", None]]
    assert {c.data_type for row in rows for c in row} <= {"s", "n"}, "no cell is a formula"


def test_the_same_tables_give_the_same_workbook_at_another_hour(here, monkeypatch) -> None:
    """openpyxl writes the hour into the properties and into every member of the archive."""
    import datetime as clock
    import time
    import zipfile

    import openpyxl.writer.excel as excel

    (here.out / "tables").mkdir()
    pd.DataFrame({"marker": ["CD3", "CD4"], "p": [0.5, 0.25]}).to_csv(here.out / "tables" / "t.csv", index=False)
    first = pipeline.workbook(here).read_bytes()
    later = time.time() + 86_400 * 40

    class Later(clock.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(later, tz)

    monkeypatch.setattr(excel.datetime, "datetime", Later)
    monkeypatch.setattr(zipfile.time, "time", lambda: later)
    assert pipeline.workbook(here).read_bytes() == first
    assert load_workbook(here.out / "tables.xlsx")["t"]["A2"].value == "CD3"


def test_workbook_needs_tables(here) -> None:
    with pytest.raises(InputError, match="no tables here"):
        pipeline.workbook(here)


def test_viewer_file_holds_mapped_cells_with_the_figures_colours(here, study) -> None:
    cells = anndata.read_h5ad(pipeline.viewer(here))
    mapped = np.isfinite(study.obsm["X_tsne"]).all(axis=1)
    assert cells.n_obs == mapped.sum() == 640
    assert np.isfinite(cells.obsm["X_tsne"]).all()
    assert list(cells.obs["timepoint"].cat.categories) == ["2mo", "1yr", "3yr", "5yr"]
    assert all(cells.obs[c].dtype == "category" for c in ("sample_id", "flowsom", "subset", "car"))
    palette = plot.colors(list(cells.obs["flowsom"].cat.categories))
    assert list(cells.uns["flowsom_colors"]) == list(palette.values())
    assert (cells.uns["title"], cells.uns["default_embedding"]) == ("Fake", "X_tsne")
    assert list(cells.var["feature_name"]) == list(study.var_names)
    assert set(cells.uns) >= {"title", "timepoint_colors", "subset_colors"}


@pytest.fixture
def viewed(here):
    return anndata.read_h5ad(pipeline.viewer(here))


def test_scanpy_draws_the_viewer_file(viewed) -> None:
    """``sc.pl.embedding``, ``violin``, ``heatmap`` and ``dotplot`` by our names, in our colours."""
    import matplotlib.pyplot as plt
    import scanpy as sc
    from matplotlib.colors import to_hex

    markers = ["CD4", "CD8", "Ki67"]
    ax = sc.pl.embedding(viewed, "tsne", color="flowsom", show=False)
    drawn = {to_hex(c) for c in ax.collections[0].get_facecolors()}
    assert drawn == {str(c) for c in viewed.uns["flowsom_colors"]}
    many = sc.pl.embedding(viewed, "X_tsne", color=["timepoint", "Ki67"], show=False)
    assert [a.get_title() for a in many] == ["timepoint", "Ki67"]
    violin = sc.pl.violin(viewed, "Ki67", groupby="timepoint", show=False)
    assert [t.get_text() for t in violin.get_xticklabels()] == ["2mo", "1yr", "3yr", "5yr"]
    heat = sc.pl.heatmap(viewed, markers, groupby="flowsom", show=False)
    assert heat["heatmap_ax"].images
    dots = sc.pl.dotplot(viewed, markers, groupby="subset", show=False)
    assert [t.get_text() for t in dots["mainplot_ax"].get_xticklabels()] == markers
    plt.close("all")


def test_viewer_file_meets_what_cellxgene_asks_for(viewed) -> None:
    """Its documentation (desktop/data-reqs.md): a map in ``obsm`` under ``X_...``, unique names of cells and markers,
    and categories whose ``uns["<name>_colors"]`` hold one ``#rrggbb`` each; X of float32, every column of one kind."""
    import re

    assert viewed.X.dtype == np.float32
    assert np.isfinite(viewed.X).all()
    maps = [name for name in viewed.obsm if name.startswith("X_")]
    assert maps
    assert all(viewed.obsm[m].shape == (viewed.n_obs, 2) and np.isfinite(viewed.obsm[m]).all() for m in maps)
    assert viewed.obs_names.is_unique
    assert viewed.var_names.is_unique
    for table in (viewed.obs, viewed.var):
        assert table.columns.is_unique
        for name in table:
            column = table[name]
            if column.dtype.kind == "O":
                assert {type(v) for v in column} == {str}, name
            assert column.notna().all() or column.dtype.kind == "f", name
    for name in [n for n in viewed.uns if n.endswith("_colors")]:
        levels = viewed.obs[name.removesuffix("_colors")].cat.categories
        assert len(viewed.uns[name]) == len(levels)
        assert all(re.fullmatch("#[0-9a-f]{6}", c) for c in viewed.uns[name])
    assert {"flowsom_colors", "timepoint_colors", "subset_colors", "phenograph_colors"} <= set(viewed.uns)


def test_viewer_file_of_cells_with_odd_tables_is_plain(here, study, monkeypatch) -> None:
    """Cells of two samples with one name, a column of mixed kinds, a marker without a word: still one kind each."""
    odd = study.copy()
    odd.obs_names = ["same"] * odd.n_obs
    odd.obs["note"] = pd.Series([1, "x", None, 2.5] * (odd.n_obs // 4) + [1] * (odd.n_obs % 4), dtype=object).to_numpy()
    odd.var["lot"] = pd.Series([7, "b", None] * (odd.n_vars // 3) + [1] * (odd.n_vars % 3), dtype=object).to_numpy()
    monkeypatch.setattr(_share, "read_cells", lambda _: odd)
    cells = anndata.read_h5ad(pipeline.viewer(here))
    assert cells.obs_names.is_unique
    assert set(cells.obs["note"].cat.categories) == {"1", "x", "none", "2.5"}
    assert {type(v) for v in cells.var["lot"]} == {str}
