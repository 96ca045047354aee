"""What both pages share: keys that reach Python, a monospaced text that runs no HTML, the look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bokeh.document import Document
    from bokeh.models import LayoutDOM

__all__ = ["KEYS_HELP", "LIST_STYLE", "keyboard", "monospaced"]

KEYS_HELP = """j k   next, last gate      n p  next, last sample
arrows  move the handle   [ ]  choose another handle
s save   u undo   r redo   a right   Esc put back"""

LIST_STYLE = """
:host select, :host label { font-family: monospace; font-size: 12px; white-space: pre; }
:host select { padding: 4px; }
"""
"""Style of a list whose lines are columns."""

_LISTEN = """
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  let at = document.activeElement;
  while (at && at.shadowRoot && at.shadowRoot.activeElement) at = at.shadowRoot.activeElement;
  const writing = at && (at.tagName === "TEXTAREA" || (at.tagName === "INPUT" && at.type === "text"));
  if (writing) { if (e.key === "Escape") at.blur(); return; }
  const listing = at && at.tagName === "SELECT";
  if (listing && e.key.startsWith("Arrow")) return;
  if (!keys.includes(e.key)) return;
  e.preventDefault();
  field.value = `${e.key} ${Number(field.value.split(" ")[1]) + 1}`;
});
"""


def keyboard(doc: Document, act: Callable[[str], None]) -> LayoutDOM:
    """Call ``act`` with each key that is pressed outside of a text field.

    Parameters
    ----------
    doc
        The document; listens once it is on the screen.
    act
        Called with the key's name (``s``, ``ArrowLeft``).

    Returns
    -------
    A hidden field through which the keys come; it has to stand in the layout.
    """
    from bokeh.events import DocumentReady
    from bokeh.models import CustomJS, TextInput

    keys = list("surajknp[]") + ["Escape", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]
    field = TextInput(value=" 0", visible=False, name="keys")
    field.js_on_change("tags", CustomJS(args={"field": field, "keys": keys}, code=_LISTEN))
    doc.on_event(DocumentReady, lambda _: setattr(field, "tags", ["listening"]))
    field.on_change("value", lambda _, old, new: act(new.split(" ")[0]))
    return field


def monospaced(size: int = 12) -> dict[str, Any]:
    """Return the style of a text in columns."""
    return {"font-family": "monospace", "font-size": f"{size}px", "white-space": "pre", "margin": "0"}
