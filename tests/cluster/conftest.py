"""The labelled cells of Liu 2020, once for the tests of this room."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

_spec = importlib.util.spec_from_file_location("planted", Path(__file__).parent / "planted.py")
assert _spec is not None
assert _spec.loader is not None
sys.modules["planted"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["planted"])


@pytest.fixture(scope="session")
def maxpar(real_data: Callable[[str], Path]) -> tuple[np.ndarray, np.ndarray]:
    """Return 20,000 x 21 arcsinh values and their manual labels (0 = unassigned)."""
    import flowio

    file = flowio.FlowData(str(real_data("liu2020_maxpar/downsample.fcs")), ignore_offset_error=True)
    labels = pd.read_csv(real_data("liu2020_maxpar/downsample_labels.csv"))["label"].to_numpy()
    return np.reshape(np.asarray(file.events, np.float32), (-1, file.channel_count)), labels
