"""The notebooks run, from their .py, on the small synthetic patient; the .ipynb beside each holds the same cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


def assert_runs(notebook: Path, scratch: Path, scale: str) -> None:
    environment = os.environ | {
        "CYTOF_NOTEBOOK_SCALE": scale, "MPLBACKEND": "Agg", "TMPDIR": str(scratch), "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), os.environ.get("PYTHONPATH", "")]),
    }  # fmt: skip
    done = subprocess.run([sys.executable, str(notebook)], cwd=scratch, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_storyline_is_there() -> None:
    assert {"01_gate", "02_cluster", "03_track", "04_compare", "06_paper_figures"} <= {p.stem for p in NOTEBOOKS}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs(notebook, tmp_path) -> None:
    assert_runs(notebook, tmp_path, "0.1")


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_at_full_size(notebook, tmp_path) -> None:
    assert_runs(notebook, tmp_path, "1")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_pair_holds_the_same_cells(notebook) -> None:
    """Compare the code of the two; outputs are small and hold no path of a machine."""
    jupytext = pytest.importorskip("jupytext")
    pair = notebook.with_suffix(".ipynb")
    assert pair.exists(), f"make it with `jupytext --to ipynb {notebook.name}`"
    assert pair.stat().st_size < 300_000
    script, book = jupytext.read(notebook), json.loads(pair.read_text("utf-8"))
    code = ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "code"]
    assert code == [c.source for c in script.cells if c.cell_type == "code"]
    assert "/tmp/" not in pair.read_text("utf-8")
