"""FlowSOM against the public ``flowsom`` 0.2.2 in the same run: speed, memory, growth, the same map, manual labels.

    python -m venv peer && peer/bin/python -m pip install flowsom==0.2.2
    python benchmarks/flowsom.py --peer peer/bin/python [--data ../shared/data] [--only speed growth ...] [--repeats 3]

``flowsom`` asks for other versions than this package, so it has an environment of its own; its interpreter is given by
``--peer`` or the environment variable ``CYTOF_FLOWSOM_PYTHON``. Without it its lines, and the claims on them, are left
out, and the run says so. ``--data`` (or ``CYTOF_TEST_DATA``) is the folder with ``liu2020_maxpar`` and
``flowjo_flowsom``; without it manual labels are left out.

Claims: at 265,627 x 32 batch map and metaclusters at least 20 x faster than the public default (an online map) and 5 x
faster than its ``BatchFlowSOMEstimator``; our online map at least 4 x faster than the public default at the same
quantisation error within 2 %; 1,000,000 cells mapped in 0.3 s; growth over 10,000 to 300,000 cells at most 1.1;
15,000,000 x 30 memory-mapped cells mapped with at most 2 GiB beyond the map. On the cells of Liu 2020 batch FlowSOM(20)
reaches a median ARI of 0.75 and a mean F1 of 0.70 over ten seeds, quartiles of ARI at most 0.04 apart.

Every run is a process of its own, runs of the packages alternate, seconds are medians without imports and data;
``process`` is the whole process. Warm seconds follow a first call on 1,000 cells in the same process, so that the
public package, which compiles in every process, is judged by its algorithm; ``cold`` is the first call of the first
process ever, with an empty numba cache: everything the user waits for once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PUBLIC, PUBLIC_BATCH = "flowsom", "flowsom.batch"
NAMES = {
    "batch": "cytof, batch", "online": "cytof, online", "plain": "cytof, online, plain linkage",
    PUBLIC: "flowsom 0.2.2", PUBLIC_BATCH: "flowsom 0.2.2, Batch",
}  # fmt: skip


def cells(n: int, d: int = 32, seed: int = 0) -> np.ndarray:
    """Twenty-five Gaussian populations of unequal size on the arcsinh scale, clipped at 0; blocks are drawn in turn."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(25, 1.5))
    centre = 4 * rng.beta(0.6, 0.9, (25, d))
    X = np.empty((n, d), np.float32)
    for start in range(0, n, 100_000):
        which = rng.choice(25, min(100_000, n - start), p=share)
        X[start : start + len(which)] = np.maximum(centre[which] + rng.normal(0, 0.6, (len(which), d)), 0)
    return X


def table(X: np.ndarray):
    import anndata
    import pandas as pd

    var = pd.DataFrame({"marker_class": "type", "role": "none"}, index=[f"M{i}" for i in range(X.shape[1])])
    return anndata.AnnData(X, var=var)


# what a process does


def run(job: dict) -> dict:
    X = np.load(job["X"]) if "X" in job else cells(job["cells"])
    run_one = theirs if job["engine"] in (PUBLIC, PUBLIC_BATCH) else ours
    return run_one(job, X)


def ours(job: dict, X: np.ndarray) -> dict:
    import numba  # noqa: F401
    import pandas  # noqa: F401
    import scipy.cluster.hierarchy  # noqa: F401

    from cytof import cluster
    from cytof.cluster._som_core import map_cells

    adata, online = table(X), job["engine"] != "batch"
    if job.get("warm"):
        cluster.flowsom(table(X[:1000]), n_clusters=job["k"], training="online" if online else "batch")
    start = time.perf_counter()
    cluster.flowsom(adata, n_clusters=job["k"], training="online" if online else "batch", random_state=job["seed"])
    seconds = time.perf_counter() - start
    slot = adata.uns["cytof"]["som"]
    labels = adata.obs["flowsom"].to_numpy().astype(int)
    if job["engine"] == "plain":
        from cytof.cluster._consensus import consensus

        whole = consensus(slot["codes"], job["k"], draws=1, fraction=1.0).clusters[job["k"]]
        labels = whole[adata.obs["flowsom_node"].to_numpy()]
    start = time.perf_counter()
    map_cells(X, slot["codes"])
    mapping = time.perf_counter() - start
    np.save(job["out"], labels)
    return {"seconds": seconds, "error": slot["quantisation_error"], "mapping": mapping}


