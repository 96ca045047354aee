"""The 40 oddities of real FCS files: for each a file that must be read exactly, and one refused or warned of.

Rows are numbered as in the specification of the reader (FCS oddities and what to do about them).
"""

# ruff: noqa: E501

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fcs_builder as builder
import numpy as np
import pytest

from cytof import io
from cytof.errors import FCSError, PanelError, ResourceError, UsageError

fcs, chain, encode, X, NEXT = builder.fcs, builder.chain, builder.encode, builder.X, builder.NEXT

INTS = np.random.default_rng(2).integers(0, 200, (40, 4))
MIXED: dict[str, Any] = {"kinds": "IIII", "bits": (8, 16, 24, 32), "values": INTS}
NAN = X.copy()
NAN[3, 1], NAN[4, 2], NAN[5, 3] = np.nan, np.inf, -2
BEGIN = len(fcs()) - X.nbytes  # first byte of DATA in the default file
LOW = np.arcsinh(np.random.default_rng(3).exponential(30, (200, 4)) / 5).astype(np.float32)
LOW[:, 0] = np.arange(200)


def crlf(raw: bytes) -> bytes:
    return raw.replace(b"\n", b"\r\n")


def edited(raw: bytes) -> bytes:
    return raw.decode("utf-8", "replace").encode("utf-8")


def put(**keywords: Any) -> dict[str, Any]:
    """put(P1B="8") -> the builder's argument that sets $P1B."""
    return {"put": {f"${k}": v for k, v in keywords.items()}}


