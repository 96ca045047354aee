"""The change of CAR T cells beside the change of host T cells of the same tubes: the difference of differences."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from cytof._check import has_columns, one_of
from cytof.compare._adjust import adjust
from cytof.compare._design import plan
from cytof.compare._did_rows import Study
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
        over all bright markers of the panel, CAR left out; subset by subset, averaged in the proportions of the
        reference visit), a mapping gives it (visit: gain, as the ratio of bead
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
        (patients: t over the patients' own; where patients have one visit or condition each, CAR T less host T of
        each patient, compared between the two groups of patients).
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
    >>> import anndata, numpy as np
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
    study = Study(adata, design, car, names, rescale)
    rows = study.cell_rows() if unit == "cell" else study.patient_rows("t" if test == "auto" else test)
    table = pd.DataFrame(list(rows), columns=[*Tables.TEST, *DID_EXTRAS])
    table["q"] = adjust(table["p"].to_numpy(float))
    return table
