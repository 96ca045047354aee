"""The technical band of a study: why there is none, and what replicate tubes of the sheet bring."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cytof import pipeline, study


def _visits(folder: Path) -> pd.DataFrame:
    run = study.load(folder / "study.yaml")
    pipeline.gate(run)
    pipeline.cluster(run)
    pipeline.track(run)
    pipeline.compare(run)
    return pd.read_csv(run.out / "tables" / "markers_visits.csv")


@pytest.mark.parametrize("word", ["", "replicate"])
def test_replicate_tubes_of_the_sheet_give_the_band(small: study.Study, word: str) -> None:
    sheet = pd.read_csv(small.folder / "samples.csv")[:2]
    if word:
        sheet[word] = "one blood"
    sheet.to_csv(small.folder / "samples.csv", index=False)
    found = _visits(small.folder)
    if word:
        assert found["technical_high"].notna().all()
        assert found["outside_technical"].notna().any()
        assert not found["note"].str.contains("band").any()
    else:
        assert found["technical_high"].isna().all()
        assert found["note"].str.endswith("; no technical band: 2 technical shifts, 3 needed").all()
