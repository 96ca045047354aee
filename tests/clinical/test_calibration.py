"""The synthetic cohort gives back the paper: every row of its calibration table, to the digits stated there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytof import clinical, datasets
from cytof.clinical import fixed

Rows = Callable[[str], pd.DataFrame]


@pytest.fixture(scope="module")
def stated(real_data: Callable[[str], Path]) -> dict[str, str]:
    file = real_data("survival").parent.parent / "clinical" / "calibration.csv"
    if not file.exists():
        pytest.skip(f"the clinical data are not here: {file}")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    names, last = [], ""
    for name in table["statistic"]:
        last = last if name.startswith("  rank-sum") else name
        names.append(f"{last}: p" if name.startswith("  rank-sum") else name.strip())
    return dict(zip(names, table["achieved"], strict=True))


@pytest.fixture(scope="module")
def of(patients: pd.DataFrame, ends: pd.DataFrame) -> Rows:
    return lambda name: ends[ends["PARAMCD"] == name].merge(patients, on="patient_id")


def median(table: pd.DataFrame) -> str:
    return fixed(clinical.kaplan_meier(table, "AVAL", "event").median()["median"].iloc[0])


def rate(table: pd.DataFrame, *, whole: bool = False) -> str:
    r = clinical.kaplan_meier(table, "AVAL", "event").at(60).iloc[0]
    said = clinical.interval_text(r["survival"], r["ci_low"], r["ci_high"], scale=100)
    return said if whole else said.split(" ")[0]


def p(table: pd.DataFrame, by: str) -> str:
    return f"{clinical.log_rank(table, 'AVAL', 'event', by).p:.1e}"


def survival(of: Rows) -> dict[str, str]:
    pfs, os, dor, death = of("PFS"), of("OS"), of("DORIMWG"), of("DOR")
    cr, mrd, responder = (pfs[c] == "Y" for c in ("CRFL", "MRDNEGFL", "RESPFL"))
    ro, co, mo = (os[c] == "Y" for c in ("RESPFL", "CRFL", "MRDNEGFL"))
    best, also = dor["MRDNEGFL"] == "Y", death["MRDNEGFL"] == "Y"
    follow = clinical.median_follow_up(os, "AVAL", "event")["median"].iloc[0]
    late = sorted(pfs.loc[(pfs["AVAL"] > 60) & (pfs["event"] == 1), "AVAL"])
    return {
        "PFS median, all": median(pfs), "PFS 5-yr, all (log-log CI)": rate(pfs, whole=True),
        "PFS 5-yr, responders": rate(pfs[responder]), "PFS median, CR": median(pfs[cr]), "PFS 5-yr, CR": rate(pfs[cr]),
        "PFS median, MRD-negative CR": median(pfs[mrd]), "PFS median, non-CR": median(pfs[~cr]),
        "OS median, all": median(os), "OS 5-yr, all (log-log CI)": rate(os, whole=True),
        "OS 5-yr, responders": rate(os[ro]), "OS 5-yr, CR": rate(os[co]), "OS median, CR": median(os[co]),
        "OS median, MRD-negative CR": median(os[mo]), "OS median, non-CR": median(os[~co]),
        "DOR median, responders": median(dor),
        "DOR median, MRD-neg / other responders": f"{median(dor[best])} / {median(dor[~best])}",
        "DOR log-rank p": p(dor, "MRDNEGFL"),
        "DOR median with death as event (not calibrated)":
            f"all {median(death)}, MRD-neg {median(death[also])}, other {median(death[~also])}",
        "PFS log-rank CRFL": p(pfs, "CRFL"), "PFS log-rank MRDNEGFL": p(pfs, "MRDNEGFL"),
        "OS log-rank CRFL": p(os, "CRFL"), "OS log-rank MRDNEGFL": p(os, "MRDNEGFL"),
        "Median follow-up (reverse KM)": fixed(follow),
        "survived >2 years after PD": str(int((of("OSPD")["AVAL"] > 24).sum())),
        "relapses after 60 months": ", ".join(map(fixed, late)),
        "longest remission (years)": fixed(pfs.loc[pfs["event"] == 0, "AVAL"].max() / 12),
        "KM events / censored (PFS)": f"{int(pfs['event'].sum())} / {int((pfs['event'] == 0).sum())}",
    }  # fmt: skip


def counts(d: pd.DataFrame) -> dict[str, str]:
    yes = {c: int((d[c] == "Y").sum()) for c in ("CRFL", "RESPFL", "MRDNEGFL", "SPMFL", "DTHSPMFL", "CRSFL", "ICANSFL")}
    dead, pd_ = d["death_date"].notna(), d["pd_date"].notna()
    cause = d["death_cause"].str.contains("PD|PROGRESS", case=False, na=False)
    return {
        "CR / responders / MRD-neg": f"{yes['CRFL']} / {yes['RESPFL']} / {yes['MRDNEGFL']}",
        "alive / relapse-free / PD or death":
            f"{int((~dead).sum())} / {int((~dead & ~pd_).sum())} / {int((dead | pd_).sum())}",
        "PD / died of PD / non-relapse death / alive after PD":
            " / ".join(str(int(v.sum())) for v in (pd_, dead & cause, dead & ~cause, pd_ & ~dead)),
        "SPM / died of SPM / CRS / ICANS": f"{yes['SPMFL']} / {yes['DTHSPMFL']} / {yes['CRSFL']} / {yes['ICANSFL']}",
    }  # fmt: skip


def persistence(d: pd.DataFrame) -> dict[str, str]:
    good = np.where(d["best_response"].isin(["CR", "VGPR"]), "1", "2")
    columns = {"T_last VGPR+ ; PR-": "good", "T_last <3.3 ; >=3.3 mo": "BRLATE", "T_last durable ; PD/death": "OUTGRP"}
    d = d.assign(good=good)
    table = clinical.persistence_table(d, "TLAST", columns)
    made = {}
    for name, part in table.groupby("comparison", sort=False):
        made[str(name)] = "; ".join(f"{fixed(r.mean)} ({fixed(r.sd, 2)}) n={r.n}" for r in part.itertuples())
        groups = [d.loc[d[columns[str(name)]] == g, "TLAST"] for g in part["group"]]
        made[f"{name}: p"] = "; ".join(fixed(clinical.rank_sum(*groups, m).p, 4) for m in ("t-cc", "normal-cc"))
    return made


def therapies(folder: Path) -> dict[str, str]:
    names = {
        "USUBJID": "patient_id",
        "CMCLAS": "class",
        "CMDECOD": "drug",
        "CMEVALFL": "evaluable",
        "CMRESP": "response",
    }
    table = pd.read_csv(folder / "therapies.csv").rename(columns=names)
    found = clinical.therapy_table(table).set_index("class")
    said = {c: ", ".join(str(int(found.loc[c, k])) for k in ("n", "evaluable", "ORR", "CR")) for c in found.index}
    drugs = table.drop_duplicates(["patient_id", "drug"])["drug"].value_counts()
    first = {d[:3]: int(n) for d, n in drugs.items()}
    order = "BOR/CAR/IXA/THA/LEN/POM"
    return {"Table 2 total: n, evaluable, ORR, CR": said["All"],
            **{c: said[c] for c in ("PI", "IMID", "CD38", "BCMACART")},
            f"drugs {order}": "/".join(str(first[d]) for d in order.split("/"))}  # fmt: skip


def labs(folder: Path) -> dict[str, str]:
    table = pd.read_csv(folder / "labs.csv")
    late = table[table["ADY"].between(165, 200)]
    medians, normal = [], []
    for test in ("WBC", "HGB", "PLAT", "AST", "ALT"):
        part = late[late["PARAMCD"] == test]
        medians.append(fixed(part["AVAL"].median()))
        normal.append(str(int((part["AVAL"] >= part["ANRLO"]).sum())))
    return {"6-month medians WBC/HGB/PLAT/AST/ALT": "/".join(medians),
            "normal at 6 months WBC/HGB/PLAT of 74": "/".join(normal[:3])}  # fmt: skip


def baseline(d: pd.DataFrame) -> dict[str, str]:
    columns = ["ECOG", "IGTYPE", "ISS", "DSSTAGE", "EMDFL", "HRCAFL", "INFMODE", "PRECOND"]
    found = clinical.table_one(d, "OUTGRP", columns, categorical=["ECOG"], each_level=["IGTYPE"])
    name = found["variable"].where(found["variable"] != "IGTYPE", "IG_" + found["level"].astype(str))
    tested = found.assign(name=name.str.replace(r" \(n = .*", "", regex=True))[found["p"].notna()].drop_duplicates(
        "name"
    )
    made = {f"Table 1 p {r.name}": f"{r.p:.4f}" for r in tested.rename(columns={"name": "n_"}).assign(
        name=tested["name"]).itertuples(index=False)}  # fmt: skip
    parts = {"all": d, "no": d[d["OUTGRP"] == "Non-PD"], "pd": d[d["OUTGRP"] != "Non-PD"]}
    for c in ("AGE", "B2MG", "YRSDX", "PRLINES", "CARDOSE"):
        v = {k: t[c].astype(float) for k, t in parts.items()}
        tests = [stats.ttest_ind(v["no"], v["pd"], equal_var=pooled).pvalue for pooled in (True, False)]
        made[f"Table 1 t-test p {c} (pooled; Welch)"] = "; ".join(f"{p:.4f}" for p in tests)
        if c in ("AGE", "CARDOSE"):
            made[c] = "; ".join(f"{v[k].median():g} ({v[k].min():g}-{v[k].max():g})" for k in ("all", "no", "pd"))
        else:
            made[c] = "; ".join(
                f"{fixed(v[k].mean())} ({fixed(v[k].std())}) {v[k].median():g}" for k in ("all", "no", "pd")
            )
    return made


def immortal(of: Rows) -> dict[str, str]:
    """Naive p of the time to best response, and from a landmark at 3.3 months."""
    best = of("TTBR").set_index("patient_id")["AVAL"]
    naive, late = [], []
    for name in ("PFS", "OS"):
        table = of(name)
        table = table.assign(best=table["patient_id"].map(best))
        table = table[table["BRLATE"].notna()]
        naive.append(f"{clinical.log_rank(table, 'AVAL', 'event', 'BRLATE').p:.1e}")
        found = clinical.landmark(table, "AVAL", "event", 3.3, "best", by_then=False)
        late.append(fixed(clinical.log_rank(found.table, "AVAL", "event", "state").p, 3))
    return {"best response >=3.3 v <3.3 mo (naive) p PFS/OS": f"{' / '.join(naive)}; landmark 3.3: {' / '.join(late)}"}


def recovery(of: Rows) -> dict[str, str]:
    ig, os = of("TTIG"), of("OS")
    done = ig.loc[ig["event"] == 1, "AVAL"]
    test = clinical.log_rank(os[os["ig_evaluable"] == "Y"], "AVAL", "event", "IGRECFL").p
    times = [fixed(v) for v in (done.median(), done.min(), done.max() / 12)]
    said = "; ".join([f"{len(done)} of {len(ig)}", *times, fixed(test, 3)])
    return {"Ig recovery n; median; min; max years; p OS": said}


def test_every_row(stated: dict[str, str], of: Rows, patients: pd.DataFrame, cohort_file: Path) -> None:
    assert datasets.CUTOFF == "2022-11-30"
    folder = cohort_file.parent
    made = survival(of) | counts(patients) | persistence(patients) | baseline(patients) | immortal(of) | recovery(of)
    made |= therapies(folder) | labs(folder)
    assert set(stated) - set(made) == set()
    wrong = {k: (made[k], v) for k, v in stated.items() if made[k] != v}
    assert wrong == {}
