"""A new study from FCS files: ``study.yaml``, ``samples.csv`` and, where no shipped panel fits, ``panel.csv``."""

from __future__ import annotations

import csv
import io as text_io
import os
import re
from collections.abc import Sequence
from pathlib import Path

from cytof import io, panel
from cytof.errors import InputError, UsageError
from cytof.keys import Tables
from cytof.provenance import atomic

__all__ = ["new"]

_STUDY = """\
# A study: what `cytof run {folder}` reads. Lines behind # are the defaults; the README explains each ("Settings").
name: {name}
panel: {panel}
gates: {gates}
samples: samples.csv
data_dir: {data_dir}
results: results
seed: 0
# clean: {{beads: auto, intact: true}}
# gate: {{draw: 50000, keep: CD3+}}
# cluster: {{population: CAR+, n_clusters: 9, k: 30, grid: [10, 10], rlen: 10, max_cells: 20000}}
# embed: {{perplexity: 30, n_jobs: 2}}
# track: {{population: CAR+, of: CD45+}}
# compare: {{reference: null, test: auto, unit: auto, markers: null}}
"""


def new(folder: str | Path, files: Sequence[str | Path], *, name: str | None = None) -> Path:
    """Write a study to fill in.

    Parameters
    ----------
    folder
        Where the study goes; made when absent.
    files
        FCS files, one a sample.
    name
        Title of the study; the folder's name when None.

    Returns
    -------
    Path of ``study.yaml``. ``samples.csv`` has one row a file with ``timepoint`` and ``day`` to fill in; ``panel``
    names the shipped panel that the channels fit, else ``panel.csv`` holds the file's own names and no gates are set.

    Raises
    ------
    UsageError
        The folder already holds a study, or no file is given.
    InputError
        A file is named twice, or two files cannot be told apart by name and folder.
    FCSError
        A file is not FCS.

    Examples
    --------
    ``cytof.study.new("my_study", ["data/visit_1.fcs", "data/visit_2.fcs"])``
    """
    folder = Path(folder)
    paths = [Path(f) for f in files]
    if not paths:
        raise UsageError(
            "no FCS files given", where=str(folder), hint="name them behind the folder: cytof new DIR *.fcs"
        )
    if (folder / "study.yaml").exists():
        raise UsageError("holds a study already", where=str(folder / "study.yaml"), hint="choose another folder")
    headers = [io.scan_fcs(p) for p in paths]
    data_dir = Path(os.path.commonpath([p.resolve().parent for p in paths]))
    shipped, table = panel.guess(*headers)
    folder.mkdir(parents=True, exist_ok=True)
    if shipped is None:
        with atomic(folder / "panel.csv") as part:
            part.write_bytes(table.to_csv(index=False, lineterminator="\n").encode())
    _write(folder / "samples.csv", _sheet(paths, data_dir))
    gates = shipped if shipped and shipped in panel.names(".gates.yaml") else "none"
    text = _STUDY.format(
        folder=folder.name,
        name=_quoted(name or folder.resolve().name),
        panel=shipped or "panel.csv",
        gates=gates,
        data_dir=_quoted(Path(os.path.relpath(data_dir, folder.resolve())).as_posix()),
    )
    _write(folder / "study.yaml", text)
    return folder / "study.yaml"


def _sheet(paths: Sequence[Path], data_dir: Path) -> str:
    rows: list[list[str]] = []
    seen: dict[str, Path] = {}
    stems = [p.stem for p in paths]
    for path in paths:
        twin = (
            stems.count(path.stem) > 1
        )  # instruments give the same name in a folder a visit: the folder tells them apart
        sample = re.sub(r"[^\w.+-]+", "_", f"{path.resolve().parent.name}_{path.stem}" if twin else path.stem).strip(
            "_"
        )
        if sample in seen:
            same = path.resolve() == seen[sample].resolve()
            found = "is named twice" if same else f"and {seen[sample]} give one sample id, `{sample}`"
            raise InputError(found, where=str(path), hint="name it once" if same else "rename one")
        seen[sample] = path
        rows.append([path.resolve().relative_to(data_dir).as_posix(), sample, "P1", "", "", "", "", ""])
    text = text_io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([Tables.SHEET, *rows])
    return text.getvalue()


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w./ -]*\w", text) and not text.replace(".", "").isdigit() else f'"{text}"'


def _write(path: Path, text: str) -> None:
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