# (row, what, bytes, options of read_fcs, values expected, text of a caution, "" for none demanded)
READ: list[tuple[int, str, bytes, dict, np.ndarray, str]] = [
    (1, "header 0,0", fcs(hdr_data=(0, 0)), {}, X, "HEADER: states no DATA offsets"),
    (1, "header blank", fcs(hdr_data=("", "")), {}, X, "HEADER: states no DATA offsets"),
    (2, "header 99999999", fcs(hdr_data=(BEGIN, 99999999)), {}, X, "took TEXT, which agrees with $TOT"),
    (3, "header shifted", fcs(hdr_shift=(-64, 0)), {}, X, "took TEXT, which agrees with $TOT"),
    (3, "text shifted", fcs(text_shift=(8, 0)), {}, X, "took HEADER, which agrees with $TOT"),
    (3, "text end beyond the file", fcs(text_shift=(0, 999)), {}, X, "took HEADER"),
    (4, "end one too far, at the end of the file", fcs(hdr_shift=(0, 1), text_shift=(0, 1)), {}, X, "one byte too far"),
    (4, "end one too far, inside", fcs(hdr_shift=(0, 1), text_shift=(0, 1), trailing=b"0" * 8), {}, X, "one byte too far"),
    (5, "TEXT end is DATA begin", fcs(text_tail=b"   ", text_end=1), {}, X, "left that byte to DATA"),
    (5, "the same, HEADER 0,0", fcs(text_end=1, hdr_data=(0, 0)), {}, X, "HEADER"),
    (6, "no $BEGINDATA", fcs(delete=["$BEGINDATA", "$ENDDATA"]), {}, X, "no $BEGINDATA and $ENDDATA"),
    (6, "the same in FCS 2.0", fcs(delete=["$BEGINDATA", "$ENDDATA"], version="FCS2.0"), {}, X, ""),
    (7, "$TOT wrong, trusted", fcs(**put(TOT="41")), {"trust_data_size": True}, X, "counted 40 events"),
    (8, "$TOT missing", fcs(delete=["$TOT"]), {}, X, "counted 40 events"),
    (8, "$TOT blank", fcs(**put(TOT="   ")), {}, X, "counted 40 events"),
    (8, "$TOT missing and end one too far", fcs(delete=["$TOT"], hdr_shift=(0, 1), text_shift=(0, 1)), {}, X, "counted 40"),
    (10, "empty values", fcs(**put(OP="", FIL="")), {}, X, "keywords with empty values"),
    (10, "empty values before others", fcs(put={"$OP": "", "$PROJ": "x", "NOTE": "", "B": "y"}), {}, X, ""),
    (10, "escaped delimiters", fcs(**put(FIL="a/b", P2S="CD19/x")), {}, X, ""),
    (12, "delimiters", fcs(delim="\x0c"), {}, X, ""),
    *((12, f"delimiter {d!r}", fcs(delim=d), {}, X, "") for d in "\\|\x1e\r\n\t#*^.+ \x01~!"),
    (13, "no delimiter at the end", fcs(final=False), {}, X, "no delimiter at its end"),
    (13, "blanks behind it", fcs(text_tail=b"  \r\n"), {}, X, "blanks behind the last delimiter"),
    (13, "zeros behind it", fcs(text_tail=b"\0\0"), {}, X, "zero bytes behind the last delimiter"),
    (13, "two at the end", fcs(text_tail=b"/"), {}, X, ""),
    (14, "keyword twice, same value", fcs(append=b"$CYT/Helios/"), {}, X, ""),
    (14, "other keyword twice", fcs(append=b"NOTE/a/NOTE/b/"), {}, X, "stands twice with different values; kept the first"),
    (15, "lower case", fcs(lower=True), {}, X, ""),
    (15, "padded numbers", fcs(**put(TOT="  40   ", PAR=" 4", P1B=" 32 ")), {}, X, ""),
    (16, "UTF-8", fcs(stains=("", "é", "α", "抗体")), {}, X, ""),
    (16, "Latin-1", fcs(**put(OP="Müller".encode("latin-1"))), {}, X, "not UTF-8: $OP"),
    (16, "GB18030", fcs(**put(OP="抗体".encode("gb18030"))), {}, X, "not UTF-8: $OP"),
    (16, "NUL", fcs(**put(OP=b"ab\0\0", TOT=b"40\0")), {}, X, ""),
    (17, "junk above the range", fcs(INTS + 1024 * 7, kinds="IIII", bits=(16,) * 4, put={f"$P{n}R": "1024" for n in range(1, 5)}), {}, INTS, ""),
    (17, "range no power of two", fcs(INTS + 1024 * 7, kinds="IIII", bits=(16,) * 4, put={f"$P{n}R": "1000" for n in range(1, 5)}), {}, INTS, ""),
    *((18, f"{b} bits {o}", fcs(INTS, kinds="IIII", bits=(b,) * 4, order=o, put={f"$P{n}R": str(2**b) for n in range(1, 5)}), {}, INTS, "")
      for b in range(8, 72, 8) for o in ("1,2,3,4", "4,3,2,1")),
    (18, "mixed widths", fcs(**MIXED), {}, INTS, ""),
    (18, "mixed widths, little endian", fcs(**MIXED, order="1,2,3,4"), {}, INTS, ""),
    *((21, f"order {o}", fcs(order=o), {}, X, "") for o in ("1,2,3,4", "4,3,2,1", "1,2", "2,1", "1,2,3,4,5,6,7,8", "8,7,6,5,4,3,2,1", " 4, 3, 2, 1 ")),
    (20, "double", fcs(kinds="DDDD", bits=(64,) * 4), {}, X, ""),
    (22, "log scale on floats", fcs(**put(P2E="4,1")), {}, X, "$P2E: is '4,1' with floating-point data; ignored"),
    (22, "log scale kept on integers", fcs(**(MIXED | put(P2E="4,1"))), {}, INTS, ""),
    (23, "range NA", fcs(**put(P3R="NA")), {}, X, "$P3R: is 'NA'"),
    (23, "range too small", fcs(**put(P3R="1")), {}, X, ""),
    (23, "range huge", fcs(**put(P3R="1e30")), {}, X, ""),
    (24, "next data set at the end of the file", chain(fcs(put=NEXT), last=len(fcs(put=NEXT))), {}, X, "$NEXTDATA"),
    (24, "first of two", chain(fcs(put=NEXT), fcs(X + 1)), {"dataset": 1}, X, ""),
    (24, "second of two", chain(fcs(put=NEXT), fcs(X + 1)), {"dataset": 2}, X + 1, ""),
    (24, "third of three", chain(fcs(put=NEXT), fcs(put=NEXT), fcs(X + 2)), {"dataset": 3}, X + 2, ""),
    (25, "name twice", fcs(names=("Time", "A", "A", "Er170Di"), stains=("",) * 4), {}, X, "$P3N: 'A' is the name of $P2N too; called it A-2"),
    (25, "name twice, two metals", fcs(names=("Time", "A", "A", "Er170Di")), {}, X, "called it Sm147"),
    (27, "no $PnS", fcs(stains=("",) * 4), {}, X, ""),
    (30, "Time starts again", fcs(np.c_[np.r_[0:20, 0:20], X[:, 1:]].astype(np.float32)), {}, np.c_[np.r_[0:20, 0:20], X[:, 1:]], "Time starts again 1 times"),
    (31, "blank $TIMESTEP", fcs(**put(TIMESTEP=" ")), {}, X, ""),
    (31, "unknown $TIMESTEP", fcs(**put(TIMESTEP="ms")), {}, X, "$TIMESTEP: is 'ms'"),
    (32, "FCS 3.2 without $MODE", fcs(version="FCS3.2", delete=["$MODE"]), {}, X, ""),
    (32, "3.2, type a channel", fcs(version="FCS3.2", kinds="FDFI", bits=(32, 64, 32, 16), values=np.c_[X[:, :3], INTS[:, 3]], put={"$P2DATATYPE": "D", "$P4DATATYPE": "I", "$LAST_MODIFIED": "x"}), {}, np.c_[X[:, :3], INTS[:, 3]], ""),
    (32, "3.0 without $MODE", fcs(delete=["$MODE"]), {}, X, "$MODE: missing"),
    (33, "STEXT beyond the file", fcs(**put(BEGINSTEXT="99999", ENDSTEXT="999999")), {}, X, "STEXT: is said to lie at"),
    (33, "STEXT no number", fcs(**put(BEGINSTEXT="-1", ENDSTEXT="x")), {}, X, "STEXT: offsets are"),
    (33, "STEXT binary", fcs(**put(BEGINSTEXT=str(BEGIN), ENDSTEXT=str(BEGIN + 99))), {}, X, "STEXT: bytes"),
    (33, "ANALYSIS binary", fcs(hdr_analysis=b"\xff" * 16), {}, X, "ignored the ANALYSIS segment"),
    (34, "CRC", fcs(trailing=b"00000000"), {}, X, ""),
    (34, "NUL", fcs(trailing=b"\0" * 100), {}, X, ""),
    (34, "XML", fcs(trailing=b"<xml>" * 9), {}, X, "45 bytes behind the last event"),
    (36, "no events", fcs(X[:0]), {}, X[:0], "$TOT: 0 events"),
    (36, "no events, offsets 0,0", fcs(X[:0], hdr_data=(0, 0), **put(BEGINDATA="0", ENDDATA="0")), {}, X[:0], "$TOT: 0 events"),
    (36, "one event", fcs(X[:1]), {}, X[:1], ""),
    (37, "NaN, Inf, negative", fcs(NAN), {}, NAN, "2 values not finite in 2 channels (Nd142 1, Sm147 1)"),
    (37, "negative", fcs(NAN), {}, NAN, "1 values below zero in 1 channels (Er170 1)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "what", "raw", "options", "expected", "caution"), READ, ids=[f"{r[0]}-{r[1]}" for r in READ]
)
def test_read(
    tmp_path: Path, row: int, what: str, raw: bytes, options: dict, expected: np.ndarray, caution: str
) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(raw)
    events = io.read_fcs(path, **options)
    np.testing.assert_array_equal(events.X, expected.astype(np.float32))
    assert events.X.dtype == np.float32
    told = [str(w) for w in events.warnings]
    assert all(t.startswith("a.fcs:") for t in told)
    if caution:
        assert any(caution in t for t in told), told
    else:
        assert not [w for w in events.warnings if w.level == "warning"], told
    header = io.scan_fcs(path, **options)
    assert (header.n_events, header.n_channels) == expected.shape


# (row, what, bytes, place that the error names, text)
REFUSED: list[tuple[int, str, bytes, str, str]] = [
    (3, "neither fits", fcs(hdr_shift=(4, 0), text_shift=(8, 0)), "$TOT", "says 40 events of 16 bytes"),
    (3, "both fit", fcs(hdr_shift=(4, 4), trailing=b"12345678"), "$BEGINDATA", "both have the right size"),
    (5, "no delimiter before the shared byte", fcs(final=False, text_end=1), "TEXT", "no delimiter stands before it"),
    (7, "$TOT too large", fcs(**put(TOT="41")), "$TOT", "says 41 events of 16 bytes"),
    (7, "$TOT too small", fcs(**put(TOT="39")), "$TOT", "trust_data_size=True"),
    (7, "$TOT 1e9", fcs(**put(TOT="1000000000")), "$TOT", "1000000000"),
    (8, "$TOT missing, DATA no whole events", fcs(delete=["$TOT"], hdr_shift=(0, 3), text_shift=(0, 3), trailing=b"123"), "$TOT", "no whole number"),
    (9, "cut", fcs()[:-100], "DATA", "cut off: 33 of 40 events present"),
    (9, "cut in TEXT", fcs()[:200], "TEXT", "cut off"),
    (11, "unescaped delimiter", fcs(**put(FIL=b"a/b")), "TEXT:$FIL", "do not pair up behind `$FIL`"),
    (11, "odd tokens", fcs(append=b"NOTE/a/b/"), "TEXT", "do not pair up"),
    (12, "delimiter a letter", fcs(delim="a"), "TEXT", "expected a delimiter"),
    (12, "delimiter $", fcs(delim="$"), "TEXT", "expected a delimiter"),
    (13, "TEXT goes on", fcs(text_end=-40), "TEXT", "goes on behind its stated end"),
    (14, "operator twice", fcs(append=b"$OP/Jane/$OP/Joan/"), "$OP", "stands twice, with two different values"),
    (14, "$ keyword twice", fcs(append=b"$CYT/other/"), "$CYT", "stands twice, as 'Helios' and 'other'"),
    (17, "range below 1", fcs(**(MIXED | put(P2R="0"))), "$P2R", "expected at least 1"),
    (17, "range no number", fcs(**(MIXED | put(P2R="NA"))), "$P2R", "expected a whole number"),
    (18, "72 bits", fcs(**(MIXED | put(P2B="72"))), "$P2B", "expected 8, 16, 24 ... 64"),
    (19, "10 bits", fcs(**(MIXED | put(P2B="10"))), "$P2B", "is 10 bits"),
    (20, "F in 16 bits", fcs(**put(P2B="16")), "$P2B", "is 16, expected 32 for data type F"),
    (20, "D in 32 bits", fcs(**put(DATATYPE="D")), "$P1B", "is 32, expected 64 for data type D"),
    (21, "mixed order", fcs(**put(BYTEORD="3,4,1,2")), "$BYTEORD", "mixed byte orders"),
    (21, "no order", fcs(delete=["$BYTEORD"]), "$BYTEORD", "is missing"),
    (24, "two data sets, none named", chain(fcs(put=NEXT), fcs(X + 1)), "$NEXTDATA", "dataset=1 is the first"),
    (24, "points into the file", fcs(**put(NEXTDATA="700")), "$NEXTDATA", "no data set begins there"),
    (24, "negative", fcs(**put(NEXTDATA="-5")), "$NEXTDATA", "expected a whole number"),
    (24, "loop", fcs(**put(NEXTDATA="58")), "$NEXTDATA", "no data set begins there"),
    (26, "$PnN missing", fcs(delete=["$P3N"]), "$P3N", "is missing, but $PAR says 4 channels"),
    (26, "$PAR too small", fcs(**put(PAR="3")), "$PAR", "is 3, but $P4N or $P4B is there"),
    (26, "$PAR too large", fcs(**put(PAR="5")), "$P5N", "is missing"),
    (32, "unknown type of a channel", fcs(version="FCS3.2", put={"$P2DATATYPE": "X"}), "$P2DATATYPE", "expected I, F or D"),
    (32, "ASCII", fcs(**put(DATATYPE="A")), "$DATATYPE", "ASCII data are not read"),
    (32, "histogram", fcs(**put(MODE="C")), "$MODE", "expected L"),
    (35, "sent as text", fcs(data=crlf(b"\x41\x0a\x00\x0b" * 160)[:640]), "DATA", "sent as text"),
    (35, "saved in an editor", edited(fcs(np.round(-X))), "DATA", "saved in a text editor"),
    (38, "hostile $PAR", fcs(**put(PAR="999999999")), "$PAR", "TEXT holds"),
    (38, "hostile $TOT", fcs(**put(TOT="9" * 18)), "$TOT", "says"),
    (38, "endless $TOT", fcs(**put(TOT="9" * 5000)), "$TOT", "expected a whole number"),
    (38, "hostile offsets", fcs(hdr_data=(0, 0), **put(BEGINDATA="1", ENDDATA="999999999999999")), "$TOT", "40 events"),
    (38, "hostile bits", fcs(**(MIXED | put(P2B="8000000000"))), "$P2B", "8000000000"),
    (38, "$PAR 0", fcs(**put(PAR="0")), "$PAR", "is 0"),
    (39, "gzip", b"\x1f\x8b\x08" + b"\0" * 99, "HEADER", "gzip archive, expected FCS; unpack it first"),
    (39, "PNG", b"\x89PNG\r\n" + b"\0" * 99, "HEADER", "a PNG picture"),
    (39, "HDF5", b"\x89HDF\r\n" + b"\0" * 99, "HEADER", "read_h5ad"),
    (39, "CSV", b"CD3,CD4\n1,2\n", "HEADER", "not an FCS file"),
    (39, "random", bytes(range(150, 250)), "HEADER", "not an FCS file"),
    (39, "empty", b"", "HEADER", "the file is empty"),
    (39, "three bytes", b"FCS", "HEADER", "version"),
    (39, "unknown version", fcs(version="FCS9.9"), "HEADER", "version is 'FCS9.9'"),
    (39, "HEADER alone", fcs()[:40], "HEADER", "40 bytes, expected 58"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "what", "raw", "place", "text"), REFUSED, ids=[f"{r[0]}-{r[1]}" for r in REFUSED])
def test_refused(tmp_path: Path, row: int, what: str, raw: bytes, place: str, text: str) -> None:
    path = tmp_path / "bad.fcs"
    path.write_bytes(raw)
    with pytest.raises(FCSError) as caught:
        io.read_fcs(path)
    assert str(caught.value).startswith(f"{path}:{place}"), caught.value
    assert text in str(caught.value)
    assert caught.value.hint, "an error says what to do"
    assert caught.value.exit_code == 3


def test_every_row_has_a_file_read_or_refused() -> None:
    elsewhere = {28, 29, 40}  # channel spellings, missing channels, large files: below
    assert {r[0] for r in READ} | {r[0] for r in REFUSED} | elsewhere == set(range(1, 41))


def test_5_16_17_18_21_the_same_values_as_flowio_where_it_reads(tmp_path: Path) -> None:
    """FlowIO 1.4: FlowData(path).as_array(preprocess=False)."""
    flowio = pytest.importorskip("flowio")
    path = tmp_path / "a.fcs"
    read = 0
    for _, what, raw, options, expected, _ in READ:
        path.write_bytes(raw)
        try:
            theirs = flowio.FlowData(str(path)).as_array(preprocess=False)
        except Exception:  # noqa: BLE001 - FlowIO refuses or fails on many of these
            continue
        if theirs.shape == expected.shape and not options and np.allclose(theirs, expected, equal_nan=True):
            np.testing.assert_array_equal(io.read_fcs(path).X, theirs.astype(np.float32), err_msg=what)
            read += 1
    assert read >= 20


SPELLINGS = [
    "Nd142Di", "(Nd142)Di", "(Nd142)Dd", "Nd142Dd", "CD19(Nd142)Di", "CD19(Nd142)Dd", "142Nd_CD19", "142Nd", "Nd142",
    "FJComp-Nd142Di", "Comp-Nd142Di", "Nd142Di :: CD19", "CD19_142Nd", "<Nd142Di>", " Nd142Di ",
]  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_28_every_spelling_of_a_channel(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(names=("Time", name, "Sm147Di", "Er170Di"), stains=("", " CD19 ", "", "")))
    events = io.read_fcs(path)
    assert events.channels.loc["Nd142", ["antigen", "mass"]].tolist() == ["CD19", 142]
    np.testing.assert_array_equal(events.column("CD19"), X[:, 1])


@pytest.mark.parametrize(
    ("name", "stain", "channel", "antigen"),
    [
        ("Y89Di", "89Y_CD45", "Y89", "CD45"),
        ("BCKG190Di", "", "BCKG190", "BCKG190"),
        ("ArAr80Di", "", "ArAr80", "ArAr80"),
        ("Pr141Di", "141Pr_CD196_CCR6", "Pr141", "CD196_CCR6"),
        ("Sn120Di", "120Sn", "Sn120", "Sn120"),
        ("Ce140Di", "140Ce_Bead", "Ce140", "Bead"),
        ("Er168Di", " CAR-T ", "Er168", "CAR-T"),
    ],
)
def test_28_names_seen_in_public_files(tmp_path: Path, name: str, stain: str, channel: str, antigen: str) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(names=("Time", name, "Center", "Event_length"), stains=("", stain, "", "")))
    assert io.read_fcs(path).channels.at[channel, "antigen"] == antigen


