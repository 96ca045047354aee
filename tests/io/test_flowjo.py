"""FlowJo workspaces: the tree, the counts FlowJo stored, and FlowKit beside us.

The stranger's lines::

    workspace = flowkit.Workspace("gating.wsp", fcs_samples="68983.fcs")
    workspace.analyze_samples(sample_id="68983.fcs")
    workspace.get_gate_membership("68983.fcs", "CD4 T cells")
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import gate, io
from cytof.errors import InputError
from cytof.events import Events
from cytof.region import Boolean, Ellipse, Polygon

Real = Callable[[str], Path]
SPLEEN = ("flowjo_flowsom/gating.wsp", "flowjo_flowsom/68983.fcs")
SPACE = " ".join(
    f'xmlns:{k}="http://www.isac-net.org/std/Gating-ML/v2.0/{v}"'
    for k, v in {"g": "gating", "t": "transformations", "d": "datatypes"}.items()
)


def gated(real_data: Real, workspace: str, fcs: str) -> gate.Gating:
    return gate.apply_imported(io.read_fcs(real_data(fcs)), io.read_gates(real_data(workspace)))


def stored(real_data: Real, workspace: str) -> dict[str, int]:
    table = pd.read_csv(real_data(workspace.replace(".wsp", ".expected_counts.csv")), keep_default_na=False)
    return dict(zip(table["population_path"].replace("", "root"), table["flowjo_count"], strict=True))


def test_spleen_within_a_thousandth_or_two_cells(real_data: Real) -> None:
    found, theirs = gated(real_data, *SPLEEN), stored(real_data, SPLEEN[0])
    ours = dict(zip(found.counts["gate"], found.counts["n"], strict=True))
    assert ours.keys() == theirs.keys()
    for path, n in theirs.items():
        assert abs(ours[path] - n) <= max(2, 0.001 * n), path
    assert dict(zip(found.counts["gate"], found.counts["n_stored"], strict=True)) == theirs


def test_spleen_event_for_event_as_flowkit(real_data: Real) -> None:
    import flowkit

    found = gated(real_data, *SPLEEN)
    workspace = flowkit.Workspace(str(real_data(SPLEEN[0])), fcs_samples=str(real_data(SPLEEN[1])))
    workspace.analyze_samples(sample_id="68983.fcs", verbose=False)
    for path in found.masks:
        *above, name = path.split("/")
        theirs = workspace.get_gate_membership("68983.fcs", name, ("root", *above))
        assert np.array_equal(found.masks[path], theirs), path


def test_counts_off_by_more_than_ten_cells_are_flagged_and_told(real_data: Real) -> None:
    """Lymphocytes: 19,225 here, as with FlowKit; FlowJo stored 19,212."""
    found = gated(real_data, *SPLEEN)
    flags = found.counts.set_index("gate")["flag"]
    assert flags["Lymphocytes"] == "count differs from the workspace"
    assert flags["Lymphocytes/Singlets/Singlets2/NK1_1-/T cells"] == "ok"
    told = [str(c) for c in found.events.warnings if c.where == "68983:Lymphocytes"]
    assert told == ["68983:Lymphocytes: 19,225 events, 19,212 stored in gating.wsp; look at it"]


TOYS = {
    "simple_diamond_example_quad_gate": "test_data_diamond_01.fcs",
    "single_ellipse_51_events": "data_set_simple_line_100.fcs",
}


@pytest.mark.parametrize(("workspace", "fcs"), TOYS.items(), ids=TOYS.keys())
def test_toys_are_exact(real_data: Real, workspace: str, fcs: str) -> None:
    file = f"flowjo_flowkit/{workspace}.wsp"
    found = gated(real_data, file, f"flowjo_flowkit/{fcs}")
    assert dict(zip(found.counts["gate"], found.counts["n"], strict=True)) == stored(real_data, file)
    assert set(found.counts["flag"]) == {"ok"}


def test_counts_flowjo_did_not_update_are_flagged(real_data: Real) -> None:
    """FlowJo stored 0 and 0; FlowKit's own test has 50 and 0."""
    file = "flowjo_flowkit/simple_poly_and_rect_v2_poly50.wsp"
    counts = gated(real_data, file, "flowjo_flowkit/data_set_simple_line_100.fcs").counts.set_index("gate")
    assert counts.loc[["poly1", "rect1"], "n"].tolist() == [50, 0]
    assert counts.loc[["poly1", "rect1"], "flag"].tolist() == ["count differs from the workspace", "empty"]


