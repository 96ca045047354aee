"""The tasks of a stage on a Dask cluster: a few processes of this machine, or a cluster that is running already."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cytof.errors import ResourceError, UsageError
from cytof.pipeline._work import HERE, Workers

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["dask_workers"]

T = TypeVar("T")
_AHEAD = 2  # tasks waiting a worker, beside the one it does
_RETRIES = 2
_PATIENCE = 30  # seconds that a cluster has to show a worker
_MALLOC = {"MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_MMAP_THRESHOLD_": "1073741824"}
"""A worker keeps the memory of one file for the next, in place of giving it back and asking again for each."""
_THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def dask_workers(n: int = 0, scheduler: str | None = None) -> Iterator[Workers]:
    """Give the workers that files are cleaned and gated on: this process, ``n`` processes, or a running cluster.

    A worker that is lost costs its task, which another one does again. Each process works with one thread. The workers
    of a cluster must see the study under the same path. Tables are the same bytes as those of a run without Dask.

    Parameters
    ----------
    n
        Processes on this machine; 0: none, the work is done in this process.
    scheduler
        Address of a running cluster, ``tcp://host:port``.

    Raises
    ------
    UsageError
        Dask is not installed, or both are given.
    ResourceError
        The cluster does not answer, has no workers, or is lost in the middle of the work.

    Examples
    --------
    >>> with dask_workers() as workers:
    ...     list(workers.each(max, [(1, 2), (4, 3)]))
    [2, 4]
    """
    if not n and scheduler is None:
        yield HERE
        return
    if n and scheduler is not None:
        raise UsageError("--workers starts a cluster, --scheduler uses a running one", hint="give one of them")
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError(
            "Dask is not installed", where="--workers/--scheduler", hint="pip install 'cytof[dask]'"
        ) from None
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, TimeoutError, ValueError) as error:
            hint = "start it with `dask scheduler` and `dask worker`, or use --workers"
            raise ResourceError("the Dask cluster does not answer", where=scheduler, hint=hint) from error
        with client, _told_in_a_line(scheduler):
            try:
                client.wait_for_workers(1, timeout=_PATIENCE)
            except TimeoutError as error:
                hint = f"start some: `dask worker {scheduler}`"
                raise ResourceError("the Dask cluster has no workers", where=scheduler, hint=hint) from error
            yield _Dask(client)
        return
    with (
        dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in _MALLOC.items()}),
        LocalCluster(
            n_workers=n, threads_per_worker=1, dashboard_address=":0", memory_limit=None,
            env=dict.fromkeys(_THREADS, "1"),
        ) as cluster,
        Client(cluster) as client,
        _told_in_a_line("--workers"),
    ):  # fmt: skip
        begun = [client.submit(_begin, workers=[name], pure=False) for name in client.scheduler_info()["workers"]]
        yield _Dask(client)
        del begun


@contextmanager
def _told_in_a_line(where: str) -> Iterator[None]:
    """Turn what Dask raises of a cluster that is lost into a line; its own log is for those who run clusters."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError

    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    except KilledWorker as error:
        hint = "most often memory: fewer workers, or smaller files; run again to go on"
        raise ResourceError(f"a file cost {_RETRIES + 1} workers their life", where=where, hint=hint) from error
    except (CancelledError, CommClosedError) as error:
        hint = "start it, and run again: what is done is not done again"
        raise ResourceError("the Dask cluster was lost", where=where, hint=hint) from error
    finally:
        log.setLevel(level)


def _begin() -> None:
    """Load what a worker is going to need, while the first files are being read."""
    import anndata  # noqa: F401

    from cytof.pipeline import _large, _sample  # noqa: F401


class _Dask:
    """Tasks on a cluster, a few a worker at a time, results in the order of the tasks.

    A result is fetched as soon as it is there, so that a worker takes nothing with it that was finished.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def each(self, task: Callable[..., T], arguments: Iterable[Sequence[Any]]) -> Iterator[T]:
        from distributed import CancelledError, as_completed

        given, finished = enumerate(arguments), as_completed(with_results=True)
        number: dict[Any, int] = {}  # of the tasks that are not finished
        ready: dict[int, T] = {}
        turn = 0
        while True:
            most = (1 + _AHEAD) * max(1, len(self._workers()))
            for i, one in itertools.islice(given, max(most - len(number) - len(ready), 0)):
                future = self._client.submit(task, *one, pure=False, retries=_RETRIES)
                number[future.key] = i
                finished.add(future)
            while turn in ready:
                yield ready.pop(turn)
                turn += 1
            if number:
                found = next(finished)
                if not isinstance(found, tuple):  # Dask's own sign of a task that was given up
                    raise CancelledError(str(found))
                future, result = found
                ready[number.pop(future.key)] = result
            elif not ready:
                return

    def _workers(self) -> list[str]:
        from distributed import CancelledError

        info = self._client.scheduler_info()
        if "workers" not in info:
            raise CancelledError("no scheduler")
        return list(info["workers"])
