"""What is drawn is what the table says: positions, heights, colours, labels, n."""

from __future__ import annotations

import json

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cytof import plot
from cytof.errors import UsageError


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def profile() -> pd.DataFrame:
    value = np.array([[0.1, 0.9, 0.5], [0.8, 0.2, 0.4]])
    return pd.DataFrame(
        {
            "cluster": np.repeat(["1", "2"], 3),
            "marker": ["CD4", "CD8", "Ki67"] * 2,
            "value": value.ravel(),
            "frequency": np.repeat([0.7, 0.3], 3),
            "cluster_order": np.repeat([1, 0], 3),
            "marker_order": [2, 0, 1] * 2,
        }
    )


def ticks(ax, which="x") -> list[str]:
    return [t.get_text() for t in (ax.get_xticklabels() if which == "x" else ax.get_yticklabels())]


def test_heatmap_stands_in_the_tables_order_and_bars_in_line_with_rows(profile) -> None:
    ax = plot.heatmap(profile)
    assert ticks(ax, "y") == ["2", "1"]
    assert ticks(ax) == ["CD8", "Ki67", "CD4"]
    np.testing.assert_array_equal(ax.images[0].get_array(), [[0.2, 0.4, 0.8], [0.9, 0.5, 0.1]])
    bars = ax.child_axes[0].patches
    assert [b.get_y() + b.get_height() / 2 for b in bars] == [0, 1]
    assert [b.get_width() for b in bars] == [30, 70]
    assert [to_hex(b.get_facecolor()) for b in bars] == [plot.colors(["1", "2"])[c] for c in "21"]
    ax.figure.draw_without_rendering()
    heat, side = ax.get_window_extent(), ax.child_axes[0].get_window_extent()
    assert (heat.y0, heat.y1) == pytest.approx((side.y0, side.y1))


def test_heatmap_tells_the_cells_of_all_clusters_under_the_bars(profile) -> None:
    assert plot.heatmap(profile).child_axes[0].get_xlabel() == "% of cells"
    side = plot.heatmap(profile.assign(n=np.repeat([14_000, 6_000], 3))).child_axes[0]
    assert side.get_xlabel() == "% of cells\n(n=20k)"


def test_heatmap_without_frequencies_has_no_bars(profile) -> None:
    ax = plot.heatmap(profile.drop(columns="frequency"))
    assert len(ax.child_axes) == 1


def test_heatmap_refuses_two_values_for_one_cell(profile) -> None:
    with pytest.raises(UsageError, match="two values for one cluster and marker"):
        plot.heatmap(pd.concat([profile, profile]))


def test_map_colours_categories_and_shades_markers() -> None:
    table = pd.DataFrame({"x": [0.0, 1, 2], "y": [0.0, 1, 2], "flowsom": ["1", "2", None], "Ki67": [0.0, 1.0, 4.0]})
    points = plot.map(table).collections[0]
    assert [to_hex(c) for c in points.get_facecolors()][:2] == [plot.colors(["1", "2"])[c] for c in "12"]
    assert points.get_rasterized()
    table.attrs["range"] = (0.0, 2.0)
    assert plot.map(table, color="Ki67").collections[0].get_clim() == (0.0, 2.0)


def test_maps_share_axes_and_count_cells() -> None:
    table = pd.DataFrame(
        {
            "x": [0.0, 5, 9],
            "y": [0.0, 1, 2],
            "flowsom": ["1", "2", "1"],
            "timepoint": pd.Categorical(["5yr", "2mo", "5yr"], ["2mo", "5yr"]),
        }
    )
    figure = Figure()
    axes = plot.maps(table, figure)
    assert [a.get_title() for a in axes] == ["2mo (n = 1)", "5yr (n = 2)"]
    assert axes[0].get_xlim() == axes[1].get_xlim()
    assert [len(a.collections[0].get_offsets()) for a in axes] == [3, 3], "all cells in grey behind"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["1", "2"]


def test_composition_adds_up_and_shows_n() -> None:
    table = pd.DataFrame(
        {
            "timepoint": ["2mo", "2mo", "5yr"],
            "population": ["CD4", "DN", "DN"],
            "fraction": [0.25, 0.75, 1.0],
            "n_denominator": [400, 400, 74],
        }
    )
    ax = plot.composition(table, total="n_denominator")
    assert ticks(ax) == ["2mo\nn=400", "5yr\nn=74"]
    low, high = ax.containers
    assert [b.get_height() for b in low] == [25, 0]
    assert [(b.get_y(), b.get_y() + b.get_height()) for b in high] == [(25, 100), (0, 100)]
    assert to_hex(high[0].get_facecolor()) == plot.colors(["DN"], "subsets")["DN"]
    assert {t.get_text() for t in ax.texts} == {"25", "75", "100"}


