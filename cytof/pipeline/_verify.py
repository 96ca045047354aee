"""Do the results still belong to their inputs? Every hash is made again and held against what was recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from cytof import provenance
from cytof.errors import CytofError, InputError
from cytof.keys import Obs
from cytof.pipeline._files import read_sheet
from cytof.pipeline._keys import file_hash
from cytof.pipeline._plan import failed_before, plan
from cytof.pipeline._resume import known
from cytof.study import Study

__all__ = ["Verified", "verify"]


class Verified(pd.DataFrame):
    """One row a file or stage, columns ``what stage found``: ``found`` is empty where all is well.

    Examples
    --------
    >>> Verified([("cells.h5ad", "cluster", "")], columns=["what", "stage", "found"]).faults
    []
    """

    @property
    def faults(self) -> list[str]:
        """Return a line for each thing that is not as it was recorded."""
        return [f"{w}: {f}" for w, f in zip(self["what"], self["found"], strict=True) if f]


def verify(study: Study) -> Verified:
    """Hold inputs, outputs and settings against what the run recorded.

    Parameters
    ----------
    study
        From :func:`cytof.study.load`, after :func:`cytof.pipeline.run`.

    Returns
    -------
    Verified, one row for each FCS file, each file of the results, and each stage.

    Raises
    ------
    InputError
        Nothing was recorded here.

    Examples
    --------
    ``verify(cytof.study.load("demo/study.yaml")).faults`` is ``[]`` after ``cytof demo``.
    """
    stages = known(study.out)
    if not stages:
        raise InputError("no results that say where they came from", where=str(study.out), hint="run `cytof run` first")
    rows = [*_inputs(study), *(row for stage in stages for row in _outputs(study, stage))]
    if not any(found for _, _, found in rows):
        try:
            rows += _settings(study)
        except InputError as error:  # a record that is lost: the files are there, and nothing vouches for them
            rows.append(("gate", "gate", f"{error.message}: its record is lost; run `cytof run`"))
    return Verified(rows, columns=["what", "stage", "found"])


def _inputs(study: Study) -> list[tuple[str, str, str]]:
    """Hold the FCS files against ``run.json``."""
    try:
        recorded = _recorded(study.out / "run.json")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [("run.json", "report", "missing or unreadable: the run did not reach its end; run `cytof run`")]
    try:
        sheet = read_sheet(study)
    except CytofError as error:
        return [(study.samples, "", str(error))]
    paths = {str(s): Path(p) for s, p in zip(sheet[Obs.SAMPLE], sheet["path"], strict=True)}
    rows = []
    for sample, sha in recorded.items():
        if sample not in paths:
            rows.append((sample, "gate", "is in the results and not in the sample sheet any more; run `cytof run`"))
            continue
        try:
            now = file_hash(paths[sample])
        except InputError as error:
            rows.append((paths[sample].name, "gate", f"{error.message}; {error.hint}"))
            continue
        other = f"sha256 {now[:12]}..., analysed was {sha[:12]}...: not the file the results were made from"
        rows.append((paths[sample].name, "gate", "" if now == sha else f"{other}; run `cytof run`"))
    rows += [(s, "gate", "is in the sample sheet and not in the results; run `cytof run`")
             for s in paths if s not in recorded]  # fmt: skip
    return rows


def _recorded(file: Path) -> dict[str, str]:
    """Return sample -> sha256 of its file, as ``run.json`` has them."""
    inputs = json.loads(file.read_text("utf-8"))["inputs"]
    return {str(sample): str(was["sha256"]) for sample, was in inputs.items()}


def _outputs(study: Study, stage: str) -> list[tuple[str, str, str]]:
    done = provenance.read_done(study.out, stage)
    if done is None or not done.key:
        return [(stage, stage, "was stopped before its end; run `cytof run`")]
    off = set(provenance.changed(study.out, done))
    told = {True: "is not there any more; run `cytof run`", False: "changed since it was written; run `cytof run`"}
    return [(n, stage, told[not (study.out / n).exists()] if n in off else "") for n in done.outputs]


def _settings(study: Study) -> list[tuple[str, str, str]]:
    """Hold the stage keys against the settings, gates and sheet of now."""
    other = "made with other settings, gates or sheet than the study has now; run `cytof run`"
    failed, rows = failed_before(study), []
    for stage, sample, state in plan(study).itertuples(index=False):
        found = f"failed, and is not in the results: {failed[sample]}" if sample in failed else other
        rows.append((f"{stage} {sample}".strip(), stage, "" if state == "cached" else found))
    return rows
