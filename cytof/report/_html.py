"""report.html: one file that opens from a mail attachment; every string from a study is text, never markup.

The page asks no server for anything. Its content security policy allows the one style sheet and the one script (table
sorting) that are in it, by their hashes, and pictures that are in it: a script smuggled in with a name would not run.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from cytof.report._figures import Drawn

__all__ = ["Chapter", "Item", "as_table", "figure_item", "page", "table_item"]

_PIXELS = 1500  # width of a picture in the page; the 300 dpi file lies beside it
_WIDTH = 1080  # CSS pixels of a figure of two columns


@dataclass(frozen=True)
class Item:
    """A figure or a table of a chapter; ``folded`` tables open on a click."""

    title: str
    figure: Mapping[str, Any] | None = None
    table: Mapping[str, Any] | None = None
    folded: bool = False


@dataclass(frozen=True)
class Chapter:
    """One chapter of the page; ``worries`` None: no such box."""

    id: str
    title: str
    items: Sequence[Item] = ()
    texts: Sequence[str] = ()
    answer: str = ""
    cards: Sequence[Mapping[str, str]] = ()
    worries: Sequence[str] | None = field(default=None)


def page(study_name: str, subtitle: str, chapters: Sequence[Chapter], footer: str) -> str:
    """Return the whole page as text.

    Parameters
    ----------
    study_name, subtitle, footer
        Plain text; escaped, like everything that goes into the page.
    chapters
        In order.

    Examples
    --------
    >>> html = page("<img onerror=alert(1)>", "", [Chapter("a", "Summary", texts=["x < y"])], "")
    >>> "<img" in html, "&lt;img onerror=alert(1)&gt;" in html, "x &lt; y" in html
    (False, True, True)
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = resources.files("cytof.report") / "templates"
    css, js = ((templates / name).read_text("utf-8").replace("\r\n", "\n") for name in ("report.css", "report.js"))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(css)}'; script-src '{_digest(js)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        loader=PackageLoader("cytof.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["file_name"] = _file_name
    return environment.get_template("report.html").render(
        study_name=study_name, subtitle=subtitle, chapters=chapters, footer=footer, policy=policy,
        css=Markup(css), js=Markup(js),
    )  # fmt: skip


def _file_name(title: str) -> str:
    """Return a title as the name of a file."""
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "table"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def figure_item(drawn: Drawn) -> Item:
    """Return a figure as an item: its picture (smaller, 256 colours) and legend, or why it was not drawn."""
    data, width, height = _picture(drawn.png) if drawn.png else ("", 0, 0)
    figure = {
        "id": drawn.name, "title": drawn.title, "legend": drawn.legend, "skipped": drawn.skipped, "data": data,
        "width": width, "height": height, "wide": width >= _WIDTH, "files": ", ".join(p.name for p in drawn.files),
    }  # fmt: skip
    return Item(drawn.title, figure=figure)


def _picture(path: Path) -> tuple[str, int, int]:
    """Return a PNG as base64 of a smaller one, with its size in CSS pixels."""
    from PIL import Image

    with Image.open(path) as file:
        image = file.convert("RGB")
    full = image.width
    if full > _PIXELS:
        image = image.resize((_PIXELS, round(image.height * _PIXELS / full)), Image.Resampling.HAMMING)
    width = min(_WIDTH, round(full / 2))  # two columns at 300 dpi: 2161
    sample = image.resize((max(image.width // 4, 1), max(image.height // 4, 1)), Image.Resampling.NEAREST)
    palette = sample.quantize(256, dither=Image.Dither.NONE)  # of a sixteenth of the pixels: ten times as fast
    palette.putpalette(_white_kept(palette.getpalette() or []))
    small, out = image.quantize(palette=palette, dither=Image.Dither.NONE), io.BytesIO()
    small.save(out, format="PNG", optimize=False)
    return base64.b64encode(out.getvalue()).decode(), width, round(width * image.height / image.width)


def _white_kept(palette: Sequence[int]) -> list[int]:
    """Return the palette with what is nearly white made white: the paper of a figure is the page's."""
    colors = [palette[i : i + 3] for i in range(0, len(palette), 3)]
    return [v for c in colors for v in ([255] * 3 if min(c) >= 248 else c)]


def table_item(
    title: str, table: pd.DataFrame, *, folded: bool = False, flag: str | None = None, percent: Sequence[str] = ()
) -> Item:
    """Return a table as an item (see :func:`as_table`)."""
    return Item(title, table=as_table(table, flag=flag, percent=percent), folded=folded)


def as_table(table: pd.DataFrame, *, flag: str | None = None, percent: Sequence[str] = ()) -> dict[str, Any]:
    """Return heads and rows for the page: numbers to the right, with their full value to sort by.

    Parameters
    ----------
    table
        Tidy table.
    flag
        Column; rows with text in it are marked.
    percent
        Columns with shares (0-1) to be shown in percent.

    Examples
    --------
    >>> import pandas as pd
    >>> made = as_table(pd.DataFrame({"gate": ["CD3+"], "share": [0.1234]}), percent=["share"])
    >>> [cell["text"] for cell in made["rows"][0]["cells"]], made["heads"][1]["name"]
    (['CD3+', '12.3'], 'share, %')
    """
    names = [str(c) for c in table.columns]
    kinds = [table.dtypes.iloc[i].kind in "fiu" for i in range(len(names))]
    heads = [
        {"name": (f"{n}, %" if n in percent else n).replace("_", " "), "raw": n, "number": k}
        for n, k in zip(names, kinds, strict=True)
    ]
    rows = []
    for values in table.itertuples(index=False, name=None):
        cells = [_cell(v, k, n in percent) for v, k, n in zip(values, kinds, names, strict=True)]
        flagged = bool(flag) and bool(_text(values[names.index(str(flag))]).strip())
        rows.append({"cells": cells, "flagged": flagged})
    return {"heads": heads, "rows": rows}


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _cell(value: Any, is_number: bool, percent: bool) -> dict[str, Any]:
    if not is_number or value is None or value != value:
        return {"text": _text(value), "value": None, "long": len(_text(value)) > 40}
    number = float(value) * (100 if percent else 1)
    if percent:
        text = f"{number:.3g}" if abs(number) < 99.95 else f"{number:.0f}"
    elif float(number).is_integer() and abs(number) < 1e15:
        text = f"{int(number):,}"
    else:
        text = f"{number:.2e}" if 0 < abs(number) < 1e-3 else f"{number:.3g}" if abs(number) < 1e4 else f"{number:,.0f}"
    return {"text": text, "value": repr(float(value)), "long": False}
