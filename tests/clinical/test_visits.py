"""Assessments by visit: what cannot be, missed visits, and the endpoints that follow from them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cytof import clinical
from cytof.errors import InputError

PATIENTS = pd.DataFrame({
    "patient_id": ["P1", "P2"], "infusion_date": pd.to_datetime(["2017-01-01"] * 2),
    "last_alive_date": pd.to_datetime(["2019-01-01"] * 2),
    "death_date": pd.to_datetime([None, "2018-06-01"]), "new_therapy_date": pd.to_datetime(["2017-12-01", None]),
})  # fmt: skip


def visits(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["patient_id", "date", "response"])
    return table.assign(date=pd.to_datetime(table["date"]))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("P9", "2017-02-01", "PR")], "assessments:P9: the patient is not in the patients' table"),
        ([("P1", None, "PR")], "assessments:P1: `date` of the PR is blank"),
        ([("P1", "2017-02-01", "CRi")], "assessments:P1: response of 2017-02-01 is 'CRi', expected one of sCR, CR"),
        ([("P1", "2016-12-01", "PR")], "assessments:P1: PR of 2016-12-01 is before infusion (2017-01-01); correct"),
        ([("P2", "2018-07-01", "CR")], "assessments:P2: CR of 2018-07-01 is after death (2018-06-01); correct a date"),
        ([("P1", "2019-02-01", "SD")], "assessments:P1: SD of 2019-02-01 is after the data cut-off (2019-01-01); "),
        ([("P1", "2017-02-01", "PR"), ("P1", "2017-02-01", "SD")], "assessments:P1: two responses of 2017-02-01: PR"),
        ([("P2", "2017-02-01", "PD"), ("P2", "2017-05-01", "VGPR")],
         "assessments:P2: VGPR of 2017-05-01 is after PD of 2017-02-01, and no new therapy was started betw"),
    ],
)  # fmt: skip
def test_each_fault_names_patient_and_visit(rows: list, said: str) -> None:
    found = [e.text for e in clinical.check_assessments(visits(*rows), PATIENTS, "2019-01-01")]
    assert len(found) == 1
    assert found[0].startswith(said)


def test_response_after_pd_is_fine_after_a_new_therapy() -> None:
    rows = visits(("P1", "2017-06-01", "PD"), ("P1", "2018-01-01", "VGPR"), ("P1", "2016-12-20", "SD"))
    assert clinical.check_assessments(rows, PATIENTS) == []


def test_pd_after_missed_visits_is_censored_before_them() -> None:
    rows = visits(("P2", "2017-02-01", "PR"), ("P2", "2017-03-01", "PR"), ("P2", "2018-03-01", "PD"))
    said = str(clinical.missed_visits(rows, PATIENTS)[0])
    assert said.startswith(
        "assessments:P2: no assessment from 2017-03-01 to 2018-03-01 (365 days, more than two visits"
    )
    short = PATIENTS.iloc[1:].merge(clinical.best_responses(rows, PATIENTS), on="patient_id")
    short["last_alive_date"] = short["death_date"]
    of = {r: clinical.endpoints(short, r).query("PARAMCD == 'PFS'").iloc[0] for r in ("FDA", "EMA")}
    assert of["FDA"][["event", "EVNTDESC"]].tolist() == [0, "LAST ASSESSMENT BEFORE >=2 MISSED"]
    assert of["FDA"]["CENSRULE"] == "FDA: PD 365 days after the assessment before it (more than 182)"
    assert f"{of['FDA']['ADT']:%Y-%m-%d}" == "2017-03-01"
    assert of["EMA"][["event", "EVNTDESC"]].tolist() == [1, "PROGRESSION"]


def test_command_reads_assessments_beside_the_patients(tmp_path: Path) -> None:
    from cytof.report._clinical_cohort import read_cohort

    (tmp_path / "p.csv").write_text("patient_id,infusion_date,last_alive_date\nP1,2017-01-01,2018-01-01\n"
                                    "P2,2017-01-01,2018-01-01\n", encoding="utf-8")  # fmt: skip
    file = tmp_path / "assessments.csv"
    text = "patient_id,date,response\nP1,2017-02-01,PR\nP1,2017-03-01,PR\nP1,2017-05-01,PD\nP2,2017-02-01,SD\n"
    file.write_text(text, encoding="utf-8")
    pfs = read_cohort(tmp_path / "p.csv").of("PFS").set_index("patient_id")
    assert pfs["event"].to_dict() == {"P1": 1, "P2": 0}
    assert pfs["best_response"].to_dict() == {"P1": "PR", "P2": "SD"}
    values = "patient_id,date,serum_m\nP1,2016-12-20,40\nP1,2017-02-01,3\nP1,2017-03-01,2\nP1,2017-05-01,19\n"
    file.write_text(values, encoding="utf-8")
    assert read_cohort(tmp_path / "p.csv").patients[["best_response", "pd_date"]].astype(str).values.tolist() == [
        ["VGPR", "2017-05-01"], ["nan", "NaT"]]  # fmt: skip
    file.write_text(text + "P2,2016-03-01,CR\n", encoding="utf-8")
    with pytest.raises(InputError, match="assessments.csv:P2: CR of 2016-03-01 is before infusion"):
        read_cohort(tmp_path / "p.csv")
