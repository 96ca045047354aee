"""The body of a violin, whole or half: the smoothed outline of a group's quantiles, as wide as its place allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["body", "half", "outline"]

_WIDTH = 0.86  # of a place
_GRID = 80  # points of an outline
_GAP = 0.03  # of the half, between the two halves
_LINE = "0.25"
_DASHES = ((1.25, 0.75), (2.5, 1.0), (1.25, 0.75))  # of the quartiles


def outline(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights from the lowest to the highest value and the density there, relative to its peak; each (80,).

    Gaussian kernels with Scott's bandwidth, not drawn beyond the data: what seaborn's ``violinplot(cut=0)`` draws.
    Equal values have one height and no body.
    """
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-6:
        return np.array([values.mean()]), np.ones(1)
    support = np.linspace(low, high, _GRID)
    bandwidth = values.std(ddof=1) * len(values) ** -0.2
    density = np.exp(-0.5 * ((support[:, None] - values) / bandwidth) ** 2).sum(axis=1)
    return support, density / density.max()


def body(ax: Axes, values: NDArray[np.float64], place: float, color: str) -> None:
    """Draw a whole violin; equal values are a line."""
    support, density = outline(values)
    span = density * _WIDTH / 2
    _fill(ax, support, place - span, place + span, color)


def half(ax: Axes, values: NDArray[np.float64], place: float, color: str, side: int) -> None:
    """Draw the half on the left (``side=-1``) or right (1) with its quartiles as dashed lines."""
    support, density = outline(values)
    foot = place + side * _GAP * _WIDTH / 2
    tip = foot + side * density * _WIDTH / 2 * (1 - 2 * _GAP)
    _fill(ax, support, np.minimum(foot, tip), np.maximum(foot, tip), color)
    if len(support) > 1:
        for quartile, dashes in zip(np.percentile(values, (25, 50, 75)), _DASHES, strict=True):
            end = float(np.interp(quartile, support, tip))
            ax.plot((foot, end), (quartile, quartile), color=_LINE, linewidth=0.5, dashes=dashes)


def _fill(
    ax: Axes, support: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64], color: str
) -> None:
    if len(support) == 1:
        ax.plot((left[0], right[0]), (support[0],) * 2, color=_LINE, linewidth=0.4)
        return
    ax.fill_betweenx(support, left, right, facecolor=color, edgecolor=_LINE, linewidth=0.4)
