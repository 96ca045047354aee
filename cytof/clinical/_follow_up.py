"""Tables of a follow-up paper: medians and rates by group, later therapies, persistence, long responders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cytof._check import has_columns
from cytof.clinical._columns import event_flags, levels_of
from cytof.clinical._format import fixed, interval_text
from cytof.clinical._kaplan_meier import kaplan_meier
from cytof.clinical._log_rank import log_rank
from cytof.clinical._rank_sum import rank_sum
from cytof.clinical._rates import rate
from cytof.clinical._result import p_text

__all__ = ["group_p", "long_responders", "persistence_table", "survival_table", "therapy_table"]


def survival_table(
    table: pd.DataFrame, time: str, event: str, by: str | None = None, times: Sequence[float] = (12, 24, 36, 48, 60), *,
    conf: str = "log-log", unit: str = "months",
) -> pd.DataFrame:  # fmt: skip
    """Return one row a group: n, events, median and rates with intervals, and the log-rank p.

    Groups under 10 or fewer than 5 events get the permutation p; no p where a group has fewer than 3 patients.

    Examples
    --------
    >>> table = pd.DataFrame({"m": [5, 16, 28, 39, 42], "d": [1, 0, 1, 1, 0]})
    >>> survival_table(table, "m", "d", times=[12])[["median (95 % CI)", "12 months, %"]].values.tolist()
    [['39.0 (5.0-NR)', '80.0 (20.4-96.9)']]
    """
    km = kaplan_meier(table, time, event, by=by, conf=conf)
    medians, at = km.median().set_index("group"), km.at(times)
    rows = []
    for group in km.groups:
        m, rates = medians.loc[group], at[at["group"] == group]
        cells = {f"{t:g} {unit}, %": interval_text(r.survival, r.ci_low, r.ci_high, scale=100) if r.n_at_risk or
                 r.survival == r.survival else "-" for t, r in zip(times, rates.itertuples(), strict=True)}  # fmt: skip
        rows.append({"group": "All" if group == "all" else str(group), "n": int(m["n"]), "events": int(m["events"]),
                     "median (95 % CI)": interval_text(m["median"], m["ci_low"], m["ci_high"]), **cells})  # fmt: skip
    out = pd.DataFrame(rows)
    if by is not None and len(km.groups) > 1:
        p, how = group_p(table, time, event, by)
        out["p"] = [p_text(p) if p == p else how, *[""] * (len(out) - 1)]
        out["test"] = [how, *[""] * (len(out) - 1)]
    return out


def group_p(table: pd.DataFrame, time: str, event: str, by: str) -> tuple[float, str]:
    """Return the p a table or figure prints and its test: permutation where groups are small, none under 3 patients.

    Examples
    --------
    >>> table = pd.DataFrame({"t": [1, 2, 3, 4], "e": 1, "g": list("aabb")})
    >>> group_p(table, "t", "e", "g")
    (nan, 'no p: a group of 2 patients')
    """
    found = log_rank(table, time, event, by)
    least = int(found.groups["n"].min()) if found.groups is not None else 0
    if least < 3:
        return float("nan"), f"no p: a group of {least} patients"
    if least < 10 or found.events < 5:
        found = log_rank(table, time, event, by, method="permutation")
    return found.p, found.method


def therapy_table(therapies: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """Return Table 2: later therapies by class; a patient counts once in each class, so that classes overlap.

    Parameters
    ----------
    therapies
        ``patient_id class drug evaluable response``, a row a drug; one response a patient (sCR CR VGPR PR MR SD PD NE).
    level
        Of the exact intervals.

    Returns
    -------
    ``class n drugs evaluable ORR "ORR, % (CI)" CR "CR, % (CI)"``; the last row is all patients.

    Examples
    --------
    >>> table = pd.DataFrame({"patient_id": ["a", "a", "b"], "class": ["PI", "IMiD", "PI"], "drug": ["V", "R", "K"],
    ...     "evaluable": "Y", "response": ["CR", "CR", "SD"]})
    >>> therapy_table(table)[["class", "n", "ORR", "CR"]].values.tolist()
    [['PI', 2, 1, 1], ['IMiD', 1, 1, 1], ['All', 2, 1, 1]]
    """
    has_columns(
        therapies.columns, ["patient_id", "class", "drug", "evaluable", "response"], where="clinical.therapy_table"
    )
    flags = event_flags(therapies["evaluable"], where="clinical.therapy_table:evaluable")[0]
    therapies = therapies.assign(evaluable=flags)
    classes = list(dict.fromkeys(therapies["class"]))
    classes.sort(key=lambda c: -therapies.loc[therapies["class"] == c, "patient_id"].nunique())
    rows = []
    for name in [*classes, "All"]:
        of = therapies if name == "All" else therapies[therapies["class"] == name]
        each = of.drop_duplicates("patient_id")
        known = each[each["evaluable"]]
        drugs = of.drop_duplicates(["patient_id", "drug"])["drug"].value_counts()
        named = "" if name == "All" else ", ".join(f"{d} {n}" for d, n in drugs.items())
        good = known["response"].isin(["sCR", "CR", "VGPR", "PR"]).sum(), known["response"].isin(["sCR", "CR"]).sum()
        cells: dict[str, object] = {}
        for label, k in zip(("ORR", "CR"), good, strict=True):
            found = rate(int(k), len(known), level=level) if len(known) else None
            said = interval_text(found.rate, found.ci_low, found.ci_high, scale=100) if found else "-"
            cells |= {label: int(k), f"{label}, % (95 % CI)": said}
        rows.append({"class": name, "n": len(each), "drugs": named, "evaluable": len(known), **cells})
    return pd.DataFrame(rows)


def persistence_table(
    table: pd.DataFrame, last: str, groups: Mapping[str, str], *, method: str = "t-cc"
) -> pd.DataFrame:
    """Return Table 3: last day with the transgene detected, by group, with mean (SD) and median (IQR).

    Parameters
    ----------
    table
        One row a patient.
    last
        Column with T_last, days; missing: not evaluated.
    groups
        Heading -> column with two groups.
    method
        Of :func:`rank_sum`; the paper's p values are SAS's t approximation.

    Returns
    -------
    ``comparison group n mean sd median q1 q3 p test``; only patients who live can have a long T_last, so the p is no
    test of an effect on survival.

    Examples
    --------
    >>> table = pd.DataFrame({"tlast": [10.0, 20, 30, 40], "good": list("YYNN")})
    >>> persistence_table(table, "tlast", {"Response": "good"})[["group", "n", "mean"]].values.tolist()
    [['N', 2, 35.0], ['Y', 2, 15.0]]
    """
    has_columns(table.columns, [last, *groups.values()], where="clinical.persistence_table")
    rows = []
    for heading, column in groups.items():
        known = table[table[last].notna() & table[column].notna()]
        levels = levels_of(known[column])
        parts = [known.loc[known[column] == g, last].astype(float) for g in levels]
        found = rank_sum(parts[0], parts[1], method) if len(parts) == 2 else None
        for i, (g, part) in enumerate(zip(levels, parts, strict=True)):
            rows.append((heading, g, len(part), part.mean(), part.std(), part.median(), part.quantile(0.25),
                         part.quantile(0.75), found.p if found and i == 0 else np.nan,
                         found.method if found and i == 0 else ""))  # fmt: skip
    names = ["comparison", "group", "n", "mean", "sd", "median", "q1", "q3", "p", "test"]
    return pd.DataFrame(rows, columns=names)


def long_responders(
    endpoints: pd.DataFrame, patients: pd.DataFrame, *, months: float = 60, show: Sequence[str] = ()
) -> pd.DataFrame:
    """Return patients still free of progression after ``months``, longest first (Supplementary 9).

    Examples
    --------
    >>> ends = pd.DataFrame({"patient_id": ["a", "b"], "PARAMCD": "PFS", "AVAL": [70.0, 10.0], "event": [0, 1],
    ...     "EVNTDESC": ["LAST DISEASE ASSESSMENT", "PROGRESSION"]})
    >>> long_responders(ends, pd.DataFrame({"patient_id": ["a", "b"]}))["patient_id"].tolist()
    ['a']
    """
    pfs = endpoints[(endpoints["PARAMCD"] == "PFS") & (endpoints["AVAL"] >= months)]
    out = pfs[["patient_id", "AVAL", "event", "EVNTDESC"]].merge(
        patients[["patient_id", *show]], on="patient_id", how="left"
    )
    out = out.sort_values("AVAL", ascending=False, kind="stable").reset_index(drop=True)
    out["AVAL"] = [fixed(v) for v in out["AVAL"]]
    return out.rename(columns={"AVAL": "PFS, months", "event": "progressed", "EVNTDESC": "ended by"})