def test_composition_refuses_two_patients_in_one_bar() -> None:
    table = pd.DataFrame({"timepoint": ["2mo"] * 2, "population": ["DN"] * 2, "fraction": [0.1, 0.2]})
    with pytest.raises(UsageError, match="one patient at a time"):
        plot.composition(table)


@pytest.fixture
def distributions() -> pd.DataFrame:
    q = (np.arange(200) + 0.5) / 200
    parts = [
        pd.DataFrame({"group": g, "subset": s, "marker": "Ki67", "n": n, "quantile": q, "value": q * top})
        for s in ("CD8", "DN")
        for g, n, top in (("2mo", 12_345, 2.0), ("5yr", 812, 4.0))
    ]
    return pd.concat(parts, ignore_index=True)


def test_violins_show_groups_n_medians_and_the_test(distributions) -> None:
    tests = pd.DataFrame({"subset": ["CD8", "DN"], "marker": "Ki67", "p": [1e-9, 0.04], "cliffs_delta": [-0.5, 0.123]})
    ax = plot.violins(distributions, tests, subset="DN")
    assert ticks(ax) == ["2mo\nn=12.3k", "5yr\nn=812"]
    assert ax.get_title() == "p = 0.04, δ = +0.12"
    assert plot.violins(distributions, tests, subset="CD8").get_title() == "p < 0.001, δ = -0.50"
    palette = plot.colors(["2mo", "5yr"], "visits")
    assert [to_hex(c.get_facecolor()[0]) for c in ax.collections] == list(palette.values())
    medians = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 1.2]
    assert medians == pytest.approx([1.0, 2.0], abs=0.02)
    assert ax.get_ylim()[1] >= 4.0


def test_a_violin_reaches_from_the_lowest_to_the_highest_value(distributions) -> None:
    ax = plot.violins(distributions, subset="DN")
    body = ax.collections[1].get_paths()[0].vertices
    assert body[:, 1].min() == pytest.approx(0.01, abs=0.05)
    assert body[:, 1].max() == pytest.approx(3.99, abs=0.05)
    assert body[:, 0].mean() == pytest.approx(1.0, abs=0.05)


def test_few_cells_are_dots_and_no_cells_an_empty_place(distributions) -> None:
    few = distributions[distributions["subset"] == "DN"].groupby("group").head(3).assign(n=3)
    none = pd.DataFrame(
        {"group": ["9yr"], "subset": "DN", "marker": "Ki67", "n": 0, "quantile": np.nan, "value": np.nan}
    )
    ax = plot.violins(pd.concat([few, none]), subset="DN")
    assert not ax.collections, "no smooth body for three cells"
    assert sum(len(line.get_xdata()) for line in ax.lines if line.get_marker() == "o") == 6
    assert ticks(ax) == ["2mo\nn=3", "5yr\nn=3", "9yr\nn=0"]


def test_violins_ask_which_marker(distributions) -> None:
    other = pd.concat([distributions, distributions.assign(marker="PD-1")])
    with pytest.raises(UsageError, match="several in `marker`: Ki67, PD-1"):
        plot.violins(other, subset="DN")
    with pytest.raises(UsageError, match="no marker 'PD1'.*did you mean `PD-1`"):
        plot.violins(other, marker="PD1", subset="DN")


def test_persistence_is_logarithmic_with_intervals_and_open_marks() -> None:
    table = pd.DataFrame(
        {
            "patient_id": "P1",
            "timepoint": ["2mo", "3yr", "5yr"],
            "day": [60.0, 1095, 1825],
            "population": "CAR+",
            "denominator": "CD45+",
            "fraction": [0.03, 0.0001, 0.0],
            "ci_low": [0.028, 0.00001, 0.0],
            "ci_high": [0.032, 0.0003, 0.00005],
            "call": ["detected", "not detected", "not detected"],
        }
    )
    ax = plot.persistence(table)
    assert ax.get_yscale() == "log"
    marks = {line.get_marker(): line for line in ax.lines if line.get_marker() in "ov" and len(line.get_xdata())}
    filled = [line for line in ax.lines if line.get_marker() == "o" and len(line.get_xdata())]
    assert [(list(f.get_xdata()), f.get_markerfacecolor() == "white") for f in filled] == [
        ([60], False),
        ([1095], True),
    ]
    assert list(marks["v"].get_xdata()) == [1825], "no cell found: a triangle on the floor"
    assert ticks(ax) == ["2mo", "3yr", "5yr"]
    low, high = ax.get_ylim()
    assert low < 0.001 < 3.2 < high


