"""A cohort of 200 files x 250,000 events x 50 channels (50 M events, 10 GB) gated and FlowSOM-mapped on one machine.

    python benchmarks/scale.py [--files 10 50 200] [--events 250000] [--workers-files 20] [--only growth dask lost]

growth: for each number of files, `cytof gate` and `cytof cluster` of a study with a CD45+, CD3+, CAR+ template; CD3+
cells (about a third) are kept and all of them are mapped. Claims: peak memory at most 4 GiB, seconds linear in the
number of files (the fit is printed), for any number of files.
dask: the same gating with one and with two local workers; claim: two are at least 1.6 x as fast.
lost: a worker is killed with -9 in mid-run; claim: only what it was doing is done again, and the results are the same.

Ten distinct files are made; further ones are hard links to them under other names, so that disk for inputs stays at
0.5 GB. Every measurement is a process of its own; CPU seconds (which others on the machine do not change) stand beside
the seconds that passed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

DISTINCT = 10
TYPES = ("CD45", "CD3", "CD4", "CD8", "CD27", "CD28", "CCR7", "CD45RA", "CD57", "CD127")
GATES = """name: scale
gates:
  - {pop: CD45+, dims: CD45, gating_method: mindensity}
  - {pop: CD3+, parent: CD45+, dims: CD3, gating_method: mindensity}
  - {pop: CAR+, parent: CD3+, dims: VHH, gating_method: mindensity, car: true}
