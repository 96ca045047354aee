"""Arms of CAR T and host T cells, patient by patient and visit by visit, and the rows of their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cytof.compare._arms import BRIGHT, Arm, arm, counts_of, gains, host_gain, staining
from cytof.compare._design import Design
from cytof.compare._replicates import compare_units, finish, in_both, one_sample

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["Study"]

NAN = float("nan")
_HOSTS = ("CD4", "CD8")
_FEW = 30
Row = dict[str, Any]


class Study:
    """Moments of every arm of every patient, made once."""

    def __init__(
        self, adata: AnnData, design: Design, car: NDArray, markers: list[str], rescale: str | Mapping[str, float]
    ) -> None:
        self.design, self.car, self.markers, self.rescale = design, car, markers, rescale
        self.counts, self.cofactors = counts_of(adata, markers)
        self.staining = counts_of(adata, staining(adata))[0] if rescale == "host" else self.counts
        self.all = range(len(design.patients))
        self.made: dict[tuple, Any] = {}

    def _once(self, key: tuple, make: Callable[[], Any]) -> Any:
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def _rows(self, car: bool, group: int | None, level: int, patients: Sequence[int] | range) -> NDArray[np.int64]:
        def find() -> NDArray[np.int64]:
            chosen = (self.car == car) & (self.design.level == level)
            if len(patients) < len(self.all):
                chosen &= np.isin(self.design.patient, list(patients))
            return np.flatnonzero(chosen if group is None else chosen & (self.design.group == group))

        return self._once((car, group, level, tuple(patients)), find)

    def _gains(self, patients: Sequence[int] | range) -> dict[int, float]:
        def find() -> dict[int, float]:
            words = self.design.names
            host = {w: self._strata(i, patients) for i, w in enumerate(words)}
            found = gains(words, self.rescale, host, words[self.design.reference])
            return {i: found[w] for i, w in enumerate(words)} | {-2: 1.0}

        return self._once(("gains", tuple(patients)), find)

    def _strata(self, level: int, patients: Sequence[int] | range) -> list[NDArray[np.float32]]:
        """Return the counts of host T cells subset by subset, for a gain; all together where none has 30 cells."""
        level_of = [self._rows(False, g, level, patients) for g in range(len(self.design.groups))]
        base = [self._rows(False, g, self.design.reference, self.all) for g in range(len(self.design.groups))]
        if not any(len(rows) >= _FEW for rows in base):
            level_of = [self._rows(False, None, level, patients)]
        return [self.staining[rows] for rows in level_of]

    def _own_gain(self, level: int, patient: int) -> float:
        """Return the gain of one patient's hosts at a level against all hosts of the reference."""
        if self.rescale != "host":
            return self._gains(self.all)[level]
        reference = self._strata(self.design.reference, self.all)
        return self._once(("own", level, patient), lambda: host_gain(reference, self._strata(level, [patient])))

    def _arm(self, car: bool, group: int, level: int, patients: Sequence[int] | range, gain: float) -> Arm:
        rows = self._rows(car, group, level, patients)
        return self._once(
            ("arm", car, group, level, tuple(patients)), lambda: arm(self.counts[rows], self.cofactors, gain)
        )

    def _hosts(self, group: int, level: int, patients: Sequence[int] | range) -> tuple[str, dict[int, float]]:
        """Return the word and the weights of the host groups a subset is set against."""
        reference, names = self.design.reference, self.design.groups
        n = min(len(self._rows(False, group, v, patients)) for v in (level, reference))
        if n >= _FEW or names[group] in _HOSTS or not set(_HOSTS) <= set(names):
            return names[group], {group: 1.0}
        places = [names.index(h) for h in _HOSTS]
        sizes = [len(self._rows(False, g, reference, patients)) for g in places]
        total = sum(sizes)
        return "+".join(_HOSTS), {g: s / total if total else 0.5 for g, s in zip(places, sizes, strict=True)}

    def changes(self, group: int, level: int, patients: Sequence[int] | range) -> tuple[Row, list[Row]]:
        """Return what all markers share, and one row a marker with both changes, their variances and terms."""
        scaling, reference = self._gains(patients), self.design.reference
        word, weights = self._hosts(group, level, patients)
        own = [self._arm(True, group, v, patients, scaling[v]) for v in (level, reference)]
        hosts = [[(w, self._arm(False, g, v, patients, scaling[v])) for g, w in weights.items()]
                 for v in (level, reference)]  # fmt: skip
        head: Row = {
            "host": word, "gain": scaling[level], "n_car": own[0].n, "n_car_reference": own[1].n,
            "n_host": sum(a.n for _, a in hosts[0]), "n_host_reference": sum(a.n for _, a in hosts[1]),
        }  # fmt: skip
        rows = []
        for m in range(len(self.markers)):
            host_mean = [sum(w * a.mean[m] for w, a in side) for side in hosts]
            terms = [(a.variance[m] / a.n, a.n) for a in own if a.n]
            host_terms = [(w**2 * a.variance[m] / a.n, a.n) for side in hosts for w, a in side if a.n]
            medians = [a.median[m] for a in own] + [a.median[m] for side in hosts for w, a in side if w > 0]
            rows.append({
                "car_change": float(own[0].mean[m] - own[1].mean[m]), "host_change": float(host_mean[0] - host_mean[1]),
                "_car": terms, "_host": host_terms, "median_counts": float(np.min(medians)),
                "not_cancellable": not np.min(medians) >= BRIGHT,
            })  # fmt: skip
        return head, rows

    def cell_rows(self) -> Iterator[Row]:
        patients = len(self.all)
        caption = f"cells of {'one patient' if patients < 2 else f'{patients} patients'} are not replicates"
        for g, group in enumerate(self.design.groups):
            for level in self.design.contrasts:
                head, rows = self.changes(g, level, self.all)
                reason = _reason(head, self.design.word(level), self.design.word(self.design.reference))
                for marker, row in zip(self.markers, rows, strict=True):
                    estimate = row["car_change"] - row["host_change"]
                    whole = _t(estimate, [*row["_car"], *row["_host"]])
                    missing = "" if reason or np.isfinite(whole["p"]) else "marker missing or without spread"
                    yield {
                        "subset": group, "marker": marker, "unit": "cell", "test": "welch", **head, **row, **whole,
                        "contrast": f"{self.design.word(level)} vs {self.design.word(self.design.reference)}",
                        "n_units": sum(head[k] for k in head if k.startswith("n_")),
                        **_limits("car_change", row["car_change"], row["_car"]),
                        **_limits("host_change", row["host_change"], row["_host"]),
                        "note": "; ".join(filter(None, (reason or missing, caption))),
                    }  # fmt: skip

    def patient_rows(self, test: str) -> Iterator[Row]:
        for g, group in enumerate(self.design.groups):
            for level in self.design.contrasts:
                words = (self.design.word(level), self.design.word(self.design.reference))
                sides = [[p for p in self.all if len(self._rows(True, g, v, [p]))]
                         for v in (level, self.design.reference)]  # fmt: skip
                if all(sides) and not in_both(*sides):
                    alone = [[p for p in own if p not in other] for own, other in (sides, sides[::-1])]
                    made = self._between(g, level, alone, test)
                else:
                    each = [self.changes(g, level, [p]) for p in self.all]
                    made = [_over_patients({p: head | rows[m] for p, (head, rows) in enumerate(each)}, test, words)
                            for m in range(len(self.markers))]  # fmt: skip
                head = {"subset": group, "unit": "patient", "contrast": " vs ".join(words)}
                rows = [head | {"marker": m} | row for m, row in zip(self.markers, made, strict=True)]
                yield from finish(rows, test)

    def _between(self, group: int, level: int, sides: list[list[int]], test: str) -> list[Row]:
        """Return rows of two groups of patients: CAR T less host of each patient, compared between the groups."""
        levels = (level, self.design.reference)
        word, weights = self._hosts(group, level, self.all)
        arms = []
        for v, own in zip(levels, sides, strict=True):
            scaling = {p: self._own_gain(v, p) for p in own}
            arms.append({p: (self._arm(True, group, v, [p], scaling[p]),
                             [(w, self._arm(False, g, v, [p], scaling[p])) for g, w in weights.items()])
                         for p in own})  # fmt: skip
        gain = float(np.exp(np.mean([np.log(self._own_gain(level, p)) for p in sides[0]])))
        words = (self.design.word(level), self.design.word(self.design.reference))
        return [_two_groups(arms, m, test, words) | {"host": word, "gain": gain} for m in range(len(self.markers))]


