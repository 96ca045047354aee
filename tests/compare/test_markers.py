"""Planted truths found again, calibration under the null, and the rows that cannot be tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytof import compare
from cytof.errors import PanelError, UsageError
from cytof.keys import Tables


def cells_of(groups: dict[str, np.ndarray], *, patient: dict[str, str] | None = None) -> anndata.AnnData:
    """Cells of samples, each an array (n_cells, n_markers); the word before the dash is the visit."""
    parts = [
        pd.DataFrame(
            {"sample_id": s, "timepoint": s.split("-")[0], "patient_id": (patient or {}).get(s, "P1")},
            index=[f"{s}.{i}" for i in range(len(x))],
        )
        for s, x in groups.items()
    ]
    obs = pd.concat(parts)
    obs["timepoint"] = pd.Categorical(obs["timepoint"], sorted(obs["timepoint"].unique()), ordered=True)
    X = np.concatenate(list(groups.values())).astype(np.float32)
    return anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=[f"m{i}" for i in range(X.shape[1])]))


def test_planted_changes_of_dn_cells_are_found(study: anndata.AnnData) -> None:
    car = study[study.obs["car"].to_numpy()].copy()
    table = compare.markers(car)
    assert list(table.columns) == [*Tables.TEST, *compare.EXTRAS]
    assert len(table) == 4 * 3 * 7
    assert table["contrast"].unique().tolist() == ["1yr vs 2mo", "3yr vs 2mo", "5yr vs 2mo"]
    late = table[(table["subset"] == "DN") & (table["contrast"] == "5yr vs 2mo")].set_index("marker")
    assert late.loc["HLA-DR", "ci_low"] < 0.8 < late.loc["HLA-DR", "ci_high"]
    assert late.loc["GZMB", "ci_low"] < -1.0 < late.loc["GZMB", "ci_high"]
    assert (late.loc[["HLA-DR", "GZMB"], "q"] < 1e-6).all()
    assert late.loc["HLA-DR", "auroc_low"] > 0.5 > late.loc["GZMB", "auroc_high"]
    assert late.loc["Ki67", "q"] > 0.05
    cd8 = table[table["subset"] == "CD8"]
    assert (cd8["q"] > 0.05).mean() > 0.9
    assert np.allclose(table["cliffs_delta"], 2 * table["auroc"] - 1, equal_nan=True)
    assert np.allclose(table["q"].dropna(), stats.false_discovery_control(table["p"].dropna()))


def test_car_against_host_at_each_visit(study: anndata.AnnData) -> None:
    table = compare.markers(study, by="car", reference=False, within="timepoint")
    assert table["contrast"].unique().tolist() == ["CAR+ vs CAR-"]
    assert table["subset"].unique().tolist() == ["2mo", "1yr", "3yr", "5yr"]
    pd1 = table[table["marker"] == "PD-1"]
    assert ((pd1["ci_low"] < -0.7) & (pd1["ci_high"] > -0.7)).all()
    assert (pd1["n"] == 400).all()
    assert (pd1["n_reference"] == 600).all()
    assert (pd1["n_units"] == 1000).all()
    assert (table["unit"] == "cell").all()
    assert table["note"].str.contains("cells of one patient are not replicates").all()


def test_row_is_what_scipy_says(study: anndata.AnnData) -> None:
    car = study[study.obs["car"].to_numpy()]
    cd8 = car[(car.obs["subset"] == "CD8").to_numpy()]
    x, y = (cd8[(cd8.obs["timepoint"] == t).to_numpy()][:, "GZMB"].X.ravel().astype(float) for t in ("5yr", "2mo"))
    for test, judge in (
        ("rank-sum", stats.mannwhitneyu(x, y, method="asymptotic")), ("welch", stats.ttest_ind(x, y, equal_var=False)),
    ):  # fmt: skip
        table = compare.markers(car.copy(), test=test, markers=["GZMB"])
        row = table[(table["subset"] == "CD8") & (table["contrast"] == "5yr vs 2mo")].iloc[0]
        assert (row["statistic"], row["p"]) == pytest.approx((judge.statistic, judge.pvalue), rel=1e-6)
        assert row["estimate"] == pytest.approx(x.mean() - y.mean(), rel=1e-5)
        assert (row["median"], row["median_reference"]) == pytest.approx(
            (float(np.median(x)), float(np.median(y))), rel=1e-6
        )
        assert row["test"] == test


def test_reference_default_names_and_refusals(study: anndata.AnnData) -> None:
    car = study[study.obs["car"].to_numpy()].copy()
    other = compare.markers(car, reference="5yr", within=None, markers=["GZMB"])
    assert other["contrast"].tolist() == ["2mo vs 5yr", "1yr vs 5yr", "3yr vs 5yr"]
    assert other["subset"].tolist() == ["all"] * 3
    car.obs["timepoint"] = car.obs["timepoint"].astype(str)
    assert compare.markers(car, markers=["GZMB"])["contrast"].iloc[0] == "1yr vs 2mo", "the first by day, not by letter"
    with pytest.raises(UsageError, match=r"reference '2m' is no level of `timepoint`.*did you mean `2mo`"):
        compare.markers(car, reference="2m")
    with pytest.raises(PanelError, match="no marker `GZM`"):
        compare.markers(car, markers=["GZM"])
    with pytest.raises(UsageError, match="`by` and `within` are both `subset`"):
        compare.markers(car, by="subset")
    with pytest.raises(UsageError, match="unit cell: test is 'ranksum', expected one of rank-sum"):
        compare.markers(car, test="ranksum")
    with pytest.raises(UsageError, match="column `visit` missing"):
        compare.markers(car, by="visit")


def test_rows_that_cannot_be_tested_say_why(study: anndata.AnnData) -> None:
    car = study[study.obs["car"].to_numpy()].copy()
    visit, subset = car.obs["timepoint"].astype(str).to_numpy(), car.obs["subset"].astype(str).to_numpy()
    first = np.flatnonzero((visit == "1yr") & (subset == "CD4"))[1:]
    keep = np.ones(car.n_obs, bool)
    keep[first] = False
    keep[(visit == "3yr") & (subset == "DN")] = False
    car = car[keep].copy()
    car.X[(car.obs["timepoint"] == "1yr").to_numpy(), car.var_names.get_loc("GZMB")] = np.nan
    car.X[:, car.var_names.get_loc("PD-1")] = 1.0
    table = compare.markers(car).set_index(["subset", "contrast", "marker"])
    assert table.loc[("DN", "3yr vs 2mo", "Ki67"), "note"].startswith("no cells in 3yr")
    assert table.loc[("DN", "3yr vs 2mo", "Ki67"), "n"] == 0
    assert table.loc[("CD4", "1yr vs 2mo", "Ki67"), "note"].startswith("fewer than 2 cells in 1yr")
    assert table.loc[("CD8", "1yr vs 2mo", "GZMB"), "note"].startswith("marker missing in 1yr")
    assert table.loc[("CD8", "5yr vs 2mo", "PD-1"), "note"].startswith("all values are equal")
    assert table.loc[("DP", "5yr vs 2mo", "Ki67"), "note"].startswith("no cells in 5yr")
    untested = table["p"].isna()
    assert untested.sum() > 10
    assert table.loc[untested, "note"].str.contains("; cells of one patient").all()
    assert table.loc[untested, "q"].isna().all()
    assert table.loc[~untested, "note"].eq("cells of one patient are not replicates").all()
    for test in ("welch", "permutation"):
        other = compare.markers(car, test=test, markers=["PD-1", "Ki67"]).set_index(["subset", "contrast", "marker"])
        assert (other["p"].isna() == untested[other.index]).all()


def test_one_visit_and_one_cell() -> None:
    one = cells_of({"2mo": np.ones((1, 2))})
    table = compare.markers(one, within=None)
    assert table["contrast"].tolist() == ["no other timepoint vs 2mo"] * 2
    assert table["n_reference"].tolist() == [1, 1]
    assert table["note"].str.startswith("there is no other timepoint; ").all()
    assert table["p"].isna().all()


def test_results_do_not_depend_on_the_order_of_cells(study: anndata.AnnData) -> None:
    shuffled = study[np.random.default_rng(5).permutation(study.n_obs)].copy()
    for test in ("rank-sum", "welch", "permutation"):
        kind = {"test": test, "markers": ["GZMB", "dim"]}
        pd.testing.assert_frame_equal(
            compare.markers(study, **kind), compare.markers(shuffled, **kind), check_exact=True
        )
    alone = compare.markers(study, test="permutation", markers=["dim"])["p"]
    both = compare.markers(study, test="permutation", markers=["GZMB", "dim"]).query("marker == 'dim'")["p"]
    assert alone.tolist() == both.tolist(), "a row's draws do not depend on which other rows are asked for"


@pytest.mark.parametrize("test", ["rank-sum", "welch"])
def test_cells_of_one_tube_split_at_random_reject_five_percent(test: str) -> None:
    """2,000 markers, half of the values zero: rejections and coverage at the level of cells."""
    rng = np.random.default_rng(21)
    x = np.maximum(rng.normal(0, 1, (260, 2000)), 0)
    table = compare.markers(cells_of({"a": x[:110], "b": x[110:]}), within=None, test=test)
    assert 0.035 <= (table["p"] < 0.05).mean() <= 0.065
    assert 0.93 <= ((table["ci_low"] <= 0) & (table["ci_high"] >= 0)).mean() <= 0.97
    assert 0.93 <= ((table["auroc_low"] <= 0.5) & (table["auroc_high"] >= 0.5)).mean() <= 0.97


def test_cells_as_the_unit_take_tubes_for_effects_and_patients_do_not() -> None:
    """Four patients, two tubes each, no effect, tubes differ by 0.3 SD: cells reject most nulls, patients 5 %."""
    rng = np.random.default_rng(22)
    names = [f"{visit}-{p}" for visit in ("a", "b") for p in range(4)]
    tubes = {name: rng.normal(0, 1, (60, 600)) + rng.normal(0, 0.3, 600) for name in names}
    cells = cells_of(tubes, patient={name: name[-1] for name in names})
    by_cell = compare.markers(cells, within=None, unit="cell")
    by_patient = compare.markers(cells, within=None)
    assert (by_cell["p"] < 0.05).mean() > 0.25
    assert by_cell["note"].eq("cells of 4 patients are not replicates").all()
    assert (by_patient["unit"] == "patient").all()
    assert 0.03 <= (by_patient["p"] < 0.05).mean() <= 0.07


def test_patients_are_paired_where_they_have_both(small_study: Callable[..., anndata.AnnData]) -> None:
    rng = np.random.default_rng(23)
    names = [f"{visit}-{p}" for visit in ("a", "b") for p in range(5)]
    tubes = {n: rng.normal(0, 1, (30, 3)) + 2 * int(n[-1]) + (n[0] == "b") * np.array([1.0, 0, 0]) for n in names}
    who = {n: n[-1] for n in names}
    table = compare.markers(cells_of(tubes, patient=who), within=None).set_index("marker")
    a, b = (np.array([tubes[f"{v}-{p}"].astype(np.float32).mean(axis=0) for p in range(5)]) for v in "ab")
    judge = stats.ttest_rel(b, a)
    assert table["p"].to_numpy() == pytest.approx(judge.pvalue, rel=1e-4)
    assert table["ci_low"].to_numpy() == pytest.approx(judge.confidence_interval().low, rel=1e-3, abs=1e-4)
    assert table["n_units"].tolist() == [5] * 3
    assert table["test"].tolist() == ["paired t"] * 3
    assert table.loc["m0", "auroc"] > 0.7, "within patients, although patients differ by far more"
    del tubes["b-4"]
    fewer = compare.markers(cells_of(tubes, patient=who), within=None)
    assert fewer["n_units"].tolist() == [4] * 3
    assert fewer["note"].tolist() == ["1 patient without both left out"] * 3
    apart = {n: f"{n[0]}{n[-1]}" for n in tubes}
    table = compare.markers(cells_of(tubes, patient=apart), within=None)
    assert table["test"].tolist() == ["welch t"] * 3
    assert table["n_units"].tolist() == [9] * 3
    assert table["p"].to_numpy() == pytest.approx(stats.ttest_ind(b[:4], a, equal_var=False).pvalue, rel=1e-4)
    only = compare.markers(
        cells_of({k: v for k, v in tubes.items() if k[0] == "a" or k == "b-0"}, patient=who), within=None
    )
    assert only["note"].str.startswith("fewer than 2 patients with both").all()
    assert only["p"].isna().all()
    with pytest.raises(UsageError, match="unit patient: test is 'welch', expected one of t, moderated-t"):
        compare.markers(cells_of(tubes, patient=who), within=None, test="welch")


def test_mixed_model_is_lmertests_and_needs_six_patients() -> None:
    """> summary(lmerTest::lmer(tube ~ late_tube + (1 | tube_who))), expected.R; patient 7 came once."""
    means = [1.31, 1.52, 0.88, 2.05, 1.12, 1.64, 0.71, 1.93, 1.95, 1.21, 2.31, 1.90, 1.83, 1.16]
    who = ["1", "1", *"234567", *"123456"]
    names = [f"{'a' if i < 8 else 'b'}-{i}" for i in range(14)]
    tubes = {name: np.array([[m - 0.2], [m], [m + 0.2]]) for name, m in zip(names, means, strict=True)}
    patient = dict(zip(names, who, strict=True))
    judge = json.loads(Path(__file__).with_name("expected.json").read_text("utf-8"))["lmer_two"]
    row = compare.markers(cells_of(tubes, patient=patient), within=None, test="mixed").iloc[0]
    assert row["estimate"] == pytest.approx(judge["estimate"][1], abs=1e-3)
    assert row["statistic"] == pytest.approx(judge["t"][1], abs=1e-3)
    assert row["p"] == pytest.approx(judge["p"][1], abs=1e-3)
    half = stats.t.ppf(0.975, judge["df"][1]) * judge["se"][1]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((row["estimate"] - half, row["estimate"] + half), abs=1e-3)
    assert (row["test"], row["unit"], row["n_units"]) == ("mixed", "patient", 7)
    assert row["note"] == "Satterthwaite's degrees of freedom 6.0"
    few = {n: x for n, x in tubes.items() if patient[n] < "6"}
    row = compare.markers(cells_of(few, patient=patient), within=None, test="mixed").iloc[0]
    assert np.isnan(row["p"])
    assert row["note"] == "refused: mixed models need 6 patients, found 5"
    flat = {n: np.full((3, 1), 2.0) for n in names}
    row = compare.markers(cells_of(flat, patient=patient), within=None, test="mixed").iloc[0]
    assert row["note"] == "all values are equal"
    early = {n: x for n, x in tubes.items() if n[0] == "a"} | {"b-0": np.empty((0, 1))}
    row = compare.markers(cells_of(early, patient=patient), within=None, test="mixed").iloc[0]
    assert row["note"] == "one level only"


def test_two_samples_of_a_patient_weigh_alike() -> None:
    """The mean of a patient is the mean of its samples' means, not of its cells."""
    tubes = {"a-0": np.full((90, 1), 1.0), "a-1": np.full((10, 1), 3.0), "b-0": np.full((5, 1), 4.0)}
    more = {f"{v}-{p}": np.full((4, 1), float(p) + (v == "b") * p) for v in "ab" for p in (5, 7)}
    who = {"a-0": "P", "a-1": "P", "b-0": "P"} | {n: n[-1] for n in more}
    row = compare.markers(cells_of(tubes | more, patient=who), within=None).iloc[0]
    assert row["estimate"] == pytest.approx(((4 - 2) + 5 + 7) / 3)


