"""The DATA segment -> float32, in blocks that stay in the cache: read, swap, look for what is not finite.

One array of the size of the result and nothing of that size beside it.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cytof.errors import ResourceError
from cytof.io._coding import Coding
from cytof.io._header import Notes
from cytof.io._place import Place

__all__ = ["Tally", "check_text_mode", "read_matrix"]

_BLOCK_BYTES = 1 << 19
_SAMPLE_BYTES = 1 << 18
_INFINITY = 0x7F800000
_NATIVE = "<" if sys.byteorder == "little" else ">"


class Tally:
    """Counts, per channel, of values that are not finite or below zero.

    Examples
    --------
    >>> tally = Tally(2)
    >>> tally.add(np.array([[1.0, np.nan], [-1.0, 2.0]], np.float32))
    >>> tally.odd.tolist(), tally.negative.tolist()
    ([0, 1], [1, 0])
    """

    def __init__(self, n_channels: int) -> None:
        self.odd = np.zeros(n_channels, np.int64)
        self.negative = np.zeros(n_channels, np.int64)

    def add(self, block: NDArray[np.float32]) -> None:
        """Count in one block; quick when all is well."""
        if not block.size:
            return
        # as unsigned numbers, finite floats from 0 up lie below the bits of +inf: one pass tells that all is well
        if block.view(np.uint32).max() < _INFINITY:
            return
        self.odd += (~np.isfinite(block)).sum(axis=0)
        self.negative += (block < 0).sum(axis=0)


def read_matrix(
    handle: BinaryIO, code: Coding, place: Place, columns: list[int], rows: NDArray[np.int64] | slice, notes: Notes
) -> tuple[NDArray[np.float32], Tally]:
    """Return the events as float32, shape (n_rows, n_columns), and the tally of odd values.

    Parameters
    ----------
    columns
        Places of the channels wanted.
    rows
        Row numbers, or a slice with step 1.

    Raises
    ------
    FCSError
        The file became shorter while it was read.
    ResourceError
        The result does not fit into the memory that is free.
    """
    n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
    _check_memory(n_rows * len(columns) * 4, notes)
    out = np.empty((n_rows, len(columns)), np.float32)
    tally = Tally(len(columns))
    if not out.size:
        return out, tally
    whole = columns == list(range(len(code.kinds)))
    per_block = max(1, _BLOCK_BYTES // max(code.event_size, 4 * len(columns)))
    if isinstance(rows, slice) and whole and code.uniform and code.kinds[0] == "F":
        handle.seek(place.begin + rows.start * code.event_size)
        _read_floats(handle, out, per_block, code.order, tally, notes)
        return out, tally
    raw = np.memmap(handle, np.uint8, "r", place.begin, (place.n_events, code.event_size))
    starts = np.concatenate([[0], np.cumsum(code.widths)])
    for start in range(0, n_rows, per_block):
        stop = min(start + per_block, n_rows)
        where = slice(rows.start + start, rows.start + stop) if isinstance(rows, slice) else rows[start:stop]
        chunk = np.asarray(raw[where])
        for j, column in enumerate(columns):
            piece = chunk[:, starts[column] : starts[column + 1]]
            out[start:stop, j] = _values(piece, code.kinds[column], code.masks[column], code.order)
        tally.add(out[start:stop])
    return out, tally


def _read_floats(
    handle: BinaryIO, out: NDArray[np.float32], per_block: int, order: str, tally: Tally, notes: Notes
) -> None:
    """Fill ``out`` with consecutive 32-bit floats; foreign byte order goes through a buffer that stays in the cache."""
    swap = order != _NATIVE
    buffer = np.empty((min(per_block, len(out)), out.shape[1]), np.uint32) if swap else None
    for start in range(0, len(out), per_block):
        block = out[start : start + per_block]
        target = block if buffer is None else buffer[: len(block)]
        if handle.readinto(target.data.cast("B")) != block.nbytes:  # type: ignore[attr-defined]
            raise notes.error("DATA", "ended while it was read", "the file is being changed; read it again")
        if swap:
            block.view(np.uint32)[:] = target.view(np.dtype(np.uint32).newbyteorder())
        tally.add(block)


def _values(piece: NDArray[np.uint8], kind: str, mask: int, order: str) -> NDArray:
    """Return one channel of a block from its bytes, shape (n, width)."""
    width = piece.shape[1]
    if kind != "I":
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(piece).view(f"{order}f{width}")[:, 0].astype(np.float32)
    full = 1 << (width - 1).bit_length()
    if full != width:  # 24, 40, 48 and 56 bits: fill up with zero bytes
        wide = np.zeros((len(piece), full), np.uint8)
        if order == "<":
            wide[:, :width] = piece
        else:
            wide[:, full - width :] = piece
        piece = wide
    numbers = np.ascontiguousarray(piece).view(f"{order}u{full}")[:, 0]
    return numbers & np.array(mask, numbers.dtype.newbyteorder("=")) if mask else numbers


def _check_memory(need: int, notes: Notes) -> None:
    try:
        with open("/proc/meminfo") as file:  # noqa: PTH123
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return
    if need > free:
        raise ResourceError(
            f"needs {need / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free",
            where=f"{notes.path}:DATA",
            hint="read part of it with channels= or events=",
        )


def check_text_mode(handle: BinaryIO, place: Place, n_bytes: int, size: int, notes: Notes) -> None:
    """Refuse DATA that went through a text-mode transfer (LF became CR LF) or a text editor (bytes became U+FFFD).

    Raises
    ------
    FCSError
        Every LF follows a CR, or replacement characters run through the binary data.
    """
    handle.seek(place.begin)
    sample = handle.read(min(n_bytes, _SAMPLE_BYTES))
    feeds, pairs = sample.count(b"\n"), sample.count(b"\r\n")
    trailing = size - place.begin - n_bytes
    if feeds and feeds == pairs and (feeds >= 4 or (n_bytes <= _SAMPLE_BYTES and 0 < trailing == feeds)):
        raise notes.error(
            "DATA", f"each of {feeds} LF bytes follows a CR: sent as text", "transfer the file again in binary mode"
        )
    lost = sample.count(b"\xef\xbf\xbd")
    dense = sample.count(b"\xef\xbf\xbd" * 2) >= 2 or lost > max(8, len(sample) // 200)
    if dense and n_bytes < 256:  # too few bytes to be sure
        notes.add(
            "DATA", f"{lost} replacement characters: perhaps saved in a text editor", "read the values as they are"
        )
    elif dense:
        raise notes.error("DATA", f"{lost} replacement characters: saved in a text editor", "take the original file")
