"""One synthetic cohort for the room."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cytof import clinical, datasets


@pytest.fixture(scope="session")
def cohort_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return datasets.cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="session")
def patients(cohort_file: Path) -> pd.DataFrame:
    return clinical.read_patients(cohort_file)


@pytest.fixture(scope="session")
def ends(patients: pd.DataFrame) -> pd.DataFrame:
    return clinical.endpoints(patients, cutoff=datasets.CUTOFF)
