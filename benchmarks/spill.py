"""Speed and memory of ``clean.compensate``, against scipy's ``nnls`` event by event, in the same run.

    python benchmarks/spill.py [--events 1000000] [--channels 50] [--loop 20000]

Claims: 1 M x 50 in at most 20 s on 2 cores, at least 20 x faster than the loop over scipy (measured on ``--loop``
events), at most 2.5 x the memory of the float32 array, equal to scipy to 1e-6. Memory is measured in a process of its
own, over what the process takes with its imports and kernels, the events themselves included.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cytof import clean
from cytof.events import Events

LIMITS = {"seconds": 20.0, "ratio": 20.0, "memory": 2.5, "difference": 1e-6}
METALS = ["Pr141", "Nd142", "Nd143", "Nd144", "Nd145", "Nd146", "Sm147", "Nd148", "Sm149", "Nd150", "Eu151", "Sm152"]
METALS += ["Eu153", "Sm154", "Gd155", "Gd156", "Gd157", "Gd158", "Tb159", "Gd160", "Dy161", "Dy162", "Dy163", "Dy164"]
METALS += ["Ho165", "Er166", "Er167", "Er168", "Tm169", "Er170", "Yb171", "Yb172", "Yb173", "Yb174", "Lu175", "Yb176"]
METALS += ["Y89", "Rh103", "Pd104", "Pd105", "Pd106", "Cd110", "Cd111", "Cd112", "In113", "Cd114", "In115", "Cd116"]
METALS += ["La139", "Ce140", "Ir191", "Ir193", "Pt194", "Pt195", "Pt196", "Pt198", "Bi209"]


def made(n_events: int, n_channels: int) -> tuple[Events, pd.DataFrame]:
    """Cells that bear two fifths of the markers, spilled by up to 4 % into each possible neighbour."""
    rng = np.random.default_rng(0)
    names = METALS[:n_channels]
    matrix = pd.DataFrame(np.eye(n_channels), index=names, columns=names)
    for source, target in clean.neighbours_of(names)[["from", "to"]].to_numpy():
        matrix.loc[source, target] = rng.uniform(0, 0.04)
    X = np.empty((n_events, n_channels), np.float32)
    for start in range(0, n_events, 50_000):
        part = X[start : start + 50_000]
        signal = rng.lognormal(4, 1.2, part.shape) * (rng.random(part.shape) < 0.4)
        part[:] = rng.poisson(signal @ matrix.to_numpy())
    return Events(X, pd.DataFrame(index=names), {}, "made"), matrix


def measure(n_events: int = 1_000_000, n_channels: int = 50, n_loop: int = 20_000) -> dict[str, float]:
    """Return seconds, ratio to the loop over scipy, memory over that of the float32 array, and largest difference."""
    from scipy.optimize import nnls

    events, matrix = made(n_events, n_channels)
    start = time.perf_counter()
    clean.compensate(events.take(np.arange(100)), matrix)
    first = time.perf_counter() - start
    start = time.perf_counter()
    corrected = clean.compensate(events, matrix)
    seconds = time.perf_counter() - start
    few = events.take(np.arange(min(n_loop, n_events)))
    A, Y = np.ascontiguousarray(matrix.to_numpy().T), few.X.astype(float)
    start = time.perf_counter()
    expected = np.array([nnls(A, y)[0] for y in Y])
    loop = time.perf_counter() - start
    ours = []
    for _ in range(3):
        start = time.perf_counter()
        found = clean.compensate(few, matrix).X
        ours.append(time.perf_counter() - start)
    off = np.abs(found - expected) / np.maximum(np.abs(expected), 1)
    assert np.array_equal(found, corrected.X[:n_loop])
    return {
        "seconds": seconds, "first": first, "loop_seconds": loop, "ratio": loop / sorted(ours)[1],
        "memory": memory(n_events, n_channels), "difference": float(off.max()),
    }  # fmt: skip


def memory(n_events: int, n_channels: int) -> float:
    call = [sys.executable, __file__, "--memory", "--events", str(n_events), "--channels", str(n_channels)]
    return float(json.loads(subprocess.run(call, capture_output=True, text=True, check=True).stdout))


def resident(what: str) -> int:
    """Return a line of /proc/self/status in bytes; the peak of ``getrusage`` would begin with that of the parent."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[what].split()[0]) * 1024


def child(n_events: int, n_channels: int) -> float:
    events, matrix = made(1_000, n_channels)
    clean.compensate(events, matrix)
    base = resident("VmRSS")
    events, matrix = made(n_events, n_channels)
    clean.compensate(events, matrix)
    return (resident("VmHWM") - base) / events.X.nbytes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--loop", type=int, default=20_000)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        print(child(asked.events, asked.channels))
        return 0
    found = measure(asked.events, asked.channels, asked.loop)
    print(
        f"compensate {asked.events:,} x {asked.channels}: {found['seconds']:.2f} s (first call {found['first']:.2f} s)"
    )
    print(f"  scipy nnls, {asked.loop:,} events: {found['loop_seconds']:.2f} s, {found['ratio']:.1f} x ours")
    print(f"  memory {found['memory']:.2f} x the float32 array; largest relative difference {found['difference']:.1e}")
    good = found["seconds"] <= LIMITS["seconds"] and found["ratio"] >= LIMITS["ratio"]
    return 0 if good and found["memory"] <= LIMITS["memory"] and found["difference"] <= LIMITS["difference"] else 1


if __name__ == "__main__":
    sys.exit(main())
