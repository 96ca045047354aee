"""Atomic writes, stage keys and seeds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cytof import provenance
from cytof.errors import ResourceError


def test_a_failed_write_leaves_what_stood_there(tmp_path: Path) -> None:
    out = tmp_path / "table.csv"
    out.write_text("old")

    def fail() -> None:
        with provenance.atomic(out) as part:
            part.write_text("half a ta")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_in_the_way_is_told_by_path(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with (
        pytest.raises(ResourceError, match=r"results/a\.csv: cannot be written: .*choose another folder") as caught,
        provenance.atomic(tmp_path / "results" / "a.csv") as part,
    ):
        part.write_text("x")
    assert caught.value.exit_code == 5


def test_an_input_that_is_missing_inside_the_block_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), provenance.atomic(tmp_path / "a.csv"):
        (tmp_path / "elsewhere" / "input.csv").read_text()


def test_full_disk_is_a_resource_error(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="No space left"), provenance.atomic(tmp_path / "a.csv"):
        raise OSError(28, os.strerror(28))


def test_stage_key_changes_with_what_changes_the_result_and_with_nothing_else() -> None:
    key = provenance.stage_key("gate", ["a", "b"], {"draw": 1, "seed": 0})
    assert key == provenance.stage_key("gate", ["b", "a"], {"seed": 0, "draw": 1})
    others = [
        provenance.stage_key("cluster", ["a", "b"], {"draw": 1, "seed": 0}),
        provenance.stage_key("gate", ["a", "c"], {"draw": 1, "seed": 0}),
        provenance.stage_key("gate", ["a", "b"], {"draw": 2, "seed": 0}),
        provenance.stage_key("gate", ["a", "b"], {"draw": 1, "seed": 0}, version=2),
    ]
    assert len({key, *others}) == 5


def test_seeds_differ_by_stage_and_by_study() -> None:
    seeds = {provenance.stage_seed(s, name) for s in range(50) for name in ("gate", "flowsom", "tsne")}
    assert len(seeds) == 150
