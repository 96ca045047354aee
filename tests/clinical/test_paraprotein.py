"""Responses from paraprotein values: a case on both sides of each threshold, with its rule."""

from __future__ import annotations

import pandas as pd
import pytest

from cytof import clinical
from cytof.errors import InputError, UsageError

DAYS = pd.to_datetime(["2017-01-01", "2017-02-01", "2017-03-01", "2017-04-01"])


def responses(**columns: list) -> list[str]:
    n = len(next(iter(columns.values())))
    return clinical.paraprotein_responses(pd.DataFrame({"patient_id": "P1", "date": DAYS[:n], **columns}))[
        "response"
    ].tolist()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"serum_m": [40.0, 20.0]}, ["PR"]), ({"serum_m": [40.0, 20.5]}, ["MR"]), ({"serum_m": [40.0, 30.0]}, ["MR"]),
        ({"serum_m": [40.0, 30.5]}, ["SD"]), ({"serum_m": [40.0, 4.0]}, ["VGPR"]), ({"serum_m": [40.0, 4.1]}, ["PR"]),
        ({"urine_m": [1000.0, 99.0]}, ["VGPR"]), ({"urine_m": [1000.0, 100.0]}, ["PR"]),
        ({"urine_m": [400.0, 199.0]}, ["PR"]), ({"urine_m": [3000.0, 290.0]}, ["PR"]),
        ({"urine_m": [3000.0, 310.0]}, ["MR"]), ({"urine_m": [3000.0, 1600.0]}, ["SD"]),
        ({"serum_m": [40.0, 4.0], "urine_m": [1000.0, 150.0]}, ["PR"]),
        ({"serum_m": [40.0, 10.0], "urine_m": [1000.0, 700.0]}, ["SD"]),
        ({"flc_difference": [500.0, 50.0]}, ["VGPR"]), ({"flc_difference": [500.0, 250.0]}, ["PR"]),
        ({"flc_difference": [500.0, 251.0]}, ["SD"]),
        ({"serum_m": [40.0, 20.0], "flc_difference": [500.0, 5.0]}, ["PR"]),  # serum counts alone
        ({"serum_m": [40.0, 8.0, 13.0]}, ["PR", "PD"]), ({"serum_m": [40.0, 8.0, 12.9]}, ["PR", "PR"]),
        ({"serum_m": [40.0, 30.0, 36.0]}, ["MR", "SD"]),  # 6 g/L, but less than a quarter
        ({"urine_m": [1000.0, 100.0, 300.0]}, ["PR", "PD"]), ({"flc_difference": [500.0, 50.0, 150.0]}, ["VGPR", "PD"]),
        ({"serum_m": [40.0, 20.0], "new_lesion": ["no", "yes"]}, ["PD"]),
        ({"serum_m": [40.0, 0.0], "immunofixation_negative": [None, "yes"], "marrow_plasma": [60, 4]}, ["CR"]),
        ({"serum_m": [40.0, 0.0], "immunofixation_negative": [None, "yes"], "marrow_plasma": [60, 5]}, ["VGPR"]),
        ({"serum_m": [40.0, 0.0], "immunofixation_negative": [None, "yes"], "marrow_plasma": [60, None]}, ["VGPR"]),
        ({"serum_m": [40.0, 0.0], "immunofixation_negative": [None, "no"], "marrow_plasma": [60, 1]}, ["VGPR"]),
        ({"serum_m": [40.0, 0.0], "immunofixation_negative": [None, "yes"], "marrow_plasma": [60, 1],
          "plasmacytoma": [None, "yes"]}, ["VGPR"]),
        ({"serum_m": [40.0, 0.0], "immunofixation_negative": [None, "yes"], "marrow_plasma": [60, 1],
          "flc_ratio_normal": [None, "yes"]}, ["sCR"]),
        ({"serum_m": [3.0, 1.0]}, ["NE"]), ({"serum_m": [40.0, None]}, ["NE"]),
    ],
)  # fmt: skip
def test_each_rule(columns: dict, expected: list[str]) -> None:
    assert responses(**columns) == expected


def test_rule_is_told_and_best_response_asks_for_two() -> None:
    table = pd.DataFrame({"patient_id": "P1", "date": DAYS, "serum_m": [40.0, 3.0, 18.0, 17.0]})
    found = clinical.paraprotein_responses(table)
    assert found["rule"].tolist() == ["serum_m 40 to 3", "serum_m 18, lowest 3", "serum_m 17, lowest 3"]
    assert found["response"].tolist() == ["VGPR", "PD", "PD"]
    steady = clinical.paraprotein_responses(table.assign(serum_m=[40.0, 3.0, 3.5, 15.0]))
    assert clinical.best_responses(steady)[["best_response", "pd_date"]].astype(str).values.tolist() == [
        ["VGPR", "2017-04-01"]]  # fmt: skip


def test_values_that_cannot_be() -> None:
    table = pd.DataFrame({"patient_id": ["P1", "P1"], "date": DAYS[:2]})
    with pytest.raises(InputError, match="visits:P1: `serum_m` is 'high', expected a number, 0 or more"):
        clinical.paraprotein_responses(table.assign(serum_m=["40", "high"]))
    with pytest.raises(InputError, match="visits:P1: `urine_m` is '-3'"):
        clinical.paraprotein_responses(table.assign(urine_m=[4, -3]))
    with pytest.raises(UsageError, match="column `serum_m` missing.*or `urine_m`, or `flc_difference`"):
        clinical.paraprotein_responses(table)
