"""The small study that the tests of comparing share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import anndata
import pytest


def _builder() -> Callable[..., anndata.AnnData]:
    spec = importlib.util.spec_from_file_location(
        "small_study", Path(__file__).parent.parent / "track" / "small_study.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.small_study


@pytest.fixture
def small_study() -> Callable[..., anndata.AnnData]:
    """Return the builder: `small_study(n_car=400, n_host=600, seed=0)`."""
    return _builder()


@pytest.fixture
def study(small_study: Callable[..., anndata.AnnData]) -> anndata.AnnData:
    return small_study()
