"""Tables and cells on disk: equal when read back, the same bytes each time, old files safe, formulas harmless."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytof import io
from cytof.errors import InputError, ResourceError


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "gate": pd.Categorical(["CAR+", "CD45+", "CAR+", "x"]),
            "fraction": rng.random(4),
            "small": rng.random(4).astype(np.float32) * 1e-20,
            "n": [1, 2, -3, 4],
            "flag": [True, False, True, False],
            "missing": [np.nan, 1.5, np.nan, 2],
        }
    )


def test_numbers_read_back_equal_and_bytes_repeat(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.tsv"):
        io.write_table(tmp_path / name, table())
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()
    back = pd.read_csv(tmp_path / "a.csv", float_precision="round_trip")
    for column in ("fraction", "n", "flag", "missing"):
        np.testing.assert_array_equal(back[column], table()[column])
    np.testing.assert_array_equal(back["small"].astype(np.float32), table()["small"])
    assert pd.read_csv(tmp_path / "c.tsv", sep="\t")["gate"].tolist() == table()["gate"].tolist()


@pytest.mark.parametrize("cell", ["=cmd|' /C calc'!A0", "+SUM(A1)", "-2+3", "@x", "\t=1", "\r=1", "-"])
def test_formulas_are_neutralised(tmp_path: Path, cell: str) -> None:
    io.write_table(tmp_path / "t.csv", pd.DataFrame({cell: [cell], "c": pd.Categorical([cell])}))
    back = pd.read_csv(tmp_path / "t.csv", lineterminator="\n")
    assert back.iloc[0].tolist() == [f"'{cell}"] * 2
    assert back.columns[0] == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1", "+1.5e-3", "-inf", "-.5", "CD45-", "HLA-DR+", ""])
def test_numbers_and_markers_are_left_alone(tmp_path: Path, cell: str) -> None:
    io.write_table(tmp_path / "t.csv", pd.DataFrame({"a": [cell], "b": [1]}))
    assert (tmp_path / "t.csv").read_text() == f"a,b\n{cell},1\n"


def test_index_with_a_name_or_text_is_kept(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="cluster"))
    io.write_table(tmp_path / "t.csv", frame)
    assert (tmp_path / "t.csv").read_text() == "cluster,x\na,1\nb,2\n"
    io.write_table(tmp_path / "t.csv", frame.rename_axis(None))
    assert (tmp_path / "t.csv").read_text() == "index,x\na,1\nb,2\n"
    io.write_table(tmp_path / "t.csv", frame.reset_index(drop=True)[lambda f: f.x > 1])
    assert (tmp_path / "t.csv").read_text() == "x\n2\n"
    assert frame.index.name == "cluster"


def cells():
    from anndata import AnnData

    obs = pd.DataFrame(
        {"gate": pd.Categorical(["CAR+", "x"]), "note": ["b", "a"], "day": [60.0, np.nan]}, index=["s1-0", "s1-1"]
    )
    adata = AnnData(np.arange(4, dtype=np.float32).reshape(2, 2), obs=obs)
    adata.layers["counts"] = adata.X * 2
    adata.uns["cytof"] = {"schema": 1, "counts": pd.DataFrame({"n": [1, 2]}), "features": ["CD3"]}
    return adata


def test_cells_read_back_equal_and_bytes_repeat(tmp_path: Path) -> None:
    adata = cells()
    for name in ("a.h5ad", "b.h5ad"):
        io.write_h5ad(tmp_path / name, adata)
    assert (tmp_path / "a.h5ad").read_bytes() == (tmp_path / "b.h5ad").read_bytes()
    assert adata.obs["note"].dtype == object, "writing does not change what is written"
    back = io.read_h5ad(tmp_path / "a.h5ad")
    np.testing.assert_array_equal(back.X, adata.X)
    np.testing.assert_array_equal(back.layers["counts"], adata.layers["counts"])
    pd.testing.assert_frame_equal(back.obs, adata.obs, check_dtype=False)
    assert back.uns["cytof"]["counts"]["n"].tolist() == [1, 2]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(RuntimeError):
        io.write_table(path, pd.DataFrame({"a": ["x", Bad()]}))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    path.with_name("folder").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        io.write_table(tmp_path / "folder" / "t.csv", table())


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "no such file"),
        (b"FCS3.0", "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"x" * 99, "cannot be read as cells"),
    ],
)
def test_unreadable_cells_are_named(tmp_path: Path, raw: bytes | None, text: str) -> None:
    path = tmp_path / "cells.h5ad"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        io.read_h5ad(path)
    assert f"{path}: {text}" in str(caught.value)


def test_cells_of_a_later_version_are_refused(tmp_path: Path) -> None:
    adata = cells()
    adata.uns["cytof"]["schema"] = 99
    io.write_h5ad(tmp_path / "cells.h5ad", adata)
    with pytest.raises(InputError, match="layout 99, this version knows up to 1; update the package"):
        io.read_h5ad(tmp_path / "cells.h5ad")
