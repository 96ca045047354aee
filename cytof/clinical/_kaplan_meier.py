"""Kaplan-Meier estimates of one or several groups: rates, medians, numbers at risk, restricted means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cytof._check import in_range, one_of
from cytof.clinical._columns import Survival, survival
from cytof.clinical._curve import CONFS, Curve, bounds, crossing, curve, half_time, restricted_mean

__all__ = ["KaplanMeier", "kaplan_meier", "median_follow_up"]


@dataclass(frozen=True)
class KaplanMeier:
    """Curves by group, with how they were made; ``groups`` keeps the order of the levels.

    ``name`` is what is estimated (the event column), ``warnings`` what was dropped or read otherwise.
    """

    groups: Mapping[Any, Curve]
    conf: str
    level: float
    warnings: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """The method in words."""
        return (
            f"Kaplan-Meier, Greenwood variance, {self.level:.0%} intervals on the {self.conf} scale; "
            "medians with Brookmeyer-Crowley intervals"
        )

    def cite(self) -> str:
        """Return one sentence for the methods section."""
        return f"Survival was estimated by {self.method} ({self._n()} patients)."

    def _n(self) -> int:
        return sum(int((c.n_event + c.n_censor).sum()) for c in self.groups.values())

    @property
    def table(self) -> pd.DataFrame:
        """Every step: ``group time n_at_risk n_events n_censored survival se ci_low ci_high``."""
        parts = []
        for group, c in self.groups.items():
            low, high = bounds(c.survival, c.se_log, self.conf, self.level)
            with np.errstate(invalid="ignore"):
                se = c.se_log * c.survival
            parts.append(pd.DataFrame({
                "group": group, "time": c.time, "n_at_risk": c.n_risk, "n_events": c.n_event,
                "n_censored": c.n_censor, "survival": c.survival, "se": se, "ci_low": low,
                "ci_high": high,
            }))  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def at(self, times: float | Sequence[float], *, extend: bool = False) -> pd.DataFrame:
        """Return survival at given times: ``group time survival se ci_low ci_high n_at_risk flag``.

        Beyond the last time of a group S is not known (NaN) unless it has reached 0 or ``extend`` carries the last
        value on, as R's ``summary(fit, times, extend = TRUE)``. ``flag`` says so, and where fewer than 5 are at risk.

        Examples
        --------
        >>> table = pd.DataFrame({"months": [1, 2, 3, 4], "dead": [1, 1, 0, 0]})
        >>> kaplan_meier(table, "months", "dead").at([2, 9])["survival"].tolist()
        [0.5, nan]
        """
        wanted = np.atleast_1d(np.asarray(times, float))
        return pd.concat([self._at(g, c, wanted, extend) for g, c in self.groups.items()], ignore_index=True)

    def _at(self, group: Any, c: Curve, times: np.ndarray, extend: bool) -> pd.DataFrame:
        here = np.searchsorted(c.time, times, "right")
        s, se = np.r_[1.0, c.survival][here], np.r_[0.0, c.se_log][here]
        low, high = bounds(s, se, self.conf, self.level)
        low, high = np.where(here == 0, 1.0, low), np.where(here == 0, 1.0, high)
        with np.errstate(invalid="ignore"):
            se = se * s
        risk = np.r_[c.n_risk, 0][np.searchsorted(c.time, times, "left")]
        beyond = times > c.time[-1]
        if not extend:
            unknown = beyond & (s > 0)
            s, se, low, high = (np.where(unknown, np.nan, v) for v in (s, se, low, high))
        flag = np.where(beyond, "after the last time", np.where(risk < 5, "fewer than 5 at risk", ""))
        return pd.DataFrame({"group": group, "time": times, "survival": s, "se": se, "ci_low": low, "ci_high": high,
                             "n_at_risk": risk, "flag": flag})  # fmt: skip

    def median(self) -> pd.DataFrame:
        """Return medians: ``group n events median ci_low ci_high``; NaN where not reached (print as NR).

        Examples
        --------
        >>> table = pd.DataFrame({"months": [2, 4, 9, 12], "dead": [1, 1, 1, 0]})
        >>> float(kaplan_meier(table, "months", "dead").median()["median"].iloc[0])
        6.5

        Source: Brookmeyer and Crowley 1982, Biometrics 38:29.
        """
        rows = []
        for group, c in self.groups.items():
            low, high = bounds(c.survival, c.se_log, self.conf, self.level)
            rows.append((group, int((c.n_event + c.n_censor).sum()), int(c.n_event.sum()),
                         *(half_time(c.time, s) for s in (c.survival, low, high))))  # fmt: skip
        return pd.DataFrame(rows, columns=["group", "n", "events", "median", "ci_low", "ci_high"])

    def quantile(self, p: float | Sequence[float] = (0.25, 0.5, 0.75)) -> pd.DataFrame:
        """Return the times by which shares ``p`` had the event: ``group p time ci_low ci_high``."""
        rows = []
        for group, c in self.groups.items():
            low, high = bounds(c.survival, c.se_log, self.conf, self.level)
            for share in np.atleast_1d(np.asarray(p, float)):
                rows.append((group, share, *(crossing(c.time, s, share) for s in (c.survival, low, high))))
        return pd.DataFrame(rows, columns=["group", "p", "time", "ci_low", "ci_high"])

    def risk_table(self, times: float | Sequence[float]) -> pd.DataFrame:
        """Return ``group time n_at_risk n_events n_censored``: at risk just before, events and censorings up to it."""
        wanted = np.atleast_1d(np.asarray(times, float))
        parts = []
        for group, c in self.groups.items():
            here = np.searchsorted(c.time, wanted, "right")
            parts.append(pd.DataFrame({
                "group": group, "time": wanted,
                "n_at_risk": np.r_[c.n_risk, 0][np.searchsorted(c.time, wanted, "left")],
                "n_events": np.r_[0, np.cumsum(c.n_event)][here],
                "n_censored": np.r_[0, np.cumsum(c.n_censor)][here],
            }))  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def rmst(self, tau: float | None = None) -> pd.DataFrame:
        """Return restricted means: ``group tau rmst se ci_low ci_high``; ``tau`` None: up to each group's last time."""
        z = stats.norm.ppf(0.5 + self.level / 2)
        rows = []
        for group, c in self.groups.items():
            end = float(c.time[-1]) if tau is None else float(tau)
            mean, se = restricted_mean(c, end)
            rows.append((group, end, mean, se, mean - z * se, mean + z * se))
        return pd.DataFrame(rows, columns=["group", "tau", "rmst", "se", "ci_low", "ci_high"])

    def rmst_difference(self, tau: float) -> pd.DataFrame:
        """Return the difference of the restricted means of each group from the first, with a normal test.

        Columns ``group reference tau difference se ci_low ci_high z p``; months gained up to ``tau``.
        """
        of = self.rmst(tau)
        first, z = of.iloc[0], stats.norm.ppf(0.5 + self.level / 2)
        rows = []
        for r in of.iloc[1:].itertuples():
            gain, se = r.rmst - first["rmst"], float(np.hypot(r.se, first["se"]))
            rows.append((r.group, first["group"], tau, gain, se, gain - z * se, gain + z * se, gain / se,
                         2 * stats.norm.sf(abs(gain / se))))  # fmt: skip
        names = ["group", "reference", "tau", "difference", "se", "ci_low", "ci_high", "z", "p"]
        return pd.DataFrame(rows, columns=names)


