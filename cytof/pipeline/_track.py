"""The tables of the stage `track`, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import pandas as pd

from cytof import io
from cytof.errors import UsageError
from cytof.keys import UNS, Obs
from cytof.pipeline._keys import INFUSIONS
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["add_infusions", "track_tables"]


def track_tables(cells: AnnData, part: AnnData, followed: tuple[str, str]) -> dict[str, Callable[[], pd.DataFrame]]:
    """Return name -> function that makes the table.

    Parameters
    ----------
    cells
        All cells that were kept, with the infusions (:func:`add_infusions`).
    part
        Those of the population.
    followed
        Population and its denominator; ``root`` for the population: there is nothing to take a share of.
    """
    from cytof import track

    name, of = followed
    tables: dict[str, Callable[[], pd.DataFrame]] = {}

    @cache
    def shares() -> pd.DataFrame:
        return track.abundance(cells, population=name, of=of)

    if name != "root":
        tables |= {
            "abundance": shares,
            "courses": lambda: track.courses(shares(), cells),
            "persistence": lambda: track.persistence(shares(), cells),
            "concordance": lambda: track.concordance(shares(), cells),
            "subsets": lambda: track.subsets(cells, of=name),
            "host_subsets": lambda: track.subsets(cells, of=_host(cells)),
        }
    return tables | {
        "clusters": lambda: track.abundance(part, groupby=Obs.FLOWSOM, of=name),
        "state": lambda: track.state(part),
        "profile": lambda: track.profile(part, groupby=Obs.FLOWSOM),
        "flow": lambda: track.flow(part),
        "safety": lambda: track.safety(part),
        "disagreement": lambda: track.disagreement(part),
    }


def _host(cells: AnnData) -> str:
    """Return the name of the gate of the host arm: the CAR gate's sibling that is not it."""
    home = cells.uns[UNS]
    car = str(home["car_gate"] or "")
    beside = [p for p in map(str, home["counts"]["gate"].unique()) if p.rpartition("/")[0] == car.rpartition("/")[0]]
    others = [p for p in beside if p not in (car, "root")]
    if not car or len(others) != 1:
        raise UsageError("no one host gate beside the CAR gate", where="track")
    return others[0].rpartition("/")[2]


def add_infusions(study: Study, cells: AnnData) -> None:
    """Put ``infusions.csv`` beside the study file, where it is there, into ``uns["cytof"]["infusions"]``."""
    file = study.path(INFUSIONS)
    if file.exists():
        cells.uns[UNS]["infusions"] = io.read_infusions(file)
