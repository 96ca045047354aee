"""Real single-patient designs run through and carry their caption: surgery time course, CD8 of three tissues."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import compare, io
from cytof.scale import arcsinh

RealData = Callable[[str], Path]
CAPTION = "cells of one patient are not replicates"


def test_surgery_time_course(real_data: RealData) -> None:
    parts, obs = [], []
    for day, visit in ((1 / 24, "1h"), (1, "24h"), (30, "1mo")):
        events = io.read_fcs(real_data(f"tidytof_surgery_timecourse/121002hipsurg_102_{visit}.fcs"), sample_id=visit)
        parts.append(np.asarray(events.X))
        obs.append(pd.DataFrame({"sample_id": visit, "patient_id": "102", "timepoint": visit, "day": float(day)},
                                index=[f"{visit}-{i}" for i in range(len(events))]))  # fmt: skip
    names = events.channels["pnn"].astype(str).tolist()
    cells = anndata.AnnData(arcsinh(np.concatenate(parts), 5.0), obs=pd.concat(obs), var=pd.DataFrame(index=names))
    table = compare.markers(cells, within=None)
    assert table["contrast"].unique().tolist() == ["24h vs 1h", "1mo vs 1h"]
    assert len(table) == 2 * len(names)
    assert table["unit"].unique().tolist() == ["cell"]
    assert table["note"].str.endswith(CAPTION).all()
    tested = table["p"].notna()
    assert tested.mean() > 0.5
    assert table.loc[~tested, "note"].str.contains(";").all(), "a reason before the caption"
    limits = table["ci_low"].notna()
    assert (tested & limits).sum() >= tested.sum() - 2, "a channel without spread within the visits has no interval"
    assert (table["ci_low"] <= table["estimate"])[limits].all()


def test_cd8_cells_of_blood_tissue_and_tumour(real_data: RealData) -> None:
    frames = []
    for tissue in ("Blood", "Tissue", "Tumor"):
        frame = pd.read_csv(real_data(f"lugli_cd8/export_Lung_102_{tissue}_CD8_3000_GA.csv"))
        frames.append(frame.assign(condition=tissue))
    whole = pd.concat(frames, ignore_index=True)
    X = whole.drop(columns="condition").to_numpy(np.float32) / 200  # channel values 0-1023: a log scale already
    obs = pd.DataFrame({"condition": whole["condition"].to_numpy(), "patient_id": "102"})
    obs.index = obs.index.astype(str)
    cells = anndata.AnnData(X, obs=obs, var=pd.DataFrame(index=whole.columns.drop("condition")))
    table = compare.markers(cells, by="condition", reference="Blood", within=None)
    assert table["contrast"].unique().tolist() == ["Tissue vs Blood", "Tumor vs Blood"]
    assert table["note"].eq(CAPTION).mean() > 0.9
    assert table["note"].str.endswith(CAPTION).all()
    assert (table["q"].dropna() < 1e-6).any()
    with pytest.raises(Exception, match="unit cell: test is 'moderated-t'"):
        compare.markers(cells, by="condition", within=None, test="moderated-t")
