"""Marker levels between visits, or between CAR T and host T cells: effect, interval, test, and its unit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from cytof._check import one_of
from cytof.compare._adjust import adjust
from cytof.compare._design import plan
from cytof.compare._units import CELL_TESTS, MARKER_TESTS, cell_rows, patient_rows
from cytof.keys import Obs, Tables
from cytof.track._cells import columns_of, default_markers

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["EXTRAS", "markers"]

EXTRAS: Final = (
    "n", "n_reference", "auroc", "auroc_low", "auroc_high", "cliffs_delta", "hodges_lehmann", "hodges_lehmann_low",
    "hodges_lehmann_high", "median", "median_low", "median_high", "median_reference", "median_reference_low",
    "median_reference_high", "note",
)  # fmt: skip
"""Columns of :func:`markers` after those of ``keys.Tables.TEST``."""

_PATIENTS: Final = 3  # from here on patients are the unit of `unit="auto"`


def markers(
    adata: AnnData,
    *,
    by: str = Obs.TIMEPOINT,
    reference: Hashable | None = None,
    within: str | None = Obs.SUBSET,
    markers: Sequence[str] | None = None,
    test: str = "auto",
    unit: str = "auto",
    random_state: int = 0,
) -> pd.DataFrame:
    """Compare each marker between every level of ``by`` and the reference, within each level of ``within``.

    Between visits: the defaults. CAR T against host T cells: ``by="car", reference=False, within="timepoint"``.

    Parameters
    ----------
    adata
        Cells with arcsinh values in X, shape (n_cells, n_markers); NaN is a missing value.
    by
        Column of ``obs`` with what is compared.
    reference
        Level that the others are set against; None for the first (by day for ``timepoint``, False for a bool).
    within
        Column of ``obs``; each level is compared by itself, and fills the column ``subset``. None for all cells.
    markers
        Markers; None for all of class ``type`` and ``state`` that no gate made constant, without the CAR.
    test
        Cells: ``rank-sum`` (R's ``wilcox.test(exact = FALSE)``; ``auto``), ``welch`` or ``permutation`` (of means, 999
        draws, smallest p 0.001). Patients: ``t`` (``auto``; paired where patients have both levels, else Welch's),
        ``moderated-t`` (limma's, over the markers of a contrast), and exact tests, ``rank-sum`` (pairs: signed ranks)
        and ``permutation``, which state their smallest attainable p and are refused where it is above 0.05 (below 6
        pairs): such a row has the reason and no p. ``mixed``, from 6 patients on: the means of all samples with a
        random intercept a patient, by REML and Satterthwaite's t (lmerTest's); it keeps patients with one level only.
    unit
        ``cell``: every cell counts as one; right for what was in these tubes, silent on other patients and other tubes.
        ``patient``: patient means are tested. ``auto``: patients from three on, else cells.
    random_state
        Seed of ``permutation``.

    Returns
    -------
    DataFrame, columns ``keys.Tables.TEST`` and ``EXTRAS``, by ``within``, level and marker. What cannot be tested (no
    cells, one cell, all values equal, marker missing) has p = NaN and the reason in ``note``, which for ``unit="cell"``
    also says that cells are not replicates.

    ``contrast``
        ``<level> vs <reference>``; every difference is level minus reference.
    ``n_units n n_reference``
        Cells or patients tested; cells with a value.
    ``estimate ci_low ci_high``
        Difference of the means on the arcsinh scale with a 95 % Welch (patients: t) interval.
    ``statistic p q``
        W, t or the difference; p (0 below about 1e-300); Benjamini-Hochberg over all rows of this table, the family.
    ``auroc auroc_low auroc_high cliffs_delta``
        Chance that a cell is above one of the reference, with DeLong's interval (patients: mean of the patients' AUROCs
        with a t interval); ``2 auroc - 1``.
    ``hodges_lehmann hodges_lehmann_low hodges_lehmann_high``
        Median of all differences of two cells (patients: of the Walsh averages of the pairs), limits from order
        statistics. 0 where more than half of both groups are 0.
    ``median median_low median_high`` and the same of the reference
        Of cells, limits from order statistics (patients: median of the patients' medians, no limits).

    Raises
    ------
    UsageError
        No such column, reference, test or unit; PanelError: no such marker.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> obs = pd.DataFrame({"timepoint": ["2mo"] * 3 + ["5yr"] * 3, "day": [60.0] * 3 + [1825.0] * 3},
    ...                    index=list("abcdef"))
    >>> cells = anndata.AnnData(np.float32([[1], [2], [3], [3], [4], [5]]), obs=obs, var=pd.DataFrame(index=["Ki67"]))
    >>> table = markers(cells, within=None)
    >>> table[["contrast", "unit", "estimate", "auroc", "note"]].round(3).values.tolist()
    [['5yr vs 2mo', 'cell', 2.0, 0.944, 'cells of one patient are not replicates']]

    Source: Hollander and Wolfe 1999; Welch 1947; DeLong et al. 1988; Benjamini and Hochberg 1995.
    """
    one_of(unit, ("auto", "cell", "patient"), "unit")
    names = default_markers(adata, markers)
    design = plan(adata, by=by, reference=reference, within=within)
    if unit == "auto":
        unit = "patient" if len(design.patients) >= _PATIENTS else "cell"
    allowed = MARKER_TESTS if unit == "patient" else CELL_TESTS
    if test == "auto":
        test = allowed[0]
    one_of(test, allowed, "test", where=f"compare.markers, unit {unit}")
    columns = columns_of(adata, names)
    return _table(
        patient_rows(adata, design, names, columns, test, random_state)
        if unit == "patient"
        else cell_rows(adata, design, names, columns, test, random_state)
    )


def _table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Return the test table of rows: q over all of them, Cliff's delta from the AUROC."""
    table = pd.DataFrame(list(rows), columns=[*Tables.TEST, *EXTRAS])
    table["q"] = adjust(table["p"].to_numpy(float))
    table["cliffs_delta"] = 2 * table["auroc"].astype(float) - 1
    return table
