"""A Helios-style file: FCS 3.0, big-endian float32, keywords that say SYNTHETIC, no date and no operator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cytof.provenance import atomic

__all__ = ["write"]

_HEADER = 58


def write(path: Path, X: NDArray[np.float32], names: list[str], stains: list[str], keywords: dict[str, str]) -> None:
    """Write one file.

    Parameters
    ----------
    path
        The file; replaced as a whole or not at all.
    X
        Events, shape (n_events, n_channels), float32.
    names, stains
        ``$PnN`` and ``$PnS``.
    keywords
        Further keywords of the TEXT segment, written in this order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "one.fcs"
    ...     write(file, np.zeros((1, 1), np.float32), ["Time"], ["Time"], {})
    ...     file.read_bytes()[:6]
    b'FCS3.0'
    """
    n, width = X.shape
    top = np.maximum(1, X.max(axis=0)) if n else np.ones(width)
    words = {
        "$BEGINANALYSIS": "0", "$ENDANALYSIS": "0", "$BEGINSTEXT": "0", "$ENDSTEXT": "0", "$NEXTDATA": "0",
        "$BYTEORD": "4,3,2,1", "$DATATYPE": "F", "$MODE": "L", "$PAR": str(width), "$TOT": str(n), **keywords,
    }  # fmt: skip
    for i, (name, stain) in enumerate(zip(names, stains, strict=True)):
        reach = max(4096, 2 ** int(np.ceil(np.log2(float(top[i]) + 1))))
        words |= {f"$P{i + 1}N": name, f"$P{i + 1}S": stain, f"$P{i + 1}B": "32"}
        words |= {f"$P{i + 1}E": "0,0", f"$P{i + 1}R": str(reach)}
    begin = 0
    for _ in range(3):  # the offsets stand in the text whose length they depend on
        places = {"$BEGINDATA": f"{begin:010d}", "$ENDDATA": f"{begin + max(1, X.size * 4) - 1:010d}"}
        text = "|" + "".join(f"{k}|{v}|" for k, v in (words | places).items())
        begin = _HEADER + len(text.encode())
    end = begin + max(1, X.size * 4) - 1
    spots = [_HEADER, begin - 1, *((begin, end) if end < 100_000_000 else (0, 0)), 0, 0]
    header = "FCS3.0    " + "".join(f"{spot:>8d}" for spot in spots)
    with atomic(path) as temporary, Path(temporary).open("wb") as file:
        file.write(header.encode() + text.encode())
        for start in range(0, n, 16_384):
            file.write(X[start : start + 16_384].astype(">f4").tobytes())
