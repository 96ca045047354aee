"""Artists of the newer figures: positions, colours, labels, n; and the tables they are drawn from."""

from __future__ import annotations

import anndata
import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cytof import plot, track
from cytof.errors import UsageError


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def shares() -> pd.DataFrame:
    return pd.DataFrame({"timepoint": ["2mo"] * 2 + ["5yr"] * 2, "cluster": ["1", "2"] * 2,
                         "fraction": [0.9, 0.1, 0.2, 0.8], "n": [100, 100, 50, 50]})  # fmt: skip


def ends(body) -> np.ndarray:
    return body.get_paths()[0].vertices


def test_bands_join_the_bars_of_a_cluster(shares) -> None:
    ax = plot.alluvial(shares, total="n")
    assert [[b.get_height() for b in c] for c in ax.containers] == [[90, pytest.approx(20)], [pytest.approx(10), 80]]
    band = ends(ax.collections[0])
    left, right = band[band[:, 0] == band[:, 0].min()], band[band[:, 0] == band[:, 0].max()]
    assert (left[:, 1].min(), left[:, 1].max()) == pytest.approx((0, 90))
    assert (right[:, 1].min(), right[:, 1].max()) == pytest.approx((0, 20))
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2mo\nn=100", "5yr\nn=50"]
    assert to_hex(ax.collections[0].get_facecolor()[0]) == plot.colors(["1"])["1"]


def test_a_stream_is_exact_at_the_visits_and_always_full(shares) -> None:
    ax = plot.stream(shares, fill="cluster", kind="clusters")
    low, high = (ends(c) for c in ax.collections)
    assert low[:, 1].max() == pytest.approx(90)
    assert high[:, 1].max() == pytest.approx(100)
    assert low[low[:, 0] == 1][:, 1].max() == pytest.approx(20)


def test_streams_and_frequencies_tell_n_under_each_visit(shares) -> None:
    stream = plot.stream(shares, fill="cluster", kind="clusters", total="n")
    grid = plot.frequencies(shares, x="timepoint", total="n")
    for ax in (stream, grid):
        assert [t.get_text() for t in ax.get_xticklabels()] == ["2mo\nn=100", "5yr\nn=50"]
    assert grid.images[0].get_array().tolist() == [[90, 20], [10, 80]]
    assert [t.get_text() for t in grid.texts] == ["90.0", "20.0", "10.0", "80.0"]
    assert [t.get_text() for t in grid.get_yticklabels()] == ["1", "2"]


