"""Equal draws of cells, and results of a part of the cells brought back to all of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from cytof import order
from cytof._check import at_least, has_columns
from cytof.errors import UsageError
from cytof.keys import UNS, Obs

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["equal_draw", "equal_weight", "merge_cells"]


def equal_draw(
    adata: AnnData, *, n: int | None = None, total: int | None = None, by: str = Obs.SAMPLE,
    key_added: str = Obs.IN_FIT, random_state: int = 0,
) -> None:  # fmt: skip
    """Mark an equal number of cells of each sample, so that a large visit does not drown a small one.

    A sample with fewer cells gives all it has. The draw of a sample depends on its cells and name alone, not on the
    order of the rows or on the other samples.

    Parameters
    ----------
    adata
        Cells.
    n
        Cells a sample; None for as many as ``total`` allows.
    total
        At most this many cells in all: the largest equal ``n`` is found.
    by
        Column of ``obs`` with the samples.
    key_added
        Column of ``obs`` to write.
    random_state
        Seed.

    Writes
    ------
    ``obs[key_added]`` bool, shape (n_cells,).

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"sample_id": ["a"] * 5 + ["b"] * 2}, index=list("1234567"))
    >>> cells = anndata.AnnData(np.arange(7, dtype=np.float32)[:, None], obs=obs)
    >>> equal_draw(cells, n=3)
    >>> cells.obs.groupby("sample_id").in_fit.sum().tolist()
    [3, 2]
    """
    has_columns(adata.obs.columns, [by], where="adata.obs")
    if (n is None) == (total is None):
        raise UsageError("give one of `n` (cells a sample) and `total` (cells in all)", where="equal_draw")
    groups = {str(k): np.asarray(v) for k, v in adata.obs.groupby(by, observed=True, sort=True).indices.items()}
    if n is None:
        n = _largest_n([len(g) for g in groups.values()], int(at_least(total or 0, 1, "total")))
    at_least(n, 1, "n")
    chosen = np.zeros(adata.n_obs, bool)
    names = adata.obs_names.to_numpy()
    for name, rows in groups.items():
        rows = rows[order.canonical(np.asarray(adata.X[rows]), names[rows])]
        seed = np.random.SeedSequence([random_state, zlib.crc32(name.encode())])
        pick = np.random.default_rng(seed).permutation(len(rows))[:n]
        chosen[rows[pick]] = True
    adata.obs[key_added] = chosen


def equal_weight(adata: AnnData, *, by: str = Obs.SAMPLE, key_added: str = Obs.WEIGHT) -> None:
    """Give cells weights with which every sample counts the same in all, however many cells it holds.

    No cell is left out, as :func:`equal_draw` does; ``cluster.flowsom(adata, fit_on="weight")`` trains by them.

    Parameters
    ----------
    adata
        Cells.
    by
        Column of ``obs`` with the samples; cells without one get weight 0.
    key_added
        Column of ``obs`` to write.

    Writes
    ------
    ``obs[key_added]`` float64, shape (n_cells,): 1 over the cells of the sample, times the cells of the smallest, so
    that the largest weight is 1.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> obs = pd.DataFrame({"sample_id": ["a"] * 4 + ["b"] * 2}, index=list("123456"))
    >>> cells = anndata.AnnData(np.zeros((6, 1), np.float32), obs=obs)
    >>> equal_weight(cells)
    >>> cells.obs["weight"].tolist()
    [0.5, 0.5, 0.5, 0.5, 1.0, 1.0]
    """
    has_columns(adata.obs.columns, [by], where="adata.obs")
    sizes = adata.obs[by].value_counts()
    sizes = sizes[sizes > 0]
    each = adata.obs[by].map((sizes.min() if len(sizes) else 1) / sizes).astype(float)
    adata.obs[key_added] = each.fillna(0.0).to_numpy()


def _largest_n(sizes: list[int], total: int) -> int:
    """Return the largest n with ``sum(min(size, n)) <= total`` (at least 1)."""
    left, n = total, 1
    for place, size in enumerate(sorted(sizes)):
        n = left // (len(sizes) - place)
        if size > n:
            break
        left -= size
        n = max(n, size)
    return max(n, 1)


def _same(ours: pd.Series, theirs: pd.Series) -> bool:
    """Tell whether two columns hold the same values; a part may lack categories that none of its cells bears."""
    a, b = ours.astype(object).to_numpy(), theirs.astype(object).to_numpy()
    return bool(np.all((a == b) | ((a != a) & (b != b))))


def merge_cells(adata: AnnData, part: AnnData) -> None:
    """Bring what was computed on a part of the cells back to all of them.

    Parameters
    ----------
    adata
        All cells.
    part
        Some of these cells (by ``obs_names``), with new columns and maps.

    Writes
    ------
    Every ``obs`` column and ``obsm`` map that ``part`` has and ``adata`` lacks or holds from an earlier run; cells
    outside the part get NaN (False for bool). ``uns["cytof"]`` entries of the part.

    Raises
    ------
    UsageError
        ``part`` holds cells that ``adata`` does not.
    """
    from pandas import Categorical, CategoricalDtype

    places = adata.obs_names.get_indexer(part.obs_names)
    if (places < 0).any():
        raise UsageError(f"{int((places < 0).sum())} cells of the part are not among the cells", where="merge_cells")
    for column in part.obs.columns:
        values = part.obs[column]
        if column in adata.obs and _same(values, adata.obs[column].iloc[places]):
            continue
        if values.dtype == bool:
            adata.obs[column] = np.isin(np.arange(adata.n_obs), places[values.to_numpy()])
            continue
        whole = values.reindex(adata.obs_names)
        adata.obs[column] = whole
        if isinstance(values.dtype, CategoricalDtype):
            adata.obs[column] = Categorical(whole, categories=values.cat.categories, ordered=values.cat.ordered)
    for key, values in part.obsm.items():
        whole_map: NDArray = np.full((adata.n_obs, values.shape[1]), np.nan, np.float32)
        whole_map[places] = values
        adata.obsm[key] = whole_map
    adata.uns[UNS] = dict(adata.uns.get(UNS, {})) | dict(part.uns.get(UNS, {}))
