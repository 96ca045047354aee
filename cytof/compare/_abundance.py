"""Shares of populations between visits, arms or responders: tests whose unit is the patient, models of counts."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from cytof._check import has_columns, nearest, one_of
from cytof.compare._adjust import adjust
from cytof.compare._count_test import COUNT_MODELS, count_test
from cytof.compare._estimable import estimable, model_columns
from cytof.compare._mixed import mixed_row, too_few
from cytof.compare._replicates import PATIENT_TESTS, compare_units, finish
from cytof.errors import UsageError
from cytof.keys import Obs, Tables

__all__ = ["ABUNDANCE_TESTS", "EXTRA_COLUMNS", "abundance", "share_scale"]

ABUNDANCE_TESTS: Final = (*PATIENT_TESTS, "mixed", *COUNT_MODELS)
EXTRA_COLUMNS: Final = ("n", "n_denominator", "n_reference", "n_denominator_reference", "note")
NAN = float("nan")
_PATIENTS = 3  # patients are the unit from here on
Row = dict[str, Any]


def share_scale(n: Any, of: Any, transform: str) -> Any:
    """Return shares on the scale of the test: ``logit`` of (n + 1/2) / (of + 1), or ``arcsine`` of the square root.

    Examples
    --------
    >>> float(share_scale(np.array([50.0]), np.array([100.0]), "logit")[0])
    0.0
    """
    n, of = np.asarray(n, float), np.asarray(of, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log((n + 0.5) / (of - n + 0.5)) if transform == "logit" else np.arcsin(np.sqrt(n / of))
    return np.where(of > 0, found, NAN)


def abundance(
    table: pd.DataFrame,
    *,
    by: str = Obs.TIMEPOINT,
    reference: Hashable | None = None,
    test: str = "auto",
    transform: str = "logit",
    adjust_for: Sequence[str] = (),
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare the share of each population between every level of ``by`` and the reference.

    Parameters
    ----------
    table
        One row a sample and population, as :func:`cytof.track.abundance`, :func:`cytof.track.subsets` and
        :func:`cytof.track.composition` return it (``sample_id patient_id population n n_denominator``), with any
        further columns of the sheet that ``by`` and ``adjust_for`` name.
    by, reference
        Column compared, and the level that the others are set against (None: the first by ``day``, else by name).
    test
        From 3 patients on: ``t`` (``auto``), ``moderated-t`` (over the populations), ``rank-sum`` and ``permutation``
        (exact, refused below 6 pairs), all on transformed shares, paired where patients have both levels. From 6
        patients on also models: ``mixed`` (transformed shares, random intercept a patient, Satterthwaite's t),
        ``beta-binomial`` (log odds of the average patient; tubes vary) and ``binomial-mixed`` (log odds within a
        patient; random intercept, adaptive Gauss-Hermite), the last two with t of the error from leaving out one
        patient at a time. Of one or two patients the counts are compared by Fisher's exact test (``unit`` cell).
    transform
        ``logit`` or ``arcsine``.
    adjust_for
        Columns of ``table`` that the models take into account (``mixed``, ``beta-binomial``, ``binomial-mixed``).
    random_state
        Seed.

    Returns
    -------
    DataFrame, ``keys.Tables.TEST`` and ``EXTRA_COLUMNS``; ``subset`` is the population, ``marker`` ``share``. Estimates
    are differences on the transformed scale (logit: log odds ratio); ``q`` over the table. What cannot be tested has
    ``p`` NaN and the reason in ``note``.

    Raises
    ------
    UsageError
        A column is missing, a test is unknown, or the contrast cannot be told from ``adjust_for`` (columns are named).

    Examples
    --------
    >>> rows = [(f"{p}{v}", p, v, "DN", n, 1000) for p, late in zip("abcd", (90, 60, 75, 80))
    ...         for v, n in (("2mo", 40), ("5yr", late))]
    >>> columns = ["sample_id", "patient_id", "timepoint", "population", "n", "n_denominator"]
    >>> found = abundance(pd.DataFrame(rows, columns=columns))
    >>> found[["contrast", "n_units", "test"]].values.tolist(), found["estimate"].round(2).tolist()
    ([['5yr vs 2mo', 4, 'paired t']], [0.67])

    Source: Weber et al. 2019, Commun Biol 2:183 (differential abundance); Smyth 2004.
    """
    one_of(transform, ("logit", "arcsine"), "transform")
    needed = [Obs.SAMPLE, Obs.PATIENT, "population", "n", "n_denominator", by, *adjust_for]
    has_columns(table.columns, needed, where="compare.abundance", hint="merge the sample sheet into the table")
    table = table.reset_index(drop=True)
    names = _levels(table, by)
    base = names[0] if reference is None else _one(names, reference, by)
    patients = table[Obs.PATIENT].astype(str).nunique()
    if test == "auto":
        test = "t" if patients >= _PATIENTS else "fisher"
    one_of(test, (*ABUNDANCE_TESTS, "fisher"), "test", where="compare.abundance")
    frame = table.assign(_value=share_scale(table["n"], table["n_denominator"], transform))
    options = {"test": test, "adjust_for": list(adjust_for), "patients": patients, "by": by}
    rows: list[Row] = []
    for level in [n for n in names if n != base] or [f"no other {by}"]:
        rows.extend(_contrast(frame, level, base, random_state, options))
    out = pd.DataFrame(rows, columns=[*Tables.TEST, *EXTRA_COLUMNS])
    out["q"] = adjust(out["p"].to_numpy(float))
    return out


