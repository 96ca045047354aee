"""Sample sheets as laboratories write them, and thirty ways to get them wrong, each with its line and remedy."""

# ruff: noqa: E501

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pytest

from cytof import io
from cytof.errors import SheetError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("P03_D28_norm.fcs", "a.fcs", "b.fcs", "fcs/c.fcs"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"FCS3.1")
    return tmp_path


def sheet(folder: Path, text: str | bytes, name: str = "samples.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


PLAIN = "file_name,sample_id,day\na.fcs,s1,60\nb.fcs,s2,365\n"


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("samples.csv", PLAIN.encode()),
        ("samples.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("samples.csv", PLAIN.replace("\n", "\r\n").encode()),
        ("samples.csv", PLAIN.replace("\n", "\r").encode()),
        ("samples.csv", PLAIN.replace(",", ";").encode()),
        ("samples.csv", b"sep=;\r\n" + PLAIN.replace(",", ";").encode()),
        ("samples.tsv", PLAIN.replace(",", "\t").encode()),
        ("samples.csv", PLAIN.encode("utf-16")),
        ("samples.csv", b"File name , Sample-ID, DAY \n  a.fcs ,\ts1 , 60 \n,,\n\nb.fcs,s2, 365,,\n"),
        ("samples.csv", PLAIN.replace("60", "60.0").replace("a.fcs", '"a.fcs"').encode()),
    ],
    ids=["plain", "BOM", "CRLF", "CR", "semicolon", "sep=;", "tabs", "UTF-16", "blanks and blank rows", "quotes"],
)
def test_every_dialect_reads_the_same(folder: Path, name: str, raw: bytes) -> None:
    table = io.read_sheet(sheet(folder, raw, name))
    assert table[["file_name", "sample_id", "day"]].values.tolist() == [["a.fcs", "s1", 60.0], ["b.fcs", "s2", 365.0]]
    assert table["path"].tolist() == [folder.resolve() / "a.fcs", folder.resolve() / "b.fcs"]
    assert table["timepoint"].tolist() == ["60", "365"]
    assert list(table.columns) == [
        "file_name", "sample_id", "patient_id", "timepoint", "day", "batch_id", "condition", "control", "path",
    ]  # fmt: skip


