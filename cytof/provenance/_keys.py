"""Hashes of files, canonical JSON, stage keys, seeds, versions."""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["canonical_json", "sha256", "stage_key", "stage_seed", "versions"]

LIBRARIES = (
    "numpy", "scipy", "pandas", "anndata", "numba", "igraph", "openTSNE", "scikit-learn", "matplotlib", "seaborn",
)  # fmt: skip


def sha256(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, read in blocks.

    A file whose place, size and time of change are those of an earlier call is not read again in this process.
    """
    path = Path(path)
    state = path.stat()
    return _digest(str(path.absolute()), state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _digest(path: str, inode: int, size: int, changed: int) -> str:
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


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and the libraries that decide numbers."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "cytof": metadata.version("cytof")}
    return found | {name: metadata.version(name) for name in LIBRARIES}
