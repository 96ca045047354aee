"""The desk without a screen: handles and regions, scopes, undo over several samples, a log that survives a crash."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import gate, study
from cytof.app._desk import SCOPES, Desk
from cytof.app._handles import handles, moved, outline
from cytof.app._log import ReviewLog
from cytof.app._raster import frame_of, heights, raster
from cytof.errors import ConfigError, InputError, UsageError
from cytof.region import Boolean, Dimension, Ellipse, Polygon, Rectangle, mask

A, B = Dimension("a", 5.0), Dimension("b", 5.0)
CAR = "cells/singlets/live/CD45+/CD11b-/CD11c-/CD66b-/CD19-/CD14-/CD7+/CD3+/CAR+"


@pytest.mark.parametrize(
    ("region", "n"),
    [
        (Rectangle((A,), (2.0,), (math.inf,)), 1),
        (Rectangle((A,), (1.0,), (2.0,)), 2),
        (Rectangle((A, B), (-math.inf, 2.0), (1.0, math.inf)), 1),
        (Rectangle((A, B), (0.0, 1.0), (2.0, 3.0)), 2),
        (Polygon((A, B), ((0.0, 0.0), (3.0, 0.0), (3.0, 2.0))), 3),
        (Ellipse((A, B), (1.0, 2.0), ((0.5, 0.2), (0.2, 0.8)), 5.0), 3),
        (Boolean("not", ("x",)), 0),
    ],
)
def test_handles_give_the_region_back(region, n: int) -> None:
    points = handles(region)
    assert points.shape == (n, 2)
    if isinstance(region, Boolean):
        with pytest.raises(UsageError, match="a boolean gate has nothing to drag"):
            moved(region, points)
        return
    again = moved(region, points)
    rng = np.random.default_rng(0)
    columns = {"a": np.sinh(rng.uniform(-1, 4, 4000)) * 5, "b": np.sinh(rng.uniform(-1, 4, 4000)) * 5}
    assert np.array_equal(mask(again, columns.__getitem__), mask(region, columns.__getitem__))
    shifted = moved(region, points + 0.25)
    assert np.allclose(handles(shifted), points + np.array([0.25, 0.25 if len(region.dims) == 2 else 0]), atol=2e-4)


def test_ellipse_turns_by_the_end_of_an_axis() -> None:
    region = Ellipse((A, B), (0.0, 0.0), ((4.0, 0.0), (0.0, 1.0)), 1.0)
    centre, long, _ = handles(region)
    assert np.allclose(long, [2.0, 0.0])
    turned = moved(region, np.array([centre, [0.0, 3.0], handles(region)[2]]))
    assert np.allclose(turned.covariance, [[1.0, 0.0], [0.0, 9.0]], atol=1e-6)
    x, y = outline(turned, (-9, 9, -9, 9))
    assert max(y) == pytest.approx(3.0, abs=0.01)
    assert max(x) == pytest.approx(1.0, abs=0.01)


def test_bounds_that_cross_and_wrong_handles_are_refused() -> None:
    box = Rectangle((A, B), (0.0, 1.0), (2.0, 3.0))
    with pytest.raises(UsageError, match="the bounds on a cross; keep the lower bound below the upper"):
        moved(box, np.array([[3.0, 1.0], [2.0, 3.0]]))
    with pytest.raises(UsageError, match="1 handles, expected 2"):
        moved(box, np.zeros((1, 2)))
    with pytest.raises(UsageError, match="a handle has no place"):
        moved(box, np.full((2, 2), np.nan))


def test_raster_and_histogram_hold_every_event() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(2, 1, (2, 5000)).astype(np.float32)
    frame = frame_of([x, y], Rectangle((A, B), (1.0, 1.0), (9.0, 9.0)))
    assert frame[1] >= 9.0
    assert np.nansum(10 ** raster(x, y, frame) - 1) == pytest.approx(5000, rel=1e-4)
    assert (10 ** heights(x, frame)["top"] - 1).sum() == pytest.approx(5000)


def test_change_for_all_samples_is_undone_for_all(review_study: Path) -> None:
    desk = Desk(study.load(review_study), "J")
    desk.look_at(path=CAR)
    names = list(desk.sheet["sample_id"].astype(str))
    before = {n: desk.samples.placed(n).set_index("gate").at[CAR, "region"] for n in names}
    desk.drag(np.array([[3.3, 0.0]]))
    assert {g.rsplit("/", 1)[-1] for g in desk.downstream()["gate"]} <= {"CAR+", "CAR-", "CD4", "CD8", "DN", "DP"}
    assert desk.save("same reagent, same day", SCOPES[2]) == len(names)
    template = desk.template
    changes = gate.read_overrides(review_study / "overrides.yaml", template, names)
    assert [c.sample_id for c in changes] == names
    assert all(c.shape == {"threshold": {"VHH": 3.3}} for c in changes)
    assert all(('"low": [3.3]') in desk.samples.placed(n).set_index("gate").at[CAR, "region"] for n in names)
    again = Desk(study.load(review_study), "K")  # another person, another day
    assert again.path == CAR
    assert again.undo()
    assert {n: again.samples.placed(n).set_index("gate").at[CAR, "region"] for n in names} == before
    assert gate.read_overrides(review_study / "overrides.yaml")[-1].reason == "undo of: same reagent, same day"
    assert again.redo()
    assert not again.redo()
    assert again.opened(names[0]).regions[CAR].low == (3.3,)


def test_scope_of_a_batch(review_study: Path) -> None:
    sheet = pd.read_csv(review_study / "samples.csv")
    sheet["batch_id"] = ["a", "b"] * (len(sheet) // 2)
    sheet.to_csv(review_study / "samples.csv", index=False)
    desk = Desk(study.load(review_study), "J")
    desk.look_at(sample=str(sheet["sample_id"][1]))
    assert desk.scope("this batch") == sheet["sample_id"].astype(str)[sheet["batch_id"] == "b"].tolist()
    assert desk.scope("this sample") == [desk.sample]
    with pytest.raises(ConfigError, match="scope is 'some', expected one of this sample, this batch, all samples"):
        desk.scope("some")
    with pytest.raises(ConfigError, match="nothing was changed; drag the gate first"):
        desk.save("note")


def test_study_that_was_not_gated_is_one_clear_line(study_copy: Path) -> None:
    with pytest.raises(InputError, match="no gated samples here; run `cytof gate` first"):
        Desk(study.load(study_copy))


def test_log_of_a_killed_review_opens_again(tmp_path: Path) -> None:
    log = ReviewLog.open(tmp_path / "review.jsonl")
    for action in ("change", "change", "undo"):
        log.append(action, sample="s", gate="g")
    assert (log.done, log.undone) == ([0], [1])
    with log.path.open("ab") as file:
        file.write(b'{"action": "cha')  # the power went
    again = ReviewLog.open(log.path)
    assert (again.done, again.undone) == ([0], [1])
    again.append("accept", sample="s", gate="g")
    lines = log.path.read_text().splitlines()
    assert json.loads(lines[-1])["action"] == "accept"
    log.path.write_text('{"action": "accept"}\nnonsense\n{"action": "accept"}\n')
    with pytest.raises(ConfigError, match=r"review.jsonl:2: is no action of a review; mend the line"):
        ReviewLog.open(log.path)
