"""Batches brought to one by anchor samples: one blood measured in every batch. Only on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns, nearest
from cytof.errors import PanelError, UsageError
from cytof.keys import Obs, Var
from cytof.transform._steps import record

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.interpolate import PchipInterpolator

__all__ = ["ALIGNED", "align_batches", "batch_is"]

ALIGNED: Final = (
    "batch_id", "marker", "n_anchor", "n_anchor_reference", "distance_before", "distance_after", "extrapolated", "note",
)  # fmt: skip

_LEVELS = np.concatenate([[0.005, 0.01], np.arange(0.02, 0.981, 0.03), [0.99, 0.995]])
_FEW = 200  # anchor cells of a batch


def batch_is(obs: pd.DataFrame, *, by: str = Obs.TIMEPOINT, batch: str = Obs.BATCH) -> str:
    """Say how batch and visit hang together: ``coincide``, ``crossed`` or ``one batch``.

    ``coincide``: no batch holds two visits, so that a difference between visits may be one between runs.

    Examples
    --------
    >>> batch_is(pd.DataFrame({"timepoint": ["2mo", "5yr"], "batch_id": ["run1", "run2"]}))
    'coincide'
    """
    has_columns(obs.columns, [by, batch], where="adata.obs")
    pairs = obs[[by, batch]].astype(str).drop_duplicates()
    if pairs[batch].nunique() < 2:
        return "one batch"
    return "coincide" if (pairs.groupby(batch)[by].nunique() == 1).all() and pairs[by].nunique() > 1 else "crossed"


def align_batches(
    adata: AnnData, *, anchors: str | None = None, reference: str | None = None, by: str = Obs.TIMEPOINT,
    batch: str = Obs.BATCH, markers: Sequence[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Bring each batch to the reference batch by the quantiles of its anchor sample, marker by marker.

    A monotone spline maps the quantiles of a batch's anchor cells to those of the reference's; all cells of the batch
    go through it. Beyond the outermost quantiles (0.5 and 99.5 %) the shift there is kept, and the share of such cells
    is told.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X, anchors among them.
    anchors
        Column of ``obs`` that is not empty (or True) for cells of the anchor sample. None asks for alignment without
        anchors: refused, and where batch and visit coincide it is said what is sound instead.
    reference
        Batch that the others are brought to; None for the first by name.
    by, batch
        Columns of ``obs`` with visits and batches.
    markers
        Markers to align; None for all of class ``type`` and ``state``.

    Returns
    -------
    DataFrame ``ALIGNED``, one row a batch (but the reference) and marker: the largest distance of the two cumulative
    distributions of the anchors (Kolmogorov-Smirnov) before and after, the share of the batch's cells beyond the
    anchors' outermost quantiles, and a note where a marker was left as it was.

    Writes
    ------
    ``X`` float32; one row of ``uns["cytof"]["steps"]``. Counts stay as they are.

    Raises
    ------
    UsageError
        No anchors, or a batch holds none or fewer than 200 anchor cells. PanelError: no such marker.

    Examples
    --------
    >>> import anndata
    >>> rng = np.random.default_rng(0)
    >>> obs = pd.DataFrame({"batch_id": ["a"] * 400 + ["b"] * 400, "timepoint": ["1"] * 400 + ["2"] * 400,
    ...                     "anchor": True})
    >>> obs.index = obs.index.astype(str)
    >>> X = rng.normal(2, 0.5, (800, 1)).astype(np.float32)
    >>> X[400:] += 0.7
    >>> cells = anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=["CD4"]))
    >>> found = align_batches(cells, anchors="anchor")
    >>> bool(found["distance_before"][0] > 0.3), bool(found["distance_after"][0] < 0.05)
    (True, True)

    Source: Van Gassen et al. 2020, Cytometry A 97:268 (CytoNorm); Fritsch and Carlson 1980 (monotone spline).
    """
    if anchors is None:
        raise _refusal(adata, by, batch)
    has_columns(adata.obs.columns, [anchors, batch], where="adata.obs")
    names = _markers(adata, markers)
    label = adata.obs[batch].astype(str).to_numpy()
    anchor = _is_anchor(adata.obs[anchors])
    batches = sorted(set(label))
    base = batches[0] if reference is None else str(reference)
    if base not in batches:
        raise UsageError(
            f"reference {reference!r} is no batch, found {', '.join(batches)}", where="align_batches",
            hint=nearest(base, batches),
        )  # fmt: skip
    for name in batches:
        n = int((anchor & (label == name)).sum())
        if n < _FEW:
            raise UsageError(
                f"batch {name} has {n} anchor cells, expected {_FEW} or more", where=f"adata.obs: {anchors}",
                hint="every batch needs a tube of the anchor sample; without one use the bead scale or host T cells",
            )  # fmt: skip
    X = np.array(adata.X, np.float32)
    rows = [
        _align(X, label == name, anchor & (label == name), anchor & (label == base), m, (name, marker))
        for name in batches if name != base
        for m, marker in zip(adata.var_names.get_indexer(names), names, strict=True)
    ]  # fmt: skip
    adata.X = X
    record(adata, "align_batches", {"anchors": anchors, "reference": base, "markers": names}, None)
    return pd.DataFrame(rows, columns=list(ALIGNED))


