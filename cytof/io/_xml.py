"""XML of unknown origin, read without trust: no DOCTYPE, no entities, no network, 50 MB at most.

Source: OWASP XML External Entity Prevention; lxml documentation, "Parsing XML from untrusted sources".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cytof.errors import InputError

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["MOST_BYTES", "attribute", "child", "children", "custom", "kind", "number", "read_xml"]

MOST_BYTES = 50_000_000
"""Largest XML file that is read."""


def read_xml(path: str | Path) -> _Element:
    """Return the root of an XML file; comments and processing instructions are left out.

    Raises
    ------
    InputError
        The file is not there, larger than :data:`MOST_BYTES`, not well-formed, or holds a DOCTYPE or an entity.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.xml"
    >>> _ = file.write_text("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>")
    >>> read_xml(file)
    Traceback (most recent call last):
    cytof.errors.InputError: a.xml: holds a DOCTYPE, which gate files never need; do not trust it
    """
    from lxml import etree

    path = Path(path)
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MOST_BYTES else b""
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from None
    if size > MOST_BYTES:
        limit = MOST_BYTES // 1_000_000
        raise InputError(f"{size / 1e6:,.0f} MB, expected at most {limit} MB of XML", where=path.name)
    if re.search(rb"<!\s*(DOCTYPE|ENTITY)", data.replace(b"\0", b""), re.IGNORECASE):
        raise _doctype(path)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, dtd_validation=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{path.name}:{line}" if line else path.name
        reason = re.sub(r"\s*\(<string>.*\)$|, line \d+.*$", "", str(error) or "empty file")
        raise InputError(f"not well-formed XML: {reason}", where=place) from None
    info = root.getroottree().docinfo
    if info.doctype or info.internalDTD is not None:
        raise _doctype(path)
    return root


def _doctype(path: Path) -> InputError:
    return InputError(
        "holds a DOCTYPE, which gate files never need",
        where=path.name,
        hint="do not trust it",
    )


def kind(element: _Element) -> str:
    """Return the element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def children(element: _Element, name: str) -> Iterator[_Element]:
    """Yield the child elements of a name, whatever their namespace."""
    return (e for e in element if isinstance(e.tag, str) and kind(e) == name)


def child(element: _Element, *names: str) -> _Element | None:
    """Return the first child of this name, and of that its first child of the next name, and so on; or None."""
    for name in names:
        found = next(children(element, name), None)
        if found is None:
            return None
        element = found
    return element


def attribute(element: _Element, name: str, default: str = "") -> str:
    """Return an attribute, whatever its namespace."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return default


def number(element: _Element, name: str, default: float | None = None) -> float:
    """Return an attribute as a finite number.

    Raises
    ------
    ValueError
        There is none and no default, or it is not a finite number; the text says which.
    """
    text = attribute(element, name)
    if not text.strip() and default is not None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{kind(element)} has {name}={text!r}, expected a number")
    return value


def custom(element: _Element, *names: str) -> str:
    """Return the text of an element in ``custom_info``, for instance ``custom(gate, "cytobank", "name")``."""
    found = child(element, "custom_info", *names)
    return (found.text or "").strip() if found is not None else ""
