"""Can a contrast be told from what it is adjusted for? Designs that cannot be estimated, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import UsageError

__all__ = ["confounded", "estimable", "model_columns"]


def model_columns(table: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """Return an intercept, numbers as they are and words as indicators without the first; shape (n_rows, n_columns).

    Examples
    --------
    >>> model_columns(pd.DataFrame({"batch_id": ["a", "a", "b"]}), ["batch_id"]).tolist()
    [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    """
    parts = [np.ones((len(table), 1))]
    for name in columns:
        if pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name]):
            parts.append(table[name].to_numpy(float)[:, None])
        else:
            words = table[name].astype(str)
            parts.append(np.stack([(words == w).to_numpy(float) for w in sorted(words.unique())[1:]], axis=1)
                         if words.nunique() > 1 else np.empty((len(table), 0)))  # fmt: skip
    return np.concatenate(parts, axis=1)


def confounded(table: pd.DataFrame, effect: NDArray[np.float64], columns: Sequence[str]) -> list[str]:
    """Return the fewest of ``columns`` whose effects together contain the contrast; empty when it can be estimated.

    Parameters
    ----------
    table
        One row a sample.
    effect
        The contrast: 1 at the level, 0 at the reference, shape (n_rows,).
    columns
        What it is adjusted for.

    Examples
    --------
    >>> sheet = pd.DataFrame({"batch_id": ["1", "1", "2", "2"], "sex": ["f", "m", "f", "m"]})
    >>> confounded(sheet, np.array([0.0, 0, 1, 1]), ["sex", "batch_id"])
    ['batch_id']
    """

    def contains(names: Sequence[str]) -> bool:
        X = model_columns(table, names)
        left = effect - X @ np.linalg.lstsq(X, effect, rcond=None)[0]
        return bool(np.abs(left).max(initial=0) < 1e-9)

    alone = [c for c in columns if contains([c])]
    if alone:
        return alone
    if not contains(columns):
        return []
    needed = list(columns)
    for name in columns:
        fewer = [c for c in needed if c != name]
        needed = fewer if contains(fewer) else needed
    return needed


def estimable(
    table: pd.DataFrame, effect: NDArray[np.float64], columns: Sequence[str], contrast: str, *, where: str = "compare"
) -> None:
    """Refuse a contrast that cannot be told from the columns it is adjusted for.

    Raises
    ------
    UsageError
        The confounded columns are named.

    Examples
    --------
    >>> estimable(pd.DataFrame({"sex": ["f", "m", "f", "m"]}), np.array([0.0, 0, 1, 1]), ["sex"], "5yr vs 2mo")
    """
    found = confounded(table, effect, columns)
    if found:
        names = " and ".join(f"`{c}`" for c in found)
        raise UsageError(
            f"{contrast} cannot be told from {names}: in this design they coincide",
            where=where,
            hint=f"leave out {names}, or add samples in which they differ from the contrast",
        )