def _levels(table: pd.DataFrame, by: str) -> list[str]:
    found = table.dropna(subset=[by])
    if isinstance(found[by].dtype, pd.CategoricalDtype) and found[by].cat.ordered:
        return [str(c) for c in found[by].cat.categories if (found[by] == c).any()]
    words = found[by].astype(str)
    if by == Obs.TIMEPOINT and Obs.DAY in found:
        return [str(w) for w in found[Obs.DAY].astype(float).groupby(words).min().sort_values(kind="stable").index]
    return sorted(words.unique())


def _one(names: list[str], reference: Hashable, by: str) -> str:
    if str(reference) in names:
        return str(reference)
    raise UsageError(
        f"reference {reference!r} is no level of `{by}`, found {', '.join(names)}",
        where="compare.abundance", hint=nearest(str(reference), names),
    )  # fmt: skip


def _contrast(frame: pd.DataFrame, level: str, base: str, random_state: int, options: dict[str, Any]) -> Iterator[Row]:
    """Yield the rows of one level against the reference, one a population."""
    test, rows = options["test"], []
    word = frame[options["by"]].astype(str)
    for population, whole in frame.groupby("population", observed=True, sort=False):
        here = word[whole.index]
        part = whole[here.isin([level, base])]
        late = (here[part.index] == level).to_numpy()
        head: Row = {"subset": str(population), "marker": "share", "contrast": f"{level} vs {base}", "unit": "patient"}
        seed = int(np.random.SeedSequence([random_state, zlib.crc32(repr(head).encode())]).generate_state(1)[0])
        if test == "fisher":
            row = _fisher(part, late, (level, base), options["patients"])
        elif test in PATIENT_TESTS:
            row = _units(part, late, (level, base), test, seed)
        else:
            row = _model(part, late, head["contrast"], seed, options)
        sums = {
            key: int(part.loc[own, column].sum())
            for key, own, column in (
                ("n", late, "n"), ("n_denominator", late, "n_denominator"), ("n_reference", ~late, "n"),
                ("n_denominator_reference", ~late, "n_denominator"),
            )
        }  # fmt: skip
        rows.append(head | sums | row)
    yield from finish(rows, test)


