"""Shares, their exact intervals, bands, calls, and the names of gates."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytof import track
from cytof.errors import GateError, InputError, UsageError
from cytof.keys import Tables
from cytof.track._interval import wilson


@pytest.mark.parametrize(("n", "low", "high"), [(65, 78.2, 94.3), (54, 61.4, 82.6), (12, 8.7, 26.6)])
def test_exact_interval_of_the_paper(n: int, low: float, high: float) -> None:
    """65, 54 and 12 of 74 patients: 78.2-94.3 %, 61.4-82.6 %, 8.7-26.6 %."""
    found = track.clopper_pearson(n, 74)
    assert [round(100 * float(f), 1) for f in found] == [low, high]


def test_exact_interval_equals_scipy_everywhere() -> None:
    n, total = np.array([0, 1, 7, 50, 300, 300]), np.array([5, 5, 100, 50, 1_500_000, 300])
    low, high = track.clopper_pearson(n, total, level=0.9)
    for i in range(len(n)):
        judge = stats.binomtest(int(n[i]), int(total[i])).proportion_ci(0.9, method="exact")
        assert (low[i], high[i]) == pytest.approx((judge.low, judge.high), rel=1e-8, abs=1e-15)
    assert np.isnan(track.clopper_pearson(0, 0)).all()


def test_share_of_a_gate(study: anndata.AnnData) -> None:
    table = track.abundance(study)
    assert list(table.columns) == list(Tables.ABUNDANCE)
    assert table["sample_id"].tolist() == ["2mo", "1yr", "3yr", "5yr"]
    assert table["n"].tolist() == [400] * 4
    assert table["n_denominator"].tolist() == [40_000] * 4
    assert table["fraction"].tolist() == [0.01] * 4
    assert (table["ci_low"] < 0.01).all()
    assert (table["ci_high"] > 0.01).all()
    assert set(table["population"]) == {"CAR+"}
    assert set(table["denominator"]) == {"CD45+"}


def test_names_of_gates(study: anndata.AnnData) -> None:
    by_path = track.abundance(study, population="cells/singlets/live/CD45+/CD3+/CAR-", of="CD3+")
    by_alias = track.abundance(study, population="Host T", of="CD3+")
    assert by_path["n"].tolist() == by_alias["n"].tolist() == [600] * 4
    with pytest.raises(GateError, match="no gate `CAR\\+\\+`.*did you mean `CAR\\+`"):
        track.abundance(study, population="CAR++")
    with pytest.raises(GateError, match="`DN` stands for 2 gates.*CAR\\+/DN.*CAR-/DN"):
        track.abundance(study, population="DN")
    with pytest.raises(GateError, match="does not lie above.*CD45\\+"):
        track.abundance(study, population="CAR+/DN", of="CAR-")
    with pytest.raises(GateError, match="does not lie above"):
        track.abundance(study, population="CAR+", of="CAR+")


def test_counts_that_are_not_there_or_twice(study: anndata.AnnData) -> None:
    counts = study.uns["cytof"]["counts"]
    study.uns["cytof"]["counts"] = pd.concat([counts, counts.iloc[[3]]])
    with pytest.raises(InputError, match="two rows for gate `cells/singlets/live` of sample `2mo`"):
        track.abundance(study)
    study.uns["cytof"]["counts"] = counts[~((counts["sample_id"] == "3yr") & (counts["gate"].str.endswith("CAR+")))]
    table = track.abundance(study).set_index("sample_id")
    assert np.isnan(table.loc["3yr", "n"])
    assert np.isnan(table.loc["3yr", "fraction"])
    assert table.loc["3yr", "call"] == "not evaluable"
    assert table.loc["5yr", "n"] == 400
    del study.uns["cytof"]
    with pytest.raises(UsageError, match="no gate counts"):
        track.abundance(study)


def test_a_sample_without_kept_cells_keeps_its_row(study: anndata.AnnData) -> None:
    part = study[study.obs["sample_id"] != "1yr"].copy()
    assert set(track.abundance(part)["sample_id"]) == {"2mo", "1yr", "3yr", "5yr"}
    part.uns["cytof"]["samples"] = study.obs[["sample_id", "patient_id", "timepoint", "day"]].drop_duplicates()
    table = track.abundance(part)
    assert table["sample_id"].tolist() == ["2mo", "1yr", "3yr", "5yr"]
    assert table["day"].tolist() == [60, 365, 1095, 1825]


def test_band_moves_with_the_threshold(study: anndata.AnnData) -> None:
    """Threshold 2.0 within 1.0-3.8: the band counts CD3+ cells above 3.8 and above 1.0."""
    table = track.abundance(study).set_index("sample_id")
    vhh = study[study.obs["sample_id"] == "5yr"][:, "VHH"].X.ravel()
    assert table.loc["5yr", "band_low"] == np.sum(vhh >= 3.8) / 40_000
    assert table.loc["5yr", "band_high"] == np.sum(vhh >= 1.0) / 40_000
    assert (table["band_low"] < table["fraction"]).all()
    assert (table["band_high"] > table["fraction"]).all()
    only_car = study[study.obs["car"].to_numpy()].copy()
    assert track.abundance(only_car)[["band_low", "band_high"]].isna().all(axis=None)


def test_level_of_a_column_in_each_sample(study: anndata.AnnData) -> None:
    table = track.abundance(study, groupby="flowsom", of="CAR+")
    assert len(table) == 4 * study.obs["flowsom"].cat.categories.size
    assert (table.groupby("sample_id")["n"].sum() == 400).all()
    assert (table.groupby("sample_id")["fraction"].sum().round(12) == 1).all()
    assert table["population"].tolist()[:2] == ["1", "2"]
    dp = track.abundance(study, groupby="subset", of="CAR+").set_index(["sample_id", "population"])
    assert dp.loc[("5yr", "DP"), "n"] == 0
    assert dp.loc[("5yr", "DP"), "ci_high"] == pytest.approx(1 - 0.025 ** (1 / 400))


def test_clusters_as_a_share_of_all_cells_need_all_cells(study: anndata.AnnData) -> None:
    table = track.abundance(study, groupby="flowsom", of="CD45+")
    assert set(table["n_denominator"]) == {40_000}
    assert (table.groupby("sample_id")["fraction"].sum().round(12) == 0.01).all()
    drawn = study[::2].copy()
    with pytest.raises(GateError, match="labelled cells of `2mo` are here, gate .* counted 400.*of='CAR\\+'"):
        track.abundance(drawn, groupby="flowsom", of="CD45+")
    assert (track.abundance(drawn, groupby="flowsom", of="CAR+").groupby("sample_id")["fraction"].sum() > 0.999).all()


def test_rows_do_not_depend_on_the_order_of_cells(study: anndata.AnnData) -> None:
    shuffled = study[np.random.default_rng(1).permutation(study.n_obs)].copy()
    for kind in ({}, {"groupby": "flowsom", "of": "CAR+"}):
        pd.testing.assert_frame_equal(track.abundance(study, **kind), track.abundance(shuffled, **kind))


def test_cells_without_gates_have_shares_of_root() -> None:
    obs = pd.DataFrame({"sample_id": ["a", "a", "b"], "cluster": ["1", "2", "1"]}, index=list("xyz"))
    cells = anndata.AnnData(np.zeros((3, 1), np.float32), obs=obs)
    table = track.abundance(cells, groupby="cluster", of="root")
    assert table["fraction"].tolist() == [0.5, 0.5, 1.0, 0.0]


def test_cells_per_microlitre_where_the_sheet_has_a_count(study: anndata.AnnData) -> None:
    assert track.abundance(study)["per_ul"].isna().all()
    study.obs["leukocytes_1e9_per_l"] = study.obs["sample_id"].astype(str).map({"2mo": "5,0", "1yr": "4", "5yr": "6"})
    table = track.abundance(study).set_index("sample_id")
    assert table["per_ul"].tolist() == pytest.approx([50, 40, np.nan, 60], nan_ok=True)
    assert table.loc["2mo", "per_ul_high"] == pytest.approx(5000 * table.loc["2mo", "ci_high"])
    assert table["per_ul_of"].tolist() == ["share of CD45+ x leukocytes"] * 2 + ["", "share of CD45+ x leukocytes"]
    study.obs["lymphocytes_per_ul"] = "few"
    with pytest.raises(InputError, match="lymphocytes_per_ul of sample `.*` is `few`, expected a number"):
        track.abundance(study)


@pytest.mark.parametrize(
    ("lymphocytes", "leukocytes", "of", "taken"),
    [
        ([1000, 1000, 1000, 1000], [5000, 5000, 5000, 5000], "CD45+", "leukocytes"),
        ([1000, 1000, 1000, 1000], [5000, 5000, 5000, 5000], "CD3+", "lymphocytes"),
        (["", "", "", ""], [5000, 5000, 5000, 5000], "CD3+", "leukocytes"),
        ([1000, 1000, 1000, 1000], ["", "", "", ""], "CD45+", "lymphocytes"),
        ([1000, 1000, 1000, 1000], [5000, "", "", 5000], "CD45+", "lymphocytes"),
        (["", 1000, 1000, 1000], ["", 5000, 5000, 5000], "CD45+", "leukocytes"),
    ],
)
def test_blood_count_is_the_one_the_share_is_of(study: anndata.AnnData, lymphocytes, leukocytes, of, taken) -> None:
    """Leukocytes for a share of CD45+, else lymphocytes; one kind a patient; a blank column is no count."""
    given = {"lymphocytes": lymphocytes, "leukocytes": leukocytes}
    sample = study.obs["sample_id"].astype(str)
    for kind, counts in given.items():
        study.obs[f"{kind}_per_ul"] = sample.map(dict(zip(("2mo", "1yr", "3yr", "5yr"), counts, strict=True)))
    table = track.abundance(study, of=of)
    expected = pd.to_numeric(pd.Series(given[taken]), errors="coerce") * table["fraction"]
    assert table["per_ul"].tolist() == pytest.approx(expected.tolist(), nan_ok=True)
    assert set(table["per_ul_of"]) - {""} == {f"share of {of} x {taken}"}


def test_score_interval_equals_scipy_and_covers_on_average() -> None:
    """Exact coverage, mean over 2,000 shares between 0 and 1: 93-97 %; never of zero width, also at 0 and 100 %."""
    for total in (1, 20, 86, 500):
        n = np.arange(total + 1)
        low, high = wilson(n, total)
        for k in (0, total // 3, total):
            judge = stats.binomtest(k, total).proportion_ci(0.95, method="wilson")
            assert (low[k], high[k]) == pytest.approx((judge.low, judge.high), abs=1e-12)
        assert (high > low).all()
        p = (np.arange(2000) + 0.5) / 2000
        inside = (low[:, None] <= p) & (p <= high[:, None])
        if total > 1:
            assert 0.93 <= np.mean(np.sum(stats.binom.pmf(n[:, None], total, p) * inside, axis=0)) <= 0.97
    assert np.isnan(wilson(0, 0)).all()
