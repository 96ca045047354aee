"""Commands at the beginning of a study: doctor, demo, new, check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cytof.cli._app import StudyPath, app, progress, read_study

__all__ = ["check", "demo", "doctor", "new"]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the synthetic patient and its results.")] = Path(
        "demo"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another synthetic patient.")] = 0,
    scenario: Annotated[
        str, typer.Option("--scenario", help="`paper`, or `gd`: host gamma-delta T cells are DN too.")
    ] = "paper",
    scale: Annotated[
        float, typer.Option("--scale", help="Share of the events; 0.1 is quick.", min=0.01, max=1.0)
    ] = 1.0,
) -> None:
    """Write a SYNTHETIC patient (four visits over five years) and run everything on it.

    Ends with the path of report.html. Nothing is downloaded, nothing outside the folder is touched.
    """
    from cytof import datasets, pipeline
    from cytof.errors import UsageError

    there = out / "study.yaml"
    if there.exists() and not there.read_text("utf-8", "replace").startswith("# SYNTHETIC"):
        raise UsageError("holds a study of yours, which the demo would overwrite", where=str(there), hint="use --out")
    with progress() as say:
        file = datasets.patient(out, scenario=scenario, random_state=seed, scale=scale)
        say("demo", "", f"synthetic patient in {out}")
        page = pipeline.run(read_study(file), say=say)
    print(page)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the new study.")],
    files: Annotated[list[Path], typer.Argument(metavar="FCS...", help="FCS files, one a sample.")],
    name: Annotated[str | None, typer.Option("--name", help="Title of the study.")] = None,
) -> None:
    """Begin a study: writes study.yaml, samples.csv and, where no shipped panel fits the channels, panel.csv.

    Then fill in `timepoint` and `day` (days since infusion) in samples.csv, and run `cytof check DIR`.
    """
    from cytof import study

    print(study.new(folder, files, name=name))
    print(
        f"next: fill in `timepoint` and `day` in {folder / 'samples.csv'}, then `cytof check {folder}`", file=sys.stderr
    )


@app.command()
def check(study_path: StudyPath) -> None:
    """Check every file, channel, gate and date, and list all faults at once, before hours of work."""
    from cytof import pipeline
    from cytof.errors import raise_all

    found = pipeline.check(read_study(study_path))
    for caution in found.cautions:
        print(f"note: {caution}", file=sys.stderr)
    if len(found.table):
        print(found.table.to_string(index=False))
    places = found.compatibility
    if places.shape[1] > 12:  # of many samples, the antigens on which they differ
        places = places[places.drop(columns="found").nunique(axis=1) > 1]
    if len(places):
        print(
            "\nchannel of each antigen in each sample\n" + places.replace("", "-").reset_index().to_string(index=False)
        )
        print()
    raise_all(found.faults)
    print("ok: this study can be run")


@app.command()
def doctor(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where results would go.")] = Path(),
) -> None:
    """Look at this machine: versions, threads, memory, disk, optional parts, and how to install what is missing."""
    from cytof import pipeline

    found = pipeline.doctor(folder)
    width = found["part"].str.len().max()
    for part, what, state, remedy in found.itertuples(index=False):
        print(f"{state:<8} {part:<{width}}  {what}" + (f"; {remedy}" if remedy else ""))
