"""The table ``blanks`` of one gated file: what cannot be CAR T cells, how much of it lies above, and what follows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.events import Events
from cytof.gate._blank import blank_kinds, stuck_to_t
from cytof.gate._excess import excess, missed_share
from cytof.keys import Tables
from cytof.panel.template import ROOT, Template
from cytof.region import Boolean, Dimension, Rectangle, Region, mask

__all__ = ["blank_table", "rate_high"]

Masks = Mapping[str, NDArray[np.bool_]]


def blank_table(
    events: Events, template: Template, masks: Masks, regions: Mapping[str, Region], rows: pd.DataFrame
) -> pd.DataFrame:
    """Return ``keys.Tables.BLANKS`` of one file, a row each kind of blank and the row ``all``.

    Parameters
    ----------
    events, template, masks, regions
        The gated file.
    rows
        Its rows of the table of thresholds.

    Returns
    -------
    DataFrame. ``n n_above rate rate_high``: blank cells, those above the CAR threshold, their share and its exact
    upper 95 % limit. The row ``all`` holds the blanks that count, each cell once: those the threshold rests on, and of
    the tube's own those alone that do not bear the T cell marker. It also holds

    ``limit``
        Limit of blank on the channel, arcsinh scale.
    ``shift_median shift_q95``
        Noise of the T cells over that of the blanks.
    ``doublets doublets_above doublets_expected``
        Blanks of the tube that bear the T cell marker; those above the CAR threshold; those that would be if each were
        a doublet with a T cell (share of CAR T cells x doublets).
    ``false_expected false_low false_high``
        False CAR T cells expected in this sample, and the exact 95 % interval.
    ``missed``
        CAR T cells below the threshold, if theirs is a normal population on the arcsinh scale.
    ``band_low band_high``
        CAR T cells at the upper and the lower end of the threshold's interval, less the false, with the missed: 95 %
        interval of counting at either end.
    """
    car = template.car_gate
    if car is None or isinstance(regions[car], Boolean):
        return pd.DataFrame(columns=list(Tables.BLANKS))
    above = mask(regions[car], events.column)
    own = _own(events, template, masks, regions)
    control = _control(rows, car)
    kinds = {k: (int(m.sum()), int((m & above).sum())) for k, m in own.items() if k not in ("single", "stuck")}
    used = own.get("single")
    total = (int(used.sum()), int((used & above).sum())) if used is not None else (0, 0)
    if _outside(control):
        kinds[control["kind"]] = total = (control["n"], _above(control["highest"], _value(regions[car])))
    if not kinds:
        return pd.DataFrame(columns=list(Tables.BLANKS))
    table = [_row(events.sample_id, car, kind, *count) for kind, count in kinds.items()]
    last = _row(events.sample_id, car, "all", *total)
    last |= {k: control[k] for k in ("limit", "shift_median", "shift_q95") if control}
    last |= _doublets(own, masks, car, template.gate(car).parent, above)
    last |= _consequences(events, template, masks, regions[car], rows, own, control, total)
    return pd.DataFrame([*table, last], columns=list(Tables.BLANKS))


def _row(sample: str, car: str, kind: str, n: int, n_above: int) -> dict[str, Any]:
    rate = n_above / n if n else float("nan")
    return {"sample_id": sample, "gate": car, "blank": kind, "n": n, "n_above": n_above, "rate": rate,
            "rate_high": rate_high(n_above, n)}  # fmt: skip


def rate_high(k: int, n: int, level: float = 0.95) -> float:
    """Return the exact upper limit of a rate (Clopper and Pearson 1934, one-sided).

    Examples
    --------
    >>> f"{rate_high(0, 9_700):.1e}"
    '3.1e-04'
    """
    from scipy.special import betaincinv

    return 1.0 if k >= n else float(betaincinv(k + 1, n - k, level))


def _rate_low(k: int, n: int, level: float) -> float:
    from scipy.special import betaincinv

    return float(betaincinv(k, n - k + 1, 1 - level)) if k else 0.0


def _own(events: Events, template: Template, masks: Masks, regions: Mapping[str, Region]) -> Masks:
    """Return the tube's blanks by kind, ``single`` (no doublet candidates) and ``stuck`` (doublet candidates)."""
    kinds = blank_kinds(template, masks, len(events))
    if not kinds:
        return {}
    every = np.logical_or.reduce(list(kinds.values()))
    stuck = stuck_to_t(template, every, regions, events.column)
    if stuck is None:
        return {**kinds, "single": every}
    return {**kinds, "single": every & ~stuck, "stuck": stuck}


