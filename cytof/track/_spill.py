"""Could a subset be made of cells that do not belong to it? What is expected there falsely, and the call.

Host T cells that lie above the CAR threshold bring their own subset along: where the CAR gate itself is divided, the
false cells that its blanks foretell (:mod:`cytof.track._detection`) fall to the subsets as the host T cells beside the
gate do, so that a host CD4 T cell is no CD4 CAR T cell. Where no host arm is divided, all of them may be of any subset.

Three things put cells into the double negative quadrant that are not double negative:

- CD4 cells below the CD4 threshold and CD8 cells below the CD8 threshold: what a normal population on the arcsinh scale
  has below it (Cohen 1950, :func:`cytof.gate` estimates lost CAR T cells in the same way);
- for the arm beside the CAR gate: CAR T cells below the CAR threshold (``missed`` in the table of blanks), of which the
  double negative share of the CAR T cells is double negative;
- other leukocytes and doublets that pass the chain: at least ``impurity`` of the arm.

Their sum F is a known Poisson mean; that of the host cells is known from ``b`` of ``m`` blanks only, and their count
among ``N`` at risk is negative binomial. LoB is the largest count that both together reach in more than 5 % of
samples, LoD the true cells with which a Poisson count exceeds LoB in 95 of 100 samples, LoQ where ``sqrt(x + F (1 + N /
m)) / x`` is 20 %. The words are those of :mod:`cytof.track._detection`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cytof.gate._excess import missed_share
from cytof.keys import UNS, Obs
from cytof.track import _gates
from cytof.track._detection import ALPHA, CV, Limits, call, pooled_blanks
from cytof.track._state import thresholds_of

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["Host", "IMPURITY", "against_expected", "expected_false", "host_above", "known_limits"]

IMPURITY = 1e-4
"""Share of an arm's cells that may be no T cells, as the CAR gate's own rate of false positives is set."""


class Host(NamedTuple):
    """Blank cells above the CAR threshold, blank cells in all, and host cells of a subset at risk of lying above it."""

    n_above: float = 0.0
    n_blank: float = 1.0
    at_risk: float = 0.0

    @property
    def expected(self) -> float:
        """Return the false cells expected of them; NaN without blanks."""
        return self.at_risk * self.n_above / self.n_blank if self.n_blank > 0 else float("nan")


NO_HOST = Host()
"""No cell is expected of the host arm."""


def host_above(adata: AnnData, arm: str, subset: str, ids: list[str]) -> list[Host]:
    """Return what the blanks foretell of host cells of a subset in the CAR gate, one a sample; nothing of another arm.

    Cells at risk: those of the CAR gate's parent x the share of the subset in the host arm of that sample.
    """
    home = adata.uns.get(UNS, {})
    car, blanks = str(home.get("car_gate") or ""), home.get("blanks")
    own = blanks[blanks["gate"].astype(str) == car] if blanks is not None and len(blanks) else []
    if arm != car or not len(own):
        return [NO_HOST] * len(ids)
    counts = _gates.counts(adata)
    at_risk = np.nan_to_num(_gates.number(counts, car.rpartition("/")[0] or _gates.ROOT, ids))
    share = _host_share(counts, car, subset, ids)
    above, blank = pooled_blanks(own, ids)
    return [Host(float(b), float(m), float(n)) for b, m, n in zip(above, blank, at_risk * share, strict=True)]


def _host_share(counts: pd.DataFrame, car: str, subset: str, ids: list[str]) -> NDArray[np.float64]:
    """Return the share of a subset in the divided gates beside the CAR gate; 1 where there is none, or no host cell."""
    above, known = car.rpartition("/")[0], list(dict.fromkeys(counts["gate"]))
    beside = [g for g in known if g not in (car, _gates.ROOT) and g.rpartition("/")[0] == above]
    arms = [g for g in beside if f"{g}/{subset}" in known]
    n, total = np.zeros(len(ids)), np.zeros(len(ids))
    for gate in arms:
        n += np.nan_to_num(_gates.number(counts, f"{gate}/{subset}", ids))
        total += np.nan_to_num(_gates.number(counts, gate, ids))
    return np.divide(n, total, out=np.ones(len(ids)), where=total > 0)


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


def known_limits(
    false: float, n_at_risk: float, host: Host = NO_HOST, *, alpha: float = ALPHA, cv: float = CV
) -> Limits:
    """Return the limits where the false count's mean is known, but for that of host cells, known from blanks.

    Examples
    --------
    >>> [round(x, 2) for x in known_limits(4.4, 44_000)]
    [8.0, 10.03, 28.82]
    >>> [round(x, 2) for x in known_limits(0.0, 94, Host(10, 10_000, 600))]  # 0.6 host cells expected
    [2.0, 5.7, 25.62]
    """
    from scipy.special import gammaincinv

    if not (n_at_risk > 0 and host.n_blank > 0):
        return Limits(np.nan, np.nan, np.nan)
    lob = _limit_of_both(false, host, alpha)
    lod = max(float(gammaincinv(lob + 1, 1 - alpha)) - false - host.expected, 0.0)
    spread = false + host.expected * (1 + host.at_risk / host.n_blank)
    return Limits(lob, lod, float((1 + np.sqrt(1 + 4 * cv**2 * spread)) / (2 * cv**2)))


def _limit_of_both(false: float, host: Host, alpha: float) -> float:
    """Return the largest count that a Poisson and a negative binomial count together reach with a chance over alpha."""
    from scipy.stats import nbinom, poisson

    if not host.at_risk > 0:
        return float(poisson.ppf(1 - alpha, false))
    law = nbinom(host.n_above + 1, host.n_blank / (host.n_blank + host.at_risk))
    of_host, others = np.arange(law.isf(1e-9) + 2), np.arange(poisson.isf(1e-9, false) + 2)
    both = np.convolve(law.pmf(of_host), poisson.pmf(others, false))
    reached = 1 - np.concatenate([[0.0], np.cumsum(both)[:-1]])
    return float(np.flatnonzero(reached > alpha)[-1])


def against_expected(table: pd.DataFrame, false: NDArray[np.float64], hosts: list[Host]) -> pd.DataFrame:
    """Return the table with ``false_expected lob lod loq call`` filled from the false counts expected."""
    rows = []
    for n, at_risk, known, host in zip(table["n"], table["n_denominator"], false, hosts, strict=True):
        found, expected = known_limits(float(known), float(at_risk), host), known + host.expected
        rows.append((expected, *found, call(n, expected, at_risk, found)))
    columns = ["false_expected", "lob", "lod", "loq", "call"]
    return table.assign(**pd.DataFrame(rows, columns=columns, index=table.index))
