"""Real data: BCR-XL stimulation of blood of four patients (Bodenmiller 2012), paired, patients as the unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import compare, io
from cytof.scale import arcsinh

RealData = Callable[[str], Path]


@pytest.fixture(scope="module")
def b_cells(request: pytest.FixtureRequest):
    """CD20+ CD3- cells of the eight files, arcsinh(x / 5)."""
    import anndata

    real_data: RealData = request.getfixturevalue("real_data")
    sheet = pd.read_csv(real_data("catalyst_bcrxl/PBMC_md.csv"))
    panel = pd.read_csv(real_data("catalyst_bcrxl/PBMC_panel.csv"))
    obs, parts = [], []
    for row in sheet.itertuples():
        events = io.read_fcs(real_data(f"catalyst_bcrxl/{row.file_name}"), sample_id=row.sample_id)
        names = [events.channels["pnn"].tolist().index(name) for name in panel["fcs_colname"]]
        X = arcsinh(events.X[:, names])
        keep = (X[:, panel["antigen"].tolist().index("CD20")] > 1.5) & (
            X[:, panel["antigen"].tolist().index("CD3")] < 1.5
        )
        parts.append(X[keep])
        own = {"sample_id": row.sample_id, "patient_id": row.patient_id, "condition": row.condition}
        obs.append(pd.DataFrame(own, index=[f"{row.sample_id}-{i}" for i in np.flatnonzero(keep)]))
    var = panel.set_index("antigen")[["marker_class"]]
    return anndata.AnnData(np.concatenate(parts), obs=pd.concat(obs), var=var)


def test_ps6_goes_up_in_b_cells_of_every_patient(b_cells) -> None:
    """Nowicka 2017: pS6 is the effect of BCR-XL in B cells. README of the data: medians rise by 2.8 to 3.7."""
    state = b_cells.var_names[b_cells.var["marker_class"] == "state"].tolist()
    table = compare.markers(b_cells, by="condition", reference="Ref", within=None, markers=state).set_index("marker")
    assert table["unit"].unique().tolist() == ["patient"]
    assert table["n_units"].unique().tolist() == [4]
    assert table["test"].unique().tolist() == ["paired t"]
    row = table.loc["pS6"]
    assert row["q"] < 0.05
    assert row["estimate"] > 2
    assert row["auroc_low"] > 0.6
    assert "pS6" in table["estimate"].abs().nlargest(3).index
    by_cell = compare.markers(b_cells, by="condition", reference="Ref", within=None, markers=state, unit="cell")
    assert (by_cell["q"] < 0.05).sum() > (table["q"] < 0.05).sum(), "cells take more for effects than patients do"