def corner(x: float, y: float) -> str:
    return f'<g:vertex><g:coordinate d:value="{x}"/><g:coordinate d:value="{y}"/></g:vertex>'


def dims(*names: str, low: str = "") -> str:
    return "".join(f'<g:dimension{low}><d:fcs-dimension d:name="{n}"/></g:dimension>' for n in names)


def rectangle(channel: str, low: float) -> str:
    bound = f' g:min="{low}"'
    return f"<g:RectangleGate>{dims(channel, low=bound)}</g:RectangleGate>"


def pop(name: str, drawn: str, below: str = "", count: int = 0, group: str = "") -> str:
    inner = f"<Subpopulations>{below}</Subpopulations>" if below else ""
    return f'<Population name="{name}" owningGroup="{group}" count="{count}"><Gate>{drawn}</Gate>{inner}</Population>'


def workspace(tmp_path: Path, *samples: tuple[str, str]) -> Path:
    scales = '<t:fasinh t:T="5.876005968219006" t:M="0.4342944819032518" t:A="0"><d:parameter d:name="A"/></t:fasinh>'
    scales += '<t:log t:offset="1" t:decades="4"><d:parameter d:name="B"/></t:log>'
    scales += '<t:miltenyi><d:parameter d:name="C"/></t:miltenyi>'
    text = "".join(
        f'<Sample><Transformations>{scales}</Transformations><SampleNode name="{name}" count="1000" sampleID="{i}">'
        f"<Subpopulations>{pops}</Subpopulations></SampleNode></Sample>"
        for i, (name, pops) in enumerate(samples)
    )
    path = tmp_path / "w.wsp"
    path.write_text(f"<Workspace {SPACE}><SampleList>{text}</SampleList></Workspace>", encoding="utf-8")
    return path


BOX = rectangle("A", 50)


def events(sample_id: str = "s1") -> Events:
    rng = np.random.default_rng(5)
    names = ["A", "B", "C"]
    channels = pd.DataFrame(
        {"pnn": names, "antigen": names, "mass": 0, "cofactor": np.nan, "role": "none"}, index=names
    )
    return Events(rng.lognormal(4, 1.5, (1000, 3)).astype(np.float32), channels, {}, sample_id)


def test_each_sample_has_its_own_tree(tmp_path: Path) -> None:
    other = pop("bright", rectangle("A", 200))
    path = workspace(tmp_path, ("s1.fcs", pop("bright", BOX, group="All")), ("s2.fcs", other))
    imported = io.read_gates(path)
    assert list(imported.samples) == ["s1.fcs", "s2.fcs"]
    assert imported.tree("s1.fcs").own == frozenset()
    assert imported.tree("s2.fcs").own == {"bright"}
    for name, least in (("s1", 50), ("s2", 200)):
        found = gate.apply_imported(events(name), imported)
        assert np.array_equal(found.mask("bright"), events(name).column("A") >= least)
        assert 100 < found.mask("bright").sum() < 700
    with pytest.raises(InputError, match=r"no gates for `s3.fcs`, found s1.fcs, s2.fcs; did you mean"):
        imported.tree("s3.fcs")
    with pytest.raises(InputError, match="no gates for `elsewhere`"):
        gate.apply_imported(events("elsewhere"), imported)


