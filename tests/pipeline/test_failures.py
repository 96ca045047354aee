"""Disk full, folders not to be written, files that vanish, two runs at once: told in a line, old outputs intact."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_study import outputs, small_study

from cytof import pipeline, provenance, study

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that was run; copy it before breaking anything."""
    file = small_study(tmp_path_factory.mktemp("finished") / "study", 2)
    pipeline.run(study.load(file))
    return file.parent


def limited(file: Path, limit: int) -> subprocess.CompletedProcess[str]:
    """Run with a limit on the size of a file: the write that passes it fails, as on a full disk."""
    return subprocess.run(
        [sys.executable, "-m", "cytof", "run", str(file)], capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env=os.environ | {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", "")},
    )  # fmt: skip


LEVELS = [200_000]
MORE = [
    pytest.param(n, marks=pytest.mark.slow)
    for n in (5_000, 20_000, 50_000, 80_000, 120_000, 160_000, 230_000, 260_000, 300_000)
]


@pytest.mark.parametrize("limit", [*LEVELS, *MORE])
def test_a_write_that_fails_is_told_by_path_and_bytes_and_leaves_the_old_outputs(
    finished: Path, tmp_path: Path, limit: int
) -> None:
    shutil.copytree(finished, tmp_path / "study")
    folder = tmp_path / "study"
    before = outputs(folder / "results")
    settings = (folder / "study.yaml").read_text()
    (folder / "study.yaml").write_text(settings.replace("name: Small", "name: Small\nseed: 5"))
    done = limited(folder / "study.yaml", limit)
    assert done.returncode == 5, done.stderr
    line = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "cannot be written: File too large" in line or "no room for a draw of 3,000 events: File too large" in line
    if "a draw" in line:
        assert "free some space, set TMPDIR to a larger disk, or lower `gate.draw`" in line
    broken = Path(line.removeprefix("error: ").split(": ")[0])
    if broken.is_relative_to(folder / "results"):  # else compiled code or a draw found no room
        assert "bytes of it written" in line
        assert "bytes free" in line
        name = broken.relative_to(folder / "results").as_posix()
        assert provenance.sha256(broken) == before[name], "what stood there before is still there"
    assert not list((folder / "results").rglob(".part-*"))
    (folder / "study.yaml").write_text(settings)
    pipeline.run(study.load(folder))
    assert outputs(folder / "results") == before, "with the old settings, the old bytes"


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a function that mounts a tmpfs of that many bytes; skipped where mounting is not allowed."""
    places = []

    def mount(size: int) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True)
        if done.returncode:
            pytest.skip("mounting a small disk needs root; the limit on the size of a file is tested in its place")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.parametrize(
    "share", [0.4, *(pytest.param(s / 10, marks=pytest.mark.slow) for s in (1, 2, 3, 5, 6, 7, 8, 9))]
)
def test_a_disk_that_fills_up(finished: Path, mounted: Callable[[int], Path], share: float, command: Command) -> None:
    """`run` says before the start that it does not suffice; `gate` fills it in the middle of the work."""
    size = sum(f.stat().st_size for f in (finished / "results" / "gated").iterdir())
    place = mounted(int(size * share))
    folder = place.parent / "study"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("results"))
    (folder / "study.yaml").write_text((folder / "study.yaml").read_text() + f"results: {place}\n")
    early = command("run", folder)
    assert early.returncode == 5, early.stderr
    assert "the run needs about" in early.stderr
    done = command("gate", folder)
    assert done.returncode == 5, done.stderr
    assert "No space left on device" in done.stderr
    assert f"error: {place}" in done.stderr
    assert not list(place.rglob(".part-*"))
    for name in provenance_names(place):
        record = provenance.read_done(place, name)
        assert record is None or not record.key or not provenance.changed(place, record), "what is done is whole"


def provenance_names(folder: Path) -> list[str]:
    home = folder / ".done"
    return [p.relative_to(home).as_posix().removesuffix(".done.json") for p in home.rglob("*.done.json")]


def test_a_folder_that_cannot_be_written(finished: Path, tmp_path: Path, command: Command) -> None:
    shutil.copytree(finished, tmp_path / "study")
    results = tmp_path / "study" / "results"
    before = outputs(results)
    with read_only(results):
        done = command("run", tmp_path / "study")
        again = command("cluster", tmp_path / "study")
    assert done.returncode == 5, done.stderr
    assert str(results) in done.stderr
    assert "cannot be written" in done.stderr
    assert again.returncode == 5
    assert f"{results}/run.lock: cannot be written: " in again.stderr
    assert outputs(results) == before


class read_only:
    """A folder that nobody can write to: by its mode, for root by a mount."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        if os.geteuid():
            self.folder.chmod(0o555)
            return
        subprocess.run(["mount", "--bind", str(self.folder), str(self.folder)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(self.folder)], check=True)

    def __exit__(self, *_: object) -> None:
        if os.geteuid():
            self.folder.chmod(0o755)
        else:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


def test_a_file_that_vanishes_while_the_study_runs(small: study.Study) -> None:
    """It is named as failed; the others are gated; put back, it is gated too, and its old result stayed till then."""

    def take_away(stage: str, sample: str, found: str) -> None:
        if stage == "place":
            small.path("v1.fcs").rename(small.path("hidden"))

    failed = pipeline.gate(small, say=take_away)
    assert list(failed) == ["s1"]
    assert "v1.fcs" in str(failed["s1"])
    assert [f.stem for f in sorted((small.out / "gated").glob("*.h5ad"))] == ["s0", "s2"]
    small.path("hidden").rename(small.path("v1.fcs"))
    assert pipeline.gate(small) == {}


def test_a_file_that_changes_while_it_is_read_is_refused(small: study.Study) -> None:
    from cytof.pipeline import _sample

    original = _sample.cleaned

    def meddled(*given: object, **named: object) -> Iterator[object]:
        for row, events in original(*given, **named):  # type: ignore[arg-type]
            row.path.write_bytes(row.path.read_bytes() + b"\0")
            yield row, events

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sample, "cleaned", meddled)
        with pytest.raises(Exception, match="changed while it was read; run again"):
            pipeline.gate(small, strict=True)


def test_two_runs_at_once(small: study.Study, command: Command) -> None:
    """The second is refused by name of the first; killed with -9, the first leaves no lock."""
    lines = ["import time", "from cytof import provenance", f"with provenance.locked({str(small.out)!r}):",
             " print(1, flush=True)", " time.sleep(100)"]  # fmt: skip
    hold = "\n".join(lines)
    first = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    assert first.stdout is not None
    first.stdout.readline()
    done = command("gate", small.folder)
    assert done.returncode == 5
    assert f"run.lock: process {first.pid} on " in done.stderr
    assert "is working on these results; wait for it to end, or stop it" in done.stderr
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert (small.out / "run.lock").exists()
    assert pipeline.gate(small) == {}
    assert not (small.out / "run.lock").exists()
