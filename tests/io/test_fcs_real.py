"""Every public file: the values noted when other readers read it, or the refusal its note asks for."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cytof import io
from cytof.errors import FCSError

WRONG_NAMES = "fcs_edge/0877408774.B08"
"""FlowIO lost one of eight names at an empty $P3S; FlowCal finds all eight."""


@pytest.fixture(scope="module")
def files(real_data: Callable[[str], Path]) -> dict[str, dict]:
    return json.loads(real_data("fcs_expected.json").read_text())


def options(name: str) -> dict:
    return {"dataset": 1} if name.endswith("coulter.lmd") else {}


def test_every_listed_file_is_read_to_its_values_or_refused(
    files: dict[str, dict], real_data: Callable[[str], Path]
) -> None:
    with real_data("fcs_manifest.csv").open() as file:
        listed = {row["file"] for row in csv.DictReader(file)}
    assert listed <= set(files)
    read = refused = 0
    for name, expected in files.items():
        path = real_data(name)
        if "shape" not in expected:
            if name.endswith("CyFlow v2.9.fcs"):  # a tolerant read: 72,989 events x 4 channels
                assert io.read_fcs(path).X.shape == (expected["tot"], expected["n_channels"])
                read += 1
                continue
            with pytest.raises(FCSError) as caught:
                io.read_fcs(path)
            assert path.name in caught.value.where
            refused += 1
            continue
        events = io.read_fcs(path, **options(name))
        X = np.arcsinh(events.X / 5) if events.transformed else events.X
        assert events.transformed == name.endswith("downsample.fcs")
        assert list(X.shape) == expected["shape"], name
        np.testing.assert_allclose(X[0], expected["first"], rtol=1e-6, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(X[-1], expected["last"], rtol=1e-6, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(X.mean(axis=0, dtype=float), expected["mean"], rtol=1e-5, atol=1e-5, err_msg=name)
        if name != WRONG_NAMES:
            assert list(events.channels.pnn) == expected["pnn"], name
            assert list(events.channels.pns) == expected["pns"], name
        read += 1
    print(f"\n{read} files read to their values, {refused} refused")
    assert (read, refused) == (len(files) - 3, 3)


def test_the_second_data_set(files: dict[str, dict], real_data: Callable[[str], Path]) -> None:
    path = real_data("fcs_edge/coulter.lmd")
    with pytest.raises(FCSError, match=r"coulter.lmd:\$NEXTDATA: the file holds more than one data set; say which"):
        io.read_fcs(path)
    shapes = [list(io.read_fcs(path, dataset=k).X.shape) for k in (1, 2)]
    assert shapes == files["fcs_edge/coulter.lmd"]["datasets"]


def test_values_equal_flowcal_and_flowio_wherever_they_read(
    files: dict[str, dict], real_data: Callable[[str], Path]
) -> None:
    """FlowCal 1.3: np.asarray(FCSData(path)); FlowIO 1.4: FlowData(path).as_array(preprocess=False)."""
    flowcal, flowio = pytest.importorskip("FlowCal"), pytest.importorskip("flowio")
    compared = {"FlowCal": 0, "FlowIO": 0}
    for name in files:
        path = real_data(name)
        readers = {
            "FlowCal": lambda p=path: np.asarray(flowcal.io.FCSData(str(p))),
            "FlowIO": lambda p=path: flowio.FlowData(str(p)).as_array(preprocess=False),
        }
        for reader, call in readers.items():
            try:
                theirs = call()
            except Exception:  # noqa: BLE001 - whatever they raise: they do not read it
                continue
            events = io.read_fcs(path, **options(name))
            ours = np.arcsinh(events.X / 5) if events.transformed else events.X
            np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-6, err_msg=f"{reader} {name}")
            compared[reader] += 1
    assert compared["FlowCal"] >= 40
    assert compared["FlowIO"] >= 27


def test_accuri_integers_as_flowio_preprocessed_them(real_data: Callable[[str], Path]) -> None:
    truth = np.load(real_data("fcs_edge/truth/B01 KC-A-W---91-US_preprocessed_events.npy"))
    events = io.read_fcs(real_data("fcs_edge/B01 KC-A-W---91-US.fcs"))
    # FlowIO divides Time by its gain and multiplies by $TIMESTEP; all other channels stay
    others = [i for i, n in enumerate(events.channels.pnn) if n != "Time"]
    np.testing.assert_allclose(events.X[:, others], truth.reshape(events.X.shape)[:, others])


def test_panel_names_the_real_channels(real_data: Callable[[str], Path]) -> None:
    events = io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs"), panel="maxpar_30")
    assert {"CD45", "CD3", "CD4", "CD8", "HLA-DR"} <= set(events.channels.antigen)
    assert events.with_role("gaussian") == ["Center", "Offset", "Width", "Residual"]
    assert events.with_role("dna") == ["Ir191", "Ir193"]


def test_round_trip_of_a_real_file(tmp_path: Path, real_data: Callable[[str], Path]) -> None:
    events = io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs"))
    io.write_fcs(tmp_path / "a.fcs", events)
    again = io.read_fcs(tmp_path / "a.fcs")
    np.testing.assert_array_equal(again.X, events.X)
    assert list(again.channels.pnn) == list(events.channels.pnn)
    assert list(again.channels.pns) == list(events.channels.pns)
    assert again.keywords["$CYT"] == events.keywords["$CYT"]