def test_persistence_needs_no_days() -> None:
    table = pd.DataFrame(
        {
            "patient_id": "P1",
            "timepoint": ["a", "b"],
            "day": np.nan,
            "population": "CAR+",
            "denominator": "CD45+",
            "fraction": [0.03, 0.02],
            "ci_low": 0.01,
            "ci_high": 0.04,
        }
    )
    assert list(plot.persistence(table).lines[0].get_xdata()) == [0, 1]


def test_several_samples_of_one_day_are_not_joined_as_a_course() -> None:
    table = pd.DataFrame(
        {
            "patient_id": "P1", "timepoint": ["d0"] * 3, "day": 0.0, "population": "CD3+", "denominator": "CD45+",
            "fraction": [0.9, 0.5, 0.1], "ci_low": 0.05, "ci_high": 0.95,
        }
    )  # fmt: skip
    drawn = plot.persistence(table).lines
    joined = [line for line in drawn if line.get_linestyle() == "-" and len(line.get_xdata()) > 1]
    assert joined == []
    course = plot.persistence(table.assign(day=[0.0, 30.0, 60.0], timepoint=["a", "b", "c"]))
    assert any(line.get_linestyle() == "-" and len(line.get_xdata()) == 3 for line in course.lines)


def test_lines_of_many_patients_are_named_beside_and_not_on_the_plot() -> None:
    one = {"timepoint": ["a", "b"], "population": "CAR+", "denominator": "CD45+", "ci_low": 0.01, "ci_high": 0.04}
    table = pd.concat([pd.DataFrame({"patient_id": f"P{i:02d}", "day": [30.0, 60.0], "fraction": [0.02, 0.03], **one})
                       for i in range(10)])  # fmt: skip
    ax = plot.persistence(table)
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [f"P{i:02d}" for i in range(10)]
    crowd = pd.concat([table.assign(patient_id=table["patient_id"] + k) for k in "abcd"])
    ax = plot.persistence(crowd)
    assert ax.get_legend() is None
    assert ax.get_xlabel() == "visit, at its day, 40 lines"
    apart = table.assign(day=np.arange(20) * 10.0)
    assert plot.persistence(apart).get_xlabel() == "day", "each patient came on a day of his own"


def test_visits_close_to_each_other_keep_their_words_apart_and_tell_n() -> None:
    days = [0.0, 7.0, 14.0, 28.0, 1825.0]
    table = pd.DataFrame({"patient_id": "P1", "timepoint": ["d0", "d7", "d14", "d28", "5yr"], "day": days,
                          "population": "CAR+", "denominator": "CD45+", "n": [12_000, 900, 80, 70, 5],
                          "fraction": 0.02, "ci_low": 0.01, "ci_high": 0.04})  # fmt: skip
    ax = plot.persistence(table)
    ax.figure.draw_without_rendering()
    words = [t for t in ax.get_xticklabels() if t.get_text()]
    assert (words[0].get_text(), words[-1].get_text()) == ("d0\nn=12k", "5yr\nn=5")
    boxes = [t.get_window_extent() for t in words]
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
    assert list(ax.get_xticks()) == days, "a visit without room for its word keeps its tick"


def test_waterfall_of_many_samples_has_a_row_each() -> None:
    samples = [f"s{i}" for i in range(13)]
    table = pd.DataFrame({"sample_id": np.repeat(samples, 2), "step": ["all events", "live"] * 13,
                          "n_left": [1000, 500] * 13, "fraction_left": [1.0, 0.5] * 13})  # fmt: skip
    ax = plot.waterfall(table)
    assert ticks(ax, "y") == samples
    whole, live = ax.containers
    assert [b.get_x() for b in live] == [1] * 13
    assert [b.get_width() for b in whole][0] == pytest.approx(2 * [b.get_width() for b in live][0])
    assert len({t.get_text() for t in ax.texts}) == 2
    assert len(ax.texts) == 26
    assert ax.get_xlabel().endswith("(13 samples)")


def test_waterfall_bars_are_percents_of_all_events() -> None:
    table = pd.DataFrame(
        {
            "sample_id": ["a", "a", "b", "b"],
            "step": ["all events", "live"] * 2,
            "n_left": [200, 100, 1000, 900],
            "fraction_left": [1, 0.5, 1, 0.9],
        }
    )
    ax = plot.waterfall(table)
    assert [[b.get_width() for b in c] for c in ax.containers] == [[100, 50], [100, 90]]
    assert [t.get_text() for t in ax.texts] == ["200", "100", "1,000", "900"]
    assert ticks(ax, "y") == ["all events", "live"]


