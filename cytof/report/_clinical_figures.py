"""The figures of a clinical run, each with the numbers behind it as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cytof import clinical, plot
from cytof.report._clinical_cohort import Cohort
from cytof.report._clinical_tables import hazard_table, landmarks
from cytof.report._figures import Drawn
from cytof.report._sheet import save, sheet

__all__ = ["clinical_figures"]

_NAMES = {"PFS": "Progression-free survival", "OS": "Overall survival", "DORIMWG": "Duration of response"}
_LABS = {"WBC": "White cells", "HGB": "Haemoglobin", "PLAT": "Platelets", "AST": "AST", "ALT": "ALT"}


def clinical_figures(cohort: Cohort, out: str | Path) -> list[Drawn]:
    """Draw all figures the cohort has data for: ``figures/<name>.{pdf,png,csv}``.

    Returns
    -------
    The figures, in order of the page.
    """
    out, drawn = Path(out), []
    for name, title, legend, size, table, fill in _figures(cohort):
        figure = sheet(size[0], size[1], fill)
        files = save(figure, out / name)
        table.to_csv(out / f"{name}.csv", index=False)
        drawn.append(Drawn(name, title, legend, (*files, out / f"{name}.csv")))
    return drawn


def _figures(cohort: Cohort) -> Iterator[tuple[str, str, str, tuple, pd.DataFrame, Callable]]:
    for endpoint in ("PFS", "OS", "DORIMWG"):
        rows = cohort.of(endpoint)
        if len(rows):
            yield _km(f"km_{endpoint.lower()}", _NAMES[endpoint], rows, None, endpoint, "")
    for name, (label, column, _, at) in cohort.groups.items():
        for endpoint in ("PFS", "OS"):
            late, rows = landmarks(cohort, endpoint, name), cohort.of(endpoint)
            if late is not None and late.table["by then"].nunique() > 1:
                words = {"yes": f"by {at:g} mo", "no": f"not by {at:g} mo"}
                table = late.table.assign(state=late.table["by then"].astype(str).map(words))
                yield _km(
                    f"km_{endpoint.lower()}_{name}",
                    f"{_NAMES[endpoint]} by {label}, landmark {at:g} months",
                    table,
                    "state",
                    endpoint,
                    late.caption,
                    f"Months from the landmark at {at:g} months",
                )
            if rows[column].nunique() > 1:
                p = clinical.group_p(rows[rows[column].notna()], "AVAL", "event", column)[0]
                yield _km(f"km_{endpoint.lower()}_{name}_naive", f"{_NAMES[endpoint]} by {label}, naive", rows, column,
                          endpoint, clinical.immortal_caption(label, p))  # fmt: skip
    yield from _patients(cohort)
    yield from _others(cohort)


def _km(
    name: str, title: str, rows: pd.DataFrame, by: str | None, endpoint: str, caption: str, axis: str = "Months"
) -> tuple:
    km = clinical.kaplan_meier(rows, "AVAL", "event", by=by)
    risk, note = km.risk_table(_ticks(rows["AVAL"].max())), ""
    if by:
        p, how = clinical.group_p(rows[rows[by].notna()], "AVAL", "event", by)
        short = "permutation log-rank" if how.startswith("permutation") else "log-rank"
        note = f"{short} p {clinical.p_text(p, sign=True)}" if p == p else how
    if "naive" in name:
        note += " (naive: immortal time)"
    legend = f"{km.method}. Ticks: censored. Numbers at risk (events so far) under the axis. {caption}".strip()

    def fill(figure: Any) -> None:
        plot.km(km.table, risk, km.median(), note=note, name=endpoint.replace("DORIMWG", "Duration of response"),
                unit=axis, ax=figure.subplots())  # fmt: skip

    return name, title, legend, (plot.SINGLE * 1.25, 72 + 4 * len(km.groups)), km.table, fill


def _ticks(last: float) -> list[float]:
    """Return whole years in months up to the last time; thirds of it where it is shorter than a year."""
    if last < 12:
        return np.linspace(0, max(float(last), 0.1), 4).round(1).tolist()
    return np.arange(0, last + 1e-9, 12 if last <= 108 else 24).tolist()


def _patients(cohort: Cohort) -> Iterator[tuple]:
    os, patients = cohort.of("OS"), cohort.patients
    state = np.select(
        [os["event"].eq(1) & os["pd_date"].notna(), os["event"].eq(1), os["pd_date"].notna()],
        ["Died of progression", "Died without progression", "Alive after progression"], "Alive, no progression",
    )  # fmt: skip
    order = ["Alive, no progression", "Alive after progression", "Died of progression", "Died without progression"]
    table = pd.DataFrame({"group": "All", "state": state})
    if "complete" in patients:
        table = pd.concat([table, pd.DataFrame({"group": os["complete"], "state": state})])
    counts = table.groupby(["group", "state"]).size().rename("n").reset_index()
    groups = ["All", *sorted(set(counts["group"]) - {"All"})]
    counts = counts.sort_values(["group", "state"], key=lambda c: c.map({v: i for i, v in enumerate(groups + order)}))
    yield ("states", "Patients by state at the cut-off", f"Cut-off {cohort.cutoff}; counts in the columns.",
           (plot.SINGLE * 1.4, 70), counts, lambda f: plot.states(counts, ax=f.subplots()))  # fmt: skip
    if "best_response" not in patients:
        return
    lanes = pd.DataFrame({"patient_id": os["patient_id"], "end": os["AVAL"], "group": os["best_response"].fillna("NE")})
    marks = _marks(os)
    yield (
        "swimmer",
        "Course of each patient",
        "A lane a patient, coloured by best response.",
        (plot.DOUBLE, min(30 + 2.2 * len(lanes), 235)),
        lanes,
        lambda f: plot.swimmer(lanes, marks, ax=f.subplots()),
    )
    flows = pd.DataFrame({"left": os["best_response"].fillna("NE"), "right": state})
    flows = flows.groupby(["left", "right"]).size().rename("n").reset_index()
    left = [r for r in ("sCR", "CR", "VGPR", "PR", "MR", "SD", "PD", "NE") if (flows["left"] == r).any()]
    right = [s for s in order if (flows["right"] == s).any()]
    yield (
        "response_to_state",
        "From best response to state",
        f"Cut-off {cohort.cutoff}; width is patients.",
        (plot.SINGLE * 1.4, 80),
        flows,
        lambda f: plot.flow(flows, order=(left, right), ax=f.subplots()),
    )


def _marks(os: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for column, what in (("first_response_date", "first response"), ("best_response_date", "best response"),
                         ("pd_date", "PD"), ("new_therapy_date", "new therapy"), ("death_date", "death")):  # fmt: skip
        if column in os:
            of = os[os[column].notna()]
            months = ((of[column] - of["STARTDT"]).dt.days + 1) / clinical.MONTH
            parts.append(pd.DataFrame({"patient_id": of["patient_id"], "time": months, "what": what}))
    alive = os[os["event"] == 0]
    parts.append(pd.DataFrame({"patient_id": alive["patient_id"], "time": alive["AVAL"], "what": "ongoing"}))
    return pd.concat(parts, ignore_index=True)


def _others(cohort: Cohort) -> Iterator[tuple]:
    crpd = cohort.of("CRPD")
    cause = crpd["EVNTDESC"].map(
        {"PROGRESSION": "progression", "DEATH WITHOUT PROGRESSION": "death without progression"}
    )
    table = crpd.assign(cause=cause.fillna("censored"))
    if table["cause"].ne("censored").any():
        found = clinical.cumulative_incidence(table, "AVAL", "cause")
        of = clinical.kaplan_meier(table, "AVAL", "event")
        risk = of.risk_table(_ticks(table["AVAL"].max())).drop(columns="n_events")
        yield ("incidence", "Progression and death without it", found.cite(), (plot.SINGLE * 1.25, 74), found.table,
               lambda f: plot.incidence(found.table, risk, ax=f.subplots()))  # fmt: skip
    for endpoint in ("PFS", "OS"):
        hazards = hazard_table(cohort, endpoint)
        if len(hazards):
            shown = hazards.assign(p=[clinical.p_text(v) for v in hazards["p"]])
            yield (f"forest_{endpoint.lower()}", f"Hazard ratios, {_NAMES[endpoint]}",
                   "Each covariate alone; Cox model with Efron ties.", (plot.DOUBLE, 24 + 5.5 * len(shown)), hazards,
                   lambda f, t=shown: plot.forest(t, ax=f.subplots()))  # fmt: skip
    if "labs" in cohort.long:
        yield from _labs(cohort)


def _labs(cohort: Cohort) -> Iterator[tuple]:
    labs = cohort.long["labs"].merge(cohort.patients[["patient_id", "outcome"]], on="patient_id")
    late = labs[labs["day"].between(165, 200)].drop_duplicates(["patient_id", "test"])
    tests = [t for t in _LABS if (late["test"] == t).any()]
    if tests:

        def fill(figure: Any) -> None:
            for ax, test in zip(np.ravel(figure.subplots(1, len(tests))), tests, strict=True):
                of = late[late["test"] == test]
                p = _rank_p(of)
                plot.boxes(of, x="outcome", value="value", name=f"{_LABS[test]}, {of['unit'].iloc[0]}",
                           limits=(of["low"].iloc[0], of["high"].iloc[0]), note=p, ax=ax)  # fmt: skip

        yield ("labs_6_months", "Blood counts and liver enzymes at six months",
               "Boxes: median and quartiles; every patient a dot; the normal range in green; rank-sum test.",
               (plot.DOUBLE, 62), late[["patient_id", "outcome", "test", "value", "unit"]], fill)  # fmt: skip
    lymph = labs[labs["test"] == "LYMPH"]
    if len(lymph):
        of = lymph.groupby(["outcome", "day"])["value"]
        table = pd.DataFrame(
            {"median": of.median(), "low": of.quantile(0.25), "high": of.quantile(0.75), "n": of.size()}
        )
        table = table.reset_index().rename(columns={"outcome": "group"})
        yield ("lymphocytes", "Lymphocytes over six months", "Median and quartiles.", (plot.SINGLE, 60), table,
               lambda f: plot.course(table, name=f"Lymphocytes, {lymph['unit'].iloc[0]}", ax=f.subplots()))  # fmt: skip


def _rank_p(of: pd.DataFrame) -> str:
    parts = [g["value"] for _, g in of.groupby("outcome")]
    if len(parts) != 2 or min(map(len, parts)) < 3:
        return ""
    return f"p {clinical.p_text(clinical.rank_sum(*parts).p, sign=True)}"