def _reason(head: Row, level: str, reference: str) -> str:
    if level.startswith("no other "):
        return f"there is {level}"
    for key, arm_word, visit in (
        ("n_car", "CAR T", level), ("n_car_reference", "CAR T", reference), ("n_host", "host T", level),
        ("n_host_reference", "host T", reference),
    ):  # fmt: skip
        if head[key] < 2:
            return f"{'no' if not head[key] else 'one'} {arm_word} cell{'s' if not head[key] else ''} in {visit}"
    return ""


def _t(estimate: float, terms: list[tuple[float, int]]) -> Row:
    """Return Welch's t and limits of a sum of means with these variances and sizes."""
    from scipy.special import stdtr, stdtrit

    variance = float(sum(v for v, _ in terms)) if terms else NAN
    if not variance > 0 or np.isnan(estimate):
        return {"estimate": estimate, "ci_low": NAN, "ci_high": NAN, "statistic": NAN, "p": NAN}
    df = variance**2 / sum(v**2 / max(n - 1, 1) for v, n in terms)
    t, half = estimate / np.sqrt(variance), float(stdtrit(df, 0.975)) * np.sqrt(variance)
    return {"estimate": estimate, "ci_low": estimate - half, "ci_high": estimate + half, "statistic": float(t),
            "p": float(2 * stdtr(df, -abs(t)))}  # fmt: skip


