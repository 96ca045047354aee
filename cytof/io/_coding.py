"""How each event is coded: type and width of each channel, byte order; what no cytometer writes is refused."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from cytof.io._header import Notes
from cytof.io._text import whole_number

__all__ = ["Coding", "coding"]

_BLANK = " \t\r\n\0"


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
    if 2 <= len(digits) <= 8 or widest == 1:
        if digits == up:
            return "<"
        if digits == up[::-1]:
            return ">"
    raise notes.error(
        "$BYTEORD", f"is {text!r:.40}, expected 1,2,3,4 or 4,3,2,1", "mixed byte orders are not read; export again"
    )
