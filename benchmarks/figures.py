"""The whole figure set for 4 visits x 250,000 events, and the report of 50 samples: time, memory, sizes.

``python benchmarks/figures.py [--cells 250000] [--samples 50]``. Cells are made up (seeded); clusters and the map of
6,000 cells are given, as ``cytof cluster`` leaves them. Prints wall and CPU seconds, peak memory and file sizes.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import sys
import tempfile
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import anndata
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
_SPEC = importlib.util.spec_from_file_location("fake_study", ROOT / "tests" / "report" / "fake_study.py")
assert _SPEC is not None
assert _SPEC.loader is not None
fake = importlib.util.module_from_spec(_SPEC)
sys.modules["fake_study"] = fake
_SPEC.loader.exec_module(fake)


def peak() -> float:
    """Return the peak memory of this process in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(what: str, run) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    print(f"{what}: {time.perf_counter() - wall:.1f} s, CPU {time.process_time() - cpu:.1f} s, peak {peak():.2f} GiB")


def million(n: int) -> anndata.AnnData:
    """Return four visits of n cells, half CAR T and half host T; a map of the first 6,000 CAR T cells."""
    return fake.fake_study(n_car=(n // 2,) * 4, n_host=n // 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=250_000)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    from cytof import report

    out = asked.out or Path(tempfile.mkdtemp())
    if asked.cells:
        cells = million(asked.cells)
        print(f"{cells.n_obs:,} cells, {np.isfinite(cells.obsm['X_tsne'][:, 0]).sum():,} on the map, {peak():.2f} GiB")
        timed("figure set", lambda: report.figures(cells, out / "million"))
        print(f"map as PDF: {(out / 'million' / 'figure4b.pdf').stat().st_size / 1e6:.2f} MB")
        del cells
    if asked.samples:
        cells = fake.many_samples(asked.samples)
        waterfall = fake.fake_waterfall(cells)
        timed(f"report of {asked.samples} samples",
              lambda: report.write(cells, out / "many", study_name="Many", waterfall=waterfall))  # fmt: skip
        print(f"report.html: {(out / 'many' / 'report.html').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