def test_29_missing_and_extra_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(names=("beadDist", "Barcode", "Residual", "Er170Di"), stains=("", "", "", "CD3")))
    events = io.read_fcs(path, panel="car_t_41")
    assert events.with_role("time") == []
    assert events.with_role("gaussian") == ["Residual"]
    assert list(events.channels.index[:2]) == ["beadDist", "Barcode"]
    missing = [w for w in events.warnings if "not in this file" in w.found]
    assert len(missing) == 1
    assert "CD19" in missing[0].found


def test_25_a_repeated_channel_that_the_panel_needs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(names=("Time", "Er170Di", "Sm147Di", "Er170Di"), stains=("",) * 4))
    assert list(io.read_fcs(path).channels.index) == ["Time", "Er170", "Sm147", "Er170-2"]
    with pytest.raises(FCSError, match=r"\$P4N: channel Er170 is \$P2N too, and panel car_t_41 needs it"):
        io.read_fcs(path, panel="car_t_41")


def test_30_a_file_already_on_the_arcsinh_scale_is_brought_back(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(LOW))
    events = io.read_fcs(path)
    assert events.transformed
    np.testing.assert_allclose(np.arcsinh(events.X[:, 1:] / 5), LOW[:, 1:], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(events.X[:, 0], LOW[:, 0])  # Time is no mass channel
    assert any("already arcsinh-transformed" in w.found and "not transformed twice" in w.done for w in events.warnings)
    few = io.read_fcs(path, events=5, channels=["CD3"])
    assert few.transformed, "a part of the file is judged by the whole file"
    np.testing.assert_array_equal(few.X[:, 0], events.column("CD3")[:5])
    path.write_bytes(fcs(LOW * 20))
    assert not io.read_fcs(path).transformed


def test_36_22_linearize_on_request(tmp_path: Path) -> None:
    """FCS 3.1: $P2E 4,1 with $P2R 1024 means 10 ** (4 * x / 1024)."""
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(INTS, kinds="IIII", bits=(16,) * 4, put={"$P2E": "4,0", "$P2R": "1024"}))
    events = io.read_fcs(path, linearize=True)
    np.testing.assert_allclose(events.X[:, 1], 10 ** (4 * INTS[:, 1] / 1024), rtol=1e-6)
    np.testing.assert_array_equal(events.X[:, 2], INTS[:, 2])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda p: p.mkdir(), "is a folder"),
        (lambda p: p.symlink_to(p), "cannot be opened"),
        (lambda p: os.mkfifo(p), "not a regular file"),
        (lambda p: p.with_name("sample_1.fcs").touch(), "no such file; did you mean `sample_1.fcs`?"),
    ],
    ids=["folder", "loop of links", "pipe", "missing"],
)
def test_39_what_is_no_file(tmp_path: Path, make: Callable[[Path], None], text: str) -> None:
    path = tmp_path / "sample1.fcs"
    make(path)
    with pytest.raises(FCSError) as caught:
        io.read_fcs(path)
    assert f"{path}:HEADER" in str(caught.value)
    assert text in str(caught.value)


