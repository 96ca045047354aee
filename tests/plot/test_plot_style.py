"""Colours that everyone can tell apart, the same everywhere; a style that leaves no trace."""

from __future__ import annotations

import itertools

import matplotlib
import numpy as np
import pytest

from cytof import plot
from cytof.errors import UsageError

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(color: str, vision: str) -> np.ndarray:
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISION[vision]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 1e-9))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colors: list[str], vision: str) -> float:
    return min(np.linalg.norm(lab(a, vision) - lab(b, vision)) for a, b in itertools.combinations(colors, 2))


@pytest.mark.parametrize("vision", list(VISION))
@pytest.mark.parametrize(("n", "kind", "least"), [(9, "clusters", 20), (12, "clusters", 20)])
def test_clusters_can_be_told_apart(vision: str, n: int, kind: str, least: float) -> None:
    found = plot.colors([str(i + 1) for i in range(n)], kind)
    assert len(set(found.values())) == n
    assert nearest(list(found.values()), vision) > least


@pytest.mark.parametrize("vision", ["normal", "protan", "deutan"])
def test_subsets_and_arms_can_be_told_apart(vision: str) -> None:
    assert nearest(list(plot.colors(["CD4", "CD8", "DN", "DP"], "subsets").values()), vision) > 15
    assert nearest(list(plot.colors(["CAR T", "Host T"], "arms").values()), vision) > 15


def test_a_category_keeps_its_colour_whatever_stands_beside_it() -> None:
    assert plot.colors(["3", "9"])["9"] == plot.colors([str(i) for i in range(1, 13)])["9"]
    assert plot.colors(["DN"], "subsets")["DN"] == plot.colors(["CD4", "CD8", "DN"], "subsets")["DN"]
    assert plot.colors(["-1", "1"])["-1"] == "#b3b3b3"


def test_visits_go_from_dark_to_light() -> None:
    lightness = [lab(c, "normal")[0] for c in plot.colors(["a", "b", "c", "d"], "visits").values()]
    assert np.all(np.diff(lightness) > 10)


def test_thirty_clusters_have_thirty_colours() -> None:
    assert len(set(plot.colors([str(i) for i in range(1, 31)]).values())) == 30


def test_style_leaves_no_trace_and_resets_what_a_user_set() -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        with plot.style():
            assert matplotlib.rcParams["pdf.fonttype"] == 42
            assert matplotlib.rcParams["axes.facecolor"] == "white"
            assert 6 <= matplotlib.rcParams["font.size"] <= 8
        assert dict(matplotlib.rcParams) == before


def test_unknown_kind_names_the_kinds() -> None:
    with pytest.raises(UsageError, match="kind is 'cluster', expected one of clusters, .* did you mean `clusters`"):
        plot.colors(["1"], "cluster")


def test_order_is_the_categoricals_or_natural() -> None:
    pd = pytest.importorskip("pandas")
    assert plot.in_order(["10", "9", "B2", "B10"]) == ["9", "10", "B2", "B10"]
    assert plot.in_order(pd.Series(pd.Categorical(["5yr", "2mo"], ["2mo", "5yr"], ordered=True))) == ["2mo", "5yr"]
