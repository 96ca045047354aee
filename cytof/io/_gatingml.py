"""Gating-ML 2.0 out: the regions of one sample as gates that other software opens.

Source: Spidlen et al. 2015, ISAC Gating-ML 2.0 specification (sections 5.1-5.5 gates, 6.4 ``fasinh``). The scale
of a channel with cofactor c is ``fasinh`` with M = 1 / ln(10), A = 0 and T = c sinh(1), which makes it arcsinh(x / c).
Imported gates on log, logicle and hyperlog scales are written on them; FlowJo's own scales are not in the standard.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cytof.errors import UsageError
from cytof.provenance import atomic
from cytof.region import Boolean, Dimension, Ellipse, Polygon, Rectangle, Region
from cytof.scale import Scale

if TYPE_CHECKING:
    from lxml.etree import _Element

__all__ = ["write_gatingml"]

_SPACE = "http://www.isac-net.org/std/Gating-ML/v2.0/"
_G, _T, _D = f"{{{_SPACE}gating}}", f"{{{_SPACE}transformations}}", f"{{{_SPACE}datatypes}}"
_ROOT = "root"
_BEYOND = 3.5e38  # above the largest float32


def write_gatingml(
    path: str | Path,
    regions: Mapping[str, Region],
    parents: Mapping[str, str],
    *,
    channels: Mapping[str, str] | None = None,
    sample_id: str = "",
    transformed: bool = False,
) -> None:
    """Write gates as Gating-ML 2.0.

    Parameters
    ----------
    path
        File to write, whole or not at all.
    regions
        Gate path -> region (``Gating.regions``: it includes the regions of cleaning that gates refer to).
    parents
        Gate path -> parent's path or ``root`` (``Gating.parents``).
    channels
        Channel -> ``$PnN`` of the FCS file the gates are for, for instance ``events.channels["pnn"].to_dict()``;
        a channel that is not in it keeps its name.
    sample_id
        Put into the document's own info.
    transformed
        True when the FCS file itself already holds arcsinh values (``events.transformed``): scaled dimensions are then
        written without a transformation.

    Raises
    ------
    UsageError
        A parent or a gate that a boolean names is not among the regions, a gate has no parent entry, or it stands on
        FlowJo's own scale or on a column that is not in the FCS file (compensated, ratio).
    ResourceError
        The file cannot be written.

    Notes
    -----
    Gate ids are XML names made of the shortest unambiguous end of the path (``CAR+/DN`` -> ``CARpos_DN``); the full
    path stands in each gate's ``custom_info``. The same gates give the same bytes.

    Examples
    --------
    >>> import tempfile
    >>> box = Rectangle((Dimension("Er170", 5.0),), (2.4,), (math.inf,))
    >>> out = Path(tempfile.mkdtemp()) / "gates.xml"
    >>> write_gatingml(out, {"CD3+": box}, {"CD3+": "root"}, channels={"Er170": "Er170Di"})
    >>> 'gating:id="CD3pos"' in out.read_text()
    True
    """
    from lxml import etree

    _check(regions, parents)
    _check_dimensions(regions, channels or {})
    ids = _ids(list(regions))
    names = channels or {}
    space = {"gating": f"{_SPACE}gating", "transforms": f"{_SPACE}transformations", "data-type": f"{_SPACE}datatypes"}
    root = etree.Element(f"{_G}Gating-ML", nsmap=space)
    _info(root, {"sample": sample_id} if sample_id else {"gates": str(len(regions))})
    cofactors = {d.cofactor for r in regions.values() for d in getattr(r, "dims", ()) if d.cofactor is not None}
    for cofactor in sorted(cofactors) if not transformed else ():
        scale = _sub(root, f"{_T}transformation", {f"{_T}id": _scale_id(cofactor)})
        terms = {f"{_T}T": _number(cofactor * math.sinh(1.0)), f"{_T}M": _number(1 / math.log(10)), f"{_T}A": "0"}
        _sub(scale, f"{_T}fasinh", terms)
    for wide in sorted({d.scale for r in regions.values() for d in getattr(r, "dims", ()) if d.scale}, key=_wide_id):
        element = {"log": "flog"}.get(wide.kind, wide.kind)
        letters = {f"{_T}{k}": _number(getattr(wide, k)) for k in ("TM" if wide.kind == "log" else "TWMA")}
        _sub(_sub(root, f"{_T}transformation", {f"{_T}id": _wide_id(wide)}), f"{_T}{element}", letters)
    for gate, region in regions.items():
        attributes = {f"{_G}id": ids[gate]}
        if parents[gate] != _ROOT:
            attributes[f"{_G}parent_id"] = ids[parents[gate]]
        _gate(root, gate, _as_in_file(region) if transformed else region, attributes, ids, names)
    with atomic(path) as part:
        etree.ElementTree(root).write(str(part), xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _as_in_file(region: Region) -> Region:
    """Return the region on the file's own arcsinh values: no scale is left to apply."""
    if isinstance(region, Boolean):
        return region
    return replace(region, dims=tuple(replace(d, cofactor=None) for d in region.dims))  # type: ignore[arg-type]


def _check(regions: Mapping[str, Region], parents: Mapping[str, str]) -> None:
    for gate, region in regions.items():
        if gate not in parents:
            raise UsageError(f"gate `{gate}` has no parent", hint="give `root` for a gate at the top")
        wanted = [parents[gate]] if parents[gate] != _ROOT else []
        wanted += region.names if isinstance(region, Boolean) else ()
        for name in wanted:
            if name not in regions:
                raise UsageError(f"gate `{gate}` refers to `{name}`, which is not among the regions")