def test_39_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the system's refusal is played; elsewhere it is real."""
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs())
    path.chmod(0)
    if getattr(os, "geteuid", lambda: 1)() == 0 or os.name == "nt":

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(FCSError, match="cannot be opened"):
        io.read_fcs(path)


def test_40_part_of_a_file_larger_than_memory(tmp_path: Path) -> None:
    """A sparse file of 64 GiB: reading all of it is refused before anything is allocated, a part of it is read."""
    n_events = 2**32
    raw = fcs(X, hdr_data=(0, 0), put={"$TOT": f"{n_events:012d}"}, text_shift=(0, (n_events - 40) * 16))
    begin = len(raw) - X.nbytes
    path = tmp_path / "a.fcs"
    path.write_bytes(raw)
    with path.open("rb+") as file:
        file.truncate(begin + n_events * 16)
        file.seek(begin + (n_events - 40) * 16)
        file.write(encode(X, "FFFF", (32,) * 4, "4,3,2,1"))
    header = io.scan_fcs(path)
    assert header.n_events == n_events
    np.testing.assert_array_equal(io.read_fcs(path, events=slice(n_events - 40, n_events)).X, X)
    np.testing.assert_array_equal(io.read_fcs(path, events=[3, n_events - 1], channels=["CD3"]).X[:, 0], X[[3, 39], 3])
    if Path("/proc/meminfo").exists():
        with pytest.raises(ResourceError, match="read part of it with channels= or events="):
            io.read_fcs(path)


