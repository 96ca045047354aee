"""The stained cells of one file: how many antigens and how much DNA each event truly carries.

Staining is log-normal about the level of the phenotype, wider where a marker is only background; some readings stay
unstained (the zeros beside those of counting). In common within a cell are its size and how far it is differentiated
and activated (``channels.csv``: loadings of each marker), and some T cells are on the way to another phenotype of their
subset, so that phenotypes are clouds that touch and not islands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.datasets._plan import BEAD, DEAD, DEBRIS, DOUBLET, Plan

__all__ = ["Stain", "normal", "stained"]

_DIM = 3.0  # below this many counts a marker is background staining
_DIM_SPREAD = 0.7
_MOVING = 0.25  # T cells on the way to another phenotype of their subset, at most half way
_SIZE = 0.10
_DNA_SPREAD = 0.11

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Stain:
    """What :func:`stained` draws cells from.

    Attributes
    ----------
    log_level
        Log of the median counts, shape (n_phenotypes, 41).
    spread
        Log-normal spread of each marker on each phenotype, same shape.
    axes
        Loadings of differentiation and activation, shape (2, 41).
    kin, n_kin
        Phenotypes of the same T cell subset, shape (n_phenotypes, most), and how many there are; itself if none.
    dna
        Relative DNA content, shape (n_phenotypes,).
    """

    log_level: Array
    spread: Array
    axes: Array
    kin: NDArray[np.int64]
    n_kin: NDArray[np.int64]
    dna: Array

    @classmethod
    def of(cls, level: Array, table: pd.DataFrame, markers: pd.DataFrame) -> Stain:
        """Gather it from levels, phenotypes and markers (rows of ``channels.csv`` in the order of the levels)."""
        group = np.where(table.subset == "", table.index, table.cell_type + table.subset)
        kin = [np.flatnonzero(group == name) for name in group]
        most = max(map(len, kin))
        spread = markers.spread.astype(np.float32).to_numpy()
        return cls(
            log_level=np.log(level),
            spread=np.where(level < _DIM, np.float32(_DIM_SPREAD), spread),
            axes=markers[["differentiation", "activation"]].to_numpy(np.float32).T.copy(),
            kin=np.array([np.resize(k, most) for k in kin], np.int64),
            n_kin=np.array([len(k) for k in kin], np.int64),
            dna=table.dna.to_numpy(np.float32),
        )


def normal(rng: np.random.Generator, *shape: int) -> Array:
    """Draw standard normal numbers, float32.

    Examples
    --------
    >>> normal(np.random.default_rng(0), 2, 3).shape
    (2, 3)
    """
    return rng.standard_normal(shape, np.float32)


def _cells(phenotype: NDArray[np.int16], stain: Stain, rng: np.random.Generator) -> Array:
    """Antigens of one cell each, shape (n, 41)."""
    n = len(phenotype)
    log = stain.log_level[phenotype]
    moving = np.flatnonzero(rng.random(n) < _MOVING)
    start = phenotype[moving]
    goal = stain.kin[start, (rng.random(len(moving)) * stain.n_kin[start]).astype(np.int64)]
    way = 0.5 * rng.random((len(moving), 1), np.float32)
    log[moving] += way * (stain.log_level[goal] - log[moving])
    log += stain.spread[phenotype] * normal(rng, *log.shape) + _SIZE * normal(rng, n, 1)
    for loading in stain.axes:
        log += loading * normal(rng, n, 1)
    cells = np.exp(log)
    cells[rng.random(cells.shape, np.float32) < 0.2 * np.exp(-cells / 5)] = 0
    return cells


def _dna(phenotype: NDArray[np.int16], stain: Stain, rng: np.random.Generator) -> Array:
    return stain.dna[phenotype] * np.exp(_DNA_SPREAD * normal(rng, len(phenotype)))


def stained(plan: Plan, stain: Stain, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the antigens and the DNA of every event: one cell, two cells, a dead cell, debris or a bead.

    Dead cells lose antigen and bind antibody unspecifically; debris carries a small part of a cell.

    Parameters
    ----------
    plan
        The events.
    stain
        The phenotypes.
    rng
        Source of randomness.

    Returns
    -------
    Mean counts of each antigen, shape (n_events, 41), and DNA relative to a cell, shape (n_events,); both float32.

    Examples
    --------
    >>> from cytof.datasets._phenotypes import VISITS, antigens, levels, phenotypes, read_data
    >>> markers = read_data("channels.csv").set_index("antigen").loc[antigens()]
    >>> stain = Stain.of(levels(VISITS[0]), phenotypes(), markers)
    >>> one = np.zeros(1, np.int8)
    >>> stained(Plan(one, one.astype(np.int16), one.astype(np.int16)), stain, np.random.default_rng(0))[0].shape
    (1, 41)
    """
    antigen = _cells(plan.first, stain, rng)
    dna = _dna(plan.first, stain, rng)
    two = np.flatnonzero(plan.kind == DOUBLET)
    antigen[two] += _cells(plan.second[two], stain, rng)
    dna[two] += _dna(plan.second[two], stain, rng)
    dead = np.flatnonzero(plan.kind == DEAD)
    antigen[dead] = 0.6 * antigen[dead] + 3.0 * np.exp(0.6 * normal(rng, len(dead), antigen.shape[1]))
    dna[dead] *= 0.85 * np.exp(0.15 * normal(rng, len(dead)))
    debris = np.flatnonzero(plan.kind == DEBRIS)
    antigen[debris] *= np.exp(-3.0 + 0.9 * normal(rng, len(debris), 1))
    dna[debris] = 0.02 * np.exp(0.8 * normal(rng, len(debris)))
    beads = np.flatnonzero(plan.kind == BEAD)
    antigen[beads] = 0.3
    dna[beads] = 0.0015 * np.exp(0.9 * normal(rng, len(beads)))
    return antigen, dna
