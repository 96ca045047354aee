"""Shares of populations between visits, arms or responders: tests whose unit is the patient, models of counts."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns, nearest, one_of
from cytof.compare._adjust import adjust
from cytof.compare._count_test import COUNT_MODELS, count_test
from cytof.compare._estimable import estimable, model_columns
from cytof.compare._mixed import mixed_row, too_few
from cytof.compare._replicates import PATIENT_TESTS, compare_units, finish, in_both
from cytof.compare._shares import FEW_CELLS, blank, check_counts, shares_of
from cytof.errors import UsageError
from cytof.keys import Obs, Tables

__all__ = ["ABUNDANCE_TESTS", "EXTRA_COLUMNS", "abundance"]

ABUNDANCE_TESTS: Final = (*PATIENT_TESTS, "mixed", *COUNT_MODELS)
EXTRA_COLUMNS: Final = ("n", "n_denominator", "n_reference", "n_denominator_reference", "note")
NAN = float("nan")
_PATIENTS = 3  # patients are the unit from here on
Row = dict[str, Any]


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
        patient at a time, on degrees of freedom by how evenly patients weigh. Of one or two patients the counts are
        compared by Fisher's exact test (``unit`` cell).
    transform
        ``logit`` or ``arcsine``.
    adjust_for
        Columns of ``table`` that the models take into account (``mixed``, ``beta-binomial``, ``binomial-mixed``); any
        other test with such columns is refused.
    random_state
        Seed.

    Returns
    -------
    DataFrame, ``keys.Tables.TEST`` and ``EXTRA_COLUMNS``; ``subset`` is the population, ``marker`` ``share``. Estimates
    are differences on the transformed scale (logit: log odds ratio); ``q`` over the table. What cannot be tested has
    ``p`` NaN and the reason in ``note``.

    Where fewer than 5 cells of a population are expected in a tube (its cells times the pooled share), the value of a
    tube is its mean over all draws of as many cells as the smallest tube of the patient has (two groups: of all): a
    share of few cells and one of many are biased alike, and what is the same does not seem to differ. Then p is at
    least that of the counting of cells by itself, and ``note`` says so.

    Raises
    ------
    UsageError
        A column is missing, a test is unknown or cannot be adjusted, the contrast cannot be told from ``adjust_for``
        (columns are named) or these are blank, or n is above n_denominator.

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
    table = check_counts(table, adjust_for, "compare.abundance")
    names = _levels(table, by)
    base = names[0] if reference is None else _one(names, reference, by)
    patients = table.loc[~blank(table[Obs.PATIENT]), Obs.PATIENT].astype(str).nunique()
    if test == "auto":
        test = "t" if patients >= _PATIENTS else "fisher"
    one_of(test, (*ABUNDANCE_TESTS, "fisher"), "test", where="compare.abundance")
    others = [n for n in names if n != base] or [f"no other {by}"]
    _adjustable(table, base, others, test, by, adjust_for)
    options = {"test": test, "adjust_for": list(adjust_for), "patients": patients, "by": by, "transform": transform}
    rows: list[Row] = []
    for level in others:
        rows.extend(_contrast(table, level, base, random_state, options))
    out = pd.DataFrame(rows, columns=[*Tables.TEST, *EXTRA_COLUMNS])
    out["q"] = adjust(out["p"].to_numpy(float))
    return out


def _adjustable(
    table: pd.DataFrame, base: str, others: Sequence[str], test: str, by: str, adjust_for: Sequence[str]
) -> None:
    """Refuse columns that a test cannot take into account, or that coincide with what is compared."""
    if not adjust_for:
        return
    word = table[by].astype(str)
    for level in others:
        part = table[word.isin([level, base])].drop_duplicates(Obs.SAMPLE)
        if (word[part.index] == level).any():
            late = (word[part.index] == level).to_numpy(float)
            estimable(part, late, adjust_for, f"{level} vs {base}", where="compare.abundance")
    able = ("mixed", *COUNT_MODELS)
    if test not in able:
        raise UsageError(
            f"test `{test}` cannot be adjusted for {' and '.join(f'`{c}`' for c in adjust_for)}, those that can are "
            f"{', '.join(able)}", where="compare.abundance", hint="from 6 patients on take `beta-binomial`",
        )  # fmt: skip


def _levels(table: pd.DataFrame, by: str) -> list[str]:
    found = table[~blank(table[by])]
    if not len(found):
        raise UsageError(f"`{by}` is blank in every row", where="compare.abundance")
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
        lost = 0
        if test != "fisher":
            lost = int(blank(part[Obs.PATIENT]).sum())
            part = part[~blank(part[Obs.PATIENT])]
        late = (here[part.index] == level).to_numpy()
        head: Row = {"subset": str(population), "marker": "share", "contrast": f"{level} vs {base}", "unit": "patient"}
        seed = int(np.random.SeedSequence([random_state, zlib.crc32(repr(head).encode())]).generate_state(1)[0])
        if test == "fisher":
            row = _fisher(part, late, (level, base), options["patients"])
        elif test in (*PATIENT_TESTS, "mixed"):
            row = _shares(part, late, (level, base), seed, options)
        else:
            row = _counts(part, late, head["contrast"], options)
        if lost:
            row["note"] = "; ".join(filter(None, (row["note"], f"{lost} samples without a {Obs.PATIENT} left out")))
        sums = {
            key: int(part.loc[own, column].sum())
            for key, own, column in (
                ("n", late, "n"), ("n_denominator", late, "n_denominator"), ("n_reference", ~late, "n"),
                ("n_denominator_reference", ~late, "n_denominator"),
            )
        }  # fmt: skip
        rows.append(head | sums | row)
    yield from finish(rows, test)


def _shares(
    part: pd.DataFrame, late: NDArray[np.bool_], words: tuple[str, str], seed: int, options: dict[str, Any]
) -> Row:
    """Return the test of transformed shares: one a patient and level (the mean of its samples), or the mixed model."""
    found = shares_of(part, options["transform"], late=late)
    if options["test"] == "mixed":
        row = _mixed(part, found.value, late, words, options["adjust_for"])
    else:
        arms = [_means(part, found.value, own) for own in (late, ~late)]
        row = compare_units(*arms, test=options["test"], words=words, seed=seed)
    if found.none:
        nothing = dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p", "_s2"), NAN)
        return row | nothing | {"note": found.none}
    if found.note and not np.isnan(row["estimate"]):
        row["_counting"] = _counting(part, found.counting, late)
        row["note"] = "; ".join(filter(None, (found.note, row["note"])))
    return row


def _means(part: pd.DataFrame, value: NDArray[np.float64], own: NDArray[np.bool_]) -> dict[str, float]:
    return pd.Series(value[own]).groupby(part.loc[own, Obs.PATIENT].astype(str).to_numpy()).mean().to_dict()


def _counting(part: pd.DataFrame, variance: NDArray[np.float64], late: NDArray[np.bool_]) -> float:
    """Return the error that counting of cells alone gives the difference of two levels."""
    each = []
    for own in (late, ~late):
        known = own & np.isfinite(variance)
        tubes = pd.Series(variance[known]).groupby(part.loc[known, Obs.PATIENT].astype(str).to_numpy())
        each.append((tubes.sum() / tubes.size() ** 2).to_dict())
    both = in_both(*each)
    arms = [[v for p, v in arm.items() if p in both or not both] for arm in each]
    return float(np.sqrt(sum(sum(arm) / max(len(arm), 1) ** 2 for arm in arms)))


def _mixed(
    part: pd.DataFrame, value: NDArray[np.float64], late: NDArray[np.bool_], words: tuple[str, str],
    adjust_for: Sequence[str],
) -> Row:  # fmt: skip
    """Return the test of the contrast in a linear model of transformed shares, from 6 patients on."""
    known = np.isfinite(value)
    row, codes = _patients("mixed", part[known], late[known])
    if row["note"]:
        return row
    return row | mixed_row(value[known], _design(part[known], late[known], " vs ".join(words), adjust_for), codes)


def _counts(part: pd.DataFrame, late: NDArray[np.bool_], contrast: str, options: dict[str, Any]) -> Row:
    """Return the test of the contrast in a model of counts, from 6 patients on."""
    test = options["test"]
    known = (part["n_denominator"] > 0).to_numpy()
    part, late = part[known], late[known]
    row, codes = _patients(test, part, late)
    if row["note"]:
        return row
    n, of = part["n"].to_numpy(np.int64), part["n_denominator"].to_numpy(np.int64)
    share = n.sum() / of.sum()
    if share in (0, 1):
        return row | {"note": f"{'no' if share == 0 else 'every'} cell is of the population"}
    fewest = min(share, 1 - share) * min(of[late].sum(), of[~late].sum())
    if fewest < FEW_CELLS:
        return row | {"note": f"only {fewest:.2g} cells expected in all tubes of a level: take `t`"}
    found = count_test(test, n, of, _design(part, late, contrast, options["adjust_for"]), codes)
    word = "correlation within tubes" if test == "beta-binomial" else "standard deviation of patients"
    reason, spread, df = (found.pop(key) for key in ("reason", "spread", "df"))
    said = f"{word} {spread if spread > 1e-6 else 0:.3g}; degrees of freedom {df:.1f}"
    return row | found | {"note": reason or said}


def _patients(test: str, part: pd.DataFrame, late: NDArray[np.bool_]) -> tuple[Row, NDArray[np.int64]]:
    """Return a row without numbers, with the reason where a model is refused, and the codes of the patients."""
    codes, who = pd.factorize(part[Obs.PATIENT].astype(str), sort=True)
    numbers = dict.fromkeys(("estimate", "ci_low", "ci_high", "statistic", "p"), NAN)
    return {"n_units": len(who), "test": test, **numbers, "note": too_few(test, codes, late)}, codes


def _design(
    part: pd.DataFrame, late: NDArray[np.bool_], contrast: str, adjust_for: Sequence[str]
) -> NDArray[np.float64]:
    """Return the columns of a model, the contrast last."""
    estimable(part, late.astype(float), adjust_for, contrast, where="compare.abundance")
    return np.column_stack([_full_rank(model_columns(part, adjust_for)), late.astype(float)])


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


def _full_rank(X: np.ndarray) -> np.ndarray:
    """Leave out columns that the ones before them contain."""
    kept: list[int] = []
    for j in range(X.shape[1]):
        if np.linalg.matrix_rank(X[:, [*kept, j]]) > len(kept):
            kept.append(j)
    return X[:, kept]
