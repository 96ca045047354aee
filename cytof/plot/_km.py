"""Kaplan-Meier curves with bands, censor ticks, medians, p, and the numbers at risk aligned under the axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cytof._check import has_columns
from cytof.plot._style import TEXT, _axes, _plain, brief, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["groups_palette", "incidence", "km"]

_GROUPS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":")


def groups_palette(groups: Sequence[object]) -> dict[str, str]:
    """Return a colour for each group that colour-blind eyes can tell apart (Okabe and Ito), one group in blue.

    Examples
    --------
    >>> groups_palette(["a", "b"])
    {'a': '#0072b2', 'b': '#d55e00'}
    """
    return {str(g): _GROUPS[i % len(_GROUPS)] for i, g in enumerate(groups)}


def km(
    steps: pd.DataFrame, risk: pd.DataFrame | None = None, medians: pd.DataFrame | None = None, *, note: str = "",
    name: str = "Survival", unit: str = "months", palette: Mapping[str, str] | None = None, ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw Kaplan-Meier curves.

    Parameters
    ----------
    steps
        ``group time survival ci_low ci_high n_at_risk n_censored`` (:attr:`KaplanMeier.table`).
    risk
        ``group time n_at_risk`` and optional ``n_events`` (:meth:`KaplanMeier.risk_table`), drawn under the axis, at
        its ticks; the last time ends the axis.
    medians
        ``group median ci_low ci_high`` (:meth:`KaplanMeier.median`): dashed lines, and the values in the key.
    note
        Text in the plot: p and its method.
    name, unit
        Of the axes.
    palette
        Group -> colour.
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes. A curve ends where fewer than a tenth of its patients (and fewer than 5) are still at risk.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> steps = pd.DataFrame({"group": "all", "time": [5.0, 9.0], "survival": [0.5, 0.0], "ci_low": [0.1, None],
    ...     "ci_high": [0.8, None], "n_at_risk": [2, 1], "n_censored": [0, 0]})
    >>> km(steps).get_ylabel()
    'Survival, %'
    """
    needed = ["group", "time", "survival", "ci_low", "ci_high", "n_at_risk", "n_censored"]
    has_columns(steps.columns, needed, where="plot.km")
    groups = list(dict.fromkeys(steps["group"].astype(str)))
    palette = palette or groups_palette(groups)
    with style():
        ax = _axes(ax, height=62 + 4 * len(groups))
        end = float(risk["time"].max()) if risk is not None else float(steps["time"].max())
        for i, group in enumerate(groups):
            of = _until(steps[steps["group"].astype(str) == group], end)
            _curve(ax, of, "survival", palette[group], _LINES[i % len(_LINES)], start=100.0)
        ax.set_xlim(0, end)
        ax.set_ylim(0, 102)
        if medians is not None:
            _median_lines(ax, medians, palette, end)
        _frame(ax, risk, f"{name}, %", unit, end)
        _key(ax, groups, palette, medians, unit, note, low=True)
        if risk is not None:
            _risk_rows(ax, risk, groups, palette)
    return ax


def incidence(
    steps: pd.DataFrame, risk: pd.DataFrame | None = None, *, note: str = "", name: str = "Cumulative incidence",
    unit: str = "months", ax: Axes | None = None,
) -> Axes:  # fmt: skip
    """Draw cumulative incidence, a line for each cause and group.

    Parameters
    ----------
    steps
        ``group cause time incidence ci_low ci_high`` (:attr:`Incidence.table`).
    risk, note, name, unit, ax
        As in :func:`km`.

    Examples
    --------
    >>> import pandas as pd
    >>> steps = pd.DataFrame({"group": "all", "cause": "PD", "time": [5.0, 9.0], "incidence": [0.2, 0.5],
    ...     "ci_low": [0.1, 0.3], "ci_high": [0.4, 0.7]})
    >>> incidence(steps).get_ylabel()
    'Cumulative incidence, %'
    """
    has_columns(steps.columns, ["group", "cause", "time", "incidence", "ci_low", "ci_high"], where="plot.incidence")
    single = steps["group"].nunique() == 1
    lines = steps["cause"].astype(str) if single else steps["cause"].astype(str) + ", " + steps["group"].astype(str)
    steps = steps.assign(line=lines)
    names = list(dict.fromkeys(steps["line"]))
    palette = groups_palette(names)
    with style():
        ax = _axes(ax, height=66)
        end = float(risk["time"].max()) if risk is not None else float(steps["time"].max())
        for i, line in enumerate(names):
            of = steps[(steps["line"] == line) & (steps["time"] <= end)]
            _curve(ax, of, "incidence", palette[line], _LINES[i % len(_LINES)], start=0.0)
        ax.set_xlim(0, end)
        ax.set_ylim(0, 102)
        _frame(ax, risk, f"{name}, %", unit, end)
        _key(ax, names, palette, None, unit, note, low=False)
        if risk is not None:
            rows = list(dict.fromkeys(risk["group"].astype(str)))
            _risk_rows(ax, risk, rows, dict.fromkeys(rows, "black"))
    return ax


