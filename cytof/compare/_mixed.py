"""Measurements of patients seen more than once: a linear model with a random intercept a patient, Satterthwaite's t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODEL_PATIENTS", "Mixed", "mixed", "mixed_row", "too_few"]

MODEL_PATIENTS: Final = 6
"""Patients that a model needs."""


@dataclass(frozen=True)
class Mixed:
    """Coefficients with standard errors, Satterthwaite's degrees of freedom, t and p, each shape (n_columns,).

    Examples
    --------
    >>> Mixed(*np.zeros((5, 1)), 1.0, 0.5).sd_patient
    0.5
    """

    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    df: NDArray[np.float64]
    statistic: NDArray[np.float64]
    p: NDArray[np.float64]
    sd: float
    sd_patient: float


def too_few(test: str, patient: NDArray, late: NDArray) -> str:
    """Say why a model is refused; empty when it is not.

    Examples
    --------
    >>> too_few("mixed", np.arange(5), np.array([0, 0, 1, 1, 1]))
    'refused: mixed models need 6 patients, found 5'
    """
    found = len(np.unique(patient))
    if found < MODEL_PATIENTS:
        return f"refused: {test} models need {MODEL_PATIENTS} patients, found {found}"
    return "one level only" if len(np.unique(late)) < 2 else ""


def mixed_row(y: NDArray, X: NDArray, patient: NDArray, *, level: float = 0.95) -> dict[str, Any]:
    """Return ``estimate ci_low ci_high statistic p note`` of the last column of ``X``, by Satterthwaite's t.

    Examples
    --------
    >>> y, late = np.array([1.0, 2, 3, 1.5, 2.7, 3.4]), np.repeat([0.0, 1.0], 3)
    >>> row = mixed_row(y, np.stack([np.ones(6), late], 1), np.tile(np.arange(3), 2))
    >>> round(row["estimate"], 2), row["note"]
    (0.53, "Satterthwaite's degrees of freedom 2.0")

    Source: Kuznetsova et al. 2017, J Stat Softw 82(13).
    """
    from scipy.special import stdtrit

    row: dict[str, Any] = dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p"), float("nan"))
    if np.ptp(y) == 0 or len(y) <= X.shape[1]:
        return row | {"note": "all values are equal" if np.ptp(y) == 0 else "fewer samples than coefficients"}
    if _exactly(y, X, patient):
        estimate = float(np.linalg.lstsq(X, y, rcond=None)[0][-1])
        return row | {"estimate": estimate, "note": "values do not vary about the model"}
    fit = mixed(y, X, patient)
    estimate, error, df = (float(v[-1]) for v in (fit.estimate, fit.error, fit.df))
    half = float(stdtrit(df, (1 + level) / 2)) * error
    return {"estimate": estimate, "ci_low": estimate - half, "ci_high": estimate + half,
            "statistic": float(fit.statistic[-1]), "p": float(fit.p[-1]),
            "note": f"Satterthwaite's degrees of freedom {df:.1f}"}  # fmt: skip


def _exactly(y: NDArray, X: NDArray, patient: NDArray) -> bool:
    """Tell whether the columns, or the columns and the patients, leave nothing of the values but rounding."""
    who = np.unique(patient, return_inverse=True)[1]
    for design in (X, np.column_stack([X, np.eye(int(who.max()) + 1)[who]])):
        fitted, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
        if rank < len(y) and np.abs(y - design @ fitted).max() <= 1e-9 * np.abs(y).max():
            return True
    return False


class _Model:
    """Sums over the patients that make a likelihood cheap: ``V = s2 I + t2 J`` within a patient."""

    def __init__(self, y: NDArray, X: NDArray, patient: NDArray) -> None:
        self.y, self.X = y, X
        self.place = np.unique(patient, return_inverse=True)[1]
        self.size = np.bincount(self.place).astype(float)

    def parts(self, s2: float, t2: float) -> tuple[NDArray, NDArray, float, float]:
        """Return coefficients, the inverse information, the residual form and log|V|."""
        shrink = t2 / (s2 + self.size * t2)
        k = self.X.shape[1]
        sums = np.stack([np.bincount(self.place, self.X[:, j]) for j in range(k)], axis=1)
        of_y = np.bincount(self.place, self.y)
        information = (self.X.T @ self.X - (sums * shrink[:, None]).T @ sums) / s2
        right = (self.X.T @ self.y - (sums * shrink[:, None]).T @ of_y) / s2
        inverse = np.linalg.inv(information)
        beta = inverse @ right
        rest = self.y - self.X @ beta
        form = float(rest @ rest - np.sum(shrink * np.bincount(self.place, rest) ** 2)) / s2
        log_v = float(np.sum((self.size - 1) * np.log(s2) + np.log(s2 + self.size * t2)))
        return beta, inverse, form, log_v

    def criterion(self, s2: float, t2: float) -> float:
        """Return half of minus twice the restricted log-likelihood, constants left out."""
        _, inverse, form, log_v = self.parts(s2, t2)
        return 0.5 * (log_v - float(np.linalg.slogdet(inverse)[1]) + form)

    def profiled(self, ratio: float) -> tuple[float, float]:
        """Return the criterion at its best s2 for a given ``t2 / s2``, and that s2."""
        _, inverse, form, log_v = self.parts(1.0, ratio)
        free = len(self.y) - self.X.shape[1]
        s2 = form / free
        return 0.5 * (log_v - float(np.linalg.slogdet(inverse)[1]) + free * np.log(s2) + free), s2


def mixed(y: NDArray, X: NDArray, patient: NDArray) -> Mixed:
    """Fit ``y = X b + u_patient + e`` by REML; t tests with Satterthwaite's degrees of freedom.

    Parameters
    ----------
    y
        Measurements, shape (n,).
    X
        Columns of the model, full rank, shape (n, n_columns).
    patient
        Code of the patient of each row, shape (n,).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> who = np.repeat(np.arange(8), 2)
    >>> late = np.tile([0.0, 1.0], 8)
    >>> fit = mixed(rng.normal(0, 1, 8)[who] + late + rng.normal(0, 0.2, 16), np.stack([np.ones(16), late], 1), who)
    >>> fit.df.round(1).tolist()[1]
    7.0

    Source: Kuznetsova et al. 2017, J Stat Softw 82(13) (lmerTest).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import stdtr

    y, X = np.asarray(y, float), np.asarray(X, float)
    model = _Model(y, X, np.asarray(patient))
    found = minimize_scalar(
        lambda log: model.profiled(np.exp(log))[0], bounds=(-14, 14), method="bounded", options={"xatol": 1e-9}
    )
    ratio = float(np.exp(found.x))
    if model.profiled(0.0)[0] <= found.fun + 1e-10:
        ratio = 0.0
    s2 = model.profiled(ratio)[1]
    beta, inverse, _, _ = model.parts(s2, ratio * s2)
    error = np.sqrt(np.diag(inverse))
    df = _satterthwaite(model, s2, ratio * s2) if ratio else np.full(len(beta), float(len(y) - X.shape[1]))
    t = beta / error
    return Mixed(beta, error, df, t, 2 * stdtr(df, -np.abs(t)), float(np.sqrt(s2)), float(np.sqrt(ratio * s2)))


