"""Work in blocks of rows, on a few threads; results come back in block order, so their number changes no byte."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_blocks"]

Result = TypeVar("Result")


def in_blocks(task: Callable[[int, int], Result], n: int, block: int, n_jobs: int | None = None) -> list[Result]:
    """Run ``task(start, stop)`` over ``range(0, n, block)`` and return the results in block order.

    Parameters
    ----------
    task
        Releases the global lock while it works (a numba kernel with ``nogil=True``, or BLAS).
    n, block
        Rows in all, rows a block. The cut depends on these alone, never on the threads.
    n_jobs
        Threads; by default what numba would use (``NUMBA_NUM_THREADS``, else the cores of this process).

    Examples
    --------
    >>> in_blocks(lambda start, stop: stop - start, 10, 4)
    [4, 4, 2]
    """
    if n_jobs is None:
        from numba import config

        n_jobs = int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    starts = range(0, n, block)
    stops = [min(start + block, n) for start in starts]
    if min(n_jobs, len(starts)) <= 1:
        return [task(start, stop) for start, stop in zip(starts, stops, strict=True)]
    with ThreadPoolExecutor(min(n_jobs, len(starts))) as pool:
        return list(pool.map(task, starts, stops))
