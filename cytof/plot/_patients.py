"""Figures with a row a patient or a state: swimmer lanes, stacked state columns, flows from response to state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cytof._check import has_columns
from cytof.plot._style import DOUBLE, SINGLE, TEXT, _axes, _ink, _plain, brief, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["flow", "states", "swimmer"]

_RESPONSE = {
    "sCR": "#08519c", "CR": "#2171b5", "VGPR": "#6baed6", "PR": "#bdd7e7", "MR": "#d9d9d9", "SD": "#bdbdbd",
    "PD": "#969696", "NE": "#f0f0f0",
}  # fmt: skip
_STATE = {
    "Alive, no progression": "#2171b5", "Alive after progression": "#9ecae1", "Died of progression": "#7f7f7f",
    "Died without progression": "#d55e00", "Lost to follow-up": "#e0e0e0",
}  # fmt: skip
_MARKS = {"PD": ("v", "#000000"), "new therapy": ("^", "#d55e00"), "death": ("x", "#000000"),
          "first response": ("o", "#ffffff"), "best response": ("*", "#ffd92f"),
          "ongoing": (">", "#2171b5")}  # fmt: skip


def swimmer(lanes: pd.DataFrame, marks: pd.DataFrame, *, unit: str = "months", ax: Axes | None = None) -> Axes:
    """Draw a lane a patient, longest on top, with what happened on it.

    Parameters
    ----------
    lanes
        ``patient_id end group``: length and colour class (best response).
    marks
        ``patient_id time what``; ``what`` in ``first response``, ``best response``, ``PD``, ``new therapy``, ``death``,
        ``ongoing`` (an arrow at the end of a lane).
    unit
        Of the times.
    ax
        Axes to draw in; a new figure, 2.2 mm a patient, when None.

    Examples
    --------
    >>> import pandas as pd
    >>> lanes = pd.DataFrame({"patient_id": ["a", "b"], "end": [9.0, 5.0], "group": ["CR", "SD"]})
    >>> marks = pd.DataFrame({"patient_id": ["b"], "time": [4.0], "what": ["PD"]})
    >>> [t.get_text() for t in swimmer(lanes, marks).get_yticklabels()]
    ['b', 'a']
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    has_columns(lanes.columns, ["patient_id", "end", "group"], where="plot.swimmer")
    has_columns(marks.columns, ["patient_id", "time", "what"], where="plot.swimmer")
    lanes = lanes.sort_values(["end", "patient_id"], kind="stable").reset_index(drop=True)
    place = {p: i for i, p in enumerate(lanes["patient_id"])}
    with style():
        ax = _axes(ax, DOUBLE, min(30 + 2.2 * len(lanes), 235))
        colours = [_RESPONSE.get(str(g), "#cccccc") for g in lanes["group"]]
        ax.barh(range(len(lanes)), lanes["end"], height=0.78, color=colours, linewidth=0)
        for what, (marker, face) in _MARKS.items():
            of = marks[(marks["what"] == what) & marks["patient_id"].isin(place)]
            edge = None if marker == "x" else "black"
            ax.scatter(of["time"], [place[p] for p in of["patient_id"]], marker=marker, s=11, c=face, edgecolors=edge,
                       linewidths=0.4 if marker != "x" else 0.8, zorder=3)  # fmt: skip
        show = len(lanes) <= 100
        size = max(3.0, min(TEXT, 420 / max(len(lanes), 1)))
        ax.set_yticks(range(len(lanes)) if show else [], lanes["patient_id"] if show else [], fontsize=size)
        ax.set_ylim(-0.7, len(lanes) - 0.3)
        ax.set_xlim(0, float(lanes["end"].max()) * 1.03)
        ax.set_xlabel(f"{unit[:1].upper()}{unit[1:]} from infusion", fontsize=TEXT + 1)
        _plain(ax)
        ax.tick_params(axis="y", labelsize=size, length=0)
        used = [g for g in _RESPONSE if (lanes["group"].astype(str) == g).any()]
        keys: list[Any] = [Patch(facecolor=_RESPONSE[g], label=g) for g in used]
        keys += [Line2D([], [], linestyle="", marker=m, markerfacecolor=f, markeredgecolor="black", markersize=3.5,
                        markeredgewidth=0.5, label=w) for w, (m, f) in _MARKS.items()
                 if (marks["what"] == w).any()]  # fmt: skip
        ax.legend(handles=keys, loc="lower right", ncols=2)
    return ax


