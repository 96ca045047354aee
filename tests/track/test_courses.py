"""Courses, their parameters, infusions, concordance, flow, safety and disagreement on the small study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from cytof import io, track
from cytof.errors import InputError, PanelError, SheetError, UsageError
from cytof.kinetics import PARAMETERS


def shares(day, n, *, call=None, total: int = 100_000, loq: float = 25.0, per_ul=np.nan) -> pd.DataFrame:
    n = np.asarray(n, float)
    called = (
        ["detected" if k >= loq else ("below LOQ" if k > 5 else "not detected") for k in n] if call is None else call
    )
    return pd.DataFrame({"patient_id": "P1", "day": day, "population": "CAR+", "denominator": "CD45+", "n": n,
                         "n_denominator": total, "fraction": n / total, "loq": loq, "call": called,
                         "per_ul": per_ul})  # fmt: skip


def test_course_of_a_share_is_censored_below_its_limit_of_quantification() -> None:
    table = track.courses(shares([30, 60, 90, 120, 150], [3000, 1500, 750, 12, 2]))
    assert table["value"].tolist() == pytest.approx([3, 1.5, 0.75, 0.012, 0.002])
    assert table["below_limit"].tolist() == [False] * 3 + [True] * 2
    assert table["detected"].tolist() == [True] * 4 + [False]
    assert set(table["limit"]) == {0.025}
    found = track.persistence(shares([30, 60, 90, 120, 150], [3000, 1500, 750, 12, 2])).iloc[0]
    assert (found["tlast"], found["tlast_before"], found["tlast_status"]) == (120, 150, "interval")
    assert found["half_life_of"] == "share"


def test_planted_half_life_of_share_and_of_cells_per_microlitre() -> None:
    """Share halves every 60 days, lymphocytes double every 120: cells per microlitre halve every 120."""
    day = np.array([30.0, 90, 150, 210, 270])
    n = 40_000 * 0.5 ** (day / 60)
    table = shares(day, n, per_ul=n / 100_000 * 1000 * 2 ** (day / 120))
    found = track.persistence(table).set_index("half_life_of")["half_life"]
    assert found["share"] == pytest.approx(60, rel=1e-6)
    assert found["absolute"] == pytest.approx(120, rel=1e-6)


def test_not_evaluable_samples_and_those_without_a_day_are_no_points() -> None:
    table = shares([30, np.nan, 90], [900, 900, 3], call=["detected", "detected", "not evaluable"])
    assert track.courses(table)["day"].tolist() == [30]
    assert list(track.persistence(table).columns) == list(PARAMETERS)
    assert track.persistence(table.iloc[:0]).empty


def test_limit_of_an_absolute_count_stands_where_no_cell_is_found() -> None:
    """Limit of quantification by the denominator x blood count: 25 / 100,000 x 2,000 per uL, at 0 cells as at 300."""
    day, n = [14, 60, 180, 365, 730, 1000], np.array([3000, 1500, 600, 300, 120, 0])
    table = shares(day, n, per_ul=n / 100_000 * 2000.0)
    table["ci_low"], table["ci_high"] = track.clopper_pearson(n, 100_000)
    table["per_ul_high"] = table["ci_high"] * 2000
    absolute = track.courses(table).query("unit == 'cells/uL'")
    assert absolute["limit"].tolist() == pytest.approx([0.5] * 6)
    assert set(absolute["note"]) == {""}
    found = track.persistence(table).set_index("half_life_of")
    assert found.loc["absolute", "half_life"] == pytest.approx(found.loc["share", "half_life"], rel=1e-9)
    bare = track.courses(table.drop(columns="per_ul_high")).query("unit == 'cells/uL'")
    assert bare["limit"].tolist() == pytest.approx([0.5] * 6)
    assert bare["note"].tolist()[-1] == "blood count of day 1000 is not known: the patient's largest taken"


def test_limit_at_no_cell_takes_the_blood_count_of_the_sheet(study: anndata.AnnData) -> None:
    with_sheet(study, lymphocytes_per_ul={"2mo": 1000, "1yr": 1500, "3yr": 2000, "5yr": 400})
    counts = study.uns["cytof"]["counts"]
    counts.loc[(counts["sample_id"] == "5yr") & counts["gate"].str.endswith("CAR+"), "n"] = 0
    table = track.abundance(study)
    last = track.courses(table, study).query("assay.str.startswith('CyTOF, absolute')").iloc[-1]
    assert last["limit"] == pytest.approx(table["loq"].iloc[-1] / 40_000 * 400)
    bare = table.drop(columns=["per_ul_high", "ci_high"])
    assert (
        track.courses(bare, study).query("assay.str.startswith('CyTOF, absolute')").iloc[-1]["limit"] == last["limit"]
    )


def test_tubes_of_one_day_are_counted_together() -> None:
    """Two tubes of one day against one tube of their sum; the other patient keeps its row as it was."""
    two = shares([60, 60, 365], [300, 330, 100], per_ul=6.0).assign(lob=4.0, false_expected=0.0)
    other = shares([60, 365], [900, 90], per_ul=9.0).assign(patient_id="P2", lob=4.0, false_expected=0.0)
    found = track.persistence(pd.concat([two, other], ignore_index=True)).set_index(["patient_id", "half_life_of"])
    assert found.loc[("P1", "share"), "cmax"] == pytest.approx(100 * 630 / 200_000)
    assert found.loc[("P1", "share"), "note"] == "2 tubes of day 60 counted together"
    alone = track.persistence(other).set_index(["patient_id", "half_life_of"])
    pd.testing.assert_frame_equal(found.loc[["P2"]], alone)


def test_pooled_tubes_have_the_call_of_their_sum(small_study: Callable[..., anndata.AnnData]) -> None:
    """Equal tubes with 5 of 5,000 blanks above: limits as of one tube, 10 of 10,000 and twice the cells."""
    one = small_study(n_car=20, n_host=980)
    blanks = one.uns["cytof"]["blanks"]
    blanks[["n", "n_above"]] = [5000, 5]
    one.uns["cytof"]["blanks"] = blanks[blanks["blank"] == "all"]
    half = track.abundance(one).iloc[:1]
    assert half["call"].tolist() == ["below LOQ"]
    whole = track.courses(pd.concat([half, half.assign(sample_id="rep")])).iloc[0]
    loq = track.limit_of_quantification(10, 10_000, 2000)
    assert whole["limit"] == pytest.approx(100 * loq / 80_000)
    assert (whole["value"], whole["below_limit"]) == (pytest.approx(0.05), False)
    none = half.assign(n=1, fraction=1 / 40_000, call="not detected")
    assert not track.courses(pd.concat([none, none])).iloc[0]["detected"]


def test_a_value_of_the_sheet_that_two_tubes_repeat_counts_once(study: anndata.AnnData) -> None:
    with_sheet(study, day={"2mo": 60.0, "1yr": 60.0, "3yr": 1095.0, "5yr": 1825.0},
               transgene_copies_per_ug={"2mo": 900, "1yr": 900, "3yr": 700, "5yr": 500},
               lymphocytes_per_ul={"2mo": 1000, "1yr": 1200, "3yr": 900, "5yr": 900})  # fmt: skip
    table = track.courses(track.abundance(study), study).set_index("assay")
    assert table.loc["transgene", "value"].tolist() == [900, 700, 500]
    assert table.loc["lymphocytes", "value"].tolist() == [1100, 900, 900]
    assert table.loc["lymphocytes", "note"].tolist() == ["mean of 2 values of day 60", "", ""]
    pooled = table.loc["CyTOF, absolute, CAR+ of CD45+", "value"].tolist()
    assert pooled == pytest.approx([11, 9, 9])
    assert track.concordance(track.abundance(study), study)["day"].tolist() == [60, 1095, 1825]


def test_a_gate_without_blanks_is_below_the_limit_at_no_cell() -> None:
    table = track.courses(shares([30, 60], [5, 0], call=["", ""], loq=np.nan))
    assert table["below_limit"].tolist() == [False, True]
    assert table["limit"].tolist() == pytest.approx([1e-3, 1e-3])


def test_another_product_ends_the_courses(tmp_path: Path) -> None:
    file = tmp_path / "infusions.csv"
    file.write_text("patient_id,date,product\nP1,2016-01-01,LEGEND-2\nP1,2016-01-08,legend-2\nP1,2016-05-20,other\n")
    infusions = io.read_infusions(file)
    assert infusions["another"].tolist() == [False, False, True]
    table = shares([30, 60, 90, 140, 170], [3000, 1500, 750, 9000, 8000])
    assert track.courses(table, infusions=infusions)["after_reinfusion"].tolist() == [False] * 3 + [True] * 2
    found = track.persistence(table, infusions=infusions).iloc[0]
    assert (found["cmax"], found["tlast"], found["tlast_status"]) == (3, 90, "right censored")
    assert found["censored_from"] == 140
    cells = anndata.AnnData(np.zeros((1, 1), np.float32), obs=pd.DataFrame({"sample_id": ["a"]}, index=["c"]))
    cells.uns["cytof"] = {"infusions": infusions}
    assert track.persistence(table, cells).iloc[0]["censored_from"] == 140


def test_faults_of_infusions_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "infusions.csv"
    file.write_text("patient_id,date,product\nP1,soon,A\n,2016-01-01,\n")
    with pytest.raises(SheetError) as caught:
        io.read_infusions(file)
    assert "infusions.csv:2: date: 'soon' is not a date; write YYYY-MM-DD" in caught.value.text
    assert "infusions.csv:3: patient_id: empty" in caught.value.text
    assert "infusions.csv:3: product: empty" in caught.value.text
    file.write_text("patient_id,day\nP1,3\n")
    with pytest.raises(SheetError, match="columns `date`, `product` missing"):
        io.read_infusions(file)


def with_sheet(study: anndata.AnnData, **columns: dict[str, object]) -> anndata.AnnData:
    for name, values in columns.items():
        study.obs[name] = study.obs["sample_id"].astype(str).map(values)
    return study


def test_transgene_and_lymphocytes_stand_on_the_same_axis(study: anndata.AnnData) -> None:
    with_sheet(study, transgene_copies_per_ug={"2mo": "900", "1yr": "800", "3yr": "", "5yr": "20"},
               transgene_limit=dict.fromkeys(("2mo", "1yr", "3yr", "5yr"), "50"),
               lymphocytes_per_ul={"2mo": 1000, "1yr": 1500})  # fmt: skip
    table = track.courses(track.abundance(study), study)
    copies = table[table["assay"] == "transgene"]
    assert copies["below_limit"].tolist() == [False, False, True, True]
    assert table[table["assay"] == "lymphocytes"]["value"].tolist() == [1000, 1500]
    with_sheet(study, transgene_copies_per_ug={"2mo": "many"})
    with pytest.raises(InputError, match="transgene_copies_per_ug of sample `2mo` is `many`, expected a number"):
        track.courses(track.abundance(study), study)


def test_discordant_visit_is_flagged(study: anndata.AnnData) -> None:
    """CAR+ is 1 % at every visit; copies follow but for 3yr, ten times too low."""
    with_sheet(study, transgene_copies_per_ug={"2mo": 1000, "1yr": 1100, "3yr": 100, "5yr": 900})
    table = track.concordance(track.abundance(study), study).set_index("day")
    assert table["discordant"].tolist() == [False, False, True, False]
    assert table.loc[1095, "reason"] == "10 times the ratio of the other visits"
    assert (table["ratio_low"] < table["ratio"]).all()
    one = track.concordance(track.abundance(study).iloc[:1], study)
    assert one["reason"].tolist() == ["no other visit to set it against"]


def test_vanished_cells_beside_copies_that_stay_are_discordant(study: anndata.AnnData) -> None:
    """No CAR T cell at 5yr. With the copies of the other visits the ratio is far below theirs, with 1 % of them not."""
    counts = study.uns["cytof"]["counts"]
    counts.loc[(counts["sample_id"] == "5yr") & counts["gate"].str.endswith("CAR+"), "n"] = 0
    with_sheet(study, transgene_copies_per_ug=dict.fromkeys(("2mo", "1yr", "3yr", "5yr"), 3000))
    shown = track.abundance(study)
    table = track.concordance(shown, study).set_index("day")
    assert table["discordant"].tolist() == [False, False, False, True]
    last = table.loc[1825]
    assert (last["ratio_low"], np.isnan(last["ratio"])) == (0, True)
    most = 100 * shown["loq"].iloc[-1] / 40_000 / 3000 * np.exp(1.96 * np.sqrt(np.log1p(0.3**2)))
    assert last["ratio_high"] == pytest.approx(most)
    assert last["reason"] == f"CyTOF below the limit: at most {most * 3000:.2g} times the other visits"
    with_sheet(study, transgene_copies_per_ug={"2mo": 3000, "1yr": 3000, "3yr": 3000, "5yr": 30})
    quiet = track.concordance(shown, study).set_index("day")
    assert quiet.loc[1825, ["discordant", "reason"]].tolist() == [False, "CyTOF below the limit"]


def test_copies_below_their_limit_beside_cells_that_stay_are_discordant(study: anndata.AnnData) -> None:
    with_sheet(study, transgene_copies_per_ug={"2mo": 3000, "1yr": 3000, "3yr": 3000, "5yr": ""},
               transgene_limit=dict.fromkeys(("2mo", "1yr", "3yr", "5yr"), 50))  # fmt: skip
    last = track.concordance(track.abundance(study), study).iloc[-1]
    assert (last["discordant"], last["ratio_high"]) == (True, np.inf)
    assert last["reason"].startswith("transgene below the limit: at least ")


def test_flow_stacks_to_one_and_knows_first_and_last_visit(study: anndata.AnnData) -> None:
    cells = study[study.obs["car"].to_numpy()].copy()
    table = track.flow(cells)
    assert (table.groupby("sample_id")["stack_high"].max().round(12) == 1).all()
    naive = cells.obs.groupby(["sample_id", "flowsom"], observed=False).size()
    assert all(naive[(r.sample_id, r.cluster)] == r.n for r in table.itertuples())
    dp = table[table["cluster"] == "5"]
    seen = [str(v) for v, n in zip(dp["timepoint"], dp["n"], strict=True) if n]
    assert set(dp["first_seen"]) == {seen[0]}
    assert set(dp["last_seen"]) == {seen[-1]}


def test_growing_pool_of_one_cluster_is_told(study: anndata.AnnData) -> None:
    cells = study[study.obs["car"].to_numpy()].copy()
    table = track.safety(cells).set_index("sample_id")
    assert table["growing"].tolist() == [False, True, True, True]
    assert (table["note"] == "").all()
    p = table.loc["5yr", "largest_fraction"]
    assert table.loc["5yr", "simpson"] == pytest.approx(1 - p**2 - (1 - p) ** 2)
    cells.obs["flowsom"] = pd.Categorical(["4"] * cells.n_obs)
    assert "one cluster holds 100 % of a growing pool" in track.safety(cells)["note"].tolist()[1]
    assert "the panel has no Ki-67" in track.safety(cells, marker="Ki-67")["note"].tolist()[0]
    none = track.safety(cells[cells.obs["subset"] != "DN"].copy())
    assert set(none["n"]) == {0}
    assert set(none["note"]) == {"no cells"}


def test_dim_cells_of_a_cluster_are_told_from_double_negative_ones(study: anndata.AnnData) -> None:
    """Thresholds of CD4 and CD8 at 2.2. Cluster 2 is CD4, 3 CD8, 4 DN; ten CD8 cells are dimmed to 2.0 and gated DN."""
    cells = study[study.obs["car"].to_numpy() & (study.obs["flowsom"] != "1").to_numpy()].copy()
    table = track.disagreement(cells)
    assert table["agrees"].all()
    dim = np.flatnonzero((cells.obs["flowsom"] == "3").to_numpy() & (cells.obs["sample_id"] == "2mo").to_numpy())[:10]
    cells.X[dim, cells.var_names.get_loc("CD8")] = 2.0
    cells.obs.loc[cells.obs_names[dim], "subset"] = "DN"
    table = track.disagreement(cells)
    row = table[~table["agrees"]].iloc[0]
    assert (row["cluster_subset"], row["subset"], row["n"], row["cd8_just_below"]) == ("CD8", "DN", 10, 1.0)
    assert row["note"] == "may be dim cells of a CD8 cluster; 100 % lie just below the CD8 threshold"
    with pytest.raises(PanelError, match="the panel has no CD8"):
        track.disagreement(cells[:, [m for m in cells.var_names if m != "CD8"]].copy())


def test_host_subset_that_is_not_there_is_not_detected(study: anndata.AnnData) -> None:
    counts = study.uns["cytof"]["counts"]
    host = counts["gate"].str.endswith("CAR-")
    counts.loc[host, "n"] = 60_000
    for n, word in ((2, "not detected"), (20, "below LOQ"), (600, "detected")):
        counts.loc[counts["gate"].str.endswith("CAR-/DN"), "n"] = n
        table = track.subsets(study, of="CAR-")
        assert set(table.loc[table["population"] == "DN", "call"]) == {word}


def test_positive_share_has_the_score_interval(study: anndata.AnnData) -> None:
    thresholds = study.uns["cytof"]["thresholds"]
    study.uns["cytof"]["thresholds"] = pd.concat(
        [thresholds, thresholds.iloc[:1].assign(gate="x", channel="Nd149")], ignore_index=True
    )
    row = track.state(study, by=None, markers=["dim"]).iloc[0]
    x = study[study.obs["sample_id"] == "2mo"][:, "dim"].X.ravel() >= 2.0
    judge = binomtest(int(x.sum()), len(x)).proportion_ci(0.95, method="wilson")
    assert [row["positive_low"], row["positive_high"]] == pytest.approx([judge.low, judge.high])
    study.X[:, study.var_names.get_loc("dim")] = 0.5
    none = track.state(study, by=None, markers=["dim"]).iloc[0]
    assert (none["positive_fraction"], none["positive_low"]) == (0, 0)
    assert none["positive_high"] > 0
    assert track.state(study, by=None, markers=["Ki67"])["reason"].tolist() == ["no one threshold"] * 4


def test_marker_that_is_missing_at_a_visit_is_told_from_no_cells(study: anndata.AnnData) -> None:
    cells = study[study.obs["car"].to_numpy()].copy()
    late = (cells.obs["sample_id"] == "5yr").to_numpy()
    cells.X[late, cells.var_names.get_loc("Ki67")] = np.nan
    n = int((late & (cells.obs["subset"] == "DN").to_numpy()).sum())
    table = track.state(cells, markers=["Ki67"]).set_index(["sample_id", "subset"])
    said = f"no value: the marker is missing in all {n:,} cells"
    assert table.loc[("5yr", "DN"), ["n", "reason"]].tolist() == [0, said]
    assert table.loc[("5yr", "DP"), "reason"] == "no cells"
    assert track.safety(cells).iloc[-1]["note"] == f"no value: Ki67 is missing in all {n:,} cells"


def test_a_study_without_subsets_has_its_state_over_all_cells(study: anndata.AnnData) -> None:
    study.obs["subset"] = pd.Categorical([None] * study.n_obs, ["CD4", "CD8", "DN", "DP"])
    pd.testing.assert_frame_equal(track.state(study), track.state(study, by=None))
    assert set(track.state(study)["subset"]) == {"all"}
    assert set(track.safety(study)["note"]) == {"no cells"}


def test_a_subset_that_is_not_there_is_told_from_one_without_cells(study: anndata.AnnData) -> None:
    with pytest.raises(UsageError, match="safety: subset is 'DNN', expected one of CD4, CD8, DN, DP.*mean `DN`"):
        track.safety(study, subset="DNN")


def test_gate_sensitivity_wants_all_events(patient: Path) -> None:
    from cytof import gate

    loaded_sheet = io.read_sheet(patient.parent / "samples.csv")
    import cytof as cy
    from cytof import clean, panel

    template = panel.load_gates("car_t_41")
    events = io.read_fcs(loaded_sheet["path"].iloc[0], panel=cy.panel.load("car_t_41"), sample_id="2mo")
    events = clean.intact(clean.normalize_beads(events))
    gating = gate.apply(events, template, gate.place(template, [events]))
    table = track.gate_sensitivity(gating).set_index("left_out")
    counts = gating.counts.set_index("gate")["n"]
    assert table.loc["none", "n"] == counts[gating.car_gate]
    assert list(table.index)[1:] == ["CD11b-", "CD11c-", "CD66b-", "CD19-", "CD14-", "CD7+", "CD3+"]
    assert (table["n"] >= table.loc["none", "n"]).all()
    assert table.loc["none", "car_median"] > 2
    from dataclasses import replace

    channel = gating.regions[next(p for p in gating.masks if p.endswith("/CD7+"))].dims[0].channel
    lost = np.flatnonzero(gating.mask("CAR+"))[::2]
    X = events.X.copy()
    X[lost, events.channels.index.get_loc(channel)] = 0
    dimmed = gate.apply(events.replace(X=X), template, gating.thresholds)
    found = track.gate_sensitivity(dimmed).set_index("left_out")
    assert found.loc["CD7+", "ratio"] == pytest.approx(2, rel=0.1)
    assert found.loc["CD7+", "note"].startswith("without it the share is ")
    X[np.flatnonzero(gating.mask("CAR+")), events.channels.index.get_loc(channel)] = 0
    gone = track.gate_sensitivity(gate.apply(events.replace(X=X), template, gating.thresholds)).set_index("left_out")
    n = table.loc["none", "n"]
    assert gone.loc["none", ["n", "note"]].tolist() == [0, "the whole chain leaves no CAR T cell"]
    assert gone.loc["CD7+", ["n", "ratio"]].tolist() == [n, np.inf]
    least = gone.loc["CD7+", "ci_low"] / gone.loc["none", "ci_high"]
    assert gone.loc["CD7+", "note"] == (
        f"loses every CAR T cell: {n:,} CAR T cells without it, none with it, "
        f"the share at least {least:.3g} times as large"
    )
    with pytest.raises(UsageError, match="gate_sensitivity: only the events of .*CD3"):
        track.gate_sensitivity(gating.keep("CD3+"))
    with pytest.raises(UsageError, match="no CAR gate"):
        track.gate_sensitivity(replace(gating, car_gate=None))
