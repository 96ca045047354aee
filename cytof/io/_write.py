"""Write FCS 3.1 (or 3.0) float32 that FlowJo, Cytobank, FlowIO, FlowKit, FlowCal and flowCore read back equal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cytof._check import one_of
from cytof.errors import UsageError
from cytof.events import Events
from cytof.provenance import atomic

__all__ = ["segments", "write_fcs"]

_DELIMITERS = ("|", "/", "\\", "\f", "!", "^", "~", "\x1e")
_RECOMPUTED = re.compile(
    r"\$P\d+.*|\$(PAR|TOT|BYTEORD|DATATYPE|MODE|NEXTDATA|(BEGIN|END)(DATA|STEXT|ANALYSIS|TEXT)|UNICODE)"
)
_CRC = b"00000000"
_BLOCK = 65_536


def write_fcs(
    path: str | Path,
    events: Events | ArrayLike,
    *,
    pnn: Sequence[str] | None = None,
    pns: Sequence[str] | None = None,
    keywords: Mapping[str, Any] | None = None,
    extra_columns: Mapping[str, ArrayLike] | pd.DataFrame | None = None,
    version: str = "FCS3.1",
    byteorder: str = "little",
) -> None:
    """Write events as one FCS data set; same input, same bytes.

    Parameters
    ----------
    path
        The file; replaced only when the new one is complete.
    events
        :class:`~cytof.events.Events`, or counts of shape (n_events, n_channels).
    pnn, pns
        ``$PnN`` and ``$PnS``; by default those of the events. A blank ``$PnS`` is left out.
    keywords
        Further keywords, put over those of the events. What the layout decides (``$PAR``, ``$TOT``, offsets,
        ``$PnB`` ...) is always computed.
    extra_columns
        Columns to add, one value an event (gate, cluster, t-SNE 1). Text and categories become whole numbers from 1;
        what each means stands in the keywords ``<NAME>_1``, ``<NAME>_2``, ...
    version
        ``FCS3.1`` or ``FCS3.0``.
    byteorder
        ``little`` or ``big`` (as Helios writes).

    Raises
    ------
    UsageError
        Lengths do not agree, a name is blank or stands twice, or a setting is none of those above.
    ResourceError
        The folder cannot be written or the disk is full.

    References
    ----------
    Spidlen et al. 2010, FCS 3.1.

    Examples
    --------
    >>> import tempfile; from cytof.io import read_fcs
    >>> out = Path(tempfile.mkdtemp()) / "a.fcs"
    >>> write_fcs(out, [[1.5], [2.5]], pnn=["Nd142Di"], pns=["CD19"], extra_columns={"cluster": ["a", "b"]})
    >>> read_fcs(out).X.tolist(), read_fcs(out).keywords["CLUSTER_2"]
    ([[1.5, 1.0], [2.5, 2.0]], 'b')
    """
    one_of(version, ("FCS3.1", "FCS3.0"), "version", where=str(path))
    one_of(byteorder, ("little", "big"), "byteorder", where=str(path))
    if isinstance(events, Events):
        matrix: NDArray = events.X
        table = events.channels
        pnn = list(table.get("pnn", table.index)) if pnn is None else pnn
        pns = list(table.get("pns", [""] * len(table))) if pns is None else pns
        keywords = {**events.keywords, **(keywords or {})}
    else:
        matrix = np.asarray(events)
    if matrix.ndim != 2:
        raise UsageError(f"events have shape {matrix.shape}, expected events x channels", where=str(path))
    extra, codes = _extra(extra_columns, len(matrix), str(path))
    names, stains = _names(pnn, pns, matrix.shape[1], list(extra), str(path))
    parts = [matrix, *(c[:, None] for c in extra.values())]
    order = "<" if byteorder == "little" else ">"
    fields = {**_plain(keywords or {}), **codes}
    text = _layout_keywords(parts, names, stains, order) | {k: v for k, v in fields.items() if not _RECOMPUTED.match(k)}
    n_bytes = len(matrix) * len(names) * 4
    header, segment = segments(text, version, n_bytes)
    with atomic(path) as part, part.open("wb") as file:
        file.write(header)
        file.write(segment)
        for start in range(0, len(matrix), _BLOCK):
            block = np.concatenate([p[start : start + _BLOCK] for p in parts], axis=1)
            with np.errstate(over="ignore"):
                file.write(block.astype(f"{order}f4").tobytes())
        file.write(_CRC)


def _plain(keywords: Mapping[str, Any]) -> dict[str, str]:
    return {str(k).strip().upper(): str(v) for k, v in keywords.items() if str(k).strip() and str(v).strip()}


def _names(
    pnn: Sequence[str] | None, pns: Sequence[str] | None, n_channels: int, extra: list[str], where: str
) -> tuple[list[str], list[str]]:
    if pnn is None:
        raise UsageError("a matrix has no channel names", where=where, hint="give pnn=")
    names = [str(n).strip() for n in pnn]
    stains = [str(s) if isinstance(s, str) else "" for s in pns] if pns is not None else [""] * len(names)
    if not len(names) == len(stains) == n_channels:
        raise UsageError(f"{n_channels} channels, but {len(names)} pnn and {len(stains)} pns", where=where)
    names, stains = names + extra, stains + [""] * len(extra)
    for i, name in enumerate(names):
        if not name or name in names[:i]:
            found = f"stands twice: `{name}`" if name else "is blank"
            raise UsageError(f"the name of channel {i + 1} {found}", where=where, hint="give each channel its own name")
    return names, stains


def _extra(
    columns: Mapping[str, ArrayLike] | pd.DataFrame | None, n_events: int, where: str
) -> tuple[dict[str, NDArray], dict[str, str]]:
    """Return the columns as numbers, and the keywords that say what each code means."""
    found: dict[str, NDArray] = {}
    codes: dict[str, str] = {}
    for name, values in columns.items() if columns is not None else ():
        series = pd.Series(np.asarray(values) if not isinstance(values, pd.Series | pd.Categorical) else values)
        if len(series) != n_events:
            raise UsageError(f"column `{name}` has {len(series)} values, expected {n_events}", where=where)
        if pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
            found[str(name)] = series.to_numpy(np.float32)
            continue
        category = series.astype("category").cat
        found[str(name)] = (category.codes + 1).to_numpy(np.float32)  # 0 where there is none
        stem = re.sub(r"\W+", "_", str(name)).upper()
        codes |= {f"{stem}_{i}": str(label) for i, label in enumerate(category.categories, start=1)}
    return found, codes


def _layout_keywords(parts: list[NDArray], names: list[str], stains: list[str], order: str) -> dict[str, str]:
    text = {
        "$BYTEORD": "1,2,3,4" if order == "<" else "4,3,2,1", "$DATATYPE": "F", "$MODE": "L", "$NEXTDATA": "0",
        "$PAR": str(len(names)), "$TOT": str(len(parts[0])),
        "$BEGINANALYSIS": "0", "$ENDANALYSIS": "0", "$BEGINSTEXT": "0", "$ENDSTEXT": "0",
    }  # fmt: skip
    tops = [t for p in parts for t in _tops(p)]
    for n, (name, stain, top) in enumerate(zip(names, stains, tops, strict=True), start=1):
        text |= {f"$P{n}B": "32", f"$P{n}E": "0,0", f"$P{n}N": name, f"$P{n}R": str(top)}
        if stain.strip():
            text[f"$P{n}S"] = stain
    return text


def _tops(part: NDArray) -> list[int]:
    """Return a range above every finite value of each column: some readers cut values off there."""
    tops = np.ones(part.shape[1])
    for start in range(0, len(part), _BLOCK):
        block = part[start : start + _BLOCK]
        tops = np.maximum(tops, np.where(np.isfinite(block), block, 0).max(axis=0))
    return [math.floor(t) + 1 for t in tops]


def segments(text: dict[str, str], version: str, n_bytes: int) -> tuple[bytes, bytes]:
    """Return HEADER and TEXT; the offsets in TEXT are part of its length, so they are settled by repetition."""
    content = "".join(text) + "".join(text.values())
    mark = next((d for d in _DELIMITERS if d not in content), "\x1e")
    rest = "".join(f"{_doubled(k, mark)}{mark}{_doubled(v, mark)}{mark}" for k, v in text.items())
    begin, end = 58, 0
    while True:
        data = end + 1, end + n_bytes
        stated = f"{mark}$BEGINDATA{mark}{data[0]}{mark}$ENDDATA{mark}{max(data[1], 0)}{mark}"
        segment = (stated + rest).encode("utf-8")
        if begin + len(segment) - 1 == end:
            break
        end = begin + len(segment) - 1
    shown = data if data[1] <= 99_999_999 else (0, 0)
    offsets = "".join(f"{o:>8}" for o in (begin, end, *shown, 0, 0))
    return f"{version}    {offsets}".encode("ascii"), segment


def _doubled(value: str, mark: str) -> str:
    return value.replace(mark, mark * 2)
