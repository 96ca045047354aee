"""Cox's proportional hazards model of a table: hazard ratios, the test of proportionality, concordance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cytof._check import one_of
from cytof.clinical._columns import Survival, levels_of, survival
from cytof.clinical._cox_core import Fitted, Risk, fit, risk_sets, schoenfeld_test
from cytof.clinical._curve import curve
from cytof.errors import InputError, UsageError

__all__ = ["Cox", "cox", "design"]

TIES = ("efron", "breslow", "exact")
COEFFICIENTS = ("coef", "hr", "se", "z", "p", "ci_low", "ci_high")
TESTS = ("likelihood ratio", "Wald", "score")


@dataclass(frozen=True)
class Cox:
    """A fitted model.

    ``table`` has a row a coefficient: ``covariate coef hr se z p ci_low ci_high`` (the interval is of the hazard
    ratio); ``log_likelihood`` at the fit, ``log_likelihood_null`` with all coefficients 0; ``tests`` the
    likelihood-ratio, Wald and score tests of all coefficients: ``test statistic df p``.
    """

    table: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    tests: pd.DataFrame
    n: int
    events: int
    method: str
    warnings: tuple[str, ...]
    _fitted: Fitted = field(repr=False)
    _risk: Risk = field(repr=False)
    _x: NDArray = field(repr=False)
    _of: Survival = field(repr=False)
    _terms: dict[str, list[int]] = field(repr=False)

    def cite(self) -> str:
        """Return one sentence for the methods section."""
        return f"Hazard ratios: {self.method}; {self.n} patients, {self.events} events."

    def proportional(self, transform: str = "km") -> pd.DataFrame:
        """Test proportional hazards: ``term statistic df p``, the last row over all terms; equal to R's ``cox.zph``.

        ``transform``: ``km`` (1 - S left of the time), ``identity``, ``log`` or ``rank``.
        """
        one_of(transform, ("km", "identity", "log", "rank"), "transform", where="clinical.cox.proportional")
        if not self.events:
            sizes = [*(len(columns) for columns in self._terms.values()), self._x.shape[1]]
            return pd.DataFrame({"term": [*self._terms, "GLOBAL"], "statistic": np.nan, "df": sizes, "p": np.nan})
        t = self._of.time
        if transform == "km":
            c = curve(t, self._of.event, self._of.entry)
            g_all = 1 - np.r_[1.0, c.survival][np.searchsorted(c.time, t, "left")]
        else:
            g_all = {"identity": lambda: t, "log": lambda: np.log(t), "rank": lambda: stats.rankdata(t)}[transform]()
        g = g_all[self._risk.own] - g_all[self._of.event].mean()
        found = schoenfeld_test(self._x, self._risk, self._fitted.coef, g, list(self._terms.values()))
        rows = [(name, s, df, float(stats.chi2.sf(s, df))) for name, (s, df) in
                zip([*self._terms, "GLOBAL"], found, strict=True)]  # fmt: skip
        return pd.DataFrame(rows, columns=["term", "statistic", "df", "p"])

    def concordance(self) -> tuple[float, float]:
        """Return Harrell's concordance (0.5: none, 1: perfect) and its infinitesimal-jackknife standard error."""
        if not self.events:
            return float("nan"), float("nan")
        return _concordance(self._x @ self._fitted.coef, self._of)


