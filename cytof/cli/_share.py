"""Commands on files and results: export, verify, deidentify, inspect."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from cytof.cli._app import StudyPath, app, read_study

__all__ = ["deidentify", "export", "inspect", "verify"]


@app.command()
def export(
    study_path: StudyPath,
    fcs: Annotated[
        bool, typer.Option("--fcs", help="FCS files with gate, subset, clusters and map as columns.")
    ] = False,
    h5ad: Annotated[
        bool, typer.Option("--h5ad", help="One h5ad of the mapped cells, for scanpy and cellxgene.")
    ] = False,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="One workbook of all tables.")] = False,
    cells_only: Annotated[bool, typer.Option("--cells-only", help="Only the events that were kept.")] = False,
) -> None:
    """Write results for other software: `--fcs` for FlowJo, Cytobank, FlowKit or R, `--h5ad`, `--xlsx`."""
    from cytof import pipeline
    from cytof.errors import UsageError

    if not (fcs or h5ad or xlsx):
        raise UsageError("say what to export", where="cytof export", hint="add `--fcs`, `--h5ad` or `--xlsx`")
    study = read_study(study_path)
    written = pipeline.export(study, cells_only=cells_only) if fcs else []
    written += [pipeline.viewer(study)] if h5ad else []
    written += [pipeline.workbook(study)] if xlsx else []
    for path in written:
        print(path)


@app.command()
def verify(study_path: StudyPath) -> None:
    """Make every hash again and say whether the results still belong to their inputs, settings and gates."""
    from cytof import pipeline
    from cytof.errors import InputError

    loaded = read_study(study_path)
    found = pipeline.verify(loaded)
    if found.faults:
        raise InputError("\n".join(found.faults), where=str(loaded.out), hint="")
    print(f"ok: {len(found)} files and stages are as recorded; the results in {loaded.out} belong to their inputs")


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
