"""Masks of regions against brute force, edges included, and their way through JSON."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from cytof.region import Boolean, Dimension, Ellipse, Polygon, Rectangle, from_json, mask, to_json
from cytof.scale import Scale

X, Y = Dimension("x", 5.0), Dimension("y")


def columns(n: int = 100_000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "x": rng.negative_binomial(0.5, 0.01, n).astype(np.float32),
        "y": rng.normal(2, 1, n).astype(np.float32),
    }


def test_rectangle_compares_as_in_double_precision() -> None:
    data = columns()
    low, high = float(np.arcsinh(37 / 5)), float(np.arcsinh(211 / 5))
    hit = mask(Rectangle((X,), (low,), (high,)), data.__getitem__)
    exact = np.array([low <= math.asinh(float(v) / 5.0) < high for v in data["x"]])
    on_edge = np.isin(data["x"], [37, 211])
    assert (hit == exact)[~on_edge].all()
    assert on_edge.sum() > 50  # integer counts do sit on the bounds
    assert 1_000 < hit.sum() < 99_000


def test_rectangle_is_low_inclusive_high_exclusive_and_nan_is_outside() -> None:
    values = {"y": np.array([0.0, 1.0, 2.0, np.nan], np.float32)}
    assert mask(Rectangle((Y,), (1.0,), (2.0,)), values.__getitem__).tolist() == [False, True, False, False]
    assert mask(Rectangle((Y,), (-math.inf,), (math.inf,)), values.__getitem__).tolist() == [True, True, True, False]


def test_polygon_equals_an_independent_evaluator_and_holds_its_edges() -> None:
    data = columns()
    vertices = ((0.5, 0.0), (4.0, 0.5), (2.0, 2.0), (4.5, 4.0), (1.0, 3.5))
    hit = mask(Polygon((X, Y), vertices), data.__getitem__)
    points = np.column_stack([np.arcsinh(data["x"].astype(float) / 5), data["y"].astype(float)])
    assert (hit == Outline(vertices).contains_points(points)).mean() == 1.0
    square = Polygon((Y, Dimension("z")), ((0, 0), (2, 0), (2, 2), (0, 2)))
    edge = {"y": np.float32([0, 2, 1, 2, 2.1, 1]), "z": np.float32([0, 2, 2, 1, 1, 1])}
    assert mask(square, edge.__getitem__).tolist() == [True, True, True, True, False, True]


def test_ellipse_equals_the_loop() -> None:
    data = columns(2_000)
    ellipse = Ellipse((X, Y), (2.0, 2.0), ((1.5, 0.4), (0.4, 0.8)), 3.0)
    inverse = np.linalg.inv(np.array(ellipse.covariance))
    loop = []
    for x, y in zip(data["x"], data["y"], strict=True):
        away = np.array([math.asinh(float(x) / 5) - 2.0, float(y) - 2.0])
        loop.append(away @ inverse @ away <= 3.0)
    assert mask(ellipse, data.__getitem__).tolist() == loop
    assert 100 < sum(loop) < 1_900


def test_boolean() -> None:
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    masks = {"a": a, "b": b}
    none = {}.__getitem__
    assert mask(Boolean("and", ("a", "b"), (False, True)), none, masks).tolist() == [False, True, False, False]
    assert mask(Boolean("or", ("a", "b")), none, masks).tolist() == [True, True, True, False]
    assert mask(Boolean("not", ("a",)), none, masks).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    "region",
    [
        Rectangle((X, Y), (0.1, -math.inf), (math.inf, 1 / 3)),
        Polygon((X, Y), ((0.0, 0.0), (1.0, 0.0), (0.3, 0.7))),
        Ellipse((X,), (1.0,), ((2.0,),), 4.0),
        Boolean("and", ("a", "b"), (True, False)),
        Rectangle((Dimension("FL1-H", scale=Scale("logicle", 1e4, 0.5, 4.5, 0.1)),), (0.1,), (math.inf,)),
    ],
)
def test_json_round_trip_is_exact(region) -> None:
    assert from_json(to_json(region)) == region
