"""The review page in a real browser: drag, count, undo, note, autosave, reload; keyboard alone; both screen sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cytof import gate, panel, pipeline, study
from cytof.app._desk import Desk

CD3 = "cells/singlets/live/CD45+/CD11b-/CD11c-/CD66b-/CD19-/CD14-/CD7+/CD3+"
CAR = f"{CD3}/CAR+"
NOTE = "Why the gate is changed (required)"


def brute_force(folder: Path, sample: str, value: float) -> int:
    """Count the events of the CAR gate with another threshold, from the file, by hand."""
    gated = Desk(study.load(folder)).opened(sample)
    counts = gated.events.column("VHH").astype(float)
    return int((np.arcsinh(counts[gated.mask(CD3)] / 5) >= value).sum())


def begin_at(folder: Path, sample: str, path: str) -> None:
    line = json.dumps({"n": 0, "action": "accept", "sample": sample, "gate": path})
    (folder / "review.jsonl").write_text(line + "\n")


@pytest.fixture
def at_car(review_study: Path) -> str:
    """Make the review begin at the CAR gate of one sample."""
    sample = str(pd.read_csv(review_study / "samples.csv")["sample_id"].iloc[-1])
    begin_at(review_study, sample, CAR)
    return sample


def test_drag_note_save_reload_and_gate(
    review_study: Path, at_car: str, serve: Callable[..., Any], screen: Callable[[str], Any]
) -> None:
    server = serve(review_study)
    page = screen(server.address)
    ((x, y),) = page.handles()
    page.drag((x, y), (x + 1.5, y))
    ((moved, _),) = page.until(lambda: page.handles() if page.handles()[0][0] != x else None)
    assert 1.35 < moved - x < 1.65
    n = brute_force(review_study, at_car, moved)
    page.until(lambda: page.says(f"CAR+ {n:,} events"))
    page.press("s")
    page.until(lambda: page.says("no reason; say who and why"))
    assert not (review_study / "overrides.yaml").exists()
    page.write(NOTE, "doublets on the shoulder")
    page.press("s")
    page.until(lambda: page.says("saved for 1 sample in overrides.yaml"))
    (override,) = gate.read_overrides(review_study / "overrides.yaml", panel.load_gates("car_t_41"))
    assert (override.sample_id, override.author, override.reason) == (at_car, "J. Doe", "doublets on the shoulder")
    assert override.shape["threshold"]["VHH"] == pytest.approx(moved, abs=1e-3)
    assert override.after["n"] == n < override.before["n"]
    server.kill()  # kill -9 in the middle of a review
    page = screen(serve(review_study).address)
    assert page.handles()[0][0] == pytest.approx(moved, abs=1e-3)
    assert page.errors() == []
    loaded = study.load(review_study)
    before = pd.read_csv(loaded.out / "tables" / "counts.csv")
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    changed = gate.diff(before, pd.read_csv(loaded.out / "tables" / "counts.csv"))
    assert set(changed["sample_id"].astype(str)) == {at_car}
    assert all(g.startswith(f"{CD3}/CAR") for g in changed["gate"])
    assert changed.loc[changed["gate"] == CAR, "n_after"].iloc[0] == n
    page.press("u")
    page.until(lambda: page.says("undone"))
    assert page.handles()[0][0] == pytest.approx(x, abs=1e-3)
    page.press("r")
    page.until(lambda: page.says("done again"))
    assert page.handles()[0][0] == pytest.approx(moved, abs=1e-3)
    actions = [json.loads(line)["action"] for line in (review_study / "review.jsonl").read_text().splitlines()]
    assert actions == ["accept", "change", "undo", "redo"]


def test_keyboard_alone_changes_a_gate(
    review_study: Path, at_car: str, serve: Callable[..., Any], screen: Callable[[str], Any]
) -> None:
    from selenium.webdriver.common.keys import Keys

    page = screen(serve(review_study).address)
    ((x, _),) = page.handles()
    for _ in range(4):
        page.press(Keys.ARROW_RIGHT)
    page.until(lambda: abs(page.handles()[0][0] - x - 0.2) < 1e-3)
    n = brute_force(review_study, at_car, page.handles()[0][0])
    page.until(lambda: page.says(f"CAR+ {n:,} events"))
    page.press(Keys.ESCAPE)
    page.until(lambda: abs(page.handles()[0][0] - x) < 1e-3)
    page.press("k")
    page.until(lambda: page.says(f"{at_car} CD3+ "))
    page.press("j")
    page.until(lambda: page.says(f"{at_car} CAR+ "))
    page.press("a")
    page.until(lambda: page.says("noted that it is right"))
    last = json.loads((review_study / "review.jsonl").read_text().splitlines()[-1])
    assert (last["action"], last["gate"]) == ("accept", CAR)


def test_vertex_of_a_polygon_is_dragged(
    review_study: Path, serve: Callable[..., Any], screen: Callable[[str], Any]
) -> None:
    """A template with a polygon on CD4 and CD8 of the T cells."""
    from matplotlib.path import Path as Outline

    text = (Path(panel.__file__).parents[2] / "panels" / "car_t_41.gates.yaml").read_text("utf-8")
    vertices = [[2.5, -0.5], [7.0, -0.5], [7.0, 2.0], [2.5, 2.0]]
    own = f"pop: helper, parent: CD3+, dims: [CD4, CD8], gating_method: polygon, gating_args: {{vertices: {vertices}}}"
    (review_study / "own.gates.yaml").write_text(f"{text}  - {{{own}}}\n")
    file = review_study / "study.yaml"
    lines = [line for line in file.read_text("utf-8").splitlines() if not line.startswith("gates")]
    file.write_text("\n".join([*lines, "gates: own.gates.yaml"]) + "\n")
    loaded = study.load(file)
    pipeline.gate(loaded)
    pipeline.gate_pages(loaded)
    sample = str(pd.read_csv(review_study / "samples.csv")["sample_id"].iloc[0])
    begin_at(review_study, sample, f"{CD3}/helper")
    page = screen(serve(review_study).address)
    assert page.handles() == vertices
    page.drag((2.5, 2.0), (3.5, 1.2))
    page.until(lambda: page.handles()[3] != vertices[3])
    moved = page.handles()
    assert moved[:3] == vertices[:3]
    assert abs(moved[3][0] - 3.5) < 0.15
    assert abs(moved[3][1] - 1.2) < 0.15
    page.write(NOTE, "spill of CD8")
    page.press("s")
    page.until(lambda: page.says("saved for 1 sample"))
    (override,) = gate.read_overrides(review_study / "overrides.yaml", loaded.read_gates())
    gated = Desk(loaded).opened(sample)
    points = np.arcsinh(gated.events.columns(["CD4", "CD8"]).astype(float)[gated.mask(CD3)] / 5)
    inside = Outline(override.shape["vertices"]).contains_points(points)
    assert abs(override.after["n"] - inside.sum()) <= 1
    assert gated.counts.set_index("gate").at[f"{CD3}/helper", "n"] == override.after["n"]


def test_nothing_leaves_the_machine_and_the_console_is_silent(
    review_study: Path, serve: Callable[..., Any], screen: Callable[[str], Any]
) -> None:
    server = serve(review_study)
    page = screen(server.address)
    for key in "jjn":
        page.press(key)
    own = (server.origin, server.origin.replace("http", "ws"), "data:", "blob:")
    assert [r for r in page.requests() if not r.startswith(own)] == []
    assert page.errors() == []


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_page_fits_the_screen(
    review_study: Path, serve: Callable[..., Any], screen: Callable[[str], Any], browser: Any, size: tuple[int, int]
) -> None:
    extra = browser.execute_script("return [outerWidth - innerWidth, outerHeight - innerHeight]")
    browser.set_window_rect(0, 0, size[0] + extra[0], size[1] + extra[1])
    page = screen(serve(review_study).address)
    wide, high = page.js("const d = document.documentElement; return [d.scrollWidth, d.scrollHeight]")
    assert wide <= size[0]
    assert high <= size[1]
