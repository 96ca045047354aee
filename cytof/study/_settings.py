"""What a study file may say: every key with its type, bounds and default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from cytof import panel
from cytof.errors import ConfigError
from cytof.panel import Panel, Signature
from cytof.panel.template import Template

__all__ = [
    "CleanSettings",
    "ClusterSettings",
    "CompareSettings",
    "EmbedSettings",
    "GateSettings",
    "Study",
    "TrackSettings",
]


_CLEAN_FILES = {  # setting -> what its file holds, and how to come by one
    "spill": ("a spillover matrix", "make one with cytof.clean.estimate_spill"),
    "normalize": ("none, median or a table of bead medians", "make one with cytof.clean.bead_reference"),
    "barcodes": ("a barcode key", "barcodes below one another, masses on top, 0 and 1 in the cells"),
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CleanSettings(_Section):
    """Which events are set aside before gating.

    ``beads``: ``auto`` finds the bead set by its masses; ``dvs``, ``dvs2010`` or ``eq6`` names it; ``none`` looks for
    none. ``normalize``: ``median`` brings each file to its own median beads, a path of a table of bead medians (see
    ``clean.bead_reference``) brings all files to that. ``steady``: flag windows of time with a clog, a burst or a jump
    of the signal. ``intact``: flag debris, doublets and dead cells. ``dither``: ``remove`` rounds dithered counts up to
    whole counts, ``add`` dithers whole counts. ``spill``: path of a spillover matrix, taken out by ``spill_method``.
    ``barcodes``: path of a barcode key; the column ``barcode`` of the sheet then names each sample of a pooled file.
    """

    beads: Literal["auto", "dvs", "dvs2010", "eq6", "none"] = "auto"
    normalize: str = "none"
    steady: bool = False
    intact: bool = True
    dither: Literal["keep", "remove", "add"] = "keep"
    spill: str = "none"
    spill_method: Literal["nnls", "linear"] = "nnls"
    barcodes: str = "none"

    @field_validator("normalize")
    @classmethod
    def _with_beads(cls, value: str, info: ValidationInfo) -> str:
        if value != "none" and info.data.get("beads") == "none":
            raise ValueError("normalisation needs beads, and clean.beads is `none`")
        return value


class GateSettings(_Section):
    """How thresholds are placed, and which cells go on.

    ``draw``: events drawn from each sample to place thresholds. ``keep``: the gate whose cells go on to clustering and
    comparison (default: the parent of the CAR gate, else the deepest gate above the subset gates).
    """

    draw: Annotated[int, Field(ge=1000)] = 50_000
    keep: str | None = None


class ClusterSettings(_Section):
    """Clustering of one population (default: the CAR gate, else the kept gate).

    ``n_clusters``: FlowSOM metaclusters. ``k``: neighbours of PhenoGraph. ``features``: antigens instead of the default
    features. ``max_cells``: cells drawn, equally from each sample, for PhenoGraph and the map; FlowSOM takes all.
    ``training``: of the map, ``batch`` or ``online``. ``weigh``: ``samples`` train the map with the same weight each,
    ``cells`` do so. ``stability``: further seeds and draws FlowSOM is repeated with; 0 for none. ``also``: gates on
    whose cells PhenoGraph is run too.
    ``in_memory``: where more cells than this were kept, FlowSOM is trained on ``fit_cells`` of them, drawn equally from
    each sample, and all others are given the cluster of their node, a sample at a time.
    """

    population: str | None = None
    n_clusters: Annotated[int, Field(ge=2, le=100)] = 9
    k: Annotated[int, Field(ge=2, le=1000)] = 30
    grid: tuple[Annotated[int, Field(ge=2, le=50)], Annotated[int, Field(ge=2, le=50)]] = (10, 10)
    rlen: Annotated[int, Field(ge=1, le=1000)] = 10
    training: Literal["batch", "online"] = "batch"
    weigh: Literal["samples", "cells"] = "samples"
    stability: Annotated[int, Field(ge=0, le=100)] = 5
    also: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    max_cells: Annotated[int, Field(ge=10)] = 20_000
    in_memory: Annotated[int, Field(ge=0)] = 5_000_000
    fit_cells: Annotated[int, Field(ge=100)] = 500_000


class EmbedSettings(_Section):
    """The t-SNE map. ``n_jobs`` is part of the result: openTSNE differs between thread counts.

    ``rest``: cells of the population that were not drawn for the map are placed on it (``place``; about a second for
    5,000 cells) or not (``none``).
    """

    perplexity: Annotated[float, Field(gt=1, le=1000)] = 30
    rest: Literal["place", "none"] = "place"
    n_jobs: Annotated[int, Field(ge=1, le=256)] = 2


class TrackSettings(_Section):
    """Which population of which ancestor is followed (defaults: the CAR gate, else the kept gate; CD45+, else all)."""

    population: str | None = None
    of: str | None = None


class CompareSettings(_Section):
    """Tests. ``reference``: a time point (default: the first by day). ``unit``: what counts as a replicate.

    ``test``: of cells ``rank-sum`` (``auto``), ``welch``, ``permutation``; of patients ``t`` (``auto``),
    ``moderated-t``, ``rank-sum``, ``permutation``, ``mixed``. ``stable``: markers that should not change on
    host T cells; their shifts between visits are the technical band. ``by``: further columns of the sample sheet whose
    levels are compared (``condition``, ``response``), each level with the first.
    """

    reference: str | None = None
    test: Literal["auto", "rank-sum", "welch", "permutation", "t", "moderated-t", "mixed"] = "auto"
    unit: Literal["auto", "cell", "patient"] = "auto"
    markers: tuple[str, ...] | None = None
    stable: tuple[str, ...] = ("CD45", "CD3")
    by: tuple[str, ...] = ()


class Study(_Section):
    """A study on disk, frozen: paths, panel, gates, settings, seed.

    Paths are relative to the folder of ``study.yaml``. ``panel`` and ``gates`` are names of shipped files or paths;
    without ``gates`` a shipped panel brings its own; ``gates: none`` takes every event of the files (exports that are
    gated already). ``subsets``: signatures that name clusters, found like ``gates``. ``markers``: those that every
    sample has (``common``) or ``all``, NaN where a sample lacks one.

    Examples
    --------
    >>> Study(folder=Path("."), panel="car_t_41").cluster.n_clusters
    9
    """

    folder: Path = Field(exclude=True)
    name: str = "Study"
    panel: str | None = None
    gates: str | None = None
    subsets: str | None = None
    samples: str = "samples.csv"
    data_dir: str = "."
    results: str = "results"
    markers: Literal["common", "all"] = "common"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    clean: CleanSettings = CleanSettings()
    gate: GateSettings = GateSettings()
    cluster: ClusterSettings = ClusterSettings()
    embed: EmbedSettings = EmbedSettings()
    track: TrackSettings = TrackSettings()
    compare: CompareSettings = CompareSettings()

    def path(self, name: str | Path) -> Path:
        """Return a path of the study file as it stands on this machine."""
        return self.folder / name

    def shown(self, error: Exception) -> str:
        """Return what an error says, with paths as they stand in the study: results name no folder of a machine."""
        return str(error).replace(f"{self.folder}{os.sep}", "").replace(f"{self.folder.resolve()}{os.sep}", "")

    @property
    def out(self) -> Path:
        """Folder of the results."""
        return self.path(self.results)

    def read_panel(self, name: str | None = None) -> Panel | None:
        """Return a sample's own panel (``panel`` column of the sheet), the study's without a name, or None for none."""
        found = self._named(name or self.panel)
        return panel.load(found) if found else None

    def read_gates(self, markers: Panel | None = None) -> Template | None:
        """Return the gating template, its antigens held against a panel.

        None for ``gates: none``, or where none is named and none goes with the panel.
        """
        name = self._named(self.gates)
        if self.gates is None and self.panel in panel.names(".gates.yaml"):
            name = self.panel
        return panel.load_gates(name, markers) if name else None

    def read_subsets(self) -> tuple[Signature, ...]:
        """Return the signatures of subsets: those named, else the shipped panel's own, else none."""
        name = self._named(self.subsets)
        if self.subsets is None and self.panel in panel.names(".subsets.csv"):
            name = self.panel
        return panel.load_subsets(name) if name else ()

    def clean_inputs(self) -> list[Path]:
        """Return the files that the ``clean`` settings name, each of which is there.

        Raises
        ------
        ConfigError
            A file is not there; it is named with what the setting expects.
        """
        found = []
        for setting, (expected, hint) in _CLEAN_FILES.items():
            value = getattr(self.clean, setting)
            if value in ("none", "median"):
                continue
            path = self.path(value)
            if not path.is_file():
                raise ConfigError(f"`clean.{setting}` is {value!r}, expected {expected}", where=str(path), hint=hint)
            found.append(path)
        return found

    def _named(self, value: str | None) -> str | None:
        """Return a setting as the path beside the study file where there is one, else as the shipped name."""
        if value is None or value == "none":
            return None
        beside = self.path(value)
        return str(beside) if beside.is_file() or "/" in value or "." in value else value
