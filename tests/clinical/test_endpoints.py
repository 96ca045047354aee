"""Endpoints from dates: each rule by hand, the synthetic cohort row by row, responses and residual disease."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cytof import clinical, datasets
from cytof.errors import InputError


def one(rule: str, name: str = "PFS", **dates: str) -> tuple:
    start = {"patient_id": "P1", "infusion_date": "2017-01-01", "last_alive_date": "2019-01-01"}
    table = pd.DataFrame([start | dates])
    row = clinical.endpoints(table, rule, cutoff="2020-01-01").query("PARAMCD == @name").iloc[0]
    return f"{row['ADT']:%Y-%m-%d}", int(row["event"]), row["EVNTDESC"]


SEEN = "2018-12-01"


@pytest.mark.parametrize(
    ("dates", "fda", "ema"),
    [
        ({"last_assessment_date": SEEN}, (SEEN, 0, "LAST DISEASE ASSESSMENT"), None),
        ({"last_assessment_date": SEEN, "pd_date": "2018-06-01"}, ("2018-06-01", 1, "PROGRESSION"), None),
        ({"last_assessment_date": "2018-06-01", "new_therapy_date": "2018-06-20", "pd_date": "2018-09-01"},
         ("2018-06-01", 0, "NEW THERAPY BEFORE PD"), ("2018-09-01", 1, "PROGRESSION")),
        ({"last_assessment_date": "2017-12-01", "death_date": "2018-02-01", "last_alive_date": "2018-02-01"},
         ("2018-02-01", 1, "DEATH"), None),
        ({"last_assessment_date": "2017-03-01", "death_date": "2018-02-01", "last_alive_date": "2018-02-01"},
         ("2017-03-01", 0, "LAST ASSESSMENT BEFORE >=2 MISSED"), ("2018-02-01", 1, "DEATH")),
        ({}, ("2017-01-01", 0, "NO ASSESSMENT AFTER INFUSION"), None),
        ({"last_assessment_date": SEEN, "pd_date": "2018-06-01", "new_therapy_date": "2018-06-10"},
         ("2018-06-01", 1, "PROGRESSION"), None),
    ],
)  # fmt: skip
def test_progression_free_survival_by_rule(dates: dict, fda: tuple, ema: tuple | None) -> None:
    assert one("FDA", **dates) == fda
    assert one("EMA", **dates) == (ema or fda)
    assert one("IMWG", **dates) == fda


def test_duration_of_response_by_cause_of_death() -> None:
    dates = {"first_response_date": "2017-02-01", "last_assessment_date": "2017-12-01", "death_date": "2018-02-01",
             "last_alive_date": "2018-02-01"}  # fmt: skip
    assert one("FDA", "DOR", **dates) == ("2018-02-01", 1, "DEATH")
    assert one("IMWG", "DOR", **dates) == ("2018-02-01", 0, "DEATH WITHOUT PD (CENSORED)")
    assert one("IMWG", "DOR", death_cause="Progressive disease", **dates) == ("2018-02-01", 1, "DEATH")


def test_death_after_the_cut_off_is_censored_at_it() -> None:
    table = pd.DataFrame([{"patient_id": "P1", "infusion_date": "2017-01-01", "last_alive_date": "2018-01-01"}])
    row = clinical.endpoints(table, cutoff="2018-01-01").query("PARAMCD == 'OS'").iloc[0]
    assert (row["event"], row["ADY"], row["EVNTDESC"]) == (0, 366, "ALIVE AT CUT-OFF")
    assert clinical.endpoints(table, plus_one=False).query("PARAMCD == 'OS'")["ADY"].tolist() == [365]


def test_synthetic_cohort_gives_its_adtte(real_data: Callable[[str], Path]) -> None:
    """Every row of adtte.csv, which the generator wrote from its own knowledge of each patient."""
    folder = real_data("survival").parent.parent / "clinical"
    if not folder.exists():
        pytest.skip(f"the clinical data are not here: {folder}")
    expected = pd.read_csv(folder / "adtte.csv", parse_dates=["STARTDT", "ADT"])
    patients = clinical.read_patients(folder / "adsl.csv")
    found = clinical.endpoints(patients, cutoff=datasets.CUTOFF)
    both = expected.merge(found, on=["USUBJID", "PARAMCD"], how="left", suffixes=("", "_found"))
    assert len(both) == len(expected) == 635
    for column in ("STARTDT", "ADT", "ADY", "CNSR", "EVNTDESC"):
        assert both[column].eq(both[f"{column}_found"]).all(), column
    assert both["AVAL"].sub(both["AVAL_found"]).abs().max() < 1e-8
    assert (found["event"] == 1 - found["CNSR"]).all()


def test_rules_differ_for_the_patients_made_to_differ(patients: pd.DataFrame) -> None:
    table = clinical.rule_differences(patients, cutoff=datasets.CUTOFF)
    pfs = table[table["PARAMCD"] == "PFS"]
    assert sorted(pfs["reason_FDA"]) == ["LAST ASSESSMENT BEFORE >=2 MISSED", *["NEW THERAPY BEFORE PD"] * 2]
    assert (pfs["event_FDA"] == 0).all()
    assert (pfs["event_EMA"] == 1).all()


def assessments(**responses: list[str]) -> pd.DataFrame:
    rows = [(p, pd.Timestamp(2017, 1, 30) + pd.Timedelta(days=30 * i), r) for p, of in responses.items()
            for i, r in enumerate(of)]  # fmt: skip
    return pd.DataFrame(rows, columns=["patient_id", "date", "response"])


@pytest.mark.parametrize(
    ("responses", "best", "first"),
    [(["PR", "PR", "CR", "CR"], "CR", 0), (["PR", "CR", "PD"], "PR", 0), (["SD", "VGPR", "PR"], "PR", 1),
     (["NE", "NE"], "NE", None), (["PD"], "PD", None), (["sCR", "sCR", "PD", "CR"], "sCR", 0),
     (["MR", "SD"], "SD", None)],
)  # fmt: skip
def test_best_response_is_confirmed(responses: list[str], best: str, first: int | None) -> None:
    table = assessments(P1=responses)
    row = clinical.best_responses(table).iloc[0]
    assert row["best_response"] == best
    expected = pd.NaT if first is None else table["date"][first]
    assert row["first_response_date"] is expected or row["first_response_date"] == expected


def test_assessments_after_new_therapy_do_not_count() -> None:
    stop = pd.DataFrame({"patient_id": ["P1"], "new_therapy_date": [pd.Timestamp(2017, 3, 15)]})
    assert clinical.best_responses(assessments(P1=["PR", "PR", "CR", "CR"]), stop)["best_response"].tolist() == ["PR"]
    with pytest.raises(InputError, match="assessments:P1: response is 'CRu', expected one of sCR"):
        clinical.best_responses(assessments(P1=["CRu"]))


def test_residual_disease_at_the_samples_own_limit() -> None:
    table = pd.DataFrame({"n_cells": [1_500_000, 1_500_000, 300_000, 200_000, 1_500_000],
                          "n_aberrant": [30, 60, 0, 0, 0],
                          "haemodiluted": [False] * 4 + [True]})  # fmt: skip
    found = clinical.mrd_calls(table)
    assert found["call"].tolist() == ["POSITIVE BELOW LOQ", "POSITIVE", "NEGATIVE", "NOT ASSESSABLE", "NOT ASSESSABLE"]
    assert found["limit"].tolist() == pytest.approx([2e-5, 2e-5, 1e-4, 1.5e-4, 2e-5])
    assert found["upper"].iloc[2] == pytest.approx(3 / 300_000, rel=0.01)  # the rule of three
    assert clinical.mrd_calls(table, sensitivity=1e-5)["call"].iloc[2] == "NOT ASSESSABLE"
    assert clinical.mrd_calls(table, rule="euroflow")["call"].iloc[0] == "POSITIVE BELOW LOQ"
    with pytest.raises(InputError, match="found 5 aberrant events in 0 cells"):
        clinical.mrd_calls(pd.DataFrame({"n_cells": [0], "n_aberrant": [5]}))