def test_polygons_are_straight_on_the_scale_they_were_drawn_on(tmp_path: Path) -> None:
    square = "".join(corner(*c) for c in ((20, 10), (400, 10), (400, 1000), (20, 100)))
    path = workspace(tmp_path, ("s1.fcs", pop("p", f"<g:PolygonGate>{dims('A', 'B')}{square}</g:PolygonGate>")))
    found = gate.apply_imported(events(), io.read_gates(path))
    assert isinstance(found.regions["p"], Polygon)
    a, b = (events().column(n).astype(float) for n in "AB")
    x, y = np.arcsinh(a / 5), np.log10(np.maximum(b, 1))
    x0, x1 = np.arcsinh(20 / 5), np.arcsinh(400 / 5)
    naive = (x >= x0) & (x <= x1) & (y >= 1) & (y <= 2 + (x - x0) / (x1 - x0))
    assert np.array_equal(found.mask("p"), naive)
    assert naive.sum() > 200


def test_outside_and_booleans(tmp_path: Path) -> None:
    outside = BOX.replace("<g:RectangleGate>", '<g:RectangleGate eventsInside="0">')
    both = "<Dependents><Dependent name='bright'/><Dependent name='dim/B high'/></Dependents>"
    pops = f"<OrNode name='either' count='5'>{both}</OrNode>" + pop("dim", outside, pop("B high", rectangle("B", 90)))
    pops += pop("bright", BOX) + "<NotNode name='not bright' count='5'>"
    pops += "<Dependents><Dependent name='bright'/></Dependents></NotNode>"
    found = gate.apply_imported(events(), io.read_gates(workspace(tmp_path, ("s1.fcs", pops))))
    a, b = events().column("A"), events().column("B")
    assert isinstance(found.regions["dim"], Boolean)
    assert set(found.masks) == {"either", "dim", "dim/B high", "bright", "not bright"}
    assert np.array_equal(found.mask("dim"), a < 50)
    assert np.array_equal(found.mask("not bright"), a < 50)
    assert np.array_equal(found.mask("either"), (a >= 50) | (b >= 90))


def test_ellipse_from_foci_and_edge(tmp_path: Path) -> None:
    """Display units are 256ths of the shown range: on the arcsinh scale of T/M/A, 0 to 1 is 0 to arcsinh(T / 5)."""
    vertices = {"foci": ((870, 900), (1110, 900)), "edge": ((840, 900), (1140, 900), (990, 810), (990, 990))}
    body = "".join(f"<g:{k}>{''.join(corner(*c) for c in v)}</g:{k}>" for k, v in vertices.items())
    drawn = f"<g:EllipsoidGate>{dims('A', 'A')}{body}</g:EllipsoidGate>"
    region = io.read_gates(workspace(tmp_path, ("s1.fcs", pop("e", drawn)))).tree().regions["e"]
    assert isinstance(region, Ellipse)
    assert region.mean == pytest.approx((990 / 256, 900 / 256))
    assert np.array(region.covariance) == pytest.approx(np.diag([(150 / 256) ** 2, (90 / 256) ** 2]))


def test_what_cannot_be_imported_is_refused_by_branch_and_name(tmp_path: Path) -> None:
    curly = "<g:CurlyQuad/>"
    shown = f"<g:PolygonGate>{dims('A', 'C')}{corner(1, 1)}{corner(2, 1)}{corner(2, 2)}</g:PolygonGate>"
    pops = pop("bright", BOX, pop("curly", curly, pop("below", BOX))) + pop("odd scale", shown)
    pops += pop("absent", rectangle("FITC-A", 50), pop("deep", BOX))
    imported = io.read_gates(workspace(tmp_path, ("s1.fcs", pops)))
    assert [str(c) for c in imported.refused] == [
        "w.wsp[s1.fcs]:bright/curly: CurlyQuad of FlowJo is not supported; left out",
        "w.wsp[s1.fcs]:odd scale: FlowJo's scale `miltenyi` is not supported; "
        "save the channel as linear, log, biex or arcsinh; left out",
        "w.wsp[s1.fcs]:below: stands on `bright/curly`, which is not imported; left out",
    ]
    found = gate.apply_imported(events(), imported)
    assert list(found.masks) == ["bright"]
    told = [str(c) for c in found.events.warnings]
    assert "s1:absent: no channel `FITC-A` in this file; left out" in told
    assert "s1:absent/deep: stands on `absent`, which is left out; left out" in told
    assert set(map(str, imported.refused)) <= set(told)