"""
SETTINGS = """name: Scale
panel: panel.csv
gates: scale.gates.yaml
clean: {beads: none, intact: false}
gate: {keep: CD3+, draw: 10000}
cluster: {population: CD3+, n_clusters: 10, max_cells: 5000, in_memory: 0, fit_cells: 200000}
embed: {rest: none}
"""


def markers() -> list[str]:
    return [*TYPES, "VHH", *(f"S{i}" for i in range(37))]


def channels() -> list[str]:
    metals = {
        "Y": [89], "Cd": [106, 108, 110, 111, 112, 113, 114, 116], "In": [115], "La": [139], "Pr": [141],
        "Nd": [142, 143, 144, 145, 146, 148, 150], "Sm": [147, 149, 152, 154], "Eu": [151, 153],
        "Gd": [155, 156, 157, 158, 160], "Tb": [159], "Dy": [161, 162, 163, 164], "Ho": [165],
        "Er": [166, 167, 168, 170], "Tm": [169], "Yb": [171, 172, 173, 174, 176], "Lu": [175], "Bi": [209],
    }  # fmt: skip
    return [f"{metal}{mass}Di" for metal, masses in metals.items() for mass in masses][:48]


def write_file(path: Path, seed: int, n: int) -> None:
    """Write counts of three lineages; of T cells four phenotypes in the type markers; lognormal with the zeros kept."""
    from cytof import io

    rng = np.random.default_rng(seed)
    high = rng.random((n, 48)) < 0.3
    high[:, 0] = rng.random(n) < 0.85
    high[:, 1] = high[:, 0] & (rng.random(n) < 0.4)
    phenotype = rng.integers(0, 4, n)
    for column in range(2, 10):
        high[:, column] = high[:, 1] & ((phenotype >> (column % 2)) & 1).astype(bool)
    high[:, 10] = high[:, 1] & (rng.random(n) < 0.05)
    counts = np.exp(rng.normal(np.where(high, 4.6, -0.5), 0.5).astype(np.float32))
    X = np.empty((n, 50), np.float32)
    X[:, 0], X[:, 1], X[:, 2:] = np.arange(n), 25, counts
    io.write_fcs(path, X, pnn=["Time", "Event_length", *channels()], pns=["Time", "Event_length", *markers()])


def write_study(folder: Path, sources: list[Path], n: int) -> Path:
    folder.mkdir(parents=True)
    rows = []
    for i in range(n):
        os.link(sources[i % len(sources)], folder / f"f{i}.fcs")
        rows.append(f"f{i}.fcs,s{i:03d},P{i // 4},visit {i % 4},{30 * (i % 4)}")
    (folder / "samples.csv").write_text("\n".join(["file_name,sample_id,patient_id,timepoint,day", *rows]) + "\n")
    role = ["lineage"] * 4 + ["none"] * 6 + ["car"] + ["none"] * 37
    kind = ["type"] * 10 + ["none"] + ["state"] * 37
    table = [f"{c[:-2]},{m},{k},{r},5" for c, m, k, r in zip(channels(), markers(), kind, role, strict=True)]
    (folder / "panel.csv").write_text("\n".join(["channel,antigen,marker_class,role,cofactor", *table]) + "\n")
    (folder / "scale.gates.yaml").write_text(GATES)
    (folder / "study.yaml").write_text(SETTINGS)
    return folder / "study.yaml"


def measure(job: dict) -> dict:
    """Run one job in a process of its own; seconds, CPU seconds and peak memory (with those of its children)."""
    done = subprocess.run([sys.executable, __file__, "--run", json.dumps(job)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def run(job: dict) -> None:
    from cytof import pipeline, study

    loaded, result = study.load(Path(job["study"])), {}
    for stage in job["stages"]:
        started, cpu = time.monotonic(), sum(os.times()[:4])
        with pipeline.dask_workers(job.get("workers", 0)) as workers:
            if job.get("warm"):
                list(workers.each(time.sleep, [(0.5,)] * job["workers"]))
                started = time.monotonic()
            if job.get("kill"):
                threading.Thread(target=kill_a_worker, args=(job["kill"],), daemon=True).start()
            getattr(pipeline, stage)(loaded, workers=workers)
            result[stage] = {"seconds": time.monotonic() - started}
        result[stage]["cpu"] = sum(os.times()[:4]) - cpu
    peaks = [resource.getrusage(w).ru_maxrss / 2**20 for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps(result | {"peak": peaks[0]}))


def kill_a_worker(after: float) -> None:
    import psutil

    time.sleep(after)
    workers = [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
    if workers:
        workers[-1].send_signal(signal.SIGKILL)


def growth(home: Path, sources: list[Path], sizes: list[int]) -> None:
    print("files  events      gate s (CPU)      cluster s (CPU)   peak GiB")
    rows = []
    for n in sizes:
        study = write_study(home / f"growth{n}", sources, n)
        found = measure({"study": str(study), "stages": ["gate", "cluster"]})
        gate, cluster = found["gate"], found["cluster"]
        rows.append((n, gate["cpu"] + cluster["cpu"], found["peak"]))
        print(f"{n:>5}  {n * EVENTS:>10,}  {gate['seconds']:>7.0f} ({gate['cpu']:.0f})"
              f"  {cluster['seconds']:>9.0f} ({cluster['cpu']:.0f})  {found['peak']:>9.2f}", flush=True)  # fmt: skip
        shutil.rmtree(study.parent)
    n, cpu = np.array([(r[0], r[1]) for r in rows], float).T
    if len(rows) > 2:
        slope, start = np.polyfit(n, cpu, 1)
        left = 1 - ((cpu - slope * n - start) ** 2).sum() / ((cpu - cpu.mean()) ** 2).sum()
        print(f"CPU seconds = {start:.1f} + {slope:.2f} x files, R2 {left:.4f}")
    print(f"claim peak <= 4 GiB: {'holds' if max(r[2] for r in rows) <= 4 else 'MISSED'}")


def dask(home: Path, sources: list[Path], files: int) -> None:
    seconds = {}
    for workers in (1, 2, 1, 2):
        study = write_study(home / f"dask{workers}{len(seconds)}{time.monotonic_ns()}", sources, files)
        job = {"study": str(study), "stages": ["gate"], "workers": workers, "warm": True}
        seconds.setdefault(workers, []).append(measure(job)["gate"]["seconds"])
        shutil.rmtree(study.parent)
    one, two = min(seconds[1]), min(seconds[2])
    told = "holds" if one / two >= 1.6 else "MISSED"
    print(
        f"{files} files gated: {one:.1f} s with one worker, {two:.1f} s with two: {one / two:.2f} x (claim 1.6: {told})"
    )


def lost(home: Path, sources: list[Path], files: int) -> None:
    whole, robbed = (write_study(home / name, sources, files) for name in ("whole", "robbed"))
    measure({"study": str(whole), "stages": ["gate"], "workers": 2})
    found = measure({"study": str(robbed), "stages": ["gate"], "workers": 2, "warm": True, "kill": 3.0})
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "pipeline"))
    from small_study import outputs

    same = outputs(whole.parent / "results") == outputs(robbed.parent / "results")
    print(f"one of two workers killed: {files} files gated in {found['gate']['seconds']:.1f} s, "
          f"results {'byte-identical' if same else 'DIFFER'}")  # fmt: skip


def main() -> None:
    global EVENTS
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--events", type=int, default=250_000)
    parser.add_argument("--workers-files", type=int, default=20)
    parser.add_argument("--only", nargs="+", default=["growth", "dask", "lost"])
    parser.add_argument("--folder", help="Where to work; 25 GB for 200 files.")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(json.loads(given.run))
        return
    EVENTS = given.events
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        home = Path(place)
        sources = [home / f"source{i}.fcs" for i in range(min(DISTINCT, max(given.files)))]
        for i, source in enumerate(sources):
            write_file(source, i, given.events)
        if "growth" in given.only:
            growth(home, sources, given.files)
        if "dask" in given.only:
            dask(home, sources, given.workers_files)
        if "lost" in given.only:
            lost(home, sources, given.workers_files)


if __name__ == "__main__":
    main()
