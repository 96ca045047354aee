"""Where the events lie and how each is coded: channel types and widths, byte order, and which stated offsets hold.

Every size is checked against the file before anything is allocated.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from cytof.io._header import HEADER_BYTES, Header, Notes
from cytof.io._text import whole_number

__all__ = ["Coding", "Place", "coding", "place"]

_BLANK = " \t\r\n\0"
FLOWJO_HINT = (
    "export the file again (FlowJo writes a wrong $TOT while it still says Calculating), "
    "or trust the size of DATA with trust_data_size=True"
)


@dataclass(frozen=True)
class Coding:
    """How one event is written.

    Attributes
    ----------
    kinds
        ``I``, ``F`` or ``D`` a channel.
    widths
        Bytes a channel.
    masks
        Largest value an integer channel may hold (the bits above are junk), 0 where nothing is masked.
    order
        ``<`` little or ``>`` big endian.

    Examples
    --------
    >>> Coding(("F", "F"), (4, 4), (0, 0), ">").event_size
    8
    """

    kinds: tuple[str, ...]
    widths: tuple[int, ...]
    masks: tuple[int, ...]
    order: str

    @property
    def event_size(self) -> int:
        """Bytes an event."""
        return sum(self.widths)

    @property
    def uniform(self) -> bool:
        """Whether every channel has the same type, width and mask."""
        return len(set(zip(self.kinds, self.widths, self.masks, strict=True))) == 1


@dataclass(frozen=True)
class Place:
    """First byte of DATA (from the start of the file) and number of events.

    Examples
    --------
    >>> Place(1024, 10).n_events
    10
    """

    begin: int
    n_events: int


def coding(keywords: dict[str, str], version: str, n_tokens: int, notes: Notes) -> Coding:
    """Return how the events are coded.

    Raises
    ------
    FCSError
        A keyword that says it is missing, contradicts another one or asks for what no cytometer writes.
    """
    n_channels = whole_number(keywords, "$PAR", notes)
    if n_channels is None:
        raise notes.error("$PAR", "is missing, expected the number of channels", "export the file again")
    if n_channels < 1 or n_channels > n_tokens:
        raise notes.error("$PAR", f"is {n_channels}, but TEXT holds {n_tokens} keywords", "export the file again")
    _mode(keywords, version, notes)
    general = keywords.get("$DATATYPE", "").strip(_BLANK).upper()
    if general not in ("I", "F", "D"):
        found = f"is {general!r:.40}" if general else "is missing"
        hint = "ASCII data are not read; export as float" if general == "A" else "export the file again"
        raise notes.error("$DATATYPE", f"{found}, expected I, F or D", hint)
    _names_complete(keywords, n_channels, notes)
    kinds, widths, masks = [], [], []
    for n in range(1, n_channels + 1):
        kind = keywords.get(f"$P{n}DATATYPE", "").strip(_BLANK).upper() or general
        if kind not in ("I", "F", "D"):
            raise notes.error(f"$P{n}DATATYPE", f"is {kind!r:.40}, expected I, F or D", "export the file again")
        width = _width(keywords, n, kind, notes)
        kinds.append(kind)
        widths.append(width)
        masks.append(_mask(keywords, n, kind, width, notes))
    order = _byte_order(keywords, max(widths), notes)
    return Coding(tuple(kinds), tuple(widths), tuple(masks), order)


def _mode(keywords: dict[str, str], version: str, notes: Notes) -> None:
    mode = keywords.get("$MODE", "").strip(_BLANK).upper()
    if mode and mode != "L":
        raise notes.error("$MODE", f"is {mode!r:.40}, expected L (a list of events)", "histograms are not read")
    if not mode and version != "FCS3.2":
        notes.add("$MODE", "missing", "took L, a list of events")


def _names_complete(keywords: dict[str, str], n_channels: int, notes: Notes) -> None:
    missing = [n for n in range(1, n_channels + 1) if not keywords.get(f"$P{n}N", "").strip(_BLANK)]
    if missing:
        raise notes.error(
            f"$P{missing[0]}N", f"is missing, but $PAR says {n_channels} channels", "export the file again"
        )
    beyond = sorted(
        int(m[1]) for k in keywords if (m := re.fullmatch(r"\$P(\d{1,6})[NB]", k)) and int(m[1]) > n_channels
    )
    if beyond:
        raise notes.error("$PAR", f"is {n_channels}, but $P{beyond[-1]}N or $P{beyond[-1]}B is there", "export again")


def _width(keywords: dict[str, str], n: int, kind: str, notes: Notes) -> int:
    name = f"$P{n}B"
    bits = whole_number(keywords, name, notes)
    if bits is None:
        raise notes.error(name, "is missing, expected the number of bits", "export the file again")
    expected = {"F": 32, "D": 64}.get(kind)
    if expected and bits != expected:
        raise notes.error(name, f"is {bits}, expected {expected} for data type {kind}", "export the file again")
    if bits % 8 or not 8 <= bits <= 64:
        raise notes.error(
            name, f"is {bits} bits, expected 8, 16, 24 ... 64", "packed bits of old instruments are not read; convert"
        )
    return bits // 8


def _mask(keywords: dict[str, str], n: int, kind: str, width: int, notes: Notes) -> int:
    name = f"$P{n}R"
    text = keywords.get(name, "").strip(_BLANK)
    scale = keywords.get(f"$P{n}E", "").replace(" ", "").strip(_BLANK)
    try:
        top = float(text)
    except ValueError:
        top = math.nan
    if kind != "I":
        if not math.isfinite(top) or top < 0:
            notes.add(name, f"is {text!r:.40}", "not used: floating-point data are taken as they are")
        if re.match(r"0*[1-9]", scale):
            notes.add(f"$P{n}E", f"is {scale!r:.40} with floating-point data", "ignored", "note")
        return 0
    if not math.isfinite(top):
        if text:
            raise notes.error(name, f"is {text!r:.40}, expected a whole number", "export the file again")
        notes.add(name, "is missing", "masked no bits")
        return 0
    if top < 1:
        raise notes.error(name, f"is {text:.40}, expected at least 1", "export the file again")
    bits = max(math.ceil(top) - 1, 0).bit_length()
    if bits == 0 or bits >= 8 * width:
        return 0
    return (1 << bits) - 1


def _byte_order(keywords: dict[str, str], widest: int, notes: Notes) -> str:
    text = keywords.get("$BYTEORD", "").strip(_BLANK)
    digits = [d for d in re.split(r"[,\s]+", text) if d]
    if not digits:
        if widest == 1:
            return "<"
        raise notes.error("$BYTEORD", "is missing, expected 1,2,3,4 or 4,3,2,1", "export the file again")
    up = [str(i) for i in range(1, len(digits) + 1)]
    if len(digits) <= 8 and digits == up:
        return "<"
    if len(digits) <= 8 and digits == up[::-1]:
        return ">"
    raise notes.error(
        "$BYTEORD", f"is {text!r:.40}, expected 1,2,3,4 or 4,3,2,1", "mixed byte orders are not read; export again"
    )


def place(
    header: Header, keywords: dict[str, str], code: Coding, base: int, size: int, notes: Notes, trust: bool
) -> Place:
    """Return where DATA lies: the stated offsets that agree with $TOT, the file's size and the TEXT segment.

    Parameters
    ----------
    base, size
        Start of the data set and size of the file in bytes.
    trust
        Take the number of events from the size of DATA where $TOT disagrees.

    Raises
    ------
    FCSError
        No or two stated ranges fit, $TOT is wrong, or the file is cut off (with the number of events present).
    """
    total = whole_number(keywords, "$TOT", notes)
    ranges = _stated(header, keywords, notes)
    room = size - base
    if total == 0 and all(e - b + 1 < code.event_size for b, e in ranges.values()):
        notes.add("$TOT", "0 events", "returned an empty table")
        return Place(size, 0)
    if not ranges:
        raise notes.error(
            "$BEGINDATA", "HEADER and TEXT state no DATA segment", "the file holds no events; export it again"
        )
    if total is None:
        return _uncounted(ranges, header, code, base, room, notes)
    need = total * code.event_size
    fits = {k: r for k, v in ranges.items() if (r := _rank(v, need, header.text, room, code.event_size)) is not None}
    if not fits:
        if trust:
            return _uncounted(ranges, header, code, base, room, notes)
        raise _no_fit(ranges, total, code, header, room, notes)
    best = min(fits.values())
    names = [k for k, r in fits.items() if r == best]
    begins = {ranges[k][0] for k in names}
    if len(begins) > 1:
        raise notes.error(
            "$BEGINDATA",
            f"HEADER says {ranges['HEADER'][0]}, TEXT says {ranges['TEXT'][0]}, and both have the right size",
            "one of them is wrong; export the file again",
        )
    taken = names[-1]
    _say_mended(taken, best, ranges, need, room, notes)
    return Place(base + ranges[taken][0], total)


def _stated(header: Header, keywords: dict[str, str], notes: Notes) -> dict[str, tuple[int, int]]:
    """Return the ranges that HEADER and TEXT state, without the empty ones."""
    ranges = {}
    if header.data is not None and header.data[0] > 0:
        ranges["HEADER"] = header.data
    begin, end = whole_number(keywords, "$BEGINDATA", notes), whole_number(keywords, "$ENDDATA", notes)
    if begin is not None and end is not None and begin > 0:
        ranges["TEXT"] = (begin, end)
    elif (begin is None or end is None) and header.version != "FCS2.0" and "HEADER" in ranges:
        notes.add("$BEGINDATA", "no $BEGINDATA and $ENDDATA", "took the offsets of HEADER")
    if "HEADER" not in ranges and "TEXT" in ranges and ranges["TEXT"][1] <= 99_999_999:
        notes.add("HEADER", "states no DATA offsets", "took $BEGINDATA and $ENDDATA", "note")
    return ranges


def _rank(stated: tuple[int, int], need: int, text: tuple[int, int], room: int, event: int) -> int | None:
    """Return 0 for an exact range, 1 for one byte more, 2 for a few bytes more, None where it cannot be."""
    begin, end = stated
    length = end - begin + 1
    clear = begin >= HEADER_BYTES and (begin >= text[1] or begin + need <= text[0])
    if not clear or begin + need > room:
        return None
    if length == need:
        return 0
    if length == need + 1:
        return 1
    return 2 if need < length < need + event and end <= room else None


def _say_mended(taken: str, rank: int, ranges: dict[str, tuple[int, int]], need: int, room: int, notes: Notes) -> None:
    begin, end = ranges[taken]
    where = "HEADER" if taken == "HEADER" else "$ENDDATA"
    if rank == 1:
        at_end = end >= room
        notes.add(where, f"DATA end {end} is one byte too far", "left that byte out", "note" if at_end else "warning")
    if rank == 2:
        notes.add(where, f"DATA ends {end - begin + 1 - need} bytes behind the last event", "left those bytes out")
    for other, (b, e) in ranges.items():
        if other != taken and (b, e) != (begin, end):
            notes.add(
                "HEADER" if other == "HEADER" else "$BEGINDATA",
                f"{other} says DATA lies at {b} to {e}, {taken} at {begin} to {end}",
                f"took {taken}, which agrees with $TOT",
            )


def _uncounted(
    ranges: dict[str, tuple[int, int]], header: Header, code: Coding, base: int, room: int, notes: Notes
) -> Place:
    """Count the events from the size of DATA."""
    event = code.event_size
    found = {}
    for name, (begin, end) in ranges.items():
        length = end - begin + 1
        if end == room or (length % event == 1 and event > 1):
            length -= 1
        if begin >= max(HEADER_BYTES, header.text[1]) and begin + length <= room and length % event == 0 <= length:
            found[name] = (begin, length // event)
    if len(set(found.values())) != 1:
        shown = ", ".join(f"{k} {b} to {e}" for k, (b, e) in ranges.items())
        raise notes.error(
            "$TOT",
            f"is missing or wrong, and DATA ({shown}; file {room} bytes) holds no whole number of {event}-byte events",
            "export the file again",
        )
    begin, count = next(iter(found.values()))
    notes.add("$TOT", "missing, blank or wrong", f"counted {count} events from the size of DATA")
    return Place(base + begin, count)


def _no_fit(
    ranges: dict[str, tuple[int, int]], total: int, code: Coding, header: Header, room: int, notes: Notes
) -> Exception:
    event = code.event_size
    need = total * event
    for begin, end in ranges.values():
        if end - begin + 1 in (need, need + 1) and begin + need > room and begin >= header.text[1]:
            present = max(0, room - begin) // event
            return notes.error(
                "DATA", f"cut off: {present} of {total} events present", "the file is incomplete; copy it again"
            )
    shown = ", ".join(f"{k} {b} to {e} ({(e - b + 1) / event:.6g} events)" for k, (b, e) in ranges.items())
    return notes.error(
        "$TOT", f"says {total} events of {event} bytes, but DATA is {shown} in a file of {room} bytes", FLOWJO_HINT
    )
