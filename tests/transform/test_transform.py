"""Features, equal draws, joining back, and the log of steps."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import transform
from cytof.errors import PanelError, UsageError


def cells(n: int = 60) -> anndata.AnnData:
    rng = np.random.default_rng(0)
    var = pd.DataFrame(
        {
            "marker_class": ["type", "type", "type", "state", "none"],
            "role": ["lineage", "lineage", "car", "none", "dna"],
            "gated": [True, False, True, False, False],
            "cofactor": 5.0,
        },
        index=["CD3", "CD4", "VHH", "Ki67", "DNA1"],
    )
    obs = pd.DataFrame({"sample_id": np.repeat(["a", "b", "c"], [n - 12, 10, 2])}, index=[f"x{i}" for i in range(n)])
    counts = rng.gamma(1, 20, (n, 5)).astype(np.float32)
    return anndata.AnnData(np.zeros_like(counts), obs=obs, var=var, layers={"counts": counts})


def test_default_features_leave_out_gated_markers_the_car_and_other_classes() -> None:
    adata = cells()
    assert transform.features(adata) == ["CD4"]
    assert adata.uns["cytof"]["features"] == ["CD4"]


def test_features_by_name_come_in_the_order_of_var_and_typos_are_told() -> None:
    adata = cells()
    assert transform.features(adata, ["Ki67", "CD3"]) == ["CD3", "Ki67"]
    with pytest.raises(PanelError, match="no marker `KI-67`; did you mean `Ki67`"):
        transform.features(adata, ["KI-67"])


def test_no_feature_left_says_what_to_do() -> None:
    adata = cells()
    adata.var["gated"] = True
    with pytest.raises(UsageError, match="no marker is left to cluster on; set `marker_class` to `type`"):
        transform.features(adata)


def test_arcsinh_twice_changes_nothing() -> None:
    adata = cells()
    transform.arcsinh(adata)
    once = np.array(adata.X)
    transform.arcsinh(adata)
    np.testing.assert_array_equal(adata.X, once)
    np.testing.assert_allclose(once, np.arcsinh(adata.layers["counts"] / 5), rtol=1e-6)
    with pytest.raises(UsageError, match="cofactor of CD3 is 0, expected a number above 0"):
        transform.arcsinh(adata, cofactor=0)


def test_equal_draw_takes_the_same_number_of_each_sample_and_follows_the_cells() -> None:
    adata = cells()
    transform.arcsinh(adata)
    transform.equal_draw(adata, n=5)
    assert adata.obs.groupby("sample_id").in_fit.sum().to_dict() == {"a": 5, "b": 5, "c": 2}
    chosen = set(adata.obs_names[adata.obs.in_fit])
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    transform.equal_draw(shuffled, n=5)
    assert set(shuffled.obs_names[shuffled.obs.in_fit]) == chosen
    transform.equal_draw(adata, n=5, random_state=1)
    assert set(adata.obs_names[adata.obs.in_fit]) != chosen


@pytest.mark.parametrize(("total", "expected"), [(1_000, 60), (14, 14), (20, 20), (3, 3)])
def test_equal_draw_of_a_total_uses_it_up(total: int, expected: int) -> None:
    adata = cells()
    transform.equal_draw(adata, total=total)
    assert expected - 2 <= adata.obs.in_fit.sum() <= expected


def test_merge_cells_puts_results_of_a_part_in_their_place() -> None:
    adata = cells()
    part = adata[10:20].copy()
    part.obs["flowsom"] = pd.Categorical(list("1212121212"))
    part.obs["in_fit"] = True
    part.obsm["X_tsne"] = np.arange(20, dtype=np.float32).reshape(10, 2)
    transform.record(part, "flowsom", {"k": 2}, 0)
    transform.merge_cells(adata, part)
    assert adata.obs["flowsom"].isna().sum() == 50
    assert adata.obs.loc[part.obs_names, "flowsom"].tolist() == list("1212121212")
    assert adata.obs["in_fit"].sum() == 10
    np.testing.assert_array_equal(adata.obsm["X_tsne"][10:20], part.obsm["X_tsne"])
    assert np.isnan(adata.obsm["X_tsne"][:10]).all()
    assert adata.uns["cytof"]["steps"]["step"].tolist() == ["flowsom"]


def test_merge_cells_leaves_columns_alone_that_a_part_only_has_fewer_categories_of() -> None:
    """A part of the cells drops the categories it lacks; what the other cells say must not be lost."""
    adata = cells()
    adata.obs["gate"] = pd.Categorical(["CAR-"] * 40 + ["CAR+"] * 20)
    part = adata[adata.obs["gate"] == "CAR+"].copy()
    assert part.obs["gate"].cat.categories.tolist() == ["CAR+"]
    part.obs["flowsom"] = pd.Categorical(["1"] * 20)
    transform.merge_cells(adata, part)
    assert adata.obs["gate"].value_counts().to_dict() == {"CAR-": 40, "CAR+": 20}


def test_record_replaces_a_step_that_ran_before() -> None:
    adata = cells()
    transform.record(adata, "flowsom", {"n": 1}, 0)
    transform.record(adata, "tsne", {"perplexity": 30}, 3)
    transform.record(adata, "flowsom", {"n": 2}, 0)
    steps = adata.uns["cytof"]["steps"]
    assert steps["step"].tolist() == ["tsne", "flowsom"]
    assert steps["params"].tolist() == ['{"perplexity":30}', '{"n":2}']
    assert steps["random_state"].tolist() == ["3", "0"]
