"""The figure set: complete, legible, redrawn by its CSVs, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from texts import faults, shown

from cytof import plot, report
from cytof.report import _figures, _panels

LETTERS = tuple("ABCDE")


def drawn_panel(letter: str, made: report.StudyTables) -> Figure:
    def fill(figure: Figure) -> None:
        _panels.PANELS[letter](figure, made, report.Settings())

    figure = _figures.sheet(plot.DOUBLE, _figures._height(letter, made, report.Settings()) + 4.0, fill)
    with plot.style():
        figure.draw_without_rendering()
    return figure


def test_the_set_is_whole(written) -> None:
    found = {p.name for p in (written / "figures").iterdir()}
    for letter in "abcde":
        assert {f"figure4{letter}.pdf", f"figure4{letter}.png"} <= found
    tables = {
        "figure4a.csv",
        "figure4b.csv",
        "figure4c_subsets.csv",
        "figure4c_subset_clusters.csv",
        "figure4c_sample_clusters.csv",
        "figure4d.csv",
        "figure4d_tests.csv",
        "figure4e.csv",
        "figure4e_tests.csv",
    }
    assert tables <= found
    others = {"persistence", "waterfall", "thresholds", "supplement4", "supplement5", "supplement6", "cluster_flow"}
    others |= {"host_change", "shares_trend"}
    assert {f"{n}.{kind}" for n in others for kind in ("pdf", "svg", "png", "csv")} <= found
    assert {"figure4.png", "legends.md"} <= found
    assert not [n for n in found if n.startswith(".")], "no part file is left"


def test_pictures_have_journal_width_and_300_dpi(written) -> None:
    with Image.open(written / "figures" / "figure4a.png") as image:
        assert image.info["dpi"][0] == pytest.approx(300, abs=1)
        assert image.width / image.info["dpi"][0] * 25.4 == pytest.approx(183, abs=0.5)
    with Image.open(written / "figures" / "persistence.png") as image:
        assert image.width / 300 * 25.4 == pytest.approx(89, abs=0.5)


def test_pdf_has_embedded_truetype_fonts_no_date_and_no_point_a_cell(written) -> None:
    data = (written / "figures" / "figure4b.pdf").read_bytes()
    assert b"/FontFile2" in data
    assert b"/Type3" not in data
    assert b"CreationDate" not in data
    assert len(data) < 2_000_000
    assert data.count(b"/Subtype /Image") >= 4, "cells are pictures, one a panel"


SET = (
    *(f"figure4{x}" for x in "abcde"), "supplement4", "supplement5", "supplement6", "map_density", "cluster_flow",
    "cluster_frequencies", "samples_mds", "nrs", "som_tree", "delta_area", "persistence", "waterfall", "thresholds",
)  # fmt: skip
"""Every figure of the set of a study that went through all stages."""


@pytest.mark.parametrize("of", ["four visits", "50 samples", "long names", "one sample"])
def test_no_text_of_the_set_is_cut_or_overlaps(of, study, fake, small, draw_all) -> None:
    """Of the paper's set and of its versions for 50 samples, for names at the limit of a label, and for one sample."""
    cells = {
        "four visits": lambda: study,
        "50 samples": lambda: fake.many_samples(50),
        "long names": lambda: fake.fake_study(tag=" (Patient, Köln) <b> & co. 0001", **small),
        "one sample": lambda: fake.one_sample(study),
    }[of]()
    drawn = draw_all(cells)
    assert set(SET[:4]) | {"supplement4", "supplement5", "supplement6"} <= set(drawn)
    for name, figure in drawn.items():
        assert len(shown(figure)) >= 5, name
        assert faults(figure) == [], f"{name} of {of}"


@pytest.mark.parametrize("letter", LETTERS)
def test_text_is_six_to_eight_points(letter, made) -> None:
    sizes = {t.get_fontsize() for t in shown(drawn_panel(letter, made))}
    assert min(sizes) >= 6
    assert max(sizes) <= 8


