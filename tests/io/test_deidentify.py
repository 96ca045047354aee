"""Names, dates and ids planted everywhere in a file: none is left, and the events are byte for byte the same."""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import fcs_builder as builder
import numpy as np
import pytest

from cytof import io
from cytof.errors import InputError, UsageError

PLANTED = {
    "$OP": "Jane Doe-Planted", "$SRC": "Patient Planted 4711", "$SMNO": "SN-4711-PLANTED", "$EXP": "Planted Investigator",
    "$DATE": "05-MAR-2024", "$BTIM": "10:11:12.planted", "$FIL": "Doe_Planted.fcs", "$COM": "born 1950-02-03 planted",
    "$PROJ": "Planted Project", "$INST": "Planted Hospital", "PATIENT ID": "MRN0004711 planted", "TUBE NAME": "plantéd Döe",
    "$LAST_MODIFIER": "planted.user", "GUID": "planted-guid-4711",
}  # fmt: skip
WORDS = (b"planted", b"4711", b"doe", b"2024", b"1950", "plantéd".encode(), b"jane")


def planted(path: Path, **changes) -> Path:
    analysis = b"/RESULT/Jane Doe-Planted/"
    raw = builder.fcs(put=PLANTED, **changes)
    at = len(raw)
    raw = raw[:42] + f"{at:>8}{at + len(analysis) - 1:>8}".encode() + raw[58:] + analysis
    path.write_bytes(raw + b"<xml>Jane Doe-Planted 4711</xml>")
    return path


@pytest.mark.parametrize("order", ["4,3,2,1", "1,2,3,4"])
def test_nothing_planted_is_left_and_event_bytes_are_the_same(tmp_path: Path, order: str) -> None:
    path = planted(tmp_path / "Doe_Planted_2024.fcs", order=order)
    assert all(w in path.read_bytes().lower() or w == b"doe" for w in WORDS[:3])
    clean = io.deidentify(path, tmp_path / "share", salt="a laboratory's secret", first_day="2024-01-05")
    left = (str(clean.name).encode() + clean.read_bytes()).lower()
    assert [w for w in WORDS if w in left] == []
    assert io.scan_for(clean, PLANTED.values()) == []
    begin, again = io.scan_fcs(path), io.scan_fcs(clean)
    size = builder.X.nbytes
    assert (
        path.read_bytes()[begin.data_begin : begin.data_begin + size]
        == clean.read_bytes()[again.data_begin : again.data_begin + size]
    )
    assert clean.stat().st_size == again.data_begin + size
    events = io.read_fcs(clean)
    np.testing.assert_array_equal(events.X, builder.X)
    assert list(events.channels.pns) == list(builder.STAINS)
    assert events.keywords["DAY"] == "60"
    assert not [w for w in events.warnings if w.level == "warning"]


def test_integers_of_mixed_width_stay_as_they_are(tmp_path: Path) -> None:
    values = np.arange(160).reshape(40, 4)
    path = planted(tmp_path / "x.fcs", values=values, kinds="IIII", bits=(8, 16, 24, 32))
    np.testing.assert_array_equal(io.read_fcs(io.deidentify(path, tmp_path / "s", salt="12345678")).X, values)


def test_the_name_depends_on_id_and_salt_alone(tmp_path: Path) -> None:
    path = planted(tmp_path / "a.fcs")
    names = [
        io.deidentify(path, tmp_path / f"{i}", salt=salt, sample_id=name).name
        for i, (salt, name) in enumerate(
            [("secret-one", "P1"), ("secret-one", "P1"), ("secret-two", "P1"), ("secret-one", "P2")]
        )
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_name_hidden_in_a_channel_is_refused(tmp_path: Path) -> None:
    path = planted(tmp_path / "a.fcs", stains=("", "CD19 planted project", "", ""))
    with pytest.raises(InputError, match=r"still stands in a kept keyword: \$P2S; rename these channels first"):
        io.deidentify(path, tmp_path / "s", salt="12345678")
    assert list((tmp_path / "s").iterdir()) == []


def test_wrong_calls(tmp_path: Path) -> None:
    path = planted(tmp_path / "a.fcs")
    with pytest.raises(UsageError, match="the salt has fewer than 8 characters"):
        io.deidentify(path, tmp_path / "s", salt="x")
    with pytest.raises(UsageError, match="is the folder of the file"):
        io.deidentify(path, tmp_path, salt="12345678")
    with pytest.raises(UsageError, match="first_day is 'soon', expected YYYY-MM-DD"):
        io.deidentify(path, tmp_path / "s", salt="12345678", first_day="soon")


def test_only_allowed_keywords_pass() -> None:
    kept = io.allowed_keywords(PLANTED | {"$CYT": "Helios", "$P12S": "CD3", "$P1X": "?", "SPILL": "2,a,b,1,0,0,1"})
    assert kept == {"$CYT": "Helios", "$P12S": "CD3", "SPILL": "2,a,b,1,0,0,1"}
