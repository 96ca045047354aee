"""Speed and memory of gating, against FlowKit in the same run.

    python benchmarks/gate.py [--events 1000000] [--channels 50] [--repeats 5] [--files 40]

Claims on 2 cores: nine gates (CD45+ down to CAR+) on 1 M x 50 from raw counts, thresholds placed and counted, in at
most 1.5 s; with thresholds known, applied at least 10 x faster than FlowKit applies the same gates (the Gating-ML that
``io.write_gatingml`` exports) to the same events, with the same counts; 40 files of 250,000 events read, placed and
gated in at most 60 s, with memory that does not grow with the number of files. The runs of both are interleaved;
memory is the peak of a process of its own. The files hold the same events under different names.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cytof import gate, io
from cytof.events import Events
from cytof.panel import Gate, Template

LIMITS = {"chain": 1.5, "files": 60.0, "growth": 1.1}
LEAST = {"ratio": 10.0}
STEPS = {"CD45": "+", "CD11b": "-", "CD11c": "-", "CD66b": "-", "CD19": "-", "CD14": "-", "CD7": "+", "CD3": "+"}
DRAW, PER_FILE = 50_000, 250_000


def template() -> Template:
    """Nine gates, each on its own channel."""
    gates, parent = [], "root"
    for antigen, sign in STEPS.items():
        path = f"{antigen}{sign}" if parent == "root" else f"{parent}/{antigen}{sign}"
        gates.append(Gate(f"{antigen}{sign}", path, parent, (antigen,), "mindensity", {"bounds": [1, 4]}, sign))
        parent = path
    car = Gate("CAR+", f"{parent}/CAR+", parent, ("VHH",), "control", {"bounds": [1, 4.5]}, "+", car=True)
    return Template("nine", (*gates, car))


def made(n_events: int, n_channels: int, sample_id: str = "made") -> Events:
    """Blood: 97 % leukocytes, half of them T cells, of which 1 % bear the CAR; granulocytes, B cells, monocytes."""
    rng = np.random.default_rng(0)
    kind = rng.choice(5, n_events, p=[0.03, 0.48, 0.25, 0.12, 0.12])  # none, T, granulocyte, B, monocyte
    bright = {"CD45": [1, 2, 3, 4], "CD11b": [2, 4], "CD11c": [4], "CD66b": [2], "CD19": [3], "CD14": [4],
              "CD7": [1], "CD3": [1]}  # fmt: skip
    X = rng.exponential(1.5, (n_events, n_channels)).astype(np.float32)
    for i, kinds in enumerate(bright.values()):
        hit = np.flatnonzero(np.isin(kind, kinds))
        X[hit, i] += rng.lognormal(5, 0.4, len(hit))
    car = rng.choice(np.flatnonzero(kind == 1), n_events // 200, replace=False)
    X[car, 8] += rng.lognormal(4.4, 0.4, len(car))
    antigens = [*bright, "VHH", *(f"M{i}" for i in range(n_channels - 9))]
    names = [f"X{89 + i}" for i in range(n_channels)]
    channels = pd.DataFrame({
        "pnn": [f"{n}Di" for n in names], "pns": antigens, "antigen": antigens, "cofactor": 5.0, "metal": "X",
        "role": ["lineage"] * 8 + ["car"] + ["none"] * (n_channels - 9), "mass": range(89, 89 + n_channels),
        "marker_class": "type",
    }, index=names)  # fmt: skip
    return Events(np.rint(X), channels, {}, sample_id)


def flowkit_gating(events: Events, gated: gate.Gating, folder: Path) -> tuple[object, object]:
    """Return FlowKit's strategy with our exported gates, and its sample."""
    import flowkit

    file = folder / "gates.xml"
    io.write_gatingml(file, gated.regions, gated.parents, channels=events.channels["pnn"].to_dict(), sample_id="made")
    strategy = flowkit.parse_gating_xml(str(file))
    frame = pd.DataFrame(events.X, columns=events.channels["pnn"].tolist())
    return strategy, flowkit.Sample(frame, sample_id="made")