def test_a_cluster_has_one_colour_in_all_panels(made) -> None:
    from matplotlib.colors import to_hex

    colors = plot.colors([str(i) for i in range(1, 10)])
    bars = drawn_panel("A", made).axes[0].child_axes[0]
    order = [t.get_text() for t in drawn_panel("A", made).axes[0].get_yticklabels()]
    assert [to_hex(b.get_facecolor()) for b in bars.patches] == [colors[c] for c in order]
    legend = drawn_panel("B", made).legends[0]
    assert {
        t.get_text(): to_hex(m.get_color()) for t, m in zip(legend.get_texts(), legend.legend_handles, strict=True)
    } == colors
    parts = drawn_panel("C", made).axes[2].containers
    assert {c.get_label(): to_hex(c[0].get_facecolor()) for c in parts} == colors


def test_violin_columns_show_their_own_n(made, study) -> None:
    """The n under a column is that subset's, counted from the cells."""
    figure = drawn_panel("D", made)
    car = study.obs[study.obs["car"]]
    bottom = figure.axes[-3:]
    for ax, subset in zip(bottom, ("CD4", "CD8", "DN"), strict=True):
        here = car[car["subset"] == subset]["timepoint"].value_counts()
        assert [t.get_text() for t in ax.get_xticklabels()] == [
            f"{v}\nn={here[v]:,}" for v in ("2mo", "1yr", "3yr", "5yr")
        ]


def test_tests_shown_are_last_visit_against_first(made) -> None:
    tests = made.tables["violins_tests"]
    row = tests[(tests["contrast"] == "5yr vs 2mo") & (tests["marker"] == "Ki67") & (tests["subset"] == "CD4")].iloc[0]
    ax = drawn_panel("D", made).axes[0]
    assert ax.get_title() == "CD4"
    assert [t.get_text().endswith(f"δ = {row['cliffs_delta']:+.2f}") for t in ax.texts] == [True]
    (bracket,) = [line for line in ax.lines if line.get_gid() == "bracket"]
    assert list(bracket.get_xdata()) == [0, 0, 3, 3]
    assert bracket.get_ydata()[0] > made.tables["violins"].query("marker == 'Ki67'")["value"].max()


def test_the_csv_redraws_the_heatmap_and_the_violin(written, made) -> None:
    folder = written / "figures"
    again = plot.heatmap(pd.read_csv(folder / "figure4a.csv", dtype={"cluster": str}, float_precision="round_trip"))
    figure = drawn_panel("A", made)
    np.testing.assert_array_equal(again.images[0].get_array(), figure.axes[0].images[0].get_array())
    assert [t.get_text() for t in again.get_xticklabels()] == [t.get_text() for t in figure.axes[0].get_xticklabels()]
    tests = pd.read_csv(folder / "figure4e_tests.csv")
    ax = plot.violins(
        pd.read_csv(folder / "figure4e.csv"),
        tests,
        marker="GZMB",
        order=["CAR T", "Host T"],
        palette=plot.colors(["CAR T", "Host T"], "arms"),
    )
    there = drawn_panel("E", made).axes[1]
    assert ax.get_title() == there.get_title()
    for one, two in zip(ax.collections, there.collections, strict=True):
        np.testing.assert_allclose(one.get_paths()[0].vertices, two.get_paths()[0].vertices, rtol=1e-12)


def test_legends_name_the_method_that_ran_n_test_and_unit(written) -> None:
    text = (written / "figures" / "legends.md").read_text("utf-8")
    for said in (
        "FlowSOM (grid 10 x 10, n_clusters = 9, rlen = 10, seed 21)",
        "perplexity 30, seed 23",
        "n = 640 CAR T cells from 4 samples of 1 patient",
        "two-sided Wilcoxon rank-sum test, 5yr vs 2mo",
        "the unit of analysis is the cell",
        "CAR T: 100 cells, Host T: 250 cells",
        "Clopper-Pearson",
        "(2mo: 220, 1yr: 180, 3yr: 140, 5yr: 100)",
    ):
        assert said in text, said


def test_what_the_panel_lacks_is_named_and_left_out(study) -> None:
    less = study[:, [m for m in study.var_names if m not in ("Ki67", "PD-1")]].copy()
    made = report.study_tables(less)
    assert list(made.tables["violins"]["marker"].unique()) == ["HLA-DR", "CCR7", "GZMB"]
    assert "Not in the panel, so not shown: Ki67, PD-1." in _figures.legend("D", less, made, report.Settings())
    assert len(drawn_panel("D", made).axes) == 9


