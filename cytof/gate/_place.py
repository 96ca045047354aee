"""Pass 1: thresholds of every gate from draws of all samples.

Samples are pooled by adding histograms, so a threshold depends on the samples' cells and neither on their order nor on
their names. Source: Finak et al. 2014 (openCyto: hierarchical data-driven gates, collapsed over samples or not).
"""

from __future__ import annotations

import json
import logging
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import density
from cytof.errors import GateError, PanelError
from cytof.events import Events
from cytof.gate._mixture import mixture
from cytof.gate._placed import BOUNDS, Placed, above, blank_limit, settle, threshold
from cytof.gate._tree import blank_gates, boolean_region, dimension, within
from cytof.keys import Tables
from cytof.panel.template import ROOT, Gate, Template
from cytof.region import Dimension, Ellipse, Polygon, Rectangle, Region, to_json

__all__ = ["place"]

_log = logging.getLogger("cytof")
_Seed = np.random.SeedSequence
_NONE = np.zeros(len(density.GRID) + 1, np.int64)
_ALL, _OPEN = "", (None, None)


@dataclass
class _Sample:
    """A draw of one sample while the tree is walked: only the columns that gates read, and the masks so far."""

    events: Events
    batch: str
    dims: dict[str, Dimension]
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)

    def values(self, dim: str, inside: NDArray[np.bool_]) -> NDArray:
        place = self.dims[dim]
        return np.arcsinh(self.events.column(place.channel)[inside] / np.float32(place.cofactor or 1.0))

    def mask(self, path: str) -> NDArray[np.bool_]:
        return np.ones(len(self.events), bool) if path == ROOT else self.masks[path]


