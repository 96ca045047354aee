"""Gated samples + sample sheet -> one AnnData: the only door from files to cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytof._check import nearest
from cytof.errors import InputError, SheetError, UsageError
from cytof.events import Events
from cytof.keys import SCHEMA, UNS, Layers, Obs, Tables, Var
from cytof.provenance import canonical_json
from cytof.scale import COFACTOR, arcsinh

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.gate import Gating

__all__ = ["assemble"]

_VAR = (Var.CHANNEL, Var.METAL, Var.MASS, Var.MARKER_CLASS, Var.ROLE, Var.COFACTOR)
_SHEET = (Obs.SAMPLE, Obs.PATIENT, Obs.TIMEPOINT, Obs.DAY, Obs.BATCH, Obs.CONDITION)
_NOT_A_MARKER = {"time", "event_length", "gaussian"}
SUBSETS = ("CD4", "CD8", "DN", "DP")


def assemble(
    gated: Iterable[Gating | Events | AnnData], sheet: pd.DataFrame | None = None, *, markers: str = "common"
) -> AnnData:
    """Put gated samples together as one table of cells.

    Parameters
    ----------
    gated
        One :class:`cytof.gate.Gating` a sample (the cells it keeps), :class:`cytof.Events` for files that are gated
        already, or what an earlier call returned (``gated/<sample>.h5ad``).
    sheet
        Sample sheet (:func:`cytof.io.read_sheet`); None when there is nothing to add to the sample names.
    markers
        ``"common"``: channels that every sample has. ``"all"``: every channel, NaN where a sample lacks it.
        What was left out is listed in ``uns["cytof"]["warnings"]``.

    Returns
    -------
    AnnData with n_cells x n_markers.

    Writes
    ------
    ``X``
        arcsinh(counts / cofactor), float32.
    ``layers["counts"]``
        Dual counts, float32.
    ``obs``
        ``sample_id patient_id timepoint day batch_id condition event gate car subset``; ``event`` is the row in the FCS
        file, ``gate`` the deepest gate path, ``timepoint`` ordered by ``day``; names are ``<sample_id>-<event>``.
    ``var``
        Index antigen; ``channel metal mass marker_class role cofactor gated``; ``gated``: every kept cell passed a gate
        on this marker.
    ``uns["cytof"]``
        ``schema panel gates car_gate kept samples counts thresholds blanks warnings steps``; ``gates`` is the
        template's text, ``car_gate`` and ``kept`` are gate paths.

    Raises
    ------
    InputError
        No samples, or no channel in common.
    SheetError
        A sample that the sheet does not list.

    Examples
    --------
    >>> channels = pd.DataFrame({"antigen": ["CD3"], "metal": ["Er"], "mass": [170], "marker_class": ["type"],
    ...                          "role": ["lineage"], "cofactor": [5.0], "pnn": ["Er170Di"]}, index=["Er170"])
    >>> cells = assemble([Events(np.float32([[5.0], [0.0]]), channels, {}, "s1")])
    >>> cells.obs_names.tolist(), cells.X.round(2).tolist()
    (['s1-0', 's1-1'], [[0.8799999952316284], [0.0]])
    """
    import anndata

    if markers not in ("common", "all"):
        raise UsageError(f"markers is {markers!r}, expected `common` or `all`", where="assemble")
    parts = [_part_of_cells(s) if isinstance(s, anndata.AnnData) else _part_of_events(s) for s in gated]
    if not parts:
        raise InputError("no samples to assemble", hint="gate at least one file first")
    var, dropped = _variables(parts, markers)
    counts = np.full((sum(len(p.obs) for p in parts), len(var)), np.nan, np.float32)
    start = 0
    for part in parts:
        here = [a for a in var.index if a in part.var.index]
        rows = slice(start, start + len(part.obs))
        counts[rows, var.index.get_indexer(here)] = part.counts(here)
        start = rows.stop
    obs = pd.concat([p.obs.astype(dict.fromkeys(p.obs.select_dtypes("category"), object)) for p in parts])
    _add_sheet(obs, sheet)
    adata = anndata.AnnData(
        arcsinh(counts, var[Var.COFACTOR].to_numpy(float)), obs=obs, var=var, layers={Layers.COUNTS: counts}
    )
    adata.uns[UNS] = _tables(parts, dropped) | {"samples": _samples(parts, sheet)}
    return adata


@dataclass(frozen=True)
class _Part:
    """One sample on its way into the table: cells, channels (indexed by antigen), counts and what else it brings.

    ``counts`` gives those of some antigens when they are put into the table, so that no sample is in memory twice.
    """

    name: str
    obs: pd.DataFrame
    var: pd.DataFrame
    counts: Callable[[list[str]], NDArray[np.float32]]
    tables: Mapping[str, Any]


def _part_of_events(sample: Gating | Events) -> _Part:
    events = sample if isinstance(sample, Events) else sample.events
    table = events.channels
    antibody = (table[Var.MARKER_CLASS] != "none") | table[Var.ROLE].isin(["lineage", "car"])
    table = table[((table["metal"] != "") | antibody) & ~table["role"].isin(_NOT_A_MARKER)]
    twice = table[Var.ANTIGEN].duplicated(keep=False)  # one antigen on two metals: both are kept, told apart by metal
    table = table.assign(**{Var.ANTIGEN: table[Var.ANTIGEN].where(~twice, table[Var.ANTIGEN] + "_" + table.index)})
    var = table.rename_axis(Var.CHANNEL).reset_index().set_index(Var.ANTIGEN)[list(_VAR)]
    var[Var.COFACTOR] = var[Var.COFACTOR].fillna(COFACTOR).astype(float)
    gated = _gated_channels(sample) if not isinstance(sample, Events) else set()
    var["gated"] = var[Var.CHANNEL].isin(sorted(gated))
    if isinstance(sample, Events):
        root = (events.sample_id, "root", "", len(events), len(events), 1.0, "")
        counts, gates = pd.DataFrame([root], columns=list(Tables.COUNTS)), ""
        thresholds = blanks = pd.DataFrame()
    else:
        counts, thresholds, blanks, gates = sample.counts, sample.thresholds, sample.blanks, sample.text
    warned = [(events.sample_id, c.where, c.found, c.done, c.level) for c in events.warnings]
    tables = {
        "panel": events.channels.reset_index(names="channel"),
        "gates": gates,
        "car_gate": "" if isinstance(sample, Events) else (sample.car_gate or ""),
        "kept": "root" if isinstance(sample, Events) else sample.kept,
        "counts": counts,
        "thresholds": thresholds,
        "blanks": blanks,
        "warnings": pd.DataFrame(warned, columns=list(Tables.WARNINGS), dtype=str),
        "steps": _steps(events),
    }
    return _Part(
        events.sample_id, _cells(sample), var, lambda names: events.columns(list(var.loc[names, Var.CHANNEL])), tables
    )


def _part_of_cells(cells: AnnData) -> _Part:
    name = ", ".join(map(str, cells.obs[Obs.SAMPLE].unique()))
    table = np.asarray(cells.layers[Layers.COUNTS])
    return _Part(name, cells.obs, cells.var, lambda names: table[:, cells.var_names.get_indexer(names)], cells.uns[UNS])


def _variables(parts: Sequence[_Part], markers: str) -> tuple[pd.DataFrame, list[tuple[str, ...]]]:
    """Return ``var`` indexed by antigen, and what was left out: rows of the warnings table."""
    first = pd.concat([p.var for p in parts])
    first = first[~first.index.duplicated()]
    dropped: list[tuple[str, ...]] = []
    for antigen in first.index:
        lacking = [p.name for p in parts if antigen not in p.var.index]
        if lacking and markers == "common":
            done = "left out of the cells of all samples (markers=`common`)"
            dropped += [(s, f"{s}:{antigen}", "no channel for this marker", done, "warning") for s in lacking]
            first = first.drop(index=antigen)
    if first.empty:
        raise InputError(
            f"the {len(parts)} samples have no mass channel in common",
            where=", ".join(p.name for p in parts[:3]),
            hint="compare them with `cytof inspect FILE.fcs`, or name the panel in study.yaml",
        )
    first["gated"] = [all(bool(p.var["gated"].get(a, True)) for p in parts) for a in first.index]
    return first.rename_axis(None), dropped


def _cells(sample: Gating | Events) -> pd.DataFrame:
    """Return ``obs`` of one sample."""
    events = sample if isinstance(sample, Events) else sample.events
    n = len(events)
    names = np.char.add(f"{events.sample_id}-", events.rows.astype(str)) if n else np.empty(0, str)
    obs = pd.DataFrame({Obs.SAMPLE: np.full(n, events.sample_id, object), Obs.EVENT: events.rows}, index=names)
    if isinstance(sample, Events):
        obs[Obs.GATE], obs[Obs.CAR], obs[Obs.SUBSET] = "root", False, None
        return obs
    deepest = np.full(n, "root", object)
    for path in sorted(sample.masks.columns, key=lambda p: (p.count("/"), p)):
        deepest[sample.masks[path].to_numpy()] = path
    subset = np.full(n, None, object)
    for path, label in sample.subset_gates.items():
        subset[sample.masks[path].to_numpy()] = label
    car = sample.masks[sample.car_gate].to_numpy() if sample.car_gate else np.zeros(n, bool)
    obs[Obs.GATE], obs[Obs.CAR], obs[Obs.SUBSET] = deepest, car, subset
    return obs


def _add_sheet(obs: pd.DataFrame, sheet: pd.DataFrame | None) -> None:
    """Add the sheet's columns to ``obs`` in place; text becomes categorical, time points are ordered by day."""
    if sheet is not None:
        table = sheet.set_index(Obs.SAMPLE)
        missing = [s for s in obs[Obs.SAMPLE].unique() if s not in table.index]
        if missing:
            raise SheetError(
                f"sample `{missing[0]}` is not in the sheet", where="samples.csv", hint=nearest(missing[0], table.index)
            )
        extra = [c for c in table.columns if c not in {*_SHEET, "path", "file_name", *obs.columns}]
        for column in [*(c for c in _SHEET[1:] if c in table), *extra]:
            obs[column] = obs[Obs.SAMPLE].map(table[column])
    defaults: dict[str, Any] = {Obs.PATIENT: "P1", Obs.DAY: np.nan, Obs.BATCH: "", Obs.CONDITION: ""}
    for column, value in defaults.items():
        if column not in obs:
            obs[column] = value
    if Obs.TIMEPOINT not in obs:
        obs[Obs.TIMEPOINT] = obs[Obs.SAMPLE]
    by_day = obs[[Obs.TIMEPOINT, Obs.DAY, Obs.SAMPLE]].drop_duplicates().sort_values([Obs.DAY, Obs.SAMPLE])
    obs[Obs.TIMEPOINT] = pd.Categorical(obs[Obs.TIMEPOINT], list(dict.fromkeys(by_day[Obs.TIMEPOINT])), ordered=True)
    obs[Obs.SAMPLE] = pd.Categorical(obs[Obs.SAMPLE], list(dict.fromkeys(by_day[Obs.SAMPLE])))
    for column in (Obs.PATIENT, Obs.BATCH, Obs.CONDITION, Obs.GATE):
        obs[column] = pd.Categorical(obs[column].astype(str))
    obs[Obs.SUBSET] = pd.Categorical(obs[Obs.SUBSET], list(SUBSETS))
    for column in obs.select_dtypes("object").columns:
        obs[column] = pd.Categorical(obs[column].map(lambda v: v if pd.isna(v) else str(v)))