def test_a_study_without_car_gate_gets_the_set_for_what_it_kept(fake, small, tmp_path, unprinted) -> None:
    drawn = {d.name: d for d in report.figures(fake.fake_study(car=False, **small), tmp_path)}
    assert "no CAR gate" in drawn["figure4e"].skipped
    assert all(drawn[f"figure4{x}"].png for x in "abcd")
    assert "CD3+ cells" in drawn["figure4a"].title
    assert "CAR" not in drawn["figure4d"].legend
    assert not (tmp_path / "figure4e.png").exists()


def test_cells_that_were_never_gated_or_clustered_give_reasons_not_errors(tmp_path) -> None:
    import anndata

    cells = anndata.AnnData(np.ones((3, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"] * 3}, index=list("abc")))
    drawn = report.figures(cells, tmp_path)
    assert {d.name for d in drawn if not d.skipped} == {"supplement5", "nrs"}, "levels of markers need no gate"
    assert all(len(d.skipped) > 10 for d in drawn if d.skipped)
    assert report.write(cells, tmp_path, study_name="Bare").exists()


RUN = """
import importlib.util, json, sys
import matplotlib; matplotlib.use("Agg")
import numpy as np
spec = importlib.util.spec_from_file_location("fake_study", sys.argv[1]); fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)
from cytof import report
story = json.loads(sys.argv[3]); small = json.loads(sys.argv[4])
study = fake.fake_study(n_car=tuple(small["n_car"]), n_host=small["n_host"])
shuffled = study[np.random.default_rng(5).permutation(study.n_obs)].copy()
report.write(shuffled, sys.argv[2], study_name="Fake", waterfall=fake.fake_waterfall(study), provenance=story)
"""


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_same_bytes_in_another_process_another_hash_seed_and_another_order_of_cells(
    written, story, small, tmp_path
) -> None:
    script = Path(__file__).with_name("fake_study.py")
    environment = os.environ | {"PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo", "MPLCONFIGDIR": str(tmp_path / "mpl")}
    command = [sys.executable, "-c", RUN, str(script), str(tmp_path / "out"), json.dumps(story), json.dumps(small)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    first, second = hashes(written), hashes(tmp_path / "out")
    assert first.keys() == second.keys()
    assert {n for n in first if first[n] != second[n]} == set()


def test_what_else_was_measured_stands_on_the_same_days(fake, small, tmp_path) -> None:
    study = fake.fake_study(**small)
    visit = study.obs["sample_id"].astype(str)
    names = list(study.obs.sort_values("day")["sample_id"].astype(str).drop_duplicates())
    for column, values in (("transgene_copies_per_ug", [52e3, 9e3, 800, np.nan]), ("lymphocytes_per_ul", [9e2] * 4)):
        study.obs[column] = visit.map(dict(zip(names, values, strict=True))).astype(float)
    study.obs["transgene_limit"] = 50.0
    chain = pd.DataFrame({"left_out": ["none", "CD3+"], "fraction": [0.03, 0.04], "ci_low": 0.02, "ci_high": 0.05,
                          "dn_fraction": 0.4, "dn_ci_low": 0.3, "dn_ci_high": 0.5})  # fmt: skip
    study.uns["cytof"]["gate_sensitivity"] = pd.concat([chain.assign(sample_id=n) for n in names])
    made = report.study_tables(study)
    figure = Figure()
    axes = _panels.persistence(figure, made, report.Settings())
    assert [ax.get_ylabel().split(",")[0] for ax in axes] == ["CAR+", "CAR+", "transgene", "lymphocytes"]
    assert axes[1].get_ylabel().endswith("cells/uL")
    assert len({ax.get_xlim() for ax in axes}) == 1
    drawn = {d.name: d for d in report.figures(study, tmp_path, made=made)}
    for name in ("persistence", "concordance", "gate_sensitivity", "host_change", "shares_trend"):
        assert not drawn[name].skipped, drawn[name].skipped
    courses = pd.read_csv(tmp_path / "persistence_courses.csv")
    assert courses["assay"].nunique() == 4
    assert "transgene, lymphocytes" in drawn["persistence"].legend
    shown = pd.read_csv(tmp_path / "concordance.csv")
    assert shown["reason"].fillna("").str.contains("below the limit").tolist()[-1]
