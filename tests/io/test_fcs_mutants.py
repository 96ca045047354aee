"""Thousands of damaged files: each is read to the right values, told of, or refused by name; none crashes."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fcs_builder as builder
import numpy as np
import pytest

from cytof import io
from cytof.errors import CytofError, FCSError

fcs = builder.fcs

INTS = np.random.default_rng(2).integers(0, 200, (40, 4))
SEEDS = [
    (fcs(), builder.X),
    (fcs(order="1,2,3,4", version="FCS3.1", trailing=b"0" * 8), builder.X),
    (fcs(INTS, kinds="IIII", bits=(8, 16, 24, 32), delim="\x0c", version="FCS2.0"), INTS),
    (fcs(put={"$OP": "", "$FIL": ""}, hdr_data=(0, 0), delim="|"), builder.X),
    (fcs(put={"$COM": "a/b", "$P2S": "é/x"}, kinds="DDDD", bits=(64,) * 4, gap=b" " * 20), builder.X),
    (builder.chain(fcs(put=builder.NEXT), fcs(builder.X + 1)), builder.X),
]
NUMBERS = [
    b"0",
    b"-1",
    b"1",
    b"7",
    b"39",
    b"41",
    b"99999999",
    b"4294967296",
    b"9" * 17,
    b"9" * 400,
    b"",
    b"1e3",
    b"NaN",
    b" ",
]


def mutate(raw: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return what was done and the damaged bytes."""
    text_end = int(raw[18:26]) + 1
    kind = rng.choice(["header", "text", "value", "data", "cut", "insert", "delete", "swap", "crlf", "field", "join"])
    at = int(rng.integers(58, text_end))
    out = bytearray(raw)
    if kind == "header":
        out[int(rng.integers(0, 58))] = int(rng.integers(0, 256))
    elif kind == "text":
        for _ in range(int(rng.integers(1, 4))):
            out[int(rng.integers(58, text_end))] = int(rng.integers(0, 256))
    elif kind == "value":  # a keyword's value becomes an odd number, with or without the length kept
        mark = raw[58:59]
        tokens = raw[59:text_end].split(mark)
        place = int(rng.integers(0, len(tokens) - 1))  # bytes behind the last delimiter cannot be told from DATA
        number = NUMBERS[int(rng.integers(len(NUMBERS)))]
        if rng.random() < 0.5:
            number = number[: len(tokens[place])].rjust(len(tokens[place]))
        tokens[place] = number
        out = bytearray(raw[:59] + mark.join(tokens) + raw[text_end:])
    elif kind == "data":
        out[int(rng.integers(text_end, len(raw)))] ^= 1 << int(rng.integers(0, 8))
    elif kind == "cut":
        out = out[: int(rng.integers(0, len(raw)))]
    elif kind == "insert":
        out[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 9)), dtype=np.uint8))
    elif kind == "delete":
        del out[at : at + int(rng.integers(1, 9))]
    elif kind == "swap":
        other = int(rng.integers(58, len(raw)))
        out[at], out[other] = out[other], out[at]
    elif kind == "crlf":
        out = bytearray(raw.replace(b"\n", b"\r\n") if rng.random() < 0.5 else raw.decode("utf-8", "replace").encode())
    elif kind == "field":
        place = 10 + 8 * int(rng.integers(0, 6))
        out[place : place + 8] = f"{int(rng.integers(0, 2 * len(raw)))!s:>8}".encode()
    else:
        out = out[:at] + bytearray(raw[at // 2 :])
    return str(kind), bytes(out)


def structure(path: Path) -> dict[str, str]:
    """Return what decides the values: coding, counts, and nothing else."""
    header = io.scan_fcs(path, dataset=1)
    decisive = re.compile(r"\$(PAR|TOT|BYTEORD|DATATYPE|P\d+[BR]|P\d+DATATYPE)")
    return {k: v.strip().upper() for k, v in header.keywords.items() if decisive.fullmatch(k)}


def run(n: int, folder: Path, first_seed: int) -> Counter[str]:
    found: Counter[str] = Counter()
    path = folder / "mutant.fcs"
    structures = []
    for raw, _ in SEEDS:
        path.write_bytes(raw)
        structures.append(structure(path))
    for number in range(n):
        rng = np.random.default_rng([first_seed, number])
        raw, values = SEEDS[number % len(SEEDS)]
        kind, mutant = mutate(raw, rng)
        path.write_bytes(mutant)
        start = time.perf_counter()
        try:
            events = io.read_fcs(path, dataset=1 if number % len(SEEDS) == 5 else None)
        except FCSError as error:
            found["refused"] += 1
            if not error.where.startswith(f"{path}:") or error.where == f"{path}:":
                pytest.fail(f"{kind} {number}: `{error}` does not name file and segment or keyword")
        except CytofError as error:
            pytest.fail(f"{kind} {number}: not an FCSError: {error!r}")
        except Exception as error:
            raise AssertionError(f"{kind} {number}: raw exception") from error
        else:
            found["read"] += 1
            found["warned"] += bool(events.warnings)
            # 0 silently wrong: with the same coding and counts, and no warning, the values are the same
            told = [w for w in events.warnings if w.level == "warning"]
            if events.X.shape == values.shape and structure(path) == structures[number % len(SEEDS)] and not told:
                wrong = int(np.sum(events.X != values.astype(np.float32)))
                assert wrong <= (1 if kind in {"data", "swap"} else 0), f"{kind} {number}: {events.warnings}"
                found["equal"] += 1
        seconds = time.perf_counter() - start
        assert seconds < 2, f"{kind} {number}: {seconds:.1f} s"
    return found


@pytest.mark.parametrize(("n", "seed"), [(3_000, 0), pytest.param(20_000, 1, marks=pytest.mark.slow)])
def test_mutants(n: int, seed: int, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    tracemalloc.start()
    found = run(n, tmp_path, seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    record_property(
        "figures",
        f"{n:,} mutants: {found['read']} read ({found['warned']} with a warning, {found['equal']} equal without), "
        f"{found['refused']} refused by file and segment or keyword; 0 crashes, 0 over 2 s, 0 raw exceptions, "
        f"0 silently wrong; peak {peak / 2**20:.1f} MiB",
    )
    assert found["equal"] > n / 20
    assert found["refused"] > n / 3
    assert peak < 64 * 2**20


def test_every_length_of_a_file(tmp_path: Path) -> None:
    """A file cut anywhere is refused, or every event is there."""
    raw, values = SEEDS[0]
    path = tmp_path / "cut.fcs"
    for length in range(0, len(raw), 7):
        path.write_bytes(raw[:length])
        with pytest.raises(FCSError, match=r"cut\.fcs:"):
            io.read_fcs(path)
    path.write_bytes(raw)
    np.testing.assert_array_equal(io.read_fcs(path).X, values)


@pytest.mark.parametrize(
    "key", ["$PAR", "$TOT", "$BYTEORD", "$DATATYPE", "$P2B", "$P2R", "$BEGINDATA", "$ENDDATA", "$NEXTDATA"]
)
def test_every_structural_keyword_with_every_odd_number(tmp_path: Path, key: str) -> None:
    path = tmp_path / "odd.fcs"
    for number in NUMBERS:
        path.write_bytes(fcs(put={key: number}))
        try:
            events = io.read_fcs(path)
        except FCSError as error:
            if not str(error).startswith(f"{path}:"):
                pytest.fail(str(error))
        else:
            np.testing.assert_array_equal(events.X, builder.X, err_msg=f"{key} {number!r} {events.warnings}")
