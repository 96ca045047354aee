"""The change of CAR T cells beside the change of host T cells of the same tubes: the difference of differences."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import has_columns, one_of
from cytof.compare._adjust import adjust
from cytof.compare._arms import BRIGHT, Arm, arm, counts_of, gains, staining
from cytof.compare._design import Design, plan
from cytof.compare._replicates import compare_units, finish
from cytof.errors import UsageError
from cytof.keys import Obs, Tables
from cytof.track._cells import default_markers

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["DID_EXTRAS", "difference_of_differences"]

DID_EXTRAS: Final = (
    "host", "car_change", "car_change_low", "car_change_high", "host_change", "host_change_low", "host_change_high",
    "gain", "n_car", "n_car_reference", "n_host", "n_host_reference", "median_counts", "not_cancellable", "note",
)  # fmt: skip

NAN = float("nan")
_HOSTS = ("CD4", "CD8")
_FEW = 30
Row = dict[str, Any]


def difference_of_differences(
    adata: AnnData,
    *,
    reference: Hashable | None = None,
    by: str = Obs.TIMEPOINT,
    within: str = Obs.SUBSET,
    markers: Sequence[str] | None = None,
    rescale: str | Mapping[str, float] = "host",
    unit: str = "auto",
    test: str = "auto",
) -> pd.DataFrame:
    """Return ``(CAR T at a visit - at the reference) - (host T at the visit - at the reference)``, marker by marker.

    What moves both arms alike, the instrument and the staining, cancels; it takes host T cells to be constant, so that
    their own change stands beside every row: where host T cells really change, the difference is of both.

    Parameters
    ----------
    adata
        CAR T and host T cells: ``layers["counts"]``, ``obs`` with ``car``, ``within`` and ``by``.
    reference
        Visit that the others are set against; None for the first.
    by, within
        Columns of ``obs`` with the visits and the subsets. A subset is set against host cells of the same subset; one
        with fewer than 30 of them at a visit (``DN``) against host CD4 and CD8 cells in the proportion they had at the
        reference visit, so that a shift between CD4 and CD8 is no change of a marker.
    markers
        As for :func:`markers`.
    rescale
        Counts of each visit are first divided by its gain: ``host`` takes it from quantiles of host T cells (the median
        over all bright markers of the panel, CAR left out), a mapping gives it (visit: gain, as the ratio of bead
        medians), ``none`` leaves counts.
    unit
        ``cell``, ``patient`` or ``auto`` (patients from three on), as for :func:`markers`.
    test
        Of patients: ``t`` (``auto``) or ``moderated-t``. Of cells always Welch's.

    Returns
    -------
    DataFrame ``keys.Tables.TEST`` and ``DID_EXTRAS``, by subset, visit and marker:

    ``estimate ci_low ci_high statistic p q``
        The difference of differences (arcsinh scale), Welch's t with Satterthwaite's degrees of freedom over four means
        (patients: t over the patients' own).
    ``host``
        Which host cells: ``CD4``, ``CD4+CD8`` (standardised).
    ``car_change host_change`` and their limits
        The two changes after rescaling (patients: means).
    ``gain``
        By which the visit's counts were divided (patients: geometric mean).
    ``median_counts not_cancellable``
        The smallest median of the four groups of cells, after rescaling; True where it is under 5 counts: there a gain
        does not cancel, and the estimate may be one.

    Raises
    ------
    UsageError
        A column, the counts, host or CAR T cells are missing; PanelError: no such marker.

    Examples
    --------
    >>> import anndata
    >>> rng = np.random.default_rng(0)
    >>> obs = pd.DataFrame({"timepoint": ["1"] * 80 + ["2"] * 80, "day": [0.0] * 80 + [9.0] * 80,
    ...                     "car": ([True] * 40 + [False] * 40) * 2, "subset": "CD8"})
    >>> counts = np.float32(rng.poisson(60, (160, 2)))
    >>> counts[80:] *= 2
    >>> obs.index = obs.index.astype(str)
    >>> cells = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=["a", "b"]), layers={"counts": counts})
    >>> table = difference_of_differences(cells)
    >>> table["estimate"].abs().round(0).tolist(), table["not_cancellable"].tolist(), table["gain"].round(1).tolist()
    ([0.0, 0.0], [False, False], [2.0, 2.0])

    Source: Lechner 2011, Found Trends Econom 4:165 (the estimator and its assumption); Welch 1947.
    """
    has_columns(adata.obs.columns, [Obs.CAR, within, by], where="adata.obs", hint="cells made by `cytof.assemble`")
    if isinstance(rescale, str):
        one_of(rescale, ("host", "none"), "rescale")
    one_of(unit, ("auto", "cell", "patient"), "unit")
    one_of(test, ("auto", "t", "moderated-t"), "test")
    car = adata.obs[Obs.CAR].to_numpy(bool)
    if car.all() or not car.any():
        raise UsageError(
            f"there are no {'host T' if car.all() else 'CAR T'} cells", where="compare.difference_of_differences",
            hint="give the cells of the gate above the CAR gate",
        )  # fmt: skip
    names = default_markers(adata, markers)
    design = plan(adata, by=by, reference=reference, within=within)
    if unit == "auto":
        unit = "patient" if len(design.patients) >= 3 else "cell"
    study = _Study(adata, design, car, names, rescale)
    rows = study.cell_rows() if unit == "cell" else study.patient_rows("t" if test == "auto" else test)
    table = pd.DataFrame(list(rows), columns=[*Tables.TEST, *DID_EXTRAS])
    table["q"] = adjust(table["p"].to_numpy(float))
    return table


class _Study:
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
            host = {w: self.staining[self._rows(False, None, i, patients)] for i, w in enumerate(words)}
            found = gains(words, self.rescale, host, words[self.design.reference])
            return {i: found[w] for i, w in enumerate(words)} | {-2: 1.0}

        return self._once(("gains", tuple(patients)), find)

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
                each = [self.changes(g, level, [p]) for p in self.all]
                out = []
                for m, marker in enumerate(self.markers):
                    own = {p: rows[m] for p, (_, rows) in enumerate(each)}
                    out.append({"subset": group, "marker": marker, "unit": "patient", **_over_patients(own, test),
                                "contrast": f"{self.design.word(level)} vs {self.design.word(self.design.reference)}",
                                **_heads([head for head, _ in each])})  # fmt: skip
                yield from finish(out, test)


def _reason(head: Row, level: str, reference: str) -> str:
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


def _over_patients(own: dict[int, Row], test: str) -> Row:
    """Return the t test of the patients' differences of differences, and the mean changes with t limits."""
    names = {"car_change": "car_change", "host_change": "host_change"}
    values = {name: {p: r[name] for p, r in own.items()} for name in names}
    both = {p: r["car_change"] - r["host_change"] for p, r in own.items()}
    row = compare_units(both, dict.fromkeys(both, 0.0), test=test, words=("", ""))
    row["note"] = row["note"].replace("patients without both", "patients without all four groups of cells").replace(
        "patient without both", "patient without all four groups of cells")  # fmt: skip
    for name, each in values.items():
        known = {p: v for p, v in each.items() if not np.isnan(both[p])}
        mean = compare_units(known, dict.fromkeys(known, 0.0), test="t", words=("", "")) if known else {}
        row |= {name: mean.get("estimate", NAN), f"{name}_low": mean.get("ci_low", NAN),
                f"{name}_high": mean.get("ci_high", NAN)}  # fmt: skip
    medians = [r["median_counts"] for p, r in own.items() if not np.isnan(both[p])]
    return row | {
        "median_counts": min(medians, default=NAN),
        "not_cancellable": not min(medians, default=NAN) >= BRIGHT,
    }


def _heads(heads: list[Row]) -> Row:
    counts = {k: sum(h[k] for h in heads) for k in heads[0] if k.startswith("n_")}
    words = sorted({h["host"] for h in heads})
    return counts | {"host": " or ".join(words), "gain": float(np.exp(np.mean([np.log(h["gain"]) for h in heads])))}
