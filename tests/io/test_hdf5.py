"""HDF5 files on a disk that fills up; an h5ad that grows by one sample after another."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from cytof import io
from cytof.errors import ResourceError


def cells(n: int, seed: int, kinds: str = "abc") -> anndata.AnnData:
    rng = np.random.default_rng(seed)
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(list(kinds), n), list(kinds)),
            "visit": pd.Categorical(["2mo"] * n, ["1mo", "2mo"], ordered=True),
            "day": rng.normal(size=n),
            "car": rng.random(n) < 0.5,
        },
        index=[f"s{seed}-{i}" for i in range(n)],
    )
    made = anndata.AnnData(rng.normal(size=(n, 4)).astype(np.float32), obs=obs, var=pd.DataFrame(index=list("wxyz")))
    made.layers["counts"] = made.X * 2
    made.obsm["X_tsne"] = rng.normal(size=(n, 2)).astype(np.float32)
    made.uns["cytof"] = {"thresholds": pd.DataFrame({"gate": ["CD3+"] * 20, "low": range(20)}), "schema": 1}
    made.uns["cytof"] |= {
        f"words{i}": pd.DataFrame({"note": [f"word {j} of {i}" for j in range(40)]}) for i in range(20)
    }
    return made


def grow(path: Path, parts: Iterable[anndata.AnnData], head: anndata.AnnData | None = None) -> None:
    with io.growing_h5ad(path, cells(0, 0) if head is None else head) as add:
        for part in parts:
            add(part)


class Disk:
    """A disk with room for so many bytes of one file: the write that passes it is cut short, the next one fails."""

    def __init__(self, room: int) -> None:
        self.room, self.write = room, os.pwrite

    def __call__(self, file: int, data: memoryview, at: int) -> int:
        left = self.room - at
        if left <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.write(file, data[:left], at)


def test_written_as_anndata_writes_it(tmp_path: Path) -> None:
    made = cells(300, 0)
    io.write_h5ad(tmp_path / "ours.h5ad", made)
    made.write_h5ad(tmp_path / "theirs.h5ad")
    ours, theirs = (anndata.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("ours", "theirs"))
    pd.testing.assert_frame_equal(ours.obs, theirs.obs)
    np.testing.assert_array_equal(ours.X, theirs.X)
    with h5py.File(tmp_path / "ours.h5ad") as a, h5py.File(tmp_path / "theirs.h5ad") as b:
        assert sorted(a) == sorted(b)
    pd.testing.assert_frame_equal(ours.uns["cytof"]["thresholds"], theirs.uns["cytof"]["thresholds"])


@pytest.mark.parametrize("share", [0.0, *np.arange(0.02, 1.0, 0.02).round(2), 0.995, 0.9999])
def test_a_disk_that_fills_up_at_any_point_is_told_and_what_stood_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    path = tmp_path / "cells.h5ad"
    io.write_h5ad(path, cells(3000, 0))
    before = path.read_bytes()
    monkeypatch.setattr(os, "pwrite", Disk(int(share * len(before))))
    with pytest.raises(ResourceError, match=r"cells\.h5ad: cannot be written: No space left .* bytes of it written"):
        io.write_h5ad(path, cells(3000, 1))
    assert [p.name for p in tmp_path.iterdir()] == ["cells.h5ad"]
    assert path.read_bytes() == before


def test_a_growing_file_stops_at_the_first_sample_that_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", Disk(600_000))
    asked: list[int] = []

    def parts() -> Iterator[anndata.AnnData]:
        for seed in range(100):
            asked.append(seed)
            yield cells(3000, seed)

    with pytest.raises(ResourceError, match="No space left on device"):
        grow(tmp_path / "cells.h5ad", parts())
    assert 1 < len(asked) < 20
    assert not list(tmp_path.iterdir())


def test_a_file_that_grew_is_the_one_written_at_once(tmp_path: Path) -> None:
    """Categories first in the order of the head, then as they are met; a sample without cells adds none."""
    parts = [cells(50, 1, "ab"), cells(0, 2, ""), cells(9000, 3, "db"), cells(1, 4, "c")]
    head = cells(0, 0, "cb")
    grow(tmp_path / "grown.h5ad", parts, head)
    grown = io.read_h5ad(tmp_path / "grown.h5ad")
    whole = anndata.concat(parts)
    assert grown.obs_names.tolist() == whole.obs_names.tolist()
    np.testing.assert_array_equal(grown.X, whole.X)
    np.testing.assert_array_equal(grown.layers["counts"], whole.layers["counts"])
    np.testing.assert_array_equal(grown.obsm["X_tsne"], whole.obsm["X_tsne"])
    for name in whole.obs:
        assert grown.obs[name].tolist() == whole.obs[name].tolist(), name
    assert list(grown.obs["kind"].cat.categories) == ["c", "b", "a", "d"]
    assert list(grown.obs["visit"].cat.categories) == ["1mo", "2mo"]
    assert grown.obs["visit"].cat.ordered
    assert not grown.obs["kind"].cat.ordered
    assert grown.uns["cytof"]["thresholds"].equals(head.uns["cytof"]["thresholds"])
    assert grown.var_names.tolist() == list("wxyz")


def test_cells_whose_values_change_type_are_refused(tmp_path: Path) -> None:
    other = cells(3, 1)
    other.obs["day"] = [1, 2, 3]
    with pytest.raises(TypeError, match="`day` was float64 in the first cells and is int64 in later ones"):
        grow(tmp_path / "cells.h5ad", [cells(3, 0), other])
    assert not list(tmp_path.iterdir())


def test_backed_cells_leave_values_and_counts_on_disk(tmp_path: Path) -> None:
    made = cells(40, 0)
    made.layers["sparse"] = csr_matrix(made.X)
    io.write_h5ad(tmp_path / "cells.h5ad", made)
    backed = io.read_h5ad(tmp_path / "cells.h5ad", backed=True)
    assert isinstance(backed.X, h5py.Dataset)
    assert isinstance(backed.layers["counts"], h5py.Dataset)
    some = backed[[3, 7]].to_memory()
    backed.file.close()
    np.testing.assert_array_equal(some.X, made.X[[3, 7]])
    np.testing.assert_array_equal(some.layers["counts"], made.layers["counts"][[3, 7]])
    np.testing.assert_array_equal(some.layers["sparse"].toarray(), made.X[[3, 7]])
    np.testing.assert_array_equal(some.obsm["X_tsne"], made.obsm["X_tsne"][[3, 7]])
    pd.testing.assert_frame_equal(backed.obs, made.obs)
