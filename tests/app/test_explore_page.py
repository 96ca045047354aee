"""The explore page: a lasso's numbers, names of clusters saved and applied, the view written with its numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cytof import io, pipeline, provenance, study
from cytof.app._atlas import Atlas
from cytof.errors import InputError, UsageError

_LASSO = """
const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name('map'));
const box = view.canvas_view.el.getBoundingClientRect(); const f = view.frame.bbox;
return [box.left + f.left, box.top + f.top, f.width, f.height];"""


@pytest.fixture(scope="module")
def mapped(gated_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study with clusters and a map that were planted, so that nothing is computed here."""
    folder = Path(shutil.copytree(gated_study, tmp_path_factory.mktemp("mapped") / "study"))
    loaded = study.load(folder)
    from cytof import assemble

    files = sorted((loaded.out / "gated").glob("*.h5ad"))
    cells = assemble([io.read_h5ad(f) for f in files], pipeline.read_sheet(loaded))
    rng = np.random.default_rng(0)
    cluster = rng.integers(1, 5, cells.n_obs)
    cells.obs["flowsom"] = pd.Categorical(cluster.astype(str))
    places = rng.normal(0, 0.6, (cells.n_obs, 2)) + np.array([[0, 0], [9, 0], [0, 9], [9, 9]])[cluster - 1]
    cells.obsm["X_tsne"] = places.astype(np.float32)
    out = loaded.out / "cells.h5ad"
    io.write_h5ad(out, cells)
    from cytof.pipeline._plan import key_of

    provenance.mark_done(loaded.out, "cluster", key_of(loaded, "cluster"), [out], 1.0)
    return folder


def test_lasso_tells_what_a_person_would_count(
    mapped: Path, serve: Callable[..., Any], screen: Callable[[str], Any], browser: Any
) -> None:
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    extra = browser.execute_script("return [outerWidth - innerWidth, outerHeight - innerHeight]")
    browser.set_window_rect(0, 0, 1280 + extra[0], 720 + extra[1])
    server = serve(mapped)
    page = screen(server.address.replace("/review", "/explore"))
    left, top, width, height = page.js(_LASSO)
    actions = ActionBuilder(browser, duration=20)
    mouse = actions.pointer_action  # the right half of the map: clusters 2 and 4
    mouse.move_to_location(round(left + width / 2), round(top + 4)).pointer_down()
    for x, y in ((width - 4, 4), (width - 4, height - 4), (width / 2, height - 4), (width / 2, 8)):
        mouse.move_to_location(round(left + x), round(top + y))
    mouse.pointer_up()
    actions.perform()
    atlas = Atlas(study.load(mapped))
    inside = np.isin(atlas.labels("flowsom"), ["2", "4"])
    page.until(lambda: page.says(f"{inside.sum():,} cells chosen"))
    for row in atlas.counts(inside).itertuples():
        assert page.says(f"{row.sample_id} {row.n:,} {row.n_all:,} {100 * row.share:.2f} %"), row
    assert page.errors() == []
    own = (server.origin, server.origin.replace("http", "ws"), "data:", "blob:")
    assert [r for r in page.requests() if not r.startswith(own)] == []
    wide, high = page.js("const d = document.documentElement; return [d.scrollWidth, d.scrollHeight]")
    assert wide <= 1280
    assert high <= 720


def test_names_of_clusters_are_text(
    mapped: Path, tmp_path: Path, serve: Callable[..., Any], screen: Callable[[str], Any]
) -> None:
    evil = "<img src=x onerror=window.hit=1>"
    folder = Path(shutil.copytree(mapped, tmp_path / "study"))
    Atlas(study.load(folder)).rename("flowsom", "1", evil, "J. Doe")
    pipeline.name_clusters(study.load(folder), "names_flowsom.csv")
    page = screen(serve(folder).address.replace("/review", "/explore"))
    page.until(lambda: page.js("return Bokeh.documents[0].get_model_by_name('points').data.x.length > 0"))
    code = """
    const heat = [...Bokeh.documents[0]._all_models.values()].find((m) => m.type === "FactorRange"
      && m.factors.some((f) => f.includes("onerror")));
    let images = 0; const walk = (n) => { if (n.shadowRoot) walk(n.shadowRoot);
      for (const c of n.children || []) { images += c.tagName === "IMG"; walk(c); } };
    walk(document.body); return [heat !== undefined, images, window.hit === undefined];"""
    assert page.js(code) == [True, 0, True]
    assert page.errors() == []


