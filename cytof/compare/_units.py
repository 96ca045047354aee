"""Rows of the test table with cells as the unit, and with patients as the unit."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cytof.compare._design import Design
from cytof.compare._location import hodges_lehmann, median_interval, walsh
from cytof.compare._mixed import mixed_row, too_few
from cytof.compare._pairs import N_PERMUTATIONS, delong, overlap, permutation, rank_sum, welch
from cytof.compare._replicates import PATIENT_TESTS, compare_units, finish, in_both, one_sample
from cytof.track._cells import values

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["CELL_TESTS", "MARKER_TESTS", "cell_rows", "patient_rows"]

CELL_TESTS: Final = ("rank-sum", "welch", "permutation")
MARKER_TESTS: Final = (*PATIENT_TESTS, "mixed")

NAN = float("nan")
Row = dict[str, Any]


def _sorted(adata: AnnData, cells: NDArray[np.int64], columns: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    """Return the values of each marker in these cells, sorted, NaN left out."""
    x = np.sort(values(adata, cells, columns), axis=1)
    return [row[: len(row) - int(np.isnan(row).sum())] if len(row) and np.isnan(row[-1]) else row for row in x]


def _median(x: NDArray[np.float32]) -> float:
    """Return the median of sorted values."""
    return (float(x[(len(x) - 1) // 2]) + float(x[len(x) // 2])) / 2 if len(x) else NAN


def _reason(x: NDArray, y: NDArray, n_x: int, n_y: int, words: tuple[str, str], test: str) -> str:
    """Say why two groups cannot be tested; empty when they can."""
    for own, cells, word in ((x, n_x, words[0]), (y, n_y, words[1])):
        if not cells:
            return f"there is {word}" if word.startswith("no other ") else f"no cells in {word}"
        if not len(own):
            return f"marker missing in {word}"
        if len(own) < 2:
            return f"fewer than 2 cells in {word}"
    if x[0] == x[-1] == y[0] == y[-1]:
        return "all values are equal"
    flat = test == "welch" and np.isnan(welch(x, y)[4])
    return "values do not vary within either group" if flat else ""


def _seed(random_state: int, *words: str) -> int:
    """Return a seed of one row that does not depend on which other rows are asked for."""
    return int(np.random.SeedSequence([random_state, zlib.crc32("\0".join(words).encode())]).generate_state(1)[0])


def cell_rows(
    adata: AnnData, design: Design, markers: Sequence[str], columns: NDArray[np.int64], test: str, random_state: int
) -> Iterator[Row]:
    """Yield one row a group, contrast and marker, with cells as the unit."""
    patients = len(design.patients)
    caption = f"cells of {'one patient' if patients < 2 else f'{patients} patients'} are not replicates"
    floor = f"smallest attainable p {1 / (N_PERMUTATIONS + 1):.2g}" if test == "permutation" else ""
    for g, group in enumerate(design.groups):
        reference = design.cells(g, design.reference)
        y = _sorted(adata, reference, columns)
        for level in design.contrasts:
            cells = design.cells(g, level)
            x = _sorted(adata, cells, columns)
            words = (design.word(level), design.word(design.reference))
            contrast = f"{words[0]} vs {words[1]}"
            for m, marker in enumerate(markers):
                reason = _reason(x[m], y[m], len(cells), len(reference), words, test)
                row = _cell_row(x[m], y[m], test, reason, _seed(random_state, group, contrast, marker))
                yield {
                    "subset": group, "marker": marker, "contrast": contrast, "unit": "cell", "test": test,
                    "n_units": row["n"] + row["n_reference"], **row,
                    "note": "; ".join(filter(None, (reason or floor, caption))),
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
    together = (counts.x + counts.y).astype(float)
    total = len(x) + len(y)
    shift, shift_low, shift_high = hodges_lehmann(
        x, y, ties=float(np.sum(together**3 - together)) / max(total * (total - 1), 1)
    )
    (own_low, own_high), (other_low, other_high) = median_interval(x), median_interval(y)
    return {
        "estimate": estimate, "ci_low": low, "ci_high": high, "statistic": statistic, "p": NAN if reason else p,
        "n": len(x), "n_reference": len(y), "auroc": area, "auroc_low": area_low, "auroc_high": area_high,
        "median": _median(x), "median_low": own_low, "median_high": own_high, "median_reference": _median(y),
        "median_reference_low": other_low, "median_reference_high": other_high,
        "hodges_lehmann": shift, "hodges_lehmann_low": shift_low, "hodges_lehmann_high": shift_high,
    }  # fmt: skip


def patient_rows(
    adata: AnnData, design: Design, markers: Sequence[str], columns: NDArray[np.int64], test: str, random_state: int
) -> Iterator[Row]:
    """Yield one row a group, contrast and marker, with patients as the unit.

    A patient's mean is the mean of the means of its samples. Paired on the patients that have both levels; two samples
    where no patient has both. The mixed model takes the mean of every sample, also of patients with one level only.
    """
    for g, group in enumerate(design.groups):
        reference = _by_patient(adata, design, design.cells(g, design.reference), columns)
        for level in design.contrasts:
            own = _by_patient(adata, design, design.cells(g, level), columns)
            words = (design.word(level), design.word(design.reference))
            rows = []
            for m, marker in enumerate(markers):
                x = {p: v[m] for p, v in own.items() if len(v[m][0])}
                y = {p: v[m] for p, v in reference.items() if len(v[m][0])}
                head = {"subset": group, "marker": marker, "contrast": f"{words[0]} vs {words[1]}", "unit": "patient"}
                seed = _seed(random_state, *head.values())
                if test == "mixed":
                    row = _mixed(x, y)
                else:
                    means = ({p: v[1] for p, v in arm.items()} for arm in (x, y))
                    row = compare_units(*means, test=test, words=words, seed=seed)
                rows.append({**head, **row, **_areas(x, y)})
            yield from finish(rows, test)


def _mixed(x: Patients, y: Patients) -> Row:
    """Return the test of the means of all samples with a random intercept a patient, from 6 patients on."""
    means = [(v, p, late) for arm, late in ((y, 0.0), (x, 1.0)) for p, own in arm.items() for v in own[2]]
    values, patient, late = (np.array(column) for column in zip(*means, strict=True)) if means else np.empty((3, 0))
    row: Row = {"n_units": len(np.unique(patient)), "test": "mixed", "estimate": NAN, "ci_low": NAN, "ci_high": NAN,
                "statistic": NAN, "p": NAN}  # fmt: skip
    reason = too_few("mixed", patient, late)
    return row | ({"note": reason} if reason else mixed_row(values, np.stack([np.ones(len(late)), late], 1), patient))


Patients = dict[int, tuple["NDArray[np.float32]", float, list[float]]]


def _by_patient(
    adata: AnnData, design: Design, cells: NDArray[np.int64], columns: NDArray[np.int64]
) -> dict[int, list[tuple[NDArray[np.float32], float, list[float]]]]:
    """Return, patient by patient and marker by marker, all sorted values, the mean of the samples' means, and these."""
    out = {}
    for patient in np.unique(design.patient[cells][design.patient[cells] >= 0]).tolist():
        own = cells[design.patient[cells] == patient]
        parts = [_sorted(adata, own[design.sample[own] == s], columns) for s in np.unique(design.sample[own])]
        rows = []
        for m in range(len(columns)):
            means = [float(part[m].mean(dtype=np.float64)) for part in parts if len(part[m])]
            together = np.sort(np.concatenate([part[m] for part in parts]))
            rows.append((together, float(np.mean(means)) if means else NAN, means))
        out[patient] = rows
    return out


