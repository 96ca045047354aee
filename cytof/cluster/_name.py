"""Names for clusters from signatures, as a merging table that a scientist edits and signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cytof._check import has_columns
from cytof.cluster._labels import UNASSIGNED
from cytof.cluster._signs import positive, usable
from cytof.keys import Obs
from cytof.panel import Signature

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = ["name", "signature_scores"]

_LEAST = 0.6
_MOST = 0.8  # of the cells of a cluster in one subset gate
_COLUMNS = ("cluster", "n", "name", "score", "second", "second_score", "also", "signs")


def signature_scores(
    adata: AnnData, signatures: Sequence[Signature], *, key: str = Obs.FLOWSOM,
    thresholds: Mapping[str, float] | pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Score how well each cluster fits each signature.

    The score is the geometric mean over the signs of the share of the cluster's cells on the asked side of the
    marker's threshold; where a signature has a parent and the cells have a subset by gate, the share of cells in it
    counts as one more sign.

    Parameters
    ----------
    adata
        Cells; ``X`` on the arcsinh scale.
    signatures
        From :func:`cytof.panel.load_subsets`.
    key
        Column of ``obs`` with clusters.
    thresholds
        As for :func:`score_cells`.

    Returns
    -------
    DataFrame ``cluster n signature signs score weakest share_weakest n_signs``, one row a cluster and signature.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"flowsom": list("1112")}, index=list("abcd"))
    >>> cells = anndata.AnnData(np.float32([[0], [0], [5], [5]]), obs=obs, var=pd.DataFrame(index=["CCR7"]))
    >>> scores = signature_scores(cells, [Signature("Naive", "", (("CCR7", True),))], thresholds={"CCR7": 2})
    >>> scores["score"].round(2).tolist()
    [0.33, 1.0]
    """
    import pandas as pd

    has_columns(adata.obs.columns, [key], where="adata.obs", hint="cluster first")
    wanted = usable(adata, signatures)
    bears = positive(adata, wanted, thresholds)
    column = adata.obs[key].astype("category")
    codes, categories = column.cat.codes.to_numpy(), [str(c) for c in column.cat.categories]
    n = np.bincount(codes[codes >= 0], minlength=len(categories))
    share = {m: np.bincount(codes[(codes >= 0) & b], minlength=len(n)) / np.maximum(n, 1) for m, b in bears.items()}
    inside = adata.obs[Obs.SUBSET].astype(str).to_numpy() if Obs.SUBSET in adata.obs else None
    rows = []
    for signature in wanted:
        asked = {f"{a}{'+' if s else '-'}": share[a] if s else 1 - share[a] for a, s in signature.signs}
        if signature.parent and inside is not None:
            within = np.bincount(codes[(codes >= 0) & (inside == signature.parent)], minlength=len(n))
            asked[signature.parent] = within / np.maximum(n, 1)
        fits = np.stack(list(asked.values()), 1)
        score = np.exp(np.log(np.maximum(fits, 1e-6)).mean(1))
        for c in np.flatnonzero(n):
            weak = int(fits[c].argmin())
            rows.append((categories[c], int(n[c]), signature.name, signature.text, score[c], list(asked)[weak],
                         fits[c, weak], len(signature.signs)))  # fmt: skip
    names = ["cluster", "n", "signature", "signs", "score", "weakest", "share_weakest", "n_signs"]
    table = pd.DataFrame(rows, columns=names)
    order = pd.Categorical(table["cluster"], categories=categories, ordered=True)
    return table.iloc[np.argsort(order.codes, kind="stable")].reset_index(drop=True)


def name(
    adata: AnnData, signatures: Sequence[Signature], *, key: str = Obs.FLOWSOM,
    thresholds: Mapping[str, float] | pd.DataFrame | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Propose a name for each cluster.

    A signature fits when most cells of the cluster show each of its signs and its score is 0.6 or more; of those that
    fit, the one with most signs names the cluster, then the higher score. Where four fifths of the cells lie in one
    subset gate, its name goes in front (``CD8 TEMRA``). The table is a merging table: edit the column ``name`` and
    hand it to :func:`merge`.

    Parameters
    ----------
    adata, signatures, key, thresholds
        As for :func:`signature_scores`.

    Returns
    -------
    DataFrame ``cluster n name score second second_score also signs``: ``second`` is the next best by score, ``also``
    the other signatures that fit (states such as ``Proliferating``); ``name`` is ``unassigned`` where none fits.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"flowsom": list("1112")}, index=list("abcd"))
    >>> cells = anndata.AnnData(np.float32([[0], [0], [0], [5]]), obs=obs, var=pd.DataFrame(index=["CCR7"]))
    >>> name(cells, [Signature("Naive", "", (("CCR7", True),))], thresholds={"CCR7": 2})["name"].tolist()
    ['unassigned', 'Naive']
    """
    import pandas as pd

    scores = signature_scores(adata, signatures, key=key, thresholds=thresholds)
    gates, rows = _gates(adata, key), []
    for cluster, part in scores.groupby("cluster", sort=False, observed=True):
        fits = part[(part["score"] >= _LEAST) & (part["share_weakest"] >= 0.5)]
        fits = fits.sort_values(["n_signs", "score"], ascending=False, kind="stable")
        by_score = part.sort_values("score", ascending=False, kind="stable")
        best = fits.iloc[0] if len(fits) else by_score.iloc[0]
        others = by_score[by_score["signature"] != best["signature"]] if len(fits) else by_score
        second = others.iloc[0] if len(others) else None
        rows.append((
            cluster, int(best["n"]), _full(best["signature"], gates.get(str(cluster), "")) if len(fits) else UNASSIGNED,
            float(best["score"]) if len(fits) else np.nan,
            "" if second is None else second["signature"], np.nan if second is None else float(second["score"]),
            ", ".join(fits["signature"].iloc[1:]), best["signs"] if len(fits) else "",
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _gates(adata: AnnData, key: str) -> dict[str, str]:
    """Return the subset gate of each cluster that lies in one."""
    import pandas as pd

    if Obs.SUBSET not in adata.obs:
        return {}
    shares = pd.crosstab(adata.obs[key].astype(str), adata.obs[Obs.SUBSET].astype(str), normalize="index")
    shares = shares[[c for c in shares if c not in ("", "nan", "None")]]
    return {str(c): str(row.idxmax()) for c, row in shares.iterrows() if len(row) and row.max() >= _MOST}


def _full(signature: str, gate: str) -> str:
    return f"{gate} {signature}".strip() if gate and not f"{signature} ".startswith(f"{gate} ") else signature
