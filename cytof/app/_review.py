"""The review page: samples and gate tree at the left, the gate in the middle, what a change does at the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cytof.app._desk import SCOPES, Desk
from cytof.app._multiples import Multiples
from cytof.app._picture import GatePicture
from cytof.app._shell import KEYS_HELP, LIST_STYLE, keyboard, monospaced
from cytof.errors import CytofError

if TYPE_CHECKING:
    from bokeh.document import Document

__all__ = ["change_text", "fill_review"]

_NUDGE = 0.05


def fill_review(doc: Document, desk: Desk) -> None:
    """Fill a Bokeh document with the review of a desk; every session has a desk of its own.

    Parameters
    ----------
    doc
        New document.
    desk
        What is reviewed.
    """
    page = _Page(desk)
    page.doc = doc
    doc.title = "cytof review"
    page.layout.children.append(keyboard(doc, page.keys))
    doc.add_root(page.layout)


class _Page:
    """Widgets of the page and what happens when they are used; all numbers come from the desk."""

    def __init__(self, desk: Desk) -> None:
        from bokeh.layouts import column, row
        from bokeh.models import Button, MultiSelect, Paragraph, PreText, RadioButtonGroup, Select, TextInput

        self.desk, self.busy, self.scheduled = desk, False, False
        self.wanted: np.ndarray | None = None
        self.doc: Document | None = None
        self.sample = Select(title="Sample, the most unusual first", width=300)
        self.tree = MultiSelect(
            title=f"{'gate':<23}{'events':>9}{'% parent':>10}", size=20, width=305, stylesheets=[LIST_STYLE]
        )
        self.why = Paragraph(text="", width=300)
        self.picture = GatePicture(self._dragged)
        self.count = Paragraph(text="", width=560, height=20, styles={"font-weight": "600", "font-size": "14px"})
        self.message = Paragraph(text="", width=560, height=20, styles={"color": "#b45309"})
        self.author = TextInput(title="Who reviews", value=desk.author, width=330)
        self.note = TextInput(title="Why the gate is changed (required)", width=330)
        self.scope = RadioButtonGroup(labels=list(SCOPES), active=0, width=330)
        buttons = [
            ("Save change  [s]", "save", "success"), ("Put back  [Esc]", "reset", "default"),
            ("Undo  [u]", "undo", "default"), ("Redo  [r]", "redo", "default"),
            ("Gate is right  [a]", "accept", "primary"), ("Next sample  [n]", "next_sample", "default"),
        ]  # fmt: skip
        self.buttons = {name: Button(label=label, button_type=kind, width=160) for label, name, kind in buttons}
        self.change = PreText(text="", width=330, height=170, styles=monospaced())
        self.help = PreText(text=KEYS_HELP, width=330, styles=monospaced(11))
        for name, button in self.buttons.items():
            button.on_click(self._guarded(getattr(self, f"_{name}")))
        self.sample.on_change("value", lambda _, old, new: self._turn(sample=new))
        self.tree.on_change("value", lambda _, old, new: self._turn(path=new[0]) if new else None)
        self.author.on_change("value", lambda _, old, new: setattr(self.desk, "author", new.strip()))
        pairs = [row(*list(self.buttons.values())[i : i + 2]) for i in (0, 2, 4)]
        right = column(self.author, self.scope, self.note, *pairs, self.change, self.help, width=340)
        left = column(self.sample, self.why, self.tree, width=315)
        top = row(left, column(self.count, self.message, self.picture.figure, width=580), right)
        self.multiples = Multiples(len(desk.order), lambda sample: self._turn(sample=sample))
        self.layout = column(top, self.multiples.layout)
        self._guarded(self._show)()

    def keys(self, key: str) -> None:
        """Do what a key stands for."""
        actions: dict[str, Callable[[], None]] = {
            "s": self._save, "u": self._undo, "r": self._redo, "a": self._accept, "Escape": self._reset,
            "n": self._next_sample, "p": lambda: self._step_sample(-1), "j": lambda: self._step_gate(1),
            "k": lambda: self._step_gate(-1), "]": lambda: self.picture.choose(1), "[": lambda: self.picture.choose(-1),
        }  # fmt: skip
        moves = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowDown": (0, -1), "ArrowUp": (0, 1)}
        if key in moves:
            self._guarded(lambda: self.picture.nudge(*moves[key], _NUDGE))()
        elif key in actions:
            self._guarded(actions[key])()

    def _guarded(self, do: Callable[[], None]) -> Callable[..., None]:
        """Show an expected fault as a line on the page; nothing breaks off a review."""

        def run(*_: Any) -> None:
            try:
                do()
            except CytofError as error:
                self._say(str(error))

        return run

    def _say(self, text: str) -> None:
        self.message.text = text.replace("\n", "; ")

    def _turn(self, sample: str | None = None, path: str | None = None) -> None:
        if self.busy or (sample or self.desk.sample, path or self.desk.path) == (self.desk.sample, self.desk.path):
            return
        self.wanted = None
        self.desk.look_at(sample, path)
        self._say("")
        self._guarded(self._show)()

    def _show(self) -> None:
        """Bring everything on the page up to date with the desk."""
        self.busy = True
        try:
            desk = self.desk
            order = desk.order
            self.sample.options = [
                (s, f"{s}   {w}" if w else s) for s, w in zip(order.sample_id, order.why, strict=True)
            ]
            self.sample.value = desk.sample
            row = order[order["sample_id"] == desk.sample].iloc[0]
            self.why.text = f"look at {row['gate'].rsplit('/', 1)[-1]}: {row['why']}" if row["why"] else ""
            self.picture.show(desk)
            self.multiples.show(desk)
            self._numbers()
        finally:
            self.busy = False

    def _numbers(self) -> None:
        """Counts of the gate, of the tree and of what a change does."""
        desk, tree = self.desk, self.desk.tree()
        busy, self.busy = self.busy, True
        self.tree.options = [(r.gate, _tree_line(r)) for r in tree.itertuples()]
        self.tree.value = [desk.path]
        self.busy = busy
        here = tree[tree["gate"] == desk.path].iloc[0]
        name = desk.path.rsplit("/", 1)[-1]
        self.count.text = (
            f"{desk.sample}   {name}   {here['n']:,} events   {100 * here['of_parent']:.4g} % of parent   "
            f"{100 * here['of_cd45']:.4g} % of CD45+"
        )
        self.change.text = change_text(desk.downstream()) if desk.trial is not None else "no change that is not saved"

    def _dragged(self, points: np.ndarray) -> None:
        """Try the gate out where it was dragged; moves that come while counting are passed over but for the last."""
        self.wanted = points
        if not self.scheduled and self.doc is not None:
            self.scheduled = True
            self.doc.add_next_tick_callback(self._try_out)

    def _try_out(self) -> None:
        self.scheduled = False
        points, self.wanted = self.wanted, None
        if points is None:  # put back, or turned to another gate, in the meantime
            return
        try:
            self.desk.drag(points)
            self.picture.redraw(self.desk)
            self._numbers()
            self._say("")
        except CytofError as error:
            self._say(str(error))

    def _save(self) -> None:
        if self.wanted is not None:
            self._try_out()
        n = self.desk.save(self.note.value, SCOPES[self.scope.active])
        self.note.value = ""
        self._show()
        self._say(f"saved for {n} sample{'s' * (n != 1)} in overrides.yaml; `cytof gate` uses it")

    def _reset(self) -> None:
        self.wanted = None
        self.desk.look_at()
        self._show()
        self._say("put back")

    def _undo(self) -> None:
        done = self.desk.undo()
        self._show()
        self._say("undone" if done else "nothing to undo")

    def _redo(self) -> None:
        done = self.desk.redo()
        self._show()
        self._say("done again" if done else "nothing to redo")

    def _accept(self) -> None:
        self.desk.accept()
        self._step_gate(1)
        self._say("noted that it is right")

    def _next_sample(self) -> None:
        self._step_sample(1)

    def _step_sample(self, by: int) -> None:
        names = list(self.desk.order["sample_id"])
        name = names[(names.index(self.desk.sample) + by) % len(names)]
        row = self.desk.order[self.desk.order["sample_id"] == name].iloc[0]
        self._turn(sample=name, path=str(row["gate"]))

    def _step_gate(self, by: int) -> None:
        paths = [p for p in self.desk.template.paths if self.desk.drawable(p)]
        at = paths.index(self.desk.path) if self.desk.path in paths else -1
        self._turn(path=paths[(at + by) % len(paths)])


def _tree_line(row: Any) -> str:
    mark = "\u2713" if row.accepted else " "
    name = " " * row.depth + row.gate.rsplit("/", 1)[-1]
    return f"{mark}{name[:22]:<22}{row.n:>10,}{100 * row.of_parent:>8.2f}".replace(" ", "\u00a0")


def change_text(table: pd.DataFrame) -> str:
    """Return what a change does as lines of text: gate, events before, after.

    Examples
    --------
    >>> print(change_text(pd.DataFrame({"gate": ["CD3+/CAR+"], "before": [812.0], "after": [640.0]})))
    gate             before     after
    CAR+                812       640
    """
    lines = [f"{'gate':<14}{'before':>9}{'after':>10}"]
    for row in table.itertuples():
        name = str(row.gate).rsplit("/", 1)[-1]
        parent = str(row.gate).split("/")[-2] if table["gate"].str.endswith("/" + name).sum() > 1 else ""
        said = f"{parent}/{name}" if parent else name
        lines.append(f"{said[:13]:<14}{int(row.before):>9,}{int(row.after):>10,}")
    return "\n".join(lines)
