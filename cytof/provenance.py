"""Where a result came from: hashes, versions, stage keys, one seed a stage, atomic writes, done-files.

A stage is a pure function of its inputs and parameters. Its *key* is the sha256 of the inputs' hashes, the canonical
JSON of its parameters and the versions of package and stage; its *seed* is spawned from the study's one seed and the
stage's name, so that adding a stage changes no other stage's numbers.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from cytof.errors import ResourceError

__all__ = ["atomic", "canonical_json", "done_key", "mark_done", "sha256", "stage_key", "stage_seed", "versions"]

LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "anndata",
    "numba",
    "igraph",
    "openTSNE",
    "scikit-learn",
    "matplotlib",
    "seaborn",
)


_REMEDIES = {
    errno.ENOSPC: "free disk space, or choose another folder",
    errno.ENOTDIR: "a file stands where a folder is needed; move it away, or choose another folder",
    errno.EEXIST: "a file stands where a folder is needed; move it away, or choose another folder",
}


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; when the block ends well, flush it to disk and put it in place.

    A block that fails, or a process that is killed, leaves what stood there before.

    Raises
    ------
    ResourceError
        The folder cannot be written, or the disk is full; names the path and the operating system's reason.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with atomic(out) as part:
    ...     _ = part.write_text("whole or not at all")
    >>> out.read_text()
    'whole or not at all'
    """
    path = Path(path)
    # the suffix stays last: writers such as matplotlib and gzip go by it
    part = path.with_name(f".part-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, ResourceError) or error.errno is None or not _is_about(error, part, path):
            raise
        raise ResourceError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            hint=_REMEDIES.get(error.errno, "choose another folder (`results` in study.yaml)"),
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _is_about(error: OSError, part: Path, path: Path) -> bool:
    """Tell whether an error belongs to the place being written rather than to some input read inside the block."""
    if error.filename is None:
        return True
    return Path(str(error.filename)) in {part, path, path.parent, *path.parent.parents}


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no blanks: equal values give equal text.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": [0.1, None]})
    '{"a":[0.1,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def stage_key(stage: str, inputs: Sequence[str], params: Mapping[str, Any], *, version: int = 1) -> str:
    """Return the key of a stage: sha256 of stage, its code version, the package version, input hashes and parameters.

    Parameters
    ----------
    stage
        Name of the stage.
    inputs
        sha256 of each input; their order does not matter.
    params
        Everything that can change the result, seeds and fixed thread counts included.
    version
        Version of the stage's code, raised by whoever changes its results.
    """
    text = canonical_json([stage, version, metadata.version("cytof"), sorted(inputs), dict(params)])
    return hashlib.sha256(text.encode()).hexdigest()


def stage_seed(seed: int, stage: str) -> int:
    """Return the seed of one stage, spawned from the study's seed and the stage's name.

    Examples
    --------
    >>> stage_seed(0, "flowsom") == stage_seed(0, "flowsom"), stage_seed(0, "flowsom") == stage_seed(0, "tsne")
    (True, False)
    """
    import numpy as np

    return int(np.random.SeedSequence([seed, zlib.crc32(stage.encode())]).generate_state(1)[0] & 0x7FFFFFFF)


def mark_done(path: str | Path, key: str, seconds: float) -> None:
    """Write ``<path>.done.json``: key, sha256, versions, seconds. What has no done-file is not finished."""
    path = Path(path)
    record = {"key": key, "sha256": sha256(path), "versions": versions(), "seconds": round(seconds, 3)}
    with atomic(path.with_name(path.name + ".done.json")) as part:
        part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def done_key(path: str | Path) -> str | None:
    """Return the key that :func:`mark_done` wrote beside an output; None where there is none, or none for these bytes.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "a.txt"
    >>> _ = out.write_text("result")
    >>> mark_done(out, "key of the stage", 1.0)
    >>> done_key(out)
    'key of the stage'
    """
    record = Path(path).with_name(Path(path).name + ".done.json")
    try:
        made = json.loads(record.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return str(made["key"]) if isinstance(made, dict) and made.get("sha256") == sha256(path) else None


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the libraries that decide numbers."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "cytof": metadata.version("cytof")}
    return found | {name: metadata.version(name) for name in LIBRARIES}
