"""Canonical order: the same cells give the same array whatever order they come in."""

from __future__ import annotations

import numpy as np
import pytest

from cytof import order


@pytest.mark.parametrize("n_features", [1, 2, 3, 5])
def test_equals_numpy_lexsort(n_features: int) -> None:
    rng = np.random.default_rng(n_features)
    X = rng.integers(-2, 3, (2_000, n_features)).astype(np.float32)
    expected = X[np.lexsort(X.T[::-1])]
    np.testing.assert_array_equal(X[order.canonical(X)], expected)


def test_shuffled_rows_give_the_same_array_and_undo_brings_results_back() -> None:
    rng = np.random.default_rng(0)
    X = rng.poisson(0.4, (5_000, 6)).astype(np.float32)
    shuffle = rng.permutation(len(X))
    np.testing.assert_array_equal(X[order.canonical(X)], X[shuffle][order.canonical(X[shuffle])])
    place = order.canonical(X)
    np.testing.assert_array_equal(X[place][order.undo(place)], X)


def test_ties_are_broken_by_name() -> None:
    X = np.zeros((4, 2), np.float32)
    names = np.array(["d", "b", "a", "c"])
    assert names[order.canonical(X, names)].tolist() == ["a", "b", "c", "d"]


def test_nan_comes_last_and_minus_zero_is_zero() -> None:
    X = np.array([[np.nan], [1.0], [-0.0], [-np.inf], [0.0]], np.float32)
    assert order.canonical(X).tolist() == [3, 2, 4, 1, 0]


def test_no_cells() -> None:
    assert order.canonical(np.empty((0, 3), np.float32)).tolist() == []
