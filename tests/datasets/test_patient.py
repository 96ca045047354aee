"""The synthetic patient: what is planted is there, in the files and in the truth beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import flowio
import numpy as np
import pandas as pd
import pytest

from cytof import datasets, io, panel
from cytof.datasets._acquisition import Instrument
from cytof.datasets._phenotypes import allocate, antigens, read_data
from cytof.errors import UsageError

VISITS = ("2mo", "1yr", "3yr", "5yr")
TRUTH = ["event", "cell_type", "cluster", "car", "live", "singlet", "bead", "debris", "subset"]
BEADS = ["Ce140", "Eu151", "Eu153", "Ho165", "Lu175"]


class Visit:
    """One file with its truth: ``scaled`` arcsinh(x / 5) by antigen, ``counts`` by channel."""

    def __init__(self, study: Path, name: str) -> None:
        self.events = io.read_fcs(study.parent / f"fcs/synthetic_{name}.fcs", panel="car_t_41", sample_id=name)
        self.truth = pd.read_csv(study.parent / f"truth/synthetic_{name}.truth.csv", keep_default_na=False)
        self.counts = pd.DataFrame(self.events.X, columns=self.events.channels.index)
        self.scaled = pd.DataFrame(np.arcsinh(self.events.X / 5), columns=self.events.channels.antigen)
        intact = (self.truth.live == 1) & (self.truth.singlet == 1)
        self.cells = intact & (self.truth.cell_type != "erythroblast")
        self.car = intact & (self.truth.car == 1)
        self.host_t = intact & self.truth.cell_type.str.startswith("host")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return datasets.patient(tmp_path_factory.mktemp("patient"), scale=0.3, random_state=0)


@pytest.fixture(scope="module")
def visits(study: Path) -> dict[str, Visit]:
    return {name: Visit(study, name) for name in VISITS}


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    for folder, seed in ((one, 3), (two, 3), (other, 4)):
        datasets.patient(folder, scale=0.02, random_state=seed)
    assert digests(one) == digests(two)
    differing = {name for name, digest in digests(one).items() if digests(other)[name] != digest}
    assert {f"fcs/synthetic_{v}.fcs" for v in VISITS} <= differing
    assert "samples.csv" not in differing


def test_global_random_state_is_neither_read_nor_touched(tmp_path: Path) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global generator is what is under test
    datasets.patient(tmp_path, scale=0.01)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_shares_of_car_t_cells_are_the_published_ones(visits: dict[str, Visit]) -> None:
    published = {"2mo": 0.0301, "1yr": 0.0104, "3yr": 0.0049, "5yr": 0.0024}
    for name, visit in visits.items():
        assert visit.car.sum() / visit.cells.sum() == pytest.approx(published[name], rel=0.01), name


def test_double_negative_cells_take_over(visits: dict[str, Visit]) -> None:
    shares = pd.DataFrame({n: v.truth.subset[v.car].value_counts(normalize=True) for n, v in visits.items()}).fillna(0)
    assert shares.loc["DN"].is_monotonic_increasing
    assert shares.loc["CD8", "2mo"] > 0.6
    assert shares.loc["DN", "5yr"] == pytest.approx(0.916, abs=0.01)
    assert 0 < shares.loc["CD8", "5yr"] < 0.10
    assert 0 < shares.loc["CD4", "5yr"] < 0.02


def test_nine_phenotypes_in_the_published_subsets(visits: dict[str, Visit]) -> None:
    of = visits["2mo"].truth[visits["2mo"].car].groupby("cluster").subset.unique().str.join("").to_dict()
    assert of == {
        "C1": "CD8", "C2": "CD8", "C3": "CD8", "C5": "CD8", "C6": "CD4", "C4": "DN", "C7": "DN", "C8": "DN", "C9": "DN",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("subset", "up", "level", "down"),
    [
        ("DN", "HLA-DR CCR7 CD27 CD28 CD107a", "Ki67 CD38", "GZMB PD-1 Tim-3"),
        ("CD8", "", "Ki67 HLA-DR", "GZMB PD-1"),
    ],
)
def test_marker_trends_five_years_against_two_months(
    visits: dict[str, Visit], subset: str, up: str, level: str, down: str
) -> None:
    early, late = (visits[v].scaled[visits[v].car & (visits[v].truth.subset == subset)] for v in ("2mo", "5yr"))
    for summary in (pd.DataFrame.mean, pd.DataFrame.median):
        change = summary(late) - summary(early)
        assert (change[up.split()] > 0.25).all(), change[up.split()]
        assert (change[down.split()] < -0.5).all(), change[down.split()]
    change = late.mean() - early.mean()
    error = np.sqrt(late.var() / len(late) + early.var() / len(early))
    assert (change[level.split()].abs() < 0.2 + 2 * error[level.split()]).all(), change[level.split()]


def test_car_t_against_host_t_at_five_years(visits: dict[str, Visit]) -> None:
    late = visits["5yr"]
    for summary in (pd.DataFrame.mean, pd.DataFrame.median):
        car, host = summary(late.scaled[late.car]), summary(late.scaled[late.host_t])
        assert (car - host)[["PD-1", "CD57", "GZMB", "CD107a"]].max() < -0.3
        assert 0.2 < (car - host)["Ki67"] < 1.2


def test_host_double_negative_t_cells_by_scenario(visits: dict[str, Visit], tmp_path: Path) -> None:
    for visit in visits.values():
        assert not (visit.truth.subset[visit.host_t] == "DN").any()
    gd = Visit(datasets.patient(tmp_path, scenario="gd", scale=0.05), "3yr")
    negative = gd.host_t & (gd.truth.subset == "DN")
    assert set(gd.truth.cell_type[negative]) == {"host gd T"}
    assert 0.01 < negative.sum() / gd.host_t.sum() < 0.03
    assert gd.scaled.loc[negative, ["CD4", "CD8"]].median().max() < 1 < gd.scaled.loc[negative, "CD3"].min()
    assert gd.car.sum() == round(104_000 * 0.05 * 0.0049)


def test_truth_columns_and_what_they_mean(visits: dict[str, Visit]) -> None:
    for visit in visits.values():
        t = visit.truth
        assert list(t.columns) == TRUTH
        assert t.event.tolist() == list(range(len(visit.events)))
        assert set(t.cluster[t.car == 1]) == {f"C{i}" for i in range(1, 10)}
        assert set(t.cluster[t.car == 0]) == {""}
        assert (t.cell_type[t.car == 1] == "CAR T").all()
        pair = t.cell_type.str.contains("+", regex=False)
        assert (t.singlet[pair] == 0).all()
        assert (t.singlet[~pair & (t.debris == 0)] == 1).all()
        assert not (t.live[(t.debris == 1) | (t.cell_type == "bead")]).any()
        assert ((t.bead == 1) == t.cell_type.str.startswith("bead")).all()
        assert {"CAR T+B", "CAR T+monocyte"} <= set(t.cell_type)
        expected = {"granulocyte", "monocyte", "DC", "B", "NK", "host CD4 T", "host CD8 T", "CAR T", "debris", "bead"}
        assert expected <= set(t.cell_type)


def test_doublets_are_one_to_two_per_cent_and_random(visits: dict[str, Visit]) -> None:
    t = visits["2mo"].truth
    pairs = t.cell_type[(t.singlet == 0) & (t.debris == 0) & (t.bead == 0)].str.split("+", expand=True)
    heterotypic = pairs[0] != pairs[1]
    assert 0.01 < heterotypic.sum() / len(t) < 0.02
    single = t.cell_type[(t.live == 1) & (t.singlet == 1)].value_counts(normalize=True)
    partner = pd.concat([pairs[0], pairs[1]]).value_counts(normalize=True)
    assert (partner - single).abs().max() < 0.03


def test_file_as_a_helios_writes_it(study: Path, visits: dict[str, Visit]) -> None:
    """Read by another reader::

    flowio.FlowData("synthetic_2mo.fcs").text["byteord"]  # '4,3,2,1'
    """
    for name in VISITS:
        file = flowio.FlowData(str(study.parent / f"fcs/synthetic_{name}.fcs"))
        X = np.reshape(np.asarray(file.events, np.float32), (-1, file.channel_count))
        assert np.array_equal(X, visits[name].events.X)
        assert file.version == "3.0"
        assert (file.text["byteord"], file.text["datatype"], file.text["mode"]) == ("4,3,2,1", "F", "L")
        for keyword in ("com", "src", "cyt", "fil"):
            assert "synthetic" in file.text[keyword].lower(), keyword
        assert "date" not in file.text
        assert "op" not in file.text
        assert float(file.text["timestep"]) == 0.001
        reach = np.array([float(file.text[f"p{i + 1}r"]) for i in range(file.channel_count)])
        assert (X.max(axis=0) <= reach).all()
        names = [file.text[f"p{i + 1}n"] for i in range(file.channel_count)]
        assert names[:2] == ["Time", "Event_length"]
        assert names[-4:] == ["Center", "Offset", "Width", "Residual"]
        assert {f"{c}Di" for c in [*BEADS, "Ir191", "Ir193", "Pt195", "BCKG190", "Xe131", "Pb208"]} <= set(names)
        assert not visits[name].events.warnings
        assert (np.diff(X[:, 0]) >= 0).all()
        assert np.isfinite(X).all()
        assert X.min() >= 0


def test_antibodies_of_file_and_panel_are_the_same_41(visits: dict[str, Visit]) -> None:
    table = panel.load("car_t_41").table
    antibodies = table[table.marker_class != "none"]
    assert len(antibodies) == 41
    assert sorted(antibodies.antigen) == sorted(antigens())
    in_file = visits["2mo"].events.channels
    assert (in_file.loc[antibodies.index, "antigen"] == antibodies.antigen).all()
    named = (
        "CD45 CD11b CD11c CD66b CD19 CD14 CD7 CD3 VHH CD4 CD8 HLA-DR CCR7 CD27 CD28 CD107a Ki67 CD38 GZMB PD-1 Tim-3 "
        "CD57"
    )
    assert set(named.split()) == set(antibodies.antigen[antibodies.source.str.startswith("paper")])
    assert not any("TCR" in a for a in antibodies.antigen)
    assert not set(BEADS) & set(antibodies.index)


def test_33_markers_of_the_heatmap_and_17_features() -> None:
    table = panel.load("car_t_41").table
    antibodies = table[table.marker_class != "none"]
    chain = "CD45 CD11b CD11c CD66b CD19 CD14 CD7 CD3".split()
    shown = antibodies[~antibodies.antigen.isin(chain)]
    assert len(shown) == 33
    assert "VHH" in set(shown.antigen)
    features = shown[(shown.marker_class == "type") & (shown.role != "car")]
    assert len(features) == 17
    trending = set(read_data("trends.csv").antigen) - {"CCR7", "CD27", "CD28"}
    assert not trending & set(features.antigen)


def test_nothing_bright_spills_onto_vhh() -> None:
    instrument = Instrument.load()
    metal = instrument.table.set_index("antigen")
    vhh = instrument.at(str(metal.at["VHH", "channel"]))
    table = datasets.phenotypes()[antigens()]
    for source, target, fraction in instrument.crossings:
        if target == vhh:
            marker = instrument.table.antigen[source]
            assert table[marker].max() * fraction < 1.2, marker


def test_spill_is_two_to_four_per_cent_where_it_is_planted(visits: dict[str, Visit]) -> None:
    """Slope of CTLA-4 (Er168) on CD4 (Sm152, oxide at +16) and of TIGIT (Er170) on GZMB (Yb171), by least squares."""
    v = visits["5yr"]
    cells = v.counts[v.truth.cell_type.isin(["host CD4 T", "monocyte"]) & v.cells]
    slope = np.polyfit(cells.Sm152, cells.Er168, 1)[0]
    assert 0.01 < slope < 0.04
    cells = v.counts[(v.truth.cell_type == "NK") & v.cells]
    assert 0.015 < np.polyfit(cells.Yb171, cells.Er170, 1)[0] < 0.04
    fractions = np.array([f for _, _, f in Instrument.load().crossings])
    assert fractions.min() >= 0.02
    assert fractions.max() <= 0.04


def test_beads_drift_with_time_and_runs_differ(visits: dict[str, Visit]) -> None:
    for visit in visits.values():
        beads = visit.counts[visit.truth.cell_type == "bead"]
        assert (beads[BEADS].median() > 1000).all()
        place = beads.Time.rank(pct=True)
        early, late = beads[BEADS][place < 0.2].median(), beads[BEADS][place > 0.8].median()
        assert ((late / early) < 0.97).all()
        assert ((late / early) > 0.8).all()
    gain = {n: v.counts.Ir193[v.cells].median() for n, v in visits.items()}
    assert gain["3yr"] / gain["1yr"] == pytest.approx(1.10 / 0.90, rel=0.05)


def test_counts_are_zero_inflated_and_dithered(visits: dict[str, Visit]) -> None:
    v = visits["2mo"]
    vhh = v.counts.Tm169[v.host_t]
    assert 0.3 < (vhh == 0).mean() < 0.8
    above = vhh[vhh > 0]
    assert (above != np.rint(above)).mean() > 0.99
    assert np.abs(np.mean(above % 1) - 0.5) < 0.02


def test_dead_cells_and_doublets_show_on_their_channels(visits: dict[str, Visit]) -> None:
    v = visits["1yr"]
    dead = (v.truth.live == 0) & (v.truth.singlet == 1) & (v.truth.bead == 0)
    assert v.counts.Pt195[dead].median() > 20 * v.counts.Pt195[v.cells].median()
    pair = (v.truth.singlet == 0) & (v.truth.debris == 0) & (v.truth.bead == 0)
    assert v.counts.Ir193[pair].median() == pytest.approx(2 * v.counts.Ir193[v.cells].median(), rel=0.1)
    for channel in ("Event_length", "Width", "Residual"):
        assert v.counts[channel][pair].median() > 1.4 * v.counts[channel][v.cells].median()
    assert (v.counts.Ir193[v.truth.debris == 1] < v.counts.Ir193[v.cells].median() / 4).mean() > 0.95


def test_cells_look_like_those_of_a_real_helios_file(
    visits: dict[str, Visit], real_data: Callable[[str], Path]
) -> None:
    """Medians of the main cloud of cells lie within a factor of 1.6 of a public raw Helios file."""
    real = io.read_fcs(real_data("cytofqc_raw/raw_cytof.fcs"))
    dna = real.column("Ir193")
    intact = (dna > 2000) & (dna < 4000) & (real.column("Ce140") < 100)
    ours = visits["2mo"]
    for channel in ("Ir191", "Ir193", "Event_length", "Center", "Offset", "Width", "Residual"):
        ratio = ours.counts[channel][ours.cells].median() / np.median(real.column(channel)[intact])
        assert 1 / 1.6 < ratio < 1.6, (channel, ratio)


def test_sheet_and_study_open(study: Path) -> None:
    from cytof.study import load

    sheet = io.read_sheet(study.parent / "samples.csv")
    assert sheet.sample_id.tolist() == list(VISITS)
    assert sheet.day.tolist() == [60, 365, 1095, 1825]
    assert set(sheet.patient_id) == {"SYN-01"}
    assert all(Path(p).is_file() for p in sheet.path)
    assert load(study).panel == "car_t_41"
    assert "SYNTHETIC" in (study.parent / "README.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scenario": "papr"}, "did you mean `paper`"),
        ({"scale": 0}, "scale is 0, expected 0.01 to 10"),
        ({"random_state": -1}, "random_state is -1"),
        ({"random_state": 1.5}, "expected a whole number"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    tmp_path: Path, wrong: dict[str, float], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        datasets.patient(tmp_path / "out", **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("shares", "n"), [([1, 1, 1], 100), ([0.7, 0.2, 0.1], 7), ([5, 0, 1], 11), ([1], 0)])
def test_allocation_adds_up_and_is_off_by_less_than_one(shares: list[float], n: int) -> None:
    counts = allocate(np.array(shares), n)
    assert counts.sum() == n
    assert (np.abs(counts - np.array(shares) / np.sum(shares) * n) < 1).all()


@pytest.mark.slow
def test_full_size(tmp_path: Path) -> None:
    study = datasets.patient(tmp_path)
    for name in VISITS:
        visit = Visit(study, name)
        assert 100_000 <= len(visit.events) <= 300_000
    assert visit.cells.sum() >= 150_000