def kaplan_meier(
    table: pd.DataFrame, time: str, event: str, by: str | None = None, conf: str = "log-log", *, level: float = 0.95,
    entry: str | None = None,
) -> KaplanMeier:  # fmt: skip
    """Estimate survival curves by group, equal to R's ``survfit``.

    Parameters
    ----------
    table
        One row a patient.
    time
        Column with the time to the event or to the last visit, any unit, not negative.
    event
        Column, 1 or True for the event (ADaM's CNSR is the opposite: 1 is censored).
    by
        Column with groups; rows where it is missing are left out.
    conf
        Scale of the intervals: ``log-log`` (the default of SAS, and the paper's), ``log`` (that of R), ``plain``,
        ``logit``, ``arcsin``.
    level
        Coverage of the intervals.
    entry
        Column with the time from which each row is at risk.

    Returns
    -------
    KaplanMeier: ``.at(times)``, ``.median()``, ``.quantile(p)``, ``.risk_table(times)``, ``.rmst(tau)``, ``.table``.

    Raises
    ------
    UsageError, InputError
        See :func:`cytof.clinical._columns.survival`.

    Examples
    --------
    >>> table = pd.DataFrame({"months": [5, 6, 8, 9, 12], "dead": [1, 0, 1, 1, 0]})
    >>> kaplan_meier(table, "months", "dead").at([6, 12]).round(3)[["time", "survival", "ci_low", "ci_high"]]
       time  survival  ci_low  ci_high
    0   6.0     0.800   0.204    0.969
    1  12.0     0.267   0.010    0.686

    Source: Kaplan and Meier 1958; intervals: Borgan and Liestol 1990.
    """
    one_of(conf, CONFS, "conf", where="clinical.kaplan_meier")
    in_range(level, 0.5, 0.9999, "level", where="clinical.kaplan_meier")
    of = survival(table, time, event, by=by, entry=entry, where="clinical.kaplan_meier")
    curves = {level_: _one(of, of.group == i, late=entry is not None) for i, level_ in enumerate(of.levels)}
    return KaplanMeier(curves, conf, level, of.warnings)


def _one(of: Survival, rows: np.ndarray, *, late: bool) -> Curve:
    return curve(of.time[rows], of.event[rows], of.entry[rows] if late else None)


def median_follow_up(
    table: pd.DataFrame, time: str, event: str, by: str | None = None, conf: str = "log-log"
) -> pd.DataFrame:
    """Return the median potential follow-up by the reverse Kaplan-Meier method: the event is the end of follow-up.

    Parameters
    ----------
    table, time, event, by, conf
        As in :func:`kaplan_meier`, ``event`` still 1 for death: it is turned around here.

    Returns
    -------
    ``group n events median ci_low ci_high method``; ``events`` are the ends of follow-up.

    Examples
    --------
    >>> table = pd.DataFrame({"months": [5, 60, 65, 70], "dead": [1, 0, 0, 0]})
    >>> float(median_follow_up(table, "months", "dead")["median"].iloc[0])
    65.0

    Source: Schemper and Smith 1996, Control Clin Trials 17:343.
    """
    from cytof.clinical._columns import event_flags

    if event in table:
        flags = event_flags(table[event], where=f"clinical.median_follow_up:{event}")[0]
        table = table.assign(**{event: np.where(table[event].isna(), np.nan, ~flags)})
    found = kaplan_meier(table, time, event, by=by, conf=conf).median()
    return found.assign(method="reverse Kaplan-Meier")
