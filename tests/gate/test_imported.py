"""Imported gates on events: what columns they stand on, which gates are taken, and what is done with the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cytof
from cytof import gate, io
from cytof.errors import GateError, InputError
from cytof.events import Events
from cytof.region import Dimension, Rectangle, mask

Real = Callable[[str], Path]
SPACE = " ".join(
    f'xmlns:{k}="http://www.isac-net.org/std/Gating-ML/v2.0/{v}"'
    for k, v in {"g": "gating", "t": "transformations", "d": "datatypes"}.items()
)


def events(keywords: dict[str, str] | None = None, n: int = 500, **changes: object) -> Events:
    rng = np.random.default_rng(3)
    names = ["FL1", "FL2", "Time"]
    channels = pd.DataFrame(
        {"pnn": names, "pns": "", "metal": "", "mass": 0, "antigen": names, "marker_class": "none",
         "role": ["none", "none", "time"], "cofactor": np.nan}, index=pd.Index(names, name="channel"),
    )  # fmt: skip
    numbers = {f"$P{i}N": name for i, name in enumerate(names, start=1)}
    X = np.column_stack([rng.lognormal(4, 1, n), rng.lognormal(3, 1, n), np.arange(n)]).astype(np.float32)
    return Events(X, channels, {**numbers, **(keywords or {})}, "s1").replace(**changes)


def gates(tmp_path: Path, *boxes: tuple[str, str, str], more: str = "") -> io.ImportedGates:
    """Return rectangles (id, channel element with its attributes, limits) of a document."""
    text = "".join(
        f'<g:RectangleGate g:id="{name}"><g:dimension {limits}>{channel}</g:dimension></g:RectangleGate>'
        for name, channel, limits in boxes
    )
    (tmp_path / "g.xml").write_text(f"<g:Gating-ML {SPACE}>{more}{text}</g:Gating-ML>")
    return io.read_gates(tmp_path / "g.xml")


def fcs(name: str) -> str:
    return f'<d:fcs-dimension d:name="{name}"/>'


def test_gain_divides_and_time_steps_multiply(tmp_path: Path) -> None:
    found = gates(tmp_path, ("a", fcs("FL1"), 'g:min="20"'), ("t", fcs("Time"), 'g:max="1.5"'))
    plain, scaled = events(), events({"$P1G": "4.0", "$P3G": "7", "$TIMESTEP": "0.01"})
    assert np.array_equal(gate.apply_imported(plain, found).mask("a"), plain.column("FL1") >= 20)
    gated = gate.apply_imported(scaled, found)
    assert np.array_equal(gated.mask("a"), plain.column("FL1") >= 80)
    assert gated.mask("t").sum() == 150
    assert gate.apply_imported(plain, found).mask("t").sum() == 2


def test_the_files_own_matrix_is_used_where_gates_ask_for_it(tmp_path: Path) -> None:
    own = {"$SPILLOVER": "2,FL2,FL1,1,0.25,0.1,1"}
    asks = 'g:compensation-ref="FCS" g:min="50"'
    found = gates(tmp_path, ("mixed", fcs("FL1"), 'g:min="50"'), ("pure", fcs("FL1"), asks))
    gated = gate.apply_imported(events(own), found)
    seen = events().columns(["FL2", "FL1"]).astype(float)
    pure = (seen @ np.linalg.inv(np.array([[1, 0.25], [0.1, 1]])))[:, 1]
    assert np.array_equal(gated.mask("pure"), pure >= 50)
    assert np.array_equal(gated.mask("mixed"), seen[:, 1] >= 50)
    assert 10 < (gated.mask("pure") != gated.mask("mixed")).sum()
    assert np.allclose(gated.events.column("FCS:FL1"), pure, rtol=1e-6)  # for whoever draws the gate
    without = gate.apply_imported(events(), found)
    assert np.array_equal(without.mask("pure"), without.mask("mixed"))
    assert list(without.events.channels.index) == ["FL1", "FL2", "Time"]


def test_a_matrix_without_inverse_refuses_the_gates_on_it(tmp_path: Path) -> None:
    own = {"$SPILLOVER": "2,FL2,FL1,1,0.5,2,1"}
    found = gates(tmp_path, ("mixed", fcs("FL1"), 'g:min="50"'), ("pure", fcs("FL1"), 'g:compensation-ref="FCS"'))
    gated = gate.apply_imported(events(own), found)
    assert list(gated.masks) == ["mixed"]
    assert [str(c) for c in gated.events.warnings] == ["s1:pure: its compensation matrix has no inverse; left out"]


def test_coded_channels_and_missing_ones_are_refused_by_name(tmp_path: Path) -> None:
    found = gates(tmp_path, ("a", fcs("FL1"), 'g:min="20"'), ("b", fcs("FL9"), 'g:min="20"'))
    coded = events({"$DATATYPE": "I", "$P1E": "4,1"}).replace(X=np.rint(events().X))
    with pytest.raises(
        GateError, match=r"^s1: none of the gates of g.xml can be applied: s1:a: channel FL1 holds steps"
    ):
        gate.apply_imported(coded, found)
    told = [str(c) for c in gate.apply_imported(events(), found).events.warnings]
    assert told == ["s1:b: no channel `FL9` in this file; left out"]
    assert list(gate.apply_imported(events(), found).masks) == ["a"]


def test_channels_are_found_by_every_spelling_of_a_mass(tmp_path: Path) -> None:
    names = ["Nd142Di", "Er170Di"]
    table = pd.DataFrame(
        {"pnn": names, "antigen": ["CD19", "CD3"], "mass": [142, 170], "cofactor": 5.0, "role": "none"}
    )
    cells = Events(np.float32([[0, 9], [9, 0]]), table.set_axis(["Nd142", "Er170"]), {}, "s1")
    for name in ("Er170Di", "(Er170)Dd", "CD3(Er170)Di", "er170di", "Er170"):
        gated = gate.apply_imported(cells, gates(tmp_path, ("a", fcs(name), 'g:min="5"')))
        assert gated.regions["a"].dims == (Dimension("Er170"),)
        assert gated.mask("a").tolist() == [True, False]


def test_a_file_on_the_arcsinh_scale_is_gated_as_drawn(real_data: Real, tmp_path: Path) -> None:
    """Gates without a scale lie on the values of the file; gates with a scale on its counts. FlowKit sees the first."""
    file = real_data("liu2020_maxpar/downsample.fcs")
    cells = io.read_fcs(file, panel="maxpar_30")
    assert cells.transformed
    channel = cells.channel("CD3")
    regions = {"CD3+": Rectangle((Dimension(channel, 5.0),), (2.4,), (np.inf,))}
    truth = mask(regions["CD3+"], cells.column)
    for transformed in (True, False):
        out = tmp_path / f"{transformed}.xml"
        io.write_gatingml(
            out, regions, {"CD3+": "root"}, channels=cells.channels["pnn"].to_dict(), transformed=transformed
        )
        gated = gate.apply_imported(cells, io.read_gates(out))
        assert np.array_equal(gated.mask("CD3+"), truth)
        assert gated.regions == regions
    assert 1_000 < truth.sum() < 19_000


def test_what_the_template_gated_comes_back_event_for_event(patient: Path, tmp_path: Path) -> None:
    from cytof import clean, panel

    template = panel.load_gates("car_t_41")
    cells = clean.intact(clean.find_beads(io.read_fcs(patient.parent / "fcs" / "synthetic_2mo.fcs", panel="car_t_41")))
    ours = gate.apply(cells, template, gate.place(template, [cells]))
    io.write_gatingml(tmp_path / "g.xml", ours.regions, ours.parents, channels=cells.channels["pnn"].to_dict())
    back = gate.apply_imported(
        cells, io.read_gates(tmp_path / "g.xml"), car_gate="CAR+", subset_gates={"CAR+/DN": "DN"}
    )
    assert back.car_gate == ours.car_gate
    for path in ours.masks:
        assert np.array_equal(back.masks[path], ours.masks[path]), path
    assert back.path("CAR+/DN") == ours.path("CAR+/DN")
    adata = cytof.assemble([back.keep("CD3+")])
    assert adata.n_obs == int(ours.mask("CD3+").sum())
    assert int(adata.obs["car"].sum()) == int((ours.mask("CAR+") & ours.mask("CD3+")).sum())


def test_cytobank_gates_assemble_into_cells(real_data: Real) -> None:
    imported = io.read_gates(real_data("liu2020_maxpar/CytExp_265881_Gates_v1.xml"))
    name = "liu2020_maxpar/populations/HuImmProfiling_S1_PBMC_1_35_CD8_CD27_____CD8_Effector_Memory.fcs"
    gated = gate.apply_imported(
        io.read_fcs(real_data(name), panel="maxpar_30"), imported,
        subset_gates={"30 CD8+CD161lo/-: ☑ CD8 αβ T Cells": "CD8"},
    )  # fmt: skip
    adata = cytof.assemble([gated.keep("30 CD8+CD161lo/-: ☑ CD8 αβ T Cells")])
    assert adata.n_obs == 3950
    assert (adata.obs["subset"] == "CD8").all()
    assert gated.counts.columns.tolist() == [
        "sample_id", "gate", "parent", "n", "n_parent", "fraction_of_parent", "flag",
    ]  # fmt: skip


def test_the_default_and_the_named_gates(real_data: Real) -> None:
    imported = io.read_gates(real_data("liu2020_maxpar/CytExp_265881_Gates_v1.xml"))
    cells = io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs"), panel="maxpar_30")
    default = gate.apply_imported(cells, imported, sample="")
    named = gate.apply_imported(cells, imported, sample="HuImmProfiling_S1_PBMC_1.fcs")
    assert (default.counts["n"] != named.counts["n"]).sum() > 5
    with pytest.raises(InputError, match=r"no gates for `HuImm.fcs`"):
        gate.apply_imported(cells, imported, sample="HuImm.fcs")
