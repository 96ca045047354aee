"""Speed and memory of cleaning: beads found and normalised, steadiness, debris, doublets and dead cells.

    python benchmarks/clean.py [--events 1000000] [--channels 50] [--repeats 3] [--own]

Claims at 1 M x 50 on 2 cores: ``find_beads`` + ``normalize_beads`` in at most 3 s, ``intact`` + ``steady`` in at most
2 s, each at most 2.5 x the memory of the float32 array. Then the claims of ``benchmarks/spill.py`` and
``benchmarks/debarcode.py`` (not with ``--own``). Memory is measured in a process of its own, over what the process
takes with its imports, the events themselves included.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cytof import clean
from cytof.events import Events

LIMITS = {"beads": 3.0, "clean-up": 2.0, "memory": 2.5}
BEADS = clean.BEADS["dvs"]
SHAPE = ("Center", "Offset", "Width", "Residual")


def made(n_events: int, n_channels: int) -> Events:
    """A run that loses a third of its sensitivity: 2 % beads, 8 % debris, 4 % doublets, 5 % dead cells."""
    rng = np.random.default_rng(0)
    names = ["Time", "Event_length", *BEADS, "Ir191", "Ir193", "Pt195", *SHAPE]
    names += [f"X{mass}" for mass in range(76, 76 + n_channels - len(names))]
    roles = ["time", "event_length", *["bead"] * 5, "dna", "dna", "viability", *["gaussian"] * 4]
    roles += ["none"] * (n_channels - len(roles))
    masses = [0, 0, 140, 151, 153, 165, 175, 191, 193, 195, *[0] * 4, *range(76, 76 + n_channels - 14)]
    X = np.empty((n_events, n_channels), np.float32)
    for start in range(0, n_events, 50_000):
        part = X[start : start + 50_000]
        n = len(part)
        kind = rng.choice(5, n, p=[0.81, 0.02, 0.08, 0.04, 0.05])
        time_ = (start + np.arange(n)) / n_events
        gain = (1 - time_ / 3)[:, None]
        single = rng.lognormal(7.2, 0.13, n)
        dna = single * np.array([1, 0.002, 0.02, 2, 1])[kind]
        signal = rng.lognormal(2, 1.5, (n, n_channels)) * gain
        bead = np.flatnonzero(kind == 1)
        signal[:, 2:7] *= 0.05
        signal[bead[:, None], np.arange(2, 7)] = 800 * rng.lognormal(0, 0.1, (len(bead), 5)) * gain[bead]
        signal[:, 7:10] = np.c_[dna, 1.7 * dna, np.where(kind == 4, 300, 8) * rng.lognormal(0, 0.5, n)] * gain
        part[:] = rng.poisson(signal)
        part[:, 0] = time_ * 3.6e6
        part[:, 1] = np.rint(rng.lognormal(3.35, 0.15, n) * np.where(kind == 3, 1.3, 1))
        part[:, 10:14] = rng.lognormal(5, 0.2, (n, 4))
    channels = pd.DataFrame({"role": roles, "mass": masses, "cofactor": 5.0}, index=names)
    return Events(X, channels, {}, "made")


STEPS = {
    "beads": lambda events: clean.normalize_beads(clean.find_beads(events)),
    "clean-up": lambda events: clean.steady(clean.intact(events)),
}


def measure(n_events: int = 1_000_000, n_channels: int = 50, repeats: int = 3) -> dict[str, float]:
    """Return median seconds of each step and its memory over that of the float32 array."""
    events = made(n_events, n_channels)
    given = {"beads": events, "clean-up": clean.find_beads(events)}
    found: dict[str, float] = {}
    for name, step in STEPS.items():
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            step(given[name])
            seconds.append(time.perf_counter() - start)
        found[name] = statistics.median(seconds)
        call = [sys.executable, __file__, "--memory", name, "--events", str(n_events), "--channels", str(n_channels)]
        found[f"memory of {name}"] = float(json.loads(subprocess.run(call, capture_output=True, check=True).stdout))
    return found


def child(name: str, n_events: int, n_channels: int) -> float:
    STEPS[name](made(20_000, n_channels))
    base = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    events = made(n_events, n_channels)
    STEPS[name](events)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return (peak - base) / events.X.nbytes


def neighbour(name: str) -> int:
    """Run a benchmark that stands beside this one, as it is called by hand."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.exists():
        print(f"{path.name} is not here")
        return 0
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.measure()
    print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()))
    limits = module.LIMITS
    least = {"ratio", "right"}
    return int(any(found[k] < v if k in least else found[k] > v for k, v in limits.items() if k in found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--own", action="store_true", help="leave out spillover and debarcoding")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        print(child(asked.memory, asked.events, asked.channels))
        return 0
    found = measure(asked.events, asked.channels, asked.repeats)
    for name in STEPS:
        print(
            f"{name} {asked.events:,} x {asked.channels}: {found[name]:.2f} s, "
            f"memory {found[f'memory of {name}']:.2f} x the float32 array"
        )
    wrong = any(found[n] > LIMITS[n] or found[f"memory of {n}"] > LIMITS["memory"] for n in STEPS)
    others = 0 if asked.own else neighbour("spill") + neighbour("debarcode")
    return int(wrong or others > 0)


if __name__ == "__main__":
    sys.exit(main())
