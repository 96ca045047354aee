"""Typical mistakes in sheets, panels, gates, studies and files: each gives one line with its place and the remedy.

The texts are read aloud and asserted whole; a change of a word is a change on purpose.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cytof import io, panel, study
from cytof.errors import CytofError

Mistake = Callable[[Path], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two small files with a panel and gates of its own; nothing is wrong with it."""
    folder = tmp_path_factory.mktemp("mistakes") / "good"
    (folder / "fcs").mkdir(parents=True)
    table = panel.load("car_t_41").table
    pnn = ["Time", *(f"{c}Di" for c in table.index), "Event_length"]
    pns = ["", *(f"{c}_{a}" for c, a in table["antigen"].items()), ""]
    for name in ("P1_2mo", "P1_1yr"):
        io.write_fcs(folder / "fcs" / f"{name}.fcs", np.ones((5, len(pnn)), np.float32), pnn=pnn, pns=pns)
    (folder / "samples.csv").write_text(
        "file_name,sample_id,patient_id,timepoint,day,batch_id,condition,control\n"
        "fcs/P1_2mo.fcs,P1_2mo,P1,2mo,60,,,\n"
        "fcs/P1_1yr.fcs,P1_1yr,P1,1yr,365,,,\n"
    )
    (folder / "study.yaml").write_text("panel: panel.csv\ngates: my.gates.yaml\nsamples: samples.csv\n")
    shutil.copy(panel.find("car_t_41"), folder / "panel.csv")
    shutil.copy(panel.find("car_t_41", ".gates.yaml"), folder / "my.gates.yaml")
    assert study.check(study.load(folder)).faults == []
    return folder


def edit(file: str, old: str, new: str) -> Mistake:
    def go(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return go


def sheet(old: str, new: str) -> Mistake:
    return edit("samples.csv", old, new)


def setting(line: str) -> Mistake:
    return edit("study.yaml", "samples: samples.csv", line)


def written(file: str, content: str | bytes) -> Mistake:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / file).write_bytes(data)


def cut_short(folder: Path) -> None:
    file = folder / "fcs" / "P1_1yr.fcs"
    file.write_bytes(file.read_bytes()[:-300])


