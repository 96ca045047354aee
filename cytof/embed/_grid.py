"""The interpolated t-SNE gradient as openTSNE's optimiser calls it: for many cells, one transform there, two back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytof._neighbors._blocks import in_blocks

__all__ = ["GridGradient"]

_ROWS = 4096
_STEP, _FEWEST = 0.5, 100  # between nodes at most; steps over the width of the map at least
_FINER = 2**0.25  # ratio of one step to the next smaller one


class GridGradient:
    """Divergence and gradient by interpolation on a grid; keeps the transformed kernels from one call to the next.

    Repulsion is a convolution of the cells with ``d / (1 + |d|^2)^2``. Cells are spread over the 16 nodes around them
    by cubic interpolation, convolved by Fourier transform and read back with the same weights. FIt-SNE and openTSNE
    convolve four charges with ``1 / (1 + |d|^2)^2`` and subtract; taking the force itself for the kernel needs one
    transform there and two back, loses nothing by subtraction, and so does with float32. The sum of all
    ``1 / (1 + |d|^2)`` is read off the spectrum.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> P = csr_matrix(np.array([[0, 0.5], [0.5, 0]], np.float32))
    >>> bool(abs(GridGradient()(np.array([[0.0, 0.0], [1.0, 0.0]]), P)[1]).max() < 1e-3)
    True

    Source: Linderman et al. 2019, Nat Methods 16:243 (interpolation and Fourier transform).
    """

    def __init__(self) -> None:
        self._made: tuple[float, int] = (0.0, 0)
        self._kernels: NDArray[np.complex64]
        self._itself = 1.0

    def __call__(
        self, embedding: NDArray[np.float64], P: Any, *, n_jobs: int = 1, should_eval_error: bool = False, **_: Any
    ) -> tuple[float, NDArray[np.float64]]:
        """Return the Kullback-Leibler divergence (0 unless asked for) and the gradient, scaled as openTSNE does.

        Parameters
        ----------
        embedding
            Places, shape (n_cells, 2).
        P
            Affinities, float32 CSR, shape (n_cells, n_cells), sum 1 (or the exaggeration).
        n_jobs
            Threads.
        should_eval_error
            Whether to take the divergence too.
        """
        from cytof.embed._grid_kernels import attract

        places = np.ascontiguousarray(embedding)
        apart, q = self._repulsion(places, n_jobs)
        x, y = np.ascontiguousarray(places.T, np.float32)
        pulled = np.empty((len(places), 2), np.float32)

        def block(start: int, stop: int) -> NDArray[np.float64]:
            sums = np.zeros(2)
            attract(x, y, P.indptr, P.indices, P.data, start, pulled[start:stop], sums, should_eval_error)
            return sums

        p, log_ratio = np.sum(in_blocks(block, len(places), _ROWS, n_jobs), axis=0)
        divergence = float(log_ratio + p * np.log(q)) if should_eval_error else 0.0
        return divergence, pulled - apart / np.float64(q)

    def _repulsion(self, places: NDArray[np.float64], n_jobs: int) -> tuple[NDArray[np.float32], float]:
        """Return the sum over all other cells of ``q^2 d``, shape (n_cells, 2), and that of q over all pairs."""
        from scipy import fft

        from cytof.embed._grid_kernels import gather, spread

        low, high = places.min(0), places.max(0)
        step = self._fit(float((high - low).max()))
        n = self._kernels.shape[1]
        nodes = n // 2
        left, below = (low + high) / 2 - step * (nodes - 1) / 2
        grid = np.zeros((nodes, nodes), np.float32)
        spread(places, left, below, step, grid)
        spectrum = fft.fft(fft.rfft(grid, n, axis=1, workers=n_jobs), n, axis=0, overwrite_x=True, workers=n_jobs)
        fields = np.empty((2, nodes, nodes), np.float32)
        for axis in (0, 1):
            back = fft.ifft(spectrum * self._kernels[axis], axis=0, overwrite_x=True, workers=n_jobs)[:nodes]
            fields[axis] = fft.irfft(back, n, axis=1, workers=n_jobs)[:, :nodes]
        out = np.empty((len(places), 2), np.float32)
        in_blocks(
            lambda start, stop: gather(places, start, left, below, step, fields, out[start:stop]),
            len(places), _ROWS, n_jobs,
        )  # fmt: skip
        power = spectrum.real**2 + spectrum.imag**2
        power[:, 1 : (n + 1) // 2] *= 2  # the half of the spectrum that is left out
        total = np.einsum("ij,ij->", power, self._kernels[2].real, dtype=np.float64) / n**2
        return out, float(total) - self._itself * len(places)

    def _fit(self, width: float) -> float:
        """Return the step between nodes, and make kernels for a grid that holds a map so wide."""
        from scipy import fft

        most = max(width, 1e-12) / _FEWEST
        step = _STEP if most >= _STEP else _STEP * _FINER ** np.floor(np.log(most / _STEP) / np.log(_FINER))
        nodes = int(np.ceil(width / step)) + 5
        made, n = self._made
        if made != step or n < 2 * nodes or n > 3 * nodes:
            n = 2 * fft.next_fast_len(int(1.1 * nodes), real=True)
            self._made, self._kernels, self._itself = (step, n), _kernels(step, n), _itself(step)
        return step


def _kernels(step: float, n: int) -> NDArray[np.complex64]:
    """Return the spectra of ``q^2 d`` along both axes and of q, shape (3, n, n // 2 + 1)."""
    from scipy import fft

    away = step * fft.fftfreq(n, 1 / n)
    x, y = away[:, None], away[None, :]
    q = 1 / (1 + x * x + y * y)
    return np.stack([fft.rfft2(k).astype(np.complex64) for k in (q * q * x, q * q * y, q)])


def _itself(step: float) -> float:
    """Return what interpolation makes of a cell's q with itself, which is 1: the mean over places between nodes."""
    t = (np.arange(16) + 0.5) / 16
    weights = np.stack([-t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2,
                        -(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6])  # fmt: skip
    apart = step * np.arange(-3, 4)
    pairs = np.mean([np.correlate(w, w, "full") for w in weights.T], axis=0)  # how often nodes are so far apart
    return float(pairs @ (1 / (1 + apart[:, None] ** 2 + apart[None] ** 2)) @ pairs)
