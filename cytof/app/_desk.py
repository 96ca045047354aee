"""The review desk without a screen: samples, gates, a change tried out, saved, undone; everything a page asks for.

Raw data never change. A change is tried on the sample in memory (:func:`cytof.gate.change` makes that gate and what
follows from it again), and saved as an entry of ``overrides.yaml`` with author, date, reason and counts before and
after; undoing adds the entry that puts the gate back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import gate as gating
from cytof import pipeline
from cytof.app._handles import handles, moved
from cytof.app._log import ReviewLog
from cytof.app._samples import Samples
from cytof.errors import ConfigError, InputError
from cytof.gate import Gating, Override
from cytof.keys import Obs
from cytof.panel import Gate, Template
from cytof.region import Boolean, Region, from_json, to_json
from cytof.study import Study

__all__ = ["Desk", "SCOPES", "Scope"]

Scope = str
SCOPES: tuple[Scope, ...] = ("this sample", "this batch", "all samples")


@dataclass
class _Trial:
    """A change that is not saved yet."""

    gate: str
    regions: dict[str, Region]
    gating: Gating


class Desk:
    """A review of one study.

    Parameters
    ----------
    study
        After ``cytof gate``.
    author
        Who reviews; blank until the page asks.
    opened
        Samples in memory, which the pages of one server share.

    Raises
    ------
    InputError
        The study has not been gated, or its gates came from other software.

    Attributes
    ----------
    order
        Samples, the most unusual first: ``sample_id gate score why``.
    sample, path
        What is looked at: a sample's name and a gate's path.
    """

    def __init__(self, study: Study, author: str = "", opened: dict[str, Gating] | None = None) -> None:
        self.study, self.author = study, author
        template = study.read_gates(study.read_panel())
        file = study.out / "tables" / "thresholds.csv"
        if template is None or not file.exists():
            why = "no template: the gates came with the files" if template is None else "no gated samples here"
            raise InputError(why, where=str(study.out), hint="run `cytof gate` first, with a template")
        self.template: Template = template
        self.sheet = pipeline.read_sheet(study)
        self.thresholds = pd.read_csv(file, dtype={"sample_id": str})
        self.counts = pd.read_csv(study.out / "tables" / "counts.csv", dtype={"sample_id": str})
        self.log = ReviewLog.open(study.path("review.jsonl"))
        self.order = gating.unusual(self.thresholds, self.counts, template.paths, self.sheet[Obs.SAMPLE])
        given = {} if opened is None else opened
        self.samples = Samples(study, template, self.sheet, self.thresholds, given)
        self._views: pd.DataFrame | None = None
        self.trial: _Trial | None = None
        first = self.order.iloc[0]
        self.sample, self.path = str(first["sample_id"]), str(first["gate"])
        self._resume()

    def _resume(self) -> None:
        """Go on at the sample and gate of the last action."""
        for action in reversed(self.log.actions):
            sample, gate = str(action.get("sample", "")), str(action.get("gate", ""))
            if sample in set(self.order["sample_id"]) and gate in self.template.paths:
                self.sample, self.path = sample, gate
                return

    @property
    def gate(self) -> Gate:
        """The gate that is looked at."""
        return self.template.gate(self.path)

    @property
    def shown(self) -> Gating:
        """The sample as it is with the change that is tried out, if there is one."""
        return self.trial.gating if self.trial is not None else self.opened(self.sample)

    def opened(self, sample: str) -> Gating:
        """Return a sample with the channels that gates read in memory, gated as its overrides say.

        Raises
        ------
        CytofError
            The sample's file cannot be read or cleaned any more.
        """
        return self.samples.opened(sample)

    def look_at(self, sample: str | None = None, path: str | None = None) -> None:
        """Turn to another sample or gate; a change that was not saved is dropped."""
        self.trial = None
        self.sample, self.path = sample or self.sample, path or self.path

    def siblings(self) -> list[str]:
        """Return the gate that is looked at, and of a quadrant its siblings, which move with it."""
        gate = self.gate
        if gate.method != "quadrant":
            return [gate.path]
        same = (gate.parent, gate.dims, gate.method)
        return [g.path for g in self.template.gates if (g.parent, g.dims, g.method) == same]

    def region(self, path: str | None = None) -> Region:
        """Return the region of a gate as it is shown."""
        return self.shown.regions[path or self.path]

    def handles(self) -> NDArray[np.float64]:
        """Return the points of the gate that can be dragged, shape (n_handles, 2)."""
        return handles(self.region())

    def drag(self, points: NDArray[np.float64]) -> None:
        """Try the gate out with its handles at these points; what follows from it is counted again.

        Raises
        ------
        UsageError
            The points make no gate.
        """
        before = self.opened(self.sample)
        regions = {p: moved(before.regions[p], points) for p in self.siblings()}
        if all(regions[p] == before.regions[p] for p in regions):
            self.trial = None
            return
        self.trial = _Trial(self.path, regions, gating.change(before, self.template, regions))

    def scope(self, name: Scope) -> list[str]:
        """Return the samples that a change is for: this one, those of its batch, or all.

        Raises
        ------
        ConfigError
            No such scope.
        """
        everyone = self.sheet[Obs.SAMPLE].astype(str)
        if name == SCOPES[0]:
            return [self.sample]
        if name == SCOPES[1]:
            batch = self.sheet.loc[everyone == self.sample, Obs.BATCH].iloc[0]
            return everyone[self.sheet[Obs.BATCH] == batch].tolist() if batch else [self.sample]
        if name == SCOPES[2]:
            return everyone.tolist()
        raise ConfigError(f"scope is '{name}', expected one of {', '.join(SCOPES)}", where="review")

    def save(self, note: str, scope: Scope = SCOPES[0]) -> int:
        """Save the change that is tried out, for the samples of a scope; returns how many samples it changes.

        Raises
        ------
        ConfigError
            Nothing was changed, or author or note are blank.
        ResourceError
            ``overrides.yaml`` or the log cannot be written.
        """
        if self.trial is None:
            raise ConfigError("nothing was changed", where="review", hint="drag the gate first")
        path, regions = self.trial.gate, self.trial.regions
        samples = self.scope(scope)
        before = {s: self._text(s) for s in samples}
        after = {s: {p: to_json(r) for p, r in regions.items()} for s in samples}
        entries = [self._entry(s, path, regions[path], note) for s in samples]
        self._write(entries)
        self.log.append(
            "change", sample=self.sample, gate=path, samples=samples, before=before, after=after, note=note.strip(),
            author=self.author,
        )  # fmt: skip
        return len(samples)

    def undo(self) -> bool:
        """Put the last change back; returns whether there was one."""
        return self._back("undo", self.log.done, "before")

    def redo(self) -> bool:
        """Make the change again that was put back last; returns whether there was one."""
        return self._back("redo", self.log.undone, "after")

    def accept(self) -> None:
        """Note that the gate was looked at and is right in this sample."""
        self.log.append("accept", sample=self.sample, gate=self.path, author=self.author)

    def _back(self, action: str, stack: Sequence[int], side: str) -> bool:
        self.trial = None
        if not stack:
            return False
        change = self.log.actions[stack[-1]]
        author = self.author or str(change.get("author", ""))
        entries = []
        for sample, texts in change[side].items():
            path = str(change["gate"])
            region = from_json(texts[path])
            note = f"{action} of: {change.get('note', '')}"
            entries.append(gating.override_of(sample, self.template.gate(path), region, author=author, reason=note))
        self._write(entries)
        self.log.append(action, sample=self.sample, gate=self.path, of=change["n"], author=author)
        return True

    def _entry(self, sample: str, path: str, region: Region, note: str) -> Override:
        here = sample == self.sample
        before, after = ((self._n(g, path) if here else {}) for g in (self.opened(self.sample), self.shown))
        return gating.override_of(
            sample, self.template.gate(path), region, author=self.author, reason=note, before=before, after=after
        )

    def _text(self, sample: str) -> dict[str, str]:
        """Return the regions of the gate and its siblings in a sample, before the change, as JSON."""
        table = self.samples.placed(sample)
        texts = dict(zip(table["gate"], table["region"], strict=True))
        return {p: texts[p] for p in self.siblings()}

    def _n(self, gated: Gating, path: str) -> dict[str, int]:
        row = gated.counts[gated.counts["gate"] == path].iloc[0]
        said = {"n": int(row["n"]), "n_parent": int(row["n_parent"])}
        if gated.car_gate is not None:
            car = gated.counts[gated.counts["gate"] == gated.car_gate].iloc[0]
            said["n_car"] = int(car["n"])
        return said

    def _write(self, entries: Sequence[Override]) -> None:
        gating.add_override(self.study.path(pipeline.OVERRIDES), *entries)
        self.trial = None
        for entry in entries:
            self.samples.forget(entry.sample_id)

    def tree(self) -> pd.DataFrame:
        """Return the gates of the sample as shown: ``gate depth n of_parent of_cd45 drawn accepted``."""
        counts = self.shown.counts.set_index("gate")
        all_of = next((p for p in counts.index if p.rsplit("/", 1)[-1] == "CD45+"), "root")
        rows = [
            (
                path, path.count("/"), int(counts.at[path, "n"]), float(counts.at[path, "fraction_of_parent"]),
                counts.at[path, "n"] / max(int(counts.at[all_of, "n"]), 1), self.drawable(path),
                (self.sample, path) in self.log.accepted,
            )
            for path in self.template.paths
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["gate", "depth", "n", "of_parent", "of_cd45", "drawn", "accepted"])

    def drawable(self, path: str) -> bool:
        """Tell whether a gate lies on channels; a boolean one has no place to drag."""
        region = self.opened(self.sample).regions[path]
        return not isinstance(region, Boolean) and 1 <= len(region.dims) <= 2

    def most_unusual_at(self, path: str) -> list[str]:
        """Return all samples, the one in which this gate is most unusual first."""
        thresholds, counts = (t[t["gate"] == path] for t in (self.thresholds, self.counts))
        return (
            gating.unusual(thresholds, counts, self.template.paths, self.sheet[Obs.SAMPLE])["sample_id"]
            .astype(str)
            .tolist()
        )

    def view(self, sample: str) -> pd.DataFrame | None:
        """Return the binned events of the gate's parent in a sample, as the gate stage left them, or None."""
        if self._views is None:
            file = self.study.out / "tables" / "gate_views.csv"
            self._views = pd.read_csv(file, dtype={"sample_id": str}) if file.exists() else pd.DataFrame()
        if self._views.empty:
            return None
        first = self.siblings()[0]
        here = (self._views["sample_id"] == sample) & (self._views["gate"].str.split(" ").str[0] == first)
        return self._views[here] if here.any() else None

    def regions_of(self, sample: str) -> list[Region]:
        """Return the regions of the gate and its siblings in a sample as they are saved, or tried out in this one."""
        if sample == self.sample:
            return [self.region(p) for p in self.siblings()]
        texts = dict(zip(*(self.samples.placed(sample)[c] for c in ("gate", "region")), strict=True))
        return [from_json(texts[p]) for p in self.siblings() if p in texts]

    def downstream(self) -> pd.DataFrame:
        """Return what the change that is tried out changes: ``gate before after`` of the gates that follow from it."""
        tables = (self.opened(self.sample).counts, self.shown.counts)
        before, after = (dict(zip(t["gate"], t["n"], strict=True)) for t in tables)
        rows = [(gate, n, after[gate]) for gate, n in before.items() if after[gate] != n]
        return pd.DataFrame(rows, columns=["gate", "before", "after"])
