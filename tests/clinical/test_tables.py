"""Tables: the synthetic cohort gives back what the paper prints; Table 1 of the real cohort; published p values."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clinical, datasets
from cytof.clinical import Sheet, fixed, interval_text
from cytof.errors import InputError, ResourceError


def rows(ends: pd.DataFrame, patients: pd.DataFrame, name: str) -> pd.DataFrame:
    return ends[ends["PARAMCD"] == name].merge(patients, on="patient_id")


def median(table: pd.DataFrame) -> str:
    return fixed(clinical.kaplan_meier(table, "AVAL", "event").median()["median"].iloc[0])


def five_years(table: pd.DataFrame) -> str:
    at = clinical.kaplan_meier(table, "AVAL", "event").at(60).iloc[0]
    return interval_text(at["survival"], at["ci_low"], at["ci_high"], scale=100)


def test_survival_of_the_paper(ends: pd.DataFrame, patients: pd.DataFrame) -> None:
    pfs, os, dor = (rows(ends, patients, n) for n in ("PFS", "OS", "DORIMWG"))
    assert (five_years(pfs), five_years(os)) == ("21.0 (12.2-31.4)", "49.1 (37.2-60.0)")
    assert (median(pfs), median(os), median(dor)) == ("18.0", "55.8", "23.0")
    assert (int(pfs["event"].sum()), len(pfs)) == (59, 74)
    cr, negative, responder = pfs["CRFL"] == "Y", pfs["MRDNEGFL"] == "Y", pfs["RESPFL"] == "Y"
    assert (median(pfs[cr]), median(pfs[negative]), median(pfs[~cr])) == ("28.2", "30.6", "4.4")
    assert (median(os[cr]), median(os[negative]), median(os[~cr])) == ("NR", "NR", "7.9")
    assert [five_years(t)[:4] for t in (pfs[responder], pfs[cr], os[responder], os[cr])] == [
        "23.6",
        "28.4",
        "55.9",
        "65.7",
    ]
    best = dor["MRDNEGFL"] == "Y"
    assert (median(dor[best]), median(dor[~best])) == ("32.7", "7.5")
    follow = clinical.median_follow_up(os, "AVAL", "event")
    assert fixed(follow["median"].iloc[0]) == "65.4"
    for table, by in ((pfs, "CRFL"), (pfs, "MRDNEGFL"), (os, "CRFL"), (os, "MRDNEGFL"), (dor, "MRDNEGFL")):
        assert clinical.log_rank(table, "AVAL", "event", by).p < 0.0001
    late = sorted(pfs.loc[(pfs["AVAL"] > 60) & (pfs["event"] == 1), "AVAL"])
    assert [fixed(v) for v in late] == ["62.4", "68.3", "69.5"]
    assert int((rows(ends, patients, "OSPD")["AVAL"] > 24).sum()) == 21
    assert fixed(rows(ends, patients, "PFS").query("event == 0")["AVAL"].max() / 12) == "6.4"


def test_response_and_recovery_of_the_paper(ends: pd.DataFrame, patients: pd.DataFrame) -> None:
    found = clinical.rates(patients, {"ORR": "RESPFL", "CR": "CRFL", "MRD": "MRDNEGFL", "CRS": "CRSFL", "SPM": "SPMFL"})
    said = [f"{r.successes} {interval_text(r.rate, r.ci_low, r.ci_high, scale=100)}" for r in found.itertuples()]
    assert said == ["65 87.8 (78.2-94.3)", "54 73.0 (61.4-82.6)", "50 67.6 (55.7-78.0)", "68 91.9 (83.2-97.0)",
                    "4 5.4 (1.5-13.3)"]  # fmt: skip
    ig = rows(ends, patients, "TTIG")
    done = ig.loc[ig["event"] == 1, "AVAL"]
    assert (len(done), len(ig), fixed(done.median()), fixed(done.min()), fixed(done.max() / 12)) == (
        21,
        26,
        "16.7",
        "9.1",
        "5.4",
    )
    os = rows(ends, patients, "OS")
    assert fixed(clinical.log_rank(os[os["ig_evaluable"] == "Y"], "AVAL", "event", "IGRECFL").p, 2) == "0.14"


def test_later_therapies_of_the_paper(cohort_file: Path) -> None:
    table = pd.read_csv(cohort_file.parent / "therapies.csv").rename(
        columns={
            "USUBJID": "patient_id",
            "CMCLAS": "class",
            "CMDECOD": "drug",
            "CMEVALFL": "evaluable",
            "CMRESP": "response",
        }
    )
    found = clinical.therapy_table(table).set_index("class")
    assert found[["n", "evaluable", "ORR", "CR"]].to_dict("index") == {
        "PI": {"n": 23, "evaluable": 20, "ORR": 16, "CR": 11}, "IMID": {"n": 21, "evaluable": 19, "ORR": 12, "CR": 7},
        "BCMACART": {"n": 18, "evaluable": 16, "ORR": 5, "CR": 2}, "CD38": {"n": 9, "evaluable": 7, "ORR": 5, "CR": 3},
        "All": {"n": 44, "evaluable": 36, "ORR": 22, "CR": 14},
    }  # fmt: skip
    assert found.loc["PI", "ORR, % (95 % CI)"] == "80.0 (56.3-94.3)"
    assert "BORTEZOMIB 18" in found.loc["PI", "drugs"]


def test_persistence_of_the_paper(patients: pd.DataFrame) -> None:
    good = np.where(patients["best_response"].isin(["CR", "VGPR"]), "1 VGPR or better", "2 PR or worse")
    found = clinical.persistence_table(patients.assign(good=good), "TLAST", {
        "response": "good", "best": "BRLATE", "durable": "OUTGRP"})  # fmt: skip
    said = [f"{fixed(m)} {n}" for m, n in zip(found["mean"], found["n"], strict=True)]
    assert said[:2] == ["421.0 47", "141.8 6"]
    assert said[4:] == ["541.1 9", "358.3 44"]
    p = found["p"].dropna()
    assert [fixed(v, 3) for v in p][::2] == ["0.032", "0.372"]


PRINTED = {
    "ECOG": "0.0144", "IG_IgG": "0.0206", "IG_IgA": "1.0000", "IG_IgD": "1.0000", "IG_Kappa": "0.5901",
    "IG_Lambda": "0.1953", "ISS": "0.3824", "DSSTAGE": "0.5751", "EMDFL": "0.0139", "HRCAFL": "0.6622",
    "INFMODE": "0.3392", "PRECOND": "0.0204",
}  # fmt: skip


def test_all_categorical_p_of_table_1(patients: pd.DataFrame) -> None:
    found = clinical.table_one(
        patients, "OUTGRP", ["ECOG", "IGTYPE", "ISS", "DSSTAGE", "EMDFL", "HRCAFL", "INFMODE", "PRECOND", "AGE"],
        categorical=["ECOG"], each_level=["IGTYPE"], own_denominator=["HRCAFL"],
    )  # fmt: skip
    name = found["variable"].str.replace(r" \(n = .*", "", regex=True)
    name = name.where(found["variable"] != "IGTYPE", "IG_" + found["level"])
    tested = found.assign(name=name)[found["p"].notna()].drop_duplicates("name").set_index("name")
    assert {k: f"{tested.loc[k, 'p']:.4f}" for k in PRINTED} == PRINTED
    pearson = [k for k in PRINTED if tested.loc[k, "test"].startswith("Pearson")]
    assert pearson == ["IG_IgG"]  # the row whose test is not the one of the table's note
    assert "HRCAFL (n = 42)" in set(found["variable"])
    iss = found[found["variable"] == "ISS"]
    assert iss["level"].tolist() == ["I", "II", "III", "Unknown"]
    assert iss.loc[iss["level"] == "Unknown", "PD/Death"].tolist() == ["6 (9.7)"]
    age = found[found["variable"] == "AGE"]
    assert age.loc[age["level"] == "median (range)", ["overall", "Non-PD", "PD/Death"]].values.tolist() == [
        ["54.5 (27-74)", "52.5 (35-68)", "55 (27-74)"]]  # fmt: skip


def test_double_and_triple_hits(patients: pd.DataFrame) -> None:
    hits = clinical.lesion_hits(patients, ["T414", "DEL17P", "GAIN1Q"])
    assert hits.apply(lambda c: c.notna().sum()).tolist() == [42] * 3
    assert (
        hits.loc[hits["any_lesion"].notna(), "any_lesion"] == patients.loc[patients["HRCAFL"].notna(), "HRCAFL"]
    ).all()
    assert (hits == "Y").sum().tolist() == [33, 11, 1]


def test_published_p_of_the_paper(real_data: Callable[[str], Path]) -> None:
    folder = real_data("survival").parent.parent / "clinical" / "expected"
    if not folder.exists():
        pytest.skip(f"the clinical data are not here: {folder}")
    counts = json.loads((folder / "paper_counts.json").read_text("utf-8"))
    names = {
        "ECOG": "ECOG",
        "IgG": "IG_IgG",
        "IgA": "IG_IgA",
        "IgD": "IG_IgD",
        "Kappa": "IG_Kappa",
        "Lambda": "IG_Lambda",
        "ISS": "ISS",
        "DurieSalmon": "DSSTAGE",
        "Extramedullary": "EMDFL",
        "Cytogenetics": "HRCAFL",
        "Infusion": "INFMODE",
        "Preconditioning": "PRECOND",
    }
    found = clinical.check_published(
        [{"name": n, "counts": counts[n]["table"], "p": PRINTED[k], "test": "fisher"} for n, k in names.items()]
        + [{"name": "B2MG", "mean": ["4.1", "6.1"], "sd": ["2.4", "4.9"], "n": [12, 62], "p": "0.1039", "test": "t"},
           {"name": "years", "mean": ["3.5", "4.0"], "sd": ["2.2", "2.0"], "n": [12, 62], "p": "0.3445", "test": "t"}]
    ).set_index("name")  # fmt: skip
    assert found.loc["IgG", ["verdict", "method"]].tolist() == ["OTHER METHOD", "Pearson chi-squared test"]
    assert (found.drop(index=["IgG", "B2MG", "years"])["verdict"] == "MATCH").all()
    assert found.loc["B2MG", "verdict"] == "IMPOSSIBLE"


def test_published_values_that_cannot_be() -> None:
    found = clinical.check_published([
        {"name": "share", "counts": [[8, 22], [4, 40]], "percent": [["66.7", "35.5"], ["33.3", "65.5"]], "p": "0.05"},
        {"name": "mean", "mean": ["3.45", "4.0"], "sd": ["2.2", "2.0"], "n": [12, 62], "p": "0.4", "whole": True},
    ])  # fmt: skip
    assert found["verdict"].tolist() == ["IMPOSSIBLE", "IMPOSSIBLE"]
    assert found["said"].tolist() == ["40 of 62 is 64.52 %, printed 65.5 %", "no 12 whole numbers have the mean 3.45"]
    with pytest.raises(InputError, match="check_published:x: expected|neither"):
        clinical.check_published([{"name": "x", "p": "0.1"}])


def test_safety(ends: pd.DataFrame, patients: pd.DataFrame, cohort_file: Path) -> None:
    events = pd.read_csv(cohort_file.parent / "adverse_events.csv").rename(columns={"USUBJID": "patient_id"})
    found = clinical.adverse_events(events, 74).set_index("term")
    assert found.loc["CRS", ["any_grade", "longest", "unresolved"]].tolist() == ["68 (91.9)", "31, 37, 51", 0]
    assert (round(found.loc["CRS", "ci_low"], 3), round(found.loc["CRS", "ci_high"], 3)) == (0.832, 0.970)
    assert found.loc["ICANS", "n"] == 1
    spm = clinical.second_malignancies(ends, patients).at([60])
    one = spm[spm["cause"] == "second malignancy"]["incidence"].iloc[0]
    assert 0.03 < one < 4 / 74 + 0.01
    rate = clinical.event_rates(pd.Series([1, 0, 2]), pd.Series([24.0, 12, 24])).iloc[0]
    assert (rate["rate"], rate["patients"]) == (60.0, 2)
    with pytest.raises(InputError, match="adverse events:a: CRS ends on day 2, before its start on day 5"):
        clinical.adverse_events(
            pd.DataFrame({"patient_id": ["a"], "term": "CRS", "grade": 1, "start_day": 5, "end_day": 2}), 9
        )


def test_real_cohort_loads_as_it_is(real_data: Callable[[str], Path]) -> None:
    """52 patients as published: ``n.d.``, blanks and mixed types; counts of the printed Table 1; PFS by product."""
    folder = real_data("cart_myeloma_fandrei2024")
    patients = clinical.read_patients(folder / "clin_data.csv")
    assert patients.shape == (52, 101)
    with pytest.raises(InputError, match="infusion_date|column"):
        clinical.refuse_patients(patients.drop(columns="patient_id"))
    found = clinical.table_one(
        patients,
        "Product",
        ["sex", "age_cart", "EMD", "therapy_before_cart", "death", "Salmon and Durie"],
        categorical=["EMD", "death"],
    )
    sex = found[found["variable"] == "sex"].set_index("level")
    assert sex.loc["m", ["overall", "Ide-cel", "Cilta-cel"]].tolist() == ["29 (55.8)", "21 (61.8)", "8 (44.4)"]
    age = found[(found["variable"] == "age_cart")].set_index("level")
    assert age.loc["median [IQR]", ["overall", "Ide-cel"]].tolist() == ["64.0 [58.0 - 67.3]", "64.0 [57.3 - 66.8]"]
    bridging = found[found["variable"] == "therapy_before_cart"].set_index("level")["overall"]
    assert bridging.to_dict() == {
        "Bispecific Ab": "10 (19.2)",
        "CD38": "19 (36.5)",
        "Chemotherapy": "15 (28.8)",
        "SLAMF7": "8 (15.4)",
    }
    stage = found[found["variable"] == "Salmon and Durie"].set_index("level")
    assert stage.loc["Unknown", ["overall", "Ide-cel", "Cilta-cel"]].tolist() == ["9 (17.3)", "7 (20.6)", "2 (11.1)"]
    table = patients.assign(months=patients["pfs"] / 30.417)
    assert fixed(clinical.kaplan_meier(table, "months", "status").median()["median"].iloc[0], 2) == "10.36"
    test = clinical.log_rank(table, "months", "status", "Product")
    assert (fixed(test.statistic, 3), fixed(test.p, 3)) == ("3.447", "0.063")
    subsets = clinical.read_patients(folder / "immune_subsets.csv")
    assert len(subsets) == 275
    cautions = [str(c) for c in clinical.patient_cautions(subsets)]
    assert any("CD4_CAR_activated" in c and "n.d." in c for c in cautions)


def test_tables_reach_every_format(tmp_path: Path) -> None:
    sheet = Sheet("table_1", "Table 1 <b>", pd.DataFrame({"a & b": ["x < y", "=1+1"], "n": [1, 2]}), ["A note."])
    made = clinical.write_tables([sheet], tmp_path)
    assert [p.name for p in made] == ["table_1.csv", "table_1.tex", "tables.html", "tables.docx", "tables.xlsx"]
    html = (tmp_path / "tables.html").read_text("utf-8")
    assert "A note." in html
    assert "x &lt; y" in html or "x < y" in html
    assert "tabular" in (tmp_path / "table_1.tex").read_text("utf-8")
    from docx import Document
    from openpyxl import load_workbook

    grid = Document(str(tmp_path / "tables.docx")).tables[0]
    assert [c.text for c in grid.rows[1].cells] == ["x < y", "1"]
    page = load_workbook(tmp_path / "tables.xlsx")["table_1"]
    assert [c.value for c in page[3]] == ["x < y", 1]
    assert page["A4"].data_type == "s"  # no formula
    assert zipfile.is_zipfile(tmp_path / "tables.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        clinical.write_tables([sheet], tmp_path / "file")


def test_cohort_is_the_calibrated_one(real_data: Callable[[str], Path]) -> None:
    folder = real_data("survival").parent.parent / "clinical"
    if not folder.exists():
        pytest.skip(f"the clinical data are not here: {folder}")
    expected = pd.read_csv(folder / "adsl.csv", dtype=str, keep_default_na=False)
    found = datasets.cohort_tables()["patients"]
    for column in ("TRTSDT", "PDDT", "DTHDT", "LSTALVDT", "BOR", "ISS", "IGTYPE"):
        assert (found[column] == expected[column]).all(), column