def test_what_does_not_vary_says_so_and_permutation_states_its_floor() -> None:
    apart = cells_of({"a": np.zeros((20, 1)), "b": np.ones((20, 1))})
    row = compare.markers(apart, within=None, test="welch").iloc[0]
    assert np.isnan(row["p"])
    assert row["note"] == "values do not vary within either group; cells of one patient are not replicates"
    row = compare.markers(apart, within=None, test="permutation").iloc[0]
    assert row["note"] == "smallest attainable p 0.001; cells of one patient are not replicates"
    names = [f"{v}-{p}" for v in "ab" for p in range(6)]
    tubes = {n: np.full((5, 1), float(n[0] == "b")) for n in names}
    for who, note in (({n: n[-1] for n in names}, "all differences are equal"),
                      ({n: n for n in names}, "values do not vary within either group")):  # fmt: skip
        row = compare.markers(cells_of(tubes, patient=who), within=None).iloc[0]
        assert (row["estimate"], row["note"]) == (1.0, note)
        row = compare.markers(cells_of(tubes, patient=who), within=None, test="mixed").iloc[0]
        assert np.isnan(row["p"])
        assert (row["estimate"], row["note"]) == (pytest.approx(1.0), "values do not vary about the model")


def test_blank_patients_are_no_patient_and_one_with_both_levels_does_not_drop_the_others() -> None:
    rng = np.random.default_rng(3)
    names = ["a-0", "b-0", *(f"{'a' if p < 7 else 'b'}-{p}" for p in range(1, 13))]
    tubes = {n: rng.normal(0, 1, (10, 2)) for n in names}
    row = compare.markers(cells_of(tubes, patient={n: n.split("-")[1] for n in names}), within=None).iloc[0]
    assert (row["test"], row["n_units"], row["n"]) == ("welch t", 12, 60)
    assert row["note"] == "1 patient with both left out"
    cells = cells_of({n: tubes[n] for n in ("a-0", "b-0", "a-1", "b-8")}, patient={"a-0": "P", "b-0": "P"})
    cells.obs["patient_id"] = np.where(cells.obs["sample_id"].isin(["a-0", "b-0"]), "P", "nan")
    assert compare.markers(cells, within=None)["note"].eq("cells of one patient are not replicates").all()