def _refusal(adata: AnnData, by: str, batch: str) -> UsageError:
    has_columns(adata.obs.columns, [by, batch], where="adata.obs")
    if batch_is(adata.obs, by=by, batch=batch) == "coincide":
        return UsageError(
            f"`{batch}` and `{by}` coincide: aligning the batches would take away what changed between visits",
            where="align_batches",
            hint="sound instead: an anchor sample in every batch (anchors=...), the bead scale, or host T cells of the "
            "same tube (compare.difference_of_differences)",
        )
    return UsageError(
        "no anchors", where="align_batches", hint="name the column of obs that marks the anchor sample: anchors=..."
    )


def _is_anchor(column: pd.Series) -> NDArray[np.bool_]:
    if column.dtype == bool:
        return column.to_numpy()
    text = column.astype(object)
    return (text.where(text.notna(), "").astype(str).str.strip() != "").to_numpy()


def _markers(adata: AnnData, markers: Sequence[str] | None) -> list[str]:
    if markers is None:
        if Var.MARKER_CLASS not in adata.var:
            return [str(m) for m in adata.var_names]
        return [str(m) for m in adata.var_names[adata.var[Var.MARKER_CLASS].isin(["type", "state"])]]
    for name in markers:
        if name not in adata.var_names:
            raise PanelError(f"no marker `{name}`", where="align_batches", hint=nearest(name, adata.var_names))
    return list(markers)


def _align(
    X: NDArray[np.float32], own: NDArray, anchor: NDArray, base: NDArray, m: int, words: tuple[str, str]
) -> tuple:
    """Map one marker of one batch in place and return its row."""
    here, there = X[anchor, m].astype(float), X[base, m].astype(float)
    here, there = here[~np.isnan(here)], there[~np.isnan(there)]
    head = (*words, len(here), len(there))
    if min(len(here), len(there)) < _FEW:
        return (*head, np.nan, np.nan, np.nan, "left as it was: marker missing in the anchors")
    before = _distance(here, there)
    places, spline = _spline(here, there)
    if spline is None:
        return (*head, before, before, 0.0, "left as it was: fewer than 3 different quantiles")
    x = X[own, m].astype(float)
    low, high = places[0], places[-1]

    def mapped(v: NDArray) -> NDArray:
        return spline(np.clip(v, low, high)) + (v - np.clip(v, low, high))

    X[own, m] = mapped(x)
    beyond = float(np.mean((x < low) | (x > high))) if len(x) else 0.0
    return (*head, before, _distance(mapped(here), there), beyond, "")


def _spline(here: NDArray, there: NDArray) -> tuple[NDArray, PchipInterpolator | None]:
    """Return the places of the batch's quantiles and the monotone spline from them to the reference's."""
    from scipy.interpolate import PchipInterpolator

    at, to = np.quantile(here, _LEVELS), np.quantile(there, _LEVELS)
    places, group = np.unique(np.round(at, 6), return_inverse=True)
    if len(places) < 3:
        return places, None
    values = np.bincount(group, to) / np.bincount(group)  # ties (cells at 0) go to the mean of their quantiles
    return places, PchipInterpolator(places, np.maximum.accumulate(values))


def _distance(x: NDArray, y: NDArray) -> float:
    """Return the Kolmogorov-Smirnov distance."""
    x, y = np.sort(x), np.sort(y)
    both = np.concatenate([x, y])
    gap = np.searchsorted(x, both, side="right") / len(x) - np.searchsorted(y, both, side="right") / len(y)
    return float(np.abs(gap).max())
