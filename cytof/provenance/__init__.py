"""Where a result came from: hashes, versions, stage keys, one seed a stage, atomic writes, done-files, a lock.

A stage is a pure function of its inputs and parameters. Its *key* is the sha256 of the inputs' hashes, the canonical
JSON of its parameters and the versions of package and stage; its *seed* is spawned from the study's one seed and the
stage's name, so that adding a stage changes no other stage's numbers. What a stage wrote is listed, with the sha256 of
each file, in its *done-file*; what no done-file vouches for is not finished.
"""

from cytof.provenance._atomic import atomic, recording
from cytof.provenance._done import Done, changed, forget_done, is_done, mark_done, opened, read_done, sweep
from cytof.provenance._keys import canonical_json, sha256, stage_key, stage_seed, versions
from cytof.provenance._lock import locked
from cytof.provenance._timeless import timeless

__all__ = [
    "Done", "atomic", "canonical_json", "changed", "forget_done", "is_done", "locked", "mark_done", "opened",
    "read_done", "recording", "sha256", "stage_key", "stage_seed", "sweep", "timeless", "versions",
]  # fmt: skip
