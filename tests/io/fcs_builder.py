"""Builds FCS files, sound by default, with one thing wrong when asked: each argument is a way real files go astray."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

X = np.round(np.random.default_rng(1).exponential(30, (40, 4)), 2).astype(np.float32)
X[:, 0] = np.sort(X[:, 0])  # Time
"""Values of the default file: 40 events x 4 channels, whole file exact in float32."""

NAMES = ("Time", "Nd142Di", "Sm147Di", "Er170Di")
STAINS = ("", "142Nd_CD19", "147Sm_CD11c", "170Er_CD3")


def encode(values: np.ndarray, kinds: Sequence[str], bits: Sequence[int], order: str) -> bytes:
    """Write events naively, value by value."""
    big = order.split(",")[0] != "1"
    out = bytearray()
    for row in values:
        for value, kind, width in zip(row, kinds, bits, strict=True):
            if kind == "I":
                out += int(value).to_bytes(width // 8, "big" if big else "little")
            else:
                out += np.array(value, f"{'>' if big else '<'}f{width // 8}").tobytes()
    return bytes(out)


def fcs(
    values: np.ndarray = X,
    *,
    version: str = "FCS3.0",
    names: Sequence[str] = NAMES,
    stains: Sequence[str] = STAINS,
    kinds: str = "FFFF",
    bits: Sequence[int] = (32, 32, 32, 32),
    order: str = "4,3,2,1",
    delim: str = "/",
    put: Mapping[str, str | bytes] | None = None,  # set or replace keywords, already escaped
    delete: Sequence[str] = (),
    append: bytes = b"",  # raw keyword-value pairs at the end of TEXT, without the last delimiter
    lower: bool = False,
    final: bool = True,
    text_tail: bytes = b"",  # between the last delimiter and the end of TEXT
    text_end: int = 0,  # added to HEADER's TEXT end
    hdr_data: tuple[int | str, int | str] | None = None,  # written instead of the DATA offsets of HEADER
    hdr_shift: tuple[int, int] = (0, 0),
    text_shift: tuple[int, int] = (0, 0),  # added to $BEGINDATA and $ENDDATA
    hdr_analysis: bytes = b"       0       0",
    gap: bytes = b"",  # between TEXT and DATA
    data: bytes | None = None,
    trailing: bytes = b"",
) -> bytes:
    """Return the bytes of one data set."""
    data = encode(values, kinds, bits, order) if data is None else data
    text: dict[str, str | bytes] = {
        "$BEGINANALYSIS": "0", "$ENDANALYSIS": "0", "$BEGINSTEXT": "0", "$ENDSTEXT": "0", "$BYTEORD": order,
        "$DATATYPE": max(kinds, key=kinds.count), "$MODE": "L", "$NEXTDATA": "0", "$PAR": str(len(names)),
        "$TOT": str(len(values)), "$CYT": "Helios", "$BEGINDATA": "@BEGIN@@@@@@", "$ENDDATA": "@END@@@@@@@@",
    }  # fmt: skip
    for n, (name, stain, width) in enumerate(zip(names, stains, bits, strict=True), start=1):
        text |= {f"$P{n}N": name, f"$P{n}B": str(width), f"$P{n}E": "0,0", f"$P{n}R": "65536"}
        if stain:
            text[f"$P{n}S"] = stain
    text |= put or {}
    for key in delete:
        text.pop(key, None)
    mark = delim.encode("latin-1")

    def raw(value: str | bytes) -> bytes:
        return value if isinstance(value, bytes) else value.replace(delim, delim * 2).encode("utf-8")

    body = b"".join(raw(k.lower() if lower else k) + mark + raw(v) + mark for k, v in text.items())
    body = mark + body + append
    body = body if final else body.removesuffix(mark)
    body += text_tail
    begin = 58 + len(body) + len(gap)
    end = begin + len(data) - 1
    for name, value in ((b"@BEGIN@@@@@@", begin + text_shift[0]), (b"@END@@@@@@@@", end + text_shift[1])):
        body = body.replace(name, f"{value:012d}".encode())
    shown = hdr_data if hdr_data is not None else (begin + hdr_shift[0], end + hdr_shift[1])
    header = f"{version}    {58:>8}{57 + len(body) + text_end:>8}{shown[0]!s:>8}{shown[1]!s:>8}".encode("latin-1")
    return header + hdr_analysis + body + gap + data + trailing


def chain(*sets: bytes, last: int = 0) -> bytes:
    """Join data sets built with ``put={"$NEXTDATA": "@NEXT@@@@@@@"}``."""
    out = b""
    for i, one in enumerate(sets):
        step = len(one) if i < len(sets) - 1 else last
        out += one.replace(b"@NEXT@@@@@@@", f"{step:012d}".encode())
    return out


NEXT = {"$NEXTDATA": "@NEXT@@@@@@@"}
