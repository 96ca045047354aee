"""Printed Kaplan-Meier rates held against the numbers printed with them, or against the patients they were made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cytof._check import has_columns, in_range, one_of
from cytof.clinical._curve import CONFS
from cytof.clinical._kaplan_meier import KaplanMeier, kaplan_meier
from cytof.clinical._published import envelope
from cytof.clinical._rates import rate
from cytof.errors import InputError

__all__ = ["attainable", "check_km_rates"]

_COLUMNS = ["name", "printed", "recomputed", "method", "verdict", "said"]
_WORDS = {"events": "events", "censored": "censored", "n_at_risk": "at risk"}
_MANY = 20_000  # orders of events and censorings that are walked one by one; beyond, the two ends stand for all
_SCALES: dict[str, tuple[Callable, Callable]] = {  # S -> scale; S -> its standard error, per standard error of log S
    "log-log": (lambda s: np.log(-np.log(s)), lambda s: 1 / np.abs(np.log(s))),
    "log": (np.log, np.ones_like),
    "plain": (lambda s: s, lambda s: s),
    "logit": (lambda s: np.log(s / (1 - s)), lambda s: 1 / (1 - s)),
    "arcsin": (lambda s: np.arcsin(np.sqrt(s)), lambda s: 0.5 * np.sqrt(s / (1 - s))),
}


def check_km_rates(
    rows: Iterable[Mapping[str, Any]] | pd.DataFrame, table: pd.DataFrame | None = None, time: str = "time",
    event: str = "event", by: str | None = None, *, level: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Recompute printed survival rates, their intervals and numbers at risk, and say by which method they are reached.

    Parameters
    ----------
    rows
        Mappings with ``name`` and ``rate`` (percent, as printed: text keeps its digits). Optional: ``ci`` (two printed
        limits, percent), ``n`` patients, ``n_at_risk``, ``events`` and ``censored`` before the time of the rate,
        ``conf`` (scale of the interval the paper states; ``log-log`` when not given), ``within`` (``name`` of the row
        whose patients include these). With ``table``: ``at`` (time of the rate), ``group`` (level of ``by``).
    table, time, event, by
        The patients, where you have them: rate, interval and number at risk are then estimated anew. None: the printed
        numbers are held against each other.
    level
        Coverage of the printed intervals.

    Returns
    -------
    ``name printed recomputed method verdict said``. ``MATCH``: as stated, or (without patients) what is printed can
    be; ``OTHER METHOD``: another interval, or a crude share, gives it (``method`` names it); ``IMPOSSIBLE``: no order
    of events and censorings gives the rate, no standard error between complete follow-up and the number at risk gives
    the interval, or nested groups contradict each other. ``said`` also tells how many patients must have been censored
    before the time, where the rate shows it.

    Raises
    ------
    InputError
        A row lacks what is needed, or holds no numbers.

    Examples
    --------
    >>> check_km_rates([{"name": "PFS", "rate": "21.0", "ci": ["12.2", "31.4"], "n": 74, "conf": "log"},
    ...     {"name": "59 events", "rate": "21.0", "n": 74, "events": 59}])[["method", "verdict"]].values.tolist()
    [['log-log interval', 'OTHER METHOD'], ['Kaplan-Meier', 'IMPOSSIBLE']]

    Notes
    -----
    With n patients, d events and c censorings before t, S(t) lies between ``(n - c - d)/(n - c)`` (all censored first)
    and ``(n - d)/n`` (all last). Greenwood's variance of log S lies between ``(1 - S)/(n S)`` (nobody censored)
    and Peto's ``(1 - S)/r`` with r still at risk.

    Source: Kaplan and Meier 1958; Peto et al. 1977, Br J Cancer 35:1 (the variance from the number at risk).
    """
    in_range(level, 0.5, 0.9999, "level", where="clinical.check_km_rates")
    records = [dict(r) for r in (rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows)]
    records = [{k: v for k, v in r.items() if not (isinstance(v, float) and np.isnan(v))} for r in records]
    for r in records:
        _complete(r, table is not None)
    if table is not None:
        found = [_of_patients(r, table, time, event, by, level) for r in records]
    else:
        outer = {str(r.get("name", "")): r for r in records}
        found = [_of_print(r, outer, level) for r in records]
    return pd.DataFrame(found, columns=_COLUMNS)


