"""Events left after each cleaning step and gate, one line of bars a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cytof._check import has_columns
from cytof.plot._composition import _short
from cytof.plot._map import key
from cytof.plot._style import TEXT, _axes, _plain, brief, colors, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["waterfall"]


def waterfall(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of events left after each step; steps from the top down, bars of the samples side by side.

    Parameters
    ----------
    table
        Columns ``step n_left fraction_left``, optional ``sample_id``; rows in order of the steps
        (:func:`cytof.clean.waterfall`).
    ax
        Axes to draw in; a new figure of 89 mm when None.

    Returns
    -------
    Axes; a container of bars a sample, lengths in percent of all events, with the number of events where there are at
    most six samples.

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
    palette = colors(samples, "visits")
    with style():
        ax = _axes(ax, height=12.0 + len(steps) * (3.0 + 2.2 * min(len(samples), 8)))
        height = 0.82 / len(samples)
        for i, sample in enumerate(samples):
            here = table[table["sample_id"].astype(str) == sample] if sample else table
            here = here.set_index(here["step"].astype(str)).reindex(steps)
            y = [s - 0.41 + height * (i + 0.5) for s in range(len(steps))]
            ax.barh(y, here["fraction_left"] * 100, height * 0.92, color=palette[sample], label=sample, linewidth=0)
            if len(samples) <= 6:
                for place, share, n in zip(y, here["fraction_left"] * 100, here["n_left"], strict=True):
                    if share == share:
                        ax.text(share + 1, place, _short(int(n)), va="center", fontsize=TEXT - 1 + (len(samples) < 5))
        _plain(ax)
        ax.set_yticks(range(len(steps)), [brief(s, 24) for s in steps], fontsize=TEXT)
        ax.set_ylim(len(steps) - 0.5, -0.5)
        ax.set_xlim(0, 118)
        ax.set_xticks([0, 25, 50, 75, 100])
        ax.set_xlabel("% of events left", fontsize=TEXT + 1)
        if len(samples) > 1:
            key(ax, {s: palette[s] for s in samples[:24]}, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