def place(
    template: Template, draws: Iterable[Events], sheet: pd.DataFrame | None = None, *, random_state: int = 0
) -> pd.DataFrame:
    """Place every gate's thresholds on draws of all samples.

    Parameters
    ----------
    template
        From :func:`cytof.panel.load_gates`.
    draws
        One Events a sample, cleaned; taken one by one, and only the channels that gates read are kept.
    sheet
        Sample sheet (columns ``sample_id batch_id``), for gates that collapse by batch.
    random_state
        Seed of the bootstrap intervals.

    Returns
    -------
    DataFrame ``sample_id gate channel method value low high depth n flag region``: one row for each sample, gate and
    channel. ``value low high`` are on the channel's arcsinh scale (the interval is a 95 % bootstrap), ``region`` is
    the JSON of the gate's region, all that :func:`cytof.gate.apply` needs. Two-dimensional regions have one row, with
    the channel ``A x B`` and no value. ``flag``: ``ok``, ``shallow valley``, ``few events`` (placed on all samples
    together instead), ``far from the cohort`` (more than a factor of two from the samples' median) or ``fallback``.

    Raises
    ------
    GateError
        No samples, two of one name, or a method that needs an arcsinh scale on a channel without one.
    PanelError
        A file has no channel for a dimension.

    Examples
    --------
    >>> from cytof.panel import Gate
    >>> rng = np.random.default_rng(0)
    >>> counts = np.r_[rng.lognormal(0.5, 0.5, 900), rng.lognormal(5, 0.4, 600)].astype(np.float32)[:, None]
    >>> channels = pd.DataFrame({"antigen": ["CD3"], "cofactor": [5.0]}, index=["Er170"])
    >>> template = Template("t", (Gate("CD3+", "CD3+", "root", ("CD3",), "mindensity", signs="+"),))
    >>> table = place(template, [Events(counts, channels, {}, "s1")])
    >>> bool(1.5 < table.value[0] < 3.5), table.flag[0]
    (True, 'ok')
    """
    samples = _taken(template, draws, sheet)
    _check_scales(template, samples)
    blanks = blank_gates(template)
    rows: list[dict[str, Any]] = []
    known: dict[str, dict[str, dict[str, Placed]]] = {}
    for gate in template.gates:
        placed: dict[str, dict[str, Placed]] = {}
        if gate.dims and gate.method not in ("range", "polygon", "flowclust"):
            key = json.dumps(
                [gate.method, gate.dims, dict(gate.args), gate.args.get("place_on", gate.parent), gate.collapse]
            )
            if key not in known:
                known[key] = {d: _placed(gate, d, samples, blanks, random_state) for d in gate.dims}
            placed = known[key]
        ellipse = _flowclust(gate, samples) if gate.method == "flowclust" else {}
        for sample in samples:
            name = sample.events.sample_id
            region = ellipse.get(name) or _region(gate, sample, {d: p[name] for d, p in placed.items()})
            sample.masks[gate.path] = within(gate, region, sample.events, sample.masks)
            rows.extend(_rows(gate, sample, region, {d: p[name] for d, p in placed.items()}))
        _log.debug("placed %s", gate.path)
    order = {s.events.sample_id: i for i, s in enumerate(samples)}
    table = pd.DataFrame(rows, columns=list(Tables.THRESHOLDS))
    return table.sort_values("sample_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)


def _taken(template: Template, draws: Iterable[Events], sheet: pd.DataFrame | None) -> list[_Sample]:
    batches: dict[str, str] = {}
    if sheet is not None and {"sample_id", "batch_id"} <= set(sheet.columns):
        batches = dict(zip(sheet["sample_id"].astype(str), sheet["batch_id"].astype(str), strict=True))
    samples: list[_Sample] = []
    for events in draws:
        if any(s.events.sample_id == events.sample_id for s in samples):
            raise GateError(f"two samples are named `{events.sample_id}`", hint="give each its own sample_id")
        dims = _dims(template, events)
        channels = list(dict.fromkeys([*[d.channel for d in dims.values()], str(events.channels.index[0])]))
        slim = events.replace(X=np.asfortranarray(events.columns(channels)), channels=events.channels.loc[channels])
        samples.append(_Sample(slim, batches.get(events.sample_id) or events.sample_id, dims))
    if not samples:
        raise GateError("no samples to place gates on", hint="list at least one file")
    return samples


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


def _check_scales(template: Template, samples: list[_Sample]) -> None:
    for gate in template.gates:
        if gate.method in ("range", "polygon", "boolean"):
            continue
        for sample in samples:
            linear = [d for d in gate.dims if sample.dims[d].cofactor is None]
            if linear:
                raise GateError(
                    f"gate `{gate.pop}`: {gate.method} needs an arcsinh scale, `{linear[0]}` has no cofactor",
                    where=sample.events.sample_id,
                    hint="use `range` or `polygon`, or give the panel a cofactor",
                )


def _groups(gate: Gate, samples: list[_Sample]) -> dict[str, list[_Sample]]:
    groups: dict[str, list[_Sample]] = {}
    for sample in samples:
        key = {"pooled": "", "batch": sample.batch}.get(gate.collapse, sample.events.sample_id)
        groups.setdefault(key, []).append(sample)
    return groups


def _placed(
    gate: Gate, dim: str, samples: list[_Sample], blanks: tuple[Gate, ...], random_state: int
) -> dict[str, Placed]:
    """Return sample -> threshold of one gate on one dimension."""
    args = dict(gate.args)
    if isinstance(args.get("bounds"), Mapping):
        args["bounds"] = args["bounds"].get(dim, BOUNDS)
    seed = _Seed([random_state, zlib.crc32(f"{gate.method}:{dim}:{gate.args.get('place_on', gate.parent)}".encode())])
    source = gate.args.get("place_on", gate.parent)
    histograms = {s.events.sample_id: density.histogram(s.values(dim, s.mask(source))) for s in samples}
    cofactor = float(samples[0].dims[dim].cofactor or 1.0)

    groups = {key: [s.events.sample_id for s in members] for key, members in _groups(gate, samples).items()}
    counts = {key: sum((histograms[n] for n in names), _NONE) for key, names in groups.items()}
    limits = _limits(gate, dim, samples, blanks, groups, counts) if gate.method == "control" else {}
    own = {key: threshold(counts[key], gate.method, args, cofactor, seed, limits.get(key, _OPEN)[1]) for key in groups}
    pooled = next(iter(own.values())) if len(groups) == 1 else None
    if len(groups) > 1 and not all(p is not None and p.flag == "ok" for p in own.values()):
        total = sum(counts.values(), _NONE)
        pooled = threshold(total, gate.method, args, cofactor, seed, limits.get(_ALL, _OPEN)[1])
    settled = settle(own, pooled, counts, args, cofactor, {key: strict for key, (strict, _) in limits.items()})
    return {name: settled[key] for key, names in groups.items() for name in names}


def _limits(
    gate: Gate, dim: str, samples: list[_Sample], blanks: tuple[Gate, ...], groups: Mapping[str, list[str]],
    counts: Mapping[str, NDArray[np.int64]],
) -> dict[str, tuple[float | None, float | None]]:  # fmt: skip
    """Return group (and ``_ALL``: all together) -> limit of blank, and the limit above which a valley is looked for.

    The first is the limit for ``false_positive``. The second may lie lower where there are many CAR T cells: at the
    rate that makes false ones 2 % of them, so that a dim population is not cut although a valley parts it.
    """
    rate, cofactor = float(gate.args.get("false_positive", 1e-4)), float(samples[0].dims[dim].cofactor or 1.0)
    held = {s.events.sample_id: _blank(s, dim, blanks) for s in samples}

    def both(names: Iterable[str], cells: NDArray[np.int64]) -> tuple[float | None, float | None]:
        blank = sum((held[n] for n in names), _NONE)
        strict = blank_limit(blank, cells, rate, cofactor)
        if strict is None:
            return None, None
        return strict, blank_limit(blank, cells, max(rate, 0.02 * above(cells, strict)), cofactor)

    limits = {_ALL: both(held, sum(counts.values(), _NONE))}
    for key, names in groups.items():
        own = both(names, counts[key])
        limits[key] = own if own[0] is not None else limits[_ALL]  # too few blanks of its own
    return limits


def _blank(sample: _Sample, dim: str, blanks: tuple[Gate, ...]) -> NDArray[np.int64]:
    inside = np.zeros(len(sample.events), bool)
    for gate in blanks:
        inside |= sample.mask(gate.parent) & ~sample.mask(gate.path)
    return density.histogram(sample.values(dim, inside))


def _region(gate: Gate, sample: _Sample, placed: Mapping[str, Placed]) -> Region:
    if gate.method == "boolean":
        return boolean_region(gate, sample.events)
    dims = tuple(sample.dims[d] for d in gate.dims)
    if gate.method == "polygon":
        return Polygon((dims[0], dims[1]), tuple((float(x), float(y)) for x, y in gate.args["vertices"]))
    if gate.method == "range":
        low, high = gate.args.get("low", -math.inf), gate.args.get("high", math.inf)
        return Rectangle(dims, (float(low),) * len(dims), (float(high),) * len(dims))
    low = tuple(placed[d].value if sign == "+" else -math.inf for d, sign in zip(gate.dims, gate.signs, strict=True))
    high = tuple(math.inf if sign == "+" else placed[d].value for d, sign in zip(gate.dims, gate.signs, strict=True))
    return Rectangle(dims, low, high)


def _flowclust(gate: Gate, samples: list[_Sample]) -> dict[str, Region]:
    """Return sample -> ellipse around the component nearest ``target`` (default: the heaviest) of a normal mixture."""
    source = gate.args.get("place_on", gate.parent)
    level = -2.0 * math.log(1.0 - gate.args.get("level", 0.95))  # chi-squared with two degrees of freedom
    found: dict[str, Region] = {}
    for members in _groups(gate, samples).values():
        points = np.concatenate([np.stack([s.values(d, s.mask(source)) for d in gate.dims], axis=1) for s in members])
        if len(points) < gate.args.get("min_events", 200):
            names = ", ".join(s.events.sample_id for s in members)
            raise GateError(
                f"gate `{gate.pop}`: flowclust has {len(points)} events in {source.rsplit('/', 1)[-1]} of {names}",
                hint="use `collapse: pooled`, or `polygon`",
            )
        fit = mixture(points, int(gate.args.get("K", 2)))
        target = gate.args.get("target")
        away = -fit.weights if target is None else ((fit.means - np.asarray(target)) ** 2).sum(axis=1)
        j = int(np.argmin(away))
        for s in members:
            dims = tuple(s.dims[d] for d in gate.dims)
            rows = tuple(tuple(map(float, row)) for row in fit.covariances[j])
            found[s.events.sample_id] = Ellipse(dims, tuple(map(float, fit.means[j])), rows, float(level))
    return found


def _rows(gate: Gate, sample: _Sample, region: Region, placed: Mapping[str, Placed]) -> list[dict[str, Any]]:
    shared = {"sample_id": sample.events.sample_id, "gate": gate.path, "method": gate.method, "region": to_json(region)}
    if placed:
        return [
            {**shared, "channel": sample.dims[d].channel, "value": p.value, "low": p.low, "high": p.high,
             "depth": p.depth, "n": p.n, "flag": p.flag}
            for d, p in placed.items()
        ]  # fmt: skip
    n = int(sample.mask(gate.parent).sum())
    channel = " x ".join(sample.dims[d].channel for d in gate.dims)
    nothing = dict.fromkeys(("value", "low", "high", "depth"), float("nan"))
    return [{**shared, "channel": channel, **nothing, "n": n, "flag": "ok"}]
