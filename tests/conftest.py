"""Where the real data are, and one small synthetic patient for all rooms."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the path of a public file below CYTOF_TEST_DATA (default ../shared/data).

    Absent: the test is skipped with the reason. When the variable is set, a missing file is an error.
    """
    named = os.environ.get("CYTOF_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"

    def path(name: str) -> Path:
        found = folder / name
        if not found.exists():
            if named:
                pytest.fail(f"{found} is missing, and CYTOF_TEST_DATA={named} says it is there")
            pytest.skip(f"real data not here: {found}; set CYTOF_TEST_DATA to its folder")
        return found

    return path
