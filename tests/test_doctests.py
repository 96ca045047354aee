"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import warnings
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "cytof"
MODULES = sorted(
    ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for p in PACKAGE.rglob("*.py")
    if p.name != "__main__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = doctest.testmod(module)
    assert found.failed == 0


def test_there_are_examples() -> None:
    """An empty collection would pass the test above; there were 571 lines of examples when this was written."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    lines = sum(len(t.examples) for name in MODULES for t in finder.find(importlib.import_module(name)))
    assert lines >= 500
