"""A study so small that it can be run, killed and run again many times: a few gates, a few thousand events."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cytof import io, provenance

PNN = ("Time", "Event_length", "In115Di", "Er170Di", "Nd145Di", "Nd146Di", "Sm154Di", "Yb171Di", "Eu153Di")
PNS = ("Time", "Event_length", "CD45", "CD3", "CD4", "CD8", "VHH", "GZMB", "CD27")
PANEL = """channel,antigen,marker_class,role,cofactor
In115,CD45,type,lineage,5
Er170,CD3,type,lineage,5
Nd145,CD4,type,lineage,5
Nd146,CD8,type,lineage,5
Sm154,VHH,none,car,5
Yb171,GZMB,state,none,5
Eu153,CD27,type,none,5
"""
GATES = """name: small
gates:
  - {pop: CD45+, dims: CD45, gating_method: mindensity}
  - {pop: CD3+, parent: CD45+, dims: CD3, gating_method: mindensity}
  - {pop: CAR+, parent: CD3+, dims: VHH, gating_method: mindensity, car: true}
"""
SETTINGS = """name: Small
panel: panel.csv
gates: small.gates.yaml
clean: {beads: none, intact: false}
cluster: {n_clusters: 3, grid: [4, 4], max_cells: 400}
embed: {perplexity: 10}
"""


def small_file(path: Path, seed: int, n: int = 3000) -> None:
    """Write an FCS file: half CD45+, most of these CD3+, a fifth of these CAR+; CD4 or CD8, GZMB and CD27 two-fold."""
    rng = np.random.default_rng(seed)
    high = np.zeros((n, 7), bool)
    high[:, 0] = rng.random(n) < 0.7
    high[:, 1] = high[:, 0] & (rng.random(n) < 0.7)
    high[:, 4] = high[:, 1] & (rng.random(n) < 0.2)
    high[:, 2] = high[:, 1] & (rng.random(n) < 0.5)
    high[:, 3] = high[:, 1] & ~high[:, 2]
    high[:, 5:] = rng.random((n, 2)) < 0.5
    counts = np.where(high, rng.lognormal(5, 0.4, (n, 7)), rng.lognormal(0, 0.7, (n, 7)))
    clock = np.c_[np.arange(n), rng.integers(10, 70, n)]
    io.write_fcs(path, np.ascontiguousarray(np.c_[clock, counts], np.float32), pnn=list(PNN), pns=list(PNS))


def small_study(folder: Path, samples: int = 3) -> Path:
    """Write a study of that many visits of one patient; return ``study.yaml``."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(samples):
        small_file(folder / f"v{i}.fcs", seed=i)
    rows = [f"v{i}.fcs,s{i},P1,visit {i},{30 * i}" for i in range(samples)]
    (folder / "samples.csv").write_text("\n".join(["file_name,sample_id,patient_id,timepoint,day", *rows]) + "\n")
    (folder / "panel.csv").write_text(PANEL)
    (folder / "small.gates.yaml").write_text(GATES)
    (folder / "study.yaml").write_text(SETTINGS)
    return folder / "study.yaml"


def outputs(folder: Path) -> dict[str, str]:
    """Return the sha256 of every result; done-files and run.log tell times and are left out."""
    return {
        f.relative_to(folder).as_posix(): provenance.sha256(f)
        for f in sorted(folder.rglob("*"))
        if f.is_file() and not f.name.endswith(".done.json") and f.name != "run.log"
    }
