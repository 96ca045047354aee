"""Figures of estimates with intervals: change beside host T cells, trends, assays beside each other, gates left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cytof import plot
from cytof.keys import UNS, Obs
from cytof.report._supplement import Plan
from cytof.report._tables import attempt

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

    from cytof.report._tables import Settings, StudyTables

__all__ = ["EFFECTS", "effect_tables"]

_SAMPLES = 8  # of more samples, each gate left out is shown by the first and last of them


def effect_tables(adata: AnnData, made: StudyTables) -> None:
    """Add the table of gates left out, where the pipeline brought it.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.eye(1, dtype=np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> made = study_tables(cells)
    >>> effect_tables(cells, made)
    >>> made.missing["gate_sensitivity"]
    'no gate was left out in turn'
    """
    table = adata.uns.get(UNS, {}).get("gate_sensitivity")
    if table is None or not len(table):
        made.missing["gate_sensitivity"] = "no gate was left out in turn"
    else:
        attempt(made, "gate_sensitivity", lambda: _in_order(table, made))


def _in_order(table: pd.DataFrame, made: StudyTables) -> pd.DataFrame:
    names = [s for s in made.scope.samples if s in set(table["sample_id"].astype(str))]
    names = names if len(names) <= _SAMPLES else [names[0], names[-1]]
    kept = table[table["sample_id"].astype(str).isin(names)]
    return kept.sort_values("sample_id", key=lambda s: s.astype(str).map(names.index), kind="stable")


def _host_change(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    table = made.tables["host_change"]
    table = table[table["estimate"].notna()]
    subsets = list(dict.fromkeys(table["subset"].astype(str))) or [""]
    axes = figure.subplots(1, len(subsets), sharey=True, squeeze=False)[0]
    for ax, subset in zip(axes, subsets, strict=True):
        plot.intervals(table[table["subset"].astype(str) == subset], color="contrast", hollow="not_cancellable",
                       name="change beside host T", ax=ax)  # fmt: skip
        ax.set_title(subset, fontsize=plot.TEXT + 1)
        if ax is not axes[-1] and ax.get_legend():
            ax.get_legend().remove()
    return list(axes)


def _trend(figure: FigureBase, made: StudyTables, settings: Settings) -> Axes:
    table = made.tables["shares_trend"]
    return plot.intervals(table[table["contrast"] == "per year"], label="subset",
                          name="change of the logit of the share a year", ax=figure.subplots())  # fmt: skip


def _concordance(figure: FigureBase, made: StudyTables, settings: Settings) -> Axes:
    table = made.tables["concordance"]
    table = table.assign(
        row=[f"{p} day {d:g}" for p, d in zip(table[Obs.PATIENT], table[Obs.DAY], strict=True)],
        ci_low=table["ratio_low"], ci_high=table["ratio_high"],
    )  # fmt: skip
    unit = str(table["cytof_unit"].iloc[0])
    return plot.intervals(table, value="ratio", label="row", line=None, hollow="discordant", reason="reason",
                          name=f"CyTOF ({unit}) per transgene copy", ax=figure.subplots())  # fmt: skip


def _sensitivity(figure: FigureBase, made: StudyTables, settings: Settings) -> list[Axes]:
    table = made.tables["gate_sensitivity"]
    axes = figure.subplots(1, 2, sharey=True)
    word = table["left_out"].astype(str).map(lambda g: "all gates" if g == "none" else f"without {g}")
    for ax, part, of in ((axes[0], "", "share of the CAR gate, %"), (axes[1], "dn_", "DN among CAR T, %")):
        columns = {f"{part}fraction": "estimate", f"{part}ci_low": "ci_low", f"{part}ci_high": "ci_high"}
        shown = (table[list(columns)] * 100).rename(columns=columns).assign(row=word, sample=table["sample_id"])
        plot.intervals(shown, label="row", color="sample", line=0.0 if part else None, name=of, ax=ax)
        if not part and ax.get_legend():
            ax.get_legend().remove()
    return list(axes)


def _rows(table: str, column: str, millimetres: float) -> Any:
    return lambda made: 22.0 + millimetres * made.tables[table][column].nunique()


def _sensitivity_height(made: StudyTables) -> float:
    table = made.tables["gate_sensitivity"]
    return 20.0 + table["left_out"].nunique() * (3.0 + 1.6 * table["sample_id"].nunique())


EFFECTS: tuple[Plan, ...] = (
    Plan("host_change", "Change of {name} beside the change of host T cells", {"": "host_change"},
         lambda m: 24.0 + m.tables["host_change"]["marker"].nunique()
         * (2.5 + 1.3 * m.tables["host_change"]["contrast"].nunique()), _host_change,
         lambda a, m, s: f"Change of {m.scope.name} since the first visit less the change of host T cells of the same "
                         f"tubes (arcsinh scale), by subset, with 95 % intervals (unit: "
                         f"{m.tables['host_change']['unit'].iloc[0]}). Open: a median under 5 counts, where a gain of "
                         f"the instrument does not cancel."),
    Plan("shares_trend", "Trend of the subsets of {name} over the days", {"": "shares_trend"},
         _rows("shares_trend", "subset", 8.0), _trend,
         lambda a, m, s: f"Change a year of the logit of each subset's share, with its 95 % interval "
                         f"({m.tables['shares_trend']['test'].iloc[0]}; n = "
                         f"{m.tables['shares_trend']['n_units'].iloc[0]} {m.tables['shares_trend']['unit'].iloc[0]}s).",
         width=plot.SINGLE),
    Plan("concordance", "CyTOF beside transgene copies", {"": "concordance"},
         lambda m: 22.0 + 6.0 * len(m.tables["concordance"]), _concordance,
         lambda a, m, s: "Ratio of the CyTOF measurement to transgene copies at each visit that has both, with 95 % "
                         "interval (counting and an assay coefficient of variation of 30 %). Open: more than threefold "
                         "from the patient's other visits. Visits with either below its limit have no ratio; the bound "
                         "they leave is set against the other visits too, and said where it lies as far.",
         width=plot.SINGLE),
    Plan("gate_sensitivity", "What each gate before the CAR gate does to the result", {"": "gate_sensitivity"},
         _sensitivity_height, _sensitivity,
         lambda a, m, s: "Share of the CAR gate (left, log scale) and of DN among CAR T cells (right) with each gate "
                         "of the chain left out in turn, one colour a sample; bars: exact 95 % intervals of counting. "
                         "Where a row moves, that gate decides."),
)  # fmt: skip
"""Figures with a row an estimate."""
