"""Which cells bear a marker, and which signatures they fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof import density, transform
from cytof.cluster._labels import UNASSIGNED
from cytof.errors import PanelError
from cytof.keys import Obs, Var
from cytof.panel import Signature
from cytof.scale import COFACTOR

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["marker_thresholds", "matches", "positive", "score_cells", "usable"]

_FALLBACK = 1.5  # arcsinh at cofactor 5: 10.6 counts


def marker_thresholds(adata: AnnData, markers: Sequence[str]) -> pd.DataFrame:
    """Return the value above which cells bear each marker: the valley of its density, 1.5 where it has none.

    Take them from all T cells rather than from one rare population: a valley needs cells on both sides.

    Returns
    -------
    DataFrame ``marker value method depth``; ``method``: ``valley`` or ``fixed``.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> X = np.r_[rng.normal(0.5, 0.3, 500), rng.normal(4, 0.4, 500)].astype(np.float32)[:, None]
    >>> found = marker_thresholds(anndata.AnnData(X, var=pd.DataFrame(index=["CCR7"])), ["CCR7"])
    >>> found["method"].item(), 1.5 < found["value"].item() < 3
    ('valley', True)
    """
    import pandas as pd

    rows = []
    for marker in markers:
        values = _column(adata, marker)
        cofactor = float(adata.var[Var.COFACTOR].get(marker, COFACTOR)) if Var.COFACTOR in adata.var else COFACTOR
        cofactor = cofactor if np.isfinite(cofactor) and cofactor > 0 else COFACTOR
        found = density.valley(density.histogram(values), cofactor=cofactor, n_bootstrap=1)
        rows.append((marker, found.value, "valley", found.depth) if found else (marker, _FALLBACK, "fixed", np.nan))
    return pd.DataFrame(rows, columns=["marker", "value", "method", "depth"])


def positive(
    adata: AnnData, signatures: Sequence[Signature], thresholds: Mapping[str, float] | pd.DataFrame | None
) -> dict[str, NDArray[np.bool_]]:
    """Return for each marker of the signatures which cells lie above its threshold.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[0], [5]]), var=pd.DataFrame(index=["CCR7"]))
    >>> positive(cells, [Signature("N", "", (("CCR7", True),))], {"CCR7": 2.0})["CCR7"].tolist()
    [False, True]
    """
    markers = [m for m in dict.fromkeys(a for s in signatures for a, _ in s.signs) if m in adata.var_names]
    known = _as_mapping(thresholds)
    own = marker_thresholds(adata, [m for m in markers if m not in known])
    known |= dict(zip(own["marker"], own["value"], strict=True))
    return {m: _column(adata, m) > known[m] for m in markers}


def usable(adata: AnnData, signatures: Sequence[Signature]) -> list[Signature]:
    """Return the signatures all of whose markers are in the panel.

    Raises
    ------
    PanelError
        There is none.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[0]]), var=pd.DataFrame(index=["CCR7"]))
    >>> [s.subset for s in usable(cells, [Signature("a", "", (("CCR7", True),)), Signature("b", "", (("CD4", True),))])]
    ['a']
    """
    found = [s for s in signatures if all(a in adata.var_names for a, _ in s.signs)]
    if not found:
        lacking = list(dict.fromkeys(a for s in signatures for a, _ in s.signs if a not in adata.var_names))
        raise PanelError(f"no signature can be scored, markers missing: {', '.join(lacking)}", where="signatures")
    return found


def matches(
    adata: AnnData, signatures: Sequence[Signature], bears: Mapping[str, NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """Return which cells show every sign of each signature and lie in its parent, shape (n_signatures, n_cells).

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[0], [5]]), var=pd.DataFrame(index=["CCR7"]))
    >>> wanted = [Signature("N", "", (("CCR7", True),)), Signature("E", "", (("CCR7", False),))]
    >>> matches(cells, wanted, {"CCR7": np.array([False, True])}).tolist()
    [[False, True], [True, False]]
    """
    inside = adata.obs[Obs.SUBSET].astype(str).to_numpy() if Obs.SUBSET in adata.obs else None
    fits = np.ones((len(signatures), adata.n_obs), bool)
    for row, signature in zip(fits, signatures, strict=True):
        for antigen, sign in signature.signs:
            row &= bears[antigen] == sign
        if signature.parent and inside is not None:
            row &= inside == signature.parent
    return fits


def score_cells(
    adata: AnnData, signatures: Sequence[Signature], *, thresholds: Mapping[str, float] | pd.DataFrame | None = None,
    key_added: str = "signature",
) -> None:  # fmt: skip
    """Name each cell by the signature all of whose signs it shows; of several the one with most signs, then the first.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale.
    signatures
        From :func:`cytof.panel.load_subsets`.
    thresholds
        Value above which a cell bears a marker: a mapping, the table of :func:`marker_thresholds`, or None to find
        them in these cells.
    key_added
        Column of ``obs``.

    Writes
    ------
    ``obs[key_added]`` categorical, names in the order of the signatures, then ``unassigned``, shape (n_cells,).

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.float32([[0], [5]]), var=pd.DataFrame(index=["CCR7"]))
    >>> score_cells(cells, [Signature("Naive", "", (("CCR7", True),))], thresholds={"CCR7": 2})
    >>> cells.obs["signature"].tolist()
    ['unassigned', 'Naive']
    """
    import pandas as pd

    wanted = usable(adata, signatures)
    fits = matches(adata, wanted, positive(adata, wanted, thresholds))
    order = sorted(range(len(wanted)), key=lambda i: -len(wanted[i].signs))
    place = np.array(order)[fits[order].argmax(0)]
    place[~fits.any(0)] = len(wanted)
    names = [s.name for s in wanted]
    adata.obs[key_added] = pd.Categorical.from_codes(place, categories=[*names, UNASSIGNED])
    transform.record(adata, f"score_cells:{key_added}", {"signatures": {s.name: s.text for s in wanted}}, None)


def _column(adata: AnnData, marker: str) -> NDArray[np.float32]:
    values: Any = adata.X[:, adata.var_names.get_loc(marker)]
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float32).ravel()


def _as_mapping(thresholds: Any) -> dict[str, float]:
    if hasattr(thresholds, "columns"):
        return dict(zip(thresholds["marker"], thresholds["value"], strict=True))
    return dict(thresholds or {})
