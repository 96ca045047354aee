"""Where the real data are, and one small synthetic patient for all rooms."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return study.yaml of a synthetic patient at a tenth of the size, seed 0. Do not write into its folder."""
    from cytof import datasets

    return datasets.patient(tmp_path_factory.mktemp("patient"), scale=0.1, random_state=0)


@pytest.fixture
def study_copy(patient: Path, tmp_path: Path) -> Path:
    """Return a folder with a copy of the small patient's study that a test may break."""
    folder = tmp_path / "study"
    shutil.copytree(patient.parent, folder, ignore=shutil.ignore_patterns("results", "truth"))
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a headless Chromium (selenium) with a profile of its own and no way to any server but this machine.

    Skipped with the reason where Chromium, its driver or selenium is missing; in CI (``CI=true``) that is a failure.
    """
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    missing += [] if importlib.util.find_spec("selenium") else ["selenium"]
    if missing:
        reason = f"no browser to look with: {', '.join(missing)} missing"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    profile = tmp_path_factory.mktemp("chromium")
    quiet = "--disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", *quiet.split(), f"--user-data-dir={profile}",
                 "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    driver.set_window_size(1280, 720)
    yield driver
    driver.quit()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests record with ``record_property("figures", ...)``, whichever process they ran in."""
    lines = [
        str(value)
        for report in terminalreporter.getreports("passed")
        for name, value in getattr(report, "user_properties", ())
        if name == "figures" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
