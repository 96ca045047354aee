"""Difference of differences: pure gains cancel or are flagged, planted changes come back, hosts are standardised."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import compare, datasets, io, panel
from cytof.errors import UsageError
from cytof.keys import Tables
from cytof.scale import arcsinh

LEVELS = {"bright": (90.0, 60.0), "middle": (25.0, 40.0), "edge": (12.0, 30.0), "dim": (2.0, 40.0), "off": (0.3, 0.2)}
"""Mean counts on CAR T and host T cells."""


def tubes(
    gain: float, change: dict[str, float] | None = None, *, n: int = 12_000, patients: int = 1, seed: int = 0
) -> anndata.AnnData:
    """Cells of two visits, CD4, CD8 and (CAR T alone) DN; the second visit's ions arrive with a gain.

    ``change`` multiplies a marker's level on CAR T cells of the second visit.
    """
    rng = np.random.default_rng(seed)
    obs, parts = [], []
    for p in range(patients):
        for v, visit in enumerate(("2mo", "5yr")):
            for subset, car, size in (("CD4", 0, n), ("CD8", 0, n // 2), ("CD4", 1, n), ("CD8", 1, n), ("DN", 1, n)):
                level = np.array([pair[1 - car] for pair in LEVELS.values()])
                factor = np.array([(change or {}).get(m, 1.0) if car and v else 1.0 for m in LEVELS])
                mean = level * factor * rng.lognormal(0, 0.35, (size, len(LEVELS))) * (gain if v else 1)
                parts.append(rng.poisson(mean))
                own = {"sample_id": f"{p}{visit}", "patient_id": f"P{p}", "timepoint": visit, "day": 60.0 + 900 * v}
                obs.append(pd.DataFrame(own | {"car": bool(car), "subset": subset}, index=range(size)))
    counts = np.concatenate(parts).astype(np.float32)
    frame = pd.concat(obs, ignore_index=True)
    frame.index = frame.index.astype(str)
    var = pd.DataFrame({"cofactor": 5.0}, index=list(LEVELS))
    return anndata.AnnData(arcsinh(counts, 5.0), obs=frame, var=var, layers={"counts": counts})


@pytest.mark.parametrize("gain", [1.3, 2.0])
@pytest.mark.parametrize("rescale", ["host", "beads"])
def test_a_pure_gain_cancels_in_bright_markers_and_is_flagged_in_the_others(gain: float, rescale: str) -> None:
    cells = tubes(gain)
    how = "host" if rescale == "host" else {"2mo": 1.0, "5yr": gain}
    table = compare.difference_of_differences(cells, rescale=how)
    assert list(table.columns) == [*Tables.TEST, *compare.DID_EXTRAS]
    bright = table["marker"].isin(["bright", "middle", "edge"])
    assert table.loc[bright, "estimate"].abs().max() < 0.05
    assert not table.loc[bright, "not_cancellable"].any()
    assert table.loc[~bright, "not_cancellable"].all()
    assert table["gain"].to_numpy() == pytest.approx(gain, rel=0.03)
    plain = compare.markers(cells[cells.obs["car"].to_numpy()].copy(), markers=["bright"])
    assert plain["estimate"].min() > 0.2, "between visits alone the gain is taken for a change"


def test_directions_come_back_at_a_gain_of_three() -> None:
    cells = tubes(3.0, {"bright": 1.6, "middle": 0.5}, n=3000)
    table = compare.difference_of_differences(cells).set_index(["subset", "marker"])
    for subset in ("CD4", "CD8", "DN"):
        assert table.loc[(subset, "bright"), "estimate"] == pytest.approx(np.log(1.6), abs=0.06)
        assert table.loc[(subset, "middle"), "estimate"] == pytest.approx(np.log(0.5), abs=0.12)
        assert table.loc[(subset, "edge"), "estimate"] == pytest.approx(0, abs=0.06)
    assert (table.xs("bright", level="marker")["q"] < 1e-9).all()
    assert table["host_change"].loc[:, "bright"].abs().max() < 0.05


def test_double_negative_cells_are_set_against_hosts_standardised_to_the_first_visit() -> None:
    cells = tubes(1.0, n=3000)
    host = (~cells.obs["car"] & (cells.obs["subset"] == "CD8")).to_numpy()
    cells.layers["counts"][host] *= 3  # host CD8 differ from CD4, alike at both visits
    drop = host & (cells.obs["timepoint"] == "5yr").to_numpy() & (np.arange(cells.n_obs) % 5 > 0)
    moved = compare.difference_of_differences(cells[~drop].copy(), rescale="none")
    dn = moved[moved["subset"] == "DN"].set_index("marker")
    assert dn["host"].unique().tolist() == ["CD4+CD8"]
    assert dn.loc[["bright", "middle", "edge"], "host_change"].abs().max() < 0.05, "the shift to CD4 is no change"
    assert moved.loc[moved["subset"] == "CD8", "host"].unique().tolist() == ["CD8"]


def test_a_shift_of_hosts_from_cd4_to_cd8_is_no_gain() -> None:
    """All markers higher on CD8, host CD4:CD8 from 80:20 to 20:80: the gain was read as 3.3 and hosts as falling."""
    cells = tubes(1.0, n=3000)
    cd8 = (cells.obs["subset"] == "CD8").to_numpy()
    cells.layers["counts"][cd8] *= 4
    late, host = (cells.obs["timepoint"] == "5yr").to_numpy(), ~cells.obs["car"].to_numpy()
    rare = host & (cd8 != late) & (np.arange(cells.n_obs) % 8 > 0)
    table = compare.difference_of_differences(cells[~rare].copy())
    assert table["gain"].to_numpy() == pytest.approx(1.0, abs=0.03)
    bright = table[table["marker"].isin(["bright", "middle", "edge"])]
    assert bright["host_change"].abs().max() < 0.05
    assert bright["estimate"].abs().max() < 0.08


def test_patients_with_one_condition_each_are_compared_as_two_groups() -> None:
    cells = tubes(1.5, {"bright": 1.6}, n=300, patients=8)
    responder = cells.obs["patient_id"].isin(["P0", "P1", "P2", "P3"])
    cells = cells[((cells.obs["timepoint"] == "5yr") == responder).to_numpy()].copy()
    table = compare.difference_of_differences(cells)
    assert table["test"].unique().tolist() == ["welch t"]
    assert table["n_units"].unique().tolist() == [8]
    assert (table["note"] == "").all()
    row = table.set_index(["subset", "marker"]).loc[("CD4", "bright")]
    assert row["ci_low"] < np.log(1.6) < row["ci_high"]
    assert row["p"] < 1e-3
    assert (row["n_car"], row["n_host_reference"], row["gain"]) == (1200, 1200, pytest.approx(1.5, rel=0.05))
    for reason, keep in (("fewer than 3 patients in 5yr", ["P0", "P1"]), ("fewer than 2 patients in 5yr", ["P0"])):
        few = cells.obs["patient_id"].isin([*keep, "P4", "P5", "P6", "P7"]).to_numpy()
        small = compare.difference_of_differences(cells[few].copy())
        assert small["p"].isna().all()
        assert small["note"].str.startswith(reason).all()


def test_interval_is_welch_of_four_means_and_covers() -> None:
    hits = []
    for seed in range(60):
        table = compare.difference_of_differences(tubes(1.0, n=60, seed=seed), rescale="none", unit="cell")
        hits.extend(((table["ci_low"] <= 0) & (table["ci_high"] >= 0)).tolist())
    assert 0.93 <= np.mean(hits) <= 0.97
    assert table["note"].eq("cells of one patient are not replicates").all()


def test_patients_are_the_unit_from_three_on() -> None:
    cells = tubes(1.5, {"bright": 1.4}, n=300, patients=4)
    table = compare.difference_of_differences(cells)
    assert table["unit"].unique().tolist() == ["patient"]
    assert table["n_units"].unique().tolist() == [4]
    row = table.set_index(["subset", "marker"]).loc[("CD4", "bright")]
    assert row["ci_low"] < np.log(1.4) < row["ci_high"]
    assert row["gain"] == pytest.approx(1.5, rel=0.05)
    moderated = compare.difference_of_differences(cells, test="moderated-t").set_index(["subset", "marker"])
    assert moderated.loc[("CD4", "bright"), "test"].startswith("moderated")
    lost = cells[~((cells.obs["patient_id"] == "P0") & cells.obs["car"] & (cells.obs["timepoint"] == "5yr")).to_numpy()]
    fewer = compare.difference_of_differences(lost.copy())
    assert fewer["n_units"].unique().tolist() == [3]
    assert fewer["note"].str.contains("1 patient without all four groups of cells left out").all()
    cd4 = fewer.set_index(["subset", "marker"]).loc[("CD4", "bright")]
    assert (cd4["n_car"], cd4["n_host"]) == (900, 900), "of those in the test"
    one = compare.difference_of_differences(cells[(cells.obs["timepoint"] == "2mo").to_numpy()].copy())
    assert one["note"].unique().tolist() == ["there is no other timepoint"]


def test_rows_that_cannot_be_estimated_say_why() -> None:
    cells = tubes(1.0, n=80)
    gone = (cells.obs["car"] & (cells.obs["subset"] == "CD8") & (cells.obs["timepoint"] == "5yr")).to_numpy()
    table = compare.difference_of_differences(cells[~gone].copy()).set_index("subset")
    assert table.loc["CD8", "note"].str.startswith("no CAR T cells in 5yr").all()
    assert table.loc["CD8", "p"].isna().all()
    assert table.loc["CD8", "n_car"].eq(0).all()
    missing = cells.copy()
    missing.layers["counts"][(missing.obs["timepoint"] == "5yr").to_numpy(), 0] = np.nan
    table = compare.difference_of_differences(missing, rescale="none").set_index(["subset", "marker"])
    assert table.loc[("CD4", "bright"), "note"].startswith("marker missing")
    one = compare.difference_of_differences(cells[(cells.obs["timepoint"] == "2mo").to_numpy()].copy())
    assert one["contrast"].unique().tolist() == ["no other timepoint vs 2mo"]
    assert one["p"].isna().all()
    with pytest.raises(UsageError, match="there are no host T cells"):
        compare.difference_of_differences(cells[cells.obs["car"].to_numpy()].copy())
    with pytest.raises(UsageError, match="gives no gain above 0 for 5yr"):
        compare.difference_of_differences(cells, rescale={"2mo": 1.0})


def synthetic(folder: Path, scale: float) -> anndata.AnnData:
    """Living single T cells of the synthetic patient, labelled by its truth files."""
    root = datasets.patient(folder, scale=scale).parent
    sheet, chosen = pd.read_csv(root / "samples.csv"), panel.load("car_t_41")
    parts, obs = [], []
    for row in sheet.itertuples():
        events = io.read_fcs(root / row.file_name, panel=chosen, sample_id=row.sample_id)
        truth = pd.read_csv(root / "truth" / f"{Path(row.file_name).stem}.truth.csv", keep_default_na=False)
        keep = ((truth["live"] & truth["singlet"] & ~truth["bead"].astype(bool)) & (truth["subset"] != "")).to_numpy()
        use = events.channels["marker_class"].isin(["type", "state"]).to_numpy()
        parts.append(events.X[keep][:, use])
        own = {"sample_id": row.sample_id, "patient_id": row.patient_id, "timepoint": row.timepoint, "day": row.day}
        own |= {"car": truth["car"][keep].to_numpy() == 1, "subset": truth["subset"][keep].to_numpy()}
        obs.append(pd.DataFrame(own))
    counts, frame = np.concatenate(parts).astype(np.float32), pd.concat(obs, ignore_index=True)
    frame.index = frame.index.astype(str)
    var = events.channels[use].set_index("antigen")[["marker_class", "role"]]
    return anndata.AnnData(arcsinh(counts, 5.0), obs=frame, var=var, layers={"counts": counts})


UP, LEVEL, DOWN = ("HLA-DR", "CCR7", "CD27", "CD28", "CD107a"), ("Ki67", "CD38"), ("GZMB", "PD-1", "Tim-3")


def test_statements_of_figure_4_are_rows_of_the_tables(tmp_path: Path) -> None:
    cells = synthetic(tmp_path, 0.5)
    car = cells[cells.obs["car"].to_numpy()].copy()
    counts = car.obs.groupby("timepoint")["subset"].value_counts(normalize=True)
    assert counts["5yr", "DN"] == pytest.approx(0.916, abs=0.01)
    assert counts["5yr", "CD8"] < 0.1
    visits = compare.markers(car, reference="2mo")
    against_host = compare.difference_of_differences(cells, reference="2mo")
    for table in (visits, against_host):
        late = table[(table["subset"] == "DN") & (table["contrast"] == "5yr vs 2mo")].set_index("marker")
        assert (late.loc[list(UP), "ci_low"] > 0).all()
        assert (late.loc[list(DOWN), "ci_high"] < 0).all()
        assert (late.loc[list(LEVEL), "q"] > 0.05).all()
    cd8 = visits[(visits["subset"] == "CD8") & (visits["contrast"] == "5yr vs 2mo")].set_index("marker")
    assert (cd8.loc[["GZMB", "PD-1"], "estimate"] < 0).all()
    assert (cd8.loc[["Ki67", "HLA-DR"], "q"] > 0.05).all()
    arms = compare.markers(cells, by="car", reference=False, within="timepoint")
    last = arms[arms["subset"] == "5yr"].set_index("marker")
    assert last.loc["Ki67", "ci_low"] > 0
    assert (last.loc[["PD-1", "CD57", "GZMB", "CD107a"], "ci_high"] < 0).all()
    shifts = compare.technical_shifts(cells, reference="2mo")
    beside = compare.against_technical(visits, shifts)
    dn = beside[(beside["subset"] == "DN") & (beside["contrast"] == "5yr vs 2mo")].set_index("marker")
    assert dn.loc[["CD27", "CCR7", "GZMB", "CD28", "Tim-3"], "outside_technical"].all()
    assert not dn.loc[["CD3", "CD38", "Ki67"], "outside_technical"].any()
    host = compare.against_technical(against_host, shifts)
    assert {"technical_low", "technical_high", "outside_technical"} <= set(host)
    assert host["outside_technical"].notna().any()
    assert 0.1 < dn["technical_high"].iloc[0] < 0.4, "the instrument's gain of the four runs: 0.9 to 1.1"