def states(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    r"""Draw stacked columns of patients by state (Figure 1A), a column a group, counts inside.

    Parameters
    ----------
    table
        ``group state n``, groups and states in order.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"group": ["All", "All"], "state": ["Alive", "Died"], "n": [33, 41]})
    >>> [t.get_text() for t in states(table).get_xticklabels()]
    ['All\nn=74']
    """
    has_columns(table.columns, ["group", "state", "n"], where="plot.states")
    groups, kinds = list(dict.fromkeys(table["group"].astype(str))), list(dict.fromkeys(table["state"].astype(str)))
    spare = iter(("#2171b5", "#9ecae1", "#7f7f7f", "#d55e00", "#e69f00", "#e0e0e0", "#009e73"))
    colour = {k: _STATE.get(k) or next(spare) for k in kinds}
    with style():
        ax = _axes(ax, SINGLE, 70)
        for i, group in enumerate(groups):
            of = table[table["group"].astype(str) == group]
            total, low = float(of["n"].sum()), 0.0
            for row in of.itertuples():
                share = 100 * row.n / total if total else 0.0
                label = str(row.state) if i == 0 else None
                ax.bar(i, share, bottom=low, width=0.68, color=colour[str(row.state)], edgecolor="white", label=label)
                if share >= 4:
                    ax.text(i, low + share / 2, f"{row.n}", ha="center", va="center", fontsize=TEXT,
                            color=_ink(colour[str(row.state)]))  # fmt: skip
                low += share
        sizes = table.groupby(table["group"].astype(str))["n"].sum()
        ax.set_xticks(range(len(groups)), [f"{brief(g, 14)}\nn={sizes[g]:g}" for g in groups], fontsize=TEXT)
        ax.set_ylabel("Patients, %", fontsize=TEXT + 1)
        ax.set_ylim(0, 100)
        _plain(ax)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1), reverse=True)
    return ax


def flow(table: pd.DataFrame, *, order: Sequence[Sequence[str]] | None = None, ax: Axes | None = None) -> Axes:
    """Draw patients flowing from one classification to the next (Sankey): best response to state.

    Parameters
    ----------
    table
        ``left right n``.
    order
        Order of the left and of the right names; that of the rows when None.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"left": ["CR", "CR", "PR"], "right": ["Alive", "Died", "Died"], "n": [3, 1, 2]})
    >>> len(flow(table).patches)
    7
    """
    has_columns(table.columns, ["left", "right", "n"], where="plot.flow")
    left, right = order or (list(dict.fromkeys(table["left"])), list(dict.fromkeys(table["right"])))
    total = float(table["n"].sum())
    spare = iter(("#2171b5", "#9ecae1", "#7f7f7f", "#d55e00", "#e69f00", "#e0e0e0", "#009e73"))
    colour = {k: _RESPONSE.get(k, "#cccccc") for k in left}
    colour_right = {k: _STATE.get(k) or next(spare) for k in right}
    with style():
        ax = _axes(ax, SINGLE * 1.25, 75)
        starts = _blocks(ax, left, table.groupby("left")["n"].sum(), total, 0.0, colour, "right")
        ends = _blocks(ax, right, table.groupby("right")["n"].sum(), total, 1.0, colour_right, "left")
        for a in left:
            for b in right:
                n = float(table.loc[(table["left"] == a) & (table["right"] == b), "n"].sum())
                if n:
                    _ribbon(ax, starts, ends, a, b, n / total, colour[a])
        ax.set_xlim(-0.42, 1.75)
        ax.set_ylim(-0.02, 1.02 + 0.02 * max(len(left), len(right)))
        ax.invert_yaxis()
        ax.set_axis_off()
    return ax


def _blocks(
    ax: Axes, names: Sequence[str], counts: pd.Series, total: float, x: float, colour: Mapping[str, str], side: str
) -> dict[str, float]:
    from matplotlib.patches import Rectangle

    top, places = 0.0, {}
    for name in names:
        height = float(counts.get(name, 0)) / total
        ax.add_patch(Rectangle((x - 0.03, top), 0.06, height, facecolor=colour[name], edgecolor="none"))
        at = -0.05 if side == "right" else 1.05
        ax.text(at, top + height / 2, f"{name} ({counts.get(name, 0):g})", ha=side, va="center", fontsize=TEXT)
        places[name] = top
        top += height + 0.02
    return places


def _ribbon(ax: Axes, starts: dict, ends: dict, a: str, b: str, height: float, color: str) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    y0, y1 = starts[a], ends[b]
    starts[a], ends[b] = y0 + height, y1 + height
    points = [(0.03, y0), (0.5, y0), (0.5, y1), (0.97, y1), (0.97, y1 + height), (0.5, y1 + height), (0.5, y0 + height),
              (0.03, y0 + height), (0.03, y0)]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    ax.add_patch(PathPatch(Path(points, codes), facecolor=color, alpha=0.55, edgecolor="none"))