def test_names_are_saved_with_who_and_when_and_applied(mapped: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(mapped, tmp_path / "study"))
    loaded = study.load(folder)
    atlas = Atlas(loaded)
    atlas.rename("flowsom", "1", "naive", "J. Doe")
    path = atlas.rename("flowsom", "3", "naive", "J. Doe")
    assert path == folder / "names_flowsom.csv"
    table = pd.read_csv(path, dtype=str)
    assert table["new"].tolist() == ["naive", "2", "naive", "4"]
    assert Atlas(loaded).names("flowsom")["author"].fillna("").tolist() == ["J. Doe", "", "J. Doe", ""]
    with pytest.raises(UsageError, match="no author and no name; say who names it, and how"):
        atlas.rename("flowsom", "1", " ", "")
    with pytest.raises(UsageError, match="cluster is '9', expected one of 1, 2, 3, 4"):
        atlas.rename("flowsom", "9", "x", "J")
    assert pipeline.name_clusters(loaded, "names_flowsom.csv") == "flowsom_named"
    cells = pipeline.read_cells(loaded)
    inside = cells.obs["flowsom"].isin(["1", "3"])
    assert (cells.obs.loc[inside, "flowsom_named"] == "naive").all()
    assert set(cells.obs["flowsom_named"].cat.categories) == {"naive", "2", "4"}
    assert "flowsom_named" in Atlas(loaded).keys
    with pytest.raises(InputError, match="no merging table here; save names on the explore page"):
        pipeline.name_clusters(loaded, "none.csv")
    table.drop(columns="author").to_csv(path, index=False)
    with pytest.raises(InputError, match=r"names_flowsom.csv: names no author; add a column `author`"):
        pipeline.name_clusters(loaded, path)


def test_profile_heat_and_counts_by_hand(mapped: Path) -> None:
    atlas = Atlas(study.load(mapped))
    chosen = (atlas.labels("flowsom") == "2").to_numpy()
    profile = atlas.profile(chosen).set_index("marker")
    cd4 = atlas.values("CD4").astype(float)
    assert profile.at["CD4", "chosen"] == pytest.approx(cd4[chosen].mean())
    assert profile.at["CD4", "others"] == pytest.approx(cd4[~chosen].mean())
    assert atlas.profile(np.zeros(len(chosen), bool))["chosen"].isna().all()
    heat = atlas.heat("flowsom")
    assert heat.groupby("marker")["level"].agg(["min", "max"]).isin([0.0, 1.0]).all(axis=None)
    assert heat.drop_duplicates("cluster")["n"].sum() == atlas.cells.n_obs
    assert not {"Ce140", "DNA1", "Bead Ce140"} & set(atlas.markers)
    assert atlas.visits()[0] == "2mo"
    with pytest.raises(UsageError, match="marker is 'CD44', expected one of"):
        atlas.values("CD44")


def test_view_is_written_as_shown(mapped: Path, tmp_path: Path) -> None:
    """The page's button: PDF, PNG and the CSV that redraws the map."""
    from cytof.app._explore import _Page

    folder = Path(shutil.copytree(mapped, tmp_path / "study"))
    page = _Page(Atlas(study.load(folder)), "J")
    page._lasso(list(range(50)))
    page.visit.value = 1
    page._draw_map()
    page._write()
    figures = folder / "results" / "figures"
    table = pd.read_csv(figures / "explore_map.csv")
    atlas = page.atlas
    assert len(table) == atlas.of_visit("2mo").sum()
    assert table["chosen"].sum() <= 50
    assert (figures / "explore_map.pdf").stat().st_size > 1000
    assert (figures / "explore_map.png").read_bytes()[:4] == b"\x89PNG"
    assert pd.read_csv(figures / "explore_counts.csv")["n"].sum() == 50
    assert "wrote explore_map.pdf, explore_map.png" in page.message.text


def test_study_without_a_map_is_one_clear_line(gated_study: Path) -> None:
    with pytest.raises(InputError, match="no clustered cells here; run `cytof cluster` first"):
        Atlas(study.load(gated_study))
