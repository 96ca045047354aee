"""Cells that are expected falsely in a subset: host cells above the CAR threshold bring their subset along."""

from __future__ import annotations

from collections.abc import Callable

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cytof import track
from cytof.track._spill import Host, known_limits


def planted(small_study: Callable[..., anndata.AnnData], n_cd4: int, n_dn: int) -> pd.DataFrame:
    """13 of 10,000 blanks above, 1,000 of 40,000 CD3+ cells CAR+, host 60 % CD4: 52 false cells, 31 of them CD4."""
    study = small_study(blank_above=13)
    counts = study.uns["cytof"]["counts"]
    gate = counts["gate"].str.rpartition("CD3+/")[2]
    numbers = {"CAR+": 1000, "CAR+/CD4": n_cd4, "CAR+/DN": n_dn, "CAR-": 39_000, "CAR-/CD4": 23_400,
               "CAR-/CD8": 15_600, "CAR-/DN": 0, "CAR-/DP": 0}  # fmt: skip
    for name, n in numbers.items():
        counts.loc[gate == name, "n"] = n
    counts.loc[counts["gate"].str.endswith("CD3+"), "n"] = 40_000
    return track.subsets(study).query("sample_id == '5yr'").set_index("population")


def test_host_cells_above_the_car_threshold_are_no_car_t_subset(small_study: Callable[..., anndata.AnnData]) -> None:
    table = planted(small_study, n_cd4=35, n_dn=35)
    assert table.loc["CD4", "false_expected"] == pytest.approx(52 * 0.6 + 0.1)
    assert table.loc["DN", "false_expected"] < 20, "no host cell is double negative"
    assert table.loc["CD4", "n"] <= table.loc["CD4", "lob"]
    assert table.loc["CD4", "call"] == "not evaluable", "of 1,000 cells no 10 could be told from 31 false ones"
    assert planted(small_study, n_cd4=200, n_dn=35).loc["CD4", "call"] == "detected"


def test_host_arm_gets_no_false_car_cells(study: anndata.AnnData) -> None:
    """0.01 % of 600 host T cells."""
    host = track.subsets(study, of="CAR-")
    assert set(host.loc[host["population"] == "CD4", "false_expected"].round(9)) == {0.06}


def test_one_host_cell_is_not_a_subset(small_study: Callable[..., anndata.AnnData]) -> None:
    """One CD4 cell among 1,000 CAR T cells where 0.3 are expected (2 of 10,000 blanks above, impurity 0.1)."""
    study = small_study(n_car=1000, n_host=0)
    counts = study.uns["cytof"]["counts"]
    for gate, n in (("CAR+", 1000), ("CAR-", 0)):
        counts.loc[counts["gate"].str.endswith(gate), "n"] = n
    counts.loc[counts["gate"].str.endswith("CAR+/CD4"), "n"] = 1
    row = track.subsets(study).query("population == 'CD4'").iloc[0]
    assert row["false_expected"] == pytest.approx(0.3)
    assert (row["n"], row["lob"], row["call"]) == (1, 2.0, "not detected")
    study.uns["cytof"]["blanks"] = study.uns["cytof"]["blanks"].iloc[:0]
    counts.loc[counts["gate"].str.endswith("CAR+/CD4"), "n"] = 2
    assert track.subsets(study).query("population == 'CD4'").iloc[0]["call"] == "below LOQ", "without blanks"


def test_without_blanks_of_a_sample_its_subsets_are_not_evaluable(study: anndata.AnnData) -> None:
    study.uns["cytof"]["blanks"] = study.uns["cytof"]["blanks"].query("sample_id != '5yr'")
    table = track.subsets(study)
    assert set(table.loc[table["sample_id"] == "5yr", "call"]) == {"not evaluable"}


@pytest.mark.parametrize(
    ("rate", "blank", "at_risk", "known"), [(1e-4, 10_000, 20_000, 0.01), (1e-3, 4_000, 9_000, 2.0)]
)
def test_host_cells_alone_are_called_in_five_percent_at_most(
    rate: float, blank: int, at_risk: int, known: float
) -> None:
    """4,000 samples without a true cell (+ 3 SE). Without known false cells the limit is the exact one."""
    rng = np.random.default_rng(8)
    b, n = rng.poisson(rate * blank, 4000), rng.poisson(rate * at_risk + known, 4000)
    lob = {k: known_limits(known, 1e4, Host(float(k), float(blank), float(at_risk))).lob for k in np.unique(b)}
    assert np.mean(n > np.array([lob[k] for k in b])) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    for k in (0, 3):
        alone = known_limits(0.0, 1e4, Host(float(k), float(blank), float(at_risk)))
        assert alone.lob == track.limit_of_blank(k, blank, at_risk)
    assert known_limits(known, 1e4).lob == stats.poisson.ppf(0.95, known)