def _satterthwaite(model: _Model, s2: float, t2: float) -> NDArray[np.float64]:
    """Return ``2 v^2 / (g' A g)``: v the variance of a coefficient, g its gradient, A that of the two variances."""
    at = np.array([s2, t2])
    step = at * 1e-4

    def move(*signs: float) -> tuple[float, float]:
        moved = at + np.array(signs) * step
        return float(moved[0]), float(moved[1])

    def variances(*signs: float) -> NDArray[np.float64]:
        return np.diag(model.parts(*move(*signs))[1])

    f = {(i, j): model.criterion(*move(i, j)) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    hessian = np.empty((2, 2))
    hessian[0, 0] = (f[1, 0] - 2 * f[0, 0] + f[-1, 0]) / step[0] ** 2
    hessian[1, 1] = (f[0, 1] - 2 * f[0, 0] + f[0, -1]) / step[1] ** 2
    hessian[0, 1] = hessian[1, 0] = (f[1, 1] - f[1, -1] - f[-1, 1] + f[-1, -1]) / (4 * step[0] * step[1])
    slope = np.stack(
        [(variances(1, 0) - variances(-1, 0)) / (2 * step[0]), (variances(0, 1) - variances(0, -1)) / (2 * step[1])]
    )
    spread = np.linalg.pinv(hessian)
    noise = np.einsum("ik,ij,jk->k", slope, spread, slope)
    most = float(len(model.y) - model.X.shape[1])
    with np.errstate(divide="ignore"):
        return np.clip(2 * variances(0, 0) ** 2 / noise, 1.0, most)
