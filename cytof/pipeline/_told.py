"""What a run tells: lines with rate and time left for the user, and ``run.log``, one JSON object a line."""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

__all__ = ["Say", "Told", "silent", "told"]


class Say(Protocol):
    """Called with stage, sample (or empty) and what was found: the command line shows it as progress."""

    def __call__(self, stage: str, sample: str, found: str, /) -> None: ...


def silent(stage: str, sample: str, found: str) -> None:
    """Tell nothing."""


class Told:
    """A progress callback that counts: where a stage said how many samples it expects, each line has rate and rest.

    Parameters
    ----------
    say
        The user's callback.
    log
        ``run.log``, to which every line is added with time, process and seconds since the last one.

    Examples
    --------
    >>> lines = []
    >>> say = Told(lambda *line: lines.append(line))
    >>> say.expect("gate", 2)
    >>> say("gate", "s1", "900 events")
    >>> lines[0][2].startswith("900 events (1 of 2, ")
    True
    """

    def __init__(self, say: Say, log: Path | None = None) -> None:
        self._say, self._log = say, log
        self._expected: dict[str, tuple[int, int, float]] = {}
        self._last = time.monotonic()

    def expect(self, stage: str, n: int) -> None:
        """Say how many samples a stage is going to do from here on."""
        self._expected[stage] = n, 0, time.monotonic()

    def __call__(self, stage: str, sample: str, found: str) -> None:
        self._note(stage, sample, found)
        n, done, since = self._expected.get(stage, (0, 0, 0.0))
        if sample and done < n:
            done += 1
            self._expected[stage] = n, done, since
            each = (time.monotonic() - since) / done
            rate = f"{each:.1f} s each" if each >= 1 else f"{1 / max(each, 1e-3):.1f} a second"
            rest = f", {_span(each * (n - done))} left" if done < n else ""
            found = f"{found} ({done} of {n}, {rate}{rest})"
        self._say(stage, sample, found)

    def _note(self, stage: str, sample: str, found: str) -> None:
        now = time.monotonic()
        entry = {
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "pid": os.getpid(), "stage": stage,
            "sample": sample, "found": found, "seconds": round(now - self._last, 3),
        }  # fmt: skip
        self._last = now
        if self._log is None:
            return
        with suppress(OSError):  # a full disk is told by what has to be written
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def told(say: Say) -> Told:
    """Return a callback as one that counts."""
    return say if isinstance(say, Told) else Told(say)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
