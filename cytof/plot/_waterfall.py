"""Events left after each cleaning step: bars of the samples side by side, or a row a sample where there are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._composition import _short
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _plain, brief, colors, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["waterfall"]

_TOGETHER = 12  # samples whose bars stand side by side
_LABELS = 80  # rows that are named and numbered, each
_WRITTEN = 12  # steps beside each other with room for numbers
_BAR = "#5f87c8"


def waterfall(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of events left after each step; of more than twelve samples a row each, a column a step.

    Parameters
    ----------
    table
        Columns ``step n_left fraction_left``, optional ``sample_id``; rows in order of the steps
        (:func:`cytof.clean.waterfall`).
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes. Up to twelve samples: steps from the top down, a container of bars a sample, lengths in percent of all events,
    with the number of events where there are at most six. More: a container a step, bars from the step's place, 0.6
    long for all events, a row a sample, in order of the table.

    Raises
    ------
    UsageError
        A column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> ax = waterfall(pd.DataFrame({"step": ["all", "live"], "n_left": [200, 150], "fraction_left": [1.0, 0.75]}))
    >>> [float(bar.get_width()) for bar in ax.containers[0]]
    [100.0, 75.0]
    """
    has_columns(table.columns, ["step", "n_left", "fraction_left"], where="plot.waterfall")
    steps = [str(s) for s in table["step"].drop_duplicates()]
    samples = [str(s) for s in table["sample_id"].drop_duplicates()] if "sample_id" in table else [""]
    draw = _side_by_side if len(samples) <= _TOGETHER else _row_a_sample
    with style():
        ax = _axes(ax, height=12.0 + len(steps) * (3.0 + 2.2 * min(len(samples), 8)))
        _plain(ax)
        draw(ax, table, steps, samples)
    return ax


def _of(table: pd.DataFrame, sample: str, steps: Sequence[str]) -> pd.DataFrame:
    here = table[table["sample_id"].astype(str) == sample] if sample else table
    return here.set_index(here["step"].astype(str)).reindex(steps)


def _side_by_side(ax: Axes, table: pd.DataFrame, steps: Sequence[str], samples: Sequence[str]) -> None:
    """Draw the steps as rows, within each the bars of the samples."""
    palette, height = colors(samples, "visits"), 0.82 / len(samples)
    for i, sample in enumerate(samples):
        here = _of(table, sample, steps)
        y = [s - 0.41 + height * (i + 0.5) for s in range(len(steps))]
        ax.barh(y, here["fraction_left"] * 100, height * 0.92, color=palette[sample], label=sample, linewidth=0)
        if len(samples) <= 6:
            for place, share, n in zip(y, here["fraction_left"] * 100, here["n_left"], strict=True):
                if share == share:
                    ax.text(share + 1, place, _short(int(n)), va="center", fontsize=TEXT)
    ax.set_yticks(range(len(steps)), [brief(s, 24) for s in steps], fontsize=TEXT)
    ax.set_ylim(len(steps) - 0.5, -0.5)
    ax.set_xlim(0, 118)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.set_xlabel("% of events left", fontsize=TEXT + 1)
    if len(samples) > 1:
        key(ax, {s: palette[s] for s in samples}, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _row_a_sample(ax: Axes, table: pd.DataFrame, steps: Sequence[str], samples: Sequence[str]) -> None:
    """Draw many samples as rows and the steps as columns, in each a bar from 0 to 100 % and the events left."""
    shares = {s: _of(table, s, steps) for s in samples}
    written = len(steps) <= _WRITTEN and len(samples) <= _LABELS
    for i, step in enumerate(steps):
        share = [float(shares[s]["fraction_left"].iloc[i]) for s in samples]
        ax.barh(range(len(samples)), [0.6 * v for v in share], 0.7, i, color=_BAR, label=step, linewidth=0)
        ax.axvline(i, color="0.6", linewidth=0.4)
        for row, sample in enumerate(samples):
            n = float(shares[sample]["n_left"].iloc[i])
            if written and n == n:
                ax.text(i + 0.95, row, _short(int(n)), ha="right", va="center", fontsize=TEXT)
    every = -(-len(samples) // _LABELS)
    ax.set_yticks(range(0, len(samples), every), [brief(s) for s in samples[::every]], fontsize=TEXT)
    ax.set_ylim(len(samples) - 0.4, -0.6)
    ax.set_xlim(0, len(steps))
    ax.xaxis.tick_top()
    upright = max(map(len, steps)) * len(steps) > 110
    ax.set_xticks([i + 0.3 for i in range(len(steps))], [brief(s) for s in steps], fontsize=TEXT, rotation=90 * upright)
    ax.tick_params(axis="both", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel(f"bars: % of events left, 0-100 in each column; numbers: events ({len(samples)} samples)"
                  if written else f"% of events left, 0-100 in each column ({len(samples)} samples)",
                  fontsize=TEXT + 1)  # fmt: skip