def test_histogram_is_coloured_inside_the_gate() -> None:
    table = pd.DataFrame(
        {
            "x_low": [0.0, 1, 2],
            "x_high": [1.0, 2, 3],
            "n": [99, 9, 999],
            "value": 2.0,
            "low": 1.8,
            "high": 2.3,
            "fraction": 0.9025,
            "x_name": "CD3",
            "title": "CD3+ of live",
        }
    )
    ax = plot.histogram(table)
    inside, outside = to_hex(ax.patches[2].get_facecolor()), to_hex(ax.patches[0].get_facecolor())
    assert inside != outside == to_hex(ax.patches[1].get_facecolor())
    assert [b.get_height() for b in ax.patches[:3]] == pytest.approx([2, 1, 3])
    assert (ax.get_title(), ax.get_xlabel(), ax.texts[0].get_text()) == ("CD3+ of live", "CD3", "90.2 %")
    below = plot.histogram(table.assign(side="below"))
    assert to_hex(below.patches[0].get_facecolor()) == inside


@pytest.mark.parametrize(
    ("region", "points"),
    [
        ({"kind": "rectangle", "low": [1.0, -np.inf], "high": [np.inf, 1.0]}, 5),
        ({"kind": "polygon", "vertices": [[0, 0], [2, 0], [2, 2]]}, 4),
        ({"kind": "ellipse", "mean": [1, 1], "covariance": [[1, 0], [0, 4]], "distance_square": 4.0}, 121),
    ],
)
def test_biaxial_draws_density_and_outline(region, points) -> None:
    table = pd.DataFrame(
        {
            "x_low": [0.0, 1, 2],
            "x_high": [1.0, 2, 3],
            "y_low": [0.0, 0, 1],
            "y_high": [1.0, 1, 2],
            "n": [1, 10, 100],
            "fraction": 0.5,
            "region": json.dumps(region),
        }
    )
    ax = plot.biaxial(table)
    image = ax.images[0].get_array()
    np.testing.assert_allclose(image.filled(-1), [[0, 1, -1], [-1, -1, 2]])
    line = ax.lines[0].get_xydata()
    assert len(line) == points
    if region["kind"] == "ellipse":
        away = (line - 1) ** 2 / [1, 4]
        np.testing.assert_allclose(away.sum(axis=1), 4.0)
    if region["kind"] == "rectangle":
        assert line[:, 0].max() > 3.0, "an open gate has no line at the edge of the plot"
        assert (ax.get_xlim(), ax.get_ylim()) == ((0.0, 3.0), (0.0, 2.0))


def test_thresholds_have_a_row_a_gate_and_open_marks_where_flagged() -> None:
    table = pd.DataFrame(
        {
            "sample_id": ["a", "b"] * 2,
            "gate": ["x/CD3+"] * 2 + ["x/CD3+/CAR+"] * 2,
            "channel": "Er170",
            "value": [2.0, 2.1, 3.0, np.nan],
            "low": 1.8,
            "high": 2.4,
            "flag": ["", "shallow", "", ""],
        }
    )
    ax = plot.thresholds(table)
    assert ticks(ax, "y") == ["CD3+", "CAR+"]
    faces = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert [f == "white" for f in faces] == [False, True, False]


@pytest.mark.parametrize(
    "draw",
    [
        plot.heatmap,
        plot.map,
        plot.composition,
        plot.violins,
        plot.persistence,
        plot.waterfall,
        plot.histogram,
        plot.biaxial,
        plot.thresholds,
    ],
)
def test_a_missing_column_is_named(draw) -> None:
    with pytest.raises(UsageError, match=rf"plot\.{draw.__name__}: columns? .* missing, found nothing_here"):
        draw(pd.DataFrame({"nothing_here": [1]}))


def test_plots_draw_into_given_axes_and_leave_others_alone(profile) -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.heatmap(profile, ax=left) is left
    assert not right.has_data()
    assert not plt.get_fignums(), "no figure of pyplot is opened when axes are given"


def test_names_are_text_and_no_formulas() -> None:
    table = pd.DataFrame({"timepoint": ["$x^2$ \\frac"], "population": ["DN"], "fraction": [1.0]})
    ax = plot.composition(table)
    ax.figure.draw_without_rendering()
    assert ticks(ax) == ["$x^2$ \\frac"]
    assert not ax.get_xticklabels()[0].get_parse_math()


@pytest.fixture
def nodes() -> pd.DataFrame:
    return pd.DataFrame({"node": [0, 1, 2], "parent": [-1, 0, 1], "x": [0.0, 1.0, 2.0], "y": [0.0, 0.5, 0.0],
                         "n": [50, 25, 0], "cluster": ["2", "1", "1"]})  # fmt: skip


