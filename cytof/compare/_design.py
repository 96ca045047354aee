"""Which cells are set against which: levels of one column against a reference, within levels of another."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof._check import has_columns, nearest
from cytof.compare._shares import blank
from cytof.errors import UsageError
from cytof.keys import Obs
from cytof.track._cells import codes, label, levels

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["Design", "plan"]


@dataclass(frozen=True)
class Design:
    """Codes of every cell, shape (n_cells,), -1 for none, and what the codes mean.

    Attributes
    ----------
    by, names, level
        Column, words of its levels, code of each cell.
    reference
        Code of the reference level.
    groups, group
        Words of the levels of ``within`` (``all`` without one) and code of each cell.
    patients, patient
        Patients and code of each cell; -1 of cells whose patient is blank, where others are named.
    sample
        Code of the sample of each cell.
    """

    by: str
    names: list[str]
    level: NDArray[np.int64]
    reference: int
    groups: list[str]
    group: NDArray[np.int64]
    patients: list[str]
    patient: NDArray[np.int64]
    sample: NDArray[np.int64]

    @property
    def contrasts(self) -> list[int]:
        """Codes of the levels set against the reference; ``[-2]`` (a level without cells) where there is no other."""
        return [i for i in range(len(self.names)) if i != self.reference] or [-2]

    def word(self, level: int) -> str:
        """Return the word of a level."""
        return self.names[level] if level >= 0 else f"no other {self.by}"

    def cells(self, group: int, level: int) -> NDArray[np.int64]:
        """Return the places of the cells of a group at a level."""
        return np.flatnonzero((self.group == group) & (self.level == level))


def plan(adata: AnnData, *, by: str, reference: Hashable | None, within: str | None) -> Design:
    """Return the design; a design that cannot be estimated is refused in words.

    Raises
    ------
    UsageError
        A column or the reference is not there, or ``by`` and ``within`` are one column.
    """
    has_columns(adata.obs.columns, [by, *([within] if within else [])], where="adata.obs")
    if by == within:
        raise UsageError(f"`by` and `within` are both `{by}`", where="compare", hint="use within=None")
    found = levels(adata, by, observed=False)
    if not found:
        raise UsageError(f"no cell has a `{by}`", where="adata.obs")
    groups = levels(adata, within, observed=False) if within else ["all"]
    return Design(
        by=by,
        names=[label(by, name) for name in found],
        level=codes(adata, by, found),
        reference=0 if reference is None else _place(found, reference, by),
        groups=[label(within or "", name) for name in groups],
        group=codes(adata, within, groups) if within else np.zeros(adata.n_obs, np.int64),
        **_owners(adata),
    )


def _place(found: list[Hashable], reference: Hashable, by: str) -> int:
    for i, name in enumerate(found):
        if name == reference or str(name) == str(reference) or label(by, name) == reference:
            return i
    raise UsageError(
        f"reference {reference!r} is no level of `{by}`, found {', '.join(map(str, found))}",
        where="compare",
        hint=nearest(str(reference), [str(name) for name in found]),
    )


def _owners(adata: AnnData) -> dict:
    """Return patients and the patient and sample codes of the cells; one patient where none is named."""
    nobody = pd.Series("", index=adata.obs_names)
    patients, owner = _coded(adata.obs[Obs.PATIENT] if Obs.PATIENT in adata.obs else nobody)
    if not patients:
        patients, owner = [""], np.zeros(adata.n_obs, np.int64)
    return {"patients": patients, "patient": owner,
            "sample": _coded(adata.obs[Obs.SAMPLE])[1] if Obs.SAMPLE in adata.obs else owner}  # fmt: skip


def _coded(column: pd.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Return the words of a column, sorted, and the place of each cell's among them (-1: a blank)."""
    own, kinds = pd.factorize(column)
    words = np.array([*map(str, kinds), ""], object)
    words[blank(pd.Series(words))] = ""
    found = sorted({words[c] for c in np.unique(own)} - {""})
    return found, pd.Index(found).get_indexer(words)[own]
