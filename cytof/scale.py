"""The arcsinh scale on arrays: ``arcsinh(x / cofactor)``, its inverse, and whether an array is already on it.

Source: Bendall et al. 2011 (cofactor 5 for mass cytometry); Gating-ML 2.0 section 6.4 (``fasinh``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["COFACTOR", "arcsinh", "inverse", "is_transformed", "to_counts"]

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
