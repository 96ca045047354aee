"""Draws of the samples while the tree is walked: the columns that gates read, and the masks so far.

Pooled thresholds need every sample at every gate. So that memory does not grow with the number of samples, columns lie
in one temporary file, from which a gate reads the one it needs, and masks are kept as bits.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof.errors import Caution, GateError, PanelError, ResourceError
from cytof.events import Events
from cytof.gate._tree import dimension, flags_of, slim
from cytof.panel.template import ROOT, Gate, Template
from cytof.region import Dimension, Region

__all__ = ["Bits", "Sample", "check_scales", "control_kind", "groups", "other_controls", "taken"]

_CONTROLS = {
    "pre-infusion": ("preinfusion", "pre", "baseline", "apheresis", "leukapheresis", "untransduced"),
    "healthy": ("healthy", "healthydonor", "normal", "normaldonor", "donor", "hd"),
    "FMO": ("fmo",),
}


class Bits(MutableMapping[str, NDArray[np.bool_]]):
    """Masks of one length by name, an eighth of a byte an event.

    Examples
    --------
    >>> masks = Bits(3)
    >>> masks["CD3+"] = np.array([True, False, True])
    >>> masks["CD3+"].tolist()
    [True, False, True]
    """

    def __init__(self, n: int) -> None:
        self.n, self._packed = n, dict[str, NDArray[np.uint8]]()

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        return np.unpackbits(self._packed[name], count=self.n).view(bool)

    def __setitem__(self, name: str, mask: NDArray[np.bool_]) -> None:
        self._packed[name] = np.packbits(mask)

    def __delitem__(self, name: str) -> None:
        del self._packed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


@dataclass
class Sample:
    """A draw of one sample: the channels that gates read, in a file, and the masks and regions so far.

    Attributes
    ----------
    name, n
        The sample and the number of its events.
    batch
        ``batch_id`` of the sheet, the sample's own name where there is none.
    dims
        Template's dimension -> channel and scale.
    first
        First channel of the FCS file.
    flags
        Of cleaning.
    file, places
        Where the columns lie: channel -> byte.
    control
        ``pre-infusion``, ``healthy``, ``FMO`` or empty: what its T cells are as blanks of the CAR gate.
    masks, regions
        Of the gates placed so far, by path.
    """

    name: str
    n: int
    batch: str
    dims: dict[str, Dimension]
    first: str
    flags: Bits
    file: IO[bytes]
    places: dict[str, int]
    control: str = ""
    regions: dict[str, Region] = field(default_factory=dict)
    masks: Bits = field(init=False)

    def __post_init__(self) -> None:
        self.masks = Bits(self.n)

    def column(self, channel: str) -> NDArray[np.float32]:
        """Return the counts of a channel, shape (n,)."""
        self.file.seek(self.places[channel])
        return np.frombuffer(self.file.read(4 * self.n), np.float32)

    def counts(self, dim: str, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the counts of the events ``inside`` on a dimension of the template."""
        return self.column(self.dims[dim].channel)[inside]

    def values(self, dim: str, inside: NDArray[np.bool_]) -> NDArray:
        """Return the same on the dimension's arcsinh scale."""
        return np.arcsinh(self.counts(dim, inside) / np.float32(self.dims[dim].cofactor or 1.0))

    def mask(self, path: str) -> NDArray[np.bool_]:
        """Return the mask of a gate."""
        return np.ones(self.n, bool) if path == ROOT else self.masks[path]


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


def other_controls(sheet: pd.DataFrame, where: str) -> list[Caution]:
    """Tell of samples whose ``control`` is no control of the CAR gate: an anchor, or a word that was misspelt.

    Examples
    --------
    >>> table = pd.DataFrame({"sample_id": ["s1", "s2"], "control": ["FMO", "helthy"]})
    >>> print(other_controls(table, "samples.csv")[0])
    samples.csv: `s2` has control `helthy`; took it as no control of the CAR gate (pre-infusion, healthy or FMO)
    """
    done = f"took it as no control of the CAR gate ({', '.join(list(_CONTROLS)[:-1])} or {list(_CONTROLS)[-1]})"
    return [
        Caution(where, f"`{sample}` has control `{text}`", done, level="note")
        for sample, text in _column(sheet, "control").items()
        if text.strip() and not control_kind(text)
    ]


def taken(template: Template, draws: Iterable[Events], sheet: pd.DataFrame | None, file: IO[bytes]) -> list[Sample]:
    """Return the samples of the draws, taken one by one; the channels that gates read go into ``file``.

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
        name = events.sample_id
        if any(s.name == name for s in samples):
            raise GateError(f"two samples are named `{name}`", hint="give each its own sample_id")
        dims, first = _dims(template, events), str(events.channels.index[0])
        places = _written(events, list(dict.fromkeys([*[d.channel for d in dims.values()], first])), file)
        flags = Bits(len(events))
        flags.update(flags_of(events))
        control = control_kind(controls.get(name, ""))
        samples.append(Sample(name, len(events), batches.get(name) or name, dims, first, flags, file, places, control))
    if not samples:
        raise GateError("no samples to place gates on", hint="list at least one file")
    return samples


def _written(events: Events, channels: list[str], file: IO[bytes]) -> dict[str, int]:
    """Write the columns at the end of the file; return where each begins."""
    places = {}
    read = slim(events, channels)
    try:
        for channel in channels:
            places[channel] = file.seek(0, 2)
            left = memoryview(np.ascontiguousarray(read.column(channel), np.float32).tobytes())
            while left:  # a file without a buffer takes what there is room for
                left = left[file.write(left) :]
    except OSError as error:
        need, free = 4 * len(events) * len(channels), shutil.disk_usage(tempfile.gettempdir()).free
        raise ResourceError(
            f"no room for a draw of {len(events):,} events: {error.strerror} ({need:,} bytes needed, {free:,} free)",
            where=tempfile.gettempdir(),
            hint="free some space, set TMPDIR to a larger disk, or lower `gate.draw`",
        ) from None
    return places


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
