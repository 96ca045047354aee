"""The Typer application, and what every command shares: progress lines, the study, refusal of its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cytof.study import Study

__all__ = ["Strict", "StudyPath", "app", "progress", "read_study", "refuse_faults"]

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


@contextmanager
def progress() -> Iterator[Callable[[str, str, str], None]]:
    """Give the callback the stages report to: a line each, and on a terminal a spinner with the time that passed."""
    from rich.console import Console
    from rich.text import Text

    class Lines(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True  # nobody reads the lines any more; the work goes on

    console = Lines(stderr=True, highlight=False)

    def line(stage: str, sample: str, found: str) -> None:
        words = f" {sample + ': ' if sample else ''}{found}"  # as it is: names may look like marks of style
        console.print(Text.assemble((f"{stage:<8}", "bold"), words), soft_wrap=True)

    if not console.is_terminal:
        yield line
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("working")

        def step(stage: str, sample: str, found: str) -> None:
            line(stage, sample, found)
            bar.update(task, description=f"{stage} {sample}".strip())

        yield step


def read_study(path: Path) -> Study:
    """Return the study of a ``study.yaml``, or of the folder that holds it."""
    from cytof import study

    return study.load(path)


def refuse_faults(loaded: Study, *, strict: bool = True) -> None:
    """Stop before hours of work when the study has faults, all of them in one list.

    Without ``strict`` a file that cannot be read stops nothing as long as others can: the run tells of it at its end.
    """
    from cytof import study
    from cytof.errors import FCSError, raise_all

    found = study.check(loaded)
    bad = [f for f in found.faults if isinstance(f, FCSError)]
    lenient = not strict and len(found.table)
    raise_all([f for f in found.faults if not (lenient and f in bad)])