def test_workbook(folder: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in (
        ["file_name", "sample_id", "day", "timepoint", "visit date", "lab"],
        ["a.fcs", 17, 60.0, "2mo", datetime.datetime(2024, 3, 5), "x"],
        [None] * 6,
        ["b.fcs", "1E5", None, "1yr", datetime.datetime(2025, 3, 5), None],
    ):
        book.active.append(row)
    book.save(folder / "samples.xlsx")
    table = io.read_sheet(folder / "samples.xlsx")
    assert table["sample_id"].tolist() == ["17", "1E5"]
    assert table["visit_date"].tolist() == ["2024-03-05", "2025-03-05"]
    assert table["lab"].tolist() == ["x", ""]
    assert np.isnan(table["day"][1])


def test_unknown_columns_are_kept_and_defaults_filled(folder: Path) -> None:
    row = next(io.read_sheet(sheet(folder, "sample_id,file_name,Dose mg\nNA,fcs/c.fcs,007\n")).itertuples())
    assert (row.sample_id, row.patient_id, row.timepoint, row.batch_id) == ("NA", "P1", "", "")
    assert row.path == folder.resolve() / "fcs" / "c.fcs"
    assert io.read_sheet(folder / "samples.csv")["Dose mg"].tolist() == ["007"]


def test_day_from_two_dates(folder: Path) -> None:
    text = "file_name,sample_id,infusion_date,visit_date\na.fcs,s1,2024-01-01,2024-03-01\nb.fcs,s2,01-Jan-2024,\n"
    days = io.read_sheet(sheet(folder, text))["day"]
    assert days[0] == 60
    assert np.isnan(days[1])


def test_data_dir(folder: Path) -> None:
    path = sheet(folder, "file_name,sample_id\nc.fcs,s1\n")
    assert io.read_sheet(path, data_dir=folder / "fcs")["path"][0] == folder.resolve() / "fcs" / "c.fcs"


HEAD = "file_name,sample_id,day,infusion_date,visit_date\n"
FAULTS = [
    ("", "samples.csv: the sheet is empty; write a header row with file_name,sample_id"),
    ("file_name,sample_id\n", "samples.csv: a header, but no samples; write one row a sample"),
    ("file_nam,sample_id\na.fcs,s1\n", "samples.csv:1: column `file_name` missing, found file_nam, sample_id; did you mean `file_nam`?"),
    ("file_name,sample\na.fcs,s1\n", "samples.csv:1: column `sample_id` missing, found file_name, sample; did you mean `sample`?"),
    ("file_name,x\na.fcs,1\n", "samples.csv:1: column `sample_id` missing, found file_name, x; add it; the sheet needs file_name and sample_id"),
    ("file_name,sample_id,sample_id\na.fcs,s1,s1\n", "samples.csv:1: column `sample_id` stands twice; keep one"),
    ("file_name,sample_id,path\na.fcs,s1,x\n", "samples.csv:1: column `path` is made by the program; call it otherwise"),
    (HEAD + "P03_D28.fcs,s1\n", "samples.csv:2: file_name: 'P03_D28.fcs' not found; did you mean `P03_D28_norm.fcs`?"),
    (HEAD + "fcs/d.fcs,s1\n", "samples.csv:2: file_name: 'fcs/d.fcs' not found; did you mean `fcs/c.fcs`?"),
    (HEAD + "fsc/c.fcs,s1\n", "samples.csv:2: file_name: 'fsc/c.fcs' not found; there is no folder"),
    (HEAD + "fcs,s1\n", "samples.csv:2: file_name: 'fcs' not found"),
    (HEAD + ",s1\n", "samples.csv:2: file_name: empty; name the FCS file"),
    (HEAD + "../x.fcs,s1\n", "samples.csv:2: file_name: '../x.fcs' lies outside the data folder"),
    (HEAD + "/etc/hosts,s1\n", "samples.csv:2: file_name: '/etc/hosts' lies outside the data folder"),
    (HEAD + "..\\x.fcs,s1\n", "lies outside the data folder"),
    (HEAD + "link.fcs,s1\n", "samples.csv:2: file_name: 'link.fcs' lies outside the data folder"),
    (HEAD + "a.fcs,s1\na.fcs,s2\n", "samples.csv:3: file_name: 'a.fcs' stands in row 2 too; one row a file"),
    (HEAD + "a.fcs,s1\nfcs/../a.fcs,s2\n", "samples.csv:3: file_name: 'fcs/../a.fcs' stands in row 2 too"),
    (HEAD + "a.fcs,\n", "samples.csv:2: sample_id: empty; give every sample a name"),
    (HEAD + "a.fcs,s1\nb.fcs,s1\n", "samples.csv:3: sample_id: 's1' stands in row 2 too; give each row a sample_id of its own"),
    (HEAD + "a.fcs,s1\nb.fcs,S1\n", "samples.csv:3: sample_id: 'S1', apart from upper and lower case 's1', stands in row 2 too"),
    (HEAD + "a.fcs,1.00E+05\n", "samples.csv:2: sample_id: '1.00E+05' was turned into a number by a spreadsheet"),
    (HEAD + "a.fcs,x/y\n", "samples.csv:2: sample_id: 'x/y' cannot be a file name; use letters, digits, - and _"),
    (HEAD + "a.fcs,con\n", "samples.csv:2: sample_id: 'con' cannot be a file name"),
    (HEAD + "a.fcs," + "x" * 101 + "\n", "samples.csv:2: sample_id: 101 characters, expected at most 100; shorten it"),
    (HEAD + "a.fcs,s1,2mo\n", "samples.csv:2: day: '2mo' is not a number, expected days since infusion; write for instance 60"),
    (HEAD + "a.fcs,s1,2024-03-05\n", "samples.csv:2: day: '2024-03-05' is a date, expected days since infusion; give visit_date and infusion_date"),
    (HEAD + "a.fcs,s1,45356\n", "samples.csv:2: day: 45356 is no number of days since infusion; is it a date?"),
    (HEAD + "a.fcs,s1,nan\n", "samples.csv:2: day: nan is no number of days"),
    (HEAD + "a.fcs,s1,,2024-01-01,03/05/2024\n", "samples.csv:2: visit_date: '03/05/2024' is not a date; write YYYY-MM-DD"),
    (HEAD + "a.fcs,s1,60,,,x,y\n", "samples.csv:2: 7 cells, the header has 5; quote values that hold the separator"),
    ("a\0b", "samples.csv: not a text table; save the sheet as CSV, TSV or XLSX"),
    ("PK\3\4rubbish", "samples.csv: not readable as a workbook"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), FAULTS, ids=[str(i) for i in range(len(FAULTS))])
def test_every_fault_names_place_and_remedy(folder: Path, text: str, message: str) -> None:
    outside = folder.parent / f"{folder.name}-outside.fcs"
    outside.write_bytes(b"FCS3.1")
    (folder / "link.fcs").symlink_to(outside)
    with pytest.raises(SheetError) as caught:
        io.read_sheet(sheet(folder, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_all_faults_at_once_in_the_order_of_rows(folder: Path) -> None:
    text = HEAD + "a.fcs,s1,60\nx.fcs,s1,sixty\n\n../b.fcs,,1\n"
    with pytest.raises(SheetError) as caught:
        io.read_sheet(sheet(folder, text))
    lines = [line.split("samples.csv:")[1] for line in str(caught.value).splitlines()]
    assert [line[:13].split(":")[:2] for line in lines] == [
        ["3", " sample_id"], ["3", " file_name"], ["3", " day"], ["5", " sample_id"], ["5", " file_name"],
    ]  # fmt: skip


def test_missing_sheet(tmp_path: Path) -> None:
    with pytest.raises(SheetError, match=r"nowhere\.csv: no such sheet; check the path"):
        io.read_sheet(tmp_path / "nowhere.csv")
