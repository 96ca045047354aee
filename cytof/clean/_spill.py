"""Spillover correction: what one metal's signal leaves in other channels is taken out, event by event.

Source: Chevrier et al. 2018, Cell Syst 6:612 (spillover of mass cytometry, non-negative least squares, CATALYST).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import one_of
from cytof.clean._debarcode_core import in_blocks
from cytof.clean._debarcode_key import channel_of, named_rows
from cytof.errors import Caution, InputError, PanelError, SheetError, UsageError, raise_all
from cytof.events import Events
from cytof.panel.channel import ISOTOPES, parse_metal

__all__ = ["compensate", "neighbours_of", "read_spill"]

_BLOCK = 8_192
_SINGULAR = 1e6  # condition number above which two channels cannot be told apart
_OXYGEN = 16


def neighbours_of(channels: Events | Iterable[str]) -> pd.DataFrame:
    """List the pairs of channels between which spill is physically possible.

    Parameters
    ----------
    channels
        Events, or channels in any spelling (``Nd142``, ``142Nd_CD19``). Those without a metal are passed over.

    Returns
    -------
    DataFrame
        ``from to kind``: ``M-1`` and ``M+1`` (abundance sensitivity of the detector), ``isotope`` (``to`` measures
        another natural isotope of the metal of ``from``, the impurity of enriched metals), ``oxide`` (``MO+``, M + 16).
        A pair with two causes has two rows.

    References
    ----------
    Chevrier et al. 2018, Cell Syst 6:612; Coursey et al., NIST isotopic compositions.

    Examples
    --------
    >>> neighbours_of(["La139", "Gd155", "Gd156"]).values.tolist()
    [['La139', 'Gd155', 'oxide'], ['Gd155', 'Gd156', 'M+1'], ['Gd155', 'Gd156', 'isotope'], ['Gd156', 'Gd155', 'M-1'], \
['Gd156', 'Gd155', 'isotope']]
    """
    if isinstance(channels, Events | str):
        channels = [channels] if isinstance(channels, str) else channels.channels.index
    names = [str(c) for c in channels]
    metals = [(name, *metal) for name in names if (metal := parse_metal(name))]
    rows = [
        (source, target, kind)
        for source, element, mass in metals
        for target, _, other in metals
        if source != target
        for kind in _kinds(element, mass, other)
    ]
    return pd.DataFrame(rows, columns=["from", "to", "kind"])


def _kinds(element: str, mass: int, other: int) -> list[str]:
    step = other - mass
    found = [f"M{step:+d}"] if abs(step) == 1 else []
    if step and other in ISOTOPES[element]:
        found.append("isotope")
    return [*found, "oxide"] if step == _OXYGEN else found


def read_spill(path: str | Path) -> pd.DataFrame:
    r"""Read a spillover matrix: rows emit, columns receive, fractions with 1 on the diagonal; blank cells are 0.

    CSV, TSV or XLSX as CATALYST or FlowJo users keep it; first column and header name the channels in any spelling.

    Returns
    -------
    DataFrame, float64, shape (n_emitting, n_receiving), channels as ``Nd142`` where they have a metal.

    Raises
    ------
    SheetError
        All faults at once, each ``file:row: column``: no number, below 0, above 1, a diagonal that is not 1, a row
        without its column.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "spill.csv"
    >>> _ = path.write_text(",Nd142Di,Nd143Di\nNd142Di,1,0.02\nNd143Di,,1\n")
    >>> read_spill(path).loc["Nd142"].tolist()
    [1.0, 0.02]
    """
    path = Path(path)
    hint = "channels in the first row and the first column, fractions in the cells"
    header, rows = named_rows(path, "spillover matrix", hint)
    columns = [_plain(c) for c in header]
    faults, values, names = [], [], []
    for where, name, cells in rows:
        numbers = []
        for column, cell in zip(header, cells, strict=True):
            number, fault = _fraction(cell, _plain(name) == _plain(column))
            numbers.append(number)
            if fault:
                faults.append(SheetError(f"{column}: {fault[0]}", where=where, hint=fault[1]))
        if _plain(name) not in columns:
            faults.append(SheetError(f"`{name}` has no column", where=where, hint="every row needs its column"))
        names.append(_plain(name))
        values.append(numbers)
    for what, found in (("column", columns), ("row", names)):
        twice = [c for c in dict.fromkeys(found) if found.count(c) > 1]
        if twice:
            faults.append(SheetError(f"channel {twice[0]} has two {what}s", where=str(path), hint="keep one"))
    raise_all(faults)
    return pd.DataFrame(values, index=pd.Index(names, name="channel"), columns=columns, dtype=float)


def _plain(name: str) -> str:
    metal = parse_metal(name)
    return f"{metal[0]}{metal[1]}" if metal else name


def _fraction(cell: str, diagonal: bool) -> tuple[float, tuple[str, str] | None]:
    """Return a cell as a number, and what is wrong with it and the remedy."""
    try:
        value = float((cell if "." in cell else cell.replace(",", ".")) or 0)
    except ValueError:
        return 0.0, (f"'{cell}' is not a number", "write fractions, 0.02 for 2 %")
    if diagonal and value != 1:
        return value, (f"{cell or 'blank'} on the diagonal, expected 1", "divide each row by its diagonal")
    if not 0 <= value <= 1:
        return value, (f"{cell} is no fraction from 0 to 1", "write fractions, 0.02 for 2 %")
    return value, None


def compensate(
    events: Events, spill: pd.DataFrame | str | Path, *, method: str = "nnls", n_jobs: int | None = None
) -> Events:
    """Take the spillover out of the counts.

    ``nnls``: for each event the non-negative signals ``x`` that least-squares fit the counts ``y`` as ``x S``. Values
    below zero (dither, noise) become 0. ``linear``: ``x = y S^-1``, which may be negative.

    Comes before :func:`find_beads`, :func:`intact` and gating: flags and regions made earlier were placed on the
    counts as measured. What it returns are signals, no longer counts of ions.

    Parameters
    ----------
    events
        Counts of one file.
    spill
        Emitting x receiving channels, fractions, 1 on the diagonal (see :func:`estimate_spill`), or the path of such a
        table (see :func:`read_spill`). Channels that receive but have no row emit nothing. Channels that are not in
        the matrix stay as they are; those of the matrix that the file lacks are left out, with a caution.
    method
        ``"nnls"`` or ``"linear"``.
    n_jobs
        Threads; they change no byte.

    Returns
    -------
    Events with a new ``X`` and a step record with the counts ``events changed not_corrected``. Events with NaN or
    infinity in a channel of the matrix stay as they are, with a caution.

    Raises
    ------
    SheetError, InputError
        The matrix is wrong, or two of its channels cannot be told apart.
    PanelError
        The file has none of its channels.
    UsageError
        ``method`` is unknown, or the events were compensated already.

    Examples
    --------
    >>> S = pd.DataFrame([[1, 0.1], [0, 1]], index=["Nd142", "Nd143"], columns=["Nd142", "Nd143"])
    >>> X = np.array([[100, 10], [100, 60], [0, 0]], np.float32)
    >>> compensate(Events(X, pd.DataFrame(index=["Nd142", "Nd143"]), {}, "s1"), S).X.tolist()
    [[100.0, 0.0], [100.0, 50.0], [0.0, 0.0]]
    """
    one_of(method, ["nnls", "linear"], "method")
    if any(step["step"] == "compensate" for step in events.steps):
        raise UsageError("compensated already", where=events.sample_id, hint="correct the counts as measured, once")
    where = str(spill) if isinstance(spill, str | Path) else "spillover matrix"
    matrix = read_spill(spill) if isinstance(spill, str | Path) else pd.DataFrame(spill)
    channels, S, missing = _square(events, matrix, where)
    places = np.array([events.channels.index.get_loc(c) for c in channels])
    X = np.array(events.X, np.float32, order="C")
    changed, broken, failed = _corrected(X, places, S, method, n_jobs)
    cautions = _cautions(events, missing, broken + failed)
    pairs = [(int(i), int(j)) for i, j in zip(*np.nonzero(S), strict=True) if i != j]
    table: dict[str, dict[str, float]] = {}
    for i, j in pairs:
        table.setdefault(channels[i], {})[channels[j]] = round(float(S[i, j]), 6)
    step = {
        "step": "compensate",
        "params": {"method": method, "channels": channels, "spill": table},
        "counts": {"events": len(events), "changed": changed, "not_corrected": broken + failed},
    }
    return events.replace(X=X, steps=(*events.steps, step), warnings=(*events.warnings, *cautions))


def _square(events: Events, matrix: pd.DataFrame, where: str) -> tuple[list[str], NDArray[np.float64], list[str]]:
    """Return the channels of the file that are in the matrix, in its order, the matrix among them, and the others."""
    if (
        matrix.shape[1]
        and not pd.api.types.is_numeric_dtype(matrix.iloc[:, 0])
        and matrix.index.equals(pd.RangeIndex(len(matrix)))
    ):
        matrix = matrix.set_index(matrix.columns[0])  # as `pandas.read_csv` leaves it
    columns = [str(c) for c in matrix.columns]
    index = [str(c) for c in matrix.index]
    values = matrix.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    fault, hint = "", ""
    if not values.size:
        fault = "it is empty"
    elif not (np.isfinite(values) & (values >= 0)).all():
        fault = "it holds NaN, text or values below 0"
    elif odd := [c for c in index if c not in columns]:
        fault = f"row{'s' * (len(odd) > 1)} {', '.join(odd)} without a column"
    elif odd := [c for names in (index, columns) for c in dict.fromkeys(names) if names.count(c) > 1]:
        fault = f"channel {odd[0]} stands twice"
    elif odd := [c for c, row in zip(index, values, strict=True) if abs(row[columns.index(c)] - 1) > 1e-6]:
        fault, hint = f"the diagonal is not 1 for {', '.join(odd)}", "divide each row by its diagonal"
    if fault:
        raise InputError(fault, where=where, hint=hint)
    full = np.eye(len(columns))
    full[[columns.index(c) for c in index]] = values
    channel = {c: channel_of(events, c) for c in columns}
    held = [c for c in columns if channel[c]]
    if not held:
        raise PanelError(
            f"{events.sample_id} has none of the channels {', '.join(columns)}",
            where=where,
            hint="name them by metal or antigen",
        )
    if len({channel[c] for c in held}) < len(held):
        raise PanelError(f"two names for one channel among {', '.join(held)}", where=where, hint="keep one")
    S = full[np.ix_([columns.index(c) for c in held], [columns.index(c) for c in held])]
    if np.linalg.cond(S) > _SINGULAR:
        raise InputError("two channels emit alike, so that they cannot be told apart", where=where)
    return [channel[c] for c in held], S, [c for c in columns if not channel[c]]


def _corrected(
    X: NDArray[np.float32], places: NDArray[np.intp], S: NDArray[np.float64], method: str, n_jobs: int | None
) -> tuple[int, int, int]:
    """Correct the columns ``places`` of ``X`` in place; return how many events changed, were no number, had no fit."""
    inverse = np.linalg.inv(S) if method == "linear" else S
    gram = np.ascontiguousarray(S @ S.T)
    S = np.ascontiguousarray(S)
    starts = np.r_[0, np.cumsum((gram != 0).sum(axis=1))].astype(np.int64)
    others = np.nonzero(gram)[1].astype(np.int64)

    def work(start: int, stop: int) -> tuple[int, int, int]:
        from cytof.clean._spill_kernels import solve_linear, solve_nonnegative

        before = X[start:stop, places]
        Y = before.astype(np.float64, order="C")
        good = np.isfinite(Y).all(axis=1)
        if not good.all():
            Y[~good] = 0
        failed = solve_nonnegative(Y, S, gram, starts, others) if method == "nnls" else solve_linear(Y, inverse)
        after = Y.astype(np.float32)
        if failed or not good.all():
            kept = ~good | np.isnan(after[:, 0])
            after[kept] = before[kept]
        X[start:stop, places] = after
        return int((after[good] != before[good]).any(axis=1).sum()), int((~good).sum()), failed

    parts = in_blocks(work, len(X), n_jobs, _BLOCK)
    changed, broken, failed = np.array(parts, int).reshape(-1, 3).sum(axis=0)
    return int(changed), int(broken), int(failed)


def _cautions(events: Events, missing: list[str], left: int) -> list[Caution]:
    where = f"{events.sample_id}:compensate"
    told = []
    if missing:
        told.append(Caution(where, f"the file lacks {', '.join(missing)} of the matrix", "left their spill in"))
    if left:
        told.append(Caution(where, f"{left:,} events with NaN or infinity", "left them as measured"))
    if events.regions or events.flags.shape[1]:
        names = ", ".join(dict.fromkeys([*events.flags.columns, *events.regions]))
        told.append(Caution(where, f"flags and regions from before: {names}", "kept them; compensate first"))
    return told
