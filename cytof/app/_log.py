"""The review log beside the study: one line an action, appended and flushed to the disk before the screen says so.

``review.jsonl`` holds who did what when, and from it a review goes on where it stopped: which gates were accepted and
what can be undone. What the gates are stands in ``overrides.yaml`` alone.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cytof.errors import ConfigError, ResourceError

__all__ = ["ReviewLog"]


@dataclass
class ReviewLog:
    """Actions of a review, read from the file and appended to it.

    Attributes
    ----------
    path
        ``review.jsonl``.
    undone, done
        Numbers of the changes that can be undone (last one last) and redone.
    accepted
        (sample, gate) pairs that a person looked at.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "review.jsonl"
    >>> log = ReviewLog.open(path)
    >>> log.append("accept", sample="s1", gate="CD3+", author="J")
    0
    >>> ReviewLog.open(path).accepted
    {('s1', 'CD3+')}
    """

    path: Path
    actions: list[dict[str, Any]] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    accepted: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def open(cls, path: str | Path) -> ReviewLog:
        """Read the log; a last line that was cut off by a crash is the action that was in flight, and is left out.

        Raises
        ------
        ConfigError
            Another line is no action.
        """
        log = cls(Path(path))
        for action in _lines(log.path):
            log._take(action)
        return log

    def append(self, action: str, **said: Any) -> int:
        """Write an action to the disk and return its number.

        Raises
        ------
        ResourceError
            The log cannot be written.
        """
        number = len(self.actions)
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        line = {"n": number, "time": now, "action": action, **said}
        try:
            with self.path.open("ab") as file:
                if file.tell() and not _ends_whole(self.path):
                    file.write(b"\n")
                file.write((json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ResourceError(f"cannot be written: {error.strerror}", where=str(self.path)) from error
        self._take(line)
        return number

    def _take(self, action: Mapping[str, Any]) -> None:
        self.actions.append(dict(action))
        kind, number = action.get("action"), len(self.actions) - 1
        if kind == "change":
            self.done.append(number)
            self.undone.clear()
        elif kind == "undo" and self.done:
            self.undone.append(self.done.pop())
        elif kind == "redo" and self.undone:
            self.done.append(self.undone.pop())
        elif kind == "accept":
            self.accepted.add((str(action.get("sample")), str(action.get("gate"))))


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    lines = path.read_text("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            action = json.loads(line)
        except ValueError:
            if number == len(lines):
                return
            hint = "mend the line, or move the file away to begin a new log"
            raise ConfigError("is no action of a review", where=f"{path}:{number}", hint=hint) from None
        if isinstance(action, dict):
            yield action
