"""Printed survival rates: what can be is never called impossible; what cannot be is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cytof import clinical
from cytof.errors import InputError

CONFS = ["log-log", "log", "plain", "logit", "arcsin"]
TIMES = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=6, max_size=60)


def check(**row: object) -> pd.Series:
    return clinical.check_km_rates([{"name": "row", **row}]).iloc[0]


@given(TIMES, st.sampled_from(CONFS), st.integers(5, 50))
@settings(max_examples=120, deadline=None)
def test_what_was_estimated_can_be(rows: list, conf: str, at: int) -> None:
    """Rate, interval, events and number at risk of any cohort, printed with one decimal, match; with half of it too."""
    table = pd.DataFrame(rows, columns=["t", "e"]).astype(float)
    r = clinical.kaplan_meier(table, "t", "e", conf=conf).at(at + 0.5).iloc[0]
    if not 0 < r["survival"] < 1 or np.isnan(r["ci_low"]):
        return
    printed = {"rate": f"{100 * r['survival']:.1f}", "ci": [f"{100 * r[c]:.1f}" for c in ("ci_low", "ci_high")],
               "n": len(table), "conf": conf}  # fmt: skip
    events = int(table.loc[table["t"] <= at, "e"].sum())
    for more in ({}, {"n_at_risk": int(r["n_at_risk"])}, {"events": events, "n_at_risk": int(r["n_at_risk"])}):
        assert check(**printed, **more)["verdict"] == "MATCH", (printed, more)
    again = clinical.check_km_rates([{"name": "row", **printed, "at": at + 0.5}], table, "t", "e").iloc[0]
    assert again["verdict"] == "MATCH"


@given(TIMES, st.integers(5, 50))
@settings(max_examples=60, deadline=None)
def test_every_order_of_few_events_and_censorings_is_found(rows: list, at: int) -> None:
    from cytof.clinical._published_rates import attainable

    table = pd.DataFrame(rows[:9], columns=["t", "e"]).astype(float)
    s = clinical.kaplan_meier(table, "t", "e").at(at + 0.5, extend=True)["survival"].iloc[0]
    before = table[table["t"] <= at]
    values, every = attainable(len(table), int(before["e"].sum()), int((before["e"] == 0).sum()))
    assert every
    assert np.isclose(values, s, atol=1e-9).any()


def test_the_paper_s_rates_of_five_years() -> None:
    """No log or plain interval fits; 62 events less three after 60 months cannot leave 21.0 %."""
    pfs = {"rate": "21.0", "ci": ["12.2", "31.4"], "n": 74}
    os = {"rate": "49.1", "ci": ["37.2", "60.0"], "n": 74}
    assert [check(**r)["verdict"] for r in (pfs, os)] == ["MATCH", "MATCH"]
    assert check(**pfs)["said"] == "fits log-log, arcsin; at least 1 of 74 must have been censored before"
    assert all(check(**r, conf=c)["method"] != f"{c} interval" for r in (pfs, os) for c in ("log", "plain"))
    assert check(**pfs, conf="log")[["verdict", "method"]].tolist() == ["OTHER METHOD", "log-log interval"]
    contradiction = check(**pfs, events=59)
    assert contradiction["verdict"] == "IMPOSSIBLE"
    assert contradiction["said"] == "59 events of 74 patients leave at most 20.3 %"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"rate": "63.0", "n": 10, "events": 4, "n_at_risk": 6}, "4 events and 0 censored of 10 patients give 60.0 %"),
        ({"rate": "50.0", "n": 10, "events": 8, "n_at_risk": 4}, "8 events + 4 at risk are not 10 patients"),
        ({"rate": "30.0", "n": 10, "n_at_risk": 5}, "5 of 10 still at risk are 50.0 %, more than S"),
        ({"rate": "50.0", "ci": ["49.0", "51.0"], "n": 30},
         "no log-log, log, plain, logit, arcsin interval of 30 patients has these limits"),
        ({"rate": "50.0", "ci": ["20.0", "55.0"], "n": 30},
         "no log-log, log, plain, logit, arcsin interval of 30 patients has these limits"),
    ],
)  # fmt: skip
def test_what_cannot_be_says_why(row: dict, said: str) -> None:
    found = check(**row)
    assert (found["verdict"], found["said"]) == ("IMPOSSIBLE", said)


def test_binomial_interval_printed_as_kaplan_meier() -> None:
    r = clinical.rate(12, 40)
    found = check(rate="30.0", ci=[f"{100 * r.ci_low:.2f}", f"{100 * r.ci_high:.2f}"], n=40)
    assert found[["verdict", "method"]].tolist() == ["OTHER METHOD", "exact binomial interval"]


def test_nested_groups_that_contradict_each_other() -> None:
    rows = [{"name": "all", "rate": "80.0", "n": 50, "n_at_risk": 30},
            {"name": "responders", "rate": "60.0", "n": 40, "n_at_risk": 20, "within": "all"},
            {"name": "others", "rate": "70.0", "n": 40, "n_at_risk": 25, "within": "all"},
            {"name": "too many", "rate": "90.0", "n": 60, "within": "all"}]  # fmt: skip
    found = clinical.check_km_rates(rows).set_index("name")
    assert found.loc["all", "verdict"] == "MATCH"
    assert (
        found.loc["responders", "said"] == "at least 14 events in responders, but at most 10 in all, whose part it is"
    )
    assert found.loc["too many", "said"] == "too many has more patients (at risk) than all, whose part it is"
    few = [{"name": "all", "rate": "20.0", "n": 50, "n_at_risk": 8}, {"name": "part", "rate": "90.0", "n": 40,
           "n_at_risk": 7, "within": "all"}]  # fmt: skip
    said = clinical.check_km_rates(few).set_index("name").loc["part", "said"]
    assert said == "all needs at least 32 events and part has at most 4; the other 10 patients cannot have 28"
    with pytest.raises(InputError, match="check_km_rates:part: `within` is 'whole', and no row has this name"):
        clinical.check_km_rates([{"name": "part", "rate": "90.0", "n": 4, "within": "whole"}])


def test_against_the_patients(ends: pd.DataFrame) -> None:
    pfs = ends[ends["PARAMCD"] == "PFS"].assign(arm="all")
    row = {"name": "PFS", "rate": "21.0", "ci": ["12.2", "31.4"], "n_at_risk": 8, "at": 60}
    rows = [row, row | {"ci": ["13.2", "33.4"]}, row | {"rate": "79.0", "ci": ["68.6", "87.8"]},
            row | {"rate": "23.6"}, row | {"ci": ["1.0", "31.4"]}, row | {"n_at_risk": 12}]  # fmt: skip
    found = clinical.check_km_rates(rows, pfs, "AVAL", "event")
    assert found["verdict"].tolist() == ["MATCH", "OTHER METHOD", "OTHER METHOD", *["IMPOSSIBLE"] * 3]
    assert found["said"].tolist() == [
        "21.0 (12.2-31.4), 8 at risk",
        "21.0 (13.2-33.4), 8 at risk; the interval is the log one",
        "21.0 (12.2-31.4), 8 at risk; 1 - S, the share with the event",
        "of these 74 patients the rate is 21.0",
        "of these 74 patients the log-log interval is 12.2-31.4",
        "of these 74 patients at risk are 8",
    ]
    with pytest.raises(InputError, match="check_km_rates:PFS: no patient has arm 'B'"):
        clinical.check_km_rates([row | {"group": "B"}], pfs, "AVAL", "event", "arm")


@pytest.mark.parametrize(
    ("row", "said"),
    [({"n": 5}, "the row has no `rate`"), ({"rate": "20"}, "the row has no `n`"),
     ({"rate": "NR", "n": 5}, "`rate` is 'NR', expected a number of percent, 0 to 100"),
     ({"rate": "20", "ci": ["-3", "40"], "n": 5}, "`ci` is '-3', expected"),
     ({"rate": "20", "n": 5, "conf": "loglog"}, "conf is 'loglog', expected one of log-log.*did you mean `log-log`")],
)  # fmt: skip
def test_rows_that_cannot_be_read(row: dict, said: str) -> None:
    with pytest.raises(InputError, match=f"check_km_rates:row: {said}"):
        check(**row)
