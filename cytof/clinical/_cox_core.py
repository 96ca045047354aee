"""The partial likelihood on arrays: value, gradient, information; Newton's method, Firth's penalty, Schoenfeld terms.

Own code: lifelines stops up to 0.25 % of a coefficient early and its test of proportional hazards is the old
approximation; statsmodels' ``PHReg`` equals R for Efron's and Breslow's ties, but has neither exact ties nor Firth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Fitted", "Risk", "fit", "hazard_terms", "risk_sets", "schoenfeld_test"]

_MAX_STEPS = 60


@dataclass(frozen=True)
class Risk:
    """Risk sets, one row an event (events tied in time share their set and differ in ``fraction``).

    ``at_risk`` (r, n) bool; ``dead`` (r, n) bool, all events of that time; ``fraction`` (r,) is Efron's share l/d of
    the dead that has already left; ``own`` (r,) is the patient of the row; ``time`` (r,).
    """

    at_risk: NDArray[np.bool_]
    dead: NDArray[np.bool_]
    fraction: NDArray[np.float64]
    own: NDArray[np.intp]
    time: NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A maximum of the partial likelihood; ``log_likelihood`` at 0 and at ``coef``, ``score`` the test at 0."""

    coef: NDArray[np.float64]
    var: NDArray[np.float64]
    log_likelihood: tuple[float, float]
    score: float
    converged: bool


def risk_sets(time: ArrayLike, event: ArrayLike, entry: ArrayLike, stratum: ArrayLike, *, efron: bool = True) -> Risk:
    """Return the risk set of each event: entered before its time, not gone before it, of its stratum.

    Examples
    --------
    >>> risk_sets([1, 2, 2], [1, 1, 1], [-np.inf] * 3, [0, 0, 0]).fraction.tolist()
    [0.0, 0.0, 0.5]
    """
    time, entry = np.asarray(time, float), np.asarray(entry, float)
    event, stratum = np.asarray(event, bool), np.asarray(stratum)
    own = np.flatnonzero(event)
    own = own[np.lexsort((time[own], stratum[own]))]
    same = stratum[None, :] == stratum[own][:, None]
    at = time[own][:, None]
    at_risk = same & (time[None, :] >= at) & (entry[None, :] < at)
    dead = same & event[None, :] & (time[None, :] == at)
    key = np.stack([stratum[own].astype(float), time[own]])
    first = np.r_[True, (np.diff(key, axis=1) != 0).any(0)] if len(own) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(own)), 0)) if len(own) else own
    fraction = (np.arange(len(own)) - start) / np.maximum(dead.sum(1), 1) if efron else np.zeros(len(own))
    return Risk(at_risk, dead, fraction, own, time[own])


