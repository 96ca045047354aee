"""How far two clusterings agree: the cross-table and the adjusted Rand index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cytof._check import has_columns

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["adjusted_rand", "crosstab"]


def crosstab(adata: AnnData, a: str, b: str) -> tuple[pd.DataFrame, float]:
    """Count the cells of each pair of clusters of two columns of ``obs``, and rate their agreement.

    Parameters
    ----------
    adata
        Cells.
    a, b
        Columns of ``obs``; cells without a label in either are left out.

    Returns
    -------
    Table, rows clusters of ``a``, columns clusters of ``b``, values cells; the adjusted Rand index.

    Raises
    ------
    UsageError
        A column is not there.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"flowsom": list("1122"), "phenograph": list("1123")}, index=list("abcd"))
    >>> table, ari = crosstab(anndata.AnnData(np.zeros((4, 1), np.float32), obs=obs), "flowsom", "phenograph")
    >>> table.to_numpy().tolist(), round(ari, 3)
    ([[2, 0, 0], [0, 1, 1]], 0.571)
    """
    import pandas as pd

    has_columns(adata.obs.columns, [a, b], where="adata.obs", hint="cluster first")
    obs = adata.obs[[a, b]].dropna()
    table = pd.crosstab(obs[a], obs[b])
    return table, adjusted_rand(obs[a], obs[b])


def adjusted_rand(a: ArrayLike, b: ArrayLike) -> float:
    """Return the adjusted Rand index of two labellings of the same cells; 1 is full agreement, 0 chance.

    Examples
    --------
    >>> adjusted_rand([0, 0, 1, 1], ["x", "x", "y", "y"])
    1.0

    Source: Hubert and Arabie 1985, J Classification 2:193, equation 5.
    """
    rows, columns = (np.unique(np.asarray(x).astype(str), return_inverse=True)[1] for x in (a, b))
    n = len(rows)
    if n < 2:
        return 1.0
    table = np.bincount(rows * (columns.max() + 1) + columns).astype(np.float64)

    def pairs(count: np.ndarray) -> float:
        return float((count * (count - 1) / 2).sum())

    together, in_a, in_b = pairs(table), pairs(np.bincount(rows)), pairs(np.bincount(columns))
    expected = in_a * in_b / (n * (n - 1) / 2)
    most = (in_a + in_b) / 2
    return 1.0 if most == expected else float((together - expected) / (most - expected))
