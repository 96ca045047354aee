"""How a study's settings reach the clusters: weights, further populations, stability and names."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from cytof import transform
from cytof.errors import ConfigError
from cytof.pipeline._clusters import also_phenograph, judge_clusters, run_flowsom
from cytof.pipeline._select import population
from cytof.study import Study, load

MARKERS = ("CD45RA", "CD45RO", "CCR7", "CD27", "CD28", "CD95")
LEVELS = np.array([[1, 0, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1], [0, 1, 1, 1, 1, 0]])  # TSCM, TEM, TCM


def kept_cells() -> anndata.AnnData:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 1500)
    X = np.where(LEVELS[kind], rng.normal(4, 0.5, (1500, 6)), np.abs(rng.normal(0.3, 0.3, (1500, 6))))
    var = pd.DataFrame({"marker_class": "type", "role": "lineage", "cofactor": 5.0, "gated": False}, index=MARKERS)
    car = rng.random(1500) < 0.4
    obs = pd.DataFrame(
        {
            "sample_id": pd.Categorical(np.where(np.arange(1500) < 1200, "2mo", "5yr")),
            "gate": pd.Categorical(np.where(car, "CD3+/CAR+", "CD3+")),
            "subset": pd.Categorical(np.where(kind == 1, "CD8", "CD4")),
        },
        index=[f"c{i}" for i in range(1500)],
    )
    cells = anndata.AnnData(X.astype(np.float32), obs=obs, var=var)
    cells.uns["cytof"] = {"car_gate": "CD3+/CAR+", "kept": "CD3+", "counts": pd.DataFrame()}
    transform.record(cells, "arcsinh", {}, None)
    return cells


def said() -> tuple[list[str], object]:
    lines: list[str] = []
    return lines, lambda stage, sample, found: lines.append(found)


def test_samples_weigh_alike_and_clusters_are_rated_and_named() -> None:
    study = Study(folder=Path(), panel="car_t_41", cluster={"n_clusters": 3, "stability": 1})
    cells = kept_cells()
    part = population(study, cells)
    features = transform.features(part, None)
    assert run_flowsom(study, part, features) == "FlowSOM: 3 clusters, 3 proposed"
    steps = part.uns["cytof"]["steps"].set_index("step")["params"]
    assert '"fit_on":"weight"' in steps["flowsom"]
    lines, say = said()
    judge_clusters(study, part, cells, say)
    assert lines[0] == "stability: 3 of 3 clusters stable"
    assert set(part.uns["cytof"]["names"]["name"]) == {"CD4 TSCM", "CD8 TEM", "CD4 TCM"}
    alone = Study(folder=Path(), cluster={"n_clusters": 3, "weigh": "cells", "training": "online"}, subsets="none")
    other = population(alone, cells)
    run_flowsom(alone, other, features)
    steps = other.uns["cytof"]["steps"].set_index("step")["params"]
    assert '"fit_on":""' in steps["flowsom"]
    assert '"training":"online"' in steps["flowsom"]


def test_phenograph_of_a_further_population() -> None:
    study = Study(folder=Path(), cluster={"also": ["CD3+"], "max_cells": 800, "k": 40})
    cells = kept_cells()
    lines, say = said()
    also_phenograph(study, cells, list(MARKERS), say)
    found = cells.obs["phenograph_CD3+"]
    per_sample = found.notna().groupby(cells.obs["sample_id"], observed=True).sum()
    assert per_sample.to_dict() == {"2mo": 500, "5yr": 300}
    assert lines == [f"PhenoGraph of CD3+: {found.nunique()} clusters of 800 cells"]
    assert "phenograph:phenograph_CD3+" in set(cells.uns["cytof"]["steps"]["step"])


def test_signatures_without_their_markers_leave_numbers() -> None:
    study = Study(folder=Path(), panel="car_t_41", cluster={"n_clusters": 2, "stability": 0})
    cells = kept_cells()[:, ["CD95"]].copy()
    part = population(study, cells)
    run_flowsom(study, part, ["CD95"])
    lines, say = said()
    judge_clusters(study, part, cells, say)
    assert len(lines) == 1
    assert lines[0].startswith("no names: no signature can be scored, markers missing: CD45RA")
    assert "names" not in part.uns["cytof"]


def test_a_wrong_word_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("panel: car_t_41\ncluster:\n  weigh: visits\n")
    with pytest.raises(ConfigError, match=r"study.yaml:3: `cluster.weigh` is 'visits'"):
        load(tmp_path / "study.yaml")
