"""Artists of the clinical figures: curves where the table says, numbers at risk under ticks, every patient drawn."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cytof import plot
from cytof.errors import UsageError


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def steps() -> pd.DataFrame:
    one = pd.DataFrame(
        {
            "group": "CR",
            "time": [6.0, 12, 24],
            "survival": [0.9, 0.6, 0.4],
            "ci_low": [0.8, 0.4, 0.2],
            "ci_high": [0.95, 0.8, 0.7],
            "n_at_risk": [20, 15, 9],
            "n_censored": [0, 2, 0],
        }
    )
    return pd.concat([one, one.assign(group="PR", survival=[0.7, 0.3, 0.1], n_at_risk=[30, 14, 1])], ignore_index=True)


@pytest.fixture
def risk() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "group": ["CR"] * 3 + ["PR"] * 3,
            "time": [0.0, 12, 24] * 2,
            "n_at_risk": [20, 15, 9, 30, 14, 1],
            "n_events": [0, 6, 10, 0, 16, 25],
        }
    )


def curves(ax) -> list[tuple[list[float], list[float]]]:
    """Return the step curves: those that start at 0."""
    drawn = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    return [(list(line.get_xdata()), pytest.approx(list(line.get_ydata()))) for line in drawn]


def test_km_steps_at_its_times_and_ends_where_few_are_at_risk(steps, risk) -> None:
    medians = pd.DataFrame(
        {"group": ["CR", "PR"], "median": [24.0, 12.0], "ci_low": [12.0, 6.0], "ci_high": [np.nan, 24]}
    )
    ax = plot.km(steps, risk, medians, note="log-rank p = 0.01")
    assert curves(ax) == [([0, 6, 12, 24], [100, 90, 60, 40]), ([0, 6, 12], [100, 70, 30])], (
        "1 of 30 at risk: not drawn"
    )
    palette = plot.groups_palette(["CR", "PR"])
    drawn = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert [to_hex(line.get_color()) for line in drawn] == list(palette.values())
    assert len({line.get_linestyle() for line in drawn}) == 2, "told apart without colour too"
    censored = [line for line in ax.lines if line.get_marker() == "|"]
    assert [list(line.get_xdata()) for line in censored] == [[12], [12]]
    dotted = [line.get_xydata().tolist() for line in ax.lines if line.get_linestyle() == ":"]
    assert [[24, 0], [24, 50]] in dotted
    assert [[0, 50], [24, 50]] in dotted
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "CR: median 24.0 (12.0-NR)",
        "PR: median 12.0 (6.0-24.0)",
    ]
    assert ax.get_legend().get_title().get_text() == "log-rank p = 0.01"


def test_numbers_at_risk_stand_under_their_ticks(steps, risk) -> None:
    ax = plot.km(steps, risk)
    ax.figure.draw_without_rendering()
    words = {t.get_text(): t.get_window_extent() for t in ax.texts}
    assert {"At risk (events)", "CR", "PR", "20 (0)", "15 (6)", "9 (10)", "30 (0)", "14 (16)", "1 (25)"} <= set(words)
    middle = {n: (box.x0 + box.x1) / 2 for n, box in words.items()}
    for time, counts in ((0, ("20 (0)", "30 (0)")), (12, ("15 (6)", "14 (16)")), (24, ("9 (10)", "1 (25)"))):
        at = ax.transData.transform((time, 0))[0]
        assert [middle[c] for c in counts] == pytest.approx([at, at], abs=1)
    assert words["14 (16)"].y1 <= words["15 (6)"].y0 + 1 <= words["At risk (events)"].y0 + 2
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "12", "24"]


def test_incidence_has_a_curve_a_cause_from_zero() -> None:
    one = {"time": [5.0, 9.0], "ci_low": [0.1, 0.3], "ci_high": [0.4, 0.7]}
    table = pd.concat(
        [
            pd.DataFrame({"group": "all", "cause": c, "incidence": v, **one})
            for c, v in (("PD", [0.2, 0.5]), ("death", [0.1, 0.15]))
        ]
    )
    ax = plot.incidence(table, unit="months")
    assert curves(ax) == [([0, 5, 9], [0, 20, 50]), ([0, 5, 9], [0, 10, 15])]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["PD", "death"]
    assert len(ax.collections) == 2, "a band a curve"
    assert (ax.get_xlabel(), ax.get_ylim()) == ("Months", (0, 102))


def test_forest_rows_are_in_order_with_intervals_and_numbers() -> None:
    table = pd.DataFrame(
        {
            "covariate": ["EMD", "ISS III", "age"],
            "hr": [3.1, 0.5, np.nan],
            "ci_low": [1.8, 0.2, np.nan],
            "ci_high": [5.4, 1.3, np.nan],
            "n": [70, 70, 70],
            "events": [40, 40, 0],
            "p": [0.0001, 0.16, np.nan],
        }
    )
    ax = plot.forest(table)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["EMD", "ISS III", "age"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first row on top"
    squares = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "s"]
    assert squares == [[[3.1, 0]], [[0.5, 1]]]
    bars = [line.get_xydata().tolist() for line in ax.lines if line.get_linewidth() == 0.9]
    assert bars == [[[1.8, 0], [5.4, 0]], [[0.2, 1], [1.3, 1]]]
    words = [t.get_text() for t in ax.texts]
    assert "3.10 (1.80-5.40)" in words
    assert words.count("not estimable") == 1
    assert (words.count("70"), "events" in words) == (3, True)
    low, high = ax.get_xlim()
    assert low < 0.2 < 5.4 < high


def test_boxes_show_every_patient_and_the_normal_range() -> None:
    table = pd.DataFrame({"group": ["0-1"] * 5 + ["2-3"] * 4, "value": [1.0, 2, 3, 4, 50, 10, 20, 30, np.nan]})
    ax = plot.boxes(table, limits=(2, 4), name="Ferritin, ng/mL", note="p = 0.02")
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [sorted(line.get_ydata()) for line in dots] == [[1, 2, 3, 4, 50], [10, 20, 30]], "outliers are dots as well"
    assert all(abs(x - i) < 0.2 for i, line in enumerate(dots) for x in line.get_xdata())
    middles = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() == 1.0]
    assert middles == [3, 20]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0-1\nn=5", "2-3\nn=3"]
    assert [to_hex(line.get_color()) for line in dots] == list(plot.groups_palette(["0-1", "2-3"]).values())
    band = ax.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == (2, 4)
    assert (ax.get_ylabel(), ax.get_title()) == ("Ferritin, ng/mL", "p = 0.02")


def test_course_is_the_median_in_order_of_days_with_its_band() -> None:
    table = pd.DataFrame(
        {
            "group": ["a", "a", "b"],
            "day": [8, 1, 1],
            "median": [2.0, 1, 5],
            "low": [1.0, 0.5, 4],
            "high": [3.0, 2, 6],
            "n": [7, 9, 4],
        }
    )
    ax = plot.course(table, name="IL-6")
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[1, 1], [8, 2]], [[1, 5]]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a (n=9)", "b (n=4)"]
    band = ax.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.5, 3)
    assert ax.get_ylim()[0] == 0


def test_swimmer_lanes_are_as_long_as_follow_up_with_marks_on_them() -> None:
    lanes = pd.DataFrame({"patient_id": ["a", "b", "c"], "end": [9.0, 5, 20], "group": ["CR", "SD", "CR"]})
    marks = pd.DataFrame({"patient_id": ["b", "c", "gone"], "time": [4.0, 20, 1], "what": ["PD", "ongoing", "PD"]})
    ax = plot.swimmer(lanes, marks)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "a", "c"]
    assert [b.get_width() for b in ax.containers[0]] == [5, 9, 20]
    colours = [to_hex(b.get_facecolor()) for b in ax.containers[0]]
    assert colours[1] == colours[2] != colours[0]
    placed = [c.get_offsets().tolist() for c in ax.collections if len(c.get_offsets())]
    assert sorted(placed) == [[[4, 0]], [[20, 2]]], "a mark of a patient without a lane is not drawn"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["CR", "SD", "PD", "ongoing"]


def test_states_are_columns_of_100_percent_with_counts() -> None:
    table = pd.DataFrame(
        {
            "group": ["All"] * 2 + ["CR"] * 2,
            "state": ["Alive, no progression", "Lost to follow-up"] * 2,
            "n": [30, 10, 30, 1],
        }
    )
    ax = plot.states(table)
    tops = {}
    for bar in ax.patches:
        tops.setdefault(round(bar.get_x() + bar.get_width() / 2), []).append(bar.get_y() + bar.get_height())
    assert {x: max(v) for x, v in tops.items()} == pytest.approx({0: 100, 1: 100})
    assert [t.get_text() for t in ax.get_xticklabels()] == ["All\nn=40", "CR\nn=31"]
    assert [t.get_text() for t in ax.texts] == ["30", "10", "30"], "1 of 31 has no room for its number"
    first, second, third, _ = (to_hex(b.get_facecolor()) for b in ax.patches)
    assert first == third != second
    assert sorted(t.get_text() for t in ax.get_legend().get_texts()) == ["Alive, no progression", "Lost to follow-up"]


def test_flow_ribbons_are_as_high_as_their_patients() -> None:
    table = pd.DataFrame({"left": ["CR", "CR", "PR"], "right": ["Alive", "Died", "Died"], "n": [3, 1, 4]})
    ax = plot.flow(table)
    blocks, ribbons = ax.patches[:4], ax.patches[4:]
    assert [b.get_height() for b in blocks] == pytest.approx([4 / 8, 4 / 8, 3 / 8, 5 / 8])
    thick = []
    for ribbon in ribbons:
        points = ribbon.get_path().vertices
        left = points[np.isclose(points[:, 0], 0.03), 1]
        right = points[np.isclose(points[:, 0], 0.97), 1]
        thick.append(np.ptp(left))
        assert np.ptp(right) == pytest.approx(np.ptp(left))
    assert thick == pytest.approx([3 / 8, 1 / 8, 4 / 8])
    assert [t.get_text() for t in ax.texts] == ["CR (4)", "PR (4)", "Alive (3)", "Died (5)"]
    assert to_hex(ribbons[0].get_facecolor()) == to_hex(blocks[0].get_facecolor())


@pytest.mark.parametrize(
    "draw", [plot.km, plot.incidence, plot.forest, plot.boxes, plot.course, plot.states, plot.flow]
)
def test_a_missing_column_is_named(draw) -> None:
    with pytest.raises(UsageError, match=rf"plot\.{draw.__name__}: columns? .* missing, found nothing_here"):
        draw(pd.DataFrame({"nothing_here": [1]}))


def test_a_key_has_a_mark_a_category_in_columns_of_sixteen() -> None:
    ax = plt.figure().subplots()
    few = plot.key(ax, {"a": "#0072b2", "b" * 40: "#d55e00"}, title="cluster")
    assert [to_hex(h.get_color()) for h in few.legend_handles] == ["#0072b2", "#d55e00"]
    assert few.get_title().get_text() == "cluster"
    assert len(few.get_texts()[1].get_text()) == 24
    assert plot.key(ax, {str(i): "#0072b2" for i in range(33)})._ncols == 3


def test_every_public_figure_is_looked_at() -> None:
    """A new figure without a test on its artists fails here."""
    from pathlib import Path

    tests = "".join(p.read_text("utf-8") for p in sorted(Path(__file__).parent.glob("test_*.py")))
    figures = {n for n in plot.__all__ if callable(getattr(plot, n))} - {"brief", "in_order", "millimetres", "style"}
    assert {n for n in figures if tests.count(f"plot.{n}(") < 1} == set()