def _areas(x: Patients, y: Patients) -> Row:
    """Return cells, medians and AUROC: the mean of the patients' own with a t interval, else that of their means."""
    both = in_both(x, y)
    if not both:
        x, y = ({p: v for p, v in arm.items() if p not in other} for arm, other in ((x, y), (y, x)))
    means = [np.sort(np.array([v[1] for v in arm.values()], np.float32)) for arm in (x, y)]
    shift = hodges_lehmann(*means)
    if both:
        x, y = ({p: arm[p] for p in both} for arm in (x, y))
        shift = walsh(np.array([x[p][1] - y[p][1] for p in both]))
        areas = {p: delong(x[p][0], y[p][0])[0] for p in both}
        own = one_sample(areas)
        area, low, high = own["estimate"], max(own["ci_low"], 0.0), min(own["ci_high"], 1.0)
    else:
        area, low, high = delong(*(np.array([v[1] for v in arm.values()]) for arm in (x, y)))
    return {
        "n": sum(len(v[0]) for v in x.values()), "n_reference": sum(len(v[0]) for v in y.values()),
        "median": float(np.median([_median(v[0]) for v in x.values()])) if x else NAN,
        "median_reference": float(np.median([_median(v[0]) for v in y.values()])) if y else NAN,
        "auroc": area, "auroc_low": low, "auroc_high": high,
        **dict(zip(("hodges_lehmann", "hodges_lehmann_low", "hodges_lehmann_high"), shift, strict=True)),
    }  # fmt: skip
