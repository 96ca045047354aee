"""What a reader should know before trusting the numbers: failures, calls near the blanks, flags, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from cytof.keys import UNS
from cytof.report._tables import flags, line_thresholds

if TYPE_CHECKING:
    from anndata import AnnData

    from cytof.report._figures import Drawn
    from cytof.report._tables import StudyTables

__all__ = ["sample_worries", "worries"]


def worries(adata: AnnData, made: StudyTables, drawn: Sequence[Drawn], failed: Mapping[str, str]) -> list[str]:
    """Return what a reader should know before trusting the numbers, the gravest first.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> from cytof.report._tables import study_tables
    >>> cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["1"]))
    >>> worries(cells, study_tables(cells), [], {"b": "b.fcs: not an FCS file"})
    ['Sample b failed and is missing from every number: b.fcs: not an FCS file']
    """
    home = adata.uns.get(UNS, {})
    found = [f"Sample {s} failed and is missing from every number: {why}" for s, why in failed.items()]
    table = made.tables.get("persistence")
    if table is not None and made.scope.car:
        for row in table.itertuples():
            if str(row.call) in ("not detected", "not evaluable"):
                found.append(f"CAR T cells {row.call} in {row.sample_id}: {int(row.n):,} cells in the gate, "
                             f"{row.false_expected:.1f} expected by chance.")  # fmt: skip
            elif row.false_expected == row.false_expected and row.n and row.false_expected > 0.2 * row.n:
                found.append(f"{row.sample_id}: {row.false_expected:.0f} of the {int(row.n):,} cells in the CAR gate "
                             "are expected there by chance.")  # fmt: skip
    for word, flagged in (("Threshold of", line_thresholds(adata)), ("Gate", _gate_flags(home))):
        flagged = flagged.assign(flag=flags(flagged)).astype({"sample_id": str})
        flagged = flagged[flagged["flag"] != ""].drop_duplicates(["gate", "flag", "sample_id"])
        for (gate, flag), rows in flagged.groupby(["gate", "flag"], sort=False, observed=True):
            found.append(f"{word} {gate}: {flag} ({_names(rows['sample_id'])}).")
    warned = home.get("warnings")
    if warned is not None and len(warned):
        grave = warned[(warned["level"].astype(str) == "warning") & ~_said_by_flag(warned)]
        alike = grave["found"].astype(str).str.replace(r" \d[\d,]*", "", regex=True)  # one fault, another byte a file
        for (short, done), rows in grave.groupby([alike, grave["done"].astype(str)], sort=False):
            place = f" ({rows['where'].iloc[0]})" if len(rows) == 1 else ""
            what = rows["found"].iloc[0] if rows["found"].nunique() == 1 else short
            found.append(f"{_names(rows['sample_id'].astype(str))}{place}: {what}; {done}.")
    stable = home.get("stability")
    gone = [] if stable is None else list(stable.loc[stable["verdict"].astype(str) == "dissolves", "cluster"])
    if gone:
        found.append(f"FlowSOM does not find again, on draws of the cells: cluster {', '.join(map(str, gone))}.")
    tests = made.tables.get("violins_tests")
    if tests is not None and (tests["unit"] == "cell").any() and len(made.scope.patients) > 1:
        found.append("The tests take the cell as the unit though there are several patients.")
    found += [f"{d.title} is not drawn: {d.skipped}." for d in drawn if d.skipped and d.name.startswith("figure4")]
    return found


def _gate_flags(home: Mapping[str, Any]) -> pd.DataFrame:
    """Return the gates that hold nothing; an empty CD4/CD8 subset is a result, other flags are those of thresholds."""
    table = home.get("counts")
    if table is None or "flag" not in table:
        return pd.DataFrame(columns=["sample_id", "gate", "flag"])
    last = table["gate"].astype(str).str.rsplit("/").str[-1]
    return table[(flags(table) == "empty") & ~last.isin(["CD4", "CD8", "DN", "DP"])].assign(gate=last)


def _said_by_flag(warned: pd.DataFrame) -> pd.Series:
    """Tell which warnings repeat the flag of a threshold."""
    return warned["found"].astype(str).str.match(r"threshold [-\d.]+ on ")


def _names(samples: pd.Series) -> str:
    names = list(dict.fromkeys(samples))
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def sample_worries(home: Mapping[str, Any], thresholds: pd.DataFrame, sample: str) -> str:
    """Return the warnings and flags of one sample in one line.

    Examples
    --------
    >>> warned = pd.DataFrame({"sample_id": ["a"], "found": ["blank"], "done": ["counted"], "level": ["warning"]})
    >>> placed = pd.DataFrame({"sample_id": ["a"], "gate": ["CD3+"], "flag": ["shallow valley"]})
    >>> sample_worries({"warnings": warned}, placed, "a")
    'blank; counted · CD3+: shallow valley'
    """
    said = []
    warned = home.get("warnings")
    if warned is not None and len(warned):
        here = warned[(warned["sample_id"].astype(str) == sample) & (warned["level"].astype(str) == "warning")]
        said += [f"{r.found}; {r.done}" for r in here[~_said_by_flag(here)].itertuples()]
    here = thresholds[(thresholds["sample_id"].astype(str) == sample) & (thresholds["flag"] != "")]
    said += [f"{r.gate}: {r.flag}" for r in here.itertuples()]
    return " · ".join(dict.fromkeys(said))
