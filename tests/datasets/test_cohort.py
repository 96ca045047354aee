"""The synthetic cohort: the same bytes for the same seed, any size, nothing impossible in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cytof import clinical, datasets
from cytof.errors import UsageError


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    one, two = (datasets.cohort(tmp_path / name, random_state=3) for name in "ab")
    for path in one.parent.iterdir():
        assert path.read_bytes() == (two.parent / path.name).read_bytes()
    other = datasets.cohort(tmp_path / "c", random_state=4)
    assert (other.parent / "labs.csv").read_bytes() != (one.parent / "labs.csv").read_bytes()
    assert other.read_bytes() == one.read_bytes()  # the calibrated patients are the same


def test_other_sizes_are_possible_patients(tmp_path: Path) -> None:
    patients = clinical.read_patients(datasets.cohort(tmp_path, n=200, random_state=1))
    assert len(patients) == 200
    assert clinical.check_patients(patients, datasets.CUTOFF) == []
    rate = clinical.endpoints(patients, cutoff=datasets.CUTOFF).query("PARAMCD == 'OS'")["event"].mean()
    assert 0.4 < rate < 0.7


def test_half_year_values_are_those_printed() -> None:
    labs = datasets.cohort_tables()["labs"]
    late = labs[labs["AVISIT"] == "DAY 180"]
    medians = late.groupby("PARAMCD")["AVAL"].median()
    printed = {"WBC": 4.7, "HGB": 125.3, "PLAT": 155.0, "AST": 21.0, "ALT": 18.5}
    assert {k: round(medians[k], 1) for k in printed} == printed
    normal = {
        k: int((late[late["PARAMCD"] == k]["AVAL"] >= late[late["PARAMCD"] == k]["ANRLO"]).sum()) for k in printed
    }
    assert [normal[k] for k in ("WBC", "HGB", "PLAT")] == [35, 33, 44]


def test_course_of_the_longest_persistence() -> None:
    transgene = datasets.cohort_tables()["transgene"]
    assert transgene[transgene["PARAMCD"] == "CARTPCT"]["AVAL"].tolist() == [3.01, 1.04, 0.49, 0.24]


def test_sizes_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="n is 5, expected 20 to 5000"):
        datasets.cohort(tmp_path, n=5)
