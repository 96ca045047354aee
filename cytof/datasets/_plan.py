"""What passes the detector, event by event: cells, dead cells, doublets, debris, beads; and the truth table of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["BEAD", "BEAD_CELL", "CELL", "DEAD", "DEBRIS", "DOUBLET", "Plan", "TRUTH", "arrange", "truth_lines"]

CELL, DEAD, DOUBLET, DEBRIS, BEAD, BEAD_CELL = range(6)

TRUTH: Final = ("event", "cell_type", "cluster", "car", "live", "singlet", "bead", "debris", "subset")
"""Columns of a truth file."""

_PER_CELL: Final = {DEAD: 0.04, DOUBLET: 0.019, DEBRIS: 0.06, BEAD: 0.025, BEAD_CELL: 0.0015}
"""Further events for each living single cell."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which event is what, in file order.

    Attributes
    ----------
    kind
        ``CELL DEAD DOUBLET DEBRIS BEAD BEAD_CELL``, int8, shape (n_events,).
    first, second
        Row of the phenotype of the cell and of its partner, int16; -1 where there is none.
    """

    kind: NDArray[np.int8]
    first: NDArray[np.int16]
    second: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.kind)


def arrange(counts: pd.Series, table: pd.DataFrame, rng: np.random.Generator) -> Plan:
    """Add dead cells, doublets, debris and beads to the living cells and shuffle all of it.

    Doublets are random pairs of all cells, so most but not all are of two cell types; the first two of each file are
    made a CAR T cell with a B cell and with a monocyte, so that even a small file holds these.

    Parameters
    ----------
    counts
        Living single cells of each phenotype, in the order of ``table``.
    table
        The phenotypes.
    rng
        Source of randomness.

    Examples
    --------
    >>> from cytof.datasets._phenotypes import VISITS, composition, phenotypes
    >>> plan = arrange(composition(VISITS[0], scale=0.01), phenotypes(), np.random.default_rng(0))
    >>> int((plan.kind == CELL).sum())
    968
    """
    living = np.repeat(np.arange(len(counts), dtype=np.int16), counts.to_numpy())
    n = {kind: max(4, round(share * len(living))) for kind, share in _PER_CELL.items()}
    first = {kind: rng.choice(living, size) for kind, size in n.items()}
    partner = rng.choice(living, n[DOUBLET])
    for row, cell_type in enumerate(("B", "monocyte")):
        first[DOUBLET][row] = rng.choice(living[(table.cell_type == "CAR T").to_numpy()[living]])
        partner[row] = rng.choice(living[(table.cell_type == cell_type).to_numpy()[living]])
    kinds = [CELL, *n]
    kind = np.repeat(np.array(kinds, np.int8), [len(living), *n.values()])
    one = np.concatenate([living, *first.values()])
    one[kind == BEAD] = -1
    two = np.full(len(kind), -1, np.int16)
    two[kind == DOUBLET] = partner
    order = rng.permutation(len(kind))
    return Plan(kind[order], one[order], two[order])


def _described(kind: int, one: int, two: int, table: pd.DataFrame) -> str:
    """Return the cells of one truth row behind ``event``."""
    cell_type, cluster, subset = table.cell_type, table.cluster, table.subset
    if kind in (CELL, DEAD):
        name = cell_type.iloc[one]
        car = int(name == "CAR T")
        return f"{name},{cluster.iloc[one]},{car},{int(kind == CELL)},1,0,0,{subset.iloc[one]}"
    if kind == DOUBLET:
        pair = sorted([cell_type.iloc[one], cell_type.iloc[two]], key=lambda name: (name != "CAR T", name))
        return f"{'+'.join(pair)},,0,1,0,0,0,"
    if kind == DEBRIS:
        return "debris,,0,0,0,0,1,"
    if kind == BEAD:
        return "bead,,0,0,1,1,0,"
    return f"bead+{cell_type.iloc[one]},,0,1,0,1,0,"


def truth_lines(plan: Plan, table: pd.DataFrame) -> str:
    r"""Return the truth table of a plan as CSV text with the columns :data:`TRUTH`.

    Examples
    --------
    >>> from cytof.datasets._phenotypes import phenotypes
    >>> one = np.zeros(1, np.int16)
    >>> truth_lines(Plan(np.array([BEAD], np.int8), one, one), phenotypes()).split("\n")[1]
    '0,bead,,0,0,1,1,0,'
    """
    width = len(table) + 1
    code = (plan.kind.astype(np.int64) * width + plan.first + 1) * width + plan.second + 1
    codes, place = np.unique(code, return_inverse=True)
    text = [_described(int(c // width**2), int(c // width % width) - 1, int(c % width) - 1, table) for c in codes]
    rows = [f"{event},{text[k]}" for event, k in enumerate(place.tolist())]
    return "\n".join([",".join(TRUTH), *rows, ""])