@pytest.mark.parametrize(("values", "floor"), [([1, 2, 3, 4, 5, 0], "0.0625"), ([1, 2, 0, 0, 0, 0], "0.5")])
@pytest.mark.parametrize("test", ["rank-sum", "permutation"])
def test_the_floor_of_an_exact_test_is_that_of_its_own_values(values: list[float], floor: str, test: str) -> None:
    from cytof.compare._replicates import compare_units

    x = dict(enumerate(map(float, values)))
    row = compare_units(x, dict.fromkeys(x, 0.0), test=test, words=("b", "a"))
    assert np.isnan(row["p"])
    assert row["note"].startswith("refused: of 6 pairs, ")
    assert row["note"].endswith(f" of them different, the smallest attainable p is {floor}")
    ties = compare_units(dict(enumerate([0.0, 0, 0, 5])), {9 + i: 0.0 for i in range(4)}, test=test, words=("b", "a"))
    assert ties["note"] == "refused: of 4 v 4 patients, with ties, the smallest attainable p is 1"
    some = compare_units(
        dict(enumerate([3.0, 3, 4, 5, 6])), {9 + i: float(i % 2) for i in range(5)}, test=test, words=("b", "a")
    )
    assert some["note"] == "smallest attainable p 0.00794"
    assert some["p"] == pytest.approx(2 / 252)
