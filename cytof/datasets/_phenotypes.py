"""What the synthetic patient is made of: the cell types, their markers, their shares and how both move over the visits.

All of it is data beside this file:

- ``phenotypes.csv``: one row a phenotype, the median dual counts of each antigen on it;
- ``composition.csv``: per cent of each phenotype at each visit, host cells of all host cells, CAR T cells of all CAR T,
  gamma-delta T cells of host T cells, CD45- erythroblasts beside the CD45+ cells;
- ``trends.csv``: by how much an antigen rises or falls within a phenotype from visit to visit.

The shares of CAR T cells, the nine clusters and the directions of the marker trends follow the published case of a
long-lived CAR T population (LEGEND-2, five-year follow-up: results "CAR T cells kinetics" and Figure 4). The numbers of
each marker are a reconstruction: no value was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["SCENARIOS", "VISITS", "Visit", "allocate", "antigens", "composition", "levels", "phenotypes", "read_data"]

SCENARIOS = ("paper", "gd")
"""``paper``: no host gamma-delta T cells; ``gd``: 2 per cent of host T cells are, CD4- CD8-."""

_DESCRIBED = ("phenotype", "cell_type", "subset", "cluster", "dna")


@dataclass(frozen=True)
class Visit:
    """One visit of the synthetic patient.

    Attributes
    ----------
    sample_id
        ``2mo``, ``1yr``, ``3yr`` or ``5yr``.
    day
        Days since infusion.
    batch_id
        Run of the instrument.
    n_leukocytes
        Living single CD45+ cells at ``scale=1``.
    car_share
        CAR T cells among them, a fraction (paper, results).
    gain
        Sensitivity of the instrument in this run, all metals alike.
    """

    sample_id: str
    day: int
    batch_id: str
    n_leukocytes: int
    car_share: float
    gain: float


VISITS = (
    Visit("2mo", 60, "run1", 96_000, 0.0301, 1.00),
    Visit("1yr", 365, "run2", 100_000, 0.0104, 0.90),
    Visit("3yr", 1095, "run3", 104_000, 0.0049, 1.10),
    Visit("5yr", 1825, "run4", 156_000, 0.0024, 1.00),
)
"""The four visits, in order of time."""


def read_data(name: str) -> pd.DataFrame:
    """Read one of the CSV files beside this module; empty cells of text columns are empty strings."""
    source = resources.files("cytof.datasets").joinpath(name)
    with source.open("r", encoding="utf-8") as file:
        return pd.read_csv(file, keep_default_na=False)


def phenotypes() -> pd.DataFrame:
    """Return every phenotype the patient can hold.

    Returns
    -------
    DataFrame indexed by ``phenotype``: ``cell_type subset cluster dna`` (``cluster`` C1-C9 for CAR T cells, else empty;
    ``dna`` relative DNA content), then one column an antigen with the median dual counts of a stained cell.

    Examples
    --------
    >>> phenotypes().query("cluster != ''").groupby("subset").cluster.apply(list).to_dict()
    {'CD4': ['C6'], 'CD8': ['C1', 'C2', 'C3', 'C5'], 'DN': ['C4', 'C7', 'C8', 'C9']}
    """
    return read_data("phenotypes.csv").set_index("phenotype")


def antigens() -> list[str]:
    """Return the 41 antigens, in the order of the columns of :func:`phenotypes`.

    Examples
    --------
    >>> len(antigens())
    41
    """
    return [c for c in read_data("phenotypes.csv").columns if c not in _DESCRIBED]


def levels(visit: Visit) -> NDArray[np.float32]:
    """Return the median counts of each phenotype at a visit, trends applied.

    Returns
    -------
    float32 array, shape (n_phenotypes, 41): rows as :func:`phenotypes`, columns as :func:`antigens`.

    Examples
    --------
    >>> levels(VISITS[0]).shape[1]
    41
    """
    table = phenotypes()
    level = table[antigens()].astype(float)
    for row in read_data("trends.csv").to_dict("records"):
        concerned = (table.cell_type == row["cell_type"]) & (table.subset == row["subset"])
        level.loc[concerned, row["antigen"]] *= row[visit.sample_id]
    return level.to_numpy(np.float32)


def allocate(shares: NDArray, n: int) -> NDArray[np.int64]:
    """Divide ``n`` cells by shares so that the counts add up to ``n`` (largest remainders first).

    Examples
    --------
    >>> allocate(np.array([1.0, 1.0, 2.0]), 7).tolist()
    [2, 2, 3]
    """
    exact = np.asarray(shares, float) / np.sum(shares) * n
    counts = np.floor(exact + 1e-9).astype(np.int64)
    short = n - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return counts


def composition(visit: Visit, *, scenario: str = "paper", scale: float = 1.0) -> pd.Series:
    """Return how many living single cells of each phenotype a visit holds.

    Parameters
    ----------
    visit
        One of :data:`VISITS`.
    scenario
        ``paper`` or ``gd``, see :data:`SCENARIOS`.
    scale
        Factor on the number of cells.

    Returns
    -------
    int Series indexed by phenotype, in the order of :func:`phenotypes`. Erythroblasts, the one CD45- type, come on top
    of ``visit.n_leukocytes``.

    Examples
    --------
    >>> counts = composition(VISITS[3])
    >>> int(counts.filter(like="CAR").sum()), int(counts.drop("erythroblast").sum())
    (374, 156000)
    """
    table = read_data("composition.csv").set_index("phenotype").loc[phenotypes().index]
    share = table[visit.sample_id].astype(float)
    host_t = table.index.str.startswith("host") & (table["of"] == "host")
    if scenario == "gd":
        gd = share.loc[host_t].sum() * share["host gd"] / 100
        share.loc[host_t] *= 1 - share["host gd"] / 100
        share["host gd"] = gd
    else:
        share["host gd"] = 0.0
    beside = table["of"].str.startswith("CD45+").to_numpy()
    n = round(visit.n_leukocytes * scale)
    n_car = max(1, round(n * visit.car_share))
    car = (table["of"] == "CAR T").to_numpy()
    counts = pd.Series(0, index=table.index, dtype=np.int64)
    counts[car] = allocate(share[car].to_numpy(), n_car)
    counts[~car & ~beside] = allocate(share[~car & ~beside].to_numpy(), n - n_car)
    counts[beside] = np.rint(share[beside].to_numpy() / 100 * n).astype(np.int64)
    return counts
