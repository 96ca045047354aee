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

__all__ = ["cell_order", "feature_matrix"]


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
    names = transform.features(adata, features)
    if adata.n_obs == 0:
        raise InputError(
            "found 0 cells, expected at least 1", where=step, hint="the gate before it kept nothing: look at its counts"
        )
    X = adata.X[:, adata.var_names.get_indexer(names)]
    X = np.ascontiguousarray(X.toarray() if hasattr(X, "toarray") else X, np.float32)
    bad = (~np.isfinite(X)).sum(0)
    if bad.any():
        found = ", ".join(f"{name} in {count} cells" for name, count in zip(names, bad, strict=True) if count)
        raise InputError(
            f"values missing or infinite: {found}; expected a number in each of the {len(X)} cells",
            where=step,
            hint="drop these cells or leave the marker out of `features`",
        )
    constant = [name for name, flat in zip(names, (X == X[0]).all(0), strict=True) if flat]
    if constant and len(X) > 1:
        warnings.warn(
            f"{step}: {', '.join(constant)} constant in these {len(X)} cells, separates nothing",
            CytofWarning,
            stacklevel=4,
        )
    return X, names


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
