"""The command that opens a screen: review."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cytof.cli._app import StudyPath, app, read_study

__all__ = ["review"]


@app.command()
def review(
    study_path: StudyPath,
    author: Annotated[str, typer.Option("--author", help="Who reviews; the page asks where it is blank.")] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; a free one by default.")] = 0,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    exposed: Annotated[
        bool, typer.Option("--exposed", help="Let others reach the page: whoever has its address can change gates.")
    ] = False,
    browse: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Review gates and explore clusters in a local page (after `cytof gate`); ends with Ctrl+C.

    Prints the addresses of both pages. They are served to this machine alone, and hold a secret of this start.
    """
    from cytof.app import review as serve

    def say(address: str) -> None:
        print(address, flush=True)

    print("open an address in a browser; Ctrl+C ends the review", file=sys.stderr)
    serve(read_study(study_path), author=author, host=host, port=port, exposed=exposed, browse=browse, say=say)
