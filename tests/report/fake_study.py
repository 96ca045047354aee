"""A made-up study as the pipeline hands it to the report: cells, gate counts, thresholds, clusters, a map. Seeded."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd

VISITS = ("2mo", "1yr", "3yr", "5yr")
DAYS = (60.0, 365.0, 1095.0, 1825.0)
SUBSETS = ("CD4", "CD8", "DN", "DP")
MARKERS = {
    "CD45": "lineage",
    "CD3": "lineage",
    "CD7": "lineage",
    "VHH": "car",
    "CD4": "lineage",
    "CD8": "lineage",
    "CD45RA": "lineage",
    "CD45RO": "lineage",
    "CCR7": "lineage",
    "CD27": "lineage",
    "CD28": "lineage",
    "CD57": "lineage",
    "CD127": "lineage",
    "CD25": "lineage",
    "CD95": "lineage",
    "CXCR3": "lineage",
    "CCR4": "lineage",
    "CCR6": "lineage",
    "TCRgd": "lineage",
    "CD161": "lineage",
    "HLA-DR": "none",
    "CD38": "none",
    "Ki67": "none",
    "GZMB": "none",
    "CD107a": "none",
    "PD-1": "none",
    "Tim-3": "none",
    "LAG-3": "none",
    "TIGIT": "none",
    "CD69": "none",
    "ICOS": "none",
    "Perforin": "none",
    "T-bet": "none",
    "CD39": "none",
}
STATE = {
    "HLA-DR",
    "CD38",
    "Ki67",
    "GZMB",
    "CD107a",
    "PD-1",
    "Tim-3",
    "LAG-3",
    "TIGIT",
    "CD69",
    "ICOS",
    "Perforin",
    "T-bet",
    "CD39",
}
TAGGED = {"Ki67"}
"""Markers that bear the tag in their name; the others are those the figures ask for."""
GATED = {"CD45", "CD3", "CD7"}
KEPT = "cells/singlets/live/CD45+/CD3+"
CAR_PATH = f"{KEPT}/CAR+"


def fake_study(
    *,
    n_car: tuple[int, ...] = (1500, 1200, 900, 600),
    n_host: int = 2000,
    car: bool = True,
    tag: str = "",
    seed: int = 0,
) -> anndata.AnnData:
    """Return cells of four visits; ``tag`` is put into every name (to test escaping), ``car=False``: no CAR gate."""
    rng = np.random.default_rng(seed)
    obs, X, labels = [], [], []
    markers = [m + (tag if m in TAGGED else "") for m in MARKERS]
    levels = rng.gamma(1.2, 1.0, (9, len(markers))).clip(0, 5)
    host = rng.gamma(1.2, 0.8, (4, len(markers))).clip(0, 5)
    for v, visit in enumerate(VISITS):
        for is_car, n in ((True, n_car[v] if car else 0), (False, n_host)):
            mix = np.linspace(9, 1, 9) if v == 0 else np.roll(np.linspace(9, 1, 9), v * 2)
            cluster = rng.choice(9, n, p=mix / mix.sum())
            subset = (
                np.where(rng.random(n) < 0.05, 3, cluster % 3)
                if is_car
                else rng.choice(4, n, p=[0.55, 0.4, 0.03, 0.02])
            )
            mean = levels[cluster] if is_car else host[subset]
            mean = mean + 0.25 * v * (np.arange(len(markers)) % 3 - 1) * is_car
            X.append(np.maximum(rng.normal(mean, 0.6), 0) * (rng.random(mean.shape) > 0.12))
            labels.append(np.where(is_car, cluster + 1, 0))
            obs.append(
                pd.DataFrame(
                    {
                        "sample_id": f"{visit}{tag}",
                        "patient_id": f"SYN-01{tag}",
                        "timepoint": f"{visit}{tag}",
                        "day": DAYS[v],
                        "batch_id": f"run{v + 1}",
                        "condition": "",
                        "car": is_car,
                        "subset": np.take(SUBSETS, subset),
                        "event": np.arange(n) + 10_000 * is_car,
                    }
                )
            )
    table = pd.concat(obs, ignore_index=True)
    for name in ("sample_id", "patient_id", "batch_id", "condition"):
        table[name] = table[name].astype("category")
    table["timepoint"] = pd.Categorical(table["timepoint"], [f"{v}{tag}" for v in VISITS], ordered=True)
    table["subset"] = pd.Categorical(table["subset"], SUBSETS)
    table["gate"] = pd.Categorical(np.where(table["car"], CAR_PATH, CAR_PATH.replace("CAR+", "CAR-") if car else KEPT))
    label = np.concatenate(labels)
    chosen = label > 0
    if not car:
        chosen = rng.random(len(table)) < 0.5
        label = np.where(chosen, table["subset"].cat.codes + 1 + 4 * (rng.random(len(table)) < 0.3), 0)
        table["car"] = False
    words = np.where(chosen, label.astype(str), None)
    table["flowsom"] = pd.Categorical(words, [str(i) for i in range(1, 10)][: label.max()])
    table["phenograph"] = table["flowsom"]
    place = np.full((len(table), 2), np.nan, np.float32)
    on_map = chosen & (np.cumsum(chosen) <= 6000)
    centre = rng.normal(0, 22, (10, 2))
    place[on_map] = centre[label[on_map]] + rng.normal(0, 5, (on_map.sum(), 2))
    table.index = table["sample_id"].astype(str) + "-" + table["event"].astype(str)
    matrix = np.concatenate(X).astype(np.float32)
    var = pd.DataFrame(
        {
            "channel": [f"Nd{140 + i}" for i in range(len(markers))],
            "metal": "Nd",
            "mass": range(140, 140 + len(markers)),
            "marker_class": ["state" if m in STATE else "type" for m in MARKERS],
            "role": list(MARKERS.values()),
            "cofactor": 5.0,
            "gated": [m in GATED for m in MARKERS],
        },
        index=markers,
    )
    adata = anndata.AnnData(matrix, obs=table, var=var, layers={"counts": np.sinh(matrix) * 5}, obsm={"X_tsne": place})
    adata.uns["cytof"] = _tables(adata, car, tag)
    return adata


def _tables(adata: anndata.AnnData, car: bool, tag: str) -> dict:
    counts, thresholds = [], []
    path = CAR_PATH.split("/")
    for s in adata.obs["sample_id"].cat.categories:
        here = adata.obs[adata.obs["sample_id"] == s]
        n_cd3 = len(here)
        sizes = [
            ("root", "", n_cd3 * 8),
            ("cells", "root", n_cd3 * 6),
            ("cells/singlets", "cells", n_cd3 * 5),
            ("cells/singlets/live", "cells/singlets", n_cd3 * 4),
            ("/".join(path[:4]), "/".join(path[:3]), n_cd3 * 3),
            ("/".join(path[:5]), "/".join(path[:4]), n_cd3),
        ]
        arms = {CAR_PATH: here[here["car"]], CAR_PATH.replace("CAR+", "CAR-"): here[~here["car"]]}
        if not car:
            arms = {"/".join(path[:5]): here}
        for arm, cells in arms.items():
            if car:
                sizes.append((arm, "/".join(path[:5]), len(cells)))
            sizes += [(f"{arm}/{k}", arm, int((cells["subset"] == k).sum())) for k in SUBSETS]
        n_of = {g: n for g, _, n in sizes}
        counts += [
            (s, g, p, n, n_of.get(p, n), n / max(n_of.get(p, n), 1), "few" if n < 30 else "") for g, p, n in sizes
        ]
        for i, (g, _, n) in enumerate(sizes[4:]):
            region = {
                "kind": "rectangle",
                "dims": [{"channel": "Nd143", "cofactor": 5.0}],
                "low": [2.0],
                "high": [float("inf")],
            }
            flag = "shallow" if i == 2 and s.startswith("5yr") else ""
            thresholds.append(
                (
                    s,
                    g,
                    f"Nd{143 + i}",
                    "mindensity",
                    2.0 + 0.1 * i,
                    1.8 + 0.1 * i,
                    2.3 + 0.1 * i,
                    0.6,
                    n,
                    flag,
                    json.dumps(region),
                )
            )
    steps = [
        ("io.read_fcs", {"panel": "car_t_41" + tag}, ""),
        ("clean.find_beads", {"beads": ["Ce140"]}, ""),
        ("gate.place", {"template": "car_t_41"}, "11"),
        ("arcsinh", {"cofactor": [5.0]}, ""),
        ("flowsom", {"n_clusters": 9, "grid": [10, 10], "rlen": 10, "features": ["CD4", "CD8"]}, "21"),
        ("phenograph", {"k": 30}, "22"),
        ("tsne", {"perplexity": 30}, "23"),
    ]
    return {
        "schema": 1,
        "gates": "",
        "car_gate": CAR_PATH if car else "",
        "kept": KEPT,
        "panel": adata.var.reset_index(names="antigen"),
        "counts": pd.DataFrame(
            counts, columns=["sample_id", "gate", "parent", "n", "n_parent", "fraction_of_parent", "flag"]
        ),
        "thresholds": pd.DataFrame(
            thresholds,
            columns=["sample_id", "gate", "channel", "method", "value", "low", "high", "depth", "n", "flag", "region"],
        ),
        "blanks": pd.DataFrame(
            {
                "sample_id": [f"{v}{tag}" for v in VISITS],
                "gate": CAR_PATH,
                "blank": "CD19+ B cells",
                "n": 20_000,
                "n_above": 4,
                "rate": 2e-4,
                "rate_high": 5.1e-4,
            }
        ),
        "warnings": pd.DataFrame(
            [
                (f"5yr{tag}", f"5yr.fcs:$TOT{tag}", "blank", "counted the events", "warning"),
                (f"2mo{tag}", "2mo.fcs:HEADER", "DATA end one too high", "read as it stands", "note"),
            ],
            columns=["sample_id", "where", "found", "done", "level"],
        ),
        "steps": pd.DataFrame(
            [(s, json.dumps(p, sort_keys=True), r, "0.1.0") for s, p, r in steps],
            columns=["step", "params", "random_state", "version"],
        ),
        "features": ["CD4", "CD8", "CD45RA", "CCR7"],
    }


def many_samples(n: int) -> anndata.AnnData:
    """Return n samples of n / 5 patients at five visits."""
    parts = []
    for i in range(n):
        part = fake_study(n_car=(60 + i % 7, 0, 0, 0), n_host=120, seed=i)[: 180 + i % 7].copy()
        part.obs["sample_id"] = f"P{i // 5 + 1:02d}_v{i % 5 + 1}"
        part.obs["patient_id"] = f"P{i // 5 + 1:02d}"
        part.obs["timepoint"] = f"visit {i % 5 + 1}"
        part.obs["day"] = [30.0, 90.0, 180.0, 365.0, 730.0][i % 5]
        part.obs_names = [f"{i}-{k}" for k in range(part.n_obs)]
        parts.append(part)
    cells = anndata.concat(parts)
    cells.var = parts[0].var
    for name in ("subset", "flowsom", "phenograph", "gate", "timepoint", "sample_id", "patient_id"):
        cells.obs[name] = pd.Categorical(cells.obs[name])
    home, one = {}, parts[0].uns["cytof"]
    for name in ("counts", "thresholds"):  # of each part's first visit, which is all that it keeps
        own = [p.uns["cytof"][name].assign(sample_id=p.obs["sample_id"].iloc[0]) for p in parts]
        first = [t[p.uns["cytof"][name]["sample_id"].astype(str) == "2mo"] for t, p in zip(own, parts, strict=True)]
        home[name] = pd.concat(first, ignore_index=True)
    counts, rng = home["counts"], np.random.default_rng(0)
    whole = counts["gate"].isin(
        ["root", "cells", "cells/singlets", "cells/singlets/live", "/".join(CAR_PATH.split("/")[:4])]
    )
    counts.loc[whole, "n"] = (counts["n"] * 10 ** rng.uniform(0, 2, len(counts))).astype(int)[whole]
    home["thresholds"]["value"] += rng.normal(0, 0.1, len(home["thresholds"]))
    cells.uns["cytof"] = {**one, **home, "warnings": one["warnings"].iloc[:0], "blanks": one["blanks"].iloc[:0]}
    return cells


def one_sample(cells: anndata.AnnData) -> anndata.AnnData:
    """Return the first visit alone."""
    first = cells[(cells.obs["sample_id"] == "2mo").to_numpy()].copy()
    home = first.uns["cytof"]
    for name in ("counts", "thresholds", "blanks"):
        home[name] = home[name][home[name]["sample_id"].astype(str) == "2mo"].reset_index(drop=True)
    return first


def fake_waterfall(adata: anndata.AnnData) -> pd.DataFrame:
    """Return events left after each cleaning step, of each sample."""
    rows = []
    for s in adata.obs["sample_id"].cat.categories:
        for step, share in (
            ("all events", 1.0),
            ("beads out", 0.94),
            ("debris out", 0.86),
            ("singlets", 0.79),
            ("live", 0.74),
        ):
            rows.append((s, step, round(200_000 * share), share))
    return pd.DataFrame(rows, columns=["sample_id", "step", "n_left", "fraction_left"])
