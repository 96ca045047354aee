"""Gate views hold the events they were made from, and the pages show gate, threshold and percent of the parent."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from cytof import plot, report
from cytof.events import Events
from cytof.region import Dimension, Rectangle
from cytof.report import _gates


@pytest.fixture
def gating() -> SimpleNamespace:
    """Return 1,000 events: 600 CD3+, of these 200 CD4+ and 100 CD8+."""
    rng = np.random.default_rng(3)
    high, low = (lambda n: rng.normal(4, 0.3, n)), (lambda n: rng.normal(0.3, 0.2, n).clip(0))
    scaled = np.stack(
        [np.r_[high(600), low(400)], np.r_[high(200), low(800)], np.r_[low(200), high(100), low(700)]], axis=1
    )
    counts = (np.sinh(scaled) * 5).astype(np.float32)
    channels = pd.DataFrame(
        {"antigen": ["CD3", "CD4", "CD8"], "role": "lineage", "cofactor": 5.0}, index=["Er170", "Nd145", "Nd146"]
    )
    one = [Dimension(c, 5.0) for c in channels.index]
    inf = np.inf
    regions = {
        "CD3+": Rectangle((one[0],), (2.0,), (inf,)),
        "CD3+/CD4": Rectangle((one[1], one[2]), (2.0, -inf), (inf, 2.0)),
        "CD3+/CD8": Rectangle((one[1], one[2]), (-inf, 2.0), (2.0, inf)),
    }
    cd3, cd4, cd8 = (counts[:, i] > 5 * np.sinh(2.0) for i in range(3))
    masks = pd.DataFrame({"CD3+": cd3, "CD3+/CD4": cd3 & cd4 & ~cd8, "CD3+/CD8": cd3 & cd8 & ~cd4})
    thresholds = pd.DataFrame({"gate": ["CD3+"], "value": [2.0], "low": [1.7], "high": [2.4]})
    parents = {"CD3+": "root", "CD3+/CD4": "CD3+", "CD3+/CD8": "CD3+"}
    return SimpleNamespace(
        events=Events(counts, channels, {}, "s1"), masks=masks, regions=regions, parents=parents, thresholds=thresholds
    )


def test_views_count_every_event_of_the_parent_once(gating) -> None:
    views = report.gate_views(gating)
    assert tuple(views.columns) == _gates.VIEWS
    sizes = views.groupby("gate", sort=False)["n"].sum()
    assert sizes.to_dict() == {"CD3+": 1000, "CD3+/CD4 CD8": 600}, "quadrants of one parent share a view"
    first = views[views["gate"] == "CD3+"].iloc[0]
    assert (first["value"], first["low"], first["high"], first["side"], first["fraction"]) == (
        2.0,
        1.7,
        2.4,
        "above",
        0.6,
    )
    inside = views[(views["gate"] == "CD3+") & (views["x_low"] >= 2.0)]["n"].sum()
    assert inside == pytest.approx(600, abs=3)


def test_quadrants_carry_their_percent_of_the_parent(gating) -> None:
    views = report.gate_views(gating)
    regions = json.loads(views[views["parent"] == "CD3+"]["region"].iloc[0])
    assert [r["label"] for r in regions] == ["CD4 200\n33.3 %", "CD8 100\n16.7 %"]


def test_the_page_draws_each_gate_from_its_csv(gating, tmp_path) -> None:
    from cytof.io import write_table

    write_table(tmp_path / "views.csv", report.gate_views(gating))
    figure = Figure()
    axes = _gates.gate_page(figure, pd.read_csv(tmp_path / "views.csv"))
    assert [a.get_title() for a in axes] == ["CD3+ of root", "CD3+: CD4 CD8"]
    assert {t.get_text() for t in axes[0].texts} == {"600 (60.0 %)"}
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("CD3", "CD4"), "set against the next gate's channel"
    assert {t.get_text() for t in axes[1].texts} == {"CD4 200\n33.3 %", "CD8 100\n16.7 %"}
    assert len(axes[1].lines) == 2
    assert (axes[1].get_xlabel(), axes[1].get_ylabel()) == ("CD4", "CD8")


def test_a_negative_gate_is_coloured_below_its_threshold_after_csv(tmp_path) -> None:
    """A lone + or - would come back from CSV with a quote in front, and every gate would look positive."""

    from cytof.io import write_table

    channels = pd.DataFrame({"antigen": ["CD19"], "role": ["lineage"], "cofactor": [5.0]}, index=["Nd142"])
    counts = np.repeat(np.float32([[1.0], [200.0]]), 50, axis=0)
    below = Rectangle((Dimension("Nd142", 5.0),), (-np.inf,), (2.0,))
    gating = SimpleNamespace(
        events=Events(counts, channels, {}, "s1"), regions={"CD19-": below}, parents={"CD19-": "root"},
        masks=pd.DataFrame({"CD19-": counts[:, 0] < 10}), thresholds=pd.DataFrame(),
    )  # fmt: skip
    write_table(tmp_path / "views.csv", report.gate_views(gating))
    ax = plot.histogram(pd.read_csv(tmp_path / "views.csv"))
    inside = [p.get_facecolor() for p in ax.patches if p.get_x() + p.get_width() <= 2]
    outside = [p.get_facecolor() for p in ax.patches if p.get_x() >= 2]
    assert inside
    assert outside
    assert set(inside).isdisjoint(outside)
    positive = plot.histogram(pd.read_csv(tmp_path / "views.csv").assign(side="above"))
    assert positive.patches[0].get_facecolor() == outside[0]


def test_pages_are_part_of_the_report(gating, study, tmp_path, unprinted) -> None:
    views = pd.concat([report.gate_views(gating).assign(sample_id=s) for s in ("2mo", "5yr")])
    drawn = {d.name: d for d in report.figures(study, tmp_path, views=views)}
    assert drawn["gates_2mo"].title == "Gates of 2mo"
    assert drawn["gates_5yr"].title == "Gates of 5yr"
    again = pd.read_csv(tmp_path / "gates_5yr.csv")
    assert plot.biaxial(again[again["gate"] == "CD3+"].reset_index(drop=True)).texts[0].get_text() == "600 (60.0 %)"
    assert drawn["gate_CD3pos"].title == "CD3+ in all samples"


def test_one_gate_over_all_samples_shows_the_most_unusual_first(gating) -> None:
    plain = report.gate_views(gating)
    plain = plain[plain["gate"] == "CD3+"]
    odd = plain.assign(value=plain["value"] + 2.5, fraction=plain["fraction"] / 40)
    views = [plain.assign(sample_id=s, flag="ok") for s in ("a", "b", "c")]
    views += [odd.assign(sample_id="odd", flag="far from the cohort"), plain.assign(sample_id="few", flag="few events")]
    axes = _gates.gate_multiples(Figure(), pd.concat(views))
    assert [a.get_title() for a in axes][:2] == ["odd (far from the cohort)", "few (few events)"]
    assert len({a.get_xlim() for a in axes}) == len({a.get_ylim() for a in axes}) == 1


def test_an_empty_parent_is_drawn_and_not_an_error(gating) -> None:
    none = SimpleNamespace(**{**vars(gating), "masks": gating.masks & False})
    views = report.gate_views(none)
    assert views[views["parent"] == "CD3+"]["n"].sum() == 0
    assert len(_gates.gate_page(Figure(), views)) == 2