def _limits(name: str, estimate: float, terms: list[tuple[float, int]]) -> Row:
    found = _t(estimate, terms)
    return {f"{name}_low": found["ci_low"], f"{name}_high": found["ci_high"]}


def _over_patients(own: dict[int, Row], test: str, words: tuple[str, str]) -> Row:
    """Return the t test of the patients' differences of differences, and the mean changes with t limits."""
    both = {p: r["car_change"] - r["host_change"] for p, r in own.items()}
    known = {p: r for p, r in own.items() if not np.isnan(both[p])}
    none = words[0].startswith("no other ")
    short = f"there is {words[0]}" if none else "fewer than 2 patients with all four groups of cells"
    row = one_sample(both, test=test, short=short)
    lost = len(both) - len(known)
    if lost and not none:
        left = f"{lost} patient{'s' if lost > 1 else ''} without all four groups of cells left out"
        row["note"] = "; ".join(filter(None, (row["note"], left)))
    for name in ("car_change", "host_change"):
        mean = one_sample({p: r[name] for p, r in known.items()})
        row |= {name: mean["estimate"], f"{name}_low": mean["ci_low"], f"{name}_high": mean["ci_high"]}
    gain = float(np.exp(np.mean([np.log(r["gain"]) for r in known.values()]))) if known else NAN
    return row | _brightness([r["median_counts"] for r in known.values()]) | {
        "host": " or ".join(sorted({r["host"] for r in (known or own).values()})), "gain": gain,
        **{k: sum(r[k] for r in known.values()) for k in _SIZES},
    }  # fmt: skip


_SIZES = ("n_car", "n_car_reference", "n_host", "n_host_reference")


def _brightness(medians: list[float]) -> Row:
    lowest = float(np.min(medians)) if medians else NAN
    return {"median_counts": lowest, "not_cancellable": not lowest >= BRIGHT}


def _two_groups(arms: list[dict[int, tuple[Arm, list]]], m: int, test: str, words: tuple[str, str]) -> Row:
    """Return the row of one marker from the arms of each patient of two groups."""
    car = [{p: float(own.mean[m]) for p, (own, _) in side.items()} for side in arms]
    host = [{p: float(sum(w * a.mean[m] for w, a in hosts)) for p, (_, hosts) in side.items()} for side in arms]
    known = [[p for p in side if not np.isnan(car[i][p] - host[i][p])] for i, side in enumerate(arms)]
    less = [{p: car[i][p] - host[i][p] for p in own} for i, own in enumerate(known)]
    row = compare_units(*less, test=test, words=words)
    lost = sum(len(side) for side in arms) - sum(len(own) for own in known)
    left = f"{lost} patient{'s' if lost > 1 else ''} without CAR T and host T cells left out" if lost else ""
    row["note"] = "; ".join(filter(None, (row["note"], left)))
    for name, values in (("car_change", car), ("host_change", host)):
        mean = compare_units(*({p: values[i][p] for p in own} for i, own in enumerate(known)), test="t", words=words)
        row |= {name: mean["estimate"], f"{name}_low": mean["ci_low"], f"{name}_high": mean["ci_high"]}
    used = [[arms[i][p] for p in own] for i, own in enumerate(known)]
    medians = [float(a.median[m]) for side in used for own, hosts in side for a in (own, *(h for w, h in hosts if w))]
    sizes = [n for side in used for n in (sum(a.n for a, _ in side), sum(h.n for _, hosts in side for _, h in hosts))]
    return row | _brightness(medians) | dict(
        zip(("n_car", "n_host", "n_car_reference", "n_host_reference"), sizes, strict=True)
    )  # fmt: skip
