r"""The TEXT segment: bytes -> keywords, in both readings of a doubled delimiter.

The standard writes a delimiter inside a value twice; Helios and CyTOF XT leave values empty, which looks the same.
Both readings are made; the one in which the required keywords pair up is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cytof.io._header import Notes

__all__ = ["Text", "parse_text", "whole_number"]

MAX_TEXT = 64 * 2**20
_BLANK = " \t\r\n\0"
_STANDARD = re.compile(
    r"\$(P\d{1,6}(N|S|B|R|E|G|V|L|F|O|T|D|P|DATATYPE|CALIBRATION)|PAR|TOT|BYTEORD|DATATYPE|MODE|NEXTDATA|"
    r"(BEGIN|END)(DATA|STEXT|ANALYSIS)|TIMESTEP|BTIM|ETIM|FIL|CYT|DATE|SYS)",
    re.IGNORECASE,
)
_SHOWN = re.compile(r"\$(P\d+\w+|PAR|TOT|BYTEORD|DATATYPE|MODE|NEXTDATA|CYT|TIMESTEP|(BEGIN|END)\w+)")
_REQUIRED = ("$PAR", "$DATATYPE", "$BYTEORD")


@dataclass(frozen=True)
class Text:
    """Keywords of one data set (upper case) and the delimiter they were written with.

    ``ended`` tells whether TEXT ends in one delimiter, ``stray`` whether one byte stood behind it.

    Examples
    --------
    >>> Text({"$PAR": "2"}, "/").keywords["$PAR"]
    '2'
    """

    keywords: dict[str, str]
    delimiter: str
    ended: bool = True
    stray: bool = False


def parse_text(raw: bytes, notes: Notes, segment: str = "TEXT") -> Text:
    """Return the keywords of a TEXT (or supplemental TEXT) segment.

    Raises
    ------
    FCSError
        No usable delimiter, keywords and values that do not pair up (the last keyword that did is named), or a ``$``
        keyword with two different values.

    Examples
    --------
    >>> parse_text(b"/$PAR/0/$OP//$FIL/a//b/", Notes("a.fcs")).delimiter
    '/'
    """
    mark = raw[:1]
    if not mark or not 1 <= mark[0] <= 126 or mark.isalnum() or mark == b"$":
        raise notes.error(
            segment,
            f"begins with {mark.decode('latin-1')!r}, expected a delimiter (no letter, digit or $)",
            "HEADER points to the wrong place; export the file again",
        )
    body = raw[1:]
    blanks = b" \t\r\n\0".replace(mark, b"")
    tail = body.rstrip(blanks)
    stray = not tail.endswith(mark) and body[:-1].rstrip(blanks).endswith(mark)
    if stray:
        notes.add(segment, "one byte behind the last delimiter", "left it out: it may be the first of DATA")
        body = body[:-1]
        tail = body.rstrip(blanks)
    ended = tail.endswith(mark)
    if ended:
        if tail != body:
            padding = body[len(tail) :]  # usually blanks; anything else may be the first bytes of DATA that moved
            usual = len(padding) > 1 and not padding.strip(b" ")
            what = "blanks" if not padding.strip(blanks.replace(b"\0", b"")) else "zero bytes"
            notes.add(segment, f"{what} behind the last delimiter", "passed over", "note" if usual else "warning")
        body = tail
    else:
        notes.add(segment, "no delimiter at its end", "took the end of the segment as the end of the last value")
    readings = [_escaped(body, mark), _split(body, mark)]
    tokens = _choose(readings, mark, notes, segment)
    return Text(_pair(tokens, notes, segment), mark.decode("latin-1"), ended and not tail.endswith(mark * 2), stray)


def _escaped(body: bytes, mark: bytes) -> list[bytes]:
    """Read a doubled delimiter as one inside a value."""
    while body.endswith(mark):
        body = body[:-1]
    if mark * 2 not in body:
        return body.split(mark)
    stand_in = b"\x01\xff\x02"
    while stand_in in body:
        stand_in += b"\xff\x02"
    return [t.replace(stand_in, mark) for t in body.replace(mark * 2, stand_in).split(mark)]


def _split(body: bytes, mark: bytes) -> list[bytes]:
    """Read a doubled delimiter as an empty value."""
    tokens = body.removesuffix(mark).split(mark)
    if len(tokens) % 2 and not tokens[-1]:  # `//` at the end
        tokens.pop()
    return tokens


def _name(token: bytes) -> str:
    return token.decode("latin-1").strip(_BLANK).upper()


def _slip(tokens: list[bytes]) -> str | None:
    """Return the keyword after which keyword and value change places, None where they never do."""
    for i in range(1, len(tokens), 2):
        if _STANDARD.fullmatch(_name(tokens[i])):
            return _name(tokens[max(0, i - 3)]) if i >= 3 else _name(tokens[i])
    empty = next((i for i in range(0, len(tokens), 2) if not _name(tokens[i])), None)
    if empty is not None:
        return _name(tokens[max(0, empty - 2)])
    if len(tokens) % 2 == 0:
        return None
    return next((_name(t) for t in tokens[-1::-2] if t.strip().startswith(b"$")), _name(tokens[-1]))


def _complete(tokens: list[bytes]) -> bool:
    """Tell whether the keywords that place the data are all there."""
    found = {_name(k): v for k, v in zip(tokens[::2], tokens[1::2], strict=False)}
    if any(not found.get(k, b"").strip() for k in _REQUIRED):
        return False
    par = found["$PAR"].strip()
    if not par.isdigit() or len(par) > 9 or int(par) > len(tokens):
        return False
    return all(f"$P{n}B" in found and f"$P{n}N" in found for n in range(1, int(par) + 1))


def _choose(readings: list[list[bytes]], mark: bytes, notes: Notes, segment: str) -> list[bytes]:
    escaped, split = readings
    if escaped == split:
        slip = _slip(escaped)
        if slip is None:
            return escaped
        raise _unpaired(slip, notes, segment)
    slips = [_slip(r) for r in readings]
    sound = [r for r, slip in zip(readings, slips, strict=True) if slip is None]
    whole = [r for r in sound if _complete(r)]
    if len(whole) == 2 and any(mark in key for key in escaped[::2]):  # no program puts a delimiter into a keyword
        whole = [split]
    if len(whole) == 2:
        notes.add(segment, "doubled delimiters fit both readings", "read them as one delimiter inside a value")
        return escaped
    if whole or len(sound) == 1:
        chosen = (whole or sound)[0]
        if chosen is split:
            notes.add(segment, "keywords with empty values", "kept them empty", "note")
        return chosen
    if len(sound) == 2:
        return escaped
    raise _unpaired(str(slips[1]), notes, segment)


def _unpaired(keyword: str, notes: Notes, segment: str) -> Exception:
    shown = keyword[:40] or "the first keyword"
    return notes.error(
        f"{segment}:{shown}",
        f"keywords and values do not pair up behind `{shown}`",
        "its value probably holds the delimiter itself; export the file again with another one",
    )


def _pair(tokens: list[bytes], notes: Notes, segment: str) -> dict[str, str]:
    keywords: dict[str, str] = {}
    foreign: list[str] = []
    for key, value in zip(tokens[::2], tokens[1::2], strict=False):
        name, text = _decode(key, foreign, "").strip(_BLANK).upper(), ""
        text = _decode(value, foreign, name)
        if name in keywords:
            if keywords[name].strip(_BLANK) != text.strip(_BLANK):
                if name.startswith("$"):
                    told = _SHOWN.fullmatch(name)  # other values may name a person
                    how = f"as {keywords[name]!r:.60} and {text!r:.60}" if told else "with two different values"
                    raise notes.error(name, f"stands twice, {how}", "export the file again")
                notes.add(name, "stands twice with different values", "kept the first")
            continue
        keywords[name] = text
    if foreign:
        shown = ", ".join(foreign[:5])
        notes.add(segment, f"not UTF-8: {shown}", "read as Windows-1252 or Latin-1; check accents in names")
    return keywords


def _decode(token: bytes, foreign: list[str], name: str) -> str:
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        foreign.append(name or token.decode("latin-1")[:20])
    try:
        return token.decode("cp1252")
    except UnicodeDecodeError:
        return token.decode("latin-1")


def whole_number(keywords: dict[str, str], name: str, notes: Notes) -> int | None:
    """Return a keyword's whole number, None where it is absent or blank.

    Raises
    ------
    FCSError
        It is something else than digits; names the keyword.
    """
    text = keywords.get(name, "").strip(_BLANK)
    if not text:
        return None
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise notes.error(name, f"is {text!r:.60}, expected a whole number", "export the file again")
    return int(digits)