def _units(part: pd.DataFrame, late: np.ndarray, words: tuple[str, str], test: str, seed: int) -> Row:
    """Return the test on one transformed share a patient and level: the mean of its samples."""
    value = part["_value"].groupby(part[Obs.PATIENT].astype(str))
    arms = [value.obj[own].groupby(part.loc[own, Obs.PATIENT].astype(str)).mean().to_dict() for own in (late, ~late)]
    return compare_units(*arms, test=test, words=words, seed=seed)


def _fisher(part: pd.DataFrame, late: np.ndarray, words: tuple[str, str], patients: int) -> Row:
    """Return Fisher's exact test of the counts, for one or two patients; the log odds ratio with Woolf's limits."""
    from scipy.stats import fisher_exact

    who = "one patient" if patients < 2 else f"{patients} patients"
    caption = f"counting of cells only: cells of {who} are not replicates"
    row: Row = {"unit": "cell", "test": "fisher", "estimate": NAN, "ci_low": NAN, "ci_high": NAN, "statistic": NAN,
                "p": NAN, "n_units": int(part["n_denominator"].sum())}  # fmt: skip
    cells = [(int(part.loc[own, "n"].sum()), int(part.loc[own, "n_denominator"].sum())) for own in (late, ~late)]
    empty = [word for word, (_, of) in zip(words, cells, strict=True) if not of]
    if empty:
        return row | {"note": f"no cells in {' and '.join(empty)}; {caption}"}
    (a, of_a), (b, of_b) = cells
    if a + b in (0, of_a + of_b):
        return row | {"note": f"{'no' if a + b == 0 else 'every'} cell is of the population; {caption}"}
    half = [v + 0.5 for v in (a, of_a - a, b, of_b - b)]
    estimate = float(np.log(half[0] * half[3] / (half[1] * half[2])))
    width = 1.959964 * float(np.sqrt(sum(1 / v for v in half)))
    odds, p = fisher_exact([[a, of_a - a], [b, of_b - b]])
    return row | {"estimate": estimate, "ci_low": estimate - width, "ci_high": estimate + width,
                  "statistic": float(odds), "p": float(p), "note": caption}  # fmt: skip


def _model(part: pd.DataFrame, late: np.ndarray, contrast: str, seed: int, options: dict[str, Any]) -> Row:
    """Return the test of the contrast in a model of shares or counts, from 6 patients on."""
    test = options["test"]
    known = (part["n_denominator"] > 0).to_numpy()
    part, late = part[known], late[known]
    codes, who = pd.factorize(part[Obs.PATIENT].astype(str), sort=True)
    row: Row = {"n_units": len(who), "test": test, "estimate": NAN, "ci_low": NAN, "ci_high": NAN, "statistic": NAN,
                "p": NAN, "note": ""}  # fmt: skip
    reason = too_few(test, codes, late)
    if reason:
        return row | {"note": reason}
    estimable(part, late.astype(float), options["adjust_for"], contrast)
    X = np.column_stack([_full_rank(model_columns(part, options["adjust_for"])), late.astype(float)])
    if test != "mixed":
        n, of = part["n"].to_numpy(np.int64), part["n_denominator"].to_numpy(np.int64)
        found = count_test(test, n, of, X, codes)
        word = "correlation within tubes" if test == "beta-binomial" else "standard deviation of patients"
        reason, spread = found.pop("reason"), found.pop("spread")
        said = f"{reason}: take `t`" if reason else f"{word} {spread if spread > 1e-6 else 0:.3g}"
        return row | found | {"note": said}
    return row | mixed_row(part["_value"].to_numpy(float), X, codes)


def _full_rank(X: np.ndarray) -> np.ndarray:
    """Leave out columns that the ones before them contain."""
    kept: list[int] = []
    for j in range(X.shape[1]):
        if np.linalg.matrix_rank(X[:, [*kept, j]]) > len(kept):
            kept.append(j)
    return X[:, kept]
