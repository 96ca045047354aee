"""What is kept of a FlowSOM: every k, the model in a file, later visits mapped, the tree, the proposed k."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
import pytest
from planted import planted, table
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from cytof import cluster
from cytof.cluster._tree import spanning_tree
from cytof.errors import CytofWarning, InputError, PanelError, UsageError


def clustered(**options):
    adata, truth = planted()
    adata.var["cofactor"] = 5.0
    cluster.flowsom(adata, n_clusters=5, **options)
    return adata, truth


def test_every_k_is_a_lookup() -> None:
    adata, _ = clustered()
    for k in (2, 3, 8):
        cluster.at(adata, k)
        other, _ = planted()
        cluster.flowsom(other, n_clusters=k)
        assert adata.obs[f"flowsom_meta{k}"].astype(str).tolist() == other.obs["flowsom"].astype(str).tolist()
    with pytest.raises(UsageError, match="k is 99, expected 2 to 20"):
        cluster.at(adata, 99)
    with pytest.raises(UsageError, match="no metaclusters of `flowsum`, found flowsom; did you mean `flowsom`"):
        cluster.at(adata, 3, key="flowsum")


@pytest.mark.parametrize(
    "sizes", [(400, 300, 200), (900, 500, 250, 120, 60), (400,) * 8], ids=["three", "five", "eight"]
)
@pytest.mark.parametrize("seed", range(3))
def test_proposed_k_is_the_planted_number(sizes: tuple[int, ...], seed: int) -> None:
    adata, _ = planted(sizes, d=12, seed=seed)
    cluster.flowsom(adata)
    slot = adata.uns["cytof"]["som"]
    assert slot["proposed_k"] == len(sizes)
    assert f"is the one to {len(sizes)} (" in slot["reason"]
    told = adata.uns["cytof"]["consensus"]
    assert list(told["k"]) == list(range(2, 21))
    assert told["within"].is_monotonic_decreasing or told["within"].diff().max() < 0.05


def test_tree_is_scipys() -> None:
    codes = np.random.default_rng(0).normal(size=(40, 6))
    tree = spanning_tree(codes)
    theirs = minimum_spanning_tree(cdist(codes, codes)).tocoo()
    pairs = sorted((min(a, b), max(a, b)) for a, b in zip(theirs.row, theirs.col, strict=True))
    assert list(zip(tree["source"], tree["target"], strict=True)) == pairs
    assert spanning_tree(np.zeros((4, 2)))["length"].tolist() == [0, 0, 0]
    assert len(spanning_tree(np.zeros((1, 2)))) == 0


def test_a_model_in_a_file_maps_the_same_cells_to_the_same_clusters(tmp_path) -> None:
    adata, truth = clustered()
    cluster.save_model(cluster.model(adata), tmp_path / "map.npz")
    read = cluster.load_model(tmp_path / "map.npz")
    again = table(adata.X[:, ::-1])  # another order of markers
    again.var_names = adata.var_names[::-1]
    cluster.map_new(again, read)
    assert again.obs["flowsom"].astype(str).tolist() == adata.obs["flowsom"].astype(str).tolist()
    np.testing.assert_array_equal(again.obs["flowsom_node"], adata.obs["flowsom_node"])
    assert (again.obs["flowsom_outlier"] > 4).mean() < 0.05
    node, label, score = cluster.map_array(np.asarray(adata.X), read)
    np.testing.assert_array_equal(node, adata.obs["flowsom_node"])
    np.testing.assert_array_equal(read.categories[label], adata.obs["flowsom"].astype(str))
    np.testing.assert_allclose(score, again.obs["flowsom_outlier"], atol=1e-3)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    stored = cluster.model(anndata.read_h5ad(tmp_path / "cells.h5ad"))
    np.testing.assert_array_equal(stored.label, read.label)
    np.testing.assert_array_equal(stored.codes, read.codes)


def test_a_population_the_map_does_not_know_is_said() -> None:
    adata, truth = clustered()
    new = table(np.asarray(adata.X)[:200] + np.where(np.arange(200) < 30, 12, 0)[:, None])
    with pytest.warns(CytofWarning, match="of 200 cells lie far from every node"):
        cluster.map_new(new, cluster.model(adata))
    far = new.obs["flowsom_outlier"].to_numpy() > 4
    assert far[:30].all()
    assert far[30:].mean() < 0.05


def test_a_model_bears_names_one_a_node() -> None:
    adata, truth = clustered()
    adata.obs["named"] = adata.obs["flowsom"].cat.rename_categories(lambda c: f"pop {c}")
    assert cluster.model(adata, labels="named").categories.tolist() == [f"pop {i}" for i in range(1, 6)]
    adata.obs["visit"] = pd.Categorical(np.where(np.arange(adata.n_obs) % 2, "a", "b"))
    with pytest.raises(
        UsageError, match="`visit` parts the cells of .* nodes of `flowsom`, expected one cluster a node"
    ):
        cluster.model(adata, labels="visit")


def test_faults_of_models(tmp_path) -> None:
    adata, _ = clustered()
    made = cluster.model(adata)
    few = table(adata.X[:, :8])
    with pytest.raises(PanelError, match="2 of 10 markers of the model missing: M8, M9"):
        cluster.map_new(few, made)
    other = table(adata.X)
    other.var["cofactor"] = 10.0
    with pytest.raises(UsageError, match="M0 was clustered with cofactor 5, here it is 10"):
        cluster.map_new(other, made)
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(InputError, match="not a model, or damaged; cluster.save_model writes one"):
        cluster.load_model(tmp_path / "text.npz")
    np.savez(tmp_path / "half.npz", codes=made.codes)
    with pytest.raises(InputError, match="not a model: layout, key"):
        cluster.load_model(tmp_path / "half.npz")
    np.savez(tmp_path / "object.npz", codes=np.array([{}], object))
    with pytest.raises(InputError, match="not a model, or damaged"):
        cluster.load_model(tmp_path / "object.npz")


def test_cells_on_disk_are_read_a_block_at_a_time(tmp_path) -> None:
    """The memory-mapped matrix gives the same bytes as the one in memory, fitted and mapped."""
    X = np.asarray(planted((20_000, 9_000))[0].X)
    X.tofile(tmp_path / "cells.f32")
    mapped = anndata.AnnData(np.memmap(tmp_path / "cells.f32", np.float32, "r", shape=X.shape), var=table(X[:1]).var)
    assert isinstance(mapped.X, np.memmap)
    cluster.flowsom(mapped)
    whole = table(X)
    cluster.flowsom(whole)
    assert mapped.uns["cytof"]["som"]["codes"].tobytes() == whole.uns["cytof"]["som"]["codes"].tobytes()
    assert mapped.obs["flowsom"].tolist() == whole.obs["flowsom"].tolist()
    assert adjusted_rand_score(whole.obs["flowsom_node"], mapped.obs["flowsom_node"]) == 1


def test_edge_cells_map_or_are_refused() -> None:
    adata, _ = clustered()
    made = cluster.model(adata)
    one = adata[:1].copy()
    cluster.map_new(one, made)
    assert one.obs["flowsom"].tolist() == adata.obs["flowsom"].tolist()[:1]
    with pytest.raises(InputError, match="map_new: found 0 cells, expected at least 1"):
        cluster.map_new(adata[:0].copy(), made)
    hole = adata[:3].copy()
    hole.X[1, 4] = np.nan
    with pytest.raises(InputError, match="M4 in 1 cells"):
        cluster.map_new(hole, made)


def test_tree_as_it_is_drawn() -> None:
    """Every edge of the spanning tree is there once, the node with most cells is the root, clusters are the cells'."""
    adata, _ = clustered()
    nodes = cluster.tree(adata)
    hanging = nodes[nodes["parent"] >= 0]
    pairs = {tuple(sorted(p)) for p in zip(hanging["node"], hanging["parent"], strict=True)}
    edges = adata.uns["cytof"]["som_tree"]
    assert pairs == set(zip(edges["source"], edges["target"], strict=True))
    assert nodes.loc[nodes["parent"] == -1, "n"].item() == nodes["n"].max()
    of_cells = nodes["cluster"].to_numpy()[adata.obs["flowsom_node"]]
    assert of_cells.tolist() == adata.obs["flowsom"].astype(str).tolist()
    places = nodes[["x", "y"]].to_numpy()
    assert np.isfinite(places).all()
    assert len(np.unique(places.round(6), axis=0)) == len(nodes)
