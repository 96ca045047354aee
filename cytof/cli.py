"""The command ``cytof``: one command a stage, the same words as the rooms.

Results go to standard output, everything else to standard error. Exit codes: 0 ok; 1 a bug of ours; 2 usage or
configuration; 3 input data; 4 the run ended, but some samples failed; 5 disk or memory; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cytof.errors import CytofError

if TYPE_CHECKING:
    from cytof.study import Study

__all__ = [
    "app", "check", "cluster", "compare", "deidentify", "demo", "export", "gate", "inspect", "main", "new", "report",
    "run", "track",
]  # fmt: skip

app = typer.Typer(
    name="cytof",
    help=(
        "Mass cytometry of CAR T persistence: FCS files in, gated CAR T cells, clusters, maps, tracking, "
        "marker comparison, figures and a report out.\n\n"
        "Try it:  cytof demo\n\n"
        "Your own files:  cytof new my_study data/*.fcs   fill in my_study/samples.csv   cytof check my_study   "
        "cytof run my_study"
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="study.yaml, or the folder that holds it")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Stop at the first sample that fails; otherwise the others go on.")
]


def main() -> None:
    """Run the command; every expected fault ends in one clear line and its exit code."""
    try:
        app(prog_name="cytof")
    except SystemExit as ended:
        if ended.code == 130:
            print("interrupted; what was written is whole. Run the same command again to go on.", file=sys.stderr)
        raise
    except CytofError as error:
        _fail(f"error: {error}", error.exit_code)
    except MemoryError:
        _fail("error: not enough memory; close other programs, or run fewer samples at a time", 5)
    except Exception as error:  # the last door: a bug of ours is told in one line, with a way to see it all
        if os.environ.get("CYTOF_DEBUG"):
            raise
        line = f"error: this is a bug in cytof: {type(error).__name__}: {error}"
        _fail(f"{line}\nSet CYTOF_DEBUG=1 and run the command again to see where; please report it.", 1)


def _fail(text: str, code: int) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr)
    sys.exit(code)


@contextmanager
def _progress() -> Iterator[Callable[[str, str, str], None]]:
    """Give the callback the stages report to: a line each, and on a terminal a spinner with the time that passed."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)

    def line(stage: str, sample: str, found: str) -> None:
        console.print(f"[bold]{stage:<8}[/bold] {sample + ': ' if sample else ''}{found}", soft_wrap=True)

    if not console.is_terminal:
        yield line
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("working")

        def step(stage: str, sample: str, found: str) -> None:
            line(stage, sample, found)
            bar.update(task, description=f"{stage} {sample}".strip())

        yield step


def _study(path: Path) -> Study:
    from cytof import study

    return study.load(path)


def _refuse_faults(loaded: Study) -> None:
    """Stop before hours of work when the study has faults, all of them in one list."""
    from cytof import study
    from cytof.errors import raise_all

    raise_all(study.check(loaded).faults)


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
    with _progress() as say:
        file = datasets.patient(out, scenario=scenario, random_state=seed, scale=scale)
        say("demo", "", f"synthetic patient in {out}")
        page = pipeline.run(_study(file), say=say)
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
    from cytof import study
    from cytof.errors import raise_all

    found = study.check(_study(study_path))
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
def gate(
    study_path: StudyPath,
    source: Annotated[
        Path | None,
        typer.Option("--import", metavar="FILE", help="Take the gates of a Gating-ML, Cytobank or FlowJo (.wsp) file."),
    ] = None,
    car: Annotated[str | None, typer.Option("--car", help="With --import: the population of CAR T cells.")] = None,
    keep: Annotated[str | None, typer.Option("--keep", help="With --import: the population that goes on.")] = None,
    strict: Strict = False,
) -> None:
    """Clean and gate every file: gated/*.h5ad, Gating-ML, a page of gates a sample, counts, thresholds, blanks."""
    from cytof import pipeline
    from cytof.errors import SampleFailures, UsageError

    loaded = _study(study_path)
    if source is None and (car or keep):
        raise UsageError("--car and --keep go with --import", hint="without it, set `gate.keep` in study.yaml")
    if source is not None:
        loaded = loaded.model_copy(update={"gates": "none"})
    _refuse_faults(loaded)
    with _progress() as say:
        if source is not None:
            failed = pipeline.gate_imported(loaded, source, car=car, keep=keep, strict=strict, say=say)
        else:
            failed = pipeline.gate(loaded, strict=strict, say=say)
        pipeline.gate_pages(loaded, say=say)
    print(loaded.out / "gated")
    if failed:
        lines = "\n".join(f"  {sample}: {error}" for sample, error in failed.items())
        raise SampleFailures(f"{len(failed)} of the samples failed:\n{lines}")


