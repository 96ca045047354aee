"""A gated study to review, a server of it in a process of its own, and the page in a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

_TEXTS = """
const out = []; const walk = (n) => {
  if (n.shadowRoot) walk(n.shadowRoot);
  for (const c of n.childNodes) { if (c.nodeType === 3 && c.data.trim()) out.push(c.data.trim());
    if (c.nodeType === 1 && !["STYLE", "SCRIPT"].includes(c.tagName)) walk(c); } };
walk(document.body); return out;"""
_PLACE = """
const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name('gate'));
const box = view.canvas_view.el.getBoundingClientRect();
return [box.left + view.frame.x_scale.compute(arguments[0]), box.top + view.frame.y_scale.compute(arguments[1])];"""
_FIELD = """
for (const d of Bokeh.documents) for (const m of d._all_models.values())
  if (m.title === arguments[0] && m.type === "TextInput") return Bokeh.index.find_one(m).input_el;"""


@pytest.fixture(scope="session")
def gated_study(patient: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small study after ``cytof gate``; do not write into it."""
    from cytof import pipeline, study

    folder = tmp_path_factory.mktemp("gated") / "study"
    shutil.copytree(patient.parent, folder, ignore=shutil.ignore_patterns("results", "truth"))
    loaded = study.load(folder)
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    return folder


@pytest.fixture
def review_study(gated_study: Path, tmp_path: Path) -> Path:
    """Return a copy of the gated study that a test may change."""
    return Path(shutil.copytree(gated_study, tmp_path / "study"))


class Served:
    """``cytof review`` running on a study."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [sys.executable, "-m", "cytof", "review", str(folder), "--author", "J. Doe", *options]
        env = os.environ | {"PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        if not self.address:
            raise AssertionError(self.process.communicate(timeout=30)[1])

    @property
    def origin(self) -> str:
        return self.address.split("/review")[0]

    @property
    def token(self) -> str:
        return self.address.rsplit("token=", 1)[1]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Return a function that serves a study; every server is ended after the test."""
    running: list[Served] = []

    def start(folder: Path, *options: str) -> Served:
        running.append(Served(folder, *options))
        return running[-1]

    yield start
    for one in running:
        one.kill()


class Screen:
    """The page in the browser: what it shows, and a mouse on the plot's own coordinates."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.origin = browser, address.split("/review")[0]
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(address)
        self.until(lambda: self.js("return window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"))

    def js(self, code: str, *args: Any) -> Any:
        return self.browser.execute_script(code, *args)

    def until(self, what: Callable[[], Any], seconds: float = 20) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; the page says: {self.texts()}")

    def texts(self) -> list[str]:
        """Return every text that the page shows."""
        return [str(t) for t in self.js(_TEXTS)]

    def says(self, text: str) -> bool:
        return any(text in " ".join(t.split()) for t in self.texts())

    def handles(self) -> list[list[float]]:
        """Return the handles of the gate, on the scale of the gate."""
        x, y = self.js(
            "const d = Bokeh.documents[0].get_model_by_name('handles').data; return [Array.from(d.x), Array.from(d.y)]"
        )
        return [list(p) for p in zip(x, y, strict=True)]

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        actions = ActionBuilder(self.browser, duration=30)
        (x0, y0), (x1, y1) = self.js(_PLACE, *start), self.js(_PLACE, *end)
        mouse = actions.pointer_action
        mouse.move_to_location(round(x0), round(y0)).pointer_down()
        for step in range(1, 9):
            mouse.move_to_location(round(x0 + (x1 - x0) * step / 8), round(y0 + (y1 - y0) * step / 8))
        mouse.pointer_up()
        actions.perform()

    def press(self, key: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        self.js("if (document.activeElement) document.activeElement.blur()")
        ActionChains(self.browser).send_keys(key).perform()

    def write(self, title: str, text: str) -> None:
        """Type into the text field of a title, as a person does."""
        field = self.js(_FIELD, title)
        field.clear()
        field.send_keys(text + "\n")

    def errors(self) -> list[str]:
        """Return what the console complained of on this page, not on one whose server was killed before."""
        found = [e["message"] for e in self.browser.get_log("browser") if e["level"] in {"SEVERE", "WARNING"}]
        return [text for text in found if self.origin in text]

    def requests(self) -> list[str]:
        """Return the address of every request since the page was opened."""
        messages = [json.loads(e["message"])["message"] for e in self.browser.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.fixture
def screen(browser: Any) -> Callable[[str], Screen]:
    """Return a function that opens an address in the browser."""
    return lambda address: Screen(browser, address)
