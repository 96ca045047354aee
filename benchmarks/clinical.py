"""Time of the whole clinical run, and of single estimates against lifelines in the same run.

    python benchmarks/clinical.py [--patients 500]

Claim: `cytof clinical` on 500 patients, all tables and figures, in at most 20 s on 2 cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cytof import clinical, datasets, report

LIMIT = 20.0


def seconds(of: Callable[[], object], repeats: int) -> float:
    """Return the shortest time of a call."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        of()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=500)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    file = datasets.cohort(folder, n=options.patients, random_state=1)
    wall, cpu = time.perf_counter(), time.process_time()
    report.clinical(file, folder / "out", cutoff=datasets.CUTOFF)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"cytof clinical, {options.patients} patients: {wall:.1f} s, {cpu:.1f} s of CPU (claim: {LIMIT:g} s)")

    from lifelines import CoxPHFitter, KaplanMeierFitter

    patients = clinical.read_patients(file)
    pfs = (
        clinical.endpoints(patients, cutoff=datasets.CUTOFF).query("PARAMCD == 'PFS'").merge(patients, on="patient_id")
    )
    small = pfs[["AVAL", "event", "AGE", "ECOG"]]
    pairs = {
        "Kaplan-Meier": (lambda: clinical.kaplan_meier(pfs, "AVAL", "event").table,
                         lambda: KaplanMeierFitter().fit(pfs["AVAL"], pfs["event"])),
        "Cox": (lambda: clinical.cox(small, "AVAL", "event", ["AGE", "ECOG"]),
                lambda: CoxPHFitter().fit(small, "AVAL", "event", fit_options={"precision": 1e-12})),
    }  # fmt: skip
    for name, (own, other) in pairs.items():
        a, b = seconds(own, 5), seconds(other, 5)
        print(f"{name}: {a * 1000:.1f} ms, lifelines {b * 1000:.1f} ms, ratio {b / a:.1f}")
    return int(wall > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
