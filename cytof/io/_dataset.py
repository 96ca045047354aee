"""One data set of an FCS file: HEADER, TEXT, supplemental TEXT and the chain to the next one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from cytof.errors import FCSError
from cytof.io._coding import Coding, coding
from cytof.io._header import Header, Notes, read_header
from cytof.io._place import Place, place
from cytof.io._text import MAX_TEXT, Text, parse_text, whole_number

__all__ = ["DataSet", "find_data_set"]

_PADDING = b" \t\r\n\0"
_KEYWORD_AHEAD = re.compile(rb"\$P\d{1,6}[NBRSE]", re.IGNORECASE)


@dataclass(frozen=True)
class DataSet:
    """HEADER, keywords, coding and place of the events of one data set.

    Examples
    --------
    >>> DataSet(Header("FCS3.1", (58, 99), None, None), {}, Coding((), (), (), "<"), Place(0, 0), "/", 0).base
    0
    """

    header: Header
    keywords: dict[str, str]
    coding: Coding
    place: Place
    delimiter: str
    base: int


def find_data_set(handle: BinaryIO, size: int, dataset: int | None, notes: Notes, trust: bool) -> DataSet:
    """Follow ``$NEXTDATA`` to the data set wanted (1 is the first; None demands that there is only one).

    Raises
    ------
    FCSError
        There are more data sets and none was named, there are fewer, or the chain is broken.
    """
    base, number = 0, 1
    wanted = dataset or 1
    while True:
        header = read_header(handle, base, size, notes)
        text = _primary_text(handle, header, base, notes)
        following = _next_base(handle, header, text, base, size, notes, strict=dataset is None or number < wanted)
        if number == wanted:
            break
        if following is None:
            raise notes.error("$NEXTDATA", f"the file has {number} data sets, dataset={wanted} was asked for")
        base, number = following, number + 1
    if dataset is None and following is not None:
        raise notes.error(
            "$NEXTDATA",
            "the file holds more than one data set",
            "say which: dataset=1 is the first, dataset=2 the next",
        )
    return _settle(handle, header, text, base, size, notes, trust)


def _settle(handle: BinaryIO, header: Header, text: Text, base: int, size: int, notes: Notes, trust: bool) -> DataSet:
    """Settle where the events of the data set that begins at ``base`` lie and how they are coded."""
    keywords = _with_supplement(handle, text, header, base, size, notes)
    code = coding(text.keywords, header.version, len(text.keywords), notes)
    where = place(header, text.keywords, code, base, size, notes, trust)
    if where.n_events:
        _check_gap(handle, header, text, base, where, where.n_events * code.event_size, notes)
    return DataSet(header, keywords, code, where, text.delimiter, base)


def _swallows_data(header: Header) -> bool:
    return header.data is not None and header.data[0] == header.text[1]


def _primary_text(handle: BinaryIO, header: Header, base: int, notes: Notes) -> Text:
    begin, end = header.text
    if end - begin + 1 > MAX_TEXT:
        raise notes.error("TEXT", f"is {(end - begin) / 2**20:.0f} MiB long, expected at most 64", "export it again")
    handle.seek(base + begin)
    raw = handle.read(end - begin + 1)
    if _swallows_data(header):
        shorter = raw[:-1].rstrip(_PADDING.replace(raw[:1], b""))
        if not shorter.endswith(raw[:1]):
            raise notes.error(
                "TEXT",
                f"its last byte {end} is the first of DATA, and no delimiter stands before it",
                "export it again",
            )
        notes.add("HEADER", f"TEXT end {end} is the first byte of DATA", "left that byte to DATA")
        raw = raw[:-1]
    try:
        return parse_text(raw, notes)
    except FCSError:
        ahead = re.escape(raw[:1]) + _KEYWORD_AHEAD.pattern + re.escape(raw[:1])
        if raw[-1:] != raw[:1] and re.search(ahead, handle.read(65_536), re.IGNORECASE):
            raise _goes_on(header, notes) from None
        raise


def _check_gap(
    handle: BinaryIO, header: Header, text: Text, base: int, where: Place, n_bytes: int, notes: Notes
) -> None:
    """Refuse a TEXT that goes on behind its stated end, or that DATA does not follow as stated."""
    begin, mark = base + header.text[1] + 1, text.delimiter.encode("latin-1")
    if text.stray and where.begin != begin - 1:
        raise notes.error(
            "TEXT", "one byte behind the last delimiter, and DATA is not said to begin there", "export the file again"
        )
    handle.seek(where.begin)
    first = handle.read(min(n_bytes, 4096))
    if re.search(re.escape(mark) + _KEYWORD_AHEAD.pattern + re.escape(mark), first, re.IGNORECASE):
        raise _goes_on(header, notes)  # TEXT grew and DATA moved, but no offset says so
    if not text.ended:
        length = first[:64].find(mark) + 1
        if 0 < length <= 32 and all(32 <= c < 127 for c in first[: length - 1]) and where.begin == begin:
            raise _goes_on(header, notes)
    if where.begin <= begin or header.analysis or whole_number(text.keywords, "$BEGINSTEXT", notes):
        return
    handle.seek(begin)
    rest = handle.read(min(where.begin - begin, 65_536)).strip(_PADDING)
    remainder = len(rest) < 64 and rest.endswith(mark) and rest.isascii()
    if _KEYWORD_AHEAD.search(rest) or remainder or (not text.ended and mark in rest):
        raise _goes_on(header, notes)


def _goes_on(header: Header, notes: Notes) -> FCSError:
    return notes.error(
        "TEXT", f"goes on behind its stated end at byte {header.text[1]}", "HEADER is wrong; export the file again"
    )


def _with_supplement(
    handle: BinaryIO, text: Text, header: Header, base: int, size: int, notes: Notes
) -> dict[str, str]:
    """Add the keywords of a supplemental TEXT that can be read; one that cannot never fails the data."""
    fields = [text.keywords.get(k, "").strip(" \0\t\r\n") for k in ("$BEGINSTEXT", "$ENDSTEXT")]
    if not any(f.strip("0") for f in fields):
        return text.keywords
    if not all(f.isascii() and f.isdigit() and len(f) < 16 for f in fields):
        notes.add("STEXT", f"offsets are {fields[0]!r:.30} to {fields[1]!r:.30}", "ignored the segment")
        return text.keywords
    begin, end = int(fields[0]), int(fields[1])
    if (begin, end) == header.text:
        return text.keywords
    if not 58 <= begin < end or base + end > size or end - begin > MAX_TEXT:
        notes.add("STEXT", f"is said to lie at {begin} to {end}", "ignored the segment")
        return text.keywords
    handle.seek(base + begin)
    raw = handle.read(end - begin + 1)
    inner = Notes(notes.path)
    try:
        if raw[:1] != text.delimiter.encode("latin-1"):
            raise inner.error("STEXT", "begins with another delimiter")
        more = parse_text(raw, inner, "STEXT").keywords
    except FCSError:
        notes.add("STEXT", f"bytes {begin} to {end} hold no keywords", "ignored the segment")
        return text.keywords
    return {**{k: v for k, v in more.items() if k.isprintable()}, **text.keywords}


def _next_base(
    handle: BinaryIO, header: Header, text: Text, base: int, size: int, notes: Notes, *, strict: bool
) -> int | None:
    """Return where the next data set begins, None for the last one."""
    raw = text.keywords.get("$NEXTDATA", "").strip(" \0\t\r\n")
    if not raw:
        return None
    try:
        step = whole_number(text.keywords, "$NEXTDATA", notes) or 0
    except FCSError:
        if strict:
            raise
        step = 0
    if step == 0:
        return None
    if base + step >= size:
        notes.add("$NEXTDATA", f"is {step}, the file ends at {size}", "took this data set as the last one")
        return None
    for target in (base + step, step):  # counted from this data set, or (against the standard) from the file's start
        handle.seek(target)
        if target > base + header.text[1] and handle.read(3) == b"FCS":
            return target
    if strict:
        raise notes.error(
            "$NEXTDATA", f"is {step}, but no data set begins there", "read the first one alone with dataset=1"
        )
    notes.add("$NEXTDATA", f"is {step}, but no data set begins there", "read this data set alone")
    return None
