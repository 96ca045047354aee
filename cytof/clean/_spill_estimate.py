"""Spillover matrix from beads that each carry one metal.

Source: Chevrier et al. 2018, Cell Syst 6:612; the default estimate that CATALYST documents for ``computeSpillmat``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import in_range, one_of
from cytof.clean._debarcode import debarcode
from cytof.clean._debarcode_key import on_channels
from cytof.clean._spill import neighbours_of
from cytof.errors import CytofWarning, InputError, UsageError
from cytof.events import Events
from cytof.panel.channel import parse_metal

__all__ = ["estimate_spill"]

_FEW = 50  # beads below which a channel's spill is not estimated
_LEAST = 1e-5  # smaller fractions are 0, as in CATALYST


def estimate_spill(
    beads: Events,
    singles: Iterable[str],
    *,
    interactions: str = "default",
    trim: float = 0.5,
    cofactor: float = 10.0,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Estimate the spillover matrix from single-stained beads.

    Each bead is assigned to its channel as a barcode with one positive channel is (:func:`debarcode`, cutoffs
    estimated; doublets stay out). The fraction that channel ``i`` leaves in ``j`` is the median over the beads of ``i``
    of ``(y_j - b_j) / (y_i - b_i)``; the background ``b`` of a channel is its median over the assigned beads that
    neither carry its metal nor could leave signal in it. Negative fractions are 0.

    Parameters
    ----------
    beads
        Counts of one file with beads of all stains pooled; not compensated.
    singles
        The stained channels (metal, mass or antigen), at least two; of a mapping, its keys.
    interactions
        ``"default"`` estimates the pairs of :func:`neighbours_of`, all others are 0; ``"all"`` every pair.
    trim
        Share cut off at each end of the ratios and backgrounds before they are averaged, 0 to 0.5; 0.5 is the median.
        With few counts a smaller one (0.1) is nearer to the truth, for the median of counts is a whole number.
    cofactor
        Of the arcsinh on which beads are assigned.
    n_jobs
        Threads; they change no byte.

    Returns
    -------
    DataFrame, float64: rows are the stained channels (emit); columns the same, then further metal channels of the file
    that receive something. 1 on the diagonal. ``attrs["n_beads"]`` tells the beads of each row.

    Raises
    ------
    InputError
        No channel has 50 beads.
    PanelError
        The file lacks channels of ``singles``.
    UsageError
        Fewer than two channels, or a setting is out of its range.

    Warns
    -----
    CytofWarning
        Channels with fewer than 50 beads: they emit nothing in the matrix.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names = ["Nd142", "Nd143", "Nd144"]
    >>> S = np.array([[1, 0.02, 0], [0, 1, 0.03], [0, 0, 1]])
    >>> stain = np.repeat(np.eye(3), 500, axis=0) * rng.lognormal(7, 0.3, (1500, 1))
    >>> X = rng.poisson(stain @ S).astype(np.float32)
    >>> found = estimate_spill(Events(X, pd.DataFrame(index=names), {}, "beads"), names)
    >>> bool(np.abs(found.to_numpy() - S).max() < 0.002)
    True
    """
    one_of(interactions, ["default", "all"], "interactions")
    in_range(trim, 0, 0.5, "trim")
    singles = [str(s) for s in singles] if not isinstance(singles, str) else [singles]
    if len(singles) < 2:
        raise UsageError(f"{len(singles)} single-stained channel, expected at least two", where=beads.sample_id)
    stained = on_channels(beads, singles, where="singles")
    key = pd.DataFrame(np.eye(len(stained), dtype=np.uint8), index=stained, columns=stained)
    codes = (
        debarcode(beads, key, cofactor=cofactor, max_distance=None, n_jobs=n_jobs).assignment.cat.codes.to_numpy() - 1
    )
    n_beads = np.bincount(codes[codes >= 0], minlength=len(stained))
    _tell_few(beads.sample_id, stained, n_beads)
    metals = [str(c) for c in beads.channels.index if parse_metal(str(c)) or c in stained]
    columns = [*stained, *(c for c in metals if c not in stained)]
    reach = _reach(columns, stained)
    matrix = np.eye(len(stained), len(columns))
    groups = _Groups(beads, codes, columns, reach, trim)
    for i in range(len(stained)):
        if n_beads[i] >= _FEW:
            targets = [j for j in range(len(columns)) if j != i and (interactions == "all" or reach[i, j])]
            matrix[i, targets] = groups.fractions(i, targets)
    received = (matrix > 0).any(axis=0)
    spill = pd.DataFrame(matrix, index=pd.Index(stained, name="channel"), columns=columns).loc[:, received]
    spill.attrs["n_beads"] = {c: int(n) for c, n in zip(stained, n_beads, strict=True)}
    return spill


def _tell_few(sample_id: str, stained: list[str], n_beads: NDArray[np.intp]) -> None:
    """Warn of channels with too few beads; raise where no channel has enough."""
    few = [f"{c} ({n})" for c, n in zip(stained, n_beads, strict=True) if n < _FEW]
    if len(few) == len(stained):
        found = f"fewer than {_FEW} beads in every channel: {', '.join(few)}"
        raise InputError(found, where=sample_id, hint="is this the file of the single-stained beads?")
    if few:
        text = f"{sample_id}: fewer than {_FEW} beads of {', '.join(few)}; their spill was not estimated"
        warnings.warn(text, CytofWarning, stacklevel=3)


def _reach(columns: list[str], stained: list[str]) -> NDArray[np.bool_]:
    """Tell which of the stained channels could leave signal in which column."""
    pairs = neighbours_of(columns)
    reach = np.zeros((len(stained), len(columns)), bool)
    for source, target in zip(pairs["from"], pairs["to"], strict=True):
        if source in stained:
            reach[stained.index(source), columns.index(target)] = True
    return reach


class _Groups:
    """Beads by stain, and the background of each channel."""

    def __init__(
        self, beads: Events, codes: NDArray, columns: list[str], reach: NDArray[np.bool_], trim: float
    ) -> None:
        self.places = [beads.channels.index.get_loc(c) for c in columns]
        self.X, self.codes, self.trim = beads.X, codes, trim
        self.rows = [np.flatnonzero(codes == i) for i in range(len(reach))]
        self.background = [self._background(j, reach[:, j]) for j in range(len(columns))]

    def _background(self, j: int, reaching: NDArray[np.bool_]) -> float:
        quiet = [rows for i, rows in enumerate(self.rows) if i != j and not reaching[i]]
        values = self.X[np.concatenate(quiet), self.places[j]] if quiet else np.empty(0)
        return _trimmed(values, self.trim) if len(values) else 0.0

    def fractions(self, i: int, targets: list[int]) -> NDArray[np.float64]:
        """Return what stain ``i`` leaves in each of ``targets``, as a fraction of its own signal."""
        rows = self.rows[i]
        own = self.X[rows, self.places[i]].astype(float) - self.background[i]
        found = []
        for j in targets:
            other = self.X[rows, self.places[j]].astype(float) - self.background[j]
            ratio = other[own > 0] / own[own > 0]
            value = _trimmed(ratio, self.trim) if len(ratio) else 0.0
            found.append(value if value >= _LEAST else 0.0)
        return np.array(found)


def _trimmed(values: NDArray, trim: float) -> float:
    """Return the mean without the share ``trim`` at each end; the median for 0.5. NaN counts for nothing."""
    values = np.sort(values[np.isfinite(values)].astype(float))
    if not len(values):
        return 0.0
    cut = int(trim * len(values))
    if 2 * cut >= len(values) - 1:
        return float(np.median(values))
    return float(values[cut : len(values) - cut].mean())
