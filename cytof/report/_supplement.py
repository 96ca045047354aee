"""The supplement of the set: all markers on the map and as violins, how samples and clusters relate, FlowSOM's tree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cytof import compare, plot, track
from cytof.keys import UNS, Obs
from cytof.report import _panels
from cytof.report._legends import legend, method_words, who_words
from cytof.report._tables import ARMS, attempt

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from cytof.report._tables import Settings, StudyTables

__all__ = ["PLANS", "Plan", "supplement_tables"]

_SPLIT = 8  # markers in a row of split violins

Draw = Callable[["FigureBase", "StudyTables", "Settings"], object]
Words = Callable[["AnnData", "StudyTables", "Settings"], str]


@dataclass(frozen=True)
class Plan:
    """One figure of the supplement: its tables (ending of the CSV -> table), size in mm, drawing and legend."""

    name: str
    title: str
    tables: Mapping[str, str]
    height: Callable[[StudyTables], float]
    fill: Draw
    words: Words
    width: float = plot.DOUBLE
    layout: str | None = field(default="constrained")

    @property
    def needs(self) -> str:
        """The table without which there is no figure."""
        return self.tables[""]


def supplement_tables(adata: AnnData, made: StudyTables, settings: Settings) -> None:
    """Add the tables of the supplement to those of the study; what cannot be made is missing, with the reason.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import Settings, study_tables
    >>> obs = pd.DataFrame({"sample_id": ["a", "a"], "flowsom": ["1", "2"]}, index=["1", "2"])
    >>> cells = anndata.AnnData(np.eye(2, dtype=np.float32), obs=obs, var=pd.DataFrame(index=["CD4", "CD8"]))
    >>> made = study_tables(cells)
    >>> supplement_tables(cells, made, Settings())
    >>> made.missing["som_nodes"]
    'no FlowSOM tree'
    """
    scope, cells = made.scope, made.scope.cells
    if "map" in made.tables:
        table = made.tables["map"]
        attempt(
            made, "map_density", lambda: track.map_density(table, by=scope.visit)[["x", "y", scope.visit, "density"]]
        )
    attempt(made, "violins_all", lambda: track.distributions(cells, by=scope.visit))
    if len(scope.visits) > 1 and "violins_all" in made.tables:
        first = track.levels(cells, scope.visit)[0]
        attempt(made, "violins_all_tests", lambda: compare.markers(cells, by=scope.visit, reference=first, within=None))
    _arms(adata, made)
    attempt(made, "mds", lambda: track.sample_distances(cells))
    attempt(made, "nrs", lambda: track.non_redundancy(cells))
    home = adata.uns.get(UNS, {})
    if "consensus" in home:
        attempt(made, "delta_area", lambda: home["consensus"])
    else:
        made.missing["delta_area"] = "the cells were not clustered by FlowSOM"
    attempt(made, "som_nodes", lambda: track.stars(adata, key=settings.groupby)[0])
    if "som_nodes" in made.tables:
        made.tables["som_edges"] = track.stars(adata, key=settings.groupby)[1]


def _arms(adata: AnnData, made: StudyTables) -> None:
    """All markers of CAR T and host T cells at the last visit that has CAR T cells."""
    if "arms" not in made.tables:
        made.missing["arms_all"] = made.missing.get("arms", "there is no host arm")
        return
    visit = made.scope.visit
    last = str(made.tables["arms"]["subset"].iloc[0])
    cells = adata[(adata.obs[visit].astype(str) == last).to_numpy()]
    attempt(made, "arms_all", lambda: track.distributions(cells, by=Obs.CAR))
    attempt(made, "arms_all_tests", lambda: compare.markers(cells, by=Obs.CAR, reference=False, within=None))
    if "arms_all" in made.tables:
        made.tables["arms_all"]["group"] = made.tables["arms_all"]["group"].map(lambda g: ARMS.get(g, g))


def _all_violins(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    table, tests = made.tables["violins_all"], made.tables.get("violins_all_tests")
    if tests is not None:
        tests = tests[tests["contrast"] == tests["contrast"].iloc[-1]]
    markers, across = list(table["marker"].drop_duplicates()), _across(made)
    grid = figure.subplots(-(-len(markers) // across), across, squeeze=False).ravel()
    for place, (ax, marker) in enumerate(zip(grid, markers, strict=False)):
        plot.violins(table, tests, marker=marker, order=made.scope.visits, ax=ax)
        _panels.low_label(ax)
        if place < len(markers) - across:
            ax.tick_params(labelbottom=False, length=0, axis="x")
    for ax in grid[len(markers) :]:
        ax.set_visible(False)
    return list(grid[: len(markers)])


def _across(made: StudyTables) -> int:
    n = len(made.scope.visits)
    return 3 if n <= 5 else 2 if n <= 16 else 1


def _all_violins_height(made: StudyTables) -> float:
    n = made.tables["violins_all"]["marker"].nunique()
    turned = max((len(v) for v in made.scope.visits), default=0) * 1.3 if len(made.scope.visits) > 5 else 0.0
    return 14.0 + 21.0 * -(-n // _across(made)) + turned


def _all_arms(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    table, tests = made.tables["arms_all"], made.tables.get("arms_all_tests")
    markers = list(table["marker"].drop_duplicates())
    rows = [markers[i : i + _SPLIT] for i in range(0, len(markers), _SPLIT)]
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for row, (ax, here) in enumerate(zip(axes, rows, strict=True)):
        plot.split_violins(table, tests, markers=here, order=["CAR T", "Host T"], ax=ax)
        ax.set_xlim(-0.55, _SPLIT - 0.45)
        if row:
            ax.get_legend().remove()
    return list(axes)


def _markers_of(made: StudyTables, table: str) -> str:
    return f"{made.tables[table]['marker'].nunique()} markers"


def _words_violins(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    n = int(made.tables["violins_all"].drop_duplicates(["group", "marker"]).groupby("marker")["n"].sum().max())
    return (
        f"Expression (arcsinh of counts / 5) of {_markers_of(made, 'violins_all')} in {made.scope.name} over the "
        f"visits (n of cells beneath the lowest row); line: median. "
        f"{legend('tests:violins_all_tests', adata, made, settings)}{who_words(made, n)}."
    )


def _words_arms(adata: AnnData, made: StudyTables, settings: Settings) -> str:
    table = made.tables["arms_all"]
    n = table.groupby("group")["n"].max()
    counts = ", ".join(f"{g}: {int(n[g]):,} cells" for g in ("CAR T", "Host T") if g in n)
    return (
        f"Expression (arcsinh of counts / 5) of {_markers_of(made, 'arms_all')} in CAR T (left half) and host T cells "
        f"(right half) at {made.tables['arms']['subset'].iloc[0]}; lines: quartiles. "
        f"{legend('tests:arms_all_tests', adata, made, settings)}{counts}."
    )


def _flow_table(made: StudyTables) -> Any:
    return made.tables["clusters"].rename(columns={"subset": "sample"})


def _flow(figure: FigureBase, made: StudyTables, settings: Settings) -> Axes:
    draw = plot.alluvial if len(made.scope.samples) <= 12 else plot.stream
    return draw(
        _flow_table(made), x="sample", fill="cluster", kind="clusters", order=list(made.scope.samples),
        total="n_subset", palette=_panels.cluster_colors(made), ax=figure.subplots(),
    )  # fmt: skip


def _density(figure: FigureBase, made: StudyTables, settings: Settings) -> object:
    table = _panels.visits_in_order(made.tables["map_density"], made)
    return plot.maps(table, figure, by=made.scope.visit, color="density", columns=_panels.columns(made))


PLANS: tuple[Plan, ...] = (
    Plan("supplement4", "Supplementary Figure 4. Map of {name} coloured by marker", {"": "markers_map"},
         lambda m: _panels.marker_maps_height(m.tables["markers_map"].shape[1] - 3), _panels.marker_maps,
         lambda *a: legend("markers_map", *a), layout=None),
    Plan("supplement5", "Supplementary Figure 5. All markers of {name} over the visits",
         {"": "violins_all", "_tests": "violins_all_tests"}, _all_violins_height, _all_violins, _words_violins),
    Plan("supplement6", "Supplementary Figure 6. All markers of CAR T against host T cells",
         {"": "arms_all", "_tests": "arms_all_tests"},
         lambda m: 6.0 + 42.0 * -(-m.tables["arms_all"]["marker"].nunique() // _SPLIT), _all_arms, _words_arms),
    Plan("map_density", "Density of {name} on the map at each visit", {"": "map_density"},
         _panels.maps_height, _density,
         lambda a, m, s: f"Map of panel B coloured by how crowded the place of each cell is among the cells of its "
                         f"visit (0 to 1, to its own highest). {who_words(m, len(m.tables['map_density']))}."),
    Plan("cluster_flow", "Clusters of {name} from sample to sample", {"": "clusters"}, lambda m: 70.0, _flow,
         lambda a, m, s: f"Share of each {method_words(a, s)} cluster in each sample, in order of day. Bands join the "
                         f"same cluster and follow no cell. {who_words(m, int(m.tables['clusters']['n'].sum()))}."),
    Plan("cluster_frequencies", "Share of each cluster in each sample", {"": "clusters"},
         lambda m: 24.0 + 5.0 * m.tables["clusters"]["cluster"].nunique(),
         lambda f, m, s: plot.frequencies(_flow_table(m), x="sample", order=list(m.scope.samples), total="n_subset",
                                          ax=f.subplots()),
         lambda a, m, s: f"Percent of the {m.scope.name} of each sample in each {method_words(a, s)} cluster; colour "
                         f"on a square-root scale. {who_words(m, int(m.tables['clusters']['n'].sum()))}."),
    Plan("samples_mds", "Likeness of the samples", {"": "mds"}, lambda m: 70.0,
         lambda f, m, s: plot.mds(m.tables["mds"], ax=f.subplots()),
         lambda a, m, s: f"Classical multidimensional scaling of Euclidean distances between the median marker levels "
                         f"of the samples' {m.scope.name}; percent: share of the squared distances. "
                         f"{who_words(m, int(m.tables['mds']['n'].sum()))}.", width=120.0),
    Plan("nrs", "Non-redundancy score of the markers", {"": "nrs"}, lambda m: 58.0,
         lambda f, m, s: plot.nrs(m.tables["nrs"], ax=f.subplots()),
         lambda a, m, s: f"How much of the variance between {m.scope.name} each marker bears (sum over three principal "
                         f"components of |loading| x variance); dots: samples, line: mean. "
                         f"{who_words(m, int(m.tables['nrs'].drop_duplicates('sample_id')['n'].sum()))}."),
    Plan("delta_area", "How many metaclusters", {"": "delta_area"}, lambda m: 52.0,
         lambda f, m, s: plot.delta_area(m.tables["delta_area"], chosen=_chosen(m), ax=f.subplots()),
         lambda a, m, s: f"Relative gain of the area under the cumulative distribution of the consensus with each "
                         f"further metacluster ({method_words(a, s)}); marked: the number taken.", width=plot.SINGLE),
    Plan("som_tree", "FlowSOM tree of {name}", {"": "som_nodes", "_edges": "som_edges"}, lambda m: 118.0,
         lambda f, m, s: plot.tree(m.tables["som_nodes"], m.tables["som_edges"],
                                    palette=_panels.cluster_colors(m), ax=f.subplots()),
         lambda a, m, s: f"Minimum spanning tree of the nodes of the self-organising map ({method_words(a, s)}); area "
                         f"of a node by its cells, ground by metacluster, arms: level of each marker in the node from "
                         f"its lowest to its highest node. {who_words(m, _tree_cells(m))}."),
)  # fmt: skip
"""The supplement, in order."""


def _chosen(made: StudyTables) -> int | None:
    return int(made.tables["profile"]["cluster"].nunique()) if "profile" in made.tables else None


def _tree_cells(made: StudyTables) -> int:
    return int(made.tables["som_nodes"].drop_duplicates("node")["n"].sum())
