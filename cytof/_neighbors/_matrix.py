"""From an AnnData to the matrix that neighbours, clusters and maps are computed on, and the order of its cells."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytof import transform
from cytof.errors import CytofWarning, InputError
from cytof.order import canonical

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["cell_order", "chosen_features", "feature_matrix", "judge"]


def feature_matrix(
    adata: AnnData, features: Sequence[str] | None = None, *, step: str = "neighbors"
) -> tuple[NDArray[np.float32], list[str]]:
    """Return the clustering features of all cells and their names.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale.
    features
        Antigens; by default those of :func:`cytof.transform.features`, which also records them.
    step
        Named in messages.

    Returns
    -------
    float32 array of shape (n_cells, n_features), finite, and the antigens.

    Raises
    ------
    InputError
        There are no cells, or values are missing or infinite; markers and counts are named.

    Warns
    -----
    CytofWarning
        A marker is constant in these cells.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[1, 2], [3, 4]]), var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> feature_matrix(cells, ["CD8"])[0].tolist()
    [[2.0], [4.0]]
    """
    names = chosen_features(adata, features, step)
    X = adata.X[:, adata.var_names.get_indexer(names)]
    X = np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X, np.float32)
    judge(names, (~np.isfinite(X)).sum(0), (X == X[0]).all(0), len(X), step)
    return X, names


def chosen_features(adata: AnnData, features: Sequence[str] | None, step: str) -> list[str]:
    """Return the antigens to measure on; refuse a table without cells.

    Raises
    ------
    InputError
        There are no cells.
    """
    names = transform.features(adata, features)
    if adata.n_obs == 0:
        raise InputError(
            "found 0 cells, expected at least 1", where=step, hint="the gate before it kept nothing: look at its counts"
        )
    return names


def judge(names: Sequence[str], bad: NDArray[np.integer], constant: NDArray[np.bool_], n_cells: int, step: str) -> None:
    """Refuse values that are no numbers, and warn of markers that are the same in all cells.

    Parameters
    ----------
    names, bad, constant
        Markers; in how many cells each is missing or infinite; whether it is the same in all.
    n_cells
        Cells.
    step
        Named in messages.

    Raises
    ------
    InputError
        Values are missing or infinite; markers and counts are named.

    Warns
    -----
    CytofWarning
        A marker is constant.
    """
    if bad.any():
        found = ", ".join(f"{name} in {count} cells" for name, count in zip(names, bad, strict=True) if count)
        raise InputError(
            f"values missing or infinite: {found}; expected a number in each of the {n_cells} cells",
            where=step,
            hint="drop these cells or leave the marker out of `features`",
        )
    flat = [name for name, same in zip(names, constant, strict=True) if same]
    if flat and n_cells > 1:
        warnings.warn(
            f"{step}: {', '.join(flat)} constant in these {n_cells} cells, separates nothing",
            CytofWarning,
            stacklevel=5,
        )


def cell_order(X: NDArray[np.float32], names: Sequence[str] | NDArray) -> NDArray[np.int64]:
    """Return the canonical order of cells; names are read only where cells are equal in all features.

    Examples
    --------
    >>> cell_order(np.float32([[1], [0], [1]]), ["b", "c", "a"]).tolist()
    [1, 2, 0]
    """
    order = canonical(X)
    equal = np.arange(len(X) - 1)  # places whose next cell has the same values so far
    for column in X.T:
        equal = equal[column[order[equal]] == column[order[equal + 1]]]
        if not len(equal):
            return order
    return canonical(X, np.asarray(names, str))
