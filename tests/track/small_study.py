"""A small gated study with planted truths: one patient, four visits, CAR T and host T cells. Seeded.

Planted in DN CAR T cells between 2mo and 5yr: HLA-DR +0.8, GZMB -1.0, Ki67 level; nothing changes in host T cells.
CAR T against host T cells at every visit: PD-1 -0.7. `dim` is positive in 30 % of cluster 1 and in 5 % elsewhere.
"""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd

VISITS = ("2mo", "1yr", "3yr", "5yr")
DAYS = (60.0, 365.0, 1095.0, 1825.0)
SUBSETS = ("CD4", "CD8", "DN", "DP")
SHARES = {
    "2mo": (0.30, 0.50, 0.18, 0.02),
    "1yr": (0.20, 0.40, 0.38, 0.02),
    "3yr": (0.08, 0.25, 0.66, 0.01),
    "5yr": (0.01, 0.08, 0.91, 0.00),
}
MARKERS = {"CD3": "lineage", "VHH": "car", "CD4": "lineage", "CD8": "lineage", "HLA-DR": "none", "GZMB": "none",
           "Ki67": "none", "PD-1": "none", "dim": "none"}  # fmt: skip
STATE = ("HLA-DR", "GZMB", "Ki67", "PD-1", "dim")
CD3 = "cells/singlets/live/CD45+/CD3+"
CAR, HOST = f"{CD3}/CAR+", f"{CD3}/CAR-"
THRESHOLD = 2.0


def small_study(*, n_car: int = 400, n_host: int = 600, seed: int = 0, blank_above: int = 2) -> anndata.AnnData:
    """Return the CD3+ cells of four visits with counts, thresholds and blanks, as `cytof.assemble` lays them out."""
    rng = np.random.default_rng(seed)
    parts = [_arm(rng, v, car, n_car if car else n_host) for v in VISITS for car in (True, False)]
    obs = pd.concat([p[0] for p in parts], ignore_index=True)
    obs.index = obs["sample_id"].astype(str) + "-" + obs["event"].astype(str)
    for name in ("sample_id", "patient_id", "gate"):
        obs[name] = pd.Categorical(obs[name])
    obs["timepoint"] = pd.Categorical(obs["timepoint"], VISITS, ordered=True)
    obs["subset"] = pd.Categorical(obs["subset"], SUBSETS)
    obs["flowsom"] = pd.Categorical(obs["flowsom"])
    var = pd.DataFrame(
        {"channel": [f"Nd{141 + i}" for i in range(len(MARKERS))], "metal": "Nd", "mass": 0,
         "marker_class": ["state" if m in STATE else "type" for m in MARKERS], "role": list(MARKERS.values()),
         "cofactor": 5.0, "gated": [m == "CD3" for m in MARKERS]}, index=list(MARKERS),
    )  # fmt: skip
    X = np.concatenate([p[1] for p in parts]).astype(np.float32)
    adata = anndata.AnnData(X, obs=obs, var=var, layers={"counts": np.sinh(X) * 5})
    adata.uns["cytof"] = {"schema": 1, "counts": _counts(obs), "thresholds": _thresholds(), "gates": TEMPLATE,
                          "blanks": _blanks(blank_above), "car_gate": CAR, "kept": CD3}  # fmt: skip
    return adata


TEMPLATE = f"gates:\n  - {{pop: CAR-, parent: {CD3}, alias: Host T}}\n  - {{pop: CAR+, parent: {CD3}}}\n"


def _arm(rng: np.random.Generator, visit: str, car: bool, n: int) -> tuple[pd.DataFrame, np.ndarray]:
    late = VISITS.index(visit) / 3
    shares = np.array(SHARES[visit] if car else (0.6, 0.38, 0.01, 0.01))
    subset = rng.choice(4, n, p=shares)
    cluster = np.where(rng.random(n) < 0.5, 1, 2 + subset)
    mean = np.tile(np.array([5.0, 4.0 if car else 0.3, 0.2, 0.2, 1.5, 2.5, 1.0, 1.2 if car else 1.9, 0.0]), (n, 1))
    mean[np.isin(subset, (0, 3)), 2] = 4.5
    mean[np.isin(subset, (1, 3)), 3] = 4.5
    if car:
        mean[subset == 2, 4] += 0.8 * late
        mean[subset == 2, 5] -= 1.0 * late
    mean[:, 8] = np.where(rng.random(n) < np.where(cluster == 1, 0.30, 0.05), 3.0, -1.0)
    X = np.maximum(rng.normal(mean, 0.5), 0)
    X[:, 1] = np.where(car, np.maximum(X[:, 1], THRESHOLD + 0.01), np.minimum(X[:, 1], THRESHOLD - 0.01))
    gate = np.array([f"{CAR if car else HOST}/{s}" for s in SUBSETS], object)[subset]
    obs = pd.DataFrame({
        "sample_id": visit, "patient_id": "SYN-01", "timepoint": visit, "day": DAYS[VISITS.index(visit)], "car": car,
        "subset": np.array(SUBSETS, object)[subset], "gate": gate, "flowsom": np.where(car, cluster.astype(str), None),
        "event": np.arange(n) + 1_000_000 * car,
    })  # fmt: skip
    return obs, X


def _counts(obs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for visit in VISITS:
        own = obs[obs["sample_id"] == visit]
        n = {"root": 60_000, "cells": 50_000, "cells/singlets": 45_000, "cells/singlets/live": 42_000,
             "cells/singlets/live/CD45+": 40_000, CD3: len(own)}  # fmt: skip
        for arm, car in ((CAR, True), (HOST, False)):
            n[arm] = int((own["car"] == car).sum())
            n |= {f"{arm}/{s}": int(((own["car"] == car) & (own["subset"] == s)).sum()) for s in SUBSETS}
        for gate, count in n.items():
            parent = "" if gate == "root" else gate.rpartition("/")[0] or "root"
            above = n.get(parent, count)
            rows.append((visit, gate, parent, count, above, count / above if above else np.nan, ""))
    return pd.DataFrame(rows, columns=["sample_id", "gate", "parent", "n", "n_parent", "fraction_of_parent", "flag"])


def _thresholds() -> pd.DataFrame:
    rows = [(v, CAR, "Nd142", "mindensity", THRESHOLD, 1.0, 3.8, 0.8, 1000, "ok", "{}") for v in VISITS]
    rows += [(v, f"{arm}/{s}", c, "mindensity", 2.2, 2.1, 2.3, 0.9, 1000, "ok", "{}")
             for v in VISITS for arm in (CAR, HOST) for s in SUBSETS for c in ("Nd143", "Nd144")]  # fmt: skip
    names = ["sample_id", "gate", "channel", "method", "value", "low", "high", "depth", "n", "flag", "region"]
    return pd.DataFrame(rows, columns=names)


def _blanks(above: int) -> pd.DataFrame:
    rows = [(v, CAR, kind, n, above, above / n, np.nan) for v in VISITS
            for kind, n in (("CD19+", 6000), ("CD14+", 4000), ("all", 10_000))]  # fmt: skip
    return pd.DataFrame(rows, columns=["sample_id", "gate", "blank", "n", "n_above", "rate", "rate_high"])
