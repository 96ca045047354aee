"""Where the tasks of a stage are done: here, one after the other, or on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

__all__ = ["HERE", "Workers"]

T = TypeVar("T")


class Workers(Protocol):
    """Something that runs a function on many tasks."""

    def each(self, task: Callable[..., T], arguments: Iterable[Sequence[Any]]) -> Iterator[T]:
        """Give the results in the order of the tasks; few are waited for at a time, so few are in memory."""
        ...


class _Here:
    """The process itself: one task after the other, each begun when its result is asked for."""

    def each(self, task: Callable[..., T], arguments: Iterable[Sequence[Any]]) -> Iterator[T]:
        for given in arguments:
            yield task(*given)


HERE = _Here()
