"""What a channel's names say: element and mass from every spelling in use, and a role from mass or name.

Spellings: ``Nd142Di``, ``(Nd142)Dd``, ``142Nd_CD19``, ``CD19(Nd142)Di``, ``Nd142``, ``FJComp-Nd142Di``.
"""

from __future__ import annotations

import re

__all__ = ["ISOTOPES", "canonical_role", "isotope_fault", "marker_from_name", "parse_metal", "same_antigen_key"]

ISOTOPES: dict[str, tuple[int, ...]] = {
    "Y": (89,), "Rh": (103,), "Pd": (102, 104, 105, 106, 108, 110), "Ag": (107, 109),
    "Cd": (106, 108, 110, 111, 112, 113, 114, 116), "In": (113, 115),
    "Sn": (112, 114, 115, 116, 117, 118, 119, 120, 122, 124), "Sb": (121, 123), "I": (127,),
    "Te": (120, 122, 123, 124, 125, 126, 128, 130), "Xe": (124, 126, 128, 129, 130, 131, 132, 134, 136), "Cs": (133,),
    "Ba": (130, 132, 134, 135, 136, 137, 138), "La": (138, 139), "Ce": (136, 138, 140, 142), "Pr": (141,),
    "Pm": (145, 147),
    "Nd": (142, 143, 144, 145, 146, 148, 150), "Sm": (144, 147, 148, 149, 150, 152, 154), "Eu": (151, 153),
    "Gd": (152, 154, 155, 156, 157, 158, 160), "Tb": (159,), "Dy": (156, 158, 160, 161, 162, 163, 164), "Ho": (165,),
    "Er": (162, 164, 166, 167, 168, 170), "Tm": (169,), "Yb": (168, 170, 171, 172, 173, 174, 176), "Lu": (175, 176),
    "Hf": (174, 176, 177, 178, 179, 180), "Ta": (180, 181), "W": (180, 182, 183, 184, 186),
    "Os": (184, 186, 187, 188, 189, 190, 192), "Ir": (191, 193), "Pt": (190, 192, 194, 195, 196, 198),
    "Au": (197,), "Hg": (196, 198, 199, 200, 201, 202, 204), "Pb": (204, 206, 207, 208), "Bi": (209,),
    "BCKG": (190,), "ArAr": (80,), "Ar": (80,),
}  # fmt: skip
"""Isotopes that Helios, CyTOF 2 and XT channels are named after (BCKG190 and ArAr80 are the instrument's own words)."""

_ELEMENT = "|".join(sorted(ISOTOPES, key=len, reverse=True))
_ELEMENT_MASS = re.compile(rf"(?<![A-Za-z])({_ELEMENT})(\d{{2,3}})(?!\d)")
_MASS_ELEMENT = re.compile(rf"(?<!\d)(?<![A-Za-z])(\d{{2,3}})({_ELEMENT})(?![a-z])")
_COMPENSATED = re.compile(r"^(FJComp-|Comp-|Comp_)", re.IGNORECASE)
_GAUSSIAN = {"center", "offset", "width", "residual", "amplitude"}


def parse_metal(*texts: str) -> tuple[str, int] | None:
    """Return (element, mass) from the first text that holds a real isotope, or None.

    Examples
    --------
    >>> parse_metal("CD19(Nd142)Di"), parse_metal("142Nd_CD19"), parse_metal("Event_length")
    (('Nd', 142), ('Nd', 142), None)
    """
    for text in texts:
        text = _COMPENSATED.sub("", text or "")
        hits = [(e, int(m)) for e, m in _ELEMENT_MASS.findall(text)] + [
            (e, int(m)) for m, e in _MASS_ELEMENT.findall(text)
        ]
        for element, mass in hits:
            if mass in ISOTOPES[element]:
                return element, mass
    return None


def marker_from_name(pnn: str, pns: str) -> str:
    """Return the antigen part of a channel's names without its metal; empty when there is none.

    Examples
    --------
    >>> marker_from_name("Pr141Di", "141Pr_CD196_CCR6"), marker_from_name("CD19(Nd142)Di", "")
    ('CD196_CCR6', 'CD19')
    """
    for text in (pns, pnn):
        text = _COMPENSATED.sub("", (text or "").strip())
        rest = _MASS_ELEMENT.sub("", _ELEMENT_MASS.sub("", text))
        rest = re.sub(r"\(\)?\)?(Di|Dd)?$|^(Di|Dd)$|\(\)(Di|Dd)?", "", rest).strip(" _-:")
        rest = "" if rest in {"Di", "Dd"} else rest
        if rest:
            return rest
    return ""


def canonical_role(name: str, metal: str | None, mass: int | None, marker: str) -> str:
    """Return the role that a channel's name or mass gives away without a panel; ``none`` otherwise."""
    plain = re.sub(r"[^a-z]", "", name.casefold())
    if plain == "time":
        return "time"
    if plain in {"eventlength", "celllength"}:
        return "event_length"
    if plain in _GAUSSIAN:
        return "gaussian"
    if metal == "Ir":
        return "dna"
    if (metal, mass) == ("Rh", 103) or (metal == "Pt" and re.search(r"live|dead|viab|cispl", marker, re.I)):
        return "viability"
    if re.search(r"bead", marker, re.I):
        return "bead"
    return "none"


def same_antigen_key(name: str) -> str:
    """Return the form in which two spellings of one antigen are equal: no case, blanks, hyphens, slashes, underscores.

    Examples
    --------
    >>> same_antigen_key("PD-1") == same_antigen_key("pd1")
    True
    """
    return re.sub(r"[\s\-_/.]+", "", name.casefold())


def isotope_fault(channel: str) -> str:
    """Say what a channel that looks like an element and a mass could have meant; empty when there is nothing to say.

    Examples
    --------
    >>> isotope_fault("Nd147"), isotope_fault("Nd142"), isotope_fault("FSC-A")
    ('mass 147 is Pm147 or Sm147; Nd has 142, 143, 144, 145, 146, 148, 150', '', '')
    """
    found = re.fullmatch(r"([A-Z][a-z]?)(\d{2,3})(Di|Dd)?", channel)
    if found is None or parse_metal(channel) is not None or found[1] not in ISOTOPES:
        return ""
    mass = int(found[2])
    others = [f"{e}{mass}" for e, masses in ISOTOPES.items() if mass in masses]
    here = f"{found[1]} has {', '.join(map(str, ISOTOPES[found[1]]))}"
    return (f"mass {mass} is {' or '.join(others)}; " if others else "") + here
