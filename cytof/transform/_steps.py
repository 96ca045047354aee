"""The log of steps: what ran on an AnnData, with parameters, seed and version; methods text and provenance read it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from cytof.keys import UNS, Tables
from cytof.provenance import canonical_json

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["record"]


def record(adata: AnnData, step: str, params: Mapping[str, Any], random_state: int | None) -> None:
    """Add (or, for a step that ran before, replace) one row of ``uns["cytof"]["steps"]``.

    Parameters
    ----------
    adata
        Cells.
    step
        Name of the step; what was written under two keys is two steps (``flowsom``, ``flowsom:meta20``).
    params
        JSON-writable parameters.
    random_state
        Seed, None where nothing is random.

    Writes
    ------
    ``uns["cytof"]["steps"]``: DataFrame with columns ``step params random_state version``, all text.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> cells = anndata.AnnData(np.zeros((2, 1), np.float32))
    >>> record(cells, "flowsom", {"n_clusters": 9}, 0)
    >>> cells.uns["cytof"]["steps"]["params"].tolist()
    ['{"n_clusters":9}']
    """
    import pandas as pd

    home = dict(adata.uns.get(UNS, {}))  # a view's uns is copied on write
    steps = home.get("steps", pd.DataFrame(columns=list(Tables.STEPS), dtype=str))
    row = (
        step,
        canonical_json(dict(params)),
        "" if random_state is None else str(random_state),
        metadata.version("cytof"),
    )
    steps = pd.concat(
        [steps[steps["step"] != step], pd.DataFrame([row], columns=list(Tables.STEPS))], ignore_index=True
    )
    adata.uns[UNS] = home | {"steps": steps}
