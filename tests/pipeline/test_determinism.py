"""The same bytes whatever the threads, the order of the sheet, the language, the clock, the folder and the workers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import outputs, small_study

from cytof import pipeline, study

Command = Callable[..., subprocess.CompletedProcess[str]]

ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ELSEWHERE = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "7"}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = small_study(tmp_path_factory.mktemp("reference") / "study", 3)
    pipeline.run(study.load(file))
    return outputs(file.parent / "results")


def shuffle(sheet: Path) -> None:
    head, *rows = sheet.read_text().splitlines()
    sheet.write_text("\n".join([head, *rows[::-1]]) + "\n")


@pytest.mark.parametrize(
    ("shuffled", "environment", "options"),
    [
        pytest.param(True, ONE_THREAD | ELSEWHERE, [], id="everything at once"),
        pytest.param(False, {}, ["--workers", "2"], id="dask"),
        pytest.param(True, {}, [], id="sheet", marks=pytest.mark.slow),
        pytest.param(False, ONE_THREAD, [], id="one thread", marks=pytest.mark.slow),
        pytest.param(False, ELSEWHERE, [], id="language and time zone", marks=pytest.mark.slow),
    ],
)
def test_the_same_bytes(
    reference: dict[str, str], tmp_path: Path, command: Command, shuffled: bool, environment: dict[str, str],
    options: list[str],
) -> None:  # fmt: skip
    file = small_study(tmp_path / "another name" / "study", 3)
    if shuffled:
        shuffle(file.parent / "samples.csv")
    (tmp_path / "elsewhere").mkdir()
    done = command("run", file, *options, cwd=tmp_path / "elsewhere", **environment)
    assert done.returncode == 0, done.stderr
    found = outputs(file.parent / "results")
    assert {name for name in reference if found.get(name) != reference[name]} == set()
    assert found.keys() == reference.keys()
    assert not list((tmp_path / "elsewhere").iterdir()), "nothing is written where the command was called"
