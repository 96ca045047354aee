"""What a user gets for each bad table: patient, column, both values, what to do; all faults at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import clinical
from cytof.errors import InputError, UsageError

GOOD = {
    "patient_id": ["P1", "P2", "P3"], "infusion_date": ["2017-01-01"] * 3, "last_alive_date": ["2018-01-01"] * 3,
    "last_assessment_date": ["2017-12-01"] * 3,
}  # fmt: skip


def faults(cutoff: str | None = None, **columns: list) -> list[str]:
    table, wrong = clinical.dates(pd.DataFrame(GOOD | columns))
    assert not wrong
    return [e.text for e in clinical.check_patients(table, cutoff)]


def test_good_table_has_no_fault() -> None:
    assert faults(cutoff="2018-06-01") == []


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"death_date": ["2016-12-31", None, None], "last_alive_date": ["2016-12-31", *GOOD["last_alive_date"][1:]]},
         "patients:P1: death (2016-12-31) is before infusion (2017-01-01); correct `death_date` or `infusion_date`"),
        ({"pd_date": [None, "2017-09-01", None], "death_date": [None, "2017-06-01", None],
          "last_alive_date": ["2018-01-01", "2017-06-01", "2018-01-01"],
          "last_assessment_date": ["2017-12-01", "2017-05-01", "2017-12-01"]},
         "patients:P2: death (2017-06-01) is before PD (2017-09-01); correct `death_date` or `pd_date`"),
        ({"pd_date": ["2017-02-01", None, None], "first_response_date": ["2017-03-01", None, None]},
         "patients:P1: PD (2017-02-01) is before first response (2017-03-01); correct `pd_date` or "
         "`first_response_date`"),
        ({"pd_date": [None, None, "2018-02-01"]},
         "patients:P3: last alive (2018-01-01) is before PD (2018-02-01); correct `last_alive_date` or `pd_date`"),
        ({"death_date": [None, None, "2017-11-01"], "last_assessment_date": ["2017-12-01", "2017-12-01", "2017-10-01"]},
         "patients:P3: last alive (2018-01-01) is after death (2017-11-01); correct `last_alive_date` or `death_date`"),
        ({"patient_id": ["P1", "P2", "P1"]},
         "patients:P1: found in rows 2, 4, expected one row a patient; remove the copy, or give the patients different "
         "ids"),
        ({"patient_id": ["P1", "p1 ", "P3"]},
         "patients: patient ids differ only in case or blanks: 'P1', 'p1 '; write one patient one way"),
        ({"best_response": ["CRi", None, None]},
         "patients:P1: best_response is 'CRi', expected one of sCR, CR, VGPR, PR, MR, SD, PD, NE; did you mean `CR`?"),
        ({"best_response": ["PR", None, None], "first_response_date": [None, "2017-02-01", None]},
         "patients:P1: best_response is PR, but `first_response_date` is blank"),
        ({"infusion_date": [None, "2017-01-01", "2017-01-01"]},
         "patients:P1: `infusion_date` is blank, expected the day of the first infusion"),
    ],
)  # fmt: skip
def test_each_fault_names_patient_columns_and_values(columns: dict, said: str) -> None:
    assert said in faults(**columns)


def test_event_after_the_cut_off() -> None:
    assert faults(cutoff="2017-12-15") == [
        f"patients:{p}: last alive (2018-01-01) is after the data cut-off (2017-12-15); correct `last_alive_date` or "
        "the cut-off"
        for p in ("P1", "P2", "P3")
    ]


def test_all_faults_come_at_once() -> None:
    table = pd.DataFrame(GOOD | {"death_date": ["2016-01-01", "2016-02-01", None]})
    with pytest.raises(InputError) as caught:
        clinical.endpoints(table)
    assert str(caught.value).count("is before infusion") == 2


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        (["2017-05-02", "03/04/2018"], "patients:pd_date: dates are written in two ways: YYYY-MM-DD (P0: 2017-05-02), "
         "NN/NN/YYYY (P1: 03/04/2018); write all as YYYY-MM-DD"),
        (["03/04/2018", "05/06/2018"], "patients:pd_date: '03/04/2018' of P0 may be day/month or month/day; write "
         "YYYY-MM-DD, or say day_first=True or False"),
        (["42865", "42866"], "patients:pd_date: found numbers (P0: 42865), expected dates; they may be Excel's day "
         "numbers; format the column as YYYY-MM-DD, or say excel_dates=True"),
        (["2017-05", "2017-06-01"], "patients:pd_date: 1 dates have no day (P0: 2017-05); say how to fill it in: "
         "impute='first', 'mid' or 'last'"),
        (["2017-02-30", "2017-06-01"], "patients:pd_date: '2017-02-30' of P0 is no day of the calendar as YYYY-MM-DD"),
        (["soon", "2017-06-01"], "patients:pd_date: found no date in 1 rows (P0: 'soon'); write dates as YYYY-MM-DD, "
         "and leave unknown ones blank"),
        (["0217-02-03", "2017-06-01"], "patients:pd_date: '0217-02-03' of P0 is"),
    ],
)  # fmt: skip
def test_dates_are_not_guessed(dates: list[str], said: str) -> None:
    table = pd.DataFrame({"patient_id": ["P0", "P1"], "pd_date": dates})
    found = [e.text for e in clinical.dates(table)[1]]
    assert len(found) == 1
    assert found[0].startswith(said)


def test_declared_dates_are_read() -> None:
    table = pd.DataFrame({"patient_id": ["a", "b"], "pd_date": ["03/04/2018", "13/04/2018"]})
    read = clinical.dates(table, day_first=True)[0]["pd_date"]
    assert read.dt.strftime("%Y-%m-%d").tolist() == ["2018-04-03", "2018-04-13"]
    assert "no day of the calendar as month/day/year" in clinical.dates(table, day_first=False)[1][0].text
    serial = clinical.dates(table.assign(pd_date=["42865", "42866"]), excel_dates=True)[0]["pd_date"]
    assert serial.dt.strftime("%Y-%m-%d").tolist() == ["2017-05-10", "2017-05-11"]
    partial = clinical.dates(table.assign(pd_date=["2017-02", "2017-03-01"]), impute="last")[0]
    assert partial["pd_date"].dt.strftime("%Y-%m-%d").tolist() == ["2017-02-28", "2017-03-01"]
    assert partial.attrs["imputed"] == {"pd_date": ["a"]}
    assert "more than 10 %, say so in every caption" in str(clinical.patient_cautions(partial)[0])


SURVIVAL = pd.DataFrame(
    {"t": [1.0, 2, 3, 4, 5, 6], "e": [1, 0, 1, 1, 0, 1], "g": list("aaabbb"), "x": [1.0, 3, 2, 5, 4, 6]}
)


def test_negative_time_and_time_zero() -> None:
    with pytest.raises(InputError, match=r"clinical.kaplan_meier:t: 1 times are below 0 \(row 0: -1\)"):
        clinical.kaplan_meier(SURVIVAL.assign(t=[-1, 2, 3, 4, 5, 6]), "t", "e")
    found = clinical.kaplan_meier(SURVIVAL.assign(t=[0, 2, 3, 4, 5, 6]), "t", "e")
    assert found.warnings == ("1 events at t 0; they count as events before anybody was followed",)


@pytest.mark.parametrize(
    ("codes", "said"),
    [([2, 1, 2, 2, 1, 2], "codes 1 and 2 are taken as 1 censored, 2 event (4 of 6 are events)"),
     (["Dead", "Alive"] * 3, "Dead taken as the event (3 of 6)"), ([True, False] * 3, None)],
)  # fmt: skip
def test_event_codes_are_told(codes: list, said: str | None) -> None:
    found = clinical.kaplan_meier(SURVIVAL.assign(e=codes), "t", "e")
    assert (said is None and found.warnings == ()) or said in found.warnings[0]


def test_unknown_event_codes_and_the_flip_of_adam() -> None:
    with pytest.raises(InputError, match="found 0, 1, 7, expected 1 for the event and 0 for censored"):
        clinical.kaplan_meier(SURVIVAL.assign(e=[1, 0, 7, 1, 0, 1]), "t", "e")
    with pytest.raises(InputError, match="`CNSR` is 1 for censored, .*; use 1 - CNSR"):
        clinical.kaplan_meier(SURVIVAL.assign(CNSR=SURVIVAL["e"]), "t", "CNSR")
    late = pd.DataFrame({"t": range(1, 41), "e": [0] * 20 + [1] * 20})
    assert "look like the censored: check that 1 is the event" in clinical.kaplan_meier(late, "t", "e").warnings[0]


def test_missing_covariates_are_dropped_and_counted() -> None:
    found = clinical.cox(SURVIVAL.assign(x=[1.0, None, 2, 5, 4, 6]), "t", "e", ["x"])
    assert found.n == 5
    assert found.warnings == ("1 of 6 rows left out: x missing",)


def test_not_estimable_is_a_result() -> None:
    none = SURVIVAL.assign(e=0)
    assert np.isnan(clinical.kaplan_meier(none, "t", "e").median()["median"]).all()
    found = clinical.log_rank(none, "t", "e", "g")
    assert np.isnan(found.p)
    assert found.cite().endswith("p not estimable.")
    one = clinical.log_rank(SURVIVAL.assign(g="a"), "t", "e", "g")
    assert np.isnan(one.p)
    assert one.warnings == ("only the group 'a': not estimable",)
    empty = clinical.log_rank(SURVIVAL.assign(e=[1, 0, 1, 0, 0, 0]), "t", "e", "g")
    assert 0 < empty.p < 1
    table = clinical.survival_table(none, "t", "e", times=[3])
    assert table.loc[0, "median (95 % CI)"] == "NR (NR-NR)"


def test_small_groups_get_no_p_in_tables() -> None:
    table = SURVIVAL.assign(g=list("aabbbb"))
    assert clinical.survival_table(table, "t", "e", by="g", times=[3]).loc[0, "p"] == "no p: a group of 2 patients"
    assert "small groups: a (n = 2), b (n = 4)" in clinical.log_rank(table, "t", "e", "g").warnings[0]


def test_separation_names_the_covariate_and_offers_firth() -> None:
    table = pd.DataFrame({"t": range(1, 21), "e": [1, 0] * 10, "arm": ["a"] * 20})
    table.loc[table["e"] == 0, "arm"] = ["b"] * 6 + ["a"] * 4
    with pytest.raises(InputError) as caught:
        clinical.cox(table, "t", "e", "arm")
    assert "the hazard ratio of `arm[b]` is infinite: no event among its 6 rows" in str(caught.value)
    assert "use firth=True" in str(caught.value)
    row = clinical.cox(table, "t", "e", "arm", firth=True).table.iloc[0]
    assert 0 < row["hr"] < 1
    assert np.isfinite(row["ci_high"])


def test_covariates_that_say_the_same() -> None:
    with pytest.raises(InputError, match="`y` follows from the covariates before it"):
        clinical.cox(SURVIVAL.assign(y=SURVIVAL["x"] * 2 + 1), "t", "e", ["x", "y"])
    with pytest.raises(InputError, match="every complete row has the same `z`"):
        clinical.cox(SURVIVAL.assign(z=1), "t", "e", ["z"])
    site = pd.DataFrame({"site": ["s1"] * 5 + ["s2"] * 4, "drug": ["cy"] * 5 + ["flu"] * 4})
    assert ("site", "drug", 1.0) in clinical.same_partition(site, ["site", "drug"])


def test_landmark_beyond_follow_up_and_times_beyond_the_last() -> None:
    with pytest.raises(InputError, match="nobody is followed beyond 9; the last `t` is 6; choose an earlier landmark"):
        clinical.landmark(SURVIVAL, "t", "e", 9)
    table = SURVIVAL.assign(e=[1, 0, 1, 1, 0, 0])
    at = clinical.kaplan_meier(table, "t", "e").at([5, 9])
    assert at["flag"].tolist() == ["fewer than 5 at risk", "after the last time"]
    assert np.isnan(at["survival"].iloc[1])
    assert clinical.kaplan_meier(table, "t", "e").at([9], extend=True)["survival"].notna().all()


def test_missing_column_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="column `month` missing.*did you mean `months`"):
        clinical.kaplan_meier(pd.DataFrame({"months": [1], "dead": [1]}), "month", "dead")


def test_levels_that_differ_in_blanks_are_told() -> None:
    table = pd.DataFrame({"patient_id": ["a", "b"], "ig": ["IgG", "igG "]})
    assert str(clinical.patient_cautions(table)[0]) == (
        "patients:ig: 'IgG', 'igG ' differ only in case or blanks; counted as different levels, write them one way"
    )


def test_units_and_words_in_numbers_are_refused(tmp_path: Path, cohort_file: Path) -> None:
    from cytof.report._clinical_cohort import read_cohort

    for path in cohort_file.parent.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "transgene.csv").read_text("utf-8")
    (tmp_path / "transgene.csv").write_text(text.replace("copies/ug gDNA", "%", 1), encoding="utf-8")
    with pytest.raises(InputError, match="transgene.csv: CARDNA is given in '%' and 'copies/ug gDNA'"):
        read_cohort(tmp_path / "patients.csv")
    first = text.splitlines()[1].split(",")
    (tmp_path / "transgene.csv").write_text(text.replace(f",{first[3]},", ",n.d.,", 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"transgene.csv:row 2: `value` is 'n.d.' for SYN-\d+, expected a number"):
        read_cohort(tmp_path / "patients.csv")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("a.csv", "", "the file is empty"), ("b.csv", "patient_id,x\n", "no rows below"),
     ("c.csv", "id,x\nP1,1\n", "column `patient_id` missing"),
     ("d.csv", "patient_id,x,x\nP1,1,2\n", "two columns are called `x`")],
)  # fmt: skip
def test_files_that_are_no_table(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        clinical.read_patients(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        clinical.read_patients(tmp_path / "none.csv")


def test_models_of_nobody_with_an_event_are_not_estimable() -> None:
    table = pd.DataFrame({"t": [1.0, 2, 3, 4, 5, 6], "e": 0, "arm": list("aaabbb"), "age": [50, 61, 47, 70, 66, 58]})
    model = clinical.cox(table, "t", "e", ["age", "arm"])
    assert model.table["covariate"].tolist() == ["age", "arm[b]"]
    assert model.table[["hr", "ci_low", "ci_high", "p"]].isna().all(axis=None)
    assert model.events == 0
    assert model.warnings[-1].endswith("hazard ratios are not estimable")
    assert model.proportional()["term"].tolist() == ["age", "arm", "GLOBAL"]
    assert np.isnan(model.concordance()).all()
    found = clinical.cumulative_incidence(table, "t", "e", "arm")
    assert found.at([2])["incidence"].tolist() == [0.0, 0.0]
    assert np.isnan(found.at([5])["incidence"].iloc[0])  # arm a was followed for 3
    assert found.gray["p"].isna().all()
    assert found.warnings == ("nobody had an event: the incidence is 0 as far as anyone was followed",)
