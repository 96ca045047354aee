"""Mass cytometry of CAR T persistence.

Data only flows forward; one line a stage::

    panel       what a channel means              panels/*.csv, *.gates.yaml -> Panel, Template
    io          files <-> memory                  Path    -> Events
    clean       beads, debris, doublets, dead     Events  -> Events (+ a flag per event)
    gate        thresholds, then masks            Events  -> Gating
    assemble    one table of cells                [Gating] -> AnnData
    transform   scale, equal draws                AnnData -> AnnData
    neighbors   nearest neighbours, once          AnnData -> obsp
    cluster     FlowSOM, PhenoGraph               AnnData -> obs
    embed       t-SNE                             AnnData -> obsm
    kinetics    peak, last day, half-life         courses -> one row a patient
    track       shares over the visits            AnnData -> tidy tables
    compare     marker tests                      AnnData -> test tables
    clinical    survival, response, tables        patients -> tables (a side wing: knows no cells)
    plot        figures                           tables  -> Axes
    report      the paper's figures, report.html  Study   -> files

``datasets.patient`` writes a synthetic patient to try all of it on; ``pipeline.run`` does all of it for a study.

Examples
--------
>>> import cytof as cy
>>> cy.panel.load("car_t_41").name
'car_t_41'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = (
    "app", "clean", "clinical", "cluster", "compare", "datasets", "embed", "errors", "gate", "io",
    "keys", "kinetics", "panel", "pipeline", "plot", "provenance", "report", "study", "track", "transform",
)  # fmt: skip
_VERBS = {"assemble": "_assemble", "neighbors": "_neighbors", "Events": "events"}

__all__ = [
    "Events", "__version__", "app", "assemble", "clean", "clinical", "cluster", "compare", "datasets", "embed",
    "errors", "gate", "io", "keys", "kinetics", "neighbors", "panel", "pipeline", "plot", "provenance", "report",
    "study", "track", "transform",
]  # fmt: skip

if TYPE_CHECKING:
    from cytof._assemble import assemble as assemble
    from cytof._neighbors import neighbors as neighbors
    from cytof.events import Events as Events


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"cytof.{name}")
    if name in _VERBS:
        return getattr(import_module(f"cytof.{_VERBS[name]}"), name)
    raise AttributeError(f"module 'cytof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