@pytest.mark.parametrize("raw", [fcs(), fcs(**MIXED)], ids=["float", "mixed integers"])
def test_parts_equal_the_whole(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(raw)
    whole = io.read_fcs(path)
    for rows in (7, slice(3, 11), slice(30, 2, -3), [5, 5, 0], np.arange(40) % 3 == 0):
        part = io.read_fcs(path, events=rows, channels=["CD3", "Time"])
        places = np.arange(40)[slice(rows) if isinstance(rows, int) else rows]
        np.testing.assert_array_equal(part.X, whole.X[places][:, [3, 0]])
        np.testing.assert_array_equal(part.rows, places)
        assert list(part.channels.index) == ["Er170", "Time"]


def test_wrong_arguments_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs())
    with pytest.raises(PanelError, match="no channel for `CD91`.*did you mean `CD19`"):
        io.read_fcs(path, channels=["CD91"])
    with pytest.raises(UsageError, match="row numbers outside 0 to 39"):
        io.read_fcs(path, events=[40])
    with pytest.raises(UsageError, match="events is -1"):
        io.read_fcs(path, events=-1)
    with pytest.raises(UsageError, match="dataset is 0"):
        io.read_fcs(path, dataset=0)
    with pytest.raises(FCSError, match="has 1 data sets, dataset=2 was asked for"):
        io.read_fcs(path, dataset=2)


def test_supplemental_text_adds_keywords(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    more = b"/NOTE/kept/$CYT/not over TEXT/"
    plain = fcs(put={"$BEGINSTEXT": "000000", "$ENDSTEXT": "000000"})
    end = len(plain)
    path.write_bytes(fcs(put={"$BEGINSTEXT": f"{end:06d}", "$ENDSTEXT": f"{end + len(more) - 1:06d}"}, trailing=more))
    keywords = io.read_fcs(path).keywords
    assert (keywords["NOTE"], keywords["$CYT"]) == ("kept", "Helios")


def test_10_empty_values_keep_every_keyword_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(put={"$OP": "", "$PROJ": "x", "NOTE": "", "B": "y"}))
    keywords = io.read_fcs(path).keywords
    assert [keywords[k] for k in ("$OP", "$PROJ", "NOTE", "B")] == ["", "x", "", "y"]
    path.write_bytes(fcs(put={"$PROJ": "a/b//c", "B": "y"}))
    assert io.read_fcs(path).keywords["$PROJ"] == "a/b//c"


def test_37_all_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.fcs"
    path.write_bytes(fcs(np.full((200, 4), np.nan, np.float32)))
    assert np.isnan(io.read_fcs(path).X).all()