def test_delta_area_marks_the_number_taken() -> None:
    table = pd.DataFrame({"k": [2, 3, 4, 5], "delta": [0.6, 0.3, 0.1, 0.02]})
    ax = plot.delta_area(table, chosen=4)
    line, mark = ax.lines
    assert line.get_xydata().tolist() == [[2, 0.6], [3, 0.3], [4, 0.1], [5, 0.02]]
    assert mark.get_xydata().tolist() == [[4, 0.1]]
    assert to_hex(mark.get_color()) != to_hex(line.get_color())
    assert [(t.get_text(), t.xy) for t in ax.texts] == [("k = 4", (4, 0.1))]
    assert [int(t) for t in ax.get_xticks()] == [2, 3, 4, 5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("metaclusters", "gain of consensus area")
    unmarked = plot.delta_area(table, chosen=9)
    assert (len(unmarked.lines), list(unmarked.texts)) == (1, []), "9 is not in the table, so nothing is marked"
    with pytest.raises(UsageError, match="plot.delta_area: column `delta` missing"):
        plot.delta_area(table.drop(columns="delta"))


def test_samples_are_coloured_by_visit_and_named_apart() -> None:
    places = pd.DataFrame({"sample_id": [f"s{i}" for i in range(30)], "x": np.arange(30.0), "y": 0.0,
                           "explained_x": 0.9, "explained_y": 0.08, "timepoint": ["2mo", "5yr"] * 15})  # fmt: skip
    ax = plot.mds(places)
    assert list(ax.texts) == [], "30 names would lie on each other"
    palette = plot.colors(["2mo", "5yr"], "visits")
    assert [to_hex(line.get_color()) for line in ax.lines] == list(palette.values())
    assert [line.get_xdata().tolist() for line in ax.lines] == [list(range(0, 30, 2)), list(range(1, 30, 2))]


def test_two_patients_are_refused(shares) -> None:
    for draw in (plot.alluvial, plot.stream, plot.frequencies):
        with pytest.raises(UsageError, match="stands twice"):
            draw(pd.concat([shares, shares]), x="timepoint", fill="cluster")


def test_split_violins_put_each_group_on_its_side_with_n_and_effect() -> None:
    q = (np.arange(100) + 0.5) / 100
    table = pd.concat([pd.DataFrame({"group": g, "marker": "Ki67", "n": n, "value": q * top})
                       for g, n, top in (("CAR T", 370, 2.0), ("Host T", 76_900, 5.0))])  # fmt: skip
    tests = pd.DataFrame({"marker": ["Ki67"], "p": [0.004], "cliffs_delta": [-0.61]})
    ax = plot.split_violins(table, tests)
    left, right = (ends(c) for c in ax.collections[:2])
    assert left[:, 0].max() <= 0 <= right[:, 0].min()
    assert (left[:, 1].max(), right[:, 1].max()) == pytest.approx((1.99, 4.975), abs=0.05)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["Ki67\nn=370 | 76.9k"]
    assert ax.texts[0].get_text() == "p = 0.004\nδ = -0.61"
    with pytest.raises(UsageError, match="3 groups"):
        plot.split_violins(pd.concat([table, table.assign(group="x")]))


def test_brackets_stand_above_each_other_over_their_groups() -> None:
    table = pd.concat(
        [pd.DataFrame({"group": g, "marker": "Ki67", "n": 20, "value": np.linspace(0, 2, 20)}) for g in "abc"]
    )
    tests = pd.DataFrame({"marker": "Ki67", "contrast": ["b vs a", "c vs a", "z vs a"], "p": [0.5, 0.01, 0.1],
                          "cliffs_delta": 0.1})  # fmt: skip
    ax = plot.violins(table, tests)
    drawn = [line for line in ax.lines if line.get_gid() == "bracket"]
    assert [list(line.get_xdata()) for line in drawn] == [[0, 0, 1, 1], [0, 0, 2, 2]], "no group z, no bracket"
    assert 2.0 < drawn[0].get_ydata().max() < drawn[1].get_ydata().min()
    assert [t.get_text() for t in ax.texts] == ["p = 0.5, δ = +0.10", "p = 0.01, δ = +0.10"]
    assert ax.get_ylim()[1] > drawn[1].get_ydata().max()


def test_trees_stand_on_their_rows_and_columns() -> None:
    value = np.array([[0.0, 0.1, 1.0], [0.0, 0.2, 0.9], [1.0, 1.0, 0.0]])
    profile = pd.DataFrame({"cluster": np.repeat(list("123"), 3), "marker": ["A", "B", "C"] * 3, "value": value.ravel(),
                            "class": ["type", "type", "state"] * 3})  # fmt: skip
    tree = track.dendrogram(profile)
    ax = plot.heatmap(profile, trees=tree)
    strip, side, scale = ax.child_axes
    assert len({to_hex(b.get_facecolor()) for b in strip.patches}) == 2
    assert [len(line.get_xdata()) for line in side.lines] == [4, 4]
    joined = sorted(set(side.lines[0].get_ydata()))
    assert joined == [0, 1] or joined == [1, 2]
    assert scale.get_ylabel() == "expression (0-1)"


def test_ridges_nrs_mds_and_delta_area_show_their_tables() -> None:
    ridge = pd.DataFrame({"group": ["1", "1", "2", "2"], "marker": "Ki67", "n": [9, 9, 12_000, 12_000],
                          "x": [0, 1, 0, 1.0], "density": [0.2, 0.4, 1.0, 0.0]})  # fmt: skip
    ax = plot.ridges(ridge, overlap=1.0)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["1 (9)", "2 (12k)"]
    assert [ends(c)[:, 1].max() for c in ax.collections] == [1.0, 0.0], "each to its own height, on its own foot"
    scores = pd.DataFrame({"sample_id": ["a", "b"] * 2, "marker": ["X", "X", "Y", "Y"], "score": [1.0, 3, 5, 7],
                           "mean": [2.0, 2, 6, 6], "rank": [2, 2, 1, 1]})  # fmt: skip
    ax = plot.nrs(scores)
    assert list(ax.lines[0].get_xdata()) == [1, 1, 0, 0]
    assert [seg[0][1] for seg in ax.collections[0].get_segments()] == [6, 2]
    places = pd.DataFrame({"sample_id": ["a", "b", "c"], "x": [0.0, 1, 5], "y": [0.0, 1, 0], "explained_x": 0.9,
                           "explained_y": 0.08, "timepoint": ["2mo", "1yr", "1yr"]})  # fmt: skip
    ax = plot.mds(places)
    assert {t.get_text() for t in ax.texts} == {"a", "b", "c"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("MDS 1 (90 %)", "MDS 2 (8 %)")


def test_density_maps_share_one_scale() -> None:
    table = pd.DataFrame({"x": [0.0, 0, 9], "y": [0.0, 0, 9], "timepoint": ["a", "a", "b"]})
    crowded = track.map_density(table, by="timepoint")
    assert crowded["density"].tolist() == [1, 1, 1], "each visit to its own highest place"
    figure = Figure()
    axes = plot.maps(crowded.assign(density=[0.2, 1.0, 0.5]), figure, color="density")
    assert [ax.collections[-1].get_clim() for ax in axes] == [(0.2, 1.0)] * 2
    assert figure.axes[-1].get_ylabel() == "density (0-1)"


def test_tables_find_what_was_planted() -> None:
    """Two markers carry all variance; samples a and b are alike, c is not; densities are areas of 1."""
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(3, 1.5, 600), rng.normal(2, 1.0, 600), rng.normal(1, 0.01, 600)]
    X[400:, 0] += 6
    obs = pd.DataFrame({"sample_id": np.repeat(list("abc"), 200)}, index=[str(i) for i in range(600)])
    cells = anndata.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=["big", "mid", "flat"]))
    scores = track.non_redundancy(cells).drop_duplicates("marker").set_index("marker")["rank"]
    assert scores.to_dict() == {"big": 1, "mid": 2, "flat": 3}
    place = track.sample_distances(cells).set_index("sample_id")
    assert abs(place.loc["a", "x"] - place.loc["b", "x"]) < 1 < abs(place.loc["a", "x"] - place.loc["c", "x"])
    medians = np.array([np.median(X[obs["sample_id"] == s], axis=0) for s in "abc"])
    apart = np.linalg.norm(medians[0] - medians[2])
    assert np.hypot(*(place.loc["a", ["x", "y"]] - place.loc["c", ["x", "y"]])) == pytest.approx(apart, rel=1e-4)
    curves = track.densities(cells, by="sample_id", markers=["big"])
    for _, curve in curves.groupby("group"):
        assert np.trapezoid(curve["density"], curve["x"]) == pytest.approx(1, abs=0.02)


