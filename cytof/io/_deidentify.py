"""FCS files without names, dates and ids: an allow-list of keywords, hashed ids, the events byte for byte the same."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from cytof.errors import InputError, UsageError
from cytof.io._cells import day_of
from cytof.io._dataset import DataSet, find_data_set
from cytof.io._header import Notes, open_fcs
from cytof.io._scan import scan_fcs
from cytof.io._write import segments
from cytof.provenance import atomic

__all__ = ["ALLOWED", "allowed_keywords", "deidentify", "left_over", "scan_for"]

ALLOWED = (
    "$BYTEORD", "$CYT", "$DATATYPE", "$MODE", "$PAR", "$SPILLOVER", "$TIMESTEP", "$TOT", "$UNICODE", "$VOL",
    "FCSVERSION", "SPILL", "SPILLOVER", "TRANSFORMATION",
)  # fmt: skip
"""Keywords that say how the events are coded, and nothing of a person; ``$PnN``, ``$PnS`` ... are kept too."""

_PARAMETER = re.compile(r"\$P\d+(B|CALIBRATION|D|DATATYPE|DET|E|F|FEATURE|G|L|N|O|P|R|S|T|TYPE|V)")
_BLOCK = 1 << 20


def allowed_keywords(keywords: Mapping[str, str]) -> dict[str, str]:
    """Return the keywords that may enter cells, a report or a shared file.

    Examples
    --------
    >>> allowed_keywords({"$CYT": "Helios", "$OP": "Jane Doe", "$P1S": "CD3"})
    {'$CYT': 'Helios', '$P1S': 'CD3'}
    """
    return {k: v for k, v in keywords.items() if k in ALLOWED or _PARAMETER.fullmatch(k)}


def deidentify(
    path: str | Path,
    out: str | Path,
    *,
    salt: str,
    sample_id: str | None = None,
    first_day: date | str | None = None,
    dataset: int | None = None,
) -> Path:
    """Write a copy of an FCS file that says nothing of the person, the operator or the date.

    Keywords outside the allow-list, ANALYSIS, supplemental TEXT, other data sets and the bytes behind DATA are left
    out; the event bytes are the same. The file is named after a salted hash, which ``$SMNO`` holds too.

    Parameters
    ----------
    path
        The file.
    out
        Folder to write into; never that of the file.
    salt
        Secret of the laboratory: the same id and salt give the same hash, and without it no id can be guessed from one.
    sample_id
        What is hashed; the name of the file by default.
    first_day
        Day 0 (the infusion, YYYY-MM-DD). When given and the file has a ``$DATE``, the keyword ``DAY`` holds the days
        between them.
    dataset
        Which of chained data sets.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    UsageError
        The salt is shorter than 8 characters, or ``first_day`` is no date.
    FCSError
        The file cannot be read.
    InputError
        A value that was dropped is still found in a name that must stay (``$PnN``, ``$PnS``).

    Examples
    --------
    >>> import tempfile; from cytof.io import read_fcs, write_fcs
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_fcs(folder / "Jane.fcs", [[1.0]], pnn=["Nd142Di"], keywords={"$OP": "Jane Doe"})
    >>> clean = deidentify(folder / "Jane.fcs", folder / "share", salt="our secret")
    >>> "$OP" in read_fcs(clean).keywords, b"Jane" in clean.read_bytes()
    (False, False)
    """
    if len(salt) < 8:
        raise UsageError("the salt has fewer than 8 characters", hint="keep one long secret for the whole laboratory")
    path = Path(path)
    notes = Notes(path)
    handle, size = open_fcs(path, notes)
    with handle:
        found = find_data_set(handle, size, dataset, notes, False)
        handle.seek(found.place.begin)
        n_bytes = found.place.n_events * found.coding.event_size
        name = hmac.new(salt.encode(), (sample_id or path.stem).encode(), hashlib.sha256).hexdigest()[:16]
        keywords = _kept(found, first_day) | {"$SMNO": name}
        target = Path(out) / f"{name}.fcs"
        if target.parent.resolve() == path.parent.resolve():
            raise UsageError(f"{out} is the folder of the file", where=str(path), hint="write into another one")
        with atomic(target) as part, part.open("wb") as file:
            file.write(_head(found, keywords, n_bytes))
            left = n_bytes
            while left:
                block = handle.read(min(left, _BLOCK))
                if not block:
                    raise notes.error("DATA", "ended while it was read", "the file is being changed; read it again")
                file.write(block)
                left -= len(block)
    still = scan_for(target, _telling(found.keywords, keywords, path.stem), keywords=keywords)
    if still:
        target.unlink()
        raise InputError(
            f"a value that was dropped still stands in a kept keyword: {', '.join(still)}",
            where=str(path),
            hint="rename these channels first",
        )
    return target


def scan_for(path: str | Path, values: Iterable[str], *, keywords: Mapping[str, str] | None = None) -> list[str]:
    """Return where values that must not be there are found: names of keywords, or ``bytes`` for any other place.

    Parameters
    ----------
    path
        A file to be shared.
    values
        Names, dates and ids to look for, without regard to case.
    keywords
        Look into these keywords alone, not into every byte; events may hold any bytes by chance.

    Examples
    --------
    >>> scan_for("unused", ["Doe"], keywords={"$P1S": "doe_CD3"})
    ['$P1S']
    """
    wanted = [v.casefold() for v in values if v.strip()]
    if keywords is not None:
        return [k for k, v in keywords.items() if any(w in v.casefold() for w in wanted)]
    raw = Path(path).read_bytes().lower()
    return ["bytes"] if any(w.encode(e, "ignore") in raw for w in wanted for e in ("utf-8", "utf-16-le")) else []


def left_over(copy: str | Path, original: str | Path) -> list[str]:
    """Return the values of the original's dropped keywords, and its name, that are found anywhere in the copy's bytes.

    Parameters
    ----------
    copy
        What :func:`deidentify` wrote.
    original
        The file it was made from.

    Examples
    --------
    >>> import tempfile; from cytof.io import write_fcs
    >>> file = Path(tempfile.mkdtemp()) / "Jane.fcs"
    >>> write_fcs(file, [[1.0]], pnn=["Nd142Di"], keywords={"$OP": "Jane Doe"})
    >>> left_over(file, file)
    ['Jane Doe']
    """
    keywords = scan_fcs(original).keywords
    telling = _telling(keywords, allowed_keywords(keywords), Path(original).stem)
    return [value for value in dict.fromkeys(telling) if scan_for(copy, [value])]


def _telling(keywords: Mapping[str, str], kept: Mapping[str, str], stem: str) -> list[str]:
    """Return the dropped values that could tell a person: long enough, and no mere channel name or offset."""
    known = {v.strip().casefold() for v in kept.values()}
    values = [v.strip() for k, v in keywords.items() if k not in kept and not k.startswith(("$BEGIN", "$END", "$NEXT"))]
    return [
        v
        for v in [*values, stem]
        if len(v) >= 5
        and v.casefold() not in known
        and (re.search(r"[A-Za-z]{3}", v) or len(re.findall(r"\d", v)) >= 6)
    ]


def _kept(found: DataSet, first_day: date | str | None) -> dict[str, str]:
    kept = allowed_keywords(found.keywords)
    if first_day is not None:
        start = first_day if isinstance(first_day, date) else day_of(first_day)
        if start is None:
            raise UsageError(f"first_day is '{first_day}', expected YYYY-MM-DD")
        visit = day_of(found.keywords.get("$DATE", ""))
        if visit is not None:
            kept["DAY"] = str((visit - start).days)
    return {k: v for k, v in kept.items() if v.strip()}


def _head(found: DataSet, keywords: Mapping[str, str], n_bytes: int) -> bytes:
    """Return HEADER and TEXT for the same event bytes at a new place."""
    fixed = {"$BEGINANALYSIS": "0", "$ENDANALYSIS": "0", "$BEGINSTEXT": "0", "$ENDSTEXT": "0", "$NEXTDATA": "0"}
    text = {**keywords, **fixed, "$TOT": str(found.place.n_events), "$MODE": "L"}
    header, segment = segments(text, found.header.version, n_bytes)
    return header + segment
