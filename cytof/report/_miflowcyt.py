"""The MIFlowCyt checklist of a study, filled from files, panel and gates; what no file tells is marked TO FILL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cytof.keys import UNS, Obs, Var
from cytof.report._legends import steps_of

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from cytof.report._tables import StudyTables

__all__ = ["GAP", "checklist"]

GAP = "**TO FILL**"
"""What stands where a person has to write."""


def checklist(adata: AnnData, made: StudyTables, provenance: Mapping[str, Any] | None = None) -> str:
    """Return the checklist as Markdown, by the numbers of the standard.

    Parameters
    ----------
    adata
        Cells of the study, with panel, gate counts and thresholds in ``uns["cytof"]``.
    made
        Tables of the figures.
    provenance
        ``inputs`` (sample -> ``file sha256 events channels``, ``instrument`` of :func:`cytof.io.instrument`),
        ``reagents`` (antigen -> ``clone supplier catalogue dilution``) and ``versions``.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> checklist(cells, study_tables(cells)).splitlines()[0]
    '## MIFlowCyt checklist'

    Source: Lee et al. 2008, Cytometry A 73:926 (MIFlowCyt 1.0).
    """
    home, steps = adata.uns.get(UNS, {}), steps_of(adata)
    story = dict(provenance or {})
    lines = [
        "## MIFlowCyt checklist", "",
        f"After Lee JA et al. Cytometry A 2008;73:926-930. {GAP} marks what the files do not tell.", "",
        "### 1 Experiment", "", *_rows(_experiment(made)), "",
        "### 2 Samples and reagents", "", *_rows(_samples(adata, home)), "",
        "#### Reagents", "", *_reagents(home.get("panel"), adata, dict(story.get("reagents", {}))), "",
        "### 3 Instrument", "", *_rows(_instrument(story)), "",
        "### 4 Data analysis", "", *_rows(_analysis(adata, steps)), "",
        "#### Files", "", *_files(adata, story), "",
        "#### Gates", "", *_gates(home),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _rows(pairs: list[tuple[str, str, str]]) -> list[str]:
    return ["| item | | entry |", "|---|---|---|", *(f"| {n} | {what} | {said} |" for n, what, said in pairs)]


def _safe(value: object) -> str:
    """Return text that stays within a cell of a Markdown table."""
    text = " ".join(str(value).split())
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return text


def _experiment(made: StudyTables) -> list[tuple[str, str, str]]:
    scope = made.scope
    visits = f"{len(scope.samples)} samples of {len(scope.patients) or 1} patient(s); visits: {', '.join(scope.visits)}"
    return [
        ("1.1", "purpose", GAP), ("1.2", "keywords", f"mass cytometry, {_safe(scope.name)}"),
        ("1.3", "variables", _safe(visits)), ("1.4", "organisation", GAP), ("1.5", "primary contact", GAP),
        ("1.6", "date", GAP), ("1.7", "conclusions", GAP),
        ("1.8", "quality control", "see report.html, chapter `Quality of the samples`"),
    ]  # fmt: skip


def _samples(adata: AnnData, home: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    conditions = _levels(adata, Obs.CONDITION)
    blanks = home.get("blanks")
    kinds = sorted({str(b) for b in blanks["blank"]}) if blanks is not None and len(blanks) else []
    return [
        ("2.1.1", "material", f"{GAP} (tissue, collection, anticoagulant)"), ("2.1.2", "organism", GAP),
        ("2.1.3", "treatment or condition", _safe(conditions) or GAP),
        ("2.2", "sample preparation", f"{GAP} (freezing, fixation, barcoding)"),
        ("2.3", "staining", f"{GAP} (clones, dilutions, lots: table below)"),
        ("2.4", "controls", f"cells that cannot be positive, counted in the CAR gate: {_safe(', '.join(kinds))}"
         if kinds else GAP),
    ]  # fmt: skip


def _levels(adata: AnnData, column: str) -> str:
    if column not in adata.obs:
        return ""
    return ", ".join(v for v in map(str, adata.obs[column].dropna().unique()) if v.strip())


_NO_REAGENT = ("time", "event_length", "gaussian", "bead")


def _reagents(panel: pd.DataFrame | None, adata: AnnData, told: Mapping[str, Any]) -> list[str]:
    """Return a row a stain: antigen, metal and mass; clone, source and dilution where the panel has them."""
    table = panel if panel is not None and len(panel) else adata.var.reset_index(names="antigen")
    lines = ["| antigen | metal | clone | supplier, catalogue number | dilution |", "|---|---|---|---|---|"]
    for row in table.to_dict("records"):
        metal, mass = str(row.get(Var.METAL, "") or ""), row.get(Var.MASS)
        label = f"{mass:.0f}{metal}" if isinstance(mass, int | float) and mass == mass else metal
        role, kind = row.get(Var.ROLE), row.get(Var.MARKER_CLASS, "none")
        if role in _NO_REAGENT or (role == "none" and kind == "none"):
            continue
        antigen = str(row.get("antigen", ""))
        own = dict(told.get(antigen, {}))
        source = ", ".join(own[k] for k in ("supplier", "catalogue") if k in own)
        cells = (antigen, label, own.get("clone", ""), source, own.get("dilution", ""))
        lines.append(f"| {' | '.join(_safe(c) or GAP for c in cells)} |")
    return lines


def _instrument(story: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    inputs = [dict(i) for i in dict(story.get("inputs", {})).values()]

    def said(name: str) -> str:
        return _safe(", ".join(sorted({str(i.get("instrument", {}).get(name, "")) for i in inputs} - {""})))

    channels = sorted({int(i["channels"]) for i in inputs if "channels" in i})
    normal = {"true": "yes", "false": "no"}.get(said("normalized"), said("normalized"))
    return [
        ("3.1", "manufacturer", said("manufacturer") or GAP),
        ("3.2", "model", said("model") or f"{GAP} (keyword `$CYT` of the files, where it is set)"),
        ("3.2", "serial number", said("serial") or f"{GAP} (keyword `$CYTSN`)"),
        ("3.3", "acquisition software", said("software") or GAP),
        ("3.3", "channels acquired", ", ".join(map(str, channels)) or GAP),
        ("3.3", "normalised as it was acquired", normal or GAP),
        ("3.3", "settings", f"{GAP} (tuning, push length, flow rate)"),
    ]


def _analysis(adata: AnnData, steps: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    home, own = adata.uns.get(UNS, {}), adata.var.get(Var.COFACTOR, [])
    factors = steps.get("arcsinh", {}).get("cofactor", []) or sorted({float(f) for f in own if f == f})
    scale = f"arcsinh(x / {', '.join(f'{float(f):g}' for f in factors)})" if factors else GAP
    spill = "spillover matrix, see methods" if "spill" in " ".join(steps) else "none"
    gates = "tables below; each sample's gates as Gating-ML 2.0 in `gated/`" if _has(home.get("thresholds")) else GAP
    return [
        ("4.1", "list-mode files", f"table below; repository: {GAP}"),
        ("4.2", "compensation", spill),
        ("4.3", "transformation", scale),
        ("4.4", "gating", gates),
    ]


def _has(table: pd.DataFrame | None) -> bool:
    return table is not None and len(table) > 0


def _files(adata: AnnData, story: Mapping[str, Any]) -> list[str]:
    kept = adata.obs[Obs.SAMPLE].astype(str).value_counts()
    lines = ["| sample | file | SHA-256 | events | cells kept |", "|---|---|---|---|---|"]
    inputs = dict(story.get("inputs", {}))
    for sample in inputs or kept.index:
        of = inputs.get(sample, {})
        events = f"{int(of['events']):,}" if "events" in of else GAP
        left = f"{int(kept.get(str(sample), 0)):,}"
        cells = (_safe(sample), _safe(of.get("file", "")), of.get("sha256", ""), events, left)
        lines.append(f"| {' | '.join(c or GAP for c in cells)} |")
    return lines


def _gates(home: Mapping[str, Any]) -> list[str]:
    counts = home.get("counts")
    if not _has(counts):
        return [f"No gates were set. {GAP}"]
    assert counts is not None
    totals = counts.astype({"gate": str}).groupby("gate", sort=False)[["n", "n_parent"]].sum()
    thresholds = home.get("thresholds")
    how = {}
    if _has(thresholds) and thresholds is not None:
        how = thresholds.astype({"gate": str, "method": str}).groupby("gate", sort=False)["method"].first().to_dict()
    lines = ["| gate | method | events, all samples | % of parent |", "|---|---|---|---|"]
    for gate, row in totals.iterrows():
        share = f"{100 * row['n'] / row['n_parent']:.3g}" if row["n_parent"] else ""
        lines.append(f"| {_safe(gate)} | {_safe(how.get(str(gate), ''))} | {int(row['n']):,} | {share} |")
    return lines
