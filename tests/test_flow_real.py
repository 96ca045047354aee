"""The main job on real files: eleven exported populations and a raw Helios file, gated by the shipped template.

Liu et al. 2020 (Front Cell Dev Biol 8:234), Maxpar Direct Immune Profiling panel. Nothing here is set for these files:
panel and gates are the shipped ``maxpar_30``; file names carry no signal; no threshold is given.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import flowio
import numpy as np
import pandas as pd
import pytest

from cytof import io, pipeline, study

pytestmark = pytest.mark.xdist_group("real")

T_CELLS = {
    "32_CD45RA": "CD8", "33_CD45RA": "CD8", "35_CD8": "CD8", "36_CD8": "CD8", "40_CD45RA": "CD4", "44_CD45RO": "CD4",
}  # fmt: skip
NOT_T = ("08_CD19", "20_CD56", "23_CD123", "25_CD11c", "58_CD123")


def populations(real_data: Callable[[str], Path]) -> list[Path]:
    files = sorted(real_data("liu2020_maxpar/populations").glob("*.fcs"))
    assert len(files) == 11
    return files


def new_study(folder: Path, files: list[Path], seed: int = 0) -> study.Study:
    """Copy the files in a shuffled order under names without meaning, and begin a study as a user would."""
    shuffled = np.random.default_rng(seed).permutation(len(files))
    data = folder / "fcs"
    data.mkdir(parents=True)
    for number, place in enumerate(shuffled, start=1):
        shutil.copy(files[place], data / f"s{number:02d}.fcs")
    file = study.new(folder / "study", sorted(data.iterdir()))
    text = file.read_text()
    assert "panel: maxpar_30" in text
    assert "gates: maxpar_30" in text
    file.write_text(text + "cluster: {max_cells: 2000}\n")
    pd.Series({f"s{n:02d}": files[p].name for n, p in enumerate(shuffled, start=1)}).to_csv(folder / "key.csv")
    return study.load(file)


def calls(cells: pd.DataFrame, n: int) -> pd.Series:
    """One call an event of the file: the subset for events in CD3+, `T` where no subset holds them, `not T` else."""
    called = pd.Series("not T", index=range(n))
    called.loc[cells["event"]] = cells["subset"].astype(object).fillna("T").to_numpy()
    return called


def assert_as_the_experts_say(name: str, called: pd.Series) -> None:
    subset = next((s for key, s in T_CELLS.items() if f"_{key}" in name), None)
    t_share = (called != "not T").mean()
    if subset is None:
        assert any(f"_{key}" in name for key in NOT_T)
        assert t_share <= 0.02, f"{name}: {t_share:.1%} called CD3+"
    else:
        assert t_share >= 0.95, f"{name}: {t_share:.1%} called CD3+"
        assert (called == subset).mean() >= 0.90, f"{name}: {called.value_counts(normalize=True).to_dict()}"


def test_a_study_of_eleven_populations_and_a_raw_file_runs_to_the_report(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    loaded = new_study(tmp_path, [*populations(real_data), real_data("cytofqc_raw/raw_cytof.fcs")])
    found = study.check(loaded)
    assert found.faults == []
    page = pipeline.run(loaded)
    assert page.stat().st_size > 100_000
    key = pd.read_csv(tmp_path / "key.csv", index_col=0).iloc[:, 0]
    for sample, name in key.items():
        if name != "raw_cytof.fcs":
            n = io.scan_fcs(tmp_path / "fcs" / f"{sample}.fcs").n_events
            assert_as_the_experts_say(name, calls(io.read_h5ad(loaded.out / "gated" / f"{sample}.h5ad").obs, n))
    for name in ("figure4a", "figure4b", "figure4c"):
        assert (loaded.out / "figures" / f"{name}.pdf").stat().st_size > 1_000


@pytest.mark.parametrize("seed", [0, 1])
def test_one_mixed_tube_with_hidden_labels(real_data: Callable[[str], Path], tmp_path: Path, seed: int) -> None:
    files = populations(real_data)
    parts = [io.read_fcs(f) for f in files]
    label = np.repeat([f.name for f in files], [len(p) for p in parts])
    shuffle = np.random.default_rng(seed).permutation(len(label))
    mixed = parts[0].replace(
        X=np.concatenate([p.columns(list(parts[0].channels.index)) for p in parts])[shuffle], sample_id="tube",
        rows=np.arange(len(label)), flags=pd.DataFrame(index=range(len(label))),
    )  # fmt: skip
    (tmp_path / "tube").mkdir()
    io.write_fcs(tmp_path / "tube" / "tube.fcs", mixed)
    loaded = study.load(study.new(tmp_path / "study", [tmp_path / "tube" / "tube.fcs"]))
    pipeline.gate(loaded)
    called = calls(io.read_h5ad(loaded.out / "gated" / "tube.h5ad").obs, len(label))
    for name in sorted(set(label)):
        assert_as_the_experts_say(name, called[label[shuffle] == name])


def test_a_file_that_is_on_the_arcsinh_scale_is_not_transformed_twice(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    file = real_data("liu2020_maxpar/downsample.fcs")
    loaded = study.load(study.new(tmp_path / "study", [file]))
    loaded = loaded.model_copy(update={"gates": "none"})
    pipeline.gate(loaded)
    cells = io.read_h5ad(loaded.out / "gated" / "downsample.h5ad")
    judge = flowio.FlowData(file, ignore_offset_error=True)
    column = next(i for i, name in enumerate(judge.pns_labels) if "CD3" in name.split("_"))
    expected = judge.as_array(preprocess=False)[:, column]
    cd3 = cells.X[:, cells.var_names.get_loc("CD3")]
    np.testing.assert_allclose(cd3, expected, atol=2e-5)
    assert any("arcsinh" in text for text in cells.uns["cytof"]["warnings"]["found"])
