"""Peak, last detection and areas of planted courses; what a course must be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cytof.errors import InputError, UsageError
from cytof.kinetics import PARAMETERS, area, parameters


def course(day, value, *, limit: float = 1.0, unit: str = "copies/ug", patient: str = "P1", **columns) -> pd.DataFrame:
    value = np.asarray(value, float)
    rows = {"patient_id": patient, "day": day, "assay": "transgene", "value": value, "unit": unit, "limit": limit}
    return pd.DataFrame({**rows, "below_limit": ~(value >= limit), **columns})


def one(table: pd.DataFrame) -> pd.Series:
    found = parameters(table)
    assert tuple(found.columns) == PARAMETERS
    assert len(found) == 1
    return found.iloc[0]


def test_planted_course_comes_back() -> None:
    """Linear from 0 to 1000 at day 10, then half-life 20 days: both areas in closed form."""
    day = np.array([0, 5, 10, 20, 40, 60, 120, 240, 300.0])
    value = np.where(day <= 10, 100 * day, 1000 * 0.5 ** ((day - 10) / 20))
    found = one(course(day, value, limit=0.5))
    rate = np.log(2) / 20
    assert (found["cmax"], found["tmax"], found["tlast"], found["tlast_before"]) == (1000, 10, 120, 240)
    assert found["tlast_status"] == "interval"
    assert found["auc_0_28"] == pytest.approx(5000 + 1000 / rate * (1 - np.exp(-18 * rate)), rel=1e-9)
    assert found["auc_0_last"] == pytest.approx(5000 + 1000 / rate * (1 - np.exp(-110 * rate)), rel=1e-9)
    assert found["half_life"] == pytest.approx(20, rel=0.02)
    assert found["half_life_of"] == "per DNA"


def test_below_the_limit_counts_nothing_before_the_peak_and_is_left_out_after_it() -> None:
    found = one(course([3, 7, 14, 21, 28], [np.nan, 10, 8, np.nan, 4], limit=1))
    fall = area(np.array([7.0, 14, 28]), np.array([10.0, 8, 4])) - 7 * 10 / 2
    assert found["auc_0_28"] == pytest.approx(4 * 10 / 2 + fall)


@pytest.mark.parametrize(
    ("value", "early", "reason"),
    [
        ([5, 10, np.nan, np.nan], "same", "below the limit after day 14: counted as 0 until day 28"),
        ([5, 10], "none", "no AUC 0-28: the last sample is of day 14"),
        ([np.nan, np.nan, np.nan, np.nan], "none", "no quantified point"),
        ([5, 10, 9, 8], "own", ""),
    ],
)
def test_area_to_day_28_says_how_it_was_closed(value, early, reason) -> None:
    found = one(course([7, 14, 21, 60][: len(value)], value))
    assert found["auc_reason"] == reason
    assert np.isnan(found["auc_0_28"]) == (early == "none")
    if early == "same":
        assert found["auc_0_28"] == found["auc_0_last"]


def test_area_to_day_28_is_not_given_where_nothing_was_seen() -> None:
    """Days 7 and 14 quantified, the next sample at day 60 below the limit; at day 33 it is a late visit of day 28."""
    found = one(course([7, 14, 60], [100, 80, np.nan]))
    whole = 7 * 100 / 2 + 7 * 20 / np.log(100 / 80)
    assert found["auc_0_last"] == pytest.approx(whole)
    assert np.isnan(found["auc_0_28"])
    assert found["auc_reason"] == (
        f"no AUC 0-28: nothing was seen between day 14 and day 60; at least {whole:.4g} (to day 14)"
    )
    late = one(course([7, 14, 33], [100, 80, np.nan]))
    assert late["auc_0_28"] == pytest.approx(whole)


def test_without_a_sample_nothing_is_said_of_detection() -> None:
    found = one(course([30, 60], [9, 8], after_reinfusion=[True, True]))
    assert (found["n"], found["tlast_status"], found["half_life_model"]) == (0, "no sample", "not estimable")
    reason = "no sample of this course: all are after another CAR T product"
    assert (found["auc_reason"], found["half_life_reason"], found["censored_from"]) == (reason, reason, 30)


def test_samples_before_the_infusion_are_no_part_of_the_course() -> None:
    """The largest value is of day -7: peak, half-life and last detection are those of the course without it."""
    with_it = one(course([-7, 7, 14, 28, 60, 90], [500, 9, 8, 4, 2, 1]))
    without = one(course([7, 14, 28, 60, 90], [9, 8, 4, 2, 1]))
    assert (with_it["cmax"], with_it["tmax"], with_it["n"]) == (9, 7, 5)
    assert with_it["note"] == "1 sample before the infusion (day -7), no part of the course"
    pd.testing.assert_series_equal(with_it.drop("note"), without.drop("note"))
    only = one(course([-7], [500]))
    assert (only["tlast_status"], only["auc_reason"]) == (
        "no sample", "no sample of this course: all are before the infusion",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "last", "before", "status"),
    [
        ([9, 5, np.nan, np.nan], 14, 21, "interval"),
        ([9, np.nan, 5, np.nan], 21, 60, "interval"),
        ([9, 5, 4, 3], 60, np.nan, "right censored"),
        ([np.nan] * 4, np.nan, np.nan, "never detected"),
    ],
)
def test_last_detection_lies_in_an_interval(value, last, before, status) -> None:
    found = one(course([7, 14, 21, 60], value))
    assert found[["tlast", "tlast_before"]].astype(float).tolist() == pytest.approx([last, before], nan_ok=True)
    assert found["tlast_status"] == status


def test_detected_but_not_quantified_counts_for_the_last_detection() -> None:
    found = one(course([7, 14, 21], [9, np.nan, np.nan], detected=[True, True, False]))
    assert (found["tlast"], found["tlast_before"], found["n_quantified"]) == (14, 21, 1)


def test_another_product_ends_the_course() -> None:
    table = course([7, 14, 28, 60, 90], [9, 8, 4, 2, 500], after_reinfusion=[False] * 4 + [True])
    found = one(table)
    assert (found["cmax"], found["tlast"], found["censored_from"], found["n"]) == (9, 60, 90, 4)
    assert found["tlast_status"] == "right censored"


@pytest.mark.parametrize(("unit", "kind"), [("%", "share"), ("fraction", "share"), ("cells/uL", "absolute"),
                                            ("copies/ug gDNA", "per DNA"), ("x", "as given")])  # fmt: skip
def test_half_life_says_of_what(unit: str, kind: str) -> None:
    assert one(course([7, 14], [2, 3], unit=unit))["half_life_of"] == kind


def test_order_of_rows_changes_nothing() -> None:
    table = pd.concat([course([7, 14, 28, 60, 90], [9, 8, 4, 2, 1], patient=p) for p in ("P2", "P1")])
    pd.testing.assert_frame_equal(parameters(table), parameters(table.sample(frac=1, random_state=1)))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (course([7, 7], [2, 3]), "courses:0: several rows of one patient, assay and day (patient `P1`, assay "
         "`transgene`, day 7), and in 1 more rows; give one row a day"),
        (course([7], [-2], below_limit=False), "courses:0: a negative value (patient `P1`, assay `transgene`, day 7)"),
        (course([np.nan], [2]), "courses:0: no day"),
        (course([7], [np.nan]).assign(below_limit=False), "courses:0: no value, and not marked below the limit"),
        (course([7], [2]).assign(value="2,5"), "courses:0: value: `2,5` is no number"),
        (pd.concat([course([7], [2]), course([8], [2], unit="%")]), "patient `P1` has units 'copies/ug', '%' in one"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_course_is_told(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parameters(table)
    assert message in caught.value.text


def test_missing_columns_are_named() -> None:
    with pytest.raises(UsageError, match="columns `limit`, `below_limit` missing"):
        parameters(course([7], [2]).drop(columns=["limit", "below_limit"]))


def test_an_empty_table_gives_an_empty_table() -> None:
    assert tuple(parameters(course([], [])).columns) == PARAMETERS