def _check_dimensions(regions: Mapping[str, Region], channels: Mapping[str, str]) -> None:
    for gate, region in regions.items():
        for dim in getattr(region, "dims", ()):
            if dim.scale is not None and dim.scale.kind.startswith("fj-"):
                raise UsageError(f"gate `{gate}` stands on FlowJo's {dim.scale.kind[3:]} scale, not in Gating-ML 2.0")
            if not channels.get(dim.channel, dim.channel):
                raise UsageError(f"gate `{gate}` stands on `{dim.channel}`, which is not a channel of the FCS file")


def _ids(paths: list[str]) -> dict[str, str]:
    """Return an XML name for each path: its shortest unambiguous end, letters, digits and underscores."""
    made: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for k in range(1, len(parts) + 1):
            end = "/".join(parts[-k:])
            if k == len(parts) or sum(p == end or p.endswith(f"/{end}") for p in paths) == 1:
                break
        text = re.sub(r"\+(?=/|$)", "pos", re.sub(r"-(?=/|$)", "neg", end)).replace("/", "_")
        text = re.sub(r"[^A-Za-z0-9_]", "_", text)
        text = text if re.match(r"[A-Za-z_]", text) else f"_{text}"
        name, n = text, 1
        while name in made.values():
            n += 1
            name = f"{text}_{n}"
        made[path] = name
    return made


def _sub(parent: _Element, tag: str, attributes: Mapping[str, str] | None = None) -> Any:
    from lxml import etree

    return etree.SubElement(parent, tag, dict(attributes or {}))


def _info(parent: _Element, values: Mapping[str, str]) -> None:
    info = _sub(parent, f"{_D}custom_info")
    for key, value in values.items():
        _sub(info, key).text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", value)


def _gate(
    root: _Element,
    path: str,
    region: Region,
    attributes: Mapping[str, str],
    ids: Mapping[str, str],
    names: Mapping[str, str],
) -> None:
    kind = {Rectangle: "RectangleGate", Polygon: "PolygonGate", Ellipse: "EllipsoidGate", Boolean: "BooleanGate"}
    gate = _sub(root, f"{_G}{kind[type(region)]}", attributes)
    _info(gate, {"name": path.rsplit("/", 1)[-1], "path": path})
    if isinstance(region, Boolean):
        _boolean(gate, region, ids)
        return
    for i, dim in enumerate(region.dims):
        limits = (region.low[i], region.high[i]) if isinstance(region, Rectangle) else (-math.inf, math.inf)
        _dimension(gate, dim, limits, names)
    if isinstance(region, Polygon):
        for vertex in region.vertices:
            _coordinates(_sub(gate, f"{_G}vertex"), vertex)
    elif isinstance(region, Ellipse):
        _coordinates(_sub(gate, f"{_G}mean"), region.mean)
        matrix = _sub(gate, f"{_G}covarianceMatrix")
        for line in region.covariance:
            row = _sub(matrix, f"{_G}row")
            for value in line:
                _sub(row, f"{_G}entry", {f"{_D}value": _number(value)})
        _sub(gate, f"{_G}distanceSquare", {f"{_D}value": _number(region.distance_square)})


def _boolean(gate: _Element, region: Boolean, ids: Mapping[str, str]) -> None:
    flips = region.complement or (False,) * len(region.names)
    operands = list(zip(region.names, flips, strict=True))
    if region.operator != "not" and len(operands) == 1:  # `and` and `or` take two or more
        operands *= 2
    operator = _sub(gate, f"{_G}{region.operator}")
    for name, flip in operands:
        attributes = {f"{_G}ref": ids[name]}
        if flip:
            attributes[f"{_G}use-as-complement"] = "true"
        _sub(operator, f"{_G}gateReference", attributes)


def _dimension(gate: _Element, dim: Dimension, limits: tuple[float, float], names: Mapping[str, str]) -> None:
    attributes = {f"{_G}compensation-ref": "uncompensated"}
    if dim.cofactor is not None:
        attributes[f"{_G}transformation-ref"] = _scale_id(dim.cofactor)
    elif dim.scale is not None:
        attributes[f"{_G}transformation-ref"] = _wide_id(dim.scale)
    for key, value, open_end in zip(("min", "max"), limits, (-math.inf, math.inf), strict=True):
        if value != open_end:  # an infinite bound on the other side lets nothing in: no float32 lies beyond _BEYOND
            attributes[f"{_G}{key}"] = _number(value if math.isfinite(value) else math.copysign(_BEYOND, value))
    element = _sub(gate, f"{_G}dimension", attributes)
    _sub(element, f"{_D}fcs-dimension", {f"{_D}name": names.get(dim.channel, dim.channel)})


def _coordinates(element: _Element, values: tuple[float, ...]) -> None:
    for value in values:
        _sub(element, f"{_G}coordinate", {f"{_D}value": _number(value)})


def _scale_id(cofactor: float) -> str:
    return f"arcsinh_{cofactor:g}".replace(".", "p").replace("-", "m").replace("+", "")


def _wide_id(scale: Scale) -> str:
    return "_".join([scale.kind, *(repr(float(getattr(scale, k))) for k in "TWMA")]).replace("-", "m").replace("+", "")


def _number(value: float) -> str:
    """Return the shortest decimal that reads back as the same double."""
    return repr(float(value))
