"""Debarcoding: which sample each event of a pooled run came from, told by its pattern of barcode metals.

Source: Zunder et al. 2015, Nat Protoc 10:316 (single-cell debarcoding, separation, Mahalanobis filter); Crowell et al.,
CATALYST (cutoffs estimated from the yields).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import in_range, nearest, one_of
from cytof.clean._debarcode_core import assign, counts_above, covariances, distances_of, scaled
from cytof.clean._debarcode_cutoff import SEPARATIONS, log_logistic, plateau
from cytof.clean._debarcode_key import checked_key, on_channels, read_key
from cytof.errors import Caution, UsageError
from cytof.events import Events
from cytof.io import write_fcs

__all__ = ["Debarcoding", "debarcode"]

_FEW = 50  # events below which a barcode's own yield curve tells nothing
_USUAL = 0.3  # their cutoff: single cells lie above it, most doublets below
_STEEP = 0.3  # least slope of the yields over the steepest, above which there is no plateau
_RARE = 0.05  # of the median barcode's events: told, for it may be none at all


@dataclass(frozen=True, eq=False, repr=False)
class Debarcoding:
    """What :func:`debarcode` found.

    Attributes
    ----------
    events
        The events with the flag ``unassigned`` and the step record.
    key
        The key, columns named by channel.
    assignment
        Barcode of each event, categorical, ``""`` where unassigned; index as the rows of ``events.X``.
    separation
        float32, shape (n_events,): gap between the lowest positive and the highest negative barcode channel, in units
        of the barcode's positive signal (about 0 to 1); 0 where the pattern is no barcode's.
    distance
        float32, shape (n_events,): squared Mahalanobis distance from the barcode's centre, NaN where not computed.
    yields
        One row a barcode: ``barcode n cutoff n_above_cutoff n_assigned yield flag``. ``n`` events bear its pattern,
        ``yield`` = ``n_assigned / n``; ``flag`` says what to look at, else it is blank.
    curve
        Yield against separation, for drawing: ``barcode separation n yield``.
    """

    events: Events
    key: pd.DataFrame
    assignment: pd.Series
    separation: NDArray[np.float32]
    distance: NDArray[np.float32]
    yields: pd.DataFrame
    curve: pd.DataFrame

    def __repr__(self) -> str:
        n, all_of = int(self.yields["n_assigned"].sum()), len(self.events)
        return f"Debarcoding({self.events.sample_id}: {n:,} of {all_of:,} events in {len(self.key)} barcodes)"

    def sample(self, name: str) -> Events:
        """Return the events of one barcode (``""``: those without), ``sample_id`` its name.

        Raises
        ------
        UsageError
            The key has no such barcode; the nearest is named.
        """
        if name not in ("", *self.key.index):
            known = ", ".join(self.key.index)
            raise UsageError(f"no barcode '{name}', expected one of {known}", hint=nearest(name, self.key.index))
        chosen = self.events.take((self.assignment == name).to_numpy())
        return chosen.replace(sample_id=name or f"{self.events.sample_id}_unassigned")

    def write(self, folder: str | Path) -> dict[str, Path]:
        """Write one FCS file a barcode, ``<barcode>.fcs``, and return their paths; a barcode without events has none.

        Raises
        ------
        ResourceError
            The folder cannot be written or the disk is full.
        """
        folder, table = Path(folder), self.events.channels
        pnn, pns = (table[c].tolist() if c in table else list(table.index) for c in ("pnn", "pns"))
        written = {}
        for name, n in zip(self.yields["barcode"], self.yields["n_assigned"], strict=True):
            if n:
                written[name] = folder / f"{name}.fcs"
                write_fcs(written[name], self.sample(name), pnn=pnn, pns=pns, keywords={"BARCODE": name})
        return written


def debarcode(
    events: Events,
    key: pd.DataFrame | str | Path,
    *,
    cofactor: float = 10.0,
    min_separation: float | Mapping[str, float] | str | None = "auto",
    max_distance: float | None = 30.0,
    n_jobs: int | None = None,
) -> Debarcoding:
    """Tell the barcode of each event.

    On the arcsinh scale, an event's positive channels are its ``k`` highest, where every barcode has ``k`` (Pd 3 of 6);
    for a free key, those above its widest gap. A pattern that is no barcode's is unassigned. The gap, divided by the
    95th percentile of the barcode's positive channels, is the event's separation: doublets of two samples and debris
    have little. Events below the barcode's cutoff, or too far from its centre, are unassigned as well.

    Parameters
    ----------
    events
        Counts of one pooled file.
    key
        Barcodes x channels of 0 and 1, or the path of such a table (see :func:`read_key`). Channels by mass (``102``),
        metal (``Pd102``) or antigen.
    cofactor
        Of the arcsinh, counts.
    min_separation
        ``"auto"`` estimates a cutoff a barcode: the middle of the plateau of its yields, where they fall least between
        doublets and single cells; ``"catalyst"`` as CATALYST's ``estCutoffs``. A number from 0 to 1 holds for all; a
        mapping gives the cutoff of each barcode it names, the others are estimated; None is no cutoff.
    max_distance
        Largest squared Mahalanobis distance from the centre of the barcode's events above the cutoff; None: no limit.
        The 30 of the source is for six channels; with more, distances grow as their number.
    n_jobs
        Threads; they change no byte.

    Returns
    -------
    Debarcoding; its ``events`` have the flag ``unassigned`` and a step record with the counts ``events no_pattern
    below_cutoff too_far assigned``. Barcodes without events and events that are no number leave a caution.

    Raises
    ------
    SheetError, InputError
        The key is wrong.
    PanelError
        The file lacks channels of the key; all of them are listed.
    UsageError
        A setting is out of its range.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> key = pd.DataFrame([[1, 1, 0], [1, 0, 1], [0, 1, 1]], ["a", "b", "c"], ["Pd102", "Pd104", "Pd105"])
    >>> truth = np.repeat([0, 1, 2], 400)
    >>> X = rng.lognormal(6, 0.2, (1200, 3)) * key.to_numpy()[truth] + rng.poisson(2, (1200, 3))
    >>> found = debarcode(Events(X.astype(np.float32), pd.DataFrame(index=key.columns), {}, "pool"), key)
    >>> found, bool((found.assignment == key.index[truth]).mean() > 0.99)
    (Debarcoding(pool: 1,200 of 1,200 events in 3 barcodes), True)
    """
    in_range(cofactor, 0.01, 1e4, "cofactor")
    if max_distance is not None:
        in_range(max_distance, 0, np.inf, "max_distance")
    where = str(key) if isinstance(key, str | Path) else "barcode key"
    table = read_key(key) if isinstance(key, str | Path) else checked_key(pd.DataFrame(key), where)
    given = _given(min_separation, list(table.index))
    channels = on_channels(events, table.columns, where=where)
    table.columns = pd.Index(channels)
    bits = table.to_numpy(bool)
    Y, label, gap, broken = assign(events, channels, bits, cofactor, n_jobs)
    separation = scaled(Y, label, gap, bits)
    above = counts_above(label, separation, len(bits), SEPARATIONS)
    cutoffs, flags = _cutoffs(above, given, min_separation, list(table.index))
    kept = np.where((label >= 0) & (separation >= np.r_[cutoffs, 0].astype(np.float32)[label]), label, np.int32(-1))
    distance, final, few = _near(Y, kept, len(bits), max_distance, n_jobs)
    flags = [f or ("too few events for a distance" if bare else "") for f, bare in zip(flags, few, strict=True)]
    yields = _yields(table, above[:, 0], cutoffs, kept, final, flags)
    params = {
        "cofactor": cofactor, "max_distance": max_distance, "channels": channels,
        "min_separation": dict(zip(table.index, cutoffs.tolist(), strict=True)),
        "key": {name: "".join(map(str, row)) for name, row in zip(table.index, table.to_numpy(), strict=True)},
    }  # fmt: skip
    out = events.replace(
        flags=events.flags.assign(unassigned=final < 0),
        steps=(*events.steps, {"step": "debarcode", "params": params, "counts": _counts(label, kept, final)}),
        warnings=(*events.warnings, *_cautions(events, Y, channels, broken, yields)),
    )
    names = pd.Series(pd.Categorical.from_codes(final + 1, ["", *table.index]), name="barcode")
    return Debarcoding(out, table, names, separation, distance, yields, _curve(table, above))


def _near(
    Y: NDArray[np.float32], kept: NDArray[np.int32], n_barcodes: int, limit: float | None, n_jobs: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int32], list[bool]]:
    """Return the distances, the barcodes of what is near enough, and which barcodes had too few events."""
    if limit is None:
        return np.full(len(Y), np.nan, np.float32), kept, [False] * n_barcodes
    centre, root, few = covariances(Y, kept, n_barcodes)
    distance = distances_of(Y, kept, centre, root, n_jobs)
    return distance, np.where(distance > limit, np.int32(-1), kept), few


def _given(min_separation: float | Mapping[str, float] | str | None, barcodes: list[str]) -> dict[str, float]:
    """Return the cutoffs that are given, by barcode."""
    if isinstance(min_separation, str):
        one_of(min_separation, ["auto", "catalyst"], "min_separation")
        return {}
    if isinstance(min_separation, Mapping):
        for name, value in min_separation.items():
            one_of(name, barcodes, "barcode", where="min_separation")
            in_range(value, 0, 1, f"min_separation of {name}")
        return {str(k): float(v) for k, v in min_separation.items()}
    if min_separation is not None and not isinstance(min_separation, int | float | np.number):
        found = f"min_separation is a {type(min_separation).__name__}"
        raise UsageError(f"{found}, expected a number, a mapping, auto, catalyst or None")
    value = 0.0 if min_separation is None else in_range(min_separation, 0, 1, "min_separation")
    return dict.fromkeys(barcodes, float(value))


def _counts(label: NDArray, kept: NDArray, final: NDArray) -> dict[str, int]:
    """Return how many events were lost at each step, from the barcode of each event after it."""
    return {
        "events": len(label),
        "no_pattern": int((label < 0).sum()),
        "below_cutoff": int(((label >= 0) & (kept < 0)).sum()),
        "too_far": int(((kept >= 0) & (final < 0)).sum()),
        "assigned": int((final >= 0).sum()),
    }


def _cutoffs(
    above: NDArray[np.int64], given: Mapping[str, float], setting: object, barcodes: list[str]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return the cutoff of each barcode and a flag; too few events take the usual one."""
    middle = float(np.median(above[:, 0]))
    cutoffs, flags = [], []
    for name, row in zip(barcodes, above, strict=True):
        own, steepness = _USUAL, 0.0
        if row[0] >= _FEW:
            own, steepness = plateau(row / row[0])
            own = log_logistic(row / row[0]) if setting == "catalyst" else own
        cutoffs.append(given.get(name, own))
        if row[0] == 0:
            flags.append("no events")
        elif row[0] < _RARE * middle:
            flags.append(f"{row[0] / middle:.1%} of the median barcode's events: is it in the pool?")
        elif steepness > _STEEP:
            flags.append("yields fall without a plateau: doublets may be among them")
        else:
            flags.append(f"few events: cutoff {_USUAL}" if row[0] < _FEW and name not in given else "")
    return np.round(cutoffs, 4), flags


