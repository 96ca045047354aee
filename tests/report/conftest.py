from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")


def _beside(name: str):
    """Load a module that lies beside this file, under its own name."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_FAKE, _TEXTS = _beside("fake_study"), _beside("texts")

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
def draw_all(tmp_path_factory):
    """Draw the whole set of a study and return name -> figure, laid out as it would be printed."""
    from cytof import plot, report
    from cytof.report import _figures

    def draw(study):
        found = {}

        def save(figure, stem, **_):
            with plot.style():
                figure.draw_without_rendering()
            found[stem.name] = figure
            return [stem.with_name(f"{stem.name}.pdf")]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_figures, "save", save)
            report.figures(study, tmp_path_factory.mktemp("set"), waterfall=_FAKE.fake_waterfall(study))
        return found

    return draw


@pytest.fixture(scope="session")
def written(study, tmp_path_factory):
    """The report of the made-up study, written once."""
    from cytof import report

    out = tmp_path_factory.mktemp("report")
    report.write(study, out, study_name="Fake", waterfall=_FAKE.fake_waterfall(study), provenance=STORY)
    return out
