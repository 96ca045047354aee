"""The door of the room: the pages of a study, served on this machine or shown in a notebook."""

from __future__ import annotations

import importlib.util
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cytof.app._atlas import Atlas
from cytof.app._desk import Desk
from cytof.app._explore import fill_explore
from cytof.app._guard import serve
from cytof.app._review import fill_review
from cytof.errors import UsageError
from cytof.gate import Gating
from cytof.study import Study, load

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["review"]


def review(
    study: Study | str | Path, *, author: str = "", host: str = "127.0.0.1", port: int = 0, exposed: bool = False,
    browse: bool = False, say: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Serve the review of a study until it is interrupted; in Jupyter, show it in the cell.

    Parameters
    ----------
    study
        A study after ``cytof gate``, its ``study.yaml`` or folder.
    author
        Who reviews; the page asks where it is blank.
    host, port
        Where to listen; this machine alone and a free port by default.
    exposed
        Needed for a host that others reach.
    browse
        Open the page in the browser.
    say
        Called with the address to open, which holds the secret of this start.

    Raises
    ------
    UsageError
        Bokeh is not installed, or the host is reached by others and ``exposed`` is not set.
    InputError
        The study has not been gated.

    Examples
    --------
    ``cytof.app.review("my_study")`` prints ``http://127.0.0.1:40261/review?token=...``
    """
    pages = _pages(study, author)
    if _in_notebook():
        from bokeh.io import output_notebook, show

        output_notebook(hide_banner=True)
        show(next(iter(pages.values())))
        return
    server, address = serve(pages, host=host, port=port, exposed=exposed)
    for path in pages:
        say(address.replace("/review", path))
    if browse:
        webbrowser.open(address)
    try:
        server.io_loop.start()
    finally:
        server.stop()


def _in_notebook() -> bool:
    """Tell whether Jupyter runs this."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in getattr(shell, "config", {})


def _pages(study: Study | str | Path, author: str) -> dict[str, Callable[[Document], None]]:
    if importlib.util.find_spec("bokeh") is None:
        raise UsageError("Bokeh is not installed", where="cytof review", hint="pip install 'cytof[app]'")
    loaded = study if isinstance(study, Study) else load(study)
    opened: dict[str, Gating] = {}
    first = Desk(loaded, author, opened)  # what is wrong with the study is told here, not on the page
    first.opened(first.sample)
    pages: dict[str, Callable[[Document], None]] = {
        "/review": lambda doc: fill_review(doc, Desk(loaded, author, opened))
    }
    if (loaded.out / "cells.h5ad").exists():
        pages["/explore"] = lambda doc: fill_explore(doc, Atlas(loaded), author)
    return pages