def _control(rows: pd.DataFrame, car: str) -> dict[str, Any]:
    texts = [str(t) for t in rows.loc[rows["gate"] == car, "blank"] if isinstance(t, str) and t]
    return dict(json.loads(texts[0])) if texts else {}


def _doublets(own: Masks, masks: Masks, car: str, parent: str, above: NDArray[np.bool_]) -> dict[str, Any]:
    if "stuck" not in own:
        return {}
    stuck, n_t = own["stuck"], len(above) if parent == ROOT else int(masks[parent].sum())
    n = int(stuck.sum())
    expected = n * int(masks[car].sum()) / n_t if n_t else float("nan")
    return {"doublets": n, "doublets_above": int((stuck & above).sum()), "doublets_expected": expected}


def _consequences(
    events: Events, template: Template, masks: Masks, region: Region, rows: pd.DataFrame, own: Masks,
    control: Mapping[str, Any], total: tuple[int, int],
) -> dict[str, float]:  # fmt: skip
    """Return false and missed cells and the band."""
    car = str(template.car_gate)
    parent = template.gate(car).parent
    at_risk = np.ones(len(events), bool) if parent == ROOT else masks[parent]
    n_risk, (n_blank, n_above) = int(at_risk.sum()), total
    found: dict[str, float] = {}
    if n_blank:
        found["false_expected"] = n_above / n_blank * n_risk
        found["false_low"] = _rate_low(n_above, n_blank, 0.975) * n_risk
        found["false_high"] = rate_high(n_above, n_blank, 0.975) * n_risk
    if not isinstance(region, Rectangle) or not np.isfinite(region.low[0]):
        return found
    dim, value = region.dims[0], _value(region)
    x = events.column(dim.channel)
    cells, blanks = x[at_risk], x[own["single"]] if "single" in own else x[:0]
    low, high = _ends(rows[rows["gate"] == car], value)
    ends = []
    for place in (high, low):
        false = _above(control["highest"], place) if _outside(control) else _above(blanks, _counts(place, dim))
        ends.append(excess(_above(cells, _counts(place, dim)), n_risk, false, n_blank))
    bright = cells[cells >= _counts(value, dim)].astype(np.float64)
    share = missed_share(np.arcsinh(bright / (dim.cofactor or 1.0)), value)
    found["missed"] = share * max(len(bright) - found.get("false_expected", 0.0), 0.0)
    found["band_low"], found["band_high"] = ends[0][0], min(ends[1][1] + found["missed"], float(n_risk))
    return found


def _outside(control: Mapping[str, Any]) -> bool:
    """Tell whether the blanks are those of control samples."""
    return bool(control) and not control["kind"].startswith("not T")


def _value(region: Region) -> float:
    return region.low[0] if isinstance(region, Rectangle) else float("nan")


def _ends(rows: pd.DataFrame, value: float) -> tuple[float, float]:
    """Return the interval of the threshold; no width where it was moved by hand."""
    same = rows[np.isclose(rows["value"].astype(float), value)]
    return (float(same["low"].iloc[0]), float(same["high"].iloc[0])) if len(same) == 1 else (value, value)


def _counts(place: float, dim: Dimension) -> float:
    return float(np.sinh(place) * (dim.cofactor or 1.0))


def _above(values: Any, place: float) -> int:
    return int(np.count_nonzero(np.asarray(values) >= place))
