"""arcsinh against math.asinh, its inverse, and the question whether a file is on that scale already."""

from __future__ import annotations

import math

import numpy as np

from cytof import scale


def test_arcsinh_equals_math_asinh() -> None:
    x = np.random.default_rng(0).gamma(0.3, 200, (40_000, 3)).astype(np.float32)
    factors = np.array([5.0, 1.0, 150.0])
    y = scale.arcsinh(x, factors)
    assert y.dtype == np.float32
    for row in (0, 17_000, 39_999):
        for column in range(3):
            expected = math.asinh(x[row, column] / factors[column])
            assert math.isclose(y[row, column], expected, rel_tol=1e-6, abs_tol=1e-7)


def test_in_place_and_back() -> None:
    x = np.random.default_rng(1).gamma(0.5, 50, (1_000, 4)).astype(np.float32)
    y = x.copy()
    assert scale.arcsinh(y, 5, out=y) is y
    np.testing.assert_allclose(scale.inverse(y, 5), x, rtol=2e-6, atol=1e-6)


def test_counts_are_not_taken_for_transformed_and_transformed_are() -> None:
    rng = np.random.default_rng(2)
    counts = rng.negative_binomial(0.5, 0.005, (5_000, 20)).astype(np.float32)
    dithered = counts - rng.random(counts.shape, np.float32)
    dim = rng.poisson(1.0, (5_000, 5)).astype(np.float32)
    assert not scale.is_transformed(counts)
    assert not scale.is_transformed(dithered)
    assert not scale.is_transformed(dim)  # low, but whole numbers
    assert scale.is_transformed(scale.arcsinh(counts))
    assert not scale.is_transformed(scale.arcsinh(counts)[:50])  # too few events to say
