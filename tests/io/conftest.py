"""Makes the builder of odd FCS files importable by the tests beside it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

if "fcs_builder" not in sys.modules:
    spec = importlib.util.spec_from_file_location("fcs_builder", Path(__file__).with_name("fcs_builder.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fcs_builder"] = module
    spec.loader.exec_module(module)