def _until(of: pd.DataFrame, end: float) -> pd.DataFrame:
    least = min(5.0, 0.1 * float(of["n_at_risk"].max()))
    return of[(of["time"] <= end) & (of["n_at_risk"] >= least)]


def _curve(ax: Axes, of: pd.DataFrame, column: str, color: str, line: str, *, start: float) -> None:
    import numpy as np

    t = np.r_[0.0, of["time"].to_numpy(float)]
    y = np.r_[start, of[column].to_numpy(float) * 100]
    low, high = (np.r_[start, of[c].to_numpy(float) * 100] for c in ("ci_low", "ci_high"))
    ax.fill_between(t, low, high, step="post", color=color, alpha=0.15, linewidth=0)
    ax.plot(t, y, drawstyle="steps-post", color=color, linestyle=line, linewidth=1.1)
    if "n_censored" in of:
        gone = np.r_[False, of["n_censored"].to_numpy() > 0]
        ax.plot(t[gone], y[gone], "|", color=color, markersize=4, markeredgewidth=0.7)


def _median_lines(ax: Axes, medians: pd.DataFrame, palette: Mapping[str, str], end: float) -> None:
    known = medians[medians["median"].notna() & (medians["median"] <= end)]
    if len(known):
        ax.plot([0, known["median"].max()], [50, 50], color="#7f7f7f", linestyle=":", linewidth=0.6)
    for row in known.itertuples():
        ax.plot([row.median, row.median], [0, 50], color=palette[str(row.group)], linestyle=":", linewidth=0.7)


def _frame(ax: Axes, risk: pd.DataFrame | None, label: str, unit: str, end: float) -> None:
    _plain(ax)
    ax.set_ylabel(label, fontsize=TEXT + 1)
    ax.set_yticks(range(0, 101, 20))
    ticks = sorted(set(risk["time"])) if risk is not None else list(range(0, int(end) + 1, 12))
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_xlabel(unit[:1].upper() + unit[1:], fontsize=TEXT + 1)


def _key(
    ax: Axes, groups: Sequence[str], palette: Mapping[str, str], medians: pd.DataFrame | None, unit: str, note: str, *,
    low: bool,
) -> None:  # fmt: skip
    from matplotlib.lines import Line2D

    labels = []
    for group in groups:
        text = "" if group == "all" else brief(group, 30)
        if medians is not None:
            row = medians[medians["group"].astype(str) == group].iloc[0]
            said = f"median {_nr(row['median'])} ({_nr(row['ci_low'])}-{_nr(row['ci_high'])})"
            text = f"{text}: {said}" if text else f"{said} {unit.split()[0].lower()}"
        labels.append(text)
    handles: list[Any] = [
        Line2D([], [], color=palette[g], linestyle=_LINES[i % len(_LINES)], linewidth=1.1) for i, g in enumerate(groups)
    ]
    if any(labels):
        ax.legend(handles, labels, loc="upper right" if low else "upper left", title=note or None, alignment="left",
                  handlelength=2.2, borderaxespad=0.2)  # fmt: skip
    elif note:
        ax.text(0.98, 0.97, note, transform=ax.transAxes, ha="right", va="top", fontsize=TEXT)


def _nr(value: float) -> str:
    return "NR" if value != value else f"{value:.1f}"


def _risk_rows(ax: Axes, risk: pd.DataFrame, groups: Sequence[str], palette: Mapping[str, str]) -> None:
    """Write the numbers at risk under the ticks, a row a group, its name to the left of the axis."""
    from matplotlib.transforms import blended_transform_factory, offset_copy

    place = blended_transform_factory(ax.transData, ax.transAxes)
    figure: Any = ax.get_figure()
    step, top = TEXT + 3.0, 26.0

    def down(transform: Any, points: float, left: float = 0.0) -> Any:
        return offset_copy(transform, fig=figure, x=-left, y=-points, units="points")

    with_events = "n_events" in risk and risk["n_events"].notna().all()
    ax.text(0, 0, "At risk (events)" if with_events else "At risk", transform=down(ax.transAxes, top), fontsize=TEXT,
            ha="left", va="top", fontweight="bold")  # fmt: skip
    for i, group in enumerate(groups):
        y = top + step * (i + 1)
        of = risk[risk["group"].astype(str) == group]
        if group != "all":
            ax.text(0, 0, brief(group, 16), transform=down(ax.transAxes, y, 14), fontsize=TEXT, ha="right", va="top",
                    color=palette[group])  # fmt: skip
        for row in of.itertuples():
            text = f"{row.n_at_risk} ({row.n_events})" if with_events and len(of) <= 7 else f"{row.n_at_risk}"
            ax.text(row.time, 0, text, transform=down(place, y), fontsize=TEXT, ha="center", va="top")
