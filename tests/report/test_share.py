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
