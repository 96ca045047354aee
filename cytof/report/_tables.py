"""The tables behind Figure 4 and its company, all made here once; drawing and legends read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from cytof import compare, track
from cytof.errors import CytofError
from cytof.keys import OBSM, UNS, Obs, Var
from cytof.plot import in_order
from cytof.track import default_markers, levels

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

__all__ = [
    "ARMS", "Scope", "Settings", "StudyTables", "attempt", "flags", "line_thresholds", "scope_of", "study_tables",
]  # fmt: skip

ARMS = {"CAR+": "CAR T", "CAR-": "Host T"}
"""Names of the two arms in the figures."""


@dataclass(frozen=True)
class Settings:
    """What the figures show.

    Examples
    --------
    >>> Settings().groupby
    'flowsom'
    """

    groupby: str = Obs.FLOWSOM
    over_time: tuple[str, ...] = ("Ki67", "HLA-DR", "CCR7", "GZMB", "PD-1")
    against_host: tuple[str, ...] = ("Ki67", "GZMB", "CD107a", "PD-1", "CD57")
    drawn_subsets: tuple[str, ...] = ("CD4", "CD8", "DN")
    basis: str = OBSM.TSNE
    random_state: int = 0


@dataclass(frozen=True)
class Scope:
    """Which cells the figures are about: CAR T cells, or what was kept where the template has no CAR gate."""

    cells: AnnData
    car: bool
    gate: str
    name: str
    visit: str
    visits: tuple[str, ...]
    samples: tuple[str, ...]
    patients: tuple[str, ...]


@dataclass(frozen=True)
class StudyTables:
    """Tables by name (``profile map subsets make_up clusters ...``) and, for those that are not there, why."""

    scope: Scope
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)


def scope_of(adata: AnnData) -> Scope:
    """Return the cells the figures are about.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"sample_id": ["a", "a"], "car": [True, False]}, index=["1", "2"])
    >>> scope = scope_of(anndata.AnnData(np.zeros((2, 1), np.float32), obs=obs))
    >>> scope.name, scope.cells.n_obs, scope.visits
    ('CAR T cells', 1, ('a',))
    """
    obs = adata.obs
    home = adata.uns.get(UNS, {})
    car = Obs.CAR in obs and bool(obs[Obs.CAR].any() or home.get("car_gate", ""))
    kept = str(home.get("kept") or _kept_gate(adata))
    cells = adata[obs[Obs.CAR].to_numpy(bool)].copy() if car else adata
    by_time = Obs.TIMEPOINT in obs and obs[Obs.TIMEPOINT].astype(str).str.strip().ne("").all()
    visit = Obs.TIMEPOINT if by_time else Obs.SAMPLE
    named = {
        name: tuple(str(v) for v in levels(adata, name)) if name in obs else ()
        for name in {visit, Obs.SAMPLE, Obs.PATIENT}
    }
    name = "CAR T cells" if car else (f"{kept.rsplit('/', 1)[-1]} cells" if kept != "root" else "cells")
    return Scope(
        cells,
        car,
        (str(home.get("car_gate") or "CAR+")) if car else kept,
        name,
        visit,
        named[visit],
        named[Obs.SAMPLE],
        named.get(Obs.PATIENT, ()),
    )


def _kept_gate(adata: AnnData) -> str:
    """Return the deepest gate that all cells passed, ``root`` without gates."""
    if Obs.GATE not in adata.obs or not adata.n_obs:
        return "root"
    paths = [str(p).split("/") for p in adata.obs[Obs.GATE].dropna().unique()]
    common: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common) or "root"


def flags(table: pd.DataFrame) -> pd.Series:
    """Return the column ``flag`` as text, empty where nothing is flagged (``ok`` or missing).

    Examples
    --------
    >>> import pandas as pd
    >>> flags(pd.DataFrame({"flag": ["ok", None, "shallow valley"]})).tolist()
    ['', '', 'shallow valley']
    """
    found = table["flag"].astype(object).where(table["flag"].notna(), "").astype(str).str.strip()
    return found.where(found != "ok", "")


def line_thresholds(adata: AnnData) -> pd.DataFrame:
    """Return the thresholds that are one number on one channel, each once, by gate or, in quadrants, by antigen.

    Returns
    -------
    DataFrame ``sample_id gate antigen channel method value low high flag``; ``gate`` is the gate's last name, for gates
    on two channels the antigen's, and quadrants that share a threshold share a row.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32))
    >>> line_thresholds(cells).empty
    True
    """
    import pandas as pd

    columns = ["sample_id", "gate", "antigen", "channel", "method", "value", "low", "high", "flag"]
    table = adata.uns.get(UNS, {}).get("thresholds")
    if table is None or "value" not in table:
        return pd.DataFrame(columns=columns)
    table = table[table["value"].astype(float).notna()].copy()
    table["flag"] = flags(table)
    named = dict(zip(adata.var.get(Var.CHANNEL, pd.Series(dtype=str)).astype(str), adata.var_names, strict=False))
    table["antigen"] = [named.get(str(c), str(c)) for c in table["channel"]]
    several = table.groupby(["sample_id", "gate"], observed=True)["channel"].transform("nunique") > 1
    last = table["gate"].astype(str).str.rsplit("/").str[-1]
    table["gate"] = last.where(~several, table["antigen"])
    return table.drop_duplicates(["sample_id", "gate", "channel", "value", "low", "high"])[columns].reset_index(
        drop=True
    )


def study_tables(adata: AnnData, settings: Settings | None = None) -> StudyTables:
    """Make every table that the figures draw; a table that cannot be made is missing, with the reason.

    Parameters
    ----------
    adata
        Cells of a study with gate counts, clusters and a map.
    settings
        What to show.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> obs = pd.DataFrame({"sample_id": ["a", "a"], "flowsom": ["1", "2"]}, index=["1", "2"])
    >>> cells = anndata.AnnData(np.eye(2, dtype=np.float32), obs=obs, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> made = study_tables(cells)
    >>> made.tables["profile"]["n"].sum(), made.missing["map"]
    (np.int64(4), 'no map `X_tsne`, found none')
    """
    settings = settings or Settings()
    scope = scope_of(adata)
    made = StudyTables(scope)
    cells, groupby = scope.cells, settings.groupby
    attempt(made, "profile", lambda: _profile(cells, groupby))
    if "profile" in made.tables:
        attempt(made, "trees", lambda: _trees(made.tables["profile"]))
    attempt(made, "map", lambda: _map(made, settings))
    attempt(made, "markers_map", lambda: _marker_map(made, settings))
    attempt(made, "subsets", lambda: track.subsets(adata, of=scope.gate))
    attempt(made, "make_up", lambda: track.composition(cells, groupby=groupby))
    attempt(made, "clusters", lambda: track.composition(cells, groupby=groupby, within=Obs.SAMPLE))
    _over_time(made, settings)
    _against_host(adata, made, settings)
    _beside_host(adata, made, settings)
    denominator = next((g for g in ("CD45+", "live", "singlets", "cells") if _has_one(adata, g)), "root")
    if scope.gate == "root":
        made.missing["persistence"] = "without gates there is nothing to take a share of"
    else:
        attempt(made, "persistence", lambda: track.abundance(adata, population=scope.gate, of=denominator))
        attempt(made, "courses", lambda: track.persistence(made.tables["persistence"], adata))
        attempt(made, "measured", lambda: track.courses(made.tables["persistence"], adata))
        attempt(made, "concordance", lambda: track.concordance(made.tables["persistence"], adata))
    attempt(made, "host_subsets", lambda: track.subsets(adata, of="CAR-"))
    attempt(made, "safety", lambda: track.safety(cells, groupby=groupby))
    attempt(made, "disagreement", lambda: track.disagreement(cells, groupby=groupby))
    for name in ("subsets", "persistence"):
        if name in made.tables:  # gates by their last name, as a reader knows them
            table = made.tables[name]
            made.tables[name] = table.assign(
                **{c: table[c].astype(str).str.rsplit("/").str[-1] for c in ("population", "denominator")}
            )
    return made


def _has_one(adata: AnnData, gate: str) -> bool:
    counts = adata.uns.get(UNS, {}).get("counts")
    if counts is None:
        return False
    paths = counts["gate"].astype(str)
    return paths[(paths == gate) | paths.str.endswith(f"/{gate}")].nunique() == 1


def attempt(made: StudyTables, name: str, make: object) -> None:
    """Keep a table, or the message of why there is none: one figure that cannot be drawn stops no other.

    Examples
    --------
    >>> made = StudyTables(None)
    >>> attempt(made, "counts", lambda: {"a": 1})
    >>> sorted(made.tables)
    ['counts']
    """
    try:
        table = make()  # type: ignore[operator]
    except CytofError as error:
        made.missing[name] = error.message
        return
    if table is None or not len(table):
        made.missing.setdefault(name, f"there are no {made.scope.name}")
    else:
        made.tables[name] = table


def _profile(cells: AnnData, groupby: str) -> pd.DataFrame:
    """Return the profile with the class of each marker."""
    table = track.profile(cells, groupby=groupby)
    if Var.MARKER_CLASS in cells.var:
        table["class"] = table["marker"].map(cells.var[Var.MARKER_CLASS].astype(str))
    return table


def _trees(profile: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([track.dendrogram(profile, axis) for axis in ("cluster", "marker")], ignore_index=True)


def _map(made: StudyTables, settings: Settings) -> pd.DataFrame:
    wanted = dict.fromkeys([Obs.SAMPLE, made.scope.visit, settings.groupby, Obs.SUBSET])
    columns = [c for c in wanted if c in made.scope.cells.obs]
    return track.map(made.scope.cells, basis=settings.basis, columns=columns, random_state=settings.random_state)


def _marker_map(made: StudyTables, settings: Settings) -> pd.DataFrame:
    """Return places and, for each marker, arcsinh values scaled between the 1st and 99th percentile of mapped cells."""
    markers = default_markers(made.scope.cells)
    table = track.map(made.scope.cells, basis=settings.basis, columns=markers, random_state=settings.random_state)
    for marker in markers:
        x = table[marker].to_numpy(float)
        low, high = np.nanpercentile(x, [1, 99]) if len(x) and np.isfinite(x).any() else (0.0, 1.0)
        table[marker] = np.clip((x - low) / (high - low if high > low else 1.0), 0, 1).round(4)
    return table


def _present(adata: AnnData, wanted: Sequence[str], made: StudyTables, figure: str) -> list[str]:
    made.left_out[figure] = [m for m in wanted if m not in adata.var_names]
    return [m for m in wanted if m in adata.var_names]


def _over_time(made: StudyTables, settings: Settings) -> None:
    """Distributions and tests of D: markers x subsets over the visits."""
    scope = made.scope
    markers = _present(scope.cells, settings.over_time, made, "violins")
    if not markers:
        made.missing["violins"] = f"the panel has none of {', '.join(settings.over_time)}"
        return
    if Obs.SUBSET not in scope.cells.obs or scope.cells.obs[Obs.SUBSET].isna().all():
        made.missing["violins"] = "no cell has a subset (CD4, CD8, DN)"
        return
    chosen = scope.cells.obs[Obs.SUBSET].astype(str).isin(settings.drawn_subsets).to_numpy()
    cells = scope.cells[chosen, markers].copy()
    attempt(made, "violins", lambda: track.distributions(cells, markers=markers, by=scope.visit, within=Obs.SUBSET))
    if len(in_order(cells.obs[scope.visit])) > 1:
        first = levels(cells, scope.visit)[0]
        attempt(made, "violins_tests", lambda: compare.markers(
            cells, by=scope.visit, reference=first, within=Obs.SUBSET, markers=markers))  # fmt: skip


def _against_host(adata: AnnData, made: StudyTables, settings: Settings) -> None:
    """Distributions and tests of E: CAR T against host T at the last visit that has CAR T cells."""
    if not made.scope.car:
        made.missing["arms"] = "the gating template has no CAR gate, so there is no host arm to compare with"
        return
    markers = _present(adata, settings.against_host, made, "arms")
    visits = levels(made.scope.cells, made.scope.visit) if made.scope.cells.n_obs else []
    if not markers or not visits:
        made.missing["arms"] = "there are no CAR T cells" if markers else "the panel has none of the markers"
        return
    last = (adata.obs[made.scope.visit] == visits[-1]).to_numpy()
    cells = adata[last, markers].copy()
    if cells.obs[Obs.CAR].all():
        made.missing["arms"] = f"there are no host T cells at {visits[-1]}"
        return
    cells.obs[made.scope.visit] = str(visits[-1])
    attempt(made, "arms", lambda: track.distributions(cells, markers=markers, by=Obs.CAR, within=made.scope.visit))
    attempt(made, "arms_tests", lambda: compare.markers(
        cells, by=Obs.CAR, reference=False, within=made.scope.visit, markers=markers))  # fmt: skip
    if "arms" in made.tables:
        made.tables["arms"]["group"] = made.tables["arms"]["group"].map(lambda g: ARMS.get(g, g))


def _beside_host(adata: AnnData, made: StudyTables, settings: Settings) -> None:
    """Tests beside D and E: the change of CAR T beside that of host T cells, and of the shares of subsets."""
    scope = made.scope
    markers = [m for m in dict.fromkeys((*settings.over_time, *settings.against_host)) if m in adata.var_names]
    if len(scope.visits) < 2 or scope.visit != Obs.TIMEPOINT:
        return
    if markers and scope.car and not adata.obs[Obs.CAR].all():
        attempt(made, "host_change", lambda: compare.difference_of_differences(adata, markers=markers))
    if "subsets" in made.tables and made.tables["subsets"][Obs.PATIENT].astype(str).str.strip().ne("").all():
        attempt(made, "shares_tests", lambda: compare.abundance(made.tables["subsets"]))
        attempt(made, "shares_trend", lambda: compare.trend(made.tables["subsets"]))
