"""How far values move between visits where nothing should: the band that an effect has to leave."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.compare._design import plan
from cytof.errors import UsageError
from cytof.keys import Obs
from cytof.track._cells import columns_of, default_markers, values

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["SHIFTS", "against_technical", "technical_shifts"]

SHIFTS: Final = ("source", "population", "marker", "contrast", "shift", "n", "n_reference")
_FEW = 30  # values on either side
_NONE = ("", "nan", "no", "false", "0", "0.0")  # of a column that marks some of the tubes
_SHIFTS_NEEDED = 3


def technical_shifts(
    adata: AnnData,
    *,
    markers: str | Sequence[str] = ("CD45", "CD3"),
    within: str | None = Obs.SUBSET,
    by: str = Obs.TIMEPOINT,
    reference: Hashable | None = None,
    replicates: str | None = None,
) -> pd.DataFrame:
    """Return how much markers that should stay put moved between visits, and everything between replicate tubes.

    Parameters
    ----------
    adata
        Cells with arcsinh values. Where ``obs["car"]`` is there, the stable markers are read on host T cells alone.
    markers
        Markers in which no change is expected on these cells (the panel's, or bead channels); one may be a word.
    within
        Populations, each by itself.
    by, reference
        The visits, and the one the others are set against; None for the first.
    replicates
        Column of ``obs`` that names what was measured more than once (an anchor sample in every run, one blood in two
        tubes): all its tubes (``sample_id``) are set against the first, in every marker. Cells without an entry, or
        with ``no`` or ``False``, are no replicates.

    Returns
    -------
    DataFrame ``SHIFTS``, one row a population, marker and contrast with at least 30 values on either side; ``shift`` is
    the difference of means, ``source`` is ``stable marker`` or ``replicate``.

    Examples
    --------
    >>> import anndata
    >>> obs = pd.DataFrame({"timepoint": ["1"] * 40 + ["2"] * 40, "day": [0.0] * 40 + [9.0] * 40},
    ...                    index=[str(i) for i in range(80)])
    >>> X = np.repeat(np.float32([[3.0], [3.1]]), 40, axis=0)
    >>> cells = anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=["CD45"]))
    >>> technical_shifts(cells, markers=["CD45"], within=None)["shift"].round(2).tolist()
    [0.1]
    """
    rows: list[tuple] = []
    markers = [markers] if isinstance(markers, str) else list(markers)
    if markers:
        host = adata[~adata.obs[Obs.CAR].to_numpy(bool)] if Obs.CAR in adata.obs else adata
        present = [m for m in markers if m in adata.var_names]
        if not present and not replicates:
            raise UsageError(
                f"the panel has none of {', '.join(markers)}", where="compare.technical_shifts",
                hint="name markers that should not change with `markers=[...]`",
            )  # fmt: skip
        rows.extend(_shifts(host, present, by, reference, within, "stable marker"))
    if replicates:
        has_columns(adata.obs.columns, [replicates, Obs.SAMPLE], where="adata.obs")
        named = adata.obs[replicates].astype(object)
        named = named.where(named.notna(), "").astype(str).str.strip()
        for word in sorted(w for w in set(named) if w.lower() not in _NONE):
            part = adata[(named == word).to_numpy()]
            rows.extend(_shifts(part, default_markers(adata), Obs.SAMPLE, None, within, "replicate"))
    return pd.DataFrame(rows, columns=list(SHIFTS))


def _shifts(
    adata: AnnData, markers: Sequence[str], by: str, reference: Hashable | None, within: str | None, source: str
) -> Iterable[tuple]:
    if not adata.n_obs or not markers:
        return
    design, columns = plan(adata, by=by, reference=reference, within=within), columns_of(adata, markers)
    for g, group in enumerate(design.groups):
        base = design.cells(g, design.reference)
        y = np.sort(values(adata, base, columns), axis=1)  # sums do not depend on the order of cells
        for level in design.contrasts:
            cells = design.cells(g, level)
            x = np.sort(values(adata, cells, columns), axis=1)
            for m, marker in enumerate(markers):
                late, early = (v[m][~np.isnan(v[m])] for v in (x, y))
                if min(len(late), len(early)) < _FEW:
                    continue
                shift = float(late.mean(dtype=np.float64) - early.mean(dtype=np.float64))
                contrast = f"{design.word(level)} vs {design.word(design.reference)}"
                yield source, group, marker, contrast, shift, len(late), len(early)


def against_technical(table: pd.DataFrame, shifts: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Set every effect of a test table against the band of technical shifts.

    The band is where the next shift would lie if it came from the same spread about zero:
    ``-+ t(k) * sqrt(mean(shift^2))``, k the number of shifts. Shifts of one marker in several populations of one tube
    are not independent: k counts tubes times markers (contrast and marker), with the mean square over populations.

    Parameters
    ----------
    table
        From :func:`markers` or :func:`difference_of_differences`.
    shifts
        From :func:`technical_shifts`; NaN does not count, and fewer than three (markers times contrasts, or replicate
        tubes) give no band: then ``note`` says so.

    Returns
    -------
    ``table`` with ``technical_low technical_high outside_technical``: the band, and whether the whole interval of the
    effect lies outside (None where there is no band or no interval).

    Examples
    --------
    >>> shifts = pd.DataFrame({"marker": list("abc"), "contrast": "2 vs 1", "shift": [0.1, -0.1, 0.1]})
    >>> test = pd.DataFrame({"ci_low": [0.5, 0.1], "ci_high": [0.7, 0.5]})
    >>> found = against_technical(test, shifts)
    >>> found["technical_high"].round(2).tolist(), found["outside_technical"].tolist()
    ([0.32, 0.32], [True, False])

    Source: Rocke and Durbin 2001, J Comput Biol 8:557 (technical spread from what does not change).
    """
    from scipy.special import stdtrit

    has_columns(table.columns, ["ci_low", "ci_high"], where="against_technical")
    has_columns(shifts.columns, ["marker", "contrast", "shift"], where="against_technical")
    shifts = shifts[shifts["shift"].notna()]
    square = (shifts["shift"].astype(float) ** 2).groupby([shifts["marker"], shifts["contrast"]]).mean()
    k = len(square)
    half = float("nan")
    if k >= _SHIFTS_NEEDED:
        half = float(stdtrit(k, (1 + level) / 2) * np.sqrt(square.mean()))
    else:
        table = _told(table, k)
    low, high = table["ci_low"].astype(float), table["ci_high"].astype(float)
    outside = ((low > half) | (high < -half)).astype(object)
    outside[low.isna() | high.isna() | np.isnan(half)] = None
    return table.assign(technical_low=-half, technical_high=half, outside_technical=outside)


def _told(table: pd.DataFrame, k: int) -> pd.DataFrame:
    """Say in ``note`` why there is no band."""
    reason = f"no technical band: {k or 'no'} technical shift{'' if k == 1 else 's'}, {_SHIFTS_NEEDED} needed"
    before = table["note"].fillna("").astype(str) if "note" in table else pd.Series("", index=table.index)
    return table.assign(note=[f"{note}; {reason}" if note else reason for note in before])