def _samples(parts: Sequence[_Part], sheet: pd.DataFrame | None) -> pd.DataFrame:
    """Return one row a sample, those without a kept cell included: a visit with no cells is a result too."""
    names = list(dict.fromkeys(s for p in parts for s in p.tables["counts"][Obs.SAMPLE]))
    rows = pd.DataFrame({Obs.SAMPLE: names})
    rows[Obs.PATIENT], rows[Obs.TIMEPOINT], rows[Obs.DAY] = "P1", names, np.nan
    table = rows.set_index(Obs.SAMPLE)
    earlier = [p.tables["samples"].set_index(Obs.SAMPLE) for p in parts if "samples" in p.tables]
    for known in [*earlier, *([] if sheet is None else [sheet.set_index(Obs.SAMPLE)])]:
        for column in (Obs.PATIENT, Obs.TIMEPOINT, Obs.DAY):
            if column in known:
                here = [n for n in names if n in known.index]
                table.loc[here, column] = known.loc[here, column].astype(table[column].dtype)
    return table.sort_values(Obs.DAY, kind="stable").reset_index()


def _gated_channels(gating: Gating) -> set[str]:
    """Return the channels on which every kept cell passed a gate."""
    path, channels = gating.kept, set()
    while path != "root":
        channels |= {d.channel for d in getattr(gating.regions.get(path), "dims", ())}
        path = gating.parents[path]
    return channels


