"""What we write, others read back equal, and the same input gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import io
from cytof.errors import ResourceError, UsageError

X = np.random.default_rng(0).exponential(50, (300, 4)).astype(np.float32)
X[0] = [0, -1.5, 3e38, 1e-30]
NAMES = ["Time", "Nd142Di", "(Er170)Di", "Yb174Di"]
STAINS = ["", "142Nd_CD19", "CD3 é α", "HLA|DR/\\"]


@pytest.mark.parametrize("version", ["FCS3.0", "FCS3.1"])
@pytest.mark.parametrize("byteorder", ["big", "little"])
def test_flowio_flowkit_flowcal_and_we_read_it_equal(tmp_path: Path, version: str, byteorder: str) -> None:
    """FlowIO 1.4 as_array(preprocess=False); FlowKit 1.3 Sample.get_events('raw'); FlowCal 1.3 FCSData."""
    flowio, flowkit, flowcal = map(pytest.importorskip, ("flowio", "flowkit", "FlowCal"))
    path = tmp_path / "a.fcs"
    io.write_fcs(path, X, pnn=NAMES, pns=STAINS, keywords={"$CYT": "Helios"}, version=version, byteorder=byteorder)
    ours = io.read_fcs(path)
    np.testing.assert_array_equal(ours.X, X)
    assert list(ours.channels.pnn) == NAMES
    assert list(ours.channels.pns) == STAINS
    assert not [w for w in ours.warnings if w.level == "warning"]
    assert (io.scan_fcs(path).version, io.scan_fcs(path).byteorder) == (version, byteorder)
    data = flowio.FlowData(str(path))
    np.testing.assert_array_equal(data.as_array(preprocess=False), X)
    assert data.pnn_labels == NAMES
    assert data.pns_labels == STAINS
    sample = flowkit.Sample(str(path), sample_id="a")
    np.testing.assert_array_equal(sample.get_events("raw").astype(np.float32), X)
    assert sample.pnn_labels == NAMES
    cal = flowcal.io.FCSData(str(path))
    np.testing.assert_array_equal(np.asarray(cal), X)
    assert list(cal.channels) == NAMES


def test_same_input_same_bytes(tmp_path: Path) -> None:
    for name in ("a.fcs", "b.fcs"):
        io.write_fcs(tmp_path / name, X, pnn=NAMES, pns=STAINS)
    assert (tmp_path / "a.fcs").read_bytes() == (tmp_path / "b.fcs").read_bytes()


def test_extra_columns_and_what_their_codes_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    io.write_fcs(path, X, pnn=NAMES, pns=STAINS)
    events = io.read_fcs(path)
    labels = pd.Categorical(np.where(X[:, 1] > 50, "DN", "CD8"), categories=["CD8", "DN"])
    io.write_fcs(path, events, extra_columns={"subset": labels, "tsne_1": X[:, 0] * 2, "car": X[:, 1] > 3})
    again = io.read_fcs(path)
    np.testing.assert_array_equal(again.X[:, :4], X)
    np.testing.assert_array_equal(again.column("subset"), np.where(X[:, 1] > 50, 2, 1))
    np.testing.assert_array_equal(again.column("tsne_1"), X[:, 0] * 2)
    np.testing.assert_array_equal(again.column("car"), X[:, 1] > 3)
    assert (again.keywords["SUBSET_1"], again.keywords["SUBSET_2"]) == ("CD8", "DN")


def test_missing_label_is_code_0(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    io.write_fcs(path, X[:3], pnn=NAMES, extra_columns={"subset": pd.Categorical(["b", None, "a"])})
    assert io.read_fcs(path).column("subset").tolist() == [2, 0, 1]


def test_no_events_nan_and_infinity(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    io.write_fcs(path, X[:0], pnn=NAMES)
    assert io.read_fcs(path).X.shape == (0, 4)
    odd = X[:2].copy()
    odd[0, 1], odd[1, 2] = np.nan, np.inf
    io.write_fcs(path, odd, pnn=NAMES)
    np.testing.assert_array_equal(io.read_fcs(path).X, odd)


def test_more_than_99_999_999_bytes(tmp_path: Path) -> None:
    """HEADER has 8 digits an offset: larger files write 0,0 there, and $BEGINDATA, $ENDDATA hold."""
    flowio = pytest.importorskip("flowio")
    path = tmp_path / "a.fcs"
    n = 100_000_000 // (4 * 50) + 1
    big = np.arange(n * 50, dtype=np.float32).reshape(n, 50)
    io.write_fcs(path, big, pnn=[f"C{i}" for i in range(50)])
    assert path.stat().st_size > 99_999_999
    with path.open("rb") as file:
        assert file.read(58)[26:42].split() == [b"0", b"0"]
    events = io.read_fcs(path)
    np.testing.assert_array_equal(events.X, big)
    assert events.warnings == ()
    np.testing.assert_array_equal(np.frombuffer(flowio.FlowData(str(path)).events, np.float32), big.ravel())


def test_delimiter_found_in_every_value_is_doubled(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    note = "".join("x" + d for d in "|/\\\f!^~\x1e") + "end"
    io.write_fcs(path, X, pnn=NAMES, keywords={"NOTE": note})
    assert io.read_fcs(path).keywords["NOTE"] == note


def test_structural_keywords_of_the_caller_do_not_enter(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    io.write_fcs(path, X, pnn=NAMES, keywords={"$TOT": "7", "$P1B": "16", "$par": "1", "$OP": "", "$BTIM": "10:00"})
    keywords = io.read_fcs(path).keywords
    assert (keywords["$TOT"], keywords["$P1B"], keywords["$PAR"], keywords["$BTIM"]) == ("300", "32", "4", "10:00")
    assert "$OP" not in keywords


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p: io.write_fcs(p, X), "a matrix has no channel names; give pnn="),
        (lambda p: io.write_fcs(p, X, pnn=NAMES[:3]), "4 channels, but 3 pnn"),
        (lambda p: io.write_fcs(p, X, pnn=["a", "a", "b", "c"]), "the name of channel 2 stands twice: `a`"),
        (lambda p: io.write_fcs(p, X, pnn=["a", " ", "b", "c"]), "the name of channel 2 is blank"),
        (lambda p: io.write_fcs(p, X[:, 0], pnn=["a"]), "expected events x channels"),
        (lambda p: io.write_fcs(p, X, pnn=NAMES, extra_columns={"k": [1]}), "column `k` has 1 values, expected 300"),
        (lambda p: io.write_fcs(p, X, pnn=NAMES, version="FCS4"), "expected one of FCS3.1, FCS3.0"),
        (lambda p: io.write_fcs(p, X, pnn=NAMES, byteorder="huge"), "expected one of little, big"),
    ],
)
def test_wrong_calls_are_named_and_leave_the_old_file(tmp_path: Path, call, text: str) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(b"old")
    with pytest.raises(UsageError) as caught:
        call(path)
    assert text in str(caught.value)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.fcs"]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        io.write_fcs(tmp_path / "file" / "a.fcs", X, pnn=NAMES)