COLUMNS = "sample_id, patient_id, timepoint, day, batch_id, condition, control"
ROLES = "lineage, car, dna, viability, bead, barcode, gaussian, time, event_length, none"
MISTAKES: dict[str, tuple[Mistake, int, str]] = {
    # the sheet
    "file not there": (
        sheet("P1_1yr.fcs", "P1_1y.fcs"), 3,
        "samples.csv:3: file_name: 'fcs/P1_1y.fcs' not found; did you mean `fcs/P1_1yr.fcs`?",
    ),
    "column misspelt": (
        sheet("file_name", "filename"), 3,
        f"samples.csv:1: column `file_name` missing, found filename, {COLUMNS}; did you mean `filename`?",
    ),
    "column twice": (sheet("condition", "day"), 3, "samples.csv:1: column `day` stands twice; keep one"),
    "sample twice": (
        sheet("P1_1yr,P1", "P1_2mo,P1"), 3,
        "samples.csv:3: sample_id: 'P1_2mo' stands in row 2 too; give each row a sample_id of its own",
    ),
    "file twice": (
        sheet("P1_1yr.fcs", "P1_2mo.fcs"), 3,
        "samples.csv:3: file_name: 'fcs/P1_2mo.fcs' stands in row 2 too; one row a file",
    ),
    "day in words": (
        sheet("365", "one year"), 3,
        "samples.csv:3: day: 'one year' is not a number, expected days since infusion; write for instance 60",
    ),
    "sample without a name": (
        sheet("P1_1yr.fcs,P1_1yr", "P1_1yr.fcs,"), 3, "samples.csv:3: sample_id: empty; give every sample a name",
    ),
    "row without a file": (sheet("fcs/P1_1yr.fcs", ""), 3, "samples.csv:3: file_name: empty; name the FCS file"),
    "sample id that is no file name": (
        sheet("P1_1yr,P1", "con,P1"), 3,
        "samples.csv:3: sample_id: 'con' cannot be a file name; use letters, digits, - and _",
    ),
    "no sheet": (
        setting("samples: sample.csv"), 3,
        "sample.csv: no such sheet; check the path; make one with `cytof new`",
    ),
    "empty sheet": (
        written("samples.csv", ""), 3,
        "samples.csv: the sheet is empty; write a header row with file_name,sample_id",
    ),
    "header alone": (
        written("samples.csv", "file_name,sample_id\n"), 3,
        "samples.csv: a header, but no samples; write one row a sample",
    ),
    "comma in a value": (
        sheet("365,,,", "365,,a,b,c"), 3,
        "samples.csv:3: 9 cells, the header has 8; quote values that hold the separator",
    ),
    "day that is a date": (
        sheet("365", "13/13/2020"), 3,
        "samples.csv:3: day: '13/13/2020' is not a number, expected days since infusion; write for instance 60",
    ),
    "not a workbook": (
        lambda f: (written("samples.xlsx", b"PK nonsense")(f), setting("samples: samples.xlsx")(f)), 3,
        "samples.xlsx: not readable as a workbook (BadZipFile); save it again, or as CSV",
    ),
    # the panel
    "unknown panel": (
        edit("study.yaml", "panel.csv", "car_t_14"), 2,
        "car_t_14: no file and no shipped panel `car_t_14.csv`; did you mean `car_t_41`? shipped: car_t_41, maxpar_30",
    ),
    "marker class misspelt": (
        edit("panel.csv", ",type,", ",typ,"), 2,
        "panel.csv:4: marker_class is `typ`, expected one of type, state, none; did you mean `type`?",
    ),
    "role misspelt": (
        edit("panel.csv", ",lineage,", ",linage,"), 2,
        f"panel.csv:4: role is `linage`, expected one of {ROLES}; did you mean `lineage`?",
    ),
    "channel twice": (
        edit("panel.csv", "Nd142", "Nd143"), 2, "panel.csv:14: channel `Nd143` stands in row 13 too; keep one",
    ),
    "antigen twice": (
        edit("panel.csv", ",CCR4,", ",CCR7,"), 2, "panel.csv:28: antigen `CCR7` stands in row 13 too; keep one",
    ),
    "isotope that is none": (
        edit("panel.csv", "Nd142", "Nd147"), 2,
        "panel.csv:13: channel `Nd147` is no isotope; "
        "mass 147 is Pm147 or Sm147; Nd has 142, 143, 144, 145, 146, 148, 150",
    ),
    "cofactor of nothing": (
        edit("panel.csv", ",5,", ",0,"), 2, "panel.csv:4: cofactor is `0`, expected a number above 0",
    ),
    "no antigen column": (
        edit("panel.csv", "antigen", "marker"), 2,
        "panel.csv: column `antigen` missing, found channel, marker, marker_class, role, cofactor, synonyms, source",
    ),
    "antigen without a name": (
        edit("panel.csv", ",CCR4,", ",,"), 2, "panel.csv:13: `antigen` is empty; name the antigen",
    ),
    # the gates
    "unknown method": (
        edit("my.gates.yaml", "mindensity", "minimum_density"), 2,
        "my.gates.yaml:21: gating_method is `minimum_density`; did you mean `mindensity`?",
    ),
    "unknown parent": (
        edit("my.gates.yaml", "parent: live", "parent: living"), 2,
        "my.gates.yaml:18: parent of `CD45+`: no gate `living`; did you mean `live`?",
    ),
    "unknown antigen": (
        edit("my.gates.yaml", "dims: CD7", "dims: CD77"), 2,
        "my.gates.yaml:48: `CD7+`: unknown antigen `CD77` in panel panel; did you mean `CD7`?",
    ),
    "bounds the wrong way": (
        edit("my.gates.yaml", "[0.8, 3.0]", "[3.0, 0.8]"), 2,
        "my.gates.yaml:22: bounds are [3.0, 0.8], expected [low, high] with low < high; "
        "on the scale arcsinh(counts / cofactor)",
    ),
    "unknown key of a gate": (
        edit("my.gates.yaml", "gating_args: {none_of: [doublet]}", "gating_arg: {none_of: [doublet]}"), 2,
        "my.gates.yaml:13: unknown key `gating_arg` of a gate; did you mean `gating_args`?",
    ),
    "unknown flag": (
        edit("my.gates.yaml", "[doublet]", "[dublet]"), 2,
        "my.gates.yaml:10: `singlets`: no gate `dublet` before it; gates: cells; "
        "flags of clean: bead, unsteady, debris, doublet, dead",
    ),
    # the study
    "unknown setting": (setting("sample: s.csv"), 2, "study.yaml:3: unknown setting `sample`; did you mean `samples`?"),
    "setting out of bounds": (
        setting("cluster: {k: 0}"), 2,
        "study.yaml:3: `cluster.k` is 0: input should be greater than or equal to 2",
    ),
    "time point that is none": (
        setting("compare: {reference: 2 mo}"), 2,
        "study.yaml: `compare.reference` is `2 mo`, which no sample has; time points of the sheet: 2mo, 1yr; "
        "did you mean `2mo`?",
    ),
    "compared column that is none": (
        setting("compare: {by: [conditoin]}"), 2,
        "study.yaml: `compare.by`: `conditoin` is no column of the sample sheet; did you mean `condition`?",
    ),
    "gate that is none": (
        setting("gate: {keep: CD3}"), 2, "study.yaml: `gate.keep`: no gate `CD3`; did you mean `CD3+`?",
    ),
    "unknown gates": (
        edit("study.yaml", "my.gates.yaml", "car_t41"), 2,
        "car_t41: no file and no shipped panel `car_t41.gates.yaml`; did you mean `car_t_41`? "
        "shipped: car_t_41, maxpar_30",
    ),
    "results that cannot be written": (
        setting("results: samples.csv"), 5,
        "samples.csv: is not a folder; set `results` in study.yaml to a folder of yours",
    ),
    # the files
    "not FCS": (
        written("fcs/P1_1yr.fcs", "a,b\n"), 3,
        "fcs/P1_1yr.fcs:HEADER: not an FCS file: it begins with 'a,b\\n', expected 'FCS3.1' or alike; export again",
    ),
    "still packed": (
        written("fcs/P1_1yr.fcs", b"\x1f\x8b\x08" + bytes(100)), 3,
        "fcs/P1_1yr.fcs:HEADER: this is a gzip archive, expected FCS; unpack it first (gunzip)",
    ),
    "cut short": (
        cut_short, 3,
        "fcs/P1_1yr.fcs:DATA: cut off: 3 of 5 events present; the file is incomplete; copy it again",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_one_line_with_place_and_remedy(name: str, good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(good, folder)
    mistake, exit_code, expected = MISTAKES[name]
    mistake(folder)
    try:
        faults = study.check(study.load(folder)).faults
    except CytofError as error:
        faults = [error]
    lines = "\n".join(map(str, faults)).replace(f"{folder}/", "").splitlines()
    assert lines == [expected]
    assert [f.exit_code for f in faults] == [exit_code]


@pytest.mark.parametrize("place", ["../fcs/P1_1yr.fcs", "/etc/P1_1yr.fcs"])
def test_a_path_that_leaves_the_data_folder(place: str, good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(good, folder)
    sheet("fcs/P1_1yr.fcs", place)(folder)
    (fault,) = study.check(study.load(folder)).faults
    assert str(fault) == (
        f"{folder}/samples.csv:3: file_name: '{place}' lies outside the data folder {folder}; "
        "move the file there, or set data_dir"
    )


def test_a_file_stained_with_another_panel(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    shutil.copytree(good, folder)
    data = np.ones((5, 3), np.float32)
    io.write_fcs(folder / "fcs" / "P1_1yr.fcs", data, pnn=["Time", "Nd142Di", "Y89Di"], pns=["", "CD19", "CD45"])
    found = study.check(study.load(folder))
    (fault,) = found.faults
    assert str(fault).startswith("fcs/P1_1yr.fcs: no channel for `CD11b` (Bi209), `CD11c` (Cd112), ")
    remedy = "check `panel` in study.yaml; `cytof inspect FILE` lists the channels"
    assert str(fault).endswith(f"which the gates need; {remedy}")
    assert [str(c) for c in found.cautions if "Nd142" in c.where] == [
        "fcs/P1_1yr.fcs:Nd142: the file names it `CD19`, the panel `CCR4`; took the panel's name"
    ]
    assert found.compatibility.loc["CD45"].tolist() == ["Y89", "Y89", "common"]
    assert found.compatibility.loc["CD3"].tolist() == ["Cd116", "", "some"]
