"""The chapters of report.html, in the order in which a reader asks: the answer first, then how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof.keys import UNS, Obs
from cytof.report._cleaning import agreement, agreement_words, limits_table
from cytof.report._clusters import cluster_tables, cluster_words
from cytof.report._host import apart, host_dn_words
from cytof.report._html import Chapter, Item, figure_item, table_item
from cytof.report._legends import steps_of
from cytof.report._tables import line_thresholds
from cytof.report._worries import sample_worries, worries

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.report._figures import Drawn
    from cytof.report._tables import StudyTables

__all__ = ["answer", "chapters"]

_SHARES = ("fraction", "ci_low", "ci_high", "band_low", "band_high", "fraction_left", "fraction_of_parent", "frequency")


def chapters(
    adata: AnnData, made: StudyTables, drawn: Sequence[Drawn], *, waterfall: pd.DataFrame | None = None,
    provenance: Mapping[str, Any] | None = None, methods: Sequence[str] = (),
) -> list[Chapter]:  # fmt: skip
    """Return the chapters of the page.

    Parameters
    ----------
    adata
        Cells of the study.
    made
        Tables of the figures.
    drawn
        Figures, drawn or skipped.
    waterfall
        Events left after each cleaning step.
    provenance
        ``study inputs failed versions`` as the pipeline collects them.
    methods
        Paragraphs of the methods text.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> [c.id for c in chapters(cells, study_tables(cells), [])][:3]
    ['summary', 'quality', 'gates']
    """
    figures = {d.name: figure_item(d) for d in drawn}
    home, steps = adata.uns.get(UNS, {}), steps_of(adata)
    agreed = agreement(steps)
    found = [
        Chapter(
            "summary", "Summary", answer=answer(made), cards=_cards(adata, made), texts=_arms_words(made),
            worries=worries(adata, made, drawn, (provenance or {}).get("failed", {})),
            items=_pick(figures, "persistence"),
        ),
        Chapter("quality", "Quality of the samples", items=[
            *_table("Samples", _per_sample(adata, waterfall), flag="worries"),
            *_table("Warnings and notes", home.get("warnings"), folded=True),
            *_pick(figures, "waterfall"), *_table("Events left", waterfall, folded=True),
            *_table("What each limit of the clean-up takes out alone", limits_table(steps, waterfall), folded=True),
            *_table("The automatic clean-up beside the imported gates", agreed, folded=True)],
            texts=agreement_words(agreed)),
        Chapter("gates", "Gates and thresholds", items=[
            *_pick(figures, "thresholds"), *_pick(figures, "gate_sensitivity"),
            *[figures[n] for n in figures if n.startswith("gates_")],
            *_table("Events in each gate", _wide_counts(home.get("counts"), made)),
            *_table("Thresholds", line_thresholds(adata), flag="flag", folded=True),
            *_table("Events in each gate, percent of parent", home.get("counts"), folded=True),
            *_table("Blanks of the CAR gate", home.get("blanks"), folded=True)]),
        Chapter("clusters", "Clusters", items=[
            *_pick(figures, "figure4a", "som_tree", "delta_area", "nrs"),
            *[i for title, t in cluster_tables(adata).items()
              for i in _table(title, t, folded=not title.startswith("Names"))],
            *_table("Profile of the clusters", made.tables.get("profile"), folded=True)], texts=cluster_words(adata)),
        Chapter("map", "Map", items=_pick(figures, "figure4b", "map_density", "supplement4")),
        Chapter("tracking", "Tracking over the visits", items=[
            *_pick(figures, "figure4c", "cluster_flow", "cluster_frequencies", "shares_trend", "concordance"),
            *_table("Abundance", made.tables.get("persistence")),
            *_table("Persistence: peak, last detection, area, half-life", made.tables.get("courses")),
            *_table("CyTOF beside transgene copies", made.tables.get("concordance"), folded=True),
            *_table("Subsets", made.tables.get("subsets"), folded=True),
            *_table("Subsets of host T cells", made.tables.get("host_subsets"), folded=True),
            *_table("Double negative cells: clusters and proliferation", made.tables.get("safety"), folded=True),
            *_table("Gated subsets that their clusters do not share", apart(made), folded=True),
            *_table("Clusters of each subset", made.tables.get("make_up"), folded=True),
            *_table("Clusters of each sample", made.tables.get("clusters"), folded=True)],
            texts=host_dn_words(adata, made)),
        Chapter("comparisons", "Comparisons", items=[
            *_pick(figures, "figure4d"),
            *_table("Tests over the visits", made.tables.get("violins_tests"), folded=True),
            *_pick(figures, "figure4e", "host_change"),
            *_table("Tests of CAR T against host T", made.tables.get("arms_tests"), folded=True),
            *_table("Change of CAR T beside the change of host T", made.tables.get("host_change"), folded=True),
            *_table("Trend of the shares over the days", made.tables.get("shares_trend"), folded=True),
            *_table("Shares of subsets over the visits", made.tables.get("shares_tests"), folded=True),
            *_pick(figures, "supplement5", "supplement6", "samples_mds")]),
        Chapter("methods", "Methods", texts=methods),
        Chapter("provenance", "Provenance", items=_provenance(adata, provenance or {})),
    ]  # fmt: skip
    return [c for c in found if c.items or c.texts or c.id in ("summary", "quality", "gates")]


def _pick(figures: Mapping[str, Item], *names: str) -> list[Item]:
    return [figures[n] for n in names if n in figures]


def _table(title: str, table: pd.DataFrame | None, *, flag: str | None = None, folded: bool = False) -> list[Item]:
    if table is None or not len(table):
        return []
    empty = [c for c in table.columns if table[c].isna().all() or (table[c].astype(str).str.strip() == "").all()]
    table = table.drop(columns=empty)
    flag = flag if flag in table else None
    return [table_item(title, table, folded=folded, flag=flag, percent=[c for c in _SHARES if c in table])]


def _percent(share: float) -> str:
    return "n/a" if share != share else f"{share * 100:.3g} %"


def answer(made: StudyTables) -> str:
    """Return the first sentence of the report: was the population there, how much, and of which subsets.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> answer(study_tables(cells)).split(":")[0]
    'No gates were set'
    """
    scope, table = made.scope, made.tables.get("persistence")
    if table is None and scope.gate == "root":
        return f"No gates were set: {scope.cells.n_obs:,} cells of the files were taken as they are."
    if table is None:
        return f"The share of {scope.name} could not be computed: {made.missing.get('persistence', 'no table')}."
    of = str(table["denominator"].iloc[0])
    if not _is_course(table):
        return f"{_found_where(made, table)}: {_range_words(table, of)}. {_no_course(table)}"
    last = table.iloc[-1]
    visit = str(last["timepoint"] or last["sample_id"])
    share = (
        f"{_percent(last['fraction'])} of {of} cells at {visit} "
        f"(95 % interval {_percent(last['ci_low'])} to {_percent(last['ci_high'])}, {int(last['n']):,} cells)"
    )
    return f"{_found_where(made, table)}: {share}. {_subset_words(made)}".strip()


def _found_where(made: StudyTables, table: pd.DataFrame) -> str:
    name = made.scope.name
    if not made.scope.car:
        return f"The template has no CAR gate. {name[:1].upper()}{name[1:]}"
    called = table["call"].astype(str)
    known = called.ne("").any()
    hits = int(called.isin(["detected", "below LOQ"]).sum() if known else (table["n"] > 0).sum())
    where = "every sample" if hits == len(table) else f"{hits} of {len(table)} samples"
    return f"CAR T cells {'were detected' if known else 'were found'} in {where}"


def _is_course(table: pd.DataFrame) -> bool:
    """Tell whether the rows are visits of one patient, one sample a visit: only then is there a first and a last."""
    visits = table["timepoint"].astype(str).where(table["timepoint"].astype(str) != "", table["sample_id"].astype(str))
    return table["patient_id"].nunique() <= 1 and visits.is_unique


def _range_words(table: pd.DataFrame, of: str) -> str:
    low, high = table.loc[table["fraction"].idxmin()], table.loc[table["fraction"].idxmax()]
    return (
        f"from {_percent(low['fraction'])} ({low['sample_id']}) to {_percent(high['fraction'])} ({high['sample_id']}) "
        f"of {of} cells"
    )


def _no_course(table: pd.DataFrame) -> str:
    n = table["patient_id"].nunique()
    why = f"{n} patients" if n > 1 else "several samples of one visit"
    return f"The samples are of {why}, so they are no course in time; each stands in the table below."


def _subset_words(made: StudyTables) -> str:
    table = made.tables.get("subsets")
    if table is None:
        return ""
    last = table[table["sample_id"] == table["sample_id"].iloc[-1]].sort_values(
        "fraction", ascending=False, kind="stable"
    )
    parts = [f"{r.population} {_percent(r.fraction)}" for r in last.itertuples() if r.fraction == r.fraction]
    return f"Of these, {', '.join(parts)}." if parts else ""


def _cards(adata: AnnData, made: StudyTables) -> list[dict[str, str]]:
    scope = made.scope
    cards = [
        {"value": f"{len(scope.samples):,}", "name": _plural(len(scope.samples), "sample")},
        {"value": f"{len(scope.patients) or 1:,}", "name": _plural(len(scope.patients) or 1, "patient")},
        {"value": f"{scope.cells.n_obs:,}", "name": scope.name},
    ]
    table = made.tables.get("persistence")
    course = table is not None and len(table) > 1 and _is_course(table)
    for row in (table.iloc[[0, -1]] if course and table is not None else pd.DataFrame()).itertuples():
        call = f", {row.call}" if str(row.call or "") else ""
        cards.append(
            {"value": _percent(row.fraction), "name": f"of {row.denominator} at {row.timepoint or row.sample_id}{call}"}
        )
    if "profile" in made.tables:
        cards.append({"value": str(made.tables["profile"]["cluster"].nunique()), "name": "clusters"})
    return cards


def _plural(n: int, word: str) -> str:
    return word if n == 1 else f"{word}s"


def _arms_words(made: StudyTables) -> list[str]:
    """Return one sentence on CAR T against host T, from the test table."""
    tests = made.tables.get("arms_tests")
    if tests is None:
        return []
    up = [str(m) for m in tests[(tests["q"] < 0.05) & (tests["cliffs_delta"] > 0.147)]["marker"]]
    down = [str(m) for m in tests[(tests["q"] < 0.05) & (tests["cliffs_delta"] < -0.147)]["marker"]]
    parts = [f"higher: {', '.join(up)}"] * bool(up) + [f"lower: {', '.join(down)}"] * bool(down)
    visit = tests["subset"].iloc[0]
    said = "; ".join(parts) or "no marker differs by more than a negligible effect"
    return [f"CAR T against host T cells at {visit} (q < 0.05 and |Cliff's delta| > 0.147): {said}."]


def _per_sample(adata: AnnData, waterfall: pd.DataFrame | None) -> pd.DataFrame:
    """Return one row a sample: events, cells kept, warnings, notes and flags in words."""
    home = adata.uns.get(UNS, {})
    visits = [c for c in (Obs.SAMPLE, Obs.PATIENT, Obs.TIMEPOINT, Obs.DAY, Obs.BATCH) if c in adata.obs]
    table = adata.obs[visits].drop_duplicates(Obs.SAMPLE).astype({Obs.SAMPLE: str}).reset_index(drop=True)
    if Obs.DAY in table:
        table = table.sort_values(Obs.DAY, kind="stable")
    names = table[Obs.SAMPLE]
    if waterfall is not None and len(waterfall):
        first = waterfall.drop_duplicates("sample_id").set_index("sample_id")["n_left"]
        cleaned = waterfall[waterfall["step"] != "all events"]  # where no step ran, nothing is known to be intact
        last = cleaned.drop_duplicates("sample_id", keep="last").set_index("sample_id")["fraction_left"]
        table["events"] = names.map(first).to_numpy()
        table["intact live, %"] = (names.map(last) * 100).round(1).to_numpy()
    table["cells kept"] = names.map(adata.obs[Obs.SAMPLE].astype(str).value_counts()).to_numpy()
    warned = home.get("warnings")
    for level in ("warning", "note"):
        rows = warned[warned["level"].astype(str) == level] if warned is not None and len(warned) else None
        each = rows["sample_id"].astype(str).value_counts() if rows is not None else pd.Series(dtype=int)
        table[f"{level}s"] = names.map(each).fillna(0).astype(int).to_numpy()
    thresholds = line_thresholds(adata)
    table["worries"] = [sample_worries(home, thresholds, n) for n in names]
    return table


def _wide_counts(counts: pd.DataFrame | None, made: StudyTables) -> pd.DataFrame | None:
    """Return events of each gate (rows, indented by their last name) in each sample (columns)."""
    if counts is None or not len(counts):
        return None
    table = counts.astype({"sample_id": str, "gate": str})
    wide = table.pivot_table(index="gate", columns="sample_id", values="n", aggfunc="first", sort=False)
    order = [s for s in made.scope.samples if s in wide] or list(wide)
    wide = wide[order].reset_index()
    depth = wide["gate"].str.count("/")
    wide["gate"] = ["\u00a0" * 3 * d + g.rsplit("/", 1)[-1] for d, g in zip(depth, wide["gate"], strict=True)]
    return wide.rename_axis(None, axis=1)


def _provenance(adata: AnnData, provenance: Mapping[str, Any]) -> list[Item]:
    inputs = [
        {"sample_id": s, "file": i.get("file", ""), "bytes": i.get("bytes", 0), "sha256": i.get("sha256", "")}
        for s, i in dict(provenance.get("inputs", {})).items()
    ]
    versions = [{"name": n, "version": str(v)} for n, v in dict(provenance.get("versions", {})).items()]
    steps = [
        {"step": step, "parameters": "; ".join(f"{k} = {_short(v)}" for k, v in params.items())}
        for step, params in _told(steps_of(adata)).items()
    ]
    return [
        *_table("Input files", pd.DataFrame(inputs)),
        *_table("Steps that ran, with parameters and seeds", pd.DataFrame(steps)),
        *_table("Versions", pd.DataFrame(versions), folded=True),
    ]


def _told(steps: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a table of its own shows: curves over time and the comparison with imported gates."""
    short = {s: dict(p) for s, p in steps.items() if s != "against_manual"}
    for of in short.values():
        for sample, record in of.items():
            if isinstance(record, Mapping) and "curve" in record.get("params", {}):
                params = {k: v for k, v in record["params"].items() if k != "curve"}
                of[sample] = {**record, "params": params}
    return short


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_short(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
