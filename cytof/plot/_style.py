"""One look for every figure: fixed colours per category, journal sizes, small text, embedded fonts, no dates.

Nothing here changes matplotlib for the rest of a program: the settings hold inside ``with style():`` only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cytof._check import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DOUBLE", "SINGLE", "TEXT", "brief", "colors", "in_order", "millimetres", "style"]

SINGLE = 89.0
"""Width of one journal column, mm."""
DOUBLE = 183.0
"""Width of two journal columns, mm."""
TEXT = 6.0
"""Size of the smallest text, points; labels are one point larger, panel letters two."""

_GREY = "#b3b3b3"
# The first twelve keep a distance of >= 25 (CIE76) from each other for normal, protan, deutan and tritan eyes
# (Machado et al. 2009, severity 1); the rest are for maps with many communities, where the label tells them apart.
_CLUSTERS = (
    "#2d5ad2", "#f0b42d", "#5a3c00", "#69e1b4", "#967800", "#780078", "#c35a96", "#78875a", "#004b3c", "#b4d278",
    "#ffc3ff", "#b496ff", "#965ab4", "#5aa5c3", "#ff7887", "#a52d5a", "#a55a2d", "#3c87ff", "#87c3c3", "#c3a53c",
    "#962d78", "#693ca5", "#c3874b", "#5a4b2d", "#d2a5f0", "#d2d25a", "#b46978", "#e187a5", "#7869d2", "#96e196",
)  # fmt: skip
_SUBSETS = {"CD4": "#0072b2", "CD8": "#d55e00", "DN": "#009e73", "DP": "#cc79a7"}
_ARMS = {"CAR T": "#d55e00", "CAR+": "#d55e00", "Host T": "#7f7f7f", "CAR-": "#7f7f7f"}
# viridis between 0.12 and 0.92: order can be read without colour
_VISITS = (
    "#482475", "#453781", "#3e4a89", "#355e8d", "#2c718e", "#25848e", "#1f978b", "#22a884", "#40bd72", "#6ccd5a",
    "#a0da39", "#c8e020",
)  # fmt: skip
KINDS = ("clusters", "subsets", "visits", "arms")


@contextmanager
def style() -> Iterator[None]:
    """Hold the package's matplotlib settings for a block: 6-8 pt text, Type 42 fonts, 300 dpi, fixed SVG ids.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["pdf.fonttype"]
    >>> with style():
    ...     matplotlib.rcParams["pdf.fonttype"]
    42
    >>> matplotlib.rcParams["pdf.fonttype"] == before
    True
    """
    import matplotlib

    settings: Any = {k: v for k, v in matplotlib.rcParamsDefault.items() if k.split(".")[0] in _OWNED}
    with matplotlib.rc_context(settings | _RC):
        yield


_OWNED = {"axes", "figure", "font", "grid", "image", "legend", "lines", "patch", "savefig", "text", "xtick", "ytick"}
_RC: dict[str, Any] = {
    "axes.labelpad": 2.0,
    "axes.labelsize": TEXT + 1,
    "axes.linewidth": 0.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlepad": 3.0,
    "axes.titlesize": TEXT + 1,
    "figure.constrained_layout.h_pad": 0.03,
    "figure.constrained_layout.w_pad": 0.03,
    "figure.dpi": 150,
    "figure.titlesize": TEXT + 2,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TEXT + 1,
    "image.interpolation": "nearest",
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "legend.title_fontsize": TEXT,
    "lines.linewidth": 0.8,
    "patch.linewidth": 0.5,
    "pdf.compression": 6,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "savefig.dpi": 300,
    "savefig.facecolor": "white",
    "svg.fonttype": "none",
    "svg.hashsalt": "cytof",
    "text.parse_math": False,
    "xtick.labelsize": TEXT,
    "xtick.major.pad": 1.5,
    "xtick.major.size": 2.0,
    "xtick.major.width": 0.5,
    "ytick.labelsize": TEXT,
    "ytick.major.pad": 1.5,
    "ytick.major.size": 2.0,
    "ytick.major.width": 0.5,
}


def in_order(categories: Iterable[object]) -> list[str]:
    """Return categories as text: a categorical's own order, else numbers by value before words by name.

    Examples
    --------
    >>> in_order(["10", "2", "B", "1", "-1"])
    ['-1', '1', '2', '10', 'B']
    """
    own = getattr(categories, "cat", None)
    if own is not None:
        present = set(categories)
        return [str(c) for c in own.categories if c in present]
    found = {str(c) for c in categories if c == c and c is not None}
    return sorted(found, key=_natural)


def _natural(text: str) -> tuple:
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return (0, float(text), text)
    parts = re.split(r"(\d+)", text)
    return (1, [(int(p), "") if p.isdigit() else (-1, p) for p in parts], text)


def colors(categories: Sequence[object], kind: str = "clusters") -> dict[str, str]:
    """Return the colour of each category; the same category has the same colour in every figure.

    Parameters
    ----------
    categories
        All categories of the study (not just those in one plot), in order.
    kind
        ``clusters`` (by number; names that are no number by place), ``subsets`` (CD4 CD8 DN DP fixed), ``visits``
        (dark to light in order of time), ``arms`` (CAR T against host T).

    Returns
    -------
    dict category -> ``#rrggbb``.

    Raises
    ------
    UsageError
        Unknown kind.

    Examples
    --------
    >>> colors(["1", "2", "9"])["2"] == colors(["2"])["2"]
    True
    >>> colors(["DN"], "subsets")
    {'DN': '#009e73'}
    """
    one_of(kind, KINDS, "kind", where="plot.colors")
    names = [str(c) for c in categories]
    if kind == "visits":
        last = max(len(names) - 1, 1)
        return {n: _VISITS[round(i * (len(_VISITS) - 1) / last)] for i, n in enumerate(names)}
    fixed = {"subsets": _SUBSETS, "arms": _ARMS}.get(kind, {})
    taken = set(fixed)
    spare = [c for c in _CLUSTERS if c not in fixed.values()]
    found, place = {}, 0
    for name in names:
        if name in taken:
            found[name] = fixed[name]
        elif name == "-1" or name.casefold() in ("none", "other", "nan", ""):
            found[name] = _GREY
        elif kind == "clusters" and name.isdigit() and int(name) > 0:
            found[name] = _CLUSTERS[(int(name) - 1) % len(_CLUSTERS)]
        else:
            found[name] = spare[place % len(spare)]
            place += 1
    return found


def brief(text: object, width: int = 18) -> str:
    """Return a name that fits a label: its head and its tail, ``…`` between them.

    Examples
    --------
    >>> brief("2mo"), brief("PBMC_patient_0001_visit_2mo", 15)
    ('2mo', 'PBMC_pa…sit_2mo')
    """
    name = " ".join(str(text).split())
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[-tail:]}"


def millimetres(width: float, height: float) -> tuple[float, float]:
    """Return a size in mm as inches, as matplotlib wants it.

    Examples
    --------
    >>> millimetres(25.4, 50.8)
    (1.0, 2.0)
    """
    return width / 25.4, height / 25.4


def _axes(ax: Axes | None, width: float = SINGLE, height: float = 60.0) -> Axes:
    """Return ``ax``, or the axes of a new figure of this size in mm."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=millimetres(width, height), layout="constrained")[1]


def _plain(ax: Axes, *, ticks: bool = True) -> None:
    """Give axes that a caller made the same text sizes and lines as ours."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=TEXT, width=0.5, length=2 if ticks else 0, pad=1.5)
    for side in ("left", "bottom"):
        ax.spines[side].set_linewidth(0.5)


def _group_ticks(ax: Axes, labels: Sequence[str]) -> None:
    """Label the groups on the x axis; names that do not fit side by side are turned."""
    lines = [line for label in labels for line in label.split("\n")]
    turned = len(labels) > 6 or max(map(len, lines), default=0) * len(labels) > 40
    words = [label.replace("\n", ", ") if turned else label for label in labels]
    ax.set_xticks(range(len(labels)), words, fontsize=TEXT, rotation=90 if turned else 0)


def _luminance(color: str) -> float:
    """Return the relative luminance (WCAG 2) of ``#rrggbb``, to choose black or white text on it."""
    rgb = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _ink(color: str) -> str:
    """Return black or white, whichever reads better on ``color``."""
    return "black" if _luminance(color) > 0.18 else "white"
