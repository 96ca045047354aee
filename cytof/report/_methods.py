"""methods.md: what ran, in the words of a methods section, with parameters, seeds, versions and references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cytof.keys import UNS, Obs, Var
from cytof.report._cleaning import cleaning_words
from cytof.report._legends import steps_of
from cytof.report._miflowcyt import checklist

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.report._tables import StudyTables

__all__ = ["methods_text", "paragraphs"]

_REFERENCES = {
    "arcsinh": "Bendall SC et al. Science 2011;332:687-696 (arcsinh scale, cofactor 5).",
    "flowsom": "Van Gassen S et al. Cytometry A 2015;87:636-645 (FlowSOM).",
    "consensus": "Wilkerson MD, Hayes DN. Bioinformatics 2010;26:1572-1573 (consensus clustering).",
    "phenograph": "Levine JH et al. Cell 2015;162:184-197 (PhenoGraph).",
    "tsne": "van der Maaten L, Hinton G. J Mach Learn Res 2008;9:2579-2605 (t-SNE).",
    "opentsne": "Poličar PG, Stražar M, Zupan B. J Stat Softw 2024;109(3):1-30 (openTSNE).",
    "fitsne": "Linderman GC et al. Nat Methods 2019;16:243-245 (gradient interpolated on a grid).",
    "interval": "Clopper CJ, Pearson ES. Biometrika 1934;26:404-413 (exact interval of a share).",
    "rank-sum": "Wilcoxon F. Biometrics Bulletin 1945;1:80-83 (rank-sum test).",
    "welch": "Welch BL. Biometrika 1947;34:28-35 (unequal variances).",
    "delta": "Cliff N. Psychol Bull 1993;114:494-509 (Cliff's delta).",
    "bh": "Benjamini Y, Hochberg Y. J R Stat Soc B 1995;57:289-300 (false discovery rate).",
    "beads": "Finck R et al. Cytometry A 2013;83:483-494 (bead normalisation).",
    "spill": "Chevrier S et al. Cell Syst 2018;6:612-620 (spillover of mass cytometry).",
    "barcode": "Zunder ER et al. Nat Protoc 2015;10:316-333 (barcodes, separation and Mahalanobis filter).",
    "openCyto": "Finak G et al. PLoS Comput Biol 2014;10:e1003806 (gating templates).",
}


def paragraphs(
    adata: AnnData, made: StudyTables, provenance: Mapping[str, Any] | None = None
) -> tuple[list[str], list[str]]:
    """Return the paragraphs of the methods text and the references they cite, by what the steps table says.

    Parameters
    ----------
    adata
        Cells; ``uns["cytof"]["steps"]`` lists what ran.
    made
        Tables of the figures, for the tests.
    provenance
        ``versions`` and ``study`` as the pipeline collects them.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import study_tables
    >>> from cytof.transform import record
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> record(cells, "tsne", {"perplexity": 30}, 3)
    >>> text, references = paragraphs(cells, study_tables(cells))
    >>> text[1]
    't-SNE maps were computed with openTSNE (perplexity 30, seed 3) [1, 2].'
    """
    steps, home = steps_of(adata), adata.uns.get(UNS, {})
    cited: list[str] = []

    def cite(*names: str) -> str:
        for name in names:
            if name not in cited:
                cited.append(name)
        return f"[{', '.join(str(cited.index(n) + 1) for n in names)}]"

    text = [_samples(made), _gating(steps, home, cite)]
    text += [_scale(adata, steps, cite)] if "arcsinh" in steps or Var.COFACTOR in adata.var else []
    text += [_clusters(steps, home, cite)] if {"flowsom", "phenograph"} & set(steps) else []
    text += [_map(steps["tsne"], cite)] if "tsne" in steps else []
    text += [_tests(made, cite)] if made.tables.keys() & {"violins_tests", "arms_tests", "persistence"} else []
    text.append(_software(provenance or {}))
    return [t for t in text if t], [_REFERENCES[n] for n in cited]


def methods_text(
    adata: AnnData, made: StudyTables, *, study_name: str, provenance: Mapping[str, Any] | None = None
) -> str:
    """Return methods.md: a paragraph a step, the references, how to cite, and the MIFlowCyt checklist.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> methods_text(cells, study_tables(cells), study_name="Demo").splitlines()[0]
    '# Methods: Demo'
    """
    text, references = paragraphs(adata, made, provenance)
    lines = [f"# Methods: {study_name}", "", "\n\n".join(text), "", "## References", ""]
    lines += [f"{i}. {r}" for i, r in enumerate(references, 1)]
    own = dict((provenance or {}).get("versions", {})).get("cytof", "")
    lines += ["", "## Please cite", "", f"{f'cytof {own}'.strip()}, and the references above, of what ran.", ""]
    return "\n".join(lines) + "\n" + checklist(adata, made, provenance)


def _seed(params: Mapping[str, Any]) -> list[str]:
    return [f"seed {params['random_state']}"] if "random_state" in params else []


def _samples(made: StudyTables) -> str:
    scope = made.scope
    patients = f" of {len(scope.patients)} patient{'s' * (len(scope.patients) != 1)}" if scope.patients else ""
    return (
        f"Mass cytometry files (FCS) of {len(scope.samples)} sample{'s' * (len(scope.samples) != 1)}{patients} were "
        f"analysed; the cells analysed further are {scope.name} (n = {scope.cells.n_obs:,})."
    )


def _gating(steps: Mapping[str, Any], home: Mapping[str, Any], cite: Any) -> str:
    said = cleaning_words(steps, cite)
    said += " " if said else ""
    thresholds = home.get("thresholds")
    if thresholds is None or not len(thresholds):
        return said.strip()
    methods = sorted({str(m) for m in thresholds["method"].dropna()} - {"", "boolean"})
    counts = home.get("counts")
    deepest = max(counts["gate"].astype(str), key=lambda g: g.count("/")) if counts is not None and len(counts) else ""
    path = " > ".join(deepest.split("/")[:-1] or [deepest])
    return (
        f"{said}Populations were gated with a template in the words of openCyto {cite('openCyto')}, along {path}; "
        f"thresholds were placed from the data of all samples ({', '.join(methods)}) and then applied to each file."
    )


def _scale(adata: AnnData, steps: Mapping[str, Any], cite: Any) -> str:
    factors = steps.get("arcsinh", {}).get("cofactor")
    factors = factors or sorted(set(adata.var[Var.COFACTOR].astype(float)))
    said = ", ".join(f"{float(f):g}" for f in factors)
    return f"Counts were transformed with arcsinh(x / cofactor), cofactor {said} {cite('arcsinh')}."


def _clusters(steps: Mapping[str, Any], home: Mapping[str, Any], cite: Any) -> str:
    parts = []
    features = list(home.get("features", []))
    on = f" on {len(features)} markers ({', '.join(map(str, features))})" if features else ""
    if "flowsom" in steps:
        p = steps["flowsom"]
        grid = " x ".join(map(str, p.get("grid", [])))
        said = [f"self-organising map of {grid} nodes"] if grid else []
        said += [f"{p['training']} training"] if "training" in p else []
        said += [f"{p['rlen']} passes over the data"] if "rlen" in p else []
        said += ["samples weighted alike"] if p.get("fit_on") == Obs.WEIGHT else []
        method = cite("flowsom")  # before the consensus: references are numbered as they appear
        if "n_clusters" in p:
            said.append(f"{p['n_clusters']} metaclusters by consensus clustering {cite('consensus')}")
        parts.append(f"Cells were clustered with FlowSOM {method}{on}: {', '.join([*said, *_seed(p)])}.")
    if "phenograph" in steps:
        p = steps["phenograph"]
        said = [f"{p['k']} nearest neighbours"] if "k" in p else []
        parts.append(f"PhenoGraph {cite('phenograph')} was run with {', '.join([*said, *_seed(p)]) or 'its defaults'}.")
    return " ".join(parts)


def _map(params: Mapping[str, Any], cite: Any) -> str:
    said = [f"perplexity {params['perplexity']:g}"] if "perplexity" in params else []
    said += [f"{params['n_iter']} iterations"] if "n_iter" in params else []
    said += [f"{params['gradient']} gradient"] if "gradient" in params else []
    cited = cite("tsne", "opentsne", *(["fitsne"] if params.get("gradient") == "interpolated" else []))
    return f"t-SNE maps were computed with openTSNE ({', '.join([*said, *_seed(params)])}) {cited}."


def _tests(made: StudyTables, cite: Any) -> str:
    parts = []
    if "persistence" in made.tables:
        parts.append(f"Shares are given with exact 95 % intervals {cite('interval')}.")
    tests = made.tables.get("violins_tests", made.tables.get("arms_tests"))
    if tests is not None and tests["p"].notna().any():
        row = tests[tests["p"].notna()].iloc[0]
        if row["unit"] == "patient":
            parts.append(
                f"Marker levels were compared by {row['test']} on the means of {int(row['n_units'])} patients."
            )
        elif row["test"] == "rank-sum":
            parts.append(f"Marker levels were compared by two-sided Wilcoxon rank-sum tests {cite('rank-sum')}.")
        elif row["test"] == "welch":
            parts.append(f"Marker levels were compared by Welch's t tests {cite('welch')}.")
        else:
            parts.append(f"Marker levels were compared by {row['test']} tests.")
        if row["unit"] == "cell":
            parts.append(
                "The unit of these tests is the cell; they describe these samples and no population of patients."
            )
        parts.append(
            f"Effect sizes are Cliff's delta {cite('delta')}; "
            f"q values are adjusted over all tests of a table {cite('bh')}."
        )
    return " ".join(parts)


def _software(provenance: Mapping[str, Any]) -> str:
    versions = dict(provenance.get("versions", {}))
    if not versions:
        from importlib import metadata

        versions = {"cytof": metadata.version("cytof")}
    own = versions.pop("cytof", "")
    rest = ", ".join(f"{n} {v}" for n, v in versions.items())
    return f"Analysis: cytof {own}{f' with {rest}' if rest else ''}."
