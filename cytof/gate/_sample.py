"""Draws of the samples while the tree is walked: the columns that gates read, and the masks so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import GateError, PanelError
from cytof.events import Events
from cytof.gate._tree import dimension
from cytof.panel.template import ROOT, Gate, Template
from cytof.region import Dimension, Region

__all__ = ["Sample", "check_scales", "control_kind", "groups", "taken"]

_CONTROLS = {
    "pre-infusion": ("preinfusion", "pre", "baseline", "apheresis", "leukapheresis", "untransduced"),
    "healthy": ("healthy", "healthydonor", "normal", "normaldonor", "donor", "hd"),
    "FMO": ("fmo",),
}


@dataclass
class Sample:
    """A draw of one sample: only the columns that gates read, and the masks and regions so far.

    Attributes
    ----------
    events
        The draw.
    batch
        ``batch_id`` of the sheet, the sample's own name where there is none.
    dims
        Template's dimension -> channel and scale.
    control
        ``pre-infusion``, ``healthy``, ``FMO`` or empty: what its T cells are as blanks of the CAR gate.
    masks, regions
        Of the gates placed so far, by path.
    """

    events: Events
    batch: str
    dims: dict[str, Dimension]
    control: str = ""
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    regions: dict[str, Region] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The sample's name."""
        return self.events.sample_id

    def counts(self, dim: str, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the counts of the events ``inside`` on a dimension of the template."""
        return self.events.column(self.dims[dim].channel)[inside]

    def values(self, dim: str, inside: NDArray[np.bool_]) -> NDArray:
        """Return the same on the dimension's arcsinh scale."""
        return np.arcsinh(self.counts(dim, inside) / np.float32(self.dims[dim].cofactor or 1.0))

    def mask(self, path: str) -> NDArray[np.bool_]:
        """Return the mask of a gate."""
        return np.ones(len(self.events), bool) if path == ROOT else self.masks[path]


def control_kind(text: str) -> str:
    """Return what the column ``control`` of the sheet says of a sample: ``pre-infusion``, ``healthy``, ``FMO`` or "".

    Spelling is free (``Pre infusion``, ``healthy donor 3``, ``FMO VHH``); anything else is no control of the CAR gate.

    Examples
    --------
    >>> control_kind("Preinfusion"), control_kind("FMO_VHH"), control_kind("healthy donor 2"), control_kind("anchor")
    ('pre-infusion', 'FMO', 'healthy', '')
    """
    words = [w for w in "".join(c if c.isalnum() else " " for c in text.casefold()).split() if not w.isdigit()]
    joined = "".join(words)
    for kind, spellings in _CONTROLS.items():
        if joined in spellings or (words and words[0] in spellings):
            return kind
    return ""


def taken(template: Template, draws: Iterable[Events], sheet: pd.DataFrame | None) -> list[Sample]:
    """Return the samples of the draws, one by one, with only the channels that gates read.

    Raises
    ------
    GateError
        No samples, or two of one name.
    PanelError
        A file has no channel for a dimension.
    """
    batches, controls = _column(sheet, "batch_id"), _column(sheet, "control")
    samples: list[Sample] = []
    for events in draws:
        if any(s.name == events.sample_id for s in samples):
            raise GateError(f"two samples are named `{events.sample_id}`", hint="give each its own sample_id")
        dims = _dims(template, events)
        channels = list(dict.fromkeys([*[d.channel for d in dims.values()], str(events.channels.index[0])]))
        slim = events.replace(X=np.asfortranarray(events.columns(channels)), channels=events.channels.loc[channels])
        name = events.sample_id
        samples.append(Sample(slim, batches.get(name) or name, dims, control_kind(controls.get(name, ""))))
    if not samples:
        raise GateError("no samples to place gates on", hint="list at least one file")
    return samples


def _column(sheet: pd.DataFrame | None, name: str) -> dict[str, str]:
    if sheet is None or not {"sample_id", name} <= set(sheet.columns):
        return {}
    return dict(zip(sheet["sample_id"].astype(str), sheet[name].fillna("").astype(str), strict=True))


def _dims(template: Template, events: Events) -> dict[str, Dimension]:
    found = {}
    for name in template.antigens:
        try:
            found[name] = dimension(events, name)
        except PanelError as error:
            pop = next(g.pop for g in template.gates if name in g.dims)
            raise PanelError(
                f"gate `{pop}` reads `{name}`, which no channel of this file carries",
                where=events.sample_id,
                hint=" ".join(filter(None, [error.hint, "add it to the panel, or take the gate out of the template"])),
            ) from None
    return found


def check_scales(template: Template, samples: list[Sample]) -> None:
    """Refuse methods that search on a channel without an arcsinh scale.

    Raises
    ------
    GateError
        Names gate, channel and sample.
    """
    for gate in template.gates:
        if gate.method in ("range", "polygon", "boolean"):
            continue
        for sample in samples:
            linear = [d for d in gate.dims if sample.dims[d].cofactor is None]
            if linear:
                raise GateError(
                    f"gate `{gate.pop}`: {gate.method} needs an arcsinh scale, `{linear[0]}` has no cofactor",
                    where=sample.name,
                    hint="use `range` or `polygon`, or give the panel a cofactor",
                )


def groups(gate: Gate, samples: list[Sample]) -> dict[str, list[Sample]]:
    """Return the samples that share a threshold of this gate, by sample, by batch or all together."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        key = {"pooled": "", "batch": sample.batch}.get(gate.collapse, sample.name)
        found.setdefault(key, []).append(sample)
    return found
