"""Subsets, make-up by cluster, marker levels, profiles, distributions and maps of the small study."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from scipy.cluster.hierarchy import linkage

from cytof import track
from cytof.errors import GateError, InputError, PanelError, UsageError
from cytof.keys import Tables


def test_subsets_by_gate_move_to_double_negative(study: anndata.AnnData) -> None:
    table = track.subsets(study)
    assert list(table.columns) == list(Tables.ABUNDANCE)
    assert table["population"].tolist() == ["CD4", "CD8", "DN", "DP"] * 4
    assert table["sample_id"].tolist()[::4] == ["2mo", "1yr", "3yr", "5yr"]
    dn = table[table["population"] == "DN"]["fraction"].to_numpy()
    assert (np.diff(dn) > 0.1).all()
    assert dn[-1] == pytest.approx(0.91, abs=0.04)
    host = track.subsets(study, of="Host T")
    assert host[host["population"] == "DN"]["fraction"].max() < 0.03
    assert host.groupby("sample_id")["n"].sum().tolist() == [600] * 4


def test_subsets_by_column_when_gates_bear_other_names(study: anndata.AnnData) -> None:
    by_gate = track.subsets(study)
    counts = study.uns["cytof"]["counts"]
    study.uns["cytof"]["counts"] = counts[~counts["gate"].str.contains("CAR\\+/")]
    columns = ["sample_id", "population", "n", "n_denominator", "fraction", "ci_low", "ci_high"]
    pd.testing.assert_frame_equal(track.subsets(study)[columns], by_gate[columns])
    study.obs["subset"] = pd.Categorical([None] * study.n_obs, ["CD4"])
    with pytest.raises(GateError, match="no gate CD4, CD8, DN, DP below it, and no cell a subset"):
        track.subsets(study)


def test_composition_counts_every_subset_and_cluster(study: anndata.AnnData) -> None:
    table = track.composition(study)
    cells = study.obs[study.obs["flowsom"].notna()]
    naive = pd.crosstab(cells["subset"], cells["flowsom"])
    for row in table.itertuples():
        assert row.n == naive.loc[row.subset, row.cluster]
        assert row.n_subset == naive.loc[row.subset].sum()
    assert table.groupby("subset")["fraction"].sum().round(12).eq(1).all()
    by_sample = track.composition(study, by="sample_id")
    assert by_sample.groupby(["subset", "cluster"])["n"].sum().sum() == table["n"].sum()
    empty = by_sample[(by_sample["sample_id"] == "5yr") & (by_sample["subset"] == "DP")]
    assert (empty["n_subset"] == 0).all()
    assert empty["fraction"].isna().all()


def test_state_is_what_a_naive_loop_counts(study: anndata.AnnData) -> None:
    car = study[study.obs["car"].to_numpy()].copy()
    table = track.state(car, markers=["HLA-DR", "CD4", "Ki67"]).set_index(["sample_id", "subset", "marker"])
    assert len(table) == 4 * 4 * 3
    for (sample, subset, marker), row in table.iterrows():
        own = (car.obs["sample_id"] == sample) & (car.obs["subset"] == subset)
        x = car[own.to_numpy()][:, marker].X.ravel().astype(float)
        assert row["n"] == len(x)
        if len(x):
            assert row["mean"] == pytest.approx(x.mean(), rel=1e-6)
            assert row["median"] == pytest.approx(np.median(x), rel=1e-6)
        else:
            assert np.isnan(row["mean"])
        if marker == "CD4" and len(x):
            assert row["positive_fraction"] == np.mean(x >= 2.2)
        if marker == "Ki67":
            assert np.isnan(row["positive_fraction"])
    assert set(track.state(car, by=None)["subset"]) == {"all"}
    assert "VHH" not in set(track.state(car)["marker"])
    assert "CD3" not in set(track.state(car)["marker"])
    with pytest.raises(PanelError, match="no marker `HLADR`.*did you mean `HLA-DR`"):
        track.state(car, markers=["HLADR"])


def test_mean_shows_a_dim_marker_that_the_median_hides(study: anndata.AnnData) -> None:
    """`dim` is positive in 30 % of cluster 1 and in 5 % of the others."""
    by_mean = track.profile(study, markers=["dim"], scale="none").set_index("cluster")
    by_median = track.profile(study, markers=["dim"], statistic="median").set_index("cluster")
    assert (by_median["value"] == 0).all()
    assert by_mean.loc["1", "value"] > 3 * by_mean.drop(index="1")["value"].max()


def test_profile_scales_between_quantiles_of_the_cells(study: anndata.AnnData) -> None:
    table = track.profile(study)
    assert table["value"].between(0, 1).all()
    assert table.drop_duplicates("cluster")["frequency"].sum() == pytest.approx(1)
    labelled = study[study.obs["flowsom"].notna().to_numpy()]
    x = labelled[:, "HLA-DR"].X.ravel().astype(float)
    low, high = np.quantile(x, [0.01, 0.99])
    own = x[(labelled.obs["flowsom"] == "1").to_numpy()]
    row = table[(table["cluster"] == "1") & (table["marker"] == "HLA-DR")].iloc[0]
    assert row["value"] == pytest.approx(np.clip((own - low) / (high - low), 0, 1).mean(), rel=1e-6)
    assert row["raw"] == pytest.approx(own.mean(), rel=1e-6)
    even = table[table["marker"] == "Ki67"]["value"]
    assert even.max() - even.min() < 0.1, "a marker that tells no cluster apart stays an even column"
    z = track.profile(study, scale="zscore").groupby("marker")["value"]
    assert z.mean().abs().max() < 1e-9
    assert np.allclose(z.std(), 1)


def test_order_puts_like_beside_like() -> None:
    """Clusters 1, 3 and 2, 4 are twins: in the order of the dendrogram the twins are neighbours."""
    rng = np.random.default_rng(0)
    label = np.repeat(["1", "2", "3", "4"], 50)
    centre = {"1": (0, 0, 4), "3": (0.2, 0, 4), "2": (4, 3, 0), "4": (4, 3.2, 0)}
    X = np.array([centre[k] for k in label]) + rng.normal(0, 0.1, (200, 3))
    obs = pd.DataFrame({"flowsom": label}, index=np.arange(200).astype(str))
    cells = anndata.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=["a", "b", "c"]))
    table = track.profile(cells)
    place = table.drop_duplicates("cluster").set_index("cluster")["cluster_order"]
    assert abs(place["1"] - place["3"]) == abs(place["2"] - place["4"]) == 1
    assert sorted(table["marker_order"].unique()) == [0, 1, 2]
    grid = table.pivot(index="cluster", columns="marker", values="value")
    assert len(linkage(grid, "average")) == 3


def test_profile_refuses_what_it_cannot_show(study: anndata.AnnData) -> None:
    with pytest.raises(UsageError, match="scale is '0-1', expected one of 01, first, last, none, zscore"):
        track.profile(study, scale="0-1")
    with pytest.raises(UsageError, match="column `flowsome` missing.*did you mean `flowsom`"):
        track.profile(study, groupby="flowsome")
    study.obs["empty"] = pd.Categorical([None] * study.n_obs)
    with pytest.raises(InputError, match="no cell has a `empty`"):
        track.profile(study, groupby="empty")


def test_constant_marker_is_an_even_column(study: anndata.AnnData) -> None:
    study.X[:, study.var_names.get_loc("Ki67")] = 1.0
    table = track.profile(study)
    assert (table[table["marker"] == "Ki67"]["value"] == 0).all()
    assert np.isfinite(table["value"]).all()


def test_quantiles_stand_for_all_cells(small_study: Callable[..., anndata.AnnData]) -> None:
    study = small_study(n_car=3000)
    table = track.distributions(study, markers=["GZMB", "dim"], by="timepoint", within="subset")
    text = io.StringIO(table.to_csv(index=False))
    again = pd.read_csv(text)
    assert again["group"].unique().tolist() == ["2mo", "1yr", "3yr", "5yr"]
    one = again[(again["group"] == "5yr") & (again["subset"] == "DN") & (again["marker"] == "GZMB")]
    cells = study[((study.obs["timepoint"] == "5yr") & (study.obs["subset"] == "DN")).to_numpy()]
    x = cells[:, "GZMB"].X.ravel().astype(float)
    assert len(one) == 1000
    assert (one["n"] == len(x)).all()
    assert np.allclose(one["value"], np.quantile(x, one["quantile"], method="hazen"), atol=1e-6)
    assert one["value"].mean() == pytest.approx(x.mean(), abs=2e-3)
    few = table[(table["group"] == "5yr") & (table["subset"] == "DP") & (table["marker"] == "dim")]
    cells = study[((study.obs["timepoint"] == "5yr") & (study.obs["subset"] == "DP")).to_numpy()]
    assert few["value"].tolist() == sorted(cells[:, "dim"].X.ravel().astype(float).tolist())


def test_group_without_cells_keeps_a_row(study: anndata.AnnData) -> None:
    part = study[~((study.obs["timepoint"] == "1yr") & (study.obs["subset"] == "DN")).to_numpy()].copy()
    table = track.distributions(part, markers=["Ki67"], by="timepoint", within="subset")
    row = table[(table["group"] == "1yr") & (table["subset"] == "DN")]
    assert row["n"].tolist() == [0]
    assert row["value"].isna().all()
    car = track.distributions(study, markers=["Ki67"], by="car", within="timepoint")
    assert car["group"].unique().tolist() == ["CAR-", "CAR+"]


def test_map_shows_mapped_cells_in_one_order_for_every_shuffle(study: anndata.AnnData) -> None:
    places = np.column_stack([np.arange(study.n_obs), -np.arange(study.n_obs)]).astype(np.float32)
    places[::3] = np.nan
    study.obsm["X_tsne"] = places
    table = track.map(study, columns=["timepoint", "Ki67"])
    assert len(table) == study.n_obs - len(places[::3])
    row = table.iloc[0]
    assert row["x"] == study.obs_names.get_loc(row["cell"])
    assert row["Ki67"] == study[row["cell"], "Ki67"].X[0, 0]
    first = table["timepoint"].iloc[:200].astype(str).value_counts()
    assert first.min() > 25, "no visit is drawn on top of the others"
    shuffled = study[np.random.default_rng(3).permutation(study.n_obs)].copy()
    pd.testing.assert_frame_equal(table, track.map(shuffled, columns=["timepoint", "Ki67"]))
    with pytest.raises(UsageError, match="no map `X_tsnee`.*did you mean `X_tsne`"):
        track.map(study, basis="X_tsnee")
    with pytest.raises(UsageError, match="neither an obs column nor a marker `Ki-67`.*`Ki67`"):
        track.map(study, columns=["Ki-67"])


def test_tables_do_not_depend_on_the_order_of_cells(study: anndata.AnnData) -> None:
    shuffled = study[np.random.default_rng(2).permutation(study.n_obs)].copy()
    for table in (
        track.state,
        track.profile,
        track.composition,
        lambda a: track.distributions(a, by="timepoint", within="subset"),
    ):
        pd.testing.assert_frame_equal(table(study), table(shuffled), check_exact=True)


def test_tables_are_the_same_after_a_file_and_from_sparse_cells(study: anndata.AnnData, tmp_path: Path) -> None:
    study.write_h5ad(tmp_path / "cells.h5ad")
    again = anndata.read_h5ad(tmp_path / "cells.h5ad")
    thin = study.copy()
    thin.X = scipy.sparse.csr_matrix(study.X)
    for other in (again, thin):
        for table in (track.abundance, track.subsets, track.state, track.profile):
            pd.testing.assert_frame_equal(table(study), table(other))
