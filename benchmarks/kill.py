"""kill -9 at random moments of a complete run, then ``cytof run``: the same bytes as a run that was left alone.

    python benchmarks/kill.py [--kills 50] [--seed 0]

A small study (three visits of 3,000 events, gates, clusters, map, tables, figures, page) is run once and left alone.
Then it is run again and killed at a random moment, over and over: killed runs are resumed by the next, and whenever one
reaches its end, every file is compared with the first and the folder is wiped. No lock is ever removed by hand.
Moments are drawn evenly over the seconds of the first run, start of Python included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "pipeline"))

from small_study import outputs, small_study


def run(study: Path, seconds: float | None = None) -> bool:
    """Run; kill after so many seconds. Tell whether it reached its end."""
    started = subprocess.Popen(
        [sys.executable, "-m", "cytof", "run", str(study)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        _, told = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.communicate()
        return False
    if started.returncode:
        sys.exit(f"a run that was resumed failed with exit {started.returncode}:\n{told}")
    return True


def stage_of(results: Path) -> str:
    log = results / "run.log"
    return log.read_text().splitlines()[-1].split('"stage": "')[1].split('"')[0] if log.exists() else "start"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as home:
        alone, killed = small_study(Path(home) / "alone"), small_study(Path(home) / "killed")
        started = time.monotonic()
        run(alone)
        length = time.monotonic() - started
        expected, results = outputs(alone.parent / "results"), killed.parent / "results"
        kills, ends, where = 0, 0, Counter()
        while kills < given.kills or results.exists():
            if run(killed, rng.uniform(0, length) if kills < given.kills else None):
                found = outputs(results)
                wrong = {n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n)}
                if wrong:
                    sys.exit(f"after {kills} kills these files differ: {sorted(wrong)}")
                ends += 1
                shutil.rmtree(results)
                continue
            kills += 1
            where[stage_of(results)] += 1
        print(f"{kills} kills over runs of {length:.0f} s, {ends} runs reached their end, {len(expected)} files each")
        print("killed after a line of: " + ", ".join(f"{stage} {n}" for stage, n in where.most_common()))
        print("every end: byte-identical to the run that was left alone; no lock removed by hand")


if __name__ == "__main__":
    main()
