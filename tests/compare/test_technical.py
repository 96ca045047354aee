"""The technical band: the spread of what should not move, and of replicate tubes."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import compare
from cytof.errors import UsageError


def visits(spread: float, *, effect: float = 0.0, n_visits: int = 6, seed: int = 0) -> anndata.AnnData:
    """Cells of six visits; each visit moves each marker by its own shift, and `Ki67` by `effect` from the second on."""
    rng = np.random.default_rng(seed)
    parts, obs = [], []
    for v in range(n_visits):
        shift = rng.normal(0, spread, 4) * (v > 0) + np.array([0, 0, 0, effect * (v > 0)])
        parts.append(rng.normal(3, 0.5, (400, 4)) + shift)
        own = {"sample_id": f"s{v}", "patient_id": "P1", "timepoint": f"v{v}", "day": 10.0 * v, "anchor": "A"}
        obs.append(pd.DataFrame(own | {"car": np.arange(400) % 2 == 0}, index=[f"{v}-{i}" for i in range(400)]))
    frame = pd.concat(obs)
    var = pd.DataFrame(index=["CD45", "CD3", "CD5", "Ki67"])
    return anndata.AnnData(np.concatenate(parts).astype(np.float32), obs=frame, var=var)


def test_shifts_are_those_of_host_cells_and_of_the_markers_named() -> None:
    cells = visits(0.2)
    shifts = compare.technical_shifts(cells, within=None)
    assert shifts["marker"].unique().tolist() == ["CD45", "CD3"]
    assert shifts["n"].unique().tolist() == [200]
    host = cells[~cells.obs["car"].to_numpy()]
    x = [host[(host.obs["timepoint"] == v).to_numpy(), "CD45"].X.mean(dtype=float) for v in ("v1", "v0")]
    assert shifts["shift"].iloc[0] == pytest.approx(x[0] - x[1], abs=1e-6)
    anchors = compare.technical_shifts(cells, markers=(), within=None, replicates="anchor")
    assert anchors["source"].unique().tolist() == ["replicate"]
    assert len(anchors) == 5 * 4
    with pytest.raises(UsageError, match="the panel has none of CD99"):
        compare.technical_shifts(cells, markers=["CD99"])


def test_band_holds_technical_shifts_and_lets_effects_out() -> None:
    """Shifts of 0.2 SD: 95 % of new shifts lie inside; an effect of 1.5 lies outside."""
    inside = []
    for seed in range(120):
        cells = visits(0.2, seed=seed)
        table = compare.markers(cells, within=None, markers=["CD5"], unit="cell")
        found = compare.against_technical(table, compare.technical_shifts(cells, within=None))
        half = found["technical_high"]
        assert (found["technical_low"] == -half).all()
        inside.extend((found["estimate"].abs() <= half).tolist())
    assert 0.92 <= np.mean(inside) <= 0.98
    strong = visits(0.2, effect=1.5)
    found = compare.against_technical(
        compare.markers(strong, within=None, markers=["Ki67", "CD5"], unit="cell"),
        compare.technical_shifts(strong, within=None),
    ).set_index("marker")
    assert found.loc["Ki67", "outside_technical"].all()
    assert not found.loc["CD5", "outside_technical"].any()
    assert (found.loc["CD5", "q"] < 0.05).any(), "what counting cells takes for an effect, the band does not"


def test_two_shifts_give_no_band() -> None:
    cells = visits(0.2, n_visits=2)
    found = compare.against_technical(
        compare.markers(cells, within=None, unit="cell"), compare.technical_shifts(cells, within=None)
    )
    assert found["technical_high"].isna().all()
    assert found["outside_technical"].isna().all()
    assert found["note"].str.endswith("; no technical band: 2 technical shifts, 3 needed").all()


def test_a_missing_marker_is_no_shift_and_a_word_is_a_marker(recwarn: pytest.WarningsRecorder) -> None:
    shifts = pd.DataFrame({"marker": list("abcd"), "contrast": "2 vs 1", "shift": [0.1, -0.1, 0.1, np.nan]})
    table = pd.DataFrame({"ci_low": [0.5], "ci_high": [0.7]})
    assert compare.against_technical(table, shifts)["technical_high"].iloc[0] == pytest.approx(0.318, abs=5e-4)
    cells = visits(0.2)
    cells.X[(cells.obs["timepoint"] == "v3").to_numpy(), 0] = np.nan
    found = compare.technical_shifts(cells, within=None)
    assert found["shift"].notna().all()
    assert found["marker"].value_counts().to_dict() == {"CD3": 5, "CD45": 4}
    assert not len(recwarn), "no warning of an empty slice"
    assert compare.technical_shifts(cells, markers="CD45", within=None)["marker"].unique().tolist() == ["CD45"]
    cells.obs["anchor"] = np.where(cells.obs["timepoint"] < "v2", "yes", "no")
    some = compare.technical_shifts(cells, markers=(), within=None, replicates="anchor")
    assert some["contrast"].unique().tolist() == ["s1 vs s0"]
