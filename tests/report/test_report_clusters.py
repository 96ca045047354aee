"""What the page says of the clusters follows from their tables."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd

from cytof.report._clusters import cluster_tables, cluster_words
from cytof.report._tables import study_tables
from cytof.report._worries import worries


def cells(verdicts: list[str], k: int = 2, proposed: int = 3) -> anndata.AnnData:
    obs = pd.DataFrame({"sample_id": "a", "flowsom": list("1122"), "phenograph": ["1", "1", "2", None]})
    adata = anndata.AnnData(np.zeros((4, 1), np.float32), obs=obs.set_index(pd.Index(list("wxyz"))))
    stability = pd.DataFrame(
        {"cluster": ["1", "2"], "n": 2, "jaccard_seeds": 1.0, "jaccard_draws": [0.91234, 0.4], "lowest": 0.3}
    )
    adata.uns["cytof"] = {
        "som": {"k": k, "proposed_k": proposed, "reason": "the last split that takes 25% is the one to 3"},
        "stability": stability.assign(verdict=verdicts),
        "stability_runs": pd.DataFrame({"kind": ["seeds", "draws"], "a": 0, "b": [1, 2], "ari": [1.0, 0.6]}),
        "names": pd.DataFrame(
            {"cluster": ["1", "2"], "n": 2, "name": ["TCM", "TEM"], "score": 0.9, "second_score": 0.1}
        ),
    }
    return adata


def test_sentences() -> None:
    number, stable, agree = cluster_words(cells(["stable", "dissolves"]))
    assert number == "2 clusters were asked for; 3 would be proposed: the last split that takes 25% is the one to 3."
    assert stable == (
        "1 of 2 clusters are found again when FlowSOM is repeated (mean adjusted Rand index of two runs 0.60 over "
        "draws of the cells, 1.00 over seeds); not stable: 2."
    )
    assert agree.startswith("FlowSOM and PhenoGraph agree on 3 cells with an adjusted Rand index of 1.00")
    same = cluster_words(cells(["stable", "stable"], k=3))
    assert same[0].startswith("3 clusters were asked for, which is also the number proposed: ")
    assert same[1].endswith("1.00 over seeds).")


def test_tables_and_what_a_reader_should_know() -> None:
    adata = cells(["stable", "dissolves"])
    tables = cluster_tables(adata)
    assert list(tables) == [
        "Names of the clusters by their signatures",
        "Stability of the clusters",
        "FlowSOM (rows) against PhenoGraph (columns), cells",
    ]
    assert tables["Stability of the clusters"]["jaccard_draws"].tolist() == [0.912, 0.4]
    assert tables["FlowSOM (rows) against PhenoGraph (columns), cells"].to_numpy().tolist() == [
        ["1", 2, 0],
        ["2", 0, 1],
    ]
    said = worries(adata, study_tables(adata), [], {})
    assert "FlowSOM does not find again, on draws of the cells: cluster 2." in said
    assert not any("find again" in w for w in worries(cells(["stable"] * 2), study_tables(adata), [], {}))
    assert cluster_words(anndata.AnnData(np.zeros((1, 1), np.float32))) == []
