"""Could a subset be made of cells that do not belong to it? What is expected there falsely, and the call.

Three things put cells into the double negative quadrant that are not double negative:

- CD4 cells below the CD4 threshold and CD8 cells below the CD8 threshold: what a normal population on the arcsinh scale
  has below it (Cohen 1950, :func:`cytof.gate` estimates lost CAR T cells in the same way);
- for the arm beside the CAR gate: CAR T cells below the CAR threshold (``missed`` in the table of blanks), of which the
  double negative share of the CAR T cells is double negative;
- other leukocytes and doublets that pass the chain: at least ``impurity`` of the arm.

Their sum F is a known Poisson mean: LoB its 95 % quantile, LoD the mean that exceeds LoB in 95 of 100 samples less F,
LoQ where ``sqrt(x + F) / x`` is 20 %. The words are those of :mod:`cytof.track._detection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.gate._excess import missed_share
from cytof.keys import UNS, Obs
from cytof.track import _gates
from cytof.track._detection import ALPHA, CV, Limits, call
from cytof.track._state import thresholds_of

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["IMPURITY", "against_expected", "expected_false", "known_limits"]

IMPURITY = 1e-4
"""Share of an arm's cells that may be no T cells, as the CAR gate's own rate of false positives is set."""


def expected_false(adata: AnnData, arm: str, subset: str, counts: pd.DataFrame, impurity: float) -> NDArray[np.float64]:
    """Return the cells expected falsely in a subset of an arm, one a row of ``counts``.

    Parameters
    ----------
    adata
        Cells with the arm's values, where they are there; without them spill is not modelled.
    arm
        Path of the gate that is divided.
    subset
        CD4, CD8, DN or DP.
    counts
        Table with ``sample_id`` and ``n_denominator``, the cells of the arm.
    impurity
        Share of the arm.
    """
    ids = counts["sample_id"].tolist()
    false = impurity * np.nan_to_num(counts["n_denominator"].to_numpy(float))
    if subset != "DN":
        return false
    return false + _dim(adata, arm, ids) + _lost_car(adata, arm, ids)


def _dim(adata: AnnData, arm: str, ids: list[str]) -> NDArray[np.float64]:
    found = np.zeros(len(ids))
    if not {"CD4", "CD8"} <= set(adata.var_names) or Obs.GATE not in adata.obs:
        return found
    limits = thresholds_of(adata, ["CD4", "CD8"], ids)
    owner = adata.obs[Obs.SAMPLE].astype(str).to_numpy()
    for k, marker in enumerate(("CD4", "CD8")):
        inside = _gates.inside(adata, f"{arm}/{marker}")
        place = adata.var_names.get_loc(marker)
        for i, sample in enumerate(ids):
            rows = np.flatnonzero(inside & (owner == sample))
            if not len(rows) or not np.isfinite(limits[k, i]):
                continue
            taken = adata.X[rows][:, [place]]
            x = np.asarray(taken.toarray() if hasattr(taken, "toarray") else taken, float)[:, 0]
            found[i] += len(rows) * missed_share(x[x >= limits[k, i]], float(limits[k, i]))
    return found


def _lost_car(adata: AnnData, arm: str, ids: list[str]) -> NDArray[np.float64]:
    home = adata.uns.get(UNS, {})
    car, blanks = str(home.get("car_gate") or ""), home.get("blanks")
    nothing = np.zeros(len(ids))
    if not car or arm == car or arm.rpartition("/")[0] != car.rpartition("/")[0]:
        return nothing
    if blanks is None or not {"missed", "blank"} <= set(blanks.columns):
        return nothing
    rows = blanks[(blanks["blank"] == "all") & (blanks["gate"].astype(str) == car)].astype({"sample_id": str})
    missed = rows.set_index("sample_id")["missed"].reindex(ids).to_numpy(float)
    counts = _gates.counts(adata)
    dn, all_car = _gates.number(counts, f"{car}/DN", ids), _gates.number(counts, car, ids)
    share = np.divide(dn, all_car, out=np.zeros(len(ids)), where=all_car > 0)
    return np.nan_to_num(missed * share)


def known_limits(false: float, n_at_risk: float, *, alpha: float = ALPHA, cv: float = CV) -> Limits:
    """Return the limits where the false count's mean is known.

    Examples
    --------
    >>> [round(x, 2) for x in known_limits(4.4, 44_000)]
    [8.0, 10.03, 28.82]
    """
    from scipy.special import gammaincinv
    from scipy.stats import poisson

    if not n_at_risk > 0:
        return Limits(np.nan, np.nan, np.nan)
    lob = float(poisson.ppf(1 - alpha, false))
    lod = max(float(gammaincinv(lob + 1, 1 - alpha)) - false, 0.0)
    return Limits(lob, lod, float((1 + np.sqrt(1 + 4 * cv**2 * false)) / (2 * cv**2)))


def against_expected(table: pd.DataFrame, false: NDArray[np.float64]) -> pd.DataFrame:
    """Return the table with ``false_expected lob lod loq call`` filled from the false counts expected."""
    rows = []
    for n, at_risk, expected in zip(table["n"], table["n_denominator"], false, strict=True):
        found = known_limits(float(expected), float(at_risk))
        rows.append((expected, *found, call(n, expected, at_risk, found)))
    columns = ["false_expected", "lob", "lod", "loq", "call"]
    return table.assign(**pd.DataFrame(rows, columns=columns, index=table.index))
