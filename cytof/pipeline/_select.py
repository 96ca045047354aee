"""Which cells a study clusters, follows and compares, from its settings and its gates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cytof.errors import GateError
from cytof.keys import UNS, Obs
from cytof.panel.template import Template
from cytof.study import Study

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["kept_gate", "population", "tracked"]


def kept_gate(template: Template) -> str:
    """Return the gate whose cells go on: the CAR gate's parent, else that of the subset gates, else the last gate."""
    if template.car_gate:
        return template.gate(template.car_gate).parent
    if template.subset_gates:
        return template.gate(next(iter(template.subset_gates))).parent
    return template.gates[-1].path


def tracked(study: Study, cells: AnnData) -> tuple[str, str]:
    """Return the population that is followed and its denominator."""
    home = cells.uns[UNS]
    names = {path.rsplit("/", 1)[-1] for path in home["counts"]["gate"]}
    name = study.track.population or study.cluster.population or home["car_gate"] or home["kept"]
    return name, study.track.of or ("CD45+" if "CD45+" in names else "root")


def population(study: Study, cells: AnnData) -> AnnData:
    """Return the cells to be clustered: the population's, else the CAR T cells, else all that were kept."""
    name = study.cluster.population
    if name is not None:
        inside = f"/{name}/"
        part = cells[[inside in f"/{p}/" for p in cells.obs[Obs.GATE]]].copy()
    else:
        part = cells[cells.obs[Obs.CAR]].copy() if cells.obs[Obs.CAR].any() else cells.copy()
    if part.n_obs < 3:
        raise GateError(
            f"{name or 'the population to cluster'} holds {part.n_obs} cells in "
            f"{cells.obs[Obs.SAMPLE].nunique()} samples, too few to cluster",
            where=str(study.out / "tables" / "counts.csv"),
            hint="look where the gates lose them, then set `gate.keep` or `cluster.population` in study.yaml",
        )
    return part
