"""The small study, and the command as a user calls it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cytof import study

_SPEC = importlib.util.spec_from_file_location("small_study", Path(__file__).with_name("small_study.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_SMALL = importlib.util.module_from_spec(_SPEC)
sys.modules["small_study"] = _SMALL
_SPEC.loader.exec_module(_SMALL)


@pytest.fixture
def small(tmp_path: Path) -> study.Study:
    """Return a study of three visits, not run yet."""
    return study.load(_SMALL.small_study(tmp_path / "study"))


@pytest.fixture
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs ``cytof ...`` in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cytof", *map(str, arguments)],
            capture_output=True, text=True, timeout=500, cwd=cwd, env=os.environ | environment,
        )  # fmt: skip

    return run
