"""Signatures name planted clusters and cells; merging tables and sub-clusters keep who, when and whence."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from planted import planted
from sklearn.metrics import adjusted_rand_score

from cytof import cluster, panel
from cytof.errors import PanelError, UsageError
from cytof.panel import Signature

MARKERS = ("CD45RA", "CD45RO", "CCR7", "CD27", "CD28", "CD95", "CD57", "Ki67")
KINDS = {  # + where 1, in the order of MARKERS
    "Naive": (1, 0, 1, 1, 1, 0, 0, 0),
    "TCM": (0, 1, 1, 1, 1, 1, 0, 0),
    "TEM": (0, 1, 0, 0, 1, 1, 0, 1),
    "TEMRA": (1, 0, 0, 0, 0, 1, 1, 0),
}


def t_cells(n: int = 400, seed: int = 0) -> tuple[anndata.AnnData, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(4), n))
    level = np.array([KINDS[k] for k in KINDS])[truth]
    X = np.where(level, rng.normal(4, 0.5, level.shape), np.abs(rng.normal(0.3, 0.4, level.shape)))
    var = pd.DataFrame({"marker_class": "type", "role": "lineage", "cofactor": 5.0}, index=list(MARKERS))
    return anndata.AnnData(X.astype(np.float32), var=var), truth


def test_planted_subsets_get_their_names() -> None:
    adata, truth = t_cells()
    signatures = panel.load_subsets("car_t_41")
    cluster.flowsom(adata, n_clusters=4)
    names = cluster.name(adata, signatures)
    wanted = np.array(list(KINDS))[[np.bincount(truth[adata.obs["flowsom"] == c]).argmax() for c in names["cluster"]]]
    assert names["name"].tolist() == wanted.tolist()
    assert (names["score"] > 0.95).all()
    assert names.set_index("name").loc["TEM", "also"] == "Proliferating"
    assert names.set_index("name").loc["TEMRA", "also"] == "Senescent"
    cluster.score_cells(adata, signatures)
    assert (adata.obs["signature"].astype(str).to_numpy() == np.array(list(KINDS))[truth]).mean() > 0.97


def test_score_is_the_geometric_mean_of_the_shares() -> None:
    adata, _ = t_cells()
    adata.obs["all"] = "1"
    share = (adata.to_df()[["CCR7", "CD27"]] > 2).mean()
    table = cluster.signature_scores(
        adata, [Signature("x", "", (("CCR7", True), ("CD27", False)))], key="all", thresholds={"CCR7": 2, "CD27": 2}
    )
    assert table["score"].item() == pytest.approx(np.sqrt(share["CCR7"] * (1 - share["CD27"])))


def test_a_parent_is_the_gate_of_the_cells() -> None:
    adata, truth = t_cells()
    adata.obs["subset"] = pd.Categorical(np.where(truth == 1, "CD4", "CD8"))
    adata.obs["kind"] = truth.astype(str)
    signatures = [Signature("TCM", p, (("CCR7", True), ("CD45RO", True))) for p in ("CD8", "CD4")]
    names = cluster.name(adata, signatures, key="kind").set_index("cluster")["name"]
    assert names["1"] == "CD4 TCM"
    assert names["3"] == "unassigned"
    cluster.score_cells(adata, signatures)
    assert set(adata.obs["signature"][truth == 1]) <= {"CD4 TCM", "unassigned"}


def test_a_marker_without_two_populations_takes_the_fixed_level() -> None:
    adata, _ = t_cells()
    adata.X[:, 2] = np.abs(np.random.default_rng(0).normal(0.2, 0.1, adata.n_obs))
    found = cluster.marker_thresholds(adata, ["CCR7", "CD27"]).set_index("marker")
    assert found.loc["CCR7", ["value", "method"]].tolist() == [1.5, "fixed"]
    assert found.loc["CD27", "method"] == "valley"
    assert 1 < found.loc["CD27", "value"] < 3
    adata.obs["flowsom"] = "1"
    with pytest.raises(PanelError, match="no signature can be scored, markers missing: CD99"):
        cluster.name(adata, [Signature("x", "", (("CD99", True),))])


def test_merging_tables_keep_who_and_when(tmp_path) -> None:
    adata, truth = t_cells()
    cluster.flowsom(adata, n_clusters=6)
    names = cluster.name(adata, panel.load_subsets("car_t_41"))
    cluster.merge(adata, names, author="A. Botha", date="2026-11-27")
    assert adjusted_rand_score(truth, adata.obs["flowsom_named"]) > 0.97
    kept = adata.uns["cytof"]["merging"]
    assert kept.columns.tolist() == ["old", "new", "n", "key", "author", "date"]
    assert kept["n"].sum() == adata.n_obs
    assert set(kept["author"]) == {"A. Botha"}
    names.rename(columns={"cluster": "old", "name": "new"}).to_csv(tmp_path / "merging.csv", index=False, sep=";")
    cluster.merge(adata, tmp_path / "merging.csv", key_added="again", author="B", date="2026-11-28")
    assert adata.obs["again"].tolist() == adata.obs["flowsom_named"].tolist()
    assert set(adata.uns["cytof"]["merging:again"]["date"]) == {"2026-11-28"}
    adata.write_h5ad(tmp_path / "cells.h5ad")
    back = anndata.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(back.uns["cytof"]["merging"].reset_index(drop=True), kept, check_dtype=False)


def test_faults_of_merging_tables_come_together() -> None:
    adata, _ = t_cells(50)
    adata.obs["flowsom"] = pd.Categorical(np.resize(["1", "2", "3"], adata.n_obs))
    table = pd.DataFrame({"old": ["1", "1", "4"], "new": ["a", "b", ""]})
    with pytest.raises(UsageError) as caught:
        cluster.merge(adata, table, author="A")
    assert str(caught.value).splitlines() == [
        "merging table: clusters of `flowsom` without a row: 2, 3",
        "merging table:3: cluster `1` stands twice; keep one",
        "merging table:4: `4` is no cluster of `flowsom`",
        "merging table:4: cluster `4` has no new name",
    ]
    good = pd.DataFrame({"old": list("123"), "new": list("abc")})
    with pytest.raises(UsageError, match="author is empty; name who decided it"):
        cluster.merge(adata, good, author=" ")
    with pytest.raises(UsageError, match="date is '27.11.26', expected one such as 2026-11-27"):
        cluster.merge(adata, good, author="A", date="27.11.26")
    with pytest.raises(UsageError, match="no such file"):
        cluster.merge(adata, "nowhere.csv", author="A")


def test_sub_clusters_bear_their_lineage(tmp_path) -> None:
    adata, truth = planted((600, 500, 400, 300), d=9)
    cluster.flowsom(adata, n_clusters=2)
    widest = max(adata.obs["flowsom"].cat.categories, key=lambda c: len(set(truth[adata.obs["flowsom"] == c])))
    inside = (adata.obs["flowsom"] == widest).to_numpy()
    kinds = len(set(truth[inside]))
    cluster.subcluster(adata, widest, n_clusters=kinds)
    key = f"flowsom.{widest}"
    labels = adata.obs[key].astype(str)
    assert adjusted_rand_score(truth[inside], labels[inside]) > 0.98
    assert set(labels[inside]) == {f"{widest}.{i + 1}" for i in range(kinds)}
    assert labels[~inside].tolist() == adata.obs["flowsom"][~inside].astype(str).tolist()
    assert adata.uns["cytof"][f"lineage:{key}"] == {"parent": "flowsom", "cluster": widest, "n": inside.sum()}
    cluster.at(adata, 2, key=key)
    assert adata.obs[f"{key}_meta2"].isna().tolist() == (~inside).tolist()
    cluster.subcluster(adata, f"{widest}.1", key=key, n_clusters=2)
    assert f"{widest}.1.2" in set(adata.obs[f"{key}.1"])
    assert {"som", "metaclusters"} <= set(adata.uns["cytof"])  # the first clustering is still there
    with pytest.raises(UsageError, match=r"`9` is no cluster of `flowsom`; clusters: 1, 2"):
        cluster.subcluster(adata, "9")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert anndata.read_h5ad(tmp_path / "cells.h5ad").obs[key].tolist() == adata.obs[key].tolist()


def test_the_subset_gate_goes_in_front_of_the_name() -> None:
    adata, truth = t_cells()
    adata.obs["kind"] = truth.astype(str)
    adata.obs["subset"] = pd.Categorical(np.where(truth == 3, "CD8", "CD4"))
    adata.obs.loc[adata.obs_names[truth == 0], "subset"] = np.resize(["CD4", "CD8"], (truth == 0).sum())
    names = cluster.name(adata, panel.load_subsets("car_t_41"), key="kind").set_index("cluster")["name"]
    assert names.to_dict() == {"0": "Naive", "1": "CD4 TCM", "2": "CD4 TEM", "3": "CD8 TEMRA"}
