from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

_SPEC = importlib.util.spec_from_file_location("fake_study", Path(__file__).with_name("fake_study.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
_FAKE = importlib.util.module_from_spec(_SPEC)
sys.modules["fake_study"] = _FAKE
_SPEC.loader.exec_module(_FAKE)

SMALL = {"n_car": (220, 180, 140, 100), "n_host": 250}
STORY = {
    "inputs": {"2mo": {"file": "2mo.fcs", "bytes": 1000, "sha256": "ab" * 32}},
    "failed": {},
    "versions": {"python": "3.12", "cytof": "0.1.0"},
}


@pytest.fixture(scope="session")
def fake():
    return _FAKE


@pytest.fixture(scope="session")
def small():
    return SMALL


@pytest.fixture(scope="session")
def story():
    return STORY


@pytest.fixture(scope="session")
def study():
    return _FAKE.fake_study(**SMALL)


@pytest.fixture(scope="session")
def made(study):
    from cytof import report

    return report.study_tables(study)


@pytest.fixture
def unprinted(monkeypatch):
    """Figures are filled and then written as an empty picture: for tests that look at names and tables."""
    from PIL import Image

    from cytof.report import _figures

    def save(figure, stem, **_):
        path = stem.with_name(f"{stem.name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2161, 40), "white").save(path)
        return [path]

    monkeypatch.setattr(_figures, "save", save)


@pytest.fixture(scope="session")
def written(study, tmp_path_factory):
    """The report of the made-up study, written once."""
    from cytof import report

    out = tmp_path_factory.mktemp("report")
    report.write(study, out, study_name="Fake", waterfall=_FAKE.fake_waterfall(study), provenance=STORY)
    return out