def measure(n_events: int, n_channels: int, repeats: int, n_files: int) -> dict[str, float]:
    """Return medians in seconds, ratios and peaks of memory."""
    events, nine = made(n_events, n_channels), template()
    gate.apply(events.draw(5_000), nine, gate.place(nine, [events.draw(5_000)]))
    table = gate.place(nine, [events.draw(DRAW)])
    gated = gate.apply(events, nine, table)
    seconds: dict[str, list[float]] = {"chain": [], "applied": [], "flowkit": []}
    with tempfile.TemporaryDirectory() as name:
        strategy, sample = flowkit_gating(events, gated, Path(name))
        for _ in range(repeats):
            start = time.perf_counter()
            table = gate.place(nine, [events.draw(DRAW)])
            gate.apply(events, nine, table)
            seconds["chain"].append(time.perf_counter() - start)
            start = time.perf_counter()
            gated = gate.apply(events, nine, table)
            seconds["applied"].append(time.perf_counter() - start)
            start = time.perf_counter()
            theirs = strategy.gate_sample(sample).report  # type: ignore[attr-defined]
            seconds["flowkit"].append(time.perf_counter() - start)
    ours = sorted(gated.counts.loc[gated.counts.gate != "root", "n"])
    if ours != sorted(theirs["count"]):
        raise SystemExit(f"counts differ: ours {ours}, FlowKit's {sorted(theirs['count'])}")
    found = {name: statistics.median(values) for name, values in seconds.items()}
    found["ratio"] = statistics.median(a / b for a, b in zip(seconds["flowkit"], seconds["applied"], strict=True))
    few, many = (child(n) for n in (max(n_files // 8, 1), n_files))
    return found | {"files": many["seconds"], "few MiB": few["MiB"], "many MiB": many["MiB"],
                    "growth": many["MiB"] / few["MiB"]}  # fmt: skip


def child(n_files: int) -> dict[str, float]:
    call = [sys.executable, __file__, "--child", str(n_files)]
    return dict(json.loads(subprocess.run(call, capture_output=True, check=True, text=True).stdout))


def files(n_files: int) -> dict[str, float]:
    """Read, place and gate ``n_files`` files of 250,000 events; seconds and peak memory of this process."""
    nine = template()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "blood.fcs"
        subprocess.run([sys.executable, __file__, "--write", str(file)], check=True)  # its memory is not ours
        channels = made(10, 50).channels
        start = time.perf_counter()

        def read(i: int) -> Events:
            events = io.read_fcs(file, sample_id=f"s{i}")
            return events.replace(channels=channels)

        table = gate.place(nine, (read(i).draw(DRAW) for i in range(n_files)))
        counts = [gate.apply(read(i), nine, table).counts for i in range(n_files)]
        seconds = time.perf_counter() - start
    if pd.concat(counts).n.min() <= 0:
        raise SystemExit("an empty gate")
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {"seconds": seconds, "MiB": int(peak.split()[1]) / 1024}  # ru_maxrss would be that of the parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.write:
        io.write_fcs(asked.write, made(PER_FILE, 50))
        return 0
    if asked.child:
        print(json.dumps(files(asked.child)))
        return 0
    found = measure(asked.events, asked.channels, asked.repeats, asked.files)
    print(
        f"nine gates on {asked.events:,} x {asked.channels}: placed and counted {found['chain']:.2f} s; applied "
        f"{found['applied']:.3f} s, FlowKit {found['flowkit']:.2f} s, {found['ratio']:.1f} x\n"
        f"{asked.files} files of {PER_FILE:,}: {found['files']:.1f} s, peak {found['many MiB']:.0f} MiB; "
        f"{max(asked.files // 8, 1)} files {found['few MiB']:.0f} MiB ({found['growth']:.2f} x)"
    )
    wrong = any(found[k] > v for k, v in LIMITS.items()) or any(found[k] < v for k, v in LEAST.items())
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
