"""Which markers cells are clustered and mapped on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns, nearest
from cytof.errors import PanelError, UsageError
from cytof.keys import UNS, Var

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["features"]


def features(adata: AnnData, features: Sequence[str] | None = None) -> list[str]:
    """Return the clustering features and record them.

    Default: markers of class ``type`` without those that the gates made constant (``var["gated"]``: CD45, CD3, CD7 and
    the dump markers of the chain) and without the CAR.

    Parameters
    ----------
    adata
        Cells with ``var`` columns ``marker_class role gated``.
    features
        Antigens to use instead.

    Writes
    ------
    ``uns["cytof"]["features"]``: list of antigens in the order of ``var``.

    Raises
    ------
    PanelError
        An antigen asked for is not in ``var``; the nearest is named.
    UsageError
        Nothing is left to cluster on.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> var = pd.DataFrame({"marker_class": ["type", "type", "state"], "role": ["lineage"] * 3,
    ...                     "gated": [True, False, False]}, index=["CD3", "CD4", "Ki67"])
    >>> features(anndata.AnnData(np.zeros((1, 3), np.float32), var=var))
    ['CD4']
    """
    if features is None:
        has_columns(adata.var.columns, [Var.MARKER_CLASS, Var.ROLE], where="adata.var", hint="or name `features=[...]`")
        wanted = (adata.var[Var.MARKER_CLASS] == "type") & (adata.var[Var.ROLE] != "car")
        if "gated" in adata.var:
            wanted &= ~adata.var["gated"].astype(bool)
        chosen = [str(v) for v in adata.var_names[wanted]]
    else:
        unknown = [f for f in features if f not in adata.var_names]
        if unknown:
            raise PanelError(
                f"no marker {', '.join(f'`{u}`' for u in unknown)}",
                where="features",
                hint=nearest(unknown[0], adata.var_names),
            )
        asked = set(features)
        chosen = [str(v) for v in adata.var_names if v in asked]
    if not chosen:
        raise UsageError(
            "no marker is left to cluster on",
            where="features",
            hint="set `marker_class` to `type` in the panel, or name `features=[...]`",
        )
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | {"features": chosen}
    return chosen
