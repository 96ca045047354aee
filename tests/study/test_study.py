"""Study files: what is wrong is told with its line and the nearest name, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cytof import study
from cytof.errors import ConfigError, UsageError


def write(folder: Path, text: str) -> Path:
    file = folder / "study.yaml"
    file.write_text(text)
    return file


def test_defaults(tmp_path: Path) -> None:
    loaded = study.load(write(tmp_path, "panel: car_t_41\ngates: car_t_41\n"))
    assert loaded.out == tmp_path / "results"
    assert (loaded.cluster.n_clusters, loaded.cluster.k, loaded.gate.draw) == (9, 30, 50_000)
    assert study.load(tmp_path) == loaded  # the folder will do


def test_all_faults_at_once_with_line_and_nearest_name(tmp_path: Path) -> None:
    file = write(tmp_path, "name: x\ncluster:\n  n_cluster: 9\n  k: 1\nsamplez: s.csv\n")
    with pytest.raises(ConfigError) as caught:
        study.load(file)
    lines = str(caught.value).splitlines()
    assert f"{file}:3: unknown setting `cluster.n_cluster`; did you mean `n_clusters`?" in lines
    assert f"{file}:4: `cluster.k` is 1: input should be greater than or equal to 2" in lines
    assert f"{file}:5: unknown setting `samplez`; did you mean `samples`?" in lines
    assert len(lines) == 3
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", r"study\.yaml:\d: not readable as YAML: .*; check quotes and indentation"),
        ("", r"study\.yaml: no settings in this file; write for instance `samples: samples\.csv`"),
        ("- a\n- b\n", r"study\.yaml: no settings in this file"),
        ("seed: -1\n", r"study\.yaml:1: `seed` is -1: input should be greater than or equal to 0"),
        ("name: x\nfolder: /tmp\n", r"study\.yaml:2: `folder` cannot be set; use `data_dir`"),
        ("embed:\n  n_jobs: two\n", r"study\.yaml:2: `embed\.n_jobs` is 'two': input should be a valid integer"),
    ],
)
def test_one_line_each(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        study.load(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_no_study_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"study\.yaml: no study file here; make one with `cytof new DIR"):
        study.load(tmp_path)
    (tmp_path / "studi.yaml").write_text("name: x")
    with pytest.raises(ConfigError, match="did you mean `studi.yaml`"):
        study.load(tmp_path)


def test_new_refuses_to_write_over_a_study(tmp_path: Path) -> None:
    write(tmp_path, "name: mine\n")
    with pytest.raises(UsageError, match="holds a study already; choose another folder"):
        study.new(tmp_path, [tmp_path / "a.fcs"])
    assert (tmp_path / "study.yaml").read_text() == "name: mine\n"
