"""Which cells a study clusters, follows and compares, from its settings and its gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cytof.errors import GateError
from cytof.keys import UNS, Obs
from cytof.panel.template import ROOT, Template
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["inside", "kept_gate", "population", "tracked"]


def kept_gate(template: Template) -> str:
    """Return the gate whose cells go on: the CAR gate's parent, else the T cells, else the last gate.

    The T cells are the nearest gate on a marker above the subset gates: what is set aside between (MAIT cells) goes on.
    """
    if template.car_gate:
        return template.gate(template.car_gate).parent
    if template.subset_gates:
        gate = template.gate(next(iter(template.subset_gates)))
        while gate.parent != ROOT:
            gate = template.gate(gate.parent)
            if gate.dims:
                return gate.path
        return gate.parent
    return template.gates[-1].path


def tracked(study: Study, cells: AnnData) -> tuple[str, str]:
    """Return the population that is followed and its denominator."""
    home = cells.uns[UNS]
    paths = list(home["counts"]["gate"].unique())
    path = home["car_gate"] or home["kept"]
    name = study.track.population or study.cluster.population or _short(path, paths)
    leukocytes = any(p.rsplit("/", 1)[-1] == "CD45+" for p in paths)
    return name, study.track.of or ("CD45+" if leukocytes else "root")


def _short(path: str, paths: list[str]) -> str:
    """Return the shortest end of a path that no other gate shares: `CAR+`, `CAR+/DN`."""
    parts = path.split("/")
    for start in range(len(parts) - 1, -1, -1):
        name = "/".join(parts[start:])
        if sum(f"/{p}".endswith(f"/{name}") for p in paths) == 1:
            return name
    return path


def population(study: Study, cells: AnnData, name: str | None = None) -> AnnData:
    """Return the cells to be clustered: of the study's population, else the CAR T cells, else all that were kept.

    With ``name`` those of that gate.

    Raises
    ------
    GateError
        Fewer than three cells; names the first gate of the chain that is empty.
    """
    home = cells.uns[UNS]
    name = name or _population(study, cells)
    part = cells[inside(study, cells, name)].copy() if cells.n_obs else cells
    if part.n_obs < 3:
        samples = home["counts"]["sample_id"].nunique()
        raise GateError(
            f"{_first_empty(home['counts'], name)} holds {part.n_obs} cells in {samples} samples, too few to cluster",
            where=str(study.out / "tables" / "counts.csv"),
            hint="look where the gates lose them, then set `gate.keep` or `cluster.population` in study.yaml",
        )
    return part


def inside(study: Study, cells: AnnData, name: str | None = None) -> NDArray[np.bool_]:
    """Tell of each cell whether it lies in a gate (default: the population that is clustered), shape (n_cells,)."""
    name, column = name or _population(study, cells), cells.obs[Obs.GATE]
    lies = [name == "root" or f"/{name}/" in f"/{path}/" for path in column.cat.categories]
    return np.asarray(lies, bool)[column.cat.codes] if len(column) else np.zeros(0, bool)


def _population(study: Study, cells: AnnData) -> str:
    home = cells.uns[UNS]
    return str(study.cluster.population or home["car_gate"] or home["kept"])


def _first_empty(counts: pd.DataFrame, name: str) -> str:
    """Return the first gate on the way to ``name`` that holds fewer than three cells in all samples together."""
    totals = counts.groupby("gate", sort=False)["n"].sum()
    for path, n in totals.items():
        if n < 3 and (f"/{name}/".startswith(f"/{path}/") or f"/{path}/".endswith(f"/{name}/")):
            return str(path).rsplit("/", 1)[-1]
    return name.rsplit("/", 1)[-1]