def _complete(row: dict[str, Any], patients: bool) -> None:
    where = f"check_km_rates:{row.get('name', '')}"
    for key in ["rate", "at"] if patients else ["rate", "n"]:
        if row.get(key) is None:
            raise InputError(f"the row has no `{key}`", where=where)
    one_of(row.get("conf", "log-log"), CONFS, "conf", where=where, error=InputError)
    for key in ("rate", "ci"):
        for value in np.ravel([row.get(key, [])]):
            number = pd.to_numeric(str(value), errors="coerce")
            if not 0 <= number <= 100:
                raise InputError(f"`{key}` is {str(value)!r}, expected a number of percent, 0 to 100", where=where)


def _printed(row: Mapping[str, Any]) -> str:
    ci = f" ({row['ci'][0]}-{row['ci'][1]})" if row.get("ci") is not None else ""
    risk = f", {row['n_at_risk']} at risk" if row.get("n_at_risk") is not None else ""
    return f"{row['rate']}{ci}{risk}"


def _share(value: Any) -> tuple[float, float]:
    low, high = envelope(value)
    return low / 100 - 1e-9, min(high / 100, 1.0) + 1e-9


def _row(row: Mapping[str, Any], recomputed: float, method: str, verdict: str, said: str) -> dict[str, Any]:
    return dict(
        zip(_COLUMNS, (str(row.get("name", "")), _printed(row), recomputed, method, verdict, said), strict=True)
    )


# against the patients -------------------------------------------------------------------------------------------------


def _of_patients(
    row: dict[str, Any], table: pd.DataFrame, time: str, event: str, by: str | None, level: float
) -> dict[str, Any]:
    if by is not None and row.get("group") is not None:
        has_columns(table.columns, [by], where="clinical.check_km_rates")
        table = table[table[by] == row["group"]]
        if not len(table):
            raise InputError(f"no patient has {by} {row['group']!r}", where=f"check_km_rates:{row.get('name', '')}")
    stated = row.get("conf", "log-log")
    made = {c: kaplan_meier(table, time, event, conf=c, level=level) for c in (stated, *CONFS)}
    at = made[stated].at(float(row["at"])).iloc[0]
    s, wrong = float(at["survival"]), []
    turned = not _fits(row["rate"], s) and _fits(row["rate"], 1 - s)
    if not _fits(row["rate"], s) and not turned:
        wrong.append(f"the rate is {100 * s:.1f}")
    risk = _at_risk(row, made[stated], int(at["n_at_risk"]))
    wrong += [risk] if risk.startswith("at risk are") else []
    fits = [
        c for c, km in made.items() if row.get("ci") is None or _limits_fit(row["ci"], km, float(row["at"]), turned)
    ]
    if not fits:
        wrong.append(f"the {stated} interval is {100 * at['ci_low']:.1f}-{100 * at['ci_high']:.1f}")
    if wrong:
        return _row(row, s, f"{stated} interval", "IMPOSSIBLE", f"of these {len(table)} patients {'; '.join(wrong)}")
    other = [w for w in ("1 - S, the share with the event" if turned else "", risk) if w]
    if fits[0] != stated:
        other.append(f"the interval is the {fits[0]} one")
    said = _said(made[fits[0]], float(row["at"]))
    return _row(row, s, f"{fits[0]} interval", "OTHER METHOD" if other else "MATCH", "; ".join([said, *other]))


def _said(km: KaplanMeier, at: float) -> str:
    r = km.at(at).iloc[0]
    return f"{100 * r['survival']:.1f} ({100 * r['ci_low']:.1f}-{100 * r['ci_high']:.1f}), {r['n_at_risk']} at risk"


def _fits(printed: Any, value: float) -> bool:
    low, high = _share(printed)
    return low <= value <= high


def _limits_fit(ci: Any, km: KaplanMeier, at: float, turned: bool) -> bool:
    r = km.at(at).iloc[0]
    limits = (1 - r["ci_high"], 1 - r["ci_low"]) if turned else (r["ci_low"], r["ci_high"])
    return all(_fits(text, float(v)) for text, v in zip(ci, limits, strict=True))