def _yields(
    key: pd.DataFrame, n: NDArray, cutoffs: NDArray, kept: NDArray, final: NDArray, flags: list[str]
) -> pd.DataFrame:
    n_kept, n_final = (np.bincount(v[v >= 0], minlength=len(key)) for v in (kept, final))
    table = pd.DataFrame({"barcode": list(key.index), "n": n, "cutoff": cutoffs, "n_above_cutoff": n_kept})
    return table.assign(n_assigned=n_final, **{"yield": n_final / np.maximum(n, 1)}, flag=flags)


def _curve(key: pd.DataFrame, above: NDArray[np.int64]) -> pd.DataFrame:
    names = np.repeat(key.index.to_numpy(), len(SEPARATIONS))
    table = pd.DataFrame({"barcode": names, "separation": np.tile(SEPARATIONS, len(key)), "n": above.ravel()})
    return table.assign(**{"yield": (above / np.maximum(above[:, :1], 1)).ravel()})


def _cautions(
    events: Events, Y: NDArray[np.float32], channels: list[str], broken: int, yields: pd.DataFrame
) -> list[Caution]:
    where = f"{events.sample_id}:debarcode"
    told = []
    if not len(events):
        told.append(Caution(where, "no events", "assigned none"))
        return told
    if broken:
        told.append(Caution(where, f"{broken:,} events with NaN or infinity in a barcode channel", "left unassigned"))
    if flat := [c for j, c in enumerate(channels) if (Y[:, j] == Y[0, j]).all()]:
        told.append(Caution(where, f"the same value in every event: {', '.join(flat)}", "took it as it is"))
    odd = yields[(yields["n"] == 0) | yields["flag"].str.contains("is it in the pool")]
    if len(odd):
        found = f"hardly any events: {', '.join(f'{b} ({n})' for b, n in zip(odd['barcode'], odd['n'], strict=True))}"
        told.append(Caution(where, found, "look at their yields, and whether the key is that of the run"))
    return told
