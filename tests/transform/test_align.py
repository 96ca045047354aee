"""Alignment by anchor samples: planted gains are taken away, refused where it would take away the visit."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import transform
from cytof.errors import UsageError
from cytof.scale import arcsinh


def study(gain: float = 1.6, *, change: float = 1.0, seed: int = 0) -> anndata.AnnData:
    """Two batches, each with the same anchor blood and one visit; the second has a gain and CD27 truly changes."""
    rng = np.random.default_rng(seed)
    parts, obs = [], []
    for v, (visit, run) in enumerate((("2mo", "run1"), ("5yr", "run2"))):
        for kind, factor in (("anchor", 1.0), ("", change if v else 1.0)):
            mean = np.where(rng.random((1500, 1)) < 0.4, 60.0, 6.0) * rng.lognormal(0, 0.3, (1500, 2))
            counts = rng.poisson(mean * (gain if v else 1) * np.array([factor, 1.0]))
            parts.append(np.maximum(counts - rng.random(counts.shape), 0))  # dithered, as the instrument does
            own = {"sample_id": f"{run}{kind}", "batch_id": run, "timepoint": visit, "anchor": kind}
            obs.append(pd.DataFrame(own, index=[f"{run}{kind}{i}" for i in range(1500)]))
    counts = np.concatenate(parts).astype(np.float32)
    var = pd.DataFrame({"marker_class": "state"}, index=["CD27", "CD28"])
    return anndata.AnnData(arcsinh(counts, 5.0), obs=pd.concat(obs), var=var, layers={"counts": counts})


def shift(cells: anndata.AnnData, marker: str, anchor: str = "") -> float:
    own = cells[(cells.obs["anchor"] == anchor).to_numpy(), marker]
    late = (own.obs["batch_id"] == "run2").to_numpy()
    return float(own.X[late].mean(dtype=float) - own.X[~late].mean(dtype=float))


def test_gain_goes_and_the_change_stays() -> None:
    cells = study(change=2.0)
    counts, first = cells.layers["counts"].copy(), cells.X[(cells.obs["batch_id"] == "run1").to_numpy()].copy()
    truth = shift(study(gain=1.0, change=2.0), "CD27")
    table = transform.align_batches(cells, anchors="anchor")
    assert table[["batch_id", "marker"]].values.tolist() == [["run2", "CD27"], ["run2", "CD28"]]
    assert (table["distance_before"] > 0.2).all()
    assert (table["distance_after"] < 0.05).all()
    assert table["extrapolated"].between(0, 0.15).all()
    assert abs(shift(cells, "CD28")) < 0.05
    assert shift(cells, "CD27") == pytest.approx(truth, abs=0.1)
    assert (cells.layers["counts"] == counts).all()
    assert (cells.X[(cells.obs["batch_id"] == "run1").to_numpy()] == first).all()
    assert cells.uns["cytof"]["steps"]["step"].tolist() == ["align_batches"]


def test_without_anchors_it_refuses_and_says_what_is_sound() -> None:
    cells = study()
    assert transform.batch_is(cells.obs) == "coincide"
    with pytest.raises(UsageError, match=r"`batch_id` and `timepoint` coincide: aligning .* would take away.*anchor"):
        transform.align_batches(cells)
    crossed = cells.obs.assign(timepoint=np.tile(["2mo", "5yr"], len(cells) // 2))
    assert transform.batch_is(crossed) == "crossed"
    assert transform.batch_is(cells.obs.assign(batch_id="run1")) == "one batch"
    cells.obs["timepoint"] = crossed["timepoint"]
    with pytest.raises(UsageError, match="no anchors; name the column"):
        transform.align_batches(cells)


def test_what_cannot_be_aligned() -> None:
    cells = study()
    cells.obs.loc[cells.obs["batch_id"] == "run2", "anchor"] = ""
    with pytest.raises(UsageError, match="batch run2 has 0 anchor cells, expected 200 or more"):
        transform.align_batches(cells, anchors="anchor")
    flat = study()
    flat.X[:, 0] = 0.0
    table = transform.align_batches(flat, anchors="anchor").set_index("marker")
    assert table.loc["CD27", "note"].startswith("left as it was")
    assert (flat.X[:, 0] == 0).all()
    with pytest.raises(UsageError, match=r"reference 'run3' is no batch.*did you mean"):
        transform.align_batches(study(), anchors="anchor", reference="run3")


def test_cells_beyond_the_anchors_are_counted_and_keep_their_order() -> None:
    cells = study()
    far = (cells.obs["sample_id"] == "run2").to_numpy()
    cells.X[far, 1] += 3.0
    before = cells.X[far, 1].copy()
    table = transform.align_batches(cells, anchors="anchor").set_index("marker")
    assert table.loc["CD28", "extrapolated"] > 0.15
    order = np.argsort(before, kind="stable")
    assert (np.diff(cells.X[far, 1][order]) >= -1e-6).all()