def _at_risk(row: Mapping[str, Any], km: KaplanMeier, before: int) -> str:
    """Return nothing where the number at risk is R's, how else it was counted, or what it is."""
    if row.get("n_at_risk") is None or int(row["n_at_risk"]) == before:
        return ""
    counted = km.risk_table(float(row["at"])).iloc[0]
    steps = km.table
    n = int((steps["n_events"] + steps["n_censored"]).sum())
    after = n - int(counted["n_events"] + counted["n_censored"])
    if int(row["n_at_risk"]) == after:
        return f"the number at risk is counted after the events of that time (before them: {before})"
    return f"at risk are {before}"


# against each other ---------------------------------------------------------------------------------------------------


def _of_print(row: dict[str, Any], outer: Mapping[str, dict[str, Any]], level: float) -> dict[str, Any]:
    n, (low, high) = int(row["n"]), _share(row["rate"])
    middle = float(str(row["rate"])) / 100
    wrong = _counts_wrong(row)
    if not wrong and row.get("events") is not None:
        wrong = _rate_wrong(row, int(row["events"]), _censored(row))
    wrong = wrong or _nested_wrong(row, outer)
    if wrong:
        return _row(row, np.nan, "Kaplan-Meier", "IMPOSSIBLE", wrong)
    needed = 0 if _censored(row) is not None else _needed(n, low, high)
    told = f"; at least {needed} of {n} must have been censored before" if needed else ""
    if row.get("ci") is None:
        return _row(row, middle, "Kaplan-Meier", "MATCH", f"can be with {n} patients{told}")
    stated = row.get("conf", "log-log")
    fits = [c for c in (stated, *CONFS) if _interval_fits(row, c, level)]
    fits += [] if fits else _binomial_fits(row, level)
    if not fits:
        return _row(row, middle, f"{stated} interval", "IMPOSSIBLE",
                    f"no {', '.join(CONFS)} interval of {n} patients has these limits")  # fmt: skip
    said = f"fits {', '.join(dict.fromkeys(fits))}{told}"
    return _row(row, middle, f"{fits[0]} interval", "MATCH" if fits[0] == stated else "OTHER METHOD", said)


def _censored(row: Mapping[str, Any]) -> int | None:
    if row.get("censored") is not None:
        return int(row["censored"])
    if row.get("events") is not None and row.get("n_at_risk") is not None:
        return int(row["n"]) - int(row["events"]) - int(row["n_at_risk"])
    return None


def _counts_wrong(row: Mapping[str, Any]) -> str:
    n, known = int(row["n"]), {k: int(row[k]) for k in _WORDS if row.get(k) is not None}
    if sum(known.values()) > n or (len(known) == 3 and sum(known.values()) != n):
        named = " + ".join(f"{v} {_WORDS[k]}" for k, v in known.items())
        return f"{named} are not {n} patients"
    low, high = _share(row["rate"])
    if "n_at_risk" in known and known["n_at_risk"] > n * high:
        return f"{known['n_at_risk']} of {n} still at risk are {100 * known['n_at_risk'] / n:.1f} %, more than S"
    return ""


def attainable(n: int, events: int, censored: int) -> tuple[np.ndarray, bool]:
    """Return the values S can take after these events and censorings in any order; whether those are all of them.

    Where the orders are too many, the least and the largest value stand for what lies between them.

    Examples
    --------
    >>> attainable(5, 2, 1)[0].round(3).tolist()
    [0.5, 0.533, 0.6]
    """
    if censored == n:
        return np.ones(1), True
    if comb(events + censored, censored) > _MANY:
        return np.array([(n - censored - events) / (n - censored), (n - events) / n]), False
    row = [np.ones(1)] * (censored + 1)
    for j in range(events):
        for k in range(censored + 1):
            step = row[k] * (n - j - k - 1) / (n - j - k)
            row[k] = step if k == 0 else np.unique(np.r_[step, row[k - 1]].round(12))
    return row[censored], True


def _can_be(low: float, high: float, n: int, events: int, censored: int) -> bool:
    values, every = attainable(n, events, censored)
    if every:
        return bool(((values >= low) & (values <= high)).any())
    return bool(values[0] <= high and values[1] >= low)


