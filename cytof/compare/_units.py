"""Rows of the test table with cells as the unit, and with patients as the unit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cytof.compare._design import Design
from cytof.compare._pairs import delong, overlap, permutation, rank_sum, welch
from cytof.track._cells import values

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["cell_rows", "patient_rows"]

NAN = float("nan")
Row = dict[str, Any]


def _sorted(adata: AnnData, cells: NDArray[np.int64], columns: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Return the values of each marker in these cells, sorted, NaN left out."""
    x = np.sort(values(adata, cells, columns), axis=1)
    return [row[: len(row) - int(np.isnan(row).sum())] if len(row) and np.isnan(row[-1]) else row for row in x]


def _median(x: NDArray[np.float32]) -> float:
    """Return the median of sorted values."""
    return (float(x[(len(x) - 1) // 2]) + float(x[len(x) // 2])) / 2 if len(x) else NAN


def _reason(x: NDArray, y: NDArray, n_x: int, n_y: int, words: tuple[str, str]) -> str:
    """Say why two groups cannot be tested; empty when they can."""
    for own, cells, word in ((x, n_x, words[0]), (y, n_y, words[1])):
        if not cells:
            return f"no cells in {word}"
        if not len(own):
            return f"marker missing in {word}"
        if len(own) < 2:
            return f"fewer than 2 cells in {word}"
    return "all values are equal" if x[0] == x[-1] == y[0] == y[-1] else ""


def _seed(random_state: int, *words: str) -> int:
    """Return a seed of one row that does not depend on which other rows are asked for."""
    return int(np.random.SeedSequence([random_state, zlib.crc32("\0".join(words).encode())]).generate_state(1)[0])


def cell_rows(
    adata: AnnData, design: Design, markers: Sequence[str], columns: NDArray[np.int64], test: str, random_state: int
) -> Iterator[Row]:
    """Yield one row a group, contrast and marker, with cells as the unit."""
    patients = len(design.patients)
    caption = f"cells of {'one patient' if patients < 2 else f'{patients} patients'} are not replicates"
    for g, group in enumerate(design.groups):
        reference = design.cells(g, design.reference)
        y = _sorted(adata, reference, columns)
        for level in design.contrasts:
            cells = design.cells(g, level)
            x = _sorted(adata, cells, columns)
            words = (design.word(level), design.word(design.reference))
            contrast = f"{words[0]} vs {words[1]}"
            for m, marker in enumerate(markers):
                reason = _reason(x[m], y[m], len(cells), len(reference), words)
                row = _cell_row(x[m], y[m], test, reason, _seed(random_state, group, contrast, marker))
                yield {
                    "subset": group, "marker": marker, "contrast": contrast, "unit": "cell", "test": test,
                    "n_units": row["n"] + row["n_reference"], **row, "note": "; ".join(filter(None, (reason, caption))),
                }  # fmt: skip


def _cell_row(x: NDArray[np.float32], y: NDArray[np.float32], test: str, reason: str, seed: int) -> Row:
    """Return the numbers of one row from sorted values."""
    counts = overlap(x, y)
    area, area_low, area_high = delong(x, y, counts=counts)
    estimate, low, high, t, p_welch = welch(x, y)
    if test == "welch":
        statistic, p = t, p_welch
    elif test == "permutation":
        statistic, p = permutation(x, y, random_state=seed) if not reason else (estimate, NAN)
    else:
        statistic, p = rank_sum(x, y, counts=counts)
    return {
        "estimate": estimate, "ci_low": low, "ci_high": high, "statistic": statistic, "p": NAN if reason else p,
        "n": len(x), "n_reference": len(y), "auroc": area, "auroc_low": area_low, "auroc_high": area_high,
        "median": _median(x), "median_reference": _median(y),
    }  # fmt: skip


def patient_rows(adata: AnnData, design: Design, markers: Sequence[str], columns: NDArray[np.int64]) -> Iterator[Row]:
    """Yield one row a group, contrast and marker, with patients as the unit: a t test on patient means.

    A patient's mean is the mean of the means of its samples. Paired on the patients that have both levels; Welch's
    two-sample test where no patient has both.
    """
    for g, group in enumerate(design.groups):
        reference = _by_patient(adata, design, design.cells(g, design.reference), columns)
        for level in design.contrasts:
            own = _by_patient(adata, design, design.cells(g, level), columns)
            words = (design.word(level), design.word(design.reference))
            for m, marker in enumerate(markers):
                x = {p: v[m] for p, v in own.items() if len(v[m][0])}
                y = {p: v[m] for p, v in reference.items() if len(v[m][0])}
                head = {"subset": group, "marker": marker, "contrast": f"{words[0]} vs {words[1]}", "unit": "patient"}
                yield {**head, **(_paired(x, y) if set(x) & set(y) else _unpaired(x, y, words))}


Patients = dict[int, tuple["NDArray[np.float32]", float]]


def _by_patient(
    adata: AnnData, design: Design, cells: NDArray[np.int64], columns: NDArray[np.int64]
) -> dict[int, list[tuple[NDArray[np.float32], float]]]:
    """Return, patient by patient and marker by marker, all sorted values and the mean of the samples' means."""
    out = {}
    for patient in np.unique(design.patient[cells]).tolist():
        own = cells[design.patient[cells] == patient]
        parts = [_sorted(adata, own[design.sample[own] == s], columns) for s in np.unique(design.sample[own])]
        rows = []
        for m in range(len(columns)):
            means = [float(part[m].mean(dtype=np.float64)) for part in parts if len(part[m])]
            together = np.sort(np.concatenate([part[m] for part in parts]))
            rows.append((together, float(np.mean(means)) if means else NAN))
        out[patient] = rows
    return out


def _cells_of(x: Patients, y: Patients) -> Row:
    return {
        "n": sum(len(v) for v, _ in x.values()), "n_reference": sum(len(v) for v, _ in y.values()),
        "median": float(np.median([_median(v) for v, _ in x.values()])) if x else NAN,
        "median_reference": float(np.median([_median(v) for v, _ in y.values()])) if y else NAN,
    }  # fmt: skip


def _paired(x: Patients, y: Patients) -> Row:
    """Return the numbers of a paired t test over the patients that have both; AUROC is their mean within patients."""
    both = sorted(set(x) & set(y))
    alone = len(set(x) ^ set(y))
    difference = np.array([x[p][1] - y[p][1] for p in both])
    area = np.array([delong(x[p][0], y[p][0])[0] for p in both])
    estimate, low, high, t, p_value = _one_sample(difference)
    _, area_low, area_high, _, _ = _one_sample(area)
    notes = [f"{alone} patient{'s' if alone > 1 else ''} without both left out"] if alone else []
    if len(both) < 2:
        notes.insert(0, "fewer than 2 patients with both")
    elif np.isnan(p_value):
        notes.insert(0, "all differences are equal")
    return {
        "n_units": len(both), "estimate": estimate, "ci_low": low, "ci_high": high, "statistic": t, "p": p_value,
        "auroc": float(area.mean()), "auroc_low": max(area_low, 0.0), "auroc_high": min(area_high, 1.0),
        **_cells_of({p: x[p] for p in both}, {p: y[p] for p in both}), "note": "; ".join(notes), "test": "paired t",
    }  # fmt: skip


def _unpaired(x: Patients, y: Patients, words: tuple[str, str]) -> Row:
    """Return the numbers of Welch's t test over patients; the AUROC is that of the patients' means."""
    a, b = np.array([v for _, v in x.values()]), np.array([v for _, v in y.values()])
    estimate, low, high, t, p = welch(a, b)
    area, area_low, area_high = delong(a, b)
    few = [word for own, word in ((a, words[0]), (b, words[1])) if len(own) < 2]
    note = f"fewer than 2 patients in {' and '.join(few)}" if few else "all values are equal" if np.isnan(p) else ""
    return {
        "n_units": len(a) + len(b), "estimate": estimate, "ci_low": low, "ci_high": high, "statistic": t, "p": p,
        "auroc": area, "auroc_low": area_low, "auroc_high": area_high, **_cells_of(x, y), "note": note,
        "test": "welch t",
    }  # fmt: skip


def _one_sample(d: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """Return mean, 95 % t limits, t and p of values against 0; NaN below two values or without spread."""
    from scipy.special import stdtr, stdtrit

    mean = float(d.mean())
    error = float(d.std(ddof=1) / np.sqrt(len(d))) if len(d) > 1 else 0.0
    if not error > 0:
        return mean, NAN, NAN, NAN, NAN
    half = float(stdtrit(len(d) - 1, 0.975)) * error
    return mean, mean - half, mean + half, mean / error, float(2 * stdtr(len(d) - 1, -abs(mean) / error))