def _stage(study_path: Path, name: str, result: str) -> None:
    from cytof import pipeline

    loaded = _study(study_path)
    with _progress() as say:
        stage: Any = getattr(pipeline, name)
        stage(loaded, say=say)
    print(loaded.out / result)


@app.command()
def cluster(study_path: StudyPath) -> None:
    """FlowSOM, PhenoGraph and t-SNE of the CAR T cells (after `cytof gate`): cells.h5ad."""
    _stage(study_path, "cluster", "cells.h5ad")


@app.command()
def track(study_path: StudyPath) -> None:
    """Follow shares, subsets and clusters over the visits (after `cytof cluster`): tables/*.csv."""
    _stage(study_path, "track", "tables")


@app.command()
def compare(study_path: StudyPath) -> None:
    """Test markers between visits, and CAR T against host T (after `cytof cluster`): tables/markers_*.csv."""
    _stage(study_path, "compare", "tables")


@app.command()
def report(study_path: StudyPath) -> None:
    """Draw the figures, write the methods text and report.html (after `cytof compare`)."""
    _stage(study_path, "report", "report.html")


@app.command()
def run(study_path: StudyPath, strict: Strict = False) -> None:
    """Do everything: gate, cluster, track, compare, report. Ends with the path of report.html."""
    from cytof import pipeline

    loaded = _study(study_path)
    _refuse_faults(loaded)
    with _progress() as say:
        page = pipeline.run(loaded, strict=strict, say=say)
    print(page)


@app.command()
def export(
    study_path: StudyPath,
    fcs: Annotated[
        bool, typer.Option("--fcs", help="FCS files with gate, subset, clusters and map as columns.")
    ] = False,
    cells_only: Annotated[bool, typer.Option("--cells-only", help="Only the events that were kept.")] = False,
) -> None:
    """Write results for other software (after `cytof cluster`): `--fcs` for FlowJo, Cytobank, FlowKit or R."""
    from cytof import pipeline
    from cytof.errors import UsageError

    if not fcs:
        raise UsageError("say what to export", where="cytof export", hint="add `--fcs`")
    for path in pipeline.export(_study(study_path), cells_only=cells_only):
        print(path)


@app.command()
def deidentify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.fcs...", help="FCS files to copy.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the copies; not that of the files.")],
    salt: Annotated[
        str, typer.Option("--salt", envvar="CYTOF_SALT", help="Secret of your laboratory, at least 8 characters.")
    ] = "",
    first_day: Annotated[
        str | None, typer.Option("--first-day", help="Day of infusion, YYYY-MM-DD: dates become days since then.")
    ] = None,
    scan: Annotated[
        bool, typer.Option("--scan", help="Then search every byte of the copies for what was dropped; fail if found.")
    ] = False,
) -> None:
    """Copy FCS files without names, dates, operators and ids, under new names; the events stay the same."""
    from cytof import io
    from cytof.errors import InputError, UsageError

    if not salt:
        raise UsageError(
            "no salt given",
            where="cytof deidentify",
            hint="set CYTOF_SALT to a secret of your laboratory, or use --salt",
        )
    found = []
    for file in files:
        copy = io.deidentify(file, out, salt=salt, first_day=first_day)
        print(copy)
        if scan:
            found += [f"{copy}: {value!r} of {file} is still there" for value in io.left_over(copy, file)]
    if found:
        raise InputError("\n".join(found), hint="do not share these files")


@app.command()
def inspect(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.fcs...", help="FCS files to look at.")],
    panel_name: Annotated[str | None, typer.Option("--panel", help="Match the channels with this panel.")] = None,
) -> None:
    """Show what FCS files say of themselves: version, events, channels, and everything odd about them."""
    from cytof import io, panel

    markers = panel.load(panel_name) if panel_name else None
    for file in files:
        header = io.scan_fcs(file)
        print(f"{file}: {header.version}, {header.n_events:,} events x {len(header.pnn)} channels")
        table = panel.channel_table(header.pnn, header.pns)
        cautions = list(header.warnings)
        if markers is not None:
            table, more = markers.match(header.pnn, header.pns, where=str(file))
            cautions += more
        print(table.reset_index()[["channel", "pnn", "pns", "antigen", "marker_class", "role"]].to_string(index=False))
        for caution in cautions:
            print(f"note: {caution}", file=sys.stderr)
