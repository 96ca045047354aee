"""What a file's events tell beyond their values: trailing bytes, odd values, Time that starts again, a scale."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import scale
from cytof.io._data import Tally, check_text_mode, read_matrix
from cytof.io._dataset import DataSet
from cytof.io._header import Notes
from cytof.io._scan import FCSHeader

__all__ = ["already_arcsinh", "back_to_counts", "check_data", "linearized", "tell_tally", "tell_time"]


def check_data(handle: BinaryIO, found: DataSet, size: int, notes: Notes) -> None:
    """Refuse DATA that was sent as text; note bytes behind the last event."""
    n_bytes = found.place.n_events * found.coding.event_size
    if not n_bytes:
        return
    check_text_mode(handle, found.place, n_bytes, size, notes)
    behind = size - found.place.begin - n_bytes
    if 0 < behind <= 1 << 20 and found.header.analysis is None:
        handle.seek(found.place.begin + n_bytes)
        if len(handle.read(behind).strip(b" \0\r\n\t0")) > 9 and "$NEXTDATA" not in "".join(
            c.where for c in notes.cautions
        ):
            notes.add("DATA", f"{behind} bytes behind the last event", "passed over", "note")


def already_arcsinh(handle: BinaryIO, found: DataSet, masses: list[int], notes: Notes) -> bool:
    """Tell whether the whole file is on the arcsinh scale, whatever part of it was asked for."""
    n_events = found.place.n_events
    if n_events < 100 or not masses:
        return False
    for start in range(0, n_events, 10_000):
        part = slice(start, min(start + 10_000, n_events))
        block, _ = read_matrix(handle, found.coding, found.place, masses, part, notes)
        if not np.isfinite(block).any():
            return False
        if len(block) >= 100 and not scale.is_transformed(block) and (start == 0 or not np.nanmax(block) < 20):
            return False
    return True


def back_to_counts(X: NDArray[np.float32], table: pd.DataFrame, notes: Notes) -> None:
    """Bring the mass channels back to counts in place, each with its cofactor, and say so."""
    masses = np.flatnonzero(table["mass"].to_numpy() > 0)
    cofactors = table["cofactor"].to_numpy(float)[masses]
    for start in range(0, len(X), 65_536):
        block = X[start : start + 65_536]
        block[:, masses] = scale.inverse(block[:, masses], cofactors)
    shown = ", ".join(f"{c:g}" for c in np.unique(cofactors))
    notes.add(
        "DATA",
        "already arcsinh-transformed: no mass channel reaches 20, and the values are not whole numbers",
        f"brought back to counts with cofactor {shown}; not transformed twice",
    )


def tell_tally(tally: Tally, table: pd.DataFrame, notes: Notes) -> None:
    """Say how many values are not finite or below zero, and where."""
    for what, counts, level in (("not finite", tally.odd, "warning"), ("below zero", tally.negative, "note")):
        hit = np.flatnonzero(counts)
        if hit.size:
            shown = ", ".join(f"{table.index[i]} {counts[i]}" for i in hit[:8]) + (" ..." if hit.size > 8 else "")
            notes.add("DATA", f"{counts.sum()} values {what} in {hit.size} channels ({shown})", "kept", level)


def tell_time(X: NDArray[np.float32], table: pd.DataFrame, header: FCSHeader, notes: Notes) -> None:
    """Say where the unit of Time is unknown and where Time starts again."""
    places = np.flatnonzero(table["role"].to_numpy() == "time")
    if not places.size:
        return
    step = header.keywords.get("$TIMESTEP", "").strip()
    if step and not step.replace(".", "", 1).replace("e-", "", 1).replace("E-", "", 1).isdigit():
        notes.add("$TIMESTEP", f"is {step!r:.40}, expected a number of seconds", "left Time as it is in the file")
    time = X[:, places[0]]
    if len(time) > 1:
        with np.errstate(invalid="ignore"):
            resets = int(np.sum(np.diff(time) < -0.5 * np.nanmax(time))) if np.isfinite(time).any() else 0
        if resets:
            what = f"Time starts again {resets} times: concatenated files" if resets <= 20 else "not in order of Time"
            notes.add("DATA", what, "kept the order", "note")


def linearized(X: NDArray[np.float32], header: FCSHeader, columns: list[int]) -> None:
    """Scale logarithmic integer channels: ``10 ** (f1 * x / range) * f2`` (FCS 3.1, section 3.2.20)."""
    for j, column in enumerate(columns):
        text = header.keywords.get(f"$P{column + 1}E", "0,0").replace(" ", "").split(",")
        try:
            decades, offset = float(text[0]), float(text[1])
            top = float(header.keywords.get(f"$P{column + 1}R", "nan"))
        except (ValueError, IndexError):
            continue
        if header.kinds[column] == "I" and decades > 0 and top > 0:
            X[:, j] = 10 ** (decades * X[:, j].astype(float) / top) * (offset or 1.0)