def cox(
    table: pd.DataFrame, time: str, event: str, covariates: str | Sequence[str], ties: str = "efron",
    strata: str | Sequence[str] | None = None, entry: str | None = None, *, firth: bool = False, level: float = 0.95,
) -> Cox:  # fmt: skip
    """Fit a proportional hazards model, equal to R's ``coxph``.

    Parameters
    ----------
    table, time, event
        As in :func:`kaplan_meier`.
    covariates
        Columns; numbers as they are, others against their first level (``column[level]``). Rows with one missing are
        left out, and ``n`` and ``warnings`` say so.
    ties
        ``efron`` (default), ``breslow``, or ``exact`` (conditional likelihood of tied events).
    strata
        Column or columns with a baseline hazard each.
    entry
        Column with the start of each row's interval (start-stop data, :func:`split_at`).
    firth
        Firth's penalty: finite hazard ratios where a level has no event; then p is by the penalised likelihood ratio
        and the interval the profile's.
    level
        Coverage of the intervals.

    Returns
    -------
    Cox: ``.table``, ``.log_likelihood``, ``.tests``, ``.proportional()``, ``.concordance()``. Without any event all
    coefficients are NaN, and ``.warnings`` say so.

    Raises
    ------
    InputError
        A covariate has one value only, covariates say the same, or a level has no event so that its hazard ratio is
        infinite.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [1, 2, 3, 4, 5, 6], "e": 1, "age": [60, 70, 50, 65, 40, 45]})
    >>> cox(table, "t", "e", ["age"]).table[["covariate", "hr"]].round(3)
      covariate     hr
    0       age  1.078

    Source: Cox 1972, J R Stat Soc B 34:187.
    """
    one_of(ties, TIES, "ties", where="clinical.cox")
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    if not covariates:
        raise UsageError("no covariates named, expected at least one column", where="clinical.cox")
    if firth and ties == "exact":
        raise UsageError(
            "Firth's penalty is not defined here for exact ties", where="clinical.cox", hint="ties='efron'"
        )
    of = survival(table, time, event, strata=strata, entry=entry, also=covariates, where="clinical.cox")
    x, names, terms = design(table.iloc[of.rows], covariates)
    _refuse_dependent(x, names)
    if not of.event.any():
        return _not_estimable(of, x, names, terms)
    risk = risk_sets(of.time, of.event, of.entry, of.stratum, efron=ties != "breslow")
    found = fit(x, risk, exact=ties == "exact", firth=firth)
    if not firth:
        _refuse_infinite(found, x, names, of.event)
    rows, how = (_profile(x, risk, found, level) if firth else _wald(found, level)), ties
    coefficients = pd.DataFrame(rows, columns=list(COEFFICIENTS))
    coefficients.insert(0, "covariate", names)
    method = f"Cox model, {how} ties" + (", Firth's penalty, profile intervals" if firth else ", Wald intervals")
    if strata:
        method += f", stratified by {strata if isinstance(strata, str) else ', '.join(strata)}"
    return Cox(
        coefficients, found.log_likelihood[1], found.log_likelihood[0], _tests(found), len(of.time),
        int(of.event.sum()), method, of.warnings, found, risk, x, of, terms,
    )  # fmt: skip


def _not_estimable(of: Survival, x: NDArray, names: list[str], terms: dict[str, list[int]]) -> Cox:
    """Return a model of NaN for rows without any event; the likelihood is 1 whatever the coefficients."""
    p = len(names)
    found = Fitted(np.full(p, np.nan), np.full((p, p), np.nan), (0.0, 0.0), np.nan, False)
    table = pd.DataFrame({"covariate": names} | dict.fromkeys(COEFFICIENTS, np.nan))
    tests = pd.DataFrame({"test": TESTS, "statistic": np.nan, "df": p, "p": np.nan})
    risk = risk_sets(of.time, of.event, of.entry, of.stratum)
    warnings = (*of.warnings, "no events among the complete rows: hazard ratios are not estimable")
    return Cox(
        table, 0.0, 0.0, tests, len(of.time), 0, "Cox model, not estimable without events", warnings,
        found, risk, x, of, terms,
    )  # fmt: skip


def design(table: pd.DataFrame, covariates: Sequence[str]) -> tuple[NDArray[np.float64], list[str], dict]:
    """Return the matrix of covariates, the name of each column, and the columns of each term.

    Examples
    --------
    >>> x, names, terms = design(pd.DataFrame({"site": ["a", "b", "c"]}), ["site"])
    >>> names, terms, x.tolist()
    (['site[b]', 'site[c]'], {'site': [0, 1]}, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    """
    columns: list[NDArray] = []
    names: list[str] = []
    terms: dict[str, list[int]] = {}
    for name in covariates:
        column, start = table[name], len(names)
        if column.nunique() < 2:
            raise InputError(f"every complete row has the same `{name}`, {column.iloc[0]!r}", where="clinical.cox")
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(float))
            names.append(name)
        else:
            for level in levels_of(column)[1:]:
                columns.append((column == level).to_numpy(float))
                names.append(f"{name}[{level}]")
        terms[name] = list(range(start, len(names)))
    return np.stack(columns, axis=1), names, terms


def _refuse_dependent(x: NDArray, names: list[str]) -> None:
    scaled = (x - x.mean(0)) / x.std(0)
    for j in range(1, x.shape[1]):
        before = scaled[:, :j]
        rest = scaled[:, j] - before @ np.linalg.lstsq(before, scaled[:, j], rcond=None)[0]
        if (rest**2).sum() < 1e-9 * len(x):
            like = names[int(np.abs(before.T @ scaled[:, j]).argmax())]
            raise InputError(
                f"`{names[j]}` follows from the covariates before it (nearest: `{like}`), their effects cannot be told "
                "apart", where="clinical.cox", hint="leave one of them out, or use it as strata",
            )  # fmt: skip


