"""The arcsinh scale on an AnnData whose layer holds counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cytof import scale
from cytof._check import has_columns
from cytof.errors import UsageError
from cytof.keys import Layers, Var
from cytof.transform._steps import record

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["arcsinh"]


def arcsinh(adata: AnnData, *, cofactor: float | None = None) -> None:
    """Write ``X = arcsinh(counts / cofactor)``.

    Always starts from ``layers["counts"]``, so that calling it twice changes nothing.

    Parameters
    ----------
    adata
        Cells with ``layers["counts"]``, shape (n_cells, n_channels).
    cofactor
        One cofactor for all channels; the panel's (``var["cofactor"]``, 5 for mass cytometry) when None.

    Writes
    ------
    ``X`` float32, ``var["cofactor"]``, one row of ``uns["cytof"]["steps"]``.

    Raises
    ------
    UsageError
        There is no layer of counts, or the cofactor is not above 0.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), layers={"counts": np.float32([[5.0]])})
    >>> arcsinh(cells, cofactor=5)
    >>> cells.X.round(3).tolist()
    [[0.8809999823570251]]

    Source: Bendall et al. 2011, Science 332:687 (cofactor 5).
    """
    if Layers.COUNTS not in adata.layers:
        raise UsageError("no layer `counts`", where="adata.layers", hint="cells made by `cytof.assemble` have it")
    if cofactor is None:
        has_columns(adata.var.columns, [Var.COFACTOR], where="adata.var", hint="or give `cofactor=5`")
        factors = adata.var[Var.COFACTOR].to_numpy(float)
    else:
        factors = np.full(adata.n_vars, float(cofactor))
    if not (factors > 0).all():
        bad = adata.var_names[~(factors > 0)][0]
        raise UsageError(f"cofactor of {bad} is {factors[~(factors > 0)][0]:g}, expected a number above 0")
    adata.X = scale.arcsinh(adata.layers[Layers.COUNTS], factors)
    adata.var[Var.COFACTOR] = factors
    record(adata, "arcsinh", {"cofactor": sorted(set(factors.tolist()))}, None)