def _rate_wrong(row: Mapping[str, Any], d: int, c: int | None) -> str:
    n, (low, high) = int(row["n"]), _share(row["rate"])
    if any(_can_be(low, high, n, d, k) for k in (range(n - d + 1) if c is None else [c])):
        return ""
    if c is None:
        return f"{d} events of {n} patients leave at most {100 * (n - d) / n:.1f} %"
    values = attainable(n, d, c)[0] * 100
    reach = f"{values[0]:.1f}" if len(values) == 1 else f"values of {values[0]:.1f} to {values[-1]:.1f}"
    return f"{d} events and {c} censored of {n} patients give {reach} %"


def _needed(n: int, low: float, high: float, most: int = 3) -> int:
    """Return how many patients at least were censored before the time (looked for up to ``most`` of them)."""
    for c in range(most):
        first, last = np.floor((n - c) * (1 - high)), np.ceil(n * (1 - low))
        if any(_can_be(low, high, n, d, c) for d in range(int(first), min(int(last), n - c) + 1)):
            return c
    return most


def _nested_wrong(row: Mapping[str, Any], outer: Mapping[str, dict[str, Any]]) -> str:
    if row.get("within") is None:
        return ""
    of = outer.get(str(row["within"]))
    if of is None:
        raise InputError(f"`within` is {row['within']!r}, and no row has this name",
                         where=f"check_km_rates:{row.get('name', '')}")  # fmt: skip
    (d_low, d_high, r, n), (e_low, e_high, q, m) = _events(row), _events(of)
    name, whole = row.get("name", ""), row["within"]
    if n > m or r > q:
        return f"{name} has more patients (at risk) than {whole}, whose part it is"
    if d_low > e_high:
        return f"at least {d_low} events in {name}, but at most {e_high} in {whole}, whose part it is"
    rest = (m - n) - (q - r)
    if e_low - d_high > rest:
        return (f"{whole} needs at least {e_low} events and {name} has at most {d_high}; the other {m - n} patients "
                f"cannot have {e_low - d_high}")  # fmt: skip
    return ""


def _events(row: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return the least and most events before the time, the number at risk (0: not printed) and n."""
    n, (low, high), r = int(row["n"]), _share(row["rate"]), int(row.get("n_at_risk") or 0)
    if row.get("events") is not None:
        return int(row["events"]), int(row["events"]), r, n
    least = max(int(np.ceil(r * (1 - high) / high - 1e-9)), int(high < 1 - 1e-6)) if high > 0 else r
    return least, min(int(np.floor(n * (1 - low) + 1e-9)), n - r), r, n


def _interval_fits(row: Mapping[str, Any], conf: str, level: float) -> bool:
    """Say whether some rate and standard error that can be give both printed limits on this scale."""
    n, r, z = int(row["n"]), row.get("n_at_risk"), stats.norm.ppf(0.5 + level / 2)
    ends = [_share(v) for v in row["ci"]]
    first, last = _share(row["rate"])
    s = np.linspace(max(first, 1e-9), min(last, 1 - 1e-9), 201)
    scale, slope = _SCALES[conf]
    least = np.sqrt((1 - s) / (n * s))
    most = np.sqrt((1 - s) / max(int(r) - 1, 1)) if r is not None else np.sqrt((1 - s) / 1.0)
    for low, high in ends:
        cut = (low <= 1e-6 and conf in ("plain", "arcsin")) or (high >= 1 - 1e-6 and conf in ("log", "plain", "arcsin"))
        gaps = [np.abs(scale(np.clip(v, 1e-12, 1 - 1e-12)) - scale(s)) / slope(s) / z for v in (low, high)]
        crosses = (low <= s) & (s <= high)
        least = np.maximum(least, np.where(crosses, 0, np.minimum(*gaps)))
        most = np.minimum(most, np.inf if cut else np.maximum(*gaps))
    return bool((least <= most).any())


def _binomial_fits(row: Mapping[str, Any], level: float) -> list[str]:
    n, (low, high) = int(row["n"]), _share(row["rate"])
    found = []
    for k in range(int(np.ceil(low * n - 1e-9)), int(np.floor(high * n + 1e-9)) + 1):
        for method, name in (("exact", "exact binomial"), ("wilson", "Wilson")):
            r = rate(k, n, method, level=level)
            if all(_fits(t, v) for t, v in zip(row["ci"], (r.ci_low, r.ci_high), strict=True)):
                found.append(name)
    return found