def _refuse_infinite(found: Fitted, x: NDArray, names: list[str], event: NDArray) -> None:
    """Raise where the likelihood is flat or rises without end along a covariate."""
    flat = np.flatnonzero(~(np.diag(found.var) > 0))
    if len(flat):
        raise InputError(f"`{names[int(flat[0])]}` does not vary among those at risk at any event: not estimable",
                         where="clinical.cox", hint="leave it out")  # fmt: skip
    spread = np.abs(found.coef) * (x.max(0) - x.min(0))
    wide = np.sqrt(np.maximum(np.diag(found.var), 0)) * x.std(0) > 50
    bad = np.flatnonzero((spread > 15) & (wide | (not found.converged)))
    if len(bad):
        j = int(bad[0])
        levels = np.unique(x[:, j])
        empty = [v for v in levels if not event[x[:, j] == v].any()] if len(levels) == 2 else []
        why = f"no event among its {int((x[:, j] == empty[0]).sum())} rows with value {empty[0]:g}" if empty else (
            "it orders the events perfectly")  # fmt: skip
        raise InputError(
            f"the hazard ratio of `{names[j]}` is infinite: {why}", where="clinical.cox",
            hint="use firth=True, join levels, or leave it out",
        )  # fmt: skip
    if not found.converged:
        j = int(spread.argmax())
        raise InputError(f"the model did not converge; the largest coefficient is that of `{names[j]}`",
                         where="clinical.cox", hint="use firth=True, or fewer covariates")  # fmt: skip


def _wald(found: Fitted, level: float) -> list[tuple]:
    z_level = stats.norm.ppf(0.5 + level / 2)
    se = np.sqrt(np.diag(found.var))
    rows = []
    for b, s in zip(found.coef, se, strict=True):
        p = float(2 * stats.norm.sf(abs(b / s)))
        rows.append((b, np.exp(b), s, b / s, p, np.exp(b - z_level * s), np.exp(b + z_level * s)))
    return rows


def _profile(x: NDArray, risk: Risk, found: Fitted, level: float) -> list[tuple]:
    """Return rows with penalised likelihood-ratio p and profile intervals."""
    se, rows = np.sqrt(np.diag(found.var)), []
    for j, (b, s) in enumerate(zip(found.coef, se, strict=True)):
        fixed = fit(x, risk, firth=True, fixed=j)
        p = float(stats.chi2.sf(max(2 * (found.log_likelihood[1] - fixed.log_likelihood[1]), 0), 1))
        low, high = (_profile_end(x, risk, found, j, sign, level) for sign in (-1, 1))
        rows.append((b, np.exp(b), s, b / s, p, np.exp(low), np.exp(high)))
    return rows


def _profile_end(x: NDArray, risk: Risk, found: Fitted, j: int, sign: int, level: float) -> float:
    """Return the coefficient at which the penalised profile likelihood has fallen by half the chi-squared quantile."""
    from scipy.optimize import brentq, minimize

    from cytof.clinical._cox_core import _evaluate

    floor = found.log_likelihood[1] - stats.chi2.ppf(level, 1) / 2
    others = [k for k in range(x.shape[1]) if k != j]
    centred = x - x.mean(0)

    def height(value: float) -> float:
        def at(rest: NDArray) -> tuple[float, NDArray]:
            beta = found.coef.copy()
            beta[j], beta[others] = value, rest
            v, g, _ = _evaluate(centred, risk, beta, exact=False, firth=True)
            return -v, -g[others]

        if not others:
            return -at(np.zeros(0))[0] - floor
        return -minimize(at, found.coef[others], jac=True, method="BFGS").fun - floor

    step, s = 0.0, float(np.sqrt(found.var[j, j]))
    for _ in range(60):
        step += s
        if height(found.coef[j] + sign * step) < 0:
            ends = sorted([float(found.coef[j]), float(found.coef[j] + sign * step)])
            return float(brentq(height, *ends, xtol=1e-9))
    return sign * float("inf")


def _tests(found: Fitted) -> pd.DataFrame:
    p = len(found.coef)
    wald = float(found.coef @ np.linalg.pinv(found.var) @ found.coef)
    statistics = 2 * (found.log_likelihood[1] - found.log_likelihood[0]), wald, found.score
    return pd.DataFrame(
        [(n, s, p, float(stats.chi2.sf(s, p))) for n, s in zip(TESTS, statistics, strict=True)],
        columns=["test", "statistic", "df", "p"],
    )


def _concordance(eta: NDArray, of: Survival) -> tuple[float, float]:
    """Return concordance and its standard error; pairs are compared within strata and when both are at risk."""
    t, d = of.time, of.event
    first = d[:, None] & ((t[:, None] < t[None, :]) | ((t[:, None] == t[None, :]) & ~d[None, :]))
    first &= (of.stratum[:, None] == of.stratum[None, :]) & (of.entry[None, :] < t[:, None])
    gap = np.subtract.outer(eta, eta)
    tied = np.isclose(gap, 0, atol=1e-12)
    win, lose = first & (gap > 0) & ~tied, first & (gap < 0) & ~tied
    total = first.sum()
    if not total:
        return float("nan"), float("nan")
    somers = (win.sum() - lose.sum()) / total
    each = (win.astype(int) - lose).sum(0) + (win.astype(int) - lose).sum(1)
    influence = (each - somers * (first.sum(0) + first.sum(1))) / total / 2
    return float((somers + 1) / 2), float(np.sqrt((influence**2).sum()))
