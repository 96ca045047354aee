"""Where the events lie: which of the offsets stated in HEADER and TEXT agree with $TOT, the file's size and TEXT.

Every size is checked against the file before anything is allocated.
"""

from __future__ import annotations

from dataclasses import dataclass

from cytof.io._coding import Coding
from cytof.io._header import HEADER_BYTES, Header, Notes
from cytof.io._text import whole_number

__all__ = ["Place", "place"]

FLOWJO_HINT = (
    "export the file again (FlowJo writes a wrong $TOT while it still says Calculating), "
    "or trust the size of DATA with trust_data_size=True"
)


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
