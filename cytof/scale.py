"""The arcsinh scale on arrays: ``arcsinh(x / cofactor)``, its inverse, and whether an array is already on it.

:class:`Scale` holds the scales of other software's gates (log, logicle, hyperlog, FlowJo's log and biex).

Source: Bendall et al. 2011 (cofactor 5 for mass cytometry); Gating-ML 2.0 section 6.4 (``fasinh``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COFACTOR", "Scale", "arcsinh", "inverse", "is_transformed", "to_counts"]

COFACTOR = 5.0
"""The cofactor of mass cytometry, used where a panel states none."""

_BLOCK = 16_384  # rows a block: input and output of a block stay in the cache


def arcsinh(x: NDArray, cofactor: float | NDArray = COFACTOR, *, out: NDArray | None = None) -> NDArray[np.float32]:
    """Return ``arcsinh(x / cofactor)`` as float32, block by block.

    Parameters
    ----------
    x
        Counts, shape (n_events, n_channels) or (n_events,).
    cofactor
        One number, or one a channel.
    out
        Float32 array of the shape of ``x`` to write into; may be ``x`` itself.

    Examples
    --------
    >>> arcsinh(np.array([0.0, 5.0])).round(4).tolist()
    [0.0, 0.8813999891281128]
    """
    x = np.asarray(x)
    out = np.empty(x.shape, np.float32) if out is None else out
    factor = (1.0 / np.asarray(cofactor, np.float64)).astype(np.float32)
    for start in range(0, len(x), _BLOCK):
        block = out[start : start + _BLOCK]
        np.multiply(x[start : start + _BLOCK], factor, out=block, casting="unsafe")
        np.arcsinh(block, out=block)
    return out


def inverse(y: NDArray, cofactor: float | NDArray = COFACTOR) -> NDArray[np.float32]:
    """Return the counts ``sinh(y) * cofactor`` as float32; the inverse of :func:`arcsinh`."""
    return (np.sinh(np.asarray(y, np.float32)) * np.asarray(cofactor, np.float32)).astype(np.float32)


def to_counts(value: float, cofactor: float = COFACTOR) -> float:
    """Return one threshold of the arcsinh scale in counts, in double precision."""
    return float(np.sinh(value) * cofactor)


def is_transformed(x: NDArray) -> bool:
    """Tell whether mass channels are already on the arcsinh scale.

    True when no value reaches 20 (arcsinh(x/5) = 20 would be 1.2e9 counts), the values are not whole numbers, and
    there are at least 100 events. Raw Helios files exceed 20 counts in some channel within a few events.

    Parameters
    ----------
    x
        Mass channels only, shape (n_events, n_channels).
    """
    if len(x) < 100 or x.shape[1] == 0:
        return False
    highest = np.nanmax(x)
    if not highest < 20:
        return False
    sample = x[:: max(1, len(x) // 10_000)]
    sample = sample[np.isfinite(sample) & (sample != 0)]
    return bool(sample.size) and bool(np.mean(sample != np.rint(sample)) > 0.5)


@dataclass(frozen=True)
class Scale:
    """A scale that is neither linear nor arcsinh, with the letters of Gating-ML 2.0.

    ========= ============================================================ =================
    kind      y of x                                                       letters
    ========= ============================================================ =================
    log       ``log10(x / T) / M + 1``; -inf for x <= 0                    T M
    logicle   root of ``a exp(b y) - c exp(-d y) - f = x``                 T W M A
    hyperlog  root of ``a exp(b y) + c y - f = x``                         T W M A
    fj-log    log, values below ``T / 10**M`` count as that                T M
    fj-biex   FlowJo's table, 0 to 4096, through FlowKit                   T (top) W (width) M (positive) A (negative)
    ========= ============================================================ =================

    Source: Gating-ML 2.0, sections 6.2, 6.3 and 6.5; Moore and Parks 2012 (logicle); Bagwell 2005 (hyperlog).

    Examples
    --------
    >>> scale = Scale("logicle", T=10_000, W=0.5, M=4.5, A=0.0)
    >>> scale.forward(np.array([0.0, 10_000.0])).round(6).tolist()
    [0.111111, 1.0]
    >>> scale.inverse(np.array([1.0])).round(6).tolist()
    [10000.0]
    """

    kind: str
    T: float
    W: float = 0.0
    M: float = 0.0
    A: float = 0.0

    def forward(self, x: NDArray) -> NDArray[np.float64]:
        """Return the values on the scale, float64, the shape of ``x``; NaN stays NaN."""
        x = np.asarray(x, np.float64)
        if self.kind in {"log", "fj-log"}:
            least = self.T / 10**self.M if self.kind == "fj-log" else 0.0
            with np.errstate(divide="ignore"):
                return np.log10(np.maximum(x, least) / self.T) / self.M + 1.0
        if self.kind == "fj-biex":
            return np.asarray(self._table().apply(x), np.float64)
        return self._root(x)

    def inverse(self, y: NDArray) -> NDArray[np.float64]:
        """Return the values in counts, float64, the shape of ``y``."""
        y = np.asarray(y, np.float64)
        if self.kind in {"log", "fj-log"}:
            return self.T * 10.0 ** ((y - 1.0) * self.M)
        if self.kind == "fj-biex":
            return np.asarray(self._table().inverse(y), np.float64)
        return self._value(y)[0]

    def _value(self, y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return x and dx/dy of logicle or hyperlog; below y(0) the mirror image, as both are defined."""
        decades = self.M + self.A
        w, x2, b = self.W / decades, self.A / decades, decades * math.log(10)
        x1, x0 = x2 + w, x2 + 2 * w
        sign = np.where(y < x1, -1.0, 1.0)
        y = x1 + np.abs(y - x1)
        if self.kind == "hyperlog":
            ca = math.exp(b * x0) / w
            fa = math.exp(b * x1) + ca * x1
            a = self.T / (math.exp(b) + ca - fa)
            rise = np.exp(b * y)
            return sign * a * (rise + ca * y - fa), a * (b * rise + ca)
        d = _decay(b, w)
        ca = math.exp(x0 * (b + d))
        fa = math.exp(b * x1) - ca * math.exp(-d * x1)
        a = self.T / (math.exp(b) - fa - ca * math.exp(-d))
        rise, fall = np.exp(b * y), ca * np.exp(-d * y)
        return sign * a * (rise - fall - fa), a * (b * rise + d * fall)

    def _root(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Solve for y by Newton's method from a table of 4,096 values; x outside of it widen the table."""
        finite = x[np.isfinite(x)]
        if not finite.size:
            return x.copy()
        low, high = -0.5, 1.5
        while low > -50 and self._value(np.array(low))[0] > finite.min():
            low *= 2
        while high < 50 and self._value(np.array(high))[0] < finite.max():
            high *= 1.5
        table = np.linspace(low, high, 4096)
        y = np.interp(x, self._value(table)[0], table)
        for _ in range(30):
            value, slope = self._value(y)
            step = np.where(np.isfinite(x), (value - x) / slope, 0.0)
            y -= step
            if not np.abs(step).max() > 1e-15 * max(1.0, high):
                break
        return np.where(np.isfinite(x), y, x)

    def _table(self) -> Any:
        from flowkit import transforms

        return transforms.WSPBiexTransform(negative=self.A, width=self.W, positive=self.M, max_value=self.T)


def _decay(b: float, w: float) -> float:
    """Return d of the logicle scale: the root of ``2 (ln d - ln b) + w (b + d)`` between 0 and b."""
    if w == 0:
        return b
    low, high = 0.0, b
    while True:
        d = (low + high) / 2
        if d in (low, high):
            return d
        if 2 * (math.log(d) - math.log(b)) + w * (b + d) > 0:
            high = d
        else:
            low = d