def theirs(job: dict, X: np.ndarray) -> dict:
    sys.path[:] = [p for p in sys.path if Path(p) != Path(__file__).parent]  # this file bears the package's name
    import flowsom

    model = {"model": flowsom.models.BatchFlowSOMEstimator} if job["engine"] == PUBLIC_BATCH else {}
    if job.get("warm"):
        flowsom.FlowSOM(table(X[:1000]), n_clusters=job["k"], xdim=10, ydim=10, seed=0, **model)
    adata = table(X)
    start = time.perf_counter()
    found = flowsom.FlowSOM(adata, n_clusters=job["k"], xdim=10, ydim=10, seed=job["seed"], **model)
    seconds = time.perf_counter() - start
    np.save(job["out"], np.asarray(found.get_cell_data().obs["metaclustering"], int))
    codes = np.asarray(found.model.codes, np.float64)
    parts = [X[i : i + 20_000].astype(np.float64) for i in range(0, len(X), 20_000)]
    apart = [((p**2).sum(1)[:, None] - 2 * p @ codes.T + (codes**2).sum(1)).min(1) for p in parts]
    return {"seconds": seconds, "error": float(np.sqrt(np.maximum(np.concatenate(apart), 0)).mean())}


def process(job: dict, python: str = sys.executable, cache: str | None = None) -> dict:
    """Run a job in a process of its own; labels come back under ``labels``."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    with tempfile.TemporaryDirectory() as folder:
        job = job | {"out": str(Path(folder) / "labels.npy")}
        start = time.perf_counter()
        command = [python, __file__, "--run", json.dumps(job)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            sys.exit(f"{job['engine']} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
        result = json.loads(done.stdout.splitlines()[-1]) | {"process": time.perf_counter() - start}
        return result | {"labels": np.load(job["out"]) if Path(job["out"]).exists() else None}


def child(job: dict) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        result = mapped(job) if job["engine"] == "mapped" else run(job)
    own = resource.getrusage(resource.RUSAGE_SELF)
    result |= {"cpu": own.ru_utime + own.ru_stime, "peak_mib": own.ru_maxrss / 1024}
    print(json.dumps({key: float(value) for key, value in result.items()}))


def mapped(job: dict) -> dict:
    """Fit on a draw of the cells of a file, map all of them from the file; memory beyond the map's own pages."""
    from cytof import cluster

    X = np.memmap(job["X"], np.float32, "r", shape=(job["cells"], job["d"]))
    fit = table(np.array(X[:: max(job["cells"] // 200_000, 1)]))
    before = resident()
    start = time.perf_counter()
    cluster.flowsom(fit, n_clusters=20)
    node, label, _ = cluster.map_array(X, cluster.model(fit))
    seconds = time.perf_counter() - start
    assert len(label) == len(node) == job["cells"]
    return {"seconds": seconds, "beyond_mib": peak_beyond_files() - before}


def resident() -> float:
    """MiB of this process that belong to no file."""
    rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(rows["RssAnon"].split()[0]) / 1024


def peak_beyond_files() -> float:
    """Most MiB that belonged to no file: what a sampling thread saw, see :func:`watch`."""
    return max(SEEN, default=0.0)


SEEN: list[float] = []


def watch() -> None:
    import threading

    def look() -> None:
        while True:
            SEEN.append(resident())
            time.sleep(0.02)

    threading.Thread(target=look, daemon=True).start()


# what is compared


def judge(words: str, value: float, limit: float, *, at_most: bool = False) -> bool:
    good = value <= limit if at_most else value >= limit
    print(f"  {'holds' if good else 'MISSED':6} {words}: {value:.4g}, claimed {'<=' if at_most else '>='} {limit:g}")
    return good


def speed(asked: argparse.Namespace) -> bool:
    n, engines = asked.cells, ["batch", "online", *([PUBLIC, PUBLIC_BATCH] if asked.peer else [])]
    job, cold = {"cells": n, "k": 20, "seed": 0}, {}
    for engine in engines:
        with tempfile.TemporaryDirectory() as cache:
            cold[engine] = process(job | {"engine": engine}, python_of(engine, asked), cache)
    runs: dict[str, list[dict]] = {e: [] for e in engines}
    for _ in range(asked.repeats):
        for engine in engines:
            runs[engine].append(process(job | {"engine": engine, "warm": True}, python_of(engine, asked)))
    print(f"\nFlowSOM, {n:,} x 32, 20 metaclusters, median of {asked.repeats}")
    middle = {e: {k: statistics.median(r[k] for r in rs) for k in ("seconds", "process", "cpu", "peak_mib", "error")}
              for e, rs in runs.items()}  # fmt: skip
    for e, m in middle.items():
        first = f"  cold {cold[e]['seconds']:.2f} s, process {cold[e]['process']:.1f} s"
        print(f"  {NAMES[e]:22} {m['seconds']:7.2f} s  process {m['process']:6.1f} s  CPU {m['cpu']:6.1f} s  "
              f"{m['peak_mib']:5.0f} MiB  error {m['error']:.4f}{first}")  # fmt: skip
    if not asked.peer:
        return True
    ratio = {(a, b): statistics.median(y["seconds"] / x["seconds"] for x, y in zip(runs[a], runs[b], strict=True))
             for a in ("batch", "online") for b in (PUBLIC, PUBLIC_BATCH)}  # fmt: skip
    off = abs(middle["online"]["error"] / middle[PUBLIC]["error"] - 1)
    return all([
        judge("batch, times faster than the public default", ratio["batch", PUBLIC], 20),
        judge("batch, times faster than its Batch", ratio["batch", PUBLIC_BATCH], 5),
        judge("online, times faster than the public default", ratio["online", PUBLIC], 4),
        judge("quantisation error of the online maps apart", off, 0.02, at_most=True),
    ])  # fmt: skip


def python_of(engine: str, asked: argparse.Namespace) -> str:
    return asked.peer if engine in (PUBLIC, PUBLIC_BATCH) else sys.executable


def growth(asked: argparse.Namespace) -> bool:
    sizes, times = [10_000, 30_000, 100_000, 300_000], {}
    for n in sizes:
        found = [
            process({"cells": n, "k": 20, "seed": 0, "engine": "batch", "warm": True})["seconds"]
            for _ in range(asked.repeats)
        ]
        times[n] = statistics.median(found)
    print("\nGrowth: " + "  ".join(f"{n:,} {t:.3f} s" for n, t in times.items()))
    return judge(
        "log-log slope", float(np.polyfit(np.log(sizes), np.log(list(times.values())), 1)[0]), 1.1, at_most=True
    )


def mapping(asked: argparse.Namespace) -> bool:
    found = [
        process({"cells": 1_000_000, "k": 20, "seed": 0, "engine": "batch", "warm": True}) for _ in range(asked.repeats)
    ]
    print(f"\n1,000,000 x 32: batch fit and metaclusters {statistics.median(f['seconds'] for f in found):.2f} s, "
          f"{statistics.median(f['peak_mib'] for f in found):.0f} MiB in all")  # fmt: skip
    return judge("seconds to map them", statistics.median(f["mapping"] for f in found), 0.3, at_most=True)


def disk(asked: argparse.Namespace) -> bool:
    n, d = asked.disk_cells, 30
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        path = Path(folder) / "cells.f32"
        X = np.memmap(path, np.float32, "w+", shape=(n, d))
        for start in range(0, n, 1_000_000):
            X[start : start + 1_000_000] = cells(min(1_000_000, n - start), d, seed=0)
        X.flush()
        del X
        found = process({"engine": "mapped", "X": str(path), "cells": n, "d": d})
    print(f"\n{n:,} x {d} on disk: fitted on a draw and mapped in {found['seconds']:.1f} s")
    return judge("MiB beyond the map", found["beyond_mib"], 2048, at_most=True)


def labels(asked: argparse.Namespace) -> bool:
    if not asked.data:
        print("\nManual labels: left out, no --data")
        return True
    good = True
    for title, X, truth, k, claimed in (maxpar(asked.data), spleen(asked.data)):
        engines = ["batch", "online", "plain", *([PUBLIC] if asked.peer else [])]
        found = {e: [one_labelling(X, e, k, s, asked.peer) for s in range(asked.seeds)] for e in engines}
        print(f"\n{title}, {len(X):,} x {X.shape[1]}, {k} metaclusters, {asked.seeds} seeds: quartiles")
        for e in engines:
            ari = np.quantile(
                [adjusted_rand(truth[truth > 0], r["labels"][truth > 0]) for r in found[e]], [0.25, 0.5, 0.75]
            )
            f1 = np.median([mean_f1(truth[truth > 0], r["labels"][truth > 0]) for r in found[e]])
            error = statistics.median(r["error"] for r in found[e])
            print(f"  {NAMES[e]:30} ARI {ari[0]:.3f} {ari[1]:.3f} {ari[2]:.3f}  mean F1 {f1:.3f}  error {error:.4f}")
            if e == "batch" and claimed:
                good &= judge("median ARI of batch", ari[1], 0.75) & judge("mean F1 of batch", f1, 0.70)
                good &= judge("quartiles of ARI apart", ari[2] - ari[0], 0.04, at_most=True)
        if asked.peer:
            good &= like_the_public(found)
    return good


def like_the_public(found: dict[str, list[dict]]) -> bool:
    """Our online map with plain linkage is one more seed of the public package: as near to its runs as they are."""
    runs = {e: [r["labels"] for r in found[e]] for e in found}
    own = [adjusted_rand(a, b) for i, a in enumerate(runs[PUBLIC]) for b in runs[PUBLIC][:i]]
    print(f"  public against public over seeds: ARI {min(own):.3f} to {max(own):.3f}, median {np.median(own):.3f}")
    for engine in ("plain", "online", "batch"):
        across = [adjusted_rand(a, b) for a in runs[engine] for b in runs[PUBLIC]]
        print(f"  {NAMES[engine]} against public: median {np.median(across):.3f}")
        if engine == "plain":
            good = judge("online, plain linkage: ARI with the public one", float(np.median(across)), min(own))
    off = abs(np.median([r["error"] for r in found["online"]]) / np.median([r["error"] for r in found[PUBLIC]]) - 1)
    return good & judge("quantisation error of the online maps apart", float(off), 0.02, at_most=True)


def one_labelling(X: np.ndarray, engine: str, k: int, seed: int, peer: str | None) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "X.npy")
        np.save(path, X)
        return process(
            {"X": path, "k": k, "seed": seed, "engine": engine}, peer if engine == PUBLIC else sys.executable
        )


def maxpar(data: str):
    import flowio
    import pandas as pd

    file = flowio.FlowData(f"{data}/liu2020_maxpar/downsample.fcs", ignore_offset_error=True)
    truth = pd.read_csv(f"{data}/liu2020_maxpar/downsample_labels.csv")["label"].to_numpy()
    return "Liu 2020", np.reshape(np.asarray(file.events, np.float32), (-1, file.channel_count)), truth, 20, True


def spleen(data: str):
    """Mouse spleen by fluorescence: compensated, arcsinh(x / 150), markers of the manual gates."""
    import flowio
    import pandas as pd

    file = flowio.FlowData(f"{data}/flowjo_flowsom/68983.fcs")
    raw = np.reshape(np.asarray(file.events, np.float64), (-1, file.channel_count))
    stated = file.text["spill"].split(",")
    m = int(stated[0])
    names = [file.channels[i + 1]["pnn"] for i in range(file.channel_count)]
    places = [names.index(s) for s in stated[1 : m + 1]]
    raw[:, places] = raw[:, places] @ np.linalg.inv(np.array(stated[m + 1 :], float).reshape(m, m))
    markers = ("CD8", "TCRyd", "TCRb", "NK1/1", "CD4", "CD19", "CD3")
    chosen = [i for i in range(len(names)) if file.channels[i + 1]["pns"] in markers]
    text = pd.read_csv(f"{data}/flowjo_flowsom/gatingResult.csv", header=None)[0]
    named = sorted(set(text) - {"Unlabeled"})
    truth = text.map({name: i + 1 for i, name in enumerate(named)}).fillna(0).to_numpy(int)
    return "Mouse spleen (flow)", np.arcsinh(raw[:, chosen] / 150).astype(np.float32), truth, 10, False


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    from cytof.cluster._crosstab import adjusted_rand as rate

    return rate(a, b)


def mean_f1(truth: np.ndarray, found: np.ndarray) -> float:
    import pandas as pd

    counts = pd.crosstab(truth, found).to_numpy()
    return float((2 * counts / (counts.sum(1)[:, None] + counts.sum(0)[None])).max(1).mean())


PARTS = {"speed": speed, "growth": growth, "mapping": mapping, "disk": disk, "labels": labels}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", default=os.environ.get("CYTOF_FLOWSOM_PYTHON"), help="interpreter with flowsom 0.2.2")
    parser.add_argument("--data", default=os.environ.get("CYTOF_TEST_DATA"), help="folder of the labelled cells")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cells", type=int, default=265_627)
    parser.add_argument("--disk-cells", type=int, default=15_000_000)
    parser.add_argument("--scratch", help="folder for the cells on disk (1.8 GB)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--run", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        job = json.loads(asked.run)
        if job["engine"] == "mapped":
            watch()
        child(job)
        return 0
    if not asked.peer:
        print("The public package is left out: no --peer. Make one:\n"
              "  python -m venv peer && peer/bin/python -m pip install flowsom==0.2.2")  # fmt: skip
    held = [PARTS[part](asked) for part in asked.only]  # all of them, whatever the first says
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