def _weights(x: NDArray, risk: Risk, beta: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Return the linear predictor, log of the weighted sums (r,), and each row's probabilities (r, n)."""
    eta = x @ beta
    top = eta.max(initial=0.0)
    each = (risk.at_risk - risk.fraction[:, None] * risk.dead) * np.exp(eta - top)
    total = each.sum(1)
    return eta, np.log(total) + top, each / total[:, None]


def hazard_terms(x: NDArray, risk: Risk, beta: NDArray) -> tuple[float, NDArray, NDArray, NDArray]:
    """Return log partial likelihood, residuals x - mean of each event (r, p) and its covariance (r, p, p), and weights.

    Examples
    --------
    >>> risk = risk_sets([1, 2], [1, 1], [-np.inf] * 2, [0, 0])
    >>> hazard_terms(np.array([[0.0], [1.0]]), risk, np.zeros(1))[1].tolist()
    [[-0.5], [0.0]]

    Source: Efron 1977, J Am Stat Assoc 72:557.
    """
    eta, log_sum, probability = _weights(x, risk, beta)
    mean = probability @ x
    square = (probability @ (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)).reshape(-1, x.shape[1], x.shape[1])
    info = square - mean[:, :, None] * mean[:, None, :]
    return float(eta[risk.own].sum() - log_sum.sum()), x[risk.own] - mean, info, probability


def _exact_terms(x: NDArray, risk: Risk, beta: NDArray) -> tuple[float, NDArray, NDArray]:
    """Return likelihood, gradient and information where tied events are a draw of d from the risk set.

    The denominator is an elementary symmetric polynomial, built patient by patient with its two derivatives.
    """
    p = x.shape[1]
    value, gradient, info = 0.0, np.zeros(p), np.zeros((p, p))
    first = risk.fraction == 0
    for row in np.flatnonzero(first):
        own = np.flatnonzero(risk.dead[row])
        d, members = len(own), np.flatnonzero(risk.at_risk[row])
        eta = x[members] @ beta
        top = eta.max()
        b, db, ddb = np.zeros(d + 1), np.zeros((d + 1, p)), np.zeros((d + 1, p, p))
        b[0] = 1.0
        for w, z in zip(np.exp(eta - top), x[members], strict=True):
            cross = db[:-1, :, None] * z + z[:, None] * db[:-1, None, :]
            ddb[1:] += w * (ddb[:-1] + cross + np.outer(z, z) * b[:-1, None, None])
            db[1:] += w * (db[:-1] + z * b[:-1, None])
            b[1:] += w * b[:-1]
        value += x[own].sum(0) @ beta - np.log(b[d]) - d * top
        mean = db[d] / b[d]
        gradient += x[own].sum(0) - mean
        info += ddb[d] / b[d] - np.outer(mean, mean)
    return value, gradient, info


def _evaluate(x: NDArray, risk: Risk, beta: NDArray, exact: bool, firth: bool) -> tuple[float, NDArray, NDArray]:
    if exact:
        return _exact_terms(x, risk, beta)
    value, residual, each, probability = hazard_terms(x, risk, beta)
    gradient, info = residual.sum(0), each.sum(0)
    if firth:
        centred = x[None, :, :] - (x[risk.own] - residual)[:, None, :]
        third = np.einsum("rn,rna,rnb,rnc->abc", probability, centred, centred, centred, optimize=True)
        inverse = np.linalg.pinv(info)
        gradient = gradient + 0.5 * np.einsum("ab,abc->c", inverse, third)
        value += 0.5 * np.linalg.slogdet(info)[1]
    return value, gradient, info


def fit(x: NDArray, risk: Risk, *, exact: bool = False, firth: bool = False, fixed: int | None = None) -> Fitted:
    """Maximise the partial likelihood by Newton's method with step halving.

    Parameters
    ----------
    x
        Covariates, (n, p), finite.
    risk
        Of :func:`risk_sets` (``efron=True`` also for exact ties).
    exact
        Conditional likelihood of tied events.
    firth
        Add half the log determinant of the information: finite where a cell has no event.
    fixed
        Keep this coefficient at 0 (for likelihood-ratio tests and profile intervals).

    Examples
    --------
    >>> risk = risk_sets([1, 2, 3, 4], [1, 1, 1, 1], [-np.inf] * 4, [0] * 4)
    >>> fit(np.array([[0.0], [1.0], [0.0], [1.0]]), risk).coef.round(4).tolist()
    [-0.9406]

    Source: Cox 1972; penalty: Firth 1993, Biometrika 80:27; Heinze and Schemper 2001, Biometrics 57:114.
    """
    x = x - x.mean(0)
    p = x.shape[1]
    free = np.array([j for j in range(p) if j != fixed], np.intp)
    beta = np.zeros(p)
    value, gradient, info = _evaluate(x, risk, beta, exact, firth)
    null, score = value, float(gradient @ np.linalg.pinv(info) @ gradient)
    converged = not len(free)
    for _ in range(_MAX_STEPS if len(free) else 0):
        step = np.zeros(p)
        step[free] = np.linalg.pinv(info[np.ix_(free, free)]) @ gradient[free]
        step = np.clip(step, -5, 5)
        new = _evaluate(x, risk, beta + step, exact, firth)
        halvings = 0
        while not new[0] >= value - 1e-10 * (1 + abs(value)) and halvings < 30:
            step, halvings = step / 2, halvings + 1
            new = _evaluate(x, risk, beta + step, exact, firth)
        beta = beta + step
        gained, (value, gradient, info) = new[0] - value, new
        if abs(gained) <= 1e-12 * (1 + abs(value)) and np.abs(step * x.std(0)).max() < 1e-7:
            converged = True
            break
    return Fitted(beta, np.linalg.pinv(info), (null, value), score, converged)


def schoenfeld_test(x: NDArray, risk: Risk, beta: NDArray, g: NDArray, terms: list[list[int]]) -> list[tuple]:
    """Return chi-squared and df of the score test that coefficients change with ``g``, per term and over all.

    Parameters
    ----------
    x, risk, beta
        Of the fit.
    g
        Transformed time of each event (r,), centred on its mean.
    terms
        Columns of each term.

    Source: Grambsch and Therneau 1994, Biometrika 81:515, with the exact information (R survival 3).
    """
    _, residual, each, _ = hazard_terms(x - x.mean(0), risk, beta)
    p = x.shape[1]
    cross, square = (np.einsum("r,rab->ab", w, each) for w in (g, g**2))
    info = np.block([[each.sum(0), cross], [cross, square]])
    u = np.r_[np.zeros(p), (g[:, None] * residual).sum(0)]
    found = []
    for columns in [*terms, list(range(p))]:
        keep = np.r_[np.arange(p), np.asarray(columns) + p]
        part = info[np.ix_(keep, keep)]
        known = np.linalg.matrix_rank(part, hermitian=True) == len(part)
        found.append((float(u[keep] @ np.linalg.solve(part, u[keep])) if known else float("nan"), len(columns)))
    return found
