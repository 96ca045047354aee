"""Pass 1: thresholds of every gate from draws of all samples.

Samples are pooled by adding histograms, so a threshold depends on the samples' cells and neither on their order nor on
their names. Source: Finak et al. 2014 (openCyto: hierarchical data-driven gates, collapsed over samples or not).
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof import density
from cytof.errors import GateError
from cytof.events import Events
from cytof.gate._blank import choose_blank
from cytof.gate._control import control_threshold
from cytof.gate._mixture import mixture
from cytof.gate._placed import BOUNDS, MIN_EVENTS, Placed, settle, threshold
from cytof.gate._sample import Sample, check_scales, groups, taken
from cytof.gate._tree import boolean_region, within
from cytof.keys import Tables
from cytof.panel.template import Gate, Template
from cytof.region import Ellipse, Polygon, Rectangle, Region, to_json

__all__ = ["place"]

_log = logging.getLogger("cytof")
_Seed = np.random.SeedSequence
_NONE = np.zeros(len(density.GRID) + 1, np.int64)


def place(
    template: Template, draws: Iterable[Events], sheet: pd.DataFrame | None = None, *, random_state: int = 0
) -> pd.DataFrame:
    """Place every gate's thresholds on draws of all samples.

    Parameters
    ----------
    template
        From :func:`cytof.panel.load_gates`.
    draws
        One Events a sample, cleaned; taken one by one, and only the channels that gates read are kept, in a
        temporary file: memory does not grow with the number of samples.
    sheet
        Sample sheet: ``batch_id`` for gates that collapse by batch, ``control`` for the blanks of the CAR gate.
    random_state
        Seed of the bootstrap intervals.

    Returns
    -------
    DataFrame ``sample_id gate channel method value low high depth n flag region blank``: one row for each sample, gate
    and channel. ``value low high`` are on the channel's arcsinh scale (the interval is a 95 % bootstrap), ``region`` is
    the JSON of the gate's region, all that :func:`cytof.gate.apply` needs. Two-dimensional regions have one row, with
    the channel ``A x B`` and no value. ``flag``: ``ok``, ``shallow valley``, ``few events`` (placed on all samples
    together instead), ``far from the cohort`` (more than a factor of two from the samples' median), ``blank differs
    from T`` (the blanks of the CAR gate are not as noisy as the T cells) or ``fallback``. ``blank``: JSON of the blanks
    that a CAR threshold rests on.

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
    with tempfile.TemporaryFile(buffering=0) as file:
        samples = taken(template, draws, sheet, file)
        check_scales(template, samples)
        rows = _walked(template, samples, random_state)
    order = {s.name: i for i, s in enumerate(samples)}
    table = pd.DataFrame(rows, columns=list(Tables.THRESHOLDS))
    return table.sort_values("sample_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)


def _walked(template: Template, samples: list[Sample], random_state: int) -> list[dict[str, Any]]:
    """Place gate after gate; return the rows of the table."""
    rows: list[dict[str, Any]] = []
    known: dict[str, dict[str, dict[str, Placed]]] = {}
    for gate in template.gates:
        placed: dict[str, dict[str, Placed]] = {}
        if gate.dims and gate.method not in ("range", "polygon", "flowclust"):
            key = json.dumps(
                [gate.method, gate.dims, dict(gate.args), gate.args.get("place_on", gate.parent), gate.collapse]
            )
            if key not in known:
                known[key] = {d: _placed(gate, d, samples, template, random_state) for d in gate.dims}
            placed = known[key]
        ellipse = _flowclust(gate, samples) if gate.method == "flowclust" else {}
        for sample in samples:
            name = sample.name
            cloud = ellipse.get(name)
            region = cloud[0] if cloud else _region(gate, sample, {d: p[name] for d, p in placed.items()})
            sample.regions[gate.path] = region
            sample.masks[gate.path] = within(gate, region, sample.column, sample.flags, sample.masks)
            rows.extend(_rows(gate, sample, region, {d: p[name] for d, p in placed.items()}, cloud))
        _log.debug("placed %s", gate.path)
    return rows


def _placed(gate: Gate, dim: str, samples: list[Sample], template: Template, random_state: int) -> dict[str, Placed]:
    """Return sample -> threshold of one gate on one dimension."""
    args = dict(gate.args)
    if isinstance(args.get("bounds"), Mapping):
        args["bounds"] = args["bounds"].get(dim, BOUNDS)
    seed = _Seed([random_state, zlib.crc32(f"{gate.method}:{dim}:{gate.args.get('place_on', gate.parent)}".encode())])
    source = gate.args.get("place_on", gate.parent)
    cofactor = float(samples[0].dims[dim].cofactor or 1.0)
    if gate.method == "control":
        return _control(gate, dim, samples, template, args, seed)
    parts = groups(gate, samples)
    counts = {key: _histogram(dim, source, members) for key, members in parts.items()}
    own = {key: threshold(counts[key], gate.method, args, cofactor, seed) for key in parts}
    pooled = next(iter(own.values())) if len(parts) == 1 else None
    if len(parts) > 1 and not all(p is not None and p.flag == "ok" for p in own.values()):
        pooled = threshold(sum(counts.values(), _NONE), gate.method, args, cofactor, seed)
    settled = settle(own, pooled, counts, args, cofactor)
    return {s.name: settled[key] for key, members in parts.items() for s in members}


def _control(
    gate: Gate, dim: str, samples: list[Sample], template: Template, args: Mapping[str, Any], seed: _Seed
) -> dict[str, Placed]:
    """Return sample -> threshold of the CAR gate, from blanks; a valley where there are none."""
    source, cofactor = gate.args.get("place_on", gate.parent), float(samples[0].dims[dim].cofactor or 1.0)
    parts = groups(gate, samples)
    histograms = {k: _histogram(dim, source, members) for k, members in parts.items()}
    total = sum(histograms.values(), _NONE)
    cohort = threshold(total, "mindensity", args, cofactor, seed) if len(parts) > 1 else None
    own: dict[str, Placed | None] = {}
    for key, members in parts.items():
        cells = np.concatenate([s.counts(dim, s.mask(source)) for s in members])
        blank = choose_blank(members, samples, template, dim, source)
        valley = cohort.value if cohort is not None and cohort.flag == "ok" else None
        own[key] = control_threshold(cells, blank, histograms[key], args, cofactor, seed, valley)
        if own[key] is None:
            own[key] = threshold(histograms[key], "mindensity", args, cofactor, seed)
    settled = settle(own, cohort, histograms, args, cofactor)
    return {s.name: settled[key] for key, members in parts.items() for s in members}


def _histogram(dim: str, source: str, members: list[Sample]) -> NDArray[np.int64]:
    return sum((density.histogram(s.values(dim, s.mask(source))) for s in members), _NONE)


def _region(gate: Gate, sample: Sample, placed: Mapping[str, Placed]) -> Region:
    if gate.method == "boolean":
        return boolean_region(gate, sample.flags, sample.first)
    dims = tuple(sample.dims[d] for d in gate.dims)
    if gate.method == "polygon":
        return Polygon((dims[0], dims[1]), tuple((float(x), float(y)) for x, y in gate.args["vertices"]))
    if gate.method == "range":
        low, high = gate.args.get("low", -math.inf), gate.args.get("high", math.inf)
        return Rectangle(dims, (float(low),) * len(dims), (float(high),) * len(dims))
    low = tuple(placed[d].value if sign == "+" else -math.inf for d, sign in zip(gate.dims, gate.signs, strict=True))
    high = tuple(math.inf if sign == "+" else placed[d].value for d, sign in zip(gate.dims, gate.signs, strict=True))
    return Rectangle(dims, low, high)


def _flowclust(gate: Gate, samples: list[Sample]) -> dict[str, tuple[Ellipse, int, str]]:
    """Return sample -> ellipse around one cloud of a normal mixture, the events it was fitted to, and the flag.

    The cloud is the one nearest ``target``, or the heaviest. A group with too few events takes the ellipse of all
    samples together.
    """
    parts = {key: _points(gate, members) for key, members in groups(gate, samples).items()}
    least = gate.args.get("min_events", MIN_EVENTS)
    every = np.concatenate(list(parts.values()))
    if len(every) < least:
        source = str(gate.args.get("place_on", gate.parent)).rsplit("/", 1)[-1]
        raise GateError(
            f"gate `{gate.pop}`: flowclust has {len(every)} events in {source} of all samples, needs {least}",
            hint="place it on a gate with more events (`place_on`), or draw a `polygon`",
        )
    pooled = _ellipse(gate, every) if any(len(p) < least for p in parts.values()) else None
    found = {}
    for key, members in groups(gate, samples).items():
        n = len(parts[key])
        mean, covariance, level = pooled if pooled is not None and n < least else _ellipse(gate, parts[key])
        for s in members:
            dims = tuple(s.dims[d] for d in gate.dims)
            found[s.name] = Ellipse(dims, mean, covariance, level), n, "few events" if n < least else "ok"
    return found


def _points(gate: Gate, members: list[Sample]) -> NDArray[np.float32]:
    source = gate.args.get("place_on", gate.parent)
    return np.concatenate([np.stack([s.values(d, s.mask(source)) for d in gate.dims], axis=1) for s in members])


def _ellipse(gate: Gate, points: NDArray[np.float32]) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...], float]:
    """Return mean, covariance and squared distance of the cloud that the gate asks for."""
    fit = mixture(points, int(gate.args.get("K", 2)))
    target = gate.args.get("target")
    away = -fit.weights if target is None else ((fit.means - np.asarray(target)) ** 2).sum(axis=1)
    j = int(np.argmin(away))
    level = -2.0 * math.log(1.0 - gate.args.get("level", 0.95))  # chi-squared with two degrees of freedom
    rows = tuple(tuple(map(float, row)) for row in fit.covariances[j])
    return tuple(map(float, fit.means[j])), rows, float(level)


def _rows(
    gate: Gate, sample: Sample, region: Region, placed: Mapping[str, Placed], cloud: tuple[Ellipse, int, str] | None
) -> list[dict[str, Any]]:
    shared = {"sample_id": sample.name, "gate": gate.path, "method": gate.method, "region": to_json(region)}
    if placed:
        return [
            {**shared, "channel": sample.dims[d].channel, "value": p.value, "low": p.low, "high": p.high,
             "depth": p.depth, "n": p.n, "flag": p.flag, "blank": p.blank}
            for d, p in placed.items()
        ]  # fmt: skip
    n, flag = (cloud[1], cloud[2]) if cloud else (int(sample.mask(gate.parent).sum()), "ok")
    channel = " x ".join(sample.dims[d].channel for d in gate.dims)
    nothing = dict.fromkeys(("value", "low", "high", "depth"), float("nan"))
    return [{**shared, "channel": channel, **nothing, "n": n, "flag": flag, "blank": ""}]
