"""The command of the clinical wing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cytof.cli._app import app, read_study

__all__ = ["clinical"]


@app.command()
def clinical(
    patients: Annotated[Path, typer.Argument(metavar="PATIENTS.csv", help="One row a patient: CSV, TSV or XLSX.")],
    study: Annotated[
        Path | None,
        typer.Option(
            "--study",
            metavar="STUDY",
            help="Join this study's CAR T course by patient_id; add a chapter to its report.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; `clinical` beside the patients' file.")] = None,
    rule: Annotated[str, typer.Option("--rule", help="What censors: FDA, EMA or IMWG.")] = "FDA",
    cutoff: Annotated[str | None, typer.Option("--cutoff", help="Data cut-off, YYYY-MM-DD.")] = None,
    covariates: Annotated[
        str | None, typer.Option("--covariates", help="Baseline columns, separated by commas.")
    ] = None,
    day_first: Annotated[
        bool | None, typer.Option("--day-first/--month-first", help="How to read dates such as 03/04/2017.")
    ] = None,
    impute: Annotated[
        str | None, typer.Option("--impute", help="Day of dates without one: first, mid or last.")
    ] = None,
) -> None:
    """Write every table, survival curve and figure of a cohort: clinical.html, tables/, figures/."""
    from cytof import report

    results = None if study is None else read_study(study).out
    folder = out or (patients.parent if results is None else results) / "clinical"
    named = [c.strip() for c in covariates.split(",") if c.strip()] if covariates else None
    print(report.clinical(patients, folder, rule=rule, cutoff=cutoff, covariates=named, day_first=day_first,
                          impute=impute, study=results))  # fmt: skip
    if results is not None and (results / "report.html").is_file():
        print(f"{results / 'report.html'}: clinical chapter")
