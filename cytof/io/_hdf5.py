"""A new HDF5 file whose library never meets a failing write: it does not survive one."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py
    from typing_extensions import Buffer

__all__ = ["new_hdf5"]


@contextmanager
def new_hdf5(path: str | Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """Open a new HDF5 file for writing; a write that fails is told when the block ends, or when asked for.

    HDF5 that cannot write its last pieces (a full disk, a quota) can end the whole process with a segmentation fault
    when the file is closed. Here the first failure is remembered, what comes after it is dropped, the file is closed in
    peace, and then the failure is raised. The bytes are those that HDF5 writes itself.

    Parameters
    ----------
    path
        The file; one that stands there is overwritten.

    Yields
    ------
    The file, and a function that raises the first failure so far: for work that need not go on after it.

    Raises
    ------
    OSError
        What the operating system said of the first write that failed.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "a.h5"
    >>> with new_hdf5(out) as (home, check):
    ...     home["x"] = [1.0, 2.0]
    ...     check()
    >>> import h5py
    >>> with h5py.File(out) as home:
    ...     home["x"][:].tolist()
    [1.0, 2.0]
    """
    import h5py

    with _Disk(path) as disk:
        try:
            with h5py.File(disk, "w") as home:
                yield home, disk.check
        except Exception:
            disk.check()  # what was dropped cannot be read back: the cause, not what follows from it
            raise
        disk.check()


_KEPT = 2**20  # bytes; what HDF5 reads back, its own tables and texts, comes in smaller pieces


class _Disk(io.RawIOBase):
    """A file as HDF5 asks for it: after the first failure nothing is written, and nothing fails.

    HDF5 reads back some of what it wrote, and crashes where it finds something else; so these pieces are kept.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._at = 0
        self._failure: OSError | None = None
        self._unwritten: list[tuple[int, bytes]] = []

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._file).st_size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        n = os.preadv(self._file, [view], self._at)
        if self._failure is not None:
            view[n:] = bytes(len(view) - n)
            n = len(view)
            for start, piece in self._unwritten:
                first, end = max(start, self._at), min(start + len(piece), self._at + n)
                if first < end:
                    view[first - self._at : end - self._at] = piece[first - start : end - start]
        self._at += n
        return n

    def write(self, data: Buffer) -> int:
        left = memoryview(data).cast("B")
        n = len(left)
        try:
            while self._failure is None and len(left):
                done = os.pwrite(self._file, left, self._at)
                self._at, left = self._at + done, left[done:]
        except OSError as error:
            self._failure = error
        if len(left) and n <= _KEPT:
            self._unwritten.append((self._at, bytes(left)))
        self._at += len(left)
        return n

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        try:
            if self._failure is None:
                os.ftruncate(self._file, size)
        except OSError as error:
            self._failure = error
        return size
