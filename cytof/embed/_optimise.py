"""The optimisation of a t-SNE map: how long it runs, when it stops by itself, and who watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof.embed._gradient import exact_gradient
from cytof.embed._grid import GridGradient

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["Schedule", "learning_rate", "optimise"]

_EXACT = 8_000  # up to so many cells all pairs are taken; beyond, interpolation is faster
_EXAGGERATION = 12
_LOOK, _SETTLED = 10, 0.1  # iterations between looks at the divergence; share of the steepest fall that counts as flat
_EVERY = 50  # iterations between calls of the watcher


@dataclass(frozen=True)
class Schedule:
    """How long a map is optimised.

    Attributes
    ----------
    n_iter
        Iterations after early exaggeration.
    exaggerated
        Iterations of early exaggeration at most; they end earlier once the divergence falls at less than a tenth of its
        steepest rate.
    progress
        Called every 50 iterations with the iteration (counted from the start), the Kullback-Leibler divergence and the
        places, float64, shape (n_cells fitted, 2), cells in canonical order; what is true ends the optimisation there.

    Examples
    --------
    >>> Schedule(n_iter=250).exaggerated
    250
    """

    n_iter: int = 500
    exaggerated: int = 250
    progress: Callable[[int, float, NDArray[np.float64]], Any] | None = None


class _Watch:
    """Asks the watcher every 50 iterations; while attraction is exaggerated, notices when the divergence is flat."""

    def __init__(self, schedule: Schedule, before: int, *, flat: bool) -> None:
        self.schedule, self.before, self.flat = schedule, before, flat
        self.last, self.steepest = np.inf, 0.0
        self.done, self.asked_to_stop = 0, False

    def __call__(self, iteration: int, divergence: float, places: NDArray[np.float64]) -> bool:
        self.done = iteration
        if self.schedule.progress is not None and iteration % _EVERY == 0:
            seen = np.array(places, copy=True).view(np.ndarray)
            self.asked_to_stop = bool(self.schedule.progress(self.before + iteration, float(divergence), seen))
        return self.asked_to_stop or (self.flat and self._is_flat(divergence))

    def _is_flat(self, divergence: float) -> bool:
        fall = (self.last - divergence) / self.last if np.isfinite(self.last) and self.last > 0 else 0.0
        self.last, self.steepest = divergence, max(self.steepest, fall)
        return self.steepest > 0.01 and fall < _SETTLED * self.steepest


def learning_rate(n: int, exaggeration: float = _EXAGGERATION) -> float:
    """Return n / exaggeration, at least 200 (Belkina et al. 2019; openTSNE's gradient lacks the factor 4).

    Examples
    --------
    >>> learning_rate(60_000), learning_rate(100)
    (5000.0, 200.0)
    """
    return max(200.0, n / exaggeration)


def optimise(
    P: csr_matrix, start: NDArray[np.float64], schedule: Schedule, n_jobs: int
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Run openTSNE's optimiser with a gradient of ours.

    Parameters
    ----------
    P
        Affinities, float32 CSR, shape (n_cells, n_cells), sum 1, cells in canonical order.
    start
        Places to start from, shape (n_cells, 2).
    schedule
        How long.
    n_jobs
        Threads.

    Returns
    -------
    Places, shape (n_cells, 2); ``kl_divergence``, ``exaggerated`` and ``n_iter`` (iterations done), ``stopped``,
    ``gradient`` (``exact`` or ``interpolated``).
    """
    from openTSNE import TSNEEmbedding

    n = len(start)
    method = exact_gradient if n <= _EXACT else GridGradient()
    embedding = TSNEEmbedding(
        start.copy(), SimpleNamespace(P=P), n_jobs=n_jobs, negative_gradient_method=method, random_state=0
    )
    early = _Watch(schedule, 0, flat=True)
    if schedule.exaggerated:
        embedding.optimize(
            schedule.exaggerated, exaggeration=_EXAGGERATION, momentum=0.5, learning_rate=learning_rate(n),
            inplace=True, callbacks=early, callbacks_every_iters=_LOOK,
        )  # fmt: skip
    late = _Watch(schedule, early.done, flat=False)
    if schedule.n_iter and not early.asked_to_stop:
        watched = {"callbacks": late, "callbacks_every_iters": _EVERY} if schedule.progress else {}
        embedding.optimize(schedule.n_iter, momentum=0.8, learning_rate=learning_rate(n, 1), inplace=True, **watched)
    stopped = early.asked_to_stop or late.asked_to_stop
    return np.array(embedding), {
        "kl_divergence": float(embedding.kl_divergence),
        "exaggerated": early.done,
        "n_iter": late.done if stopped else schedule.n_iter,
        "stopped": stopped,
        "gradient": "exact" if n <= _EXACT else "interpolated",
    }
