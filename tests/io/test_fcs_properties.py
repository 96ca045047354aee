"""Properties of the reader over files that hypothesis draws, and its memory on large damaged ones."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import fcs_builder as builder
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cytof import io
from cytof.errors import FCSError

SETTINGS = settings(max_examples=200, deadline=2_000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
TEXT = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"]), max_size=12
).filter(
    lambda text: not text.strip().startswith("$")  # a value that is a keyword's name is refused: pairs may have slipped
)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, object]]:
    """Return values and how they are laid out: widths, kinds, byte order, delimiter, names."""
    n_channels = draw(st.integers(1, 6))
    kinds = draw(st.sampled_from("IFD")) * n_channels
    widths = {"I": [8, 16, 24, 32, 40, 48, 56, 64], "F": [32], "D": [64]}[kinds[0]]
    bits = tuple(draw(st.sampled_from(widths)) for _ in range(n_channels))
    n_events = draw(st.integers(0, 30))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    values = (
        rng.integers(0, 2**8, (n_events, n_channels)) if kinds[0] == "I" else rng.normal(0, 1e4, (n_events, n_channels))
    )
    options: dict[str, object] = {
        "kinds": kinds,
        "bits": bits,
        "order": draw(st.sampled_from(["1,2,3,4", "4,3,2,1"])),
        "delim": draw(st.sampled_from(["/", "|", "\\", "\x0c", "\x1e", "!", "\t", "*"])),
        "version": draw(st.sampled_from(["FCS2.0", "FCS3.0", "FCS3.1"])),
        "names": [f"C{i}" for i in range(n_channels)],
        "stains": [f"S{i}" for i in range(n_channels)],
    }
    return values, options


@SETTINGS
@given(layouts())
def test_every_layout_is_read_exactly(layout: tuple[np.ndarray, dict[str, object]]) -> None:
    values, options = layout
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.fcs"
        path.write_bytes(builder.fcs(values, **options))
        events = io.read_fcs(path)
        np.testing.assert_array_equal(events.X, values.astype(np.float32))
        assert list(events.channels["pnn"]) == options["names"]


@SETTINGS
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=12), st.integers(0, 10_000)
)
def test_damaged_bytes_are_read_or_refused_by_name(changes: list[tuple[int, int]], cut: int) -> None:
    raw = bytearray(builder.fcs(put={"$OP": "", "$COM": "a/b"}))
    for place, byte in changes:
        raw[place % len(raw)] = byte
    raw = raw[: len(raw) - (cut % len(raw) if cut % 3 == 0 else 0)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.fcs"
        path.write_bytes(raw)
        try:
            io.read_fcs(path)
        except FCSError as error:
            assert error.where.startswith(f"{path}:")  # noqa: PT017 - most examples raise, some are read
            assert len(error.where) > len(f"{path}:")  # noqa: PT017


@SETTINGS
@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True), TEXT, max_size=5), st.integers(1, 4))
def test_what_is_written_is_read_back(keywords: dict[str, str], n_channels: int) -> None:
    data = np.arange(3 * n_channels, dtype=np.float32).reshape(3, n_channels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.fcs"
        io.write_fcs(path, data, pnn=[f"C{i}" for i in range(n_channels)], keywords=keywords)
        events = io.read_fcs(path)
    np.testing.assert_array_equal(events.X, data)
    for key, value in keywords.items():
        if value.strip():
            assert events.keywords[key].strip() == value.strip()


@pytest.mark.parametrize("damage", ["none", "tot", "par", "end", "bits", "cut", "crlf"])
def test_memory_stays_below_twice_the_file(
    damage: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A file of 20 MB, whole and damaged: peak of what is allocated <= 2 x file + 64 MiB."""
    rng = np.random.default_rng(0)
    path = tmp_path / "large.fcs"
    io.write_fcs(path, rng.normal(0, 100, (100_000, 50)).astype(np.float32), pnn=[f"C{i}" for i in range(50)])
    raw = path.read_bytes()
    edits = {
        "tot": (b"|$TOT|100000|", b"|$TOT|999999|"), "par": (b"|$PAR|50|", b"|$PAR|99|"),
        "bits": (b"|$P7B|32|", b"|$P7B|64|"), "end": (b"|$ENDDATA|", b"|$ENDDATA|9"),
    }  # fmt: skip
    if damage in edits:
        assert edits[damage][0] in raw
        raw = raw.replace(*edits[damage])
    elif damage == "cut":
        raw = raw[:-12_345]
    elif damage == "crlf":
        raw = raw.replace(b"\n", b"\r\n")
    path.write_bytes(raw)
    size = len(raw)
    del raw
    tracemalloc.start()
    try:
        events = io.read_fcs(path)
    except FCSError as error:
        outcome = f"refused: {error.message}"
    else:
        outcome = f"read {events.X.shape}"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    record_property("figures", f"20 MB file, {damage}: {outcome.split(',')[0]}; peak {peak / size:.2f} x file")
    assert peak <= 2 * size + 64 * 2**20
    assert outcome.startswith("read" if damage == "none" else "refused")