def test_scale_last_spans_each_marker_over_the_clusters() -> None:
    obs = pd.DataFrame({"flowsom": list("123")}, index=list("abc"))
    values = np.float32([[0, 5], [2, 5], [4, 5]])
    cells = anndata.AnnData(values, obs=obs, var=pd.DataFrame(index=["Ki67", "even"]))
    table = track.profile(cells, scale="last", trim=0).pivot(index="cluster", columns="marker", values="value")
    assert table["Ki67"].tolist() == [0, 0.5, 1]
    assert table["even"].tolist() == [0, 0, 0]
    first = track.profile(cells, scale="first", trim=0)
    assert set(first["scale"]) == {"01"}


def test_assays_stand_on_days_and_below_their_limit_open_with_an_arrow() -> None:
    table = pd.DataFrame({"patient_id": "P1", "day": [60.0, 365, 1825], "assay": "transgene", "unit": "copies/ug DNA",
                          "value": [9000.0, 800, 20], "limit": 50.0, "below_limit": [False, False, True],
                          "after_reinfusion": [False, False, True]})  # fmt: skip
    ax = plot.assay(table)
    course, seen, hidden = ax.lines
    assert list(course.get_ydata()) == [9000, 800, 50]
    assert (list(seen.get_xdata()), list(hidden.get_xdata())) == ([60, 365], [1825])
    assert hidden.get_markerfacecolor() == "white"
    assert [t.xy for t in ax.texts] == [(1825, 50)]
    assert ax.get_yscale() == "log"
    assert len(ax.patches) == 1, "grey after another product"
    assert plot.assay(table.assign(value=[1.0, 0, 0], limit=np.nan)).get_yscale() == "linear"
    with pytest.raises(UsageError, match="column `unit` missing"):
        plot.assay(table.drop(columns="unit"))


def test_intervals_show_their_table() -> None:
    table = pd.DataFrame({"marker": ["a", "a", "b"], "contrast": ["2 vs 1", "3 vs 1", "2 vs 1"],
                          "estimate": [1, -1, np.nan],
                          "ci_low": [0.5, -2, np.nan], "ci_high": [1.5, 0, np.nan], "weak": [False, True, False],
                          "why": ["", "", "no cells"]})  # fmt: skip
    ax = plot.intervals(table, color="contrast", hollow="weak", reason="why")
    bars = [ends(c)[:, 0].tolist() for c in ax.collections]
    assert bars == [[0.5, 1.5], [-2.0, 0.0]]
    dots = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [(line.get_xdata()[0], line.get_markerfacecolor() == "white") for line in dots] == [(1, False), (-1, True)]
    assert [t.get_text() for t in ax.texts] == ["no cells"]
    ratio = plot.intervals(table.assign(ci_low=0.1).iloc[:1], line=None)
    assert ratio.get_xscale() == "log"