def test_tree_draws_every_edge_and_node_by_its_cells(nodes) -> None:
    ax = plot.tree(nodes)
    edges, ground = ax.collections
    assert [s.tolist() for s in edges.get_segments()] == [[[1, 0.5], [0, 0]], [[2, 0], [1, 0.5]]]
    assert ground.get_offsets().tolist() == [[0, 0], [1, 0.5]], "a node without cells is a joint of edges"
    wide = ground.get_widths()
    assert wide[1] ** 2 / wide[0] ** 2 == pytest.approx(0.5), "areas are in proportion to cells"
    palette = plot.colors(["1", "2"])
    assert [to_hex(c) for c in ground.get_facecolor()] == [palette["2"], palette["1"]]
    assert ax.get_legend().get_title().get_text() == "metacluster\n(n = 75 cells)"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["1", "2"]
    with pytest.raises(UsageError, match="column `parent` missing.*or give `edges`"):
        plot.tree(nodes.drop(columns="parent"))


def test_stars_have_an_arm_a_marker_as_long_as_its_level(nodes) -> None:
    table = nodes.loc[np.repeat([0, 1, 2], 2)].assign(marker=["CD4", "CD8"] * 3, value=[1.0, 0.5, 0.25, 0, 1, 1])
    edges = pd.DataFrame({"x0": [0.0, 1], "y0": [0.0, 0.5], "x1": [1.0, 2], "y1": [0.5, 0]})
    ax = plot.tree(table, edges)
    drawn, ground, first, second = ax.collections
    assert [s.tolist() for s in drawn.get_segments()] == [[[0, 0], [1, 0.5]], [[1, 0.5], [2, 0]]]
    radius = ground.get_widths()[0] / 2
    reach = [c.get_paths()[0].get_extents().width / 2 for c in (first, second)]  # half a disc
    assert reach == pytest.approx([radius, radius / 2]), "arms of the first node: 1 and 0.5 of its ground"
    assert len(first.get_paths()) == 2, "no star on the node without cells"
    upper, lower = (c.get_paths()[0].get_extents() for c in (first, second))
    assert (upper.y0, lower.y1) == pytest.approx((0, 0), abs=1e-9), "arms go round from the right"
    assert to_hex(first.get_facecolor()[0]) != to_hex(second.get_facecolor()[0])
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["CD4", "CD8"]
    assert ground.get_facecolor()[0][3] == pytest.approx(0.25, abs=0.01), "the ground lets the star be seen"


def test_bodies_are_those_of_seaborn(distributions) -> None:
    """A stranger draws the same outlines, whole and split: ``seaborn.violinplot(cut=0, gridsize=80)``."""
    import seaborn

    rng = np.random.default_rng(3)
    table = pd.concat(
        [pd.DataFrame({"group": g, "marker": "Ki67", "n": 500, "value": np.sort(rng.gamma(2, k, 500))})
         for g, k in (("CAR T", 0.7), ("Host T", 1.1))]
    )  # fmt: skip
    look = {"cut": 0, "density_norm": "width", "width": 0.86, "gridsize": 80, "inner": None, "legend": False}
    there = seaborn.violinplot(table, x="group", y="value", hue="group", ax=Figure().subplots(), **look)
    halves = seaborn.violinplot(table, x="marker", y="value", hue="group", split=True, gap=0.06,
                                ax=Figure().subplots(), **look)  # fmt: skip
    for ours, theirs in ((plot.violins(table), there), (plot.split_violins(table), halves)):
        for one, two in zip(ours.collections, theirs.collections, strict=True):
            np.testing.assert_allclose(_outline(one), _outline(two), atol=2e-3)


def _outline(body) -> np.ndarray:
    """Return the left and right edge of a body at each height."""
    points = pd.DataFrame(body.get_paths()[0].vertices, columns=["x", "y"]).round({"y": 9})
    return points.groupby("y")["x"].agg(["min", "max"]).to_numpy()


def test_few_cells_are_dots_on_their_side_of_a_split_violin() -> None:
    table = pd.DataFrame({"group": ["CAR T"] * 3 + ["Host T"] * 20, "marker": "Ki67", "n": [3] * 3 + [20] * 20,
                          "value": [1.0, 2, 3, *np.linspace(0, 4, 20)]})  # fmt: skip
    ax = plot.split_violins(table)
    assert len(ax.collections) == 1
    dots = next(line for line in ax.lines if line.get_marker() == "o")
    assert (dots.get_xdata().max() < 0, dots.get_ydata().tolist()) == (True, [1, 2, 3])
