"""What the keywords of an FCS file say of the machine and its software; nothing of a person, a place or a date."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["instrument"]

_MAKERS = (
    ("DVSSCIENCES", "DVS Sciences"), ("FLUIDIGM", "Fluidigm"), ("STANDARD BIOTOOLS", "Standard BioTools"),
    ("HELIOS", "Fluidigm"), ("CYTOF XT", "Standard BioTools"), ("CYTOF", "DVS Sciences or Fluidigm"),
)  # fmt: skip
_VERSION = re.compile(r"^DVSSCIENCES-CYTOF-([\d.]+)$", re.IGNORECASE)  # the acquisition software signs in $CYT


def instrument(keywords: Mapping[str, str]) -> dict[str, str]:
    """Return ``manufacturer model serial software normalized`` of a file, those of them that it tells.

    ``$CYT`` is the model, ``$CYTSN`` the serial number, ``CREATOR`` or the version that ``$CYT`` holds in files of the
    CyTOF software the acquisition software, ``FLUIDIGMNORMALIZED`` whether the signal was normalised as it was
    acquired. ``$OP``, ``$INST``, ``$DATE`` and their like are not read.

    Examples
    --------
    >>> instrument({"$CYT": "DVSSCIENCES-CYTOF-6.5.358", "$OP": "Jane Doe"})
    {'manufacturer': 'DVS Sciences', 'model': 'DVSSCIENCES-CYTOF-6.5.358', 'software': 'CyTOF software 6.5.358'}
    >>> instrument({"$CYT": " ", "$CYTSN": "7"})
    {'serial': '7'}
    """
    said = {k: " ".join(str(keywords.get(k, "")).split()) for k in ("$CYT", "$CYTSN", "CREATOR", "FLUIDIGMNORMALIZED")}
    model = said["$CYT"]
    version = _VERSION.match(model)
    found = {
        "manufacturer": next((maker for sign, maker in _MAKERS if sign in model.upper()), ""),
        "model": model,
        "serial": said["$CYTSN"],
        "software": said["CREATOR"] or (f"CyTOF software {version[1]}" if version else ""),
        "normalized": said["FLUIDIGMNORMALIZED"].lower(),
    }
    return {name: value for name, value in found.items() if value}
