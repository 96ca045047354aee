"""Gating-ML 2.0 in: gates of the standard, by id; Cytobank's flavour and FlowJo workspaces have files of their own.

Source: Spidlen et al. 2015, ISAC Gating-ML 2.0 specification.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cytof.errors import Caution, InputError
from cytof.io._cytobank import read_cytobank
from cytof.io._flowjo import read_flowjo
from cytof.io._gate_tree import ImportedGates, TreeBuilder
from cytof.io._gatingml_parts import Parts
from cytof.io._xml import attribute, child, custom, kind, read_xml

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["read_gates"]


def read_gates(path: str | Path) -> ImportedGates:
    """Read the gates of other software: Gating-ML 2.0, Cytobank's Gating-ML, or a FlowJo 10 workspace (.wsp).

    Parameters
    ----------
    path
        The file; what it is, is told by its content.

    Returns
    -------
    ImportedGates
        For :func:`cytof.gate.apply_imported`. ``table`` lists the populations, ``refused`` what could not be imported,
        each by name and with the branch below it left out.

    Raises
    ------
    InputError
        No XML, XML that is not to be trusted (DOCTYPE, entities, over 50 MB), another format, or no gate in it.

    Notes
    -----
    Read are rectangles, polygons, ellipses, quadrants and booleans on linear, arcsinh, log, logicle and hyperlog scales
    (FlowJo's biex through FlowKit), ratios, the file's own and named matrices. A slash in a gate's name becomes ``_``;
    the name as written stays as an alias.

    Examples
    --------
    >>> import math, tempfile
    >>> from cytof.io import write_gatingml
    >>> from cytof.region import Dimension, Rectangle
    >>> box = Rectangle((Dimension("Er170", 5.0),), (2.4,), (math.inf,))
    >>> out = Path(tempfile.mkdtemp()) / "gates.xml"
    >>> write_gatingml(out, {"CD3+": box}, {"CD3+": "root"}, channels={"Er170": "Er170Di"})
    >>> read_gates(out).default.regions["CD3+"].dims
    (Dimension(channel='Er170Di', cofactor=5.0, scale=None),)
    """
    path = Path(path)
    root = read_xml(path)
    with np.errstate(over="ignore", invalid="ignore"):  # bounds of 1e308 are infinite in counts, which compares right
        imported = _read(root, path)
    if imported.table.empty:
        first = f"; the first refused: {imported.refused[0]}" if imported.refused else ""
        raise InputError(f"no gate that can be imported{first}", where=path.name)
    return imported


def _read(root: _Element, path: Path) -> ImportedGates:
    if kind(root) == "Workspace":
        return read_flowjo(root, path.name)
    if kind(root) != "Gating-ML":
        found = f"found <{kind(root)}>, expected Gating-ML 2.0 or a FlowJo 10 workspace (.wsp)"
        raise InputError(found, where=path.name)
    if "v2.0" not in str(root.tag):
        raise InputError("another version of Gating-ML, expected 2.0", where=path.name)
    if child(root, "custom_info", "cytobank") is not None:
        return read_cytobank(root, path.name)
    return _read_plain(root, path.name)


def _read_plain(root: _Element, where: str) -> ImportedGates:
    parts = Parts(root)
    refused: list[Caution] = []
    builder = TreeBuilder(where, refused)
    for element in root:
        what, key = kind(element), attribute(element, "id")
        if not what.endswith("Gate"):
            continue
        parent = attribute(element, "parent_id") or None
        try:
            if not key:
                raise ValueError(f"{what} has no id")
            if what == "QuadrantGate":
                for name, region in parts.quadrants(element).items():
                    builder.add(name, name, parent, region)
            else:
                name = custom(element, "name") or key
                builder.add(key, name, parent, parts.region(element), path=custom(element, "path"))
        except ValueError as error:
            builder.refuse(key or what, key or what, str(error))
    builder.sources = parts.sources
    return ImportedGates(where, "Gating-ML", builder.tree(), {}, parts.spillover, tuple(refused))