def _steps(events: Events) -> pd.DataFrame:
    """Return one row a cleaning step of one sample."""
    version = metadata.version("cytof")
    rows = [
        (str(s["step"]), canonical_json({events.sample_id: {k: v for k, v in s.items() if k != "step"}}), "", version)
        for s in events.steps
    ]
    return pd.DataFrame(rows, columns=list(Tables.STEPS), dtype=str)


def _tables(parts: Sequence[_Part], dropped: list[tuple[str, ...]]) -> dict[str, Any]:
    panel = pd.concat([p.tables["panel"] for p in parts]).drop_duplicates(["channel", "antigen"])
    warnings = _concat([p.tables["warnings"] for p in parts], Tables.WARNINGS)
    if dropped:
        warnings = pd.concat([warnings, pd.DataFrame(dropped, columns=list(Tables.WARNINGS))], ignore_index=True)
    steps = _concat([p.tables["steps"] for p in parts], Tables.STEPS)
    merged = [
        (
            step,
            canonical_json({k: v for text in rows["params"] for k, v in json.loads(text).items()}),
            "",
            rows["version"].iloc[0],
        )
        for step, rows in steps.groupby("step", sort=False)
    ]
    return {
        "schema": SCHEMA,
        "panel": panel.reset_index(drop=True),
        **{key: parts[0].tables[key] for key in ("gates", "car_gate", "kept")},
        "counts": _concat([p.tables["counts"] for p in parts], Tables.COUNTS),
        "thresholds": _concat([p.tables["thresholds"] for p in parts], Tables.THRESHOLDS),
        "blanks": _concat([p.tables["blanks"] for p in parts], Tables.BLANKS),
        "warnings": warnings,
        "steps": pd.DataFrame(merged, columns=list(Tables.STEPS), dtype=str),
    }


def _concat(tables: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    tables = [t for t in tables if len(t)]
    if not tables:
        return pd.DataFrame(columns=list(columns), dtype=str)
    return pd.concat(tables, ignore_index=True)
