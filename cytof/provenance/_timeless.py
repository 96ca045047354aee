"""Office files (XLSX, DOCX) are ZIP archives that bear the hour of their making: taken out, the same is the same."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

__all__ = ["timeless"]

_FIRST = (1980, 1, 1, 0, 0, 0)  # the first hour that a ZIP archive can tell
_STAMP = re.compile(rb"(<dcterms:(created|modified)\b[^>]*>)[^<]*(</dcterms:\2>)")


def timeless(path: str | Path) -> None:
    """Write an XLSX or DOCX file anew without the hours of its members and of its making: same content, same bytes.

    Examples
    --------
    >>> import tempfile
    >>> out = Path(tempfile.mkdtemp()) / "a.xlsx"
    >>> with zipfile.ZipFile(out, "w") as archive:
    ...     archive.writestr("docProps/core.xml", "<dcterms:created>2031-05-06T07:08:09Z</dcterms:created>")
    >>> timeless(out)
    >>> with zipfile.ZipFile(out) as archive:
    ...     archive.read("docProps/core.xml"), archive.infolist()[0].date_time[:3]
    (b'<dcterms:created>1980-01-01T00:00:00Z</dcterms:created>', (1980, 1, 1))
    """
    path = Path(path)
    with zipfile.ZipFile(path) as archive:
        members = [(m.filename, archive.read(m)) for m in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            if name == "docProps/core.xml":
                data = _STAMP.sub(rb"\g<1>1980-01-01T00:00:00Z\g<3>", data)
            member = zipfile.ZipInfo(name, _FIRST)
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
            archive.writestr(member, data)
