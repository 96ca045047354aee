"""Legend texts: what is shown, which method really ran, how many cells, samples and patients, which test and unit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cytof.keys import UNS
from cytof.report._panels import other_assays

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.report._tables import Settings, StudyTables

__all__ = ["legend", "method_words", "steps_of", "who_words"]

_TESTS = {
    "rank-sum": "two-sided Wilcoxon rank-sum test",
    "welch": "Welch's t test",
    "permutation": "permutation test of the means",
}
_METHODS = {"flowsom": "FlowSOM", "phenograph": "PhenoGraph"}


def steps_of(adata: AnnData) -> dict[str, dict[str, Any]]:
    """Return step -> parameters, as recorded when it ran; ``random_state`` among them where one was used.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from cytof.transform import record
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32))
    >>> record(cells, "tsne", {"perplexity": 30}, 3)
    >>> steps_of(cells)
    {'tsne': {'perplexity': 30, 'random_state': '3'}}
    """
    table = adata.uns.get(UNS, {}).get("steps")
    found: dict[str, dict[str, Any]] = {}
    for row in [] if table is None else table.itertuples(index=False):
        try:
            params = json.loads(row.params or "{}")
        except ValueError:
            params = {}
        if not isinstance(params, dict):
            params = {"value": params}
        seed = {"random_state": str(row.random_state)} if str(row.random_state or "") else {}
        found[str(row.step)] = params | seed
    return found


def legend(which: str, adata: AnnData, made: StudyTables, settings: Settings) -> str:
    """Return the legend of a figure of the set.

    Parameters
    ----------
    which
        ``A`` to ``E``, ``persistence``, ``markers_map``, ``waterfall`` or ``thresholds``; ``tests:<table>`` for the
        sentence on the tests alone.
    adata
        Cells, for the steps that ran.
    made
        The tables that are drawn.
    settings
        What was asked for.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import Settings, study_tables
    >>> obs = pd.DataFrame({"sample_id": ["a", "a"], "flowsom": ["1", "2"]}, index=["1", "2"])
    >>> cells = anndata.AnnData(np.eye(2, dtype=np.float32), obs=obs, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> legend("A", cells, study_tables(cells), Settings()).startswith("Mean expression of 2 markers in 2 clusters")
    True
    """
    if which.startswith("tests:"):
        return _test_words(made, which.removeprefix("tests:"))
    write = {"A": _heatmap, "B": _map, "C": _make_up, "D": _over_time, "E": _host, "persistence": _persistence,
             "markers_map": _markers_map, "waterfall": _waterfall, "thresholds": _thresholds}[which]  # fmt: skip
    return write(adata, made, settings)


def method_words(adata: AnnData, settings: Settings) -> str:
    """Name the clustering as it ran: method, parameters, seed.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from cytof.report._tables import Settings
    >>> method_words(anndata.AnnData(np.zeros((1, 1), np.float32)), Settings())
    'FlowSOM'
    """
    steps, name = steps_of(adata), settings.groupby
    step = next((s for s in (name, f"cluster.{name}") if s in steps), None)
    word = _METHODS.get(name.split(":")[0], name)
    if step is None:
        return word
    params = steps[step]
    parts = []
    if "grid" in params:
        parts.append(f"grid {' x '.join(map(str, params['grid']))}")
    parts += [f"{k} = {params[k]}" for k in ("n_clusters", "k", "rlen") if k in params]
    if "random_state" in params:
        parts.append(f"seed {params['random_state']}")
    return f"{word} ({', '.join(parts)})" if parts else word


def _number(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def who_words(made: StudyTables, n: int) -> str:
    """Say how many cells of how many samples and patients.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import study_tables
    >>> obs = pd.DataFrame({"sample_id": ["a", "b"]}, index=["1", "2"])
    >>> who_words(study_tables(anndata.AnnData(np.zeros((2, 1), np.float32), obs=obs)), 2)
    'n = 2 cells from 2 samples'
    """
    scope = made.scope
    patients = f" of {_number(len(scope.patients), 'patient')}" if scope.patients else ""
    cells = scope.name if n != 1 else scope.name.removesuffix("s")
    return f"n = {n:,} {cells} from {_number(len(scope.samples), 'sample')}{patients}"


def _left_out(made: StudyTables, figure: str) -> str:
    names = made.left_out.get(figure, [])
    return f" Not in the panel, so not shown: {', '.join(names)}." if names else ""


def _heatmap(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    table = made.tables["profile"]
    clusters = table.drop_duplicates("cluster")
    scaled = {
        "01": "scaled from 0 to 1 between the 1st and 99th percentile of all clustered cells",
        "zscore": "as z-scores over the clusters",
        "last": "scaled from 0 to 1 over the clusters",
        "none": "on the arcsinh scale",
    }[str(table["scale"].iloc[0])]
    return (
        f"{str(table['statistic'].iloc[0]).capitalize()} expression of {table['marker'].nunique()} markers in "
        f"{len(clusters)} clusters found with {method_words(adata, settings)}, {scaled}; rows and columns in the order "
        f"of hierarchical clustering (average linkage, Euclidean; trees), strip: class of the marker. Bars: share of "
        f"each cluster among all clustered cells. "
        f"{who_words(made, int(clusters['n'].sum()))}."
    )


def _map(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    steps = steps_of(adata)
    params = next((steps[s] for s in ("tsne", "embed.tsne", settings.basis) if s in steps), {})
    named = [f"perplexity {params['perplexity']}"] if "perplexity" in params else []
    named += [f"seed {params['random_state']}"] if "random_state" in params else []
    said = f" ({', '.join(named)})" if named else ""
    table = made.tables["map"]
    each = table[made.scope.visit].astype(str).value_counts()
    counts = ", ".join(f"{v}: {int(each.get(v, 0)):,}" for v in made.scope.visits)
    return (
        f"t-SNE map{said} of {made.scope.name}, one panel a visit on shared axes, coloured by "
        f"{method_words(adata, settings)} cluster; "
        f"cells of all visits in grey. {who_words(made, len(table))} on the map ({counts})."
    )


def _make_up(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    parts = []
    if "subsets" in made.tables:
        of = made.tables["subsets"]["denominator"].iloc[0]
        parts.append(f"Left: subsets by the CD4 and CD8 gates in percent of {of} cells, per visit.")
    if "make_up" in made.tables:
        parts.append(f"Middle: {method_words(adata, settings)} clusters of each subset, cells of all samples together.")
    if "clusters" in made.tables:
        parts.append("Right: clusters of each sample.")
    parts.append("n beneath each bar: cells. DN, CD4 and CD8 double negative; DP, double positive.")
    return " ".join(parts)


def _test_words(made: StudyTables, name: str) -> str:
    tests = made.tables.get(name)
    if tests is None or tests["p"].isna().all():
        return "No test: there is one visit, or too few cells. "
    tests = tests[tests["contrast"] == tests["contrast"].iloc[-1]]
    row = tests[tests["p"].notna()].iloc[0] if tests["p"].notna().any() else tests.iloc[0]
    unit = {
        "cell": "the unit of analysis is the cell: p describes these tubes and not a population of patients",
        "patient": f"the unit of analysis is the patient (n = {int(row['n_units'])})",
    }.get(str(row["unit"]), str(row["unit"]))
    test = _TESTS.get(str(row["test"]), str(row["test"]))
    return f"p: {test}, {row['contrast']}, not adjusted (q in the table beside the figure); δ: Cliff's delta; {unit}. "


def _over_time(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    table = made.tables["violins"]
    n = int(table.drop_duplicates(["group", "subset", "marker"]).groupby("marker")["n"].sum().max())
    subsets = [s for s in settings.drawn_subsets if s in set(table["subset"])]
    return (
        f"Expression (arcsinh of counts / 5) of {', '.join(table['marker'].drop_duplicates())} in "
        f"{', '.join(subsets)} {made.scope.name} over the visits; line: median; violins of up to 1,000 quantiles "
        f"of all cells, dots for groups of fewer than 10 cells. {_test_words(made, 'violins_tests')}"
        f"{who_words(made, n)}.{_left_out(made, 'violins')}"
    )


def _host(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    table = made.tables["arms"]
    n = table.drop_duplicates(["group", "marker"]).groupby("group")["n"].max()
    counts = ", ".join(f"{g}: {int(n[g]):,} cells" for g in ("CAR T", "Host T") if g in n)
    return (
        f"Expression (arcsinh of counts / 5) of {', '.join(table['marker'].drop_duplicates())} in CAR T cells (CAR+) "
        f"and host T cells (CAR-) at {table['subset'].iloc[0]}; line: median. {_test_words(made, 'arms_tests')}"
        f"{counts}.{_left_out(made, 'arms')}"
    )


def _persistence(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    row = made.tables["persistence"].iloc[0]
    others = other_assays(made)
    beneath = (
        f"Beneath, at the same days: {', '.join(others)}; open with an arrow: below the limit, drawn there. "
        if others else ""
    )  # fmt: skip
    return (
        f"Share of {row['population']} among {row['denominator']} cells at each visit, log scale. Bars: exact 95 % "
        f"interval of counting (Clopper-Pearson); band, where drawn: the share with the threshold at the ends of its "
        f"interval. Filled: above the limit of quantification; half filled: above the limit of blank alone; open: not "
        f"above it, or not evaluable; triangle: no cell found. "
        f"{beneath}"
        f"{_number(len(made.tables['persistence']), 'sample')}, {_number(len(made.scope.patients) or 1, 'patient')}."
    )


def _markers_map(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    table = made.tables["markers_map"]
    return (
        f"The map of panel B coloured by {table.shape[1] - 3} markers, each from its 1st (low) to its 99th (high) "
        f"percentile. {who_words(made, len(table))}."
    )


def _waterfall(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    return "Events left after each cleaning step, in percent of all events of the file; numbers: events."


def _thresholds(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    return (
        "Thresholds of the one-channel gates on the arcsinh scale, one mark a sample, with the interval of each; open "
        "marks bear a flag (see the table of thresholds in the report)."
    )
